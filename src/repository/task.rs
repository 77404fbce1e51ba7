//! What a model does, where its files and its graph say it or leave it to be concluded.

use super::model_config::ModelConfig;
use crate::engine::{ConcludedTask, OutputRows};
use crate::task::Task;

/// What a model does: as config.json says, or else as its graph tells, or else as electra.toml says. A score for each word
/// of the vocabulary is a language model's, and tells none of the tasks.
///
/// `width` is that of the graph's rows, `settings` what electra.toml says.
pub fn of(
    config: &ModelConfig,
    graph: Option<ConcludedTask>,
    width: usize,
    settings: Option<Task>,
) -> Option<Task> {
    let graph = graph.filter(|_| config.vocabulary_size != Some(width));
    if let (None, Some(ConcludedTask { task, from })) = (config.declared_task, &graph) {
        tracing::info!(%task, "config.json names no task; it is concluded from the graph: {from}");
    }
    let concluded = graph.map(|concluded| concluded.task);
    config.task(concluded).or(settings)
}

/// A task has scores either of tokens or of whole texts.
///
/// # Errors
/// A sentence without its full stop, where the graph gives the others.
pub fn check_rows(task: Task, rows: OutputRows) -> Result<(), String> {
    match (task, rows) {
        (Task::Classify, OutputRows::Tokens) => Err(
            "The task classify needs scores of a text but the graph gives scores of its tokens"
                .to_owned(),
        ),
        (Task::Discriminate | Task::Tag | Task::Qa, OutputRows::Sequences) => Err(format!(
            "The task {task} needs scores of tokens but the graph gives scores of a whole text"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_is_what_is_said_or_else_concluded() {
        let check = |config: &str, settings, width, expected| {
            let config = ModelConfig::parse(config).unwrap();
            let concluded = ConcludedTask {
                task: Task::Tag,
                from: "its outputs".to_owned(),
            };
            assert_eq!(
                of(&config, Some(concluded), width, settings),
                expected,
                "{config:?}"
            );
        };
        let bare = r#"{"max_position_embeddings": 8, "vocab_size": 40}"#;
        check(bare, None, 3, Some(Task::Tag));
        let said =
            r#"{"max_position_embeddings": 8, "architectures": ["ElectraForQuestionAnswering"]}"#;
        check(said, None, 2, Some(Task::Qa));
        // A language model's head.
        check(bare, None, 40, None);
        check(bare, Some(Task::Discriminate), 40, Some(Task::Discriminate));
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
