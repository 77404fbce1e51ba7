//! Recognises adapters, such as those of PEFT. They are refused, with instructions to merge them into a model.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use super::checkpoint::is_checkpoint;
use crate::files;
use crate::quote::quoted;

/// The file that marks a folder as an adapter; a model has none.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// File names of an adapter's weights.
const ADAPTER_WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

/// Values of `peft_type` whose adapters prepend trained inputs to a text and leave the weights unchanged.
const PROMPT_KINDS: [&str; 6] = [
    "ADAPTION_PROMPT",
    "CPT",
    "MULTITASK_PROMPT_TUNING",
    "P_TUNING",
    "PREFIX_TUNING",
    "PROMPT_TUNING",
];

/// An adapter in place of a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct AdapterError {
    /// `peft_type`, such as LORA; `None` if the adapter is not one of PEFT.
    kind: Option<String>,
    /// `base_model_name_or_path`.
    base: Option<String>,
    /// PEFT's class for the task: the suffix of a class name.
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
    /// Reads as much of `adapter_config.json` as can be parsed.
    #[must_use]
    pub fn from_config(json: &[u8]) -> Self {
        let config: AdapterConfig = serde_json::from_slice(json).unwrap_or_default();
        Self {
            kind: config.peft_type,
            base: config.base_model_name_or_path,
            class: match config.task_type.as_deref() {
                Some("TOKEN_CLS") => "TokenClassification",
                Some("QUESTION_ANS") => "QuestionAnswering",
                _ => "SequenceClassification",
            },
        }
    }
}

impl fmt::Display for AdapterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = match &self.base {
            Some(base) => format!("`{}`", quoted(base)),
            None => "a model that it does not name".to_owned(),
        };
        let Some(kind) = &self.kind else {
            return write!(
                formatter,
                "it is an adapter to {base} and not a model, and {ADAPTER_CONFIG} names no `peft_type`; merge it into its \
                 model with the library that trained it, and export the result"
            );
        };
        write!(
            formatter,
            "it is a PEFT adapter ({}) to {base} and not a model",
            quoted(kind)
        )?;
        if PROMPT_KINDS.contains(&kind.as_str()) {
            return formatter.write_str(
                "; one of this kind can't be merged into the weights, so it can't be served",
            );
        }
        write!(
            formatter,
            "; merge it in Python with the package peft, and export the result: \
             AutoPeftModelFor{}.from_pretrained(ADAPTER).merge_and_unload().save_pretrained(FOLDER), with the tokenizer beside it",
            self.class
        )
    }
}

/// Whether a folder with these files is an adapter.
#[must_use]
pub fn is_adapter(has: impl Fn(&str) -> bool) -> bool {
    has(ADAPTER_CONFIG) || ADAPTER_WEIGHTS.iter().any(|file| has(file))
}

/// Logs a warning if `checkpoint` has an adapter beside its model's weights: the adapter is ignored. `has` tells
/// whether a file exists.
pub fn warn_of_unapplied(checkpoint: impl fmt::Display, has: impl Fn(&str) -> bool) {
    if is_adapter(has) {
        tracing::warn!(
            %checkpoint,
            "ignoring the adapter beside the model's weights; to apply it, merge it into the model with peft"
        );
    }
}

/// Refuses a folder that holds an adapter and no model weights.
///
/// # Errors
/// [`AdapterError`], if it does.
pub fn refuse(folder: &Path) -> Result<(), AdapterError> {
    if is_checkpoint(folder) || !is_adapter(|file| folder.join(file).exists()) {
        return Ok(());
    }
    let json = files::read(&folder.join(ADAPTER_CONFIG), files::most::NOTE).unwrap_or_default();
    Err(AdapterError::from_config(&json))
}

/// Whether tensor names contain those of an adapter that was not merged into the model.
pub fn is_unmerged<'n>(mut names: impl Iterator<Item = &'n str>) -> bool {
    names.any(|name| name.contains(".base_layer.") || name.contains(".lora_A."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_what_can_be_done_with_it() {
        let told = |json: &str| AdapterError::from_config(json.as_bytes()).to_string();
        let lora = told(
            r#"{"peft_type": "LORA", "task_type": "TOKEN_CLS", "base_model_name_or_path": "org/base"}"#,
        );
        for part in [
            "PEFT adapter (LORA) to `org/base`",
            "AutoPeftModelForTokenClassification",
            "merge_and_unload",
        ] {
            assert!(lora.contains(part), "{lora}");
        }
        let prompt = told(r#"{"peft_type": "PROMPT_TUNING", "base_model_name_or_path": null}"#);
        assert!(
            prompt.contains("can't be merged") && !prompt.contains("merge_and_unload"),
            "{prompt}"
        );
        // Another library's config, and one that can't be parsed.
        for json in [
            r#"{"model_class": "ElectraModelWithHeads", "config": {}}"#,
            "{\"peft_type\": \"LO",
            "",
        ] {
            assert!(told(json).contains("names no `peft_type`"), "{json}");
        }
        let long = told(&format!(
            r#"{{"peft_type": "LORA", "base_model_name_or_path": "{}"}}"#,
            "x".repeat(5_000)
        ));
        assert!(long.len() < 500);
    }

    #[test]
    fn unmerged_adapters_are_known_by_their_tensors() {
        let query = "electra.encoder.layer.0.attention.self.query";
        for (name, expected) in [
            (format!("{query}.weight"), false),
            (format!("{query}.base_layer.weight"), true),
            (format!("{query}.lora_A.default.weight"), true),
        ] {
            assert_eq!(is_unmerged([name.as_str()].into_iter()), expected);
        }
    }
}
