//! Products with a linear layer's weights, which are packed once for the processor and shared by all threads.

mod byte_products;
mod byte_weights;
mod floats;
mod wrong_size;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use byte_products::multiplies_bytes;
pub use byte_weights::ByteWeights;
pub use floats::FloatWeights;
pub use wrong_size::WrongSize;
