//! The weights of a fused graph's linear layers by tensor name, in memory once for all sessions.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::kernels::{ByteWeights, FloatWeights};

/// Packed weights. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct LinearWeights {
    floats: HashMap<String, Arc<FloatWeights>>,
    bytes: HashMap<String, Arc<ByteWeights>>,
}

impl LinearWeights {
    pub fn add_floats(&mut self, name: &str, weights: Arc<FloatWeights>) {
        self.floats.insert(name.to_owned(), weights);
    }

    pub fn add_bytes(&mut self, name: &str, weights: Arc<ByteWeights>) {
        self.bytes.insert(name.to_owned(), weights);
    }

    pub fn floats(&self, name: &str) -> Option<Arc<FloatWeights>> {
        self.floats.get(name).cloned()
    }

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
