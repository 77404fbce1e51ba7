//! Names of a packed graph's inputs, output and metadata keys.

/// The packed graph's inputs, in order.
pub const INPUTS: [&str; 4] = [
    "input_ids",
    "token_type_ids",
    "position_ids",
    "sequence_starts",
];
/// The packed graph's output.
pub const OUTPUT: &str = "logits";
/// Metadata key of the layout; its value is `packed`.
pub const LAYOUT_KEY: &str = "electra.layout";
/// Metadata key of the task.
pub const TASK_KEY: &str = "electra.task";
/// Metadata key of the precision.
pub const PRECISION_KEY: &str = "electra.precision";
