//! The names by which a packed graph is fed, read and known.

/// Names of the packed graph's inputs, in order.
pub const INPUTS: [&str; 4] = [
    "input_ids",
    "token_type_ids",
    "position_ids",
    "sequence_starts",
];
/// Name of the graph's output.
pub const OUTPUT: &str = "logits";
/// Metadata key that tells the layout; its value is `packed`.
pub const LAYOUT_KEY: &str = "electra.layout";
/// Metadata key that tells the task.
pub const TASK_KEY: &str = "electra.task";
/// Metadata key that tells the precision.
pub const PRECISION_KEY: &str = "electra.precision";
