//! PEFT adapters (LoRA and others): recognised, and refused with the way to make a model of them.

use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

/// What describes an adapter; a model has none.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// The files that an adapter's weights are in.
const ADAPTER_WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

/// An adapter is a difference to the weights of a model, and not a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "it is a PEFT adapter ({kind}) and not a model: it changes the weights of {base}. Merge it in Python with the package \
     peft and export the result: AutoPeftModelFor{class}.from_pretrained(ADAPTER).merge_and_unload().save_pretrained(FOLDER), \
     and the tokenizer beside it"
)]
pub struct AdapterError {
    /// `peft_type`, such as LORA.
    kind: String,
    /// `base_model_name_or_path`.
    base: String,
    /// What peft calls the task: the end of a class name.
    class: &'static str,
}

/// The fields read from `adapter_config.json`.
#[derive(Default, Deserialize)]
struct AdapterConfig {
    peft_type: Option<String>,
    base_model_name_or_path: Option<String>,
    task_type: Option<String>,
}

impl AdapterError {
    /// For an adapter of this `adapter_config.json`, as far as that can be read.
    #[must_use]
    pub fn of_config(json: &[u8]) -> Self {
        let config: AdapterConfig = serde_json::from_slice(json).unwrap_or_default();
        Self {
            kind: config
                .peft_type
                .unwrap_or_else(|| "of unknown type".to_owned()),
            base: config.base_model_name_or_path.map_or_else(
                || "a model that it does not name".to_owned(),
                |name| format!("`{name}`"),
            ),
            class: match config.task_type.as_deref() {
                Some("TOKEN_CLS") => "TokenClassification",
                Some("QUESTION_ANS") => "QuestionAnswering",
                _ => "SequenceClassification",
            },
        }
    }
}

/// Whether these files are those of an adapter without a model beside it.
#[must_use]
pub fn is_adapter(has: impl Fn(&str) -> bool) -> bool {
    has(ADAPTER_CONFIG) || ADAPTER_WEIGHTS.iter().any(|file| has(file))
}

/// Refuses a folder that holds an adapter and no model's weights.
///
/// # Errors
/// [`AdapterError`].
pub fn refuse(folder: &Path) -> Result<(), AdapterError> {
    if super::checkpoint::is_checkpoint(folder) || !is_adapter(|file| folder.join(file).is_file()) {
        return Ok(());
    }
    let json = std::fs::read(folder.join(ADAPTER_CONFIG)).unwrap_or_default();
    Err(AdapterError::of_config(&json))
}
