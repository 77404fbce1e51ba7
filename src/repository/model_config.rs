//! What a model folder's config.json says of the model.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::ModelFolder;
use crate::heads::classify::ProblemType;
use crate::task::Task;

/// What the file says; nothing is assumed here.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The task that `architectures` names.
    pub declared_task: Option<Task>,
    /// `max_position_embeddings`.
    pub max_tokens: usize,
    /// `vocab_size`.
    pub vocabulary_size: Option<usize>,
    /// `type_vocab_size`; transformers' 2 where it is absent.
    pub token_types: usize,
    /// `id2label` in order, if it is there.
    pub labels: Option<Vec<String>>,
    /// `problem_type`, if it is there.
    pub problem_type: Option<ProblemType>,
}

/// The fields read from config.json; it holds many more.
#[derive(Deserialize)]
struct ConfigJson {
    architectures: Option<Vec<String>>,
    max_position_embeddings: Option<usize>,
    vocab_size: Option<usize>,
    type_vocab_size: Option<usize>,
    id2label: Option<BTreeMap<String, String>>,
    problem_type: Option<String>,
}

impl ModelConfig {
    /// Reads the file in a model folder.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong in it.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let json = read(folder, "config.json")?
            .ok_or("config.json is missing; copy it from the checkpoint")?;
        Self::parse(&json)
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(config_json: &str) -> Result<Self, String> {
        let json: ConfigJson = serde_json::from_str(config_json)
            .map_err(|error| format!("config.json can't be read: {error}"))?;
        let max_tokens = json
            .max_position_embeddings
            .ok_or("config.json does not say max_position_embeddings, the longest sequence the model takes")?;
        if max_tokens < 4 {
            return Err(format!(
                "config.json says max_position_embeddings {max_tokens}, too few for any text"
            ));
        }
        Ok(Self {
            declared_task: json.architectures.as_deref().and_then(task_of),
            max_tokens,
            vocabulary_size: json.vocab_size,
            token_types: json.type_vocab_size.unwrap_or(2),
            labels: json.id2label.as_ref().map(labels).transpose()?,
            problem_type: json.problem_type.as_deref().map(str::parse).transpose()?,
        })
    }

    /// What the model does, where its graph says `graph` of it.
    #[must_use]
    pub fn task(&self, graph: Option<Task>) -> Option<Task> {
        self.declared_task.or(graph)
    }
}

/// The task that a folder's files name before anything is loaded; None where they name none, or can't be read.
pub fn declared_task(folder: &ModelFolder) -> Option<Task> {
    let config = ModelConfig::read(&folder.path).ok()?;
    config
        .declared_task
        .or_else(|| folder.settings().ok()?.task)
}

fn read(folder: &Path, file: &str) -> Result<Option<String>, String> {
    match std::fs::read_to_string(folder.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{file} can't be read: {error}")),
    }
}

fn task_of(architectures: &[String]) -> Option<Task> {
    architectures
        .iter()
        .find_map(|name| Task::of_architecture(name))
}

/// `id2label` maps indices, as strings and in any order, to names.
fn labels(id2label: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let wrong = || {
        "config.json's id2label must map \"0\", \"1\" and so on, without gaps, to names".to_owned()
    };
    let mut labels = vec![None; id2label.len()];
    for (id, label) in id2label {
        let slot = id
            .parse()
            .ok()
            .and_then(|id: usize| labels.get_mut(id))
            .ok_or_else(wrong)?;
        *slot = Some(label.clone());
    }
    labels.into_iter().collect::<Option<_>>().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ModelConfig, String> {
        ModelConfig::parse(json)
    }

    #[test]
    fn the_task_comes_from_the_architecture() {
        for (name, task) in [
            ("ElectraForPreTraining", Some(Task::Discriminate)),
            ("BertForPreTraining", None),
            ("ElectraForSequenceClassification", Some(Task::Classify)),
            ("BertForTokenClassification", Some(Task::Tag)),
            ("ElectraForQuestionAnswering", Some(Task::Qa)),
            ("ElectraModel", None),
        ] {
            let json =
                format!(r#"{{"architectures": ["{name}"], "max_position_embeddings": 512}}"#);
            assert_eq!(parse(&json).unwrap().declared_task, task, "{name}");
        }
    }

    #[test]
    fn labels_are_in_the_order_of_their_numbers() {
        let ids: Vec<String> = (0..12).map(|id| format!(r#""{id}": "L{id}""#)).collect();
        let json = format!(
            r#"{{"max_position_embeddings": 512, "id2label": {{{}}}}}"#,
            ids.join(",")
        );
        let labels = parse(&json).unwrap().labels.unwrap();
        assert_eq!((labels[2].as_str(), labels[11].as_str()), ("L2", "L11"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, expected) in [
            ("{", "config.json"),
            ("{}", "max_position_embeddings"),
            (
                r#"{"max_position_embeddings": 8, "id2label": {"0": "a", "2": "b"}}"#,
                "id2label",
            ),
            (
                r#"{"max_position_embeddings": 8, "id2label": {"0": "a", "00": "b"}}"#,
                "id2label",
            ),
            (
                r#"{"max_position_embeddings": 8, "problem_type": "guess"}"#,
                "`guess`",
            ),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
