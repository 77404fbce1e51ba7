//! Reads a checkpoint's weights, in any of the four layouts that transformers writes, one tensor at a time as 32-bit
//! floats.
//!
//! Every layout is reduced to one table: each tensor's name, and the position in a file of its uncompressed numbers.
//! Opening a checkpoint reads only this table; numbers are read on demand.

mod layout;
mod names;
mod pruning;
mod reader;
mod safetensors;
mod shards;
mod tensor;
mod torch;
mod weights_error;

pub use layout::is_checkpoint;
pub use reader::Checkpoint;
pub use shards::shards_of;
