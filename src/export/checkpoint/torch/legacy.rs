//! Reads the format of torch before 1.6, which `_use_new_zipfile_serialization=False` still writes. It holds five
//! pickles in a row: a magic number, the format's version, the machine's properties, the tensors, and the storages'
//! keys. Then follow, for each key, the count of its numbers in eight bytes, and the numbers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::pickle::{MAX_PICKLE_BYTES, Pickle, PickleError, PickleValue};
use super::state_dict::{self, StorageName};
use super::storage::{BIG_ENDIAN, Region, Storages};
use crate::export::checkpoint::tensor::Tensors;
use crate::export::checkpoint::weights_error::WeightsError;

/// 0x1950a86a20f9469cfc6c, `MAGIC_NUMBER` in torch/serialization.py.
const MAGIC: PickleValue =
    PickleValue::LongInteger(&[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]);
const VERSION: PickleValue = PickleValue::Integer(1001);

/// Returns the tensors of a file.
pub(super) fn tensors(mut file: &File) -> Result<Tensors, WeightsError> {
    // The pickles do not state their lengths. Only numbers follow them, which are read later.
    let length = file.metadata()?.len().min(MAX_PICKLE_BYTES);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.seek(SeekFrom::Start(0))?;
    file.take(length).read_to_end(&mut bytes)?;
    let mut pickles = Pickles {
        rest: &bytes,
        read: 0,
    };
    match pickles.next() {
        Ok(magic) if magic.root() == MAGIC => {}
        // If the pickle refers to a foreign name, report that: it says most about what the file is.
        Err(error @ PickleError::Foreign { .. }) => return Err(error.into()),
        _ => return Err(
            "torch.save has not written it: it is neither a zip archive nor in the older format"
                .to_owned()
                .into(),
        ),
    }
    if pickles.next()?.root() != VERSION {
        return Err("it is in a version of torch's older format other than 1001"
            .to_owned()
            .into());
    }
    check_byte_order(&pickles.next()?)?;
    let tensors = pickles.next()?;
    let keys = pickles.next()?;
    let storages = storages(file, pickles.read, &keys, &types(&tensors)?)?;
    Ok(state_dict::tensors(&tensors, &storages)?)
}

/// Consecutive pickles.
struct Pickles<'a> {
    rest: &'a [u8],
    read: u64,
}

impl<'a> Pickles<'a> {
    fn next(&mut self) -> Result<Pickle<'a>, PickleError> {
        let pickle = Pickle::read(self.rest)?;
        self.rest = self.rest.get(pickle.length..).unwrap_or_default();
        self.read += pickle.length as u64;
        Ok(pickle)
    }
}

fn check_byte_order(properties: &Pickle) -> Result<(), String> {
    let entries = properties.dictionary(properties.root()).unwrap_or_default();
    let big = (
        PickleValue::Text("little_endian"),
        PickleValue::Boolean(false),
    );
    if entries.contains(&big) {
        return Err(BIG_ENDIAN.to_owned());
    }
    Ok(())
}

/// Maps each storage's key to its type, as given where the key first occurs.
fn types<'p>(tensors: &'p Pickle) -> Result<HashMap<&'p str, StorageName<'p>>, String> {
    let mut types = HashMap::new();
    for name in tensors.all_persistent() {
        let storage = StorageName::from_tuple(name)?;
        types.entry(storage.key).or_insert(storage);
    }
    Ok(types)
}

/// Locates the storages, which begin at `start` and are in the order of their keys.
fn storages(
    mut file: &File,
    start: u64,
    keys: &Pickle,
    types: &HashMap<&str, StorageName>,
) -> Result<Storages, WeightsError> {
    let file_bytes = file.metadata()?.len();
    let cut =
        || "it ends within a storage; it was probably cut short while it was copied".to_owned();
    let keys = keys
        .list(keys.root())
        .ok_or_else(|| "its storages are not listed as torch.save lists them".to_owned())?;
    let mut storages = Storages::new();
    let mut at = start;
    for key in keys {
        let storage = match key {
            PickleValue::Text(key) => types.get(key),
            _ => None,
        };
        let storage = storage.ok_or_else(|| "it lists a storage that no tensor has".to_owned())?;
        let mut count = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut count).map_err(|_| cut())?;
        let length = u64::from_le_bytes(count).checked_mul(storage.numbers.bytes);
        let start = at + 8;
        at = length
            .and_then(|length| start.checked_add(length))
            .filter(|end| *end <= file_bytes)
            .ok_or_else(cut)?;
        let region = Region {
            start,
            length: at - start,
        };
        storages.insert(storage.key.to_owned(), region);
    }
    Ok(storages)
}
