//! Tags, which group the operations.

pub const TASKS: &str = "Tasks";
pub const MODELS: &str = "Models";
pub const HUGGING_FACE: &str = "Hugging Face";
pub const INFERENCE: &str = "Open Inference Protocol";
pub const OPERATIONS: &str = "Operations";

/// The tags and their descriptions, in the order in which they are shown.
pub const TAGS: &[(&str, &str)] = &[
    (
        TASKS,
        "Replaced-token detection, classification, tagging and question answering. Each route takes one input or a \
         list, and returns one result per input, in order.",
    ),
    (MODELS, "Listing, loading and unloading models."),
    (
        HUGGING_FACE,
        "Routes for Hugging Face's inference clients: `InferenceClient(model=\"http://host:8080/models/NAME\")`.",
    ),
    (
        INFERENCE,
        "The Open Inference Protocol, version 2, with the extensions for binary tensors, statistics and configurations.",
    ),
    (
        OPERATIONS,
        "Health, metrics and documentation, for operators.",
    ),
];
