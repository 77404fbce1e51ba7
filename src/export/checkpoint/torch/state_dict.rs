//! Turns a pickle's values into tensors: storage, offset and shape of each.

use super::globals::{Global, Numbers};
use super::pickle::{Pickle, PickleValue};
use super::storage::{Region, Storages};
use crate::export::checkpoint::tensor::{StoredTensor, Tensors};

/// Limit on layers of `_rebuild_parameter` and the like around a tensor; checkpoints have at most one.
const MAX_WRAPPERS: usize = 4;
/// Limit on a tensor's axes; ELECTRA's have at most two.
const MAX_AXES: usize = 8;
/// Keys under which training scripts save a model's weights, beside the optimizer's state.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// A pickle's description of a storage: `("storage", class, key, device, count, …)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StorageName<'a> {
    pub numbers: Numbers,
    pub key: &'a str,
    /// Length of the storage, in numbers.
    count: u64,
}

impl<'a> StorageName<'a> {
    /// # Errors
    /// The mistake, as a phrase that follows "a storage".
    pub(super) fn from_tuple(name: &[PickleValue<'a>]) -> Result<Self, String> {
        // In the older format, a sixth value names the storage that this one is a view of. It is `None` since torch
        // 0.4.
        let name = name.strip_suffix(&[PickleValue::None]).unwrap_or(name);
        match name {
            [
                PickleValue::Text("storage"),
                PickleValue::Global(Global::Storage(numbers)),
                PickleValue::Text(key),
                PickleValue::Text(_),
                PickleValue::Integer(count),
            ] => Ok(Self {
                numbers: *numbers,
                key,
                count: u64::try_from(*count).map_err(|_| {
                    format!("its storage `{}` has {count} numbers", key.escape_debug())
                })?,
            }),
            _ => Err("a storage is not named as torch.save names it".to_owned()),
        }
    }
}

/// Returns the tensors of a state dict, as `torch.save` describes them. Other values in it are skipped.
///
/// # Errors
/// A sentence without its full stop that names the tensor and the mistake.
pub(super) fn tensors(pickle: &Pickle, storages: &Storages) -> Result<Tensors, String> {
    let mut tensors = Tensors::new();
    for (key, value) in entries(pickle)? {
        if let PickleValue::Text(name) = key
            && let Some(tensor) = tensor(pickle, storages, *value)
                .map_err(|reason| format!("tensor `{}`: {reason}", name.escape_debug()))?
        {
            tensors.insert((*name).to_owned(), tensor);
        }
    }
    if tensors.is_empty() {
        return Err("it holds no tensors; save a model's weights by save_pretrained or torch.save(model.state_dict(), …)".to_owned());
    }
    Ok(tensors)
}

/// The entries of the state dict: the pickle's value, or a dict in it.
fn entries<'p, 'a>(
    pickle: &'p Pickle<'a>,
) -> Result<&'p [(PickleValue<'a>, PickleValue<'a>)], String> {
    let root = pickle.dictionary(pickle.root()).ok_or(
        "it holds something other than a dict of tensors; save a model's weights by save_pretrained or \
         torch.save(model.state_dict(), …)",
    )?;
    if root.iter().any(|(_, value)| pickle.call(*value).is_some()) {
        return Ok(root);
    }
    let nested = NESTED.iter().find_map(|name| {
        let entry = root.iter().find(|(key, _)| *key == PickleValue::Text(name));
        entry.and_then(|(_, value)| pickle.dictionary(*value))
    });
    Ok(nested.unwrap_or(root))
}

/// Converts a value to a tensor; `None` if it is not one.
fn tensor<'a>(
    pickle: &Pickle<'a>,
    storages: &Storages,
    value: PickleValue<'a>,
) -> Result<Option<StoredTensor>, String> {
    let Some((mut function, mut arguments)) = pickle.call(value) else {
        return Ok(None);
    };
    let unusual = || "it is not rebuilt as torch does it".to_owned();
    for _ in 0..MAX_WRAPPERS {
        match (function, arguments) {
            (Global::RebuildParameter, [inner, ..]) => {
                (function, arguments) = pickle.call(*inner).ok_or_else(unusual)?;
            }
            (Global::RebuildWithAttributes, [PickleValue::Global(inner), _, tuple, ..]) => {
                (function, arguments) = (*inner, pickle.tuple(*tuple).ok_or_else(unusual)?);
            }
            (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                let place =
                    StoragePlace::from_arguments(pickle, [*storage, *offset, *shape, *strides])?;
                return place.tensor(storages, place.storage.numbers).map(Some);
            }
            (
                Global::RebuildTensorOfType,
                [
                    storage,
                    offset,
                    shape,
                    strides,
                    _,
                    _,
                    PickleValue::Global(Global::NumberType(numbers)),
                    ..,
                ],
            ) => {
                let place =
                    StoragePlace::from_arguments(pickle, [*storage, *offset, *shape, *strides])?;
                return place.tensor(storages, *numbers).map(Some);
            }
            (Global::OrderedDict | Global::Class, _) => return Ok(None),
            _ => return Err(unusual()),
        }
    }
    Err(unusual())
}

/// A tensor's position in its storage, in numbers.
struct StoragePlace<'a> {
    storage: StorageName<'a>,
    offset: u64,
    shape: Vec<u64>,
    strides: Vec<u64>,
}

impl<'a> StoragePlace<'a> {
    fn from_arguments(
        pickle: &Pickle<'a>,
        [storage, offset, shape, strides]: [PickleValue<'a>; 4],
    ) -> Result<Self, String> {
        let name = pickle
            .persistent(storage)
            .ok_or("it is not made of a storage")?;
        let counts = |value| {
            let values = pickle
                .tuple(value)
                .filter(|values| values.len() <= MAX_AXES);
            values.and_then(|values| values.iter().map(|value| count(*value)).collect())
        };
        let place = Self {
            storage: StorageName::from_tuple(name)?,
            offset: count(offset).ok_or("its offset is not a count")?,
            shape: counts(shape)
                .ok_or_else(|| format!("its shape is not a tuple of at most {MAX_AXES} counts"))?,
            strides: counts(strides).ok_or("its strides are not a tuple of counts")?,
        };
        if place.shape.len() != place.strides.len() {
            return Err("its number of strides is not its number of axes".to_owned());
        }
        Ok(place)
    }

    /// Checks that the tensor lies within its storage and that no number is used twice, then returns it. A tensor
    /// stretched over fewer numbers than it has elements could take any amount of memory.
    fn tensor(&self, storages: &Storages, numbers: Numbers) -> Result<StoredTensor, String> {
        let region = self.region(storages)?;
        let held = region.length / numbers.bytes;
        let elements = self
            .shape
            .iter()
            .try_fold(1_u64, |product, size| product.checked_mul(*size));
        let elements = elements
            .filter(|elements| *elements <= held)
            .ok_or_else(|| {
                format!(
                    "its shape {:?} has more elements than the {held} of its storage",
                    self.shape
                )
            })?;
        let shape = self.shape.iter().map(|size| usize::try_from(*size));
        let shape: Vec<usize> = shape
            .collect::<Result<_, _>>()
            .map_err(|_| "it is too large")?;
        let numbers_type = numbers.number_type();
        if elements == 0 {
            return Ok(StoredTensor::in_rows(numbers_type, shape, region.start));
        }
        let reach = self
            .shape
            .iter()
            .zip(&self.strides)
            .try_fold(self.offset, |reach, (size, stride)| {
                (size - 1).checked_mul(*stride)?.checked_add(reach)
            });
        if reach.is_none_or(|last| last >= held) {
            return Err(format!(
                "with offset {} and strides {:?} it reaches beyond the {held} numbers of its storage",
                self.offset, self.strides
            ));
        }
        let start = region.start + self.offset * numbers.bytes;
        if self.is_in_rows() {
            return Ok(StoredTensor::in_rows(numbers_type, shape, start));
        }
        let strides = self.shape.iter().zip(&self.strides).map(|(size, stride)| {
            // The stride of an axis of one element is never used.
            if *size == 1 {
                Ok(0)
            } else {
                usize::try_from(*stride)
            }
        });
        let strides = strides
            .collect::<Result<_, _>>()
            .map_err(|_| "it is too large")?;
        Ok(StoredTensor::strided(numbers_type, shape, strides, start))
    }

    /// The bytes of the storage, limited to the length that the pickle states.
    fn region(&self, storages: &Storages) -> Result<Region, String> {
        let StorageName {
            numbers,
            key,
            count,
        } = self.storage;
        let region = storages
            .get(key)
            .ok_or_else(|| format!("its storage `{}` is not in the file", key.escape_debug()))?;
        match count.checked_mul(numbers.bytes) {
            Some(length) if length <= region.length => Ok(Region { length, ..*region }),
            _ => Err(format!(
                "its storage `{}` should hold {count} numbers, but has {} bytes",
                key.escape_debug(),
                region.length
            )),
        }
    }

    fn is_in_rows(&self) -> bool {
        let mut expected = 1;
        self.shape
            .iter()
            .zip(&self.strides)
            .rev()
            .all(|(size, stride)| {
                let fits = *size == 1 || *stride == expected;
                expected *= size;
                fits
            })
    }
}

fn count(value: PickleValue) -> Option<u64> {
    match value {
        PickleValue::Integer(count) => u64::try_from(count).ok(),
        _ => None,
    }
}
