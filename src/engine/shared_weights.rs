//! Shares identical weights between models, such as embeddings that were frozen in fine-tuning.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytemuck::Pod;
use ort::value::{DynValue, PrimitiveTensorElementType};
use ring::digest::{SHA256, digest};

use crate::kernels::{ByteWeights, FloatWeights};

/// Smaller tensors are not shared: looking for them costs more than it saves.
const LEAST_BYTES: usize = 1 << 16;

/// The weights in use. Cheap to clone; clones share.
#[derive(Clone, Debug, Default)]
pub struct SharedWeights(Arc<WeightsInUse>);

#[derive(Debug, Default)]
struct WeightsInUse {
    tensors: Mutex<Vec<Weak<DynValue>>>,
    floats: Mutex<LaidOut<FloatWeights>>,
    bytes: Mutex<LaidOut<ByteWeights>>,
}

/// Packed matrices by their shape and the SHA-256 of their values. The values are not kept, so they can't be compared.
type LaidOut<W> = HashMap<([usize; 2], Vec<u8>), Weak<W>>;

impl SharedWeights {
    /// Finds a tensor in use with this shape and these values.
    pub fn find<T: PrimitiveTensorElementType + Pod>(
        &self,
        shape: &[i64],
        values: &[T],
    ) -> Option<Arc<DynValue>> {
        if size_of_val(values) < LEAST_BYTES {
            return None;
        }
        // Compare without the lock, because large equal tensors take time.
        let candidates: Vec<_> = lock(&self.0.tensors)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        candidates.into_iter().find(|candidate| {
            let known = candidate.try_extract_tensor::<T>();
            known.is_ok_and(|(known_shape, known)| {
                &known_shape[..] == shape && bytes_of(known) == bytes_of(values)
            })
        })
    }

    /// Registers a tensor, which can be found as long as it is in use.
    pub fn add(&self, tensor: &Arc<DynValue>) {
        let mut in_use = lock(&self.0.tensors);
        in_use.retain(|known| known.strong_count() > 0);
        in_use.push(Arc::downgrade(tensor));
    }

    /// Returns the packed fp32 matrix `[inputs, outputs]` that is in use, or else packs one.
    pub fn floats(&self, shape: [usize; 2], values: &[f32]) -> Arc<FloatWeights> {
        laid_out(&self.0.floats, shape, values, FloatWeights::new)
    }

    /// The same for an int8 matrix.
    pub fn bytes(&self, shape: [usize; 2], values: &[i8]) -> Arc<ByteWeights> {
        laid_out(&self.0.bytes, shape, values, ByteWeights::new)
    }
}

fn laid_out<T: Pod, W>(
    in_use: &Mutex<LaidOut<W>>,
    shape: [usize; 2],
    values: &[T],
    lay_out: impl FnOnce([usize; 2], &[T]) -> W,
) -> Arc<W> {
    let source = (shape, digest(&SHA256, bytes_of(values)).as_ref().to_vec());
    let known = lock(in_use).get(&source).and_then(Weak::upgrade);
    known.unwrap_or_else(|| {
        let weights = Arc::new(lay_out(shape, values));
        let mut in_use = lock(in_use);
        in_use.retain(|_, known| known.strong_count() > 0);
        in_use.insert(source, Arc::downgrade(&weights));
        weights
    })
}

fn lock<T>(in_use: &Mutex<T>) -> MutexGuard<'_, T> {
    in_use.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes rather than values, so that NaN equals itself.
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
        let tensor = Tensor::from_array((shape, values.to_vec())).unwrap();
        Arc::new(tensor.into_dyn())
    }

    #[test]
    fn equal_weights_are_found_while_they_are_in_use() {
        // Tensors are its own.
        let Some(_runtime) = runtime() else {
            return;
        };
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
    fn equal_matrices_are_laid_out_once_while_they_are_in_use() {
        let weights = SharedWeights::default();
        let values = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0];
        let known = weights.clone().floats([2, 3], &values);
        assert!(Arc::ptr_eq(&known, &weights.floats([2, 3], &values)));
        // Another shape, another value.
        let check_other = |shape, values: &[f32]| {
            assert!(!Arc::ptr_eq(&known, &weights.floats(shape, values)));
        };
        check_other([3, 2], &values);
        check_other([2, 3], &[0.5, 1.0, 1.5, 2.0, 2.5, -3.0]);

        let bytes = weights.bytes([2, 1], &[1, 2]);
        assert!(Arc::ptr_eq(&bytes, &weights.bytes([2, 1], &[1, 2])));
        let gone = Arc::downgrade(&bytes);
        drop(bytes);
        assert!(gone.upgrade().is_none());
        assert_eq!(weights.bytes([2, 1], &[1, 2]).shape(), [2, 1]);
    }

    #[test]
    fn small_weights_are_not_looked_for() {
        let Some(_runtime) = runtime() else {
            return;
        };
        let weights = SharedWeights::default();
        let values = vec![1.5; LENGTH - 2];
        weights.add(&tensor([2, LENGTH / 2 - 1], &values));
        let shape = [2, signed(LENGTH / 2 - 1)];
        assert!(weights.find(&shape, &values).is_none());
    }
}
