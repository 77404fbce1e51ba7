//! Weights that several models have in common, such as the embeddings of checkpoints that were fine-tuned with them frozen,
//! are in memory once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytemuck::Pod;
use ort::value::{DynValue, PrimitiveTensorElementType};

/// Smaller ones are not worth looking for.
const LEAST_BYTES: usize = 1 << 16;

/// The weights in use. Cheap to clone; clones share.
#[derive(Clone, Debug, Default)]
pub struct SharedWeights {
    in_use: Arc<Mutex<Vec<Weak<DynValue>>>>,
}

impl SharedWeights {
    /// The tensor in use that has this shape and these values, if there is one.
    pub fn find<T: PrimitiveTensorElementType + Pod>(
        &self,
        shape: &[i64],
        values: &[T],
    ) -> Option<Arc<DynValue>> {
        if size_of_val(values) < LEAST_BYTES {
            return None;
        }
        // Compared without the lock: that takes a while for large tensors that are equal.
        let candidates: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        candidates.into_iter().find(|candidate| {
            let known = candidate.try_extract_tensor::<T>();
            known.is_ok_and(|(known_shape, known)| {
                &known_shape[..] == shape && bytes_of(known) == bytes_of(values)
            })
        })
    }

    /// Has a tensor be found for as long as it is in use.
    pub fn add(&self, tensor: &Arc<DynValue>) {
        let mut in_use = self.lock();
        in_use.retain(|known| known.strong_count() > 0);
        in_use.push(Arc::downgrade(tensor));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<DynValue>>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes rather than values: a weight that is no number equals itself.
fn bytes_of<T: Pod>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

#[cfg(test)]
mod tests {
    use ort::value::Tensor;

    use super::*;
    use crate::engine::testing::runtime;
    use crate::numbers::signed;

    const LENGTH: usize = LEAST_BYTES / size_of::<f32>();

    fn tensor(shape: [usize; 2], values: &[f32]) -> Arc<DynValue> {
        // Tensors are its own.
        let _runtime = runtime();
        let tensor = Tensor::from_array((shape, values.to_vec())).unwrap();
        Arc::new(tensor.into_dyn())
    }

    #[test]
    fn equal_weights_are_found_while_they_are_in_use() {
        let weights = SharedWeights::default();
        let mut values = vec![1.5; LENGTH];
        values[7] = f32::NAN;
        let shape = [2, signed(LENGTH / 2)];
        let known = tensor([2, LENGTH / 2], &values);
        assert!(weights.find(&shape, &values).is_none());
        weights.add(&known);
        let found = weights.find(&shape, &values).unwrap();
        assert!(Arc::ptr_eq(&found, &known));

        // Another shape, another type, another value.
        assert!(weights.find(&[shape[1], shape[0]], &values).is_none());
        let bits: Vec<i32> = values
            .iter()
            .map(|value| value.to_bits().cast_signed())
            .collect();
        assert!(weights.find(&shape, &bits).is_none());
        values[LENGTH - 1] = 1.25;
        assert!(weights.find(&shape, &values).is_none());
        values[LENGTH - 1] = 1.5;

        drop((known, found));
        assert!(weights.find(&shape, &values).is_none());
    }

    #[test]
    fn small_weights_are_not_looked_for() {
        let weights = SharedWeights::default();
        let values = vec![1.5; LENGTH - 2];
        weights.add(&tensor([2, LENGTH / 2 - 1], &values));
        let shape = [2, signed(LENGTH / 2 - 1)];
        assert!(weights.find(&shape, &values).is_none());
    }
}
