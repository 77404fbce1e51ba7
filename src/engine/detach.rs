//! Reads a graph's file without the weights that it holds itself: what is left refers to them by their place in that very
//! file, as a graph does whose weights are in a file beside it.
//!
//! So weights get into memory once, wherever they are kept, and neither this server nor ONNX Runtime, for each of its
//! sessions, parses them as part of a message. The file is walked field by field, since a message that is read and written
//! by the few fields that [`onnx`] knows would lose the others.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost::encoding::encode_varint;

use crate::onnx::{self, DataLocation, DataType, StringEntry};

/// Tensors of fewer bytes stay in the graph: they are not worth a place in every session's list.
const WORTH_DETACHING: u64 = 1024;

/// Numbers of the fields that lead from a model to its tensors: the graph, and its initializers.
const TO_TENSORS: [u64; 2] = [7, 5];
/// Number of a tensor's field `raw_data`.
const RAW_DATA: u64 = 9;

/// The types of fields on the wire.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// A graph's file, read.
pub(super) struct Detached {
    /// The message, its large weights left out.
    pub bytes: Vec<u8>,
    /// The file that the message and its references belong to.
    pub path: PathBuf,
}

/// Reads a file.
///
/// # Errors
/// Where it can't be read, or is no protobuf message.
pub(super) fn read(path: &Path) -> io::Result<Detached> {
    // ONNX Runtime refuses weights that links lead to from out of their folder, and model caches are full of such links.
    let real = path.canonicalize()?;
    let file = File::open(&real)?;
    let end = file.metadata()?.len();
    let mut walk = Walk {
        source: BufReader::new(file),
        position: 0,
        name: real.file_name().and_then(|name| name.to_str()),
        detached: false,
    };
    let bytes = walk.message(end, &TO_TENSORS)?;
    // Where all weights are in files beside the graph, they are beside the link.
    let path = if walk.detached {
        real
    } else {
        path.to_path_buf()
    };
    Ok(Detached { bytes, path })
}

/// Whether tensors of this type are worth sharing as they are. 16-bit floats are not on the CPU: ONNX Runtime widens those
/// of a foreign graph to fp32, each session its own.
fn is_shared(kind: DataType) -> bool {
    matches!(kind, DataType::Float | DataType::Int8 | DataType::Uint8)
}

struct Walk<'p, R> {
    source: R,
    position: u64,
    /// The file's name, for those who read the weights; a graph whose name is no UTF-8 keeps them.
    name: Option<&'p str>,
    /// Whether weights were left out.
    detached: bool,
}

impl<R: Read + Seek> Walk<'_, R> {
    /// The message from here to `end`, without the weights of the tensors that the fields of these numbers lead to.
    fn message(&mut self, end: u64, to_tensors: &[u64]) -> io::Result<Vec<u8>> {
        let Some((&next, deeper)) = to_tensors.split_first() else {
            return self.tensor(end);
        };
        let mut kept = Vec::new();
        while self.position < end {
            let key = self.varint()?;
            if key == next << 3 | LENGTH_DELIMITED {
                let length = self.length(end)?;
                let message = self.message(self.position + length, deeper)?;
                encode_varint(key, &mut kept);
                encode_varint(message.len() as u64, &mut kept);
                kept.extend(message);
            } else {
                self.copy(key, end, &mut kept)?;
            }
        }
        Ok(kept)
    }

    /// The tensor from here to `end`; where it is large, with a reference in place of its data.
    fn tensor(&mut self, end: u64) -> io::Result<Vec<u8>> {
        const KEY: u64 = RAW_DATA << 3 | LENGTH_DELIMITED;
        let mut kept = Vec::new();
        let mut data = None;
        while self.position < end {
            let key = self.varint()?;
            if key == KEY {
                let length = self.length(end)?;
                data = Some((self.position, length));
                self.seek(self.position + length)?;
            } else {
                self.copy(key, end, &mut kept)?;
            }
        }
        let Some((offset, length)) = data else {
            return Ok(kept);
        };
        let tensor = onnx::Tensor::decode(kept.as_slice()).map_err(io::Error::other)?;
        match self.name {
            Some(name)
                if length >= WORTH_DETACHING
                    && is_shared(tensor.data_type())
                    && tensor.data_location() == DataLocation::Inline =>
            {
                // A message's fields may follow those that it had before.
                kept.extend(reference(name, offset, length).encode_to_vec());
                self.detached = true;
            }
            _ => {
                self.seek(offset)?;
                encode_varint(KEY, &mut kept);
                encode_varint(length, &mut kept);
                self.take(length, end, &mut kept)?;
                self.seek(end)?;
            }
        }
        Ok(kept)
    }

    /// Copies the field whose key was read.
    fn copy(&mut self, key: u64, end: u64, kept: &mut Vec<u8>) -> io::Result<()> {
        encode_varint(key, kept);
        match key & 7 {
            VARINT => {
                let value = self.varint()?;
                encode_varint(value, kept);
                Ok(())
            }
            EIGHT_BYTES => self.take(8, end, kept),
            FOUR_BYTES => self.take(4, end, kept),
            LENGTH_DELIMITED => {
                let length = self.length(end)?;
                encode_varint(length, kept);
                self.take(length, end, kept)
            }
            other => Err(damaged(format!("a field has the unknown type {other}"))),
        }
    }

    /// The length of what follows, which ends by `end`: no more is ever read than the file holds.
    fn length(&mut self, end: u64) -> io::Result<u64> {
        let length = self.varint()?;
        let left = end.saturating_sub(self.position);
        if length <= left {
            return Ok(length);
        }
        Err(damaged(format!(
            "a field of {length} bytes stands where {left} are left"
        )))
    }

    fn take(&mut self, length: u64, end: u64, kept: &mut Vec<u8>) -> io::Result<()> {
        let length = length.min(end.saturating_sub(self.position));
        let taken = self.source.by_ref().take(length).read_to_end(kept)?;
        if taken as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += length;
        Ok(())
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.source.read_exact(&mut byte)?;
            self.position += 1;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a number has more than 64 bits".to_owned()))
    }

    fn seek(&mut self, position: u64) -> io::Result<()> {
        self.position = self.source.seek(SeekFrom::Start(position))?;
        Ok(())
    }
}

/// The fields that tell where a tensor's data is.
fn reference(file: &str, offset: u64, length: u64) -> onnx::Tensor {
    let entry = |key: &str, value: String| StringEntry {
        key: key.to_owned(),
        value,
    };
    onnx::Tensor {
        external_data: vec![
            entry("location", file.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ],
        data_location: DataLocation::External.into(),
        ..onnx::Tensor::default()
    }
}

fn damaged(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::other_graph;

    fn tensors(bytes: &[u8]) -> Vec<onnx::Tensor> {
        let model = onnx::Model::decode(bytes).unwrap();
        model.graph.unwrap().initializer
    }

    #[test]
    fn weights_are_left_where_they_are_and_all_else_is_kept() {
        for name in [
            "optimum-sequence/onnx/model.onnx",
            "optimum-sequence-int8/model.onnx",
        ] {
            let path = other_graph(name);
            let whole = std::fs::read(&path).unwrap();
            let rest = read(&path).unwrap().bytes;
            let (before, after) = (tensors(&whole), tensors(&rest));
            assert_eq!(before.len(), after.len());
            let mut detached = 0;
            for (before, after) in before.iter().zip(&after) {
                let large = before.raw_data.len() >= 1024 && is_shared(before.data_type());
                if large {
                    detached += before.raw_data.len();
                    let said = |index: usize| after.external_data[index].value.as_str();
                    let at = said(1).parse::<usize>().unwrap();
                    let length = said(2).parse::<usize>().unwrap();
                    assert_eq!(said(0), "model.onnx");
                    assert_eq!(whole[at..at + length], before.raw_data);
                    assert!(after.raw_data.is_empty());
                } else {
                    assert_eq!(before, after);
                }
            }
            // References take some 80 bytes a tensor; nothing else may go.
            assert!(detached > 0);
            let left = whole.len() - detached;
            assert!(
                (left..left + 80 * after.len()).contains(&rest.len()),
                "{}",
                rest.len()
            );
        }
    }

    #[test]
    fn a_graph_without_large_weights_of_its_own_is_kept_to_the_byte() {
        let path = other_graph("torch-discriminator-int32/model.onnx");
        assert_eq!(read(&path).unwrap().bytes, std::fs::read(&path).unwrap());
    }
}
