//! The weights of a fused graph's linear layers, by the names of their tensors: once for all sessions.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::kernels::{ByteWeights, FloatWeights};

/// Laid out for the processor. Clones share them.
#[derive(Clone, Default)]
pub struct LinearWeights {
    floats: HashMap<String, Arc<FloatWeights>>,
    bytes: HashMap<String, Arc<ByteWeights>>,
}

impl LinearWeights {
    /// Adds a matrix of floats.
    pub fn add_floats(&mut self, name: &str, weights: Arc<FloatWeights>) {
        self.floats.insert(name.to_owned(), weights);
    }

    /// Adds a matrix of bytes.
    pub fn add_bytes(&mut self, name: &str, weights: Arc<ByteWeights>) {
        self.bytes.insert(name.to_owned(), weights);
    }

    /// A matrix of floats.
    pub fn floats(&self, name: &str) -> Option<Arc<FloatWeights>> {
        self.floats.get(name).cloned()
    }

    /// A matrix of bytes.
    pub fn bytes(&self, name: &str) -> Option<Arc<ByteWeights>> {
        self.bytes.get(name).cloned()
    }
}

impl fmt::Debug for LinearWeights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.floats.keys().chain(self.bytes.keys());
        formatter.debug_set().entries(names).finish()
    }
}
