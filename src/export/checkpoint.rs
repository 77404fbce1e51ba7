//! A checkpoint's weights: reads one tensor at a time from `model.safetensors`, as 32-bit floats.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::ExportError;

/// The name of a checkpoint's weights file.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// The safetensors specification's bound on a header, in bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// An open safetensors file. Only its header is held in memory.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    data_start: u64,
}

impl Checkpoint {
    /// Opens `model.safetensors` in a checkpoint's folder and checks that its header agrees with its size.
    ///
    /// # Errors
    /// Where the file is missing, is no safetensors file, or was cut short.
    pub fn open(folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join(WEIGHTS_FILE);
        if !path.is_file() {
            return Err(ExportError::NoWeights {
                folder: folder.to_path_buf(),
            });
        }
        Self::open_file(&path)
    }

    fn open_file(path: &Path) -> Result<Self, ExportError> {
        let read = |error| ExportError::Read {
            path: path.to_path_buf(),
            error,
        };
        let invalid = |reason: String| ExportError::Weights {
            path: path.to_path_buf(),
            reason,
        };
        let mut file = File::open(path).map_err(read)?;
        let file_bytes = file.metadata().map_err(read)?.len();
        let mut prefix = [0; 8];
        file.read_exact(&mut prefix)
            .map_err(|_| invalid("it is too short to be a safetensors file".to_owned()))?;
        let header_bytes = u64::from_le_bytes(prefix);
        if header_bytes > MAX_HEADER_BYTES || header_bytes > file_bytes - 8 {
            return Err(invalid(format!(
                "its header claims {header_bytes} bytes; it is no safetensors file"
            )));
        }
        let mut header = Vec::new();
        Read::by_ref(&mut file)
            .take(header_bytes)
            .read_to_end(&mut header)
            .map_err(read)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| invalid(format!("its header can't be read: {error}")))?;
        let data_start = 8 + header_bytes;
        let wanted = data_start + metadata.data_len() as u64;
        if wanted != file_bytes {
            return Err(invalid(format!(
                "it has {file_bytes} bytes, and its header asks for {wanted}; it was probably cut short while it was copied"
            )));
        }
        Ok(Self {
            path: path.to_path_buf(),
            file,
            metadata,
            data_start,
        })
    }

    /// The shape of a tensor, or `None` where the checkpoint has none of that name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.stored_name(name)
            .and_then(|stored| self.metadata.info(&stored))
            .map(|info| info.shape.as_slice())
    }

    /// Whether the checkpoint has a tensor of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// Reads one tensor, row-major, converted to 32-bit floats.
    ///
    /// # Errors
    /// Where the tensor is missing, can't be read, or holds something other than fp32, fp16 or bf16.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, ExportError> {
        let missing = || ExportError::Weights {
            path: self.path.clone(),
            reason: format!("it has no tensor `{name}`"),
        };
        let stored = self.stored_name(name).ok_or_else(missing)?;
        let info = self.metadata.info(&stored).ok_or_else(missing)?;
        let (start, end) = info.data_offsets;
        let dtype = info.dtype;
        let read = |error| ExportError::Read {
            path: self.path.clone(),
            error,
        };
        self.file
            .seek(SeekFrom::Start(self.data_start + start as u64))
            .map_err(read)?;
        let reader = ValueReader {
            file: &mut self.file,
            remaining: end - start,
        };
        match dtype {
            Dtype::F32 => reader.values(4, |bytes, values| {
                values.extend(
                    bytes
                        .chunks_exact(4)
                        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
                );
            }),
            Dtype::F16 => reader.values(2, |bytes, values| {
                let halves: Vec<f16> = bytes
                    .chunks_exact(2)
                    .map(|b| f16::from_le_bytes([b[0], b[1]]))
                    .collect();
                values.extend(halves.to_f32_vec());
            }),
            Dtype::BF16 => reader.values(2, |bytes, values| {
                let halves: Vec<bf16> = bytes
                    .chunks_exact(2)
                    .map(|b| bf16::from_le_bytes([b[0], b[1]]))
                    .collect();
                values.extend(halves.to_f32_vec());
            }),
            other => {
                return Err(ExportError::Weights {
                    path: self.path.clone(),
                    reason: format!(
                        "tensor `{name}` holds {other:?}; only F32, F16 and BF16 can be exported"
                    ),
                });
            }
        }
        .map_err(read)
    }

    /// Old checkpoints, converted from TensorFlow, spell LayerNorm's keys `gamma` and `beta`.
    fn stored_name(&self, name: &str) -> Option<String> {
        if self.metadata.info(name).is_some() {
            return Some(name.to_owned());
        }
        let old = name
            .strip_suffix("LayerNorm.weight")
            .map(|prefix| format!("{prefix}LayerNorm.gamma"));
        let old = old.or_else(|| {
            name.strip_suffix("LayerNorm.bias")
                .map(|prefix| format!("{prefix}LayerNorm.beta"))
        });
        old.filter(|old| self.metadata.info(old).is_some())
    }
}

/// Reads values through a buffer of fixed size, so that a tensor is never in memory in both its types.
struct ValueReader<'file> {
    file: &'file mut File,
    remaining: usize,
}

impl ValueReader<'_> {
    const CHUNK_BYTES: usize = 1 << 16;

    fn values(
        mut self,
        size: usize,
        convert: impl Fn(&[u8], &mut Vec<f32>),
    ) -> std::io::Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.remaining / size);
        let mut buffer = vec![0; Self::CHUNK_BYTES];
        while self.remaining > 0 {
            let chunk = &mut buffer[..self.remaining.min(Self::CHUNK_BYTES)];
            self.file.read_exact(chunk)?;
            convert(chunk, &mut values);
            self.remaining -= chunk.len();
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    fn checkpoint(
        tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)],
    ) -> (tempfile::TempDir, Result<Checkpoint, ExportError>) {
        let folder = tempfile::tempdir().unwrap();
        let views = tensors.iter().map(|(name, dtype, shape, data)| {
            (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        safetensors::serialize_to_file(views, None, &folder.path().join(WEIGHTS_FILE)).unwrap();
        let opened = Checkpoint::open(folder.path());
        (folder, opened)
    }

    fn bytes<const N: usize>(values: &[f32], convert: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|value| convert(*value)).collect()
    }

    #[test]
    fn every_float_type_reads_as_fp32() {
        let values: Vec<f32> = (0..60_000_u16)
            .map(|index| f32::from(index % 512) - 256.0)
            .collect();
        let halves = bytes(&values, |value| f16::from_f32(value).to_le_bytes());
        let brains = bytes(&values, |value| bf16::from_f32(value).to_le_bytes());
        let (_folder, opened) = checkpoint(&[
            (
                "fp32",
                Dtype::F32,
                vec![60_000],
                bytes(&values, f32::to_le_bytes),
            ),
            ("fp16", Dtype::F16, vec![60_000], halves),
            ("bf16", Dtype::BF16, vec![60_000], brains),
        ]);
        let mut opened = opened.unwrap();
        for name in ["fp32", "fp16", "bf16"] {
            assert_eq!(opened.read(name).unwrap(), values, "{name}");
        }
    }

    #[test]
    fn layer_norm_keys_of_old_checkpoints_are_found() {
        let (_folder, opened) = checkpoint(&[
            (
                "a.LayerNorm.gamma",
                Dtype::F32,
                vec![1],
                bytes(&[2.0], f32::to_le_bytes),
            ),
            (
                "a.LayerNorm.beta",
                Dtype::F32,
                vec![1],
                bytes(&[3.0], f32::to_le_bytes),
            ),
        ]);
        let mut opened = opened.unwrap();
        assert_eq!(opened.read("a.LayerNorm.weight").unwrap(), [2.0]);
        assert_eq!(opened.read("a.LayerNorm.bias").unwrap(), [3.0]);
    }

    #[test]
    fn integers_and_missing_tensors_are_refused_by_name() {
        let (_folder, opened) = checkpoint(&[("ids", Dtype::I32, vec![1], vec![0; 4])]);
        let mut opened = opened.unwrap();
        assert!(
            opened
                .read("ids")
                .unwrap_err()
                .to_string()
                .contains("tensor `ids` holds I32")
        );
        assert!(
            opened
                .read("other")
                .unwrap_err()
                .to_string()
                .contains("no tensor `other`")
        );
    }

    #[test]
    fn files_that_are_cut_or_lie_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WEIGHTS_FILE);
        let good = {
            let data = bytes(&[1.0, 2.0], f32::to_le_bytes);
            let view = TensorView::new(Dtype::F32, vec![2], &data).unwrap();
            safetensors::serialize([("w", view)], None).unwrap()
        };
        let check = |content: &[u8], expected: &str| {
            std::fs::write(&path, content).unwrap();
            let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&good[..good.len() - 1], "cut short");
        check(b"abc", "too short");
        check(&u64::MAX.to_le_bytes(), "no safetensors file");
        check(b"\x02\0\0\0\0\0\0\0[]", "header can't be read");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            Checkpoint::open(folder.path()),
            Err(ExportError::NoWeights { .. })
        ));
    }
}
