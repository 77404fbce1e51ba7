//! Reads the format of torch since 1.6: a zip archive whose entries are not compressed, so storages are plain bytes in
//! the file. `NAME/data.pkl` is the pickle, `NAME/data/KEY` a storage.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use rawzip::{CompressionMethod, FileReader, ZipArchive, ZipFileHeaderRecord};

use super::pickle::{MAX_PICKLE_BYTES, Pickle};
use super::state_dict;
use super::storage::{BIG_ENDIAN, Region, Storages};
use crate::export::checkpoint::tensor::Tensors;
use crate::export::checkpoint::weights_error::WeightsError;

/// Returns the tensors of a file.
pub(super) fn tensors(file: &File) -> Result<Tensors, WeightsError> {
    let entries = Entries::read(file)?;
    if let Some(order) = entries.get("byteorder") {
        match order.bytes(file)?.as_slice() {
            b"little" => {}
            b"big" => return Err(BIG_ENDIAN.to_owned().into()),
            _ => return Err("it names an unknown byte order".to_owned().into()),
        }
    }
    let pickle = entries.get("data.pkl").ok_or_else(|| {
        "it is a zip archive, but not one that torch.save has written: it has no entry data.pkl"
            .to_owned()
    })?;
    let pickle = pickle.bytes(file)?;
    let storages = entries.storages();
    Ok(state_dict::tensors(&Pickle::read(&pickle)?, &storages)?)
}

impl Region {
    /// Reads an entry other than a storage.
    fn bytes(self, mut file: &File) -> Result<Vec<u8>, WeightsError> {
        if self.length > MAX_PICKLE_BYTES {
            return Err(format!(
                "the pickle that describes its weights has {} bytes, far more than weights need",
                self.length
            )
            .into());
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.start))?;
        file.take(self.length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Positions of an archive's entries, by their names below its single folder.
struct Entries(BTreeMap<String, Region>);

impl Entries {
    fn read(file: &File) -> Result<Self, WeightsError> {
        let file_bytes = file.metadata()?.len();
        let damaged = |error: rawzip::Error| {
            WeightsError::Invalid(format!(
                "its zip archive is damaged ({error}); it was probably cut short while it was copied"
            ))
        };
        let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_file(file.try_clone()?, &mut buffer).map_err(damaged)?;
        let mut entries = BTreeMap::new();
        let mut folder = None;
        let mut records = archive.entries(&mut buffer);
        while let Some(record) = records.next_entry().map_err(damaged)? {
            let name = plain_name(&record)?;
            let Some((first, name)) = name.split_once('/') else {
                continue;
            };
            // torch also takes the first entry's folder for all entries.
            if *folder.get_or_insert_with(|| first.to_owned()) != *first {
                continue;
            }
            let region = region(&archive, &record, file_bytes).map_err(damaged)?;
            let region = region.ok_or_else(|| {
                format!("its entry `{}` claims more bytes than the file has; it was probably cut short while it was copied", name.escape_debug())
            })?;
            if entries.insert(name.to_owned(), region).is_some() {
                return Err(format!("it has two entries named `{}`", name.escape_debug()).into());
            }
        }
        Ok(Self(entries))
    }

    fn get(&self, name: &str) -> Option<Region> {
        self.0.get(name).copied()
    }

    fn storages(self) -> Storages {
        self.0
            .into_iter()
            .filter_map(|(name, region)| Some((name.strip_prefix("data/")?.to_owned(), region)))
            .collect()
    }
}

/// The name of an entry, which must be a plain, uncompressed file or folder.
///
/// # Errors
/// If the entry is compressed or encrypted, points outside of the archive, or is a link or a program: `torch.save`
/// writes none of these.
fn plain_name(record: &ZipFileHeaderRecord) -> Result<String, String> {
    let bytes = record.file_path().as_bytes();
    let refused = |what: &str| {
        let shown: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
        Err(format!(
            "its entry `{}` {what}, which torch.save never does; it is refused",
            shown.escape_debug()
        ))
    };
    let Ok(name) = std::str::from_utf8(bytes) else {
        return refused("has a name that is not UTF-8");
    };
    let mut parts = name.strip_suffix('/').unwrap_or(name).split('/');
    if name.contains(['\\', ':', '\0']) || parts.any(|part| matches!(part, "" | "." | "..")) {
        return refused("has a name that leads out of the archive");
    }
    if matches!(name.split('/').nth(1), Some("code" | "constants.pkl")) {
        return refused("belongs to a TorchScript program");
    }
    if record.mode().is_symlink() {
        return refused("is a link");
    }
    if record.flags().is_encrypted() {
        return refused("is encrypted");
    }
    if record.compression_method() != CompressionMethod::STORE {
        return refused("is compressed");
    }
    Ok(name.to_owned())
}

/// The bytes of an entry; `None` if they exceed the file.
fn region(
    archive: &ZipArchive<FileReader>,
    record: &ZipFileHeaderRecord,
    file_bytes: u64,
) -> Result<Option<Region>, rawzip::Error> {
    let entry = archive.get_entry(record.wayfinder())?;
    let (start, end) = entry.compressed_data_range();
    let length = end.checked_sub(start).filter(|_| end <= file_bytes);
    Ok(length.map(|length| Region { start, length }))
}
