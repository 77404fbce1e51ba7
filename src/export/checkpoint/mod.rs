//! A checkpoint's weights, in any of the four layouts that transformers writes: one tensor at a time, as 32-bit floats.
//!
//! Every layout comes down to the same: a table of names, and for each the place in a file where its numbers lie
//! uncompressed. Opening a checkpoint reads that table alone; numbers are read when they are asked for.

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
