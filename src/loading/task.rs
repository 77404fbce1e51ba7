//! Determines a model's task from its files and its graph.

use super::load_error::{LoadError, Mismatch};
use crate::engine::{ConcludedTask, OutputRows};
use crate::model_config::ModelConfig;
use crate::task::{Architecture, Task};

/// The task as named by config.json, else as told by the graph, else as set in electra.toml. A graph that scores the
/// whole vocabulary is a language model, which tells no task.
///
/// `width` is the width of the graph's rows, `settings` the content of electra.toml.
///
/// # Errors
/// [`LoadError::HeadNotServed`] if config.json names a head without a task and electra.toml does not name a task, and
/// [`LoadError::UnknownTask`] if neither of the three tells the task.
pub fn of(
    config: &ModelConfig,
    graph: Option<ConcludedTask>,
    width: usize,
    settings: Option<Task>,
) -> Result<Task, LoadError> {
    let graph = match (config.architecture(), settings) {
        // A graph may have another head than the checkpoint of its config.json. electra.toml then names the task.
        (Some(Architecture::Served(task)), _) | (Some(Architecture::NotServed(_)), Some(task)) => {
            return Ok(task);
        }
        (Some(Architecture::NotServed(head)), None) => return Err(LoadError::HeadNotServed(head)),
        (None, _) => graph.filter(|_| config.vocabulary_size != Some(width)),
    };
    if let Some(ConcludedTask { task, from }) = &graph {
        tracing::info!(%task, %from, "task inferred from the graph, because config.json names none");
    }
    let concluded = graph.map(|concluded| concluded.task);
    concluded.or(settings).ok_or(LoadError::UnknownTask)
}

/// Checks that the graph's rows fit the task, which scores either tokens or whole texts.
///
/// # Errors
/// [`Mismatch::TokenRows`], [`Mismatch::TextRows`].
pub fn check_rows(task: Task, rows: OutputRows) -> Result<(), Mismatch> {
    match (task, rows) {
        (Task::Classify, OutputRows::Tokens) => Err(Mismatch::TokenRows),
        (Task::Discriminate | Task::Tag | Task::Qa, OutputRows::Sequences) => {
            Err(Mismatch::TextRows(task))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_is_what_is_said_or_else_concluded() {
        let find = |config: &str, settings, width| {
            let config = ModelConfig::parse(config.as_bytes()).unwrap();
            let concluded = ConcludedTask {
                task: Task::Tag,
                from: "its outputs".to_owned(),
            };
            of(&config, Some(concluded), width, settings)
        };
        let bare = r#"{"vocab_size": 40}"#;
        assert_eq!(find(bare, None, 3).unwrap(), Task::Tag);
        let said = r#"{"architectures": ["ElectraForQuestionAnswering"]}"#;
        assert_eq!(find(said, None, 2).unwrap(), Task::Qa);
        // The head of a language model.
        assert!(matches!(find(bare, None, 40), Err(LoadError::UnknownTask)));
        let discriminate = Some(Task::Discriminate);
        assert_eq!(find(bare, discriminate, 40).unwrap(), Task::Discriminate);
    }

    #[test]
    fn heads_that_are_not_served_are_refused_by_name() {
        for (class, name) in [
            ("ElectraForMultipleChoice", "multiple choice"),
            ("ElectraForMaskedLM", "generator"),
            ("BertForMaskedLM", "language model"),
        ] {
            let config = format!(r#"{{"architectures": ["{class}"]}}"#);
            let config = ModelConfig::parse(config.as_bytes()).unwrap();
            let error = of(&config, None, 1, None).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            assert_eq!(of(&config, None, 1, Some(Task::Tag)).unwrap(), Task::Tag);
        }
    }

    #[test]
    fn rows_must_be_those_of_the_task() {
        for task in Task::ALL {
            let fitting = |rows| check_rows(task, rows).is_ok();
            assert_eq!(
                fitting(OutputRows::Sequences),
                task == Task::Classify,
                "{task}"
            );
            assert_eq!(
                fitting(OutputRows::Tokens),
                task != Task::Classify,
                "{task}"
            );
        }
    }
}
