//! The groups that operations are shown in.

pub const TASKS: &str = "Tasks";
pub const MODELS: &str = "Models";
pub const HUGGING_FACE: &str = "Hugging Face";
pub const INFERENCE: &str = "Open Inference Protocol";
pub const OPERATIONS: &str = "Operations";

/// The tags and what stands under them, in the order in which they are shown.
pub const TAGS: &[(&str, &str)] = &[
    (
        TASKS,
        "Replaced-token detection, classification, tagging and question answering. Each takes one input or a list, and answers \
         with one result for each, in order.",
    ),
    (
        MODELS,
        "What models there are, and loading and unloading them.",
    ),
    (
        HUGGING_FACE,
        "What Hugging Face's inference clients send and read: `InferenceClient(model=\"http://host:8080/models/NAME\")`.",
    ),
    (
        INFERENCE,
        "The Open Inference Protocol, version 2, with the extensions for binary tensors, statistics and configurations.",
    ),
    (OPERATIONS, "For who runs the server."),
];
