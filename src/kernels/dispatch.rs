//! Runs kernels with the widest vectors that the processor supports.

use pulp::{Arch, Simd, WithSimd};

/// Whether this processor has vectors that the kernels are written for. If it has none, ONNX Runtime's own operators
/// are faster.
#[must_use]
pub fn vectorized() -> bool {
    struct Vectorized;
    impl WithSimd for Vectorized {
        type Output = bool;

        fn with_simd<S: Simd>(self, _: S) -> bool {
            !S::IS_SCALAR
        }
    }
    dispatch(Vectorized)
}

pub(super) fn dispatch<K: WithSimd>(kernel: K) -> K::Output {
    #[cfg(test)]
    if let Some(chosen) = super::tests::CHOSEN.get() {
        return chosen.dispatch(kernel);
    }
    Arch::new().dispatch(kernel)
}
