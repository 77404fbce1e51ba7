//! `electra eval`: scores models on labelled data.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::error::CliError;
use super::grid::grid;
use super::one_shot::{self, patient_context};
use super::settings::{LocalSettings, Settings};
use crate::app::App;
use crate::eval::data::Dataset;
use crate::eval::data::columns::{Column, ColumnOptions, Separator};
use crate::eval::run::{EvalError, EvalOptions, Evaluation, evaluate};
use crate::eval::scores::{Score, Value};
use crate::fields::{Count, Threshold};
use crate::quote::quoted;
use crate::registry::ModelState;
use crate::suggest::suggestion;
use crate::task::Task;
use crate::text_file;

#[derive(Debug, Args)]
pub struct EvalArguments {
    /// The model to score
    #[arg(value_name = "MODEL")]
    model: String,
    /// Labelled data. classify: columns separated by tabs or commas, such as GLUE's files or CSV. tag: CoNLL's columns,
    /// including CoNLL-U. qa: SQuAD's JSON, 1.1 or 2.0, or its rows. discriminate: one JSON object per line, with text
    /// and replaced, a list of [start, end] in code points
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Another model to compare with, such as the same one in another precision; can be repeated
    #[arg(long, value_name = "MODEL")]
    against: Vec<String>,
    /// The column of the text or word, by name or by number, counted from 1 [default: recognised by name; for words the
    /// first, or the second after word numbers]
    #[arg(long, value_name = "COLUMN")]
    text_column: Option<Column>,
    /// The column of a pair's second text
    #[arg(long, value_name = "COLUMN", requires = "text_column")]
    pair_column: Option<Column>,
    /// The column of the label or tag
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<Column>,
    /// The first line is data, not a header
    #[arg(long)]
    no_header: bool,
    /// The separator of columns: tab, space, or a character [default: detected]
    #[arg(long, value_name = "SEPARATOR")]
    separator: Option<Separator>,
    /// For classify: whether quotes enclose a text (on) or belong to it (off) [default: detected]
    #[arg(long, value_name = "on|off")]
    quotes: Option<OnOff>,
    /// For tag: whether lines that begin with # before a sentence are comments [default: if they have fewer columns, or
    /// contain " = "]
    #[arg(long, value_name = "on|off", num_args = 0..=1, default_missing_value = "on")]
    comments: Option<OnOff>,
    /// The data's names for the model's labels, in the model's order [default: the model's names, or their numbers]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    labels: Option<Vec<String>>,
    /// For discriminate: a token with a score above this counts as replaced [default: 0.5]
    #[arg(long, value_name = "NUMBER", value_parser = threshold)]
    threshold: Option<Threshold>,
    /// For qa: longest answer in tokens [default: 30]
    #[arg(long, value_name = "TOKENS", value_parser = at_least_one)]
    max_answer_tokens: Option<Count<1>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings<LocalSettings>,
}

/// The value of a flag that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

impl OnOff {
    fn is_on(self) -> bool {
        self == Self::On
    }
}

/// The output with `--json`.
#[derive(Serialize)]
struct EvalReport<'a> {
    data: &'a Path,
    task: Task,
    results: &'a [Evaluation],
}

/// Scores the models and prints a table or JSON.
///
/// # Errors
/// If a model can't be loaded, or the data can't be read or scored.
pub fn run(arguments: &EvalArguments) -> Result<(), CliError> {
    let path = arguments.data.as_path();
    let text = text_file::read(path)
        .map_err(|error| CliError::Failed(format!("{} can't be read: {error}", path.display())))?;
    let (runtime, app) = one_shot::start_with(&arguments.settings.arguments)?;
    let names: Vec<&str> = std::iter::once(&arguments.model)
        .chain(&arguments.against)
        .map(String::as_str)
        .collect();
    let task = load(&app, &names)?;
    check_flags(arguments, task)?;
    let data =
        Dataset::read(task, &text, &columns(arguments)).map_err(|error| in_file(path, &error))?;
    let options = EvalOptions {
        labels: arguments.labels.clone(),
        threshold: arguments.threshold,
        max_answer_tokens: arguments.max_answer_tokens,
    };
    let progress = progress(data.len() * names.len());
    let results = names
        .iter()
        .map(|name| {
            let done = || progress.inc(1);
            let service = app.service();
            runtime.block_on(evaluate(
                service,
                name,
                &data,
                &options,
                patient_context(),
                done,
            ))
        })
        .collect::<Result<Vec<_>, _>>();
    progress.finish_and_clear();
    let results = results.map_err(|error| match error {
        error @ EvalError::Input { .. } => in_file(path, &error),
        error => CliError::failed(error),
    })?;
    let text = if arguments.json {
        let report = EvalReport {
            data: path,
            task,
            results: &results,
        };
        serde_json::to_string_pretty(&report).map_err(CliError::failed)? + "\n"
    } else {
        table(path, task, &results)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::failed(error)),
        _ => Ok(()),
    }
}

/// Refuses flags that have no effect on this task, since the user expects one.
fn check_flags(arguments: &EvalArguments, task: Task) -> Result<(), CliError> {
    use Task::{Classify, Discriminate, Qa, Tag};
    let flags: [(&str, bool, &[Task]); 10] = [
        (
            "--text-column",
            arguments.text_column.is_some(),
            &[Classify, Tag],
        ),
        (
            "--pair-column",
            arguments.pair_column.is_some(),
            &[Classify],
        ),
        (
            "--label-column",
            arguments.label_column.is_some(),
            &[Classify, Tag],
        ),
        ("--no-header", arguments.no_header, &[Classify]),
        (
            "--separator",
            arguments.separator.is_some(),
            &[Classify, Tag],
        ),
        ("--quotes", arguments.quotes.is_some(), &[Classify]),
        ("--comments", arguments.comments.is_some(), &[Tag]),
        ("--labels", arguments.labels.is_some(), &[Classify]),
        (
            "--threshold",
            arguments.threshold.is_some(),
            &[Discriminate],
        ),
        (
            "--max-answer-tokens",
            arguments.max_answer_tokens.is_some(),
            &[Qa],
        ),
    ];
    for (flag, given, tasks) in flags {
        if given && !tasks.contains(&task) {
            let tasks: Vec<&str> = tasks.iter().map(|task| task.name()).collect();
            return Err(CliError::Usage(format!(
                "{flag} is for {}; `{}` is a model for {task}.",
                tasks.join(" and "),
                arguments.model
            )));
        }
    }
    Ok(())
}

fn threshold(text: &str) -> Result<Threshold, String> {
    let number = text.parse().ok().and_then(Threshold::new);
    number.ok_or_else(|| "give a number from 0 to 1".to_owned())
}

fn at_least_one(text: &str) -> Result<Count<1>, String> {
    let number = text.parse().ok().and_then(Count::new);
    number.ok_or_else(|| "give a whole number of at least 1".to_owned())
}

fn columns(arguments: &EvalArguments) -> ColumnOptions {
    ColumnOptions {
        text: arguments.text_column.clone(),
        pair: arguments.pair_column.clone(),
        label: arguments.label_column.clone(),
        no_header: arguments.no_header,
        separator: arguments.separator,
        quotes: arguments.quotes.map(OnOff::is_on),
        comments: arguments.comments.map(OnOff::is_on),
        is_csv: arguments
            .data
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("csv")),
    }
}

fn in_file(path: &Path, error: &impl std::fmt::Display) -> CliError {
    let error = error.to_string();
    CliError::Failed(format!(
        "{}, {}.",
        path.display(),
        error.trim_end_matches('.')
    ))
}

/// Loads the models and returns the task of the first.
fn load(app: &App, names: &[&str]) -> Result<Task, CliError> {
    let registry = app.service().registry();
    for name in names {
        if registry.find(name).is_none() {
            let known = registry.names();
            let hint = suggestion(name, known.iter().map(AsRef::as_ref));
            return Err(CliError::Usage(format!(
                "There is no model `{}`. {hint}",
                quoted(name)
            )));
        }
    }
    // Names may be aliases, or include a version.
    let wanted: Vec<_> = names
        .iter()
        .filter_map(|name| registry.find(name))
        .collect();
    app.load(|found| wanted.iter().any(|name| **name == *found))
        .map_err(CliError::failed)?;
    let mut tasks = Vec::new();
    for name in names {
        match registry.state(name) {
            Some(ModelState::Ready(model)) => tasks.push(model.info.task),
            Some(ModelState::Failed { reason }) => {
                return Err(CliError::Failed(format!(
                    "`{name}` can't be loaded: {reason}"
                )));
            }
            Some(ModelState::Loading | ModelState::Unloaded) | None => {
                return Err(CliError::Failed(format!("`{name}` was not loaded.")));
            }
        }
    }
    tasks
        .first()
        .copied()
        .ok_or_else(|| CliError::Usage("Name a model.".to_owned()))
}

/// Draws on standard error, and only if that is a terminal.
fn progress(inputs: usize) -> ProgressBar {
    let bar = ProgressBar::new(inputs as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// One column per model: the overall scores, then those of each label.
fn table(path: &Path, task: Task, results: &[Evaluation]) -> String {
    let inputs = results.first().map_or(0, |result| result.inputs);
    let heading = format!("{}: {inputs} {}\n\n", path.display(), unit(task));
    let models = results.iter().map(|result| {
        let Evaluation {
            model,
            precision,
            device,
            ..
        } = result;
        format!("{model} ({precision}, {device})")
    });
    let mut rows: Vec<Vec<String>> = vec![std::iter::once(String::new()).chain(models).collect()];
    for name in in_order(results.iter().map(|result| result.scores.overall.iter())) {
        let cells = results.iter().map(|result| shown(result.scores.get(name)));
        rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    let by_label = match results {
        [only] => labels_of(only),
        several => labels_beside(several),
    };
    let by_label = if by_label.is_empty() {
        String::new()
    } else {
        format!("\n{}", grid(&by_label))
    };
    format!("{heading}{}{by_label}", grid(&rows))
}

/// The score names of all models, in order. Some models have scores that others lack, such as a count of truncated
/// texts.
fn in_order<'a>(
    scores: impl Iterator<Item = impl Iterator<Item = &'a Score>>,
) -> Vec<&'static str> {
    let mut names = Vec::new();
    for score in scores.flatten() {
        if !names.contains(&score.name) {
            names.push(score.name);
        }
    }
    names
}

/// One model's labels, one per line.
fn labels_of(result: &Evaluation) -> Vec<Vec<String>> {
    let Some(first) = result.scores.by_label.values().next() else {
        return Vec::new();
    };
    let names = first.iter().map(|score| score.name.to_owned());
    let header = std::iter::once("label".to_owned()).chain(names).collect();
    let line = |(label, scores): (&String, &Vec<Score>)| {
        let cells = scores.iter().map(|score| shown(Some(score.value)));
        std::iter::once(label.clone()).chain(cells).collect()
    };
    let lines = result.scores.by_label.iter().map(line);
    std::iter::once(header).chain(lines).collect()
}

/// The F1 of several models' labels, side by side.
fn labels_beside(results: &[Evaluation]) -> Vec<Vec<String>> {
    let mut labels: Vec<&String> = results
        .iter()
        .flat_map(|result| result.scores.by_label.keys())
        .collect();
    labels.sort();
    labels.dedup();
    let f1 = |result: &Evaluation, label: &String| {
        let mut scores = result.scores.by_label.get(label)?.iter();
        scores
            .find(|score| score.name == "f1")
            .map(|score| score.value)
    };
    let line = |label: &String| {
        let cells = results.iter().map(|result| shown(f1(result, label)));
        std::iter::once(format!("f1 of {label}"))
            .chain(cells)
            .collect()
    };
    labels.into_iter().map(line).collect()
}

fn unit(task: Task) -> &'static str {
    match task {
        Task::Qa => "questions",
        Task::Tag => "sentences",
        Task::Classify | Task::Discriminate => "texts",
    }
}

/// A value for display. A dash if undefined.
fn shown(value: Option<Value>) -> String {
    match value {
        Some(Value::Count(count)) => count.to_string(),
        Some(Value::Share(Some(share))) => format!("{:.2}%", share * 100.0),
        Some(Value::Number(Some(number))) if number != 0.0 && number.abs() < 1e-3 => {
            format!("{number:.2e}")
        }
        Some(Value::Number(Some(number))) => format!("{number:.4}"),
        Some(Value::Share(None) | Value::Number(None)) | None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Device, Precision};
    use crate::eval::scores::{Scores, count, number, share};

    fn evaluation(model: &str, scores: Scores) -> Evaluation {
        Evaluation {
            model: model.to_owned(),
            precision: Precision::Int8,
            device: Device::Cpu,
            inputs: 12,
            scores,
        }
    }

    #[test]
    fn models_stand_side_by_side() {
        let label = |f1| [("NP".to_owned(), vec![share("f1", f1)])].into();
        let first = Scores {
            overall: vec![share("accuracy", 0.5), number("pearson", None)],
            by_label: label(0.25),
        };
        let second = Scores {
            overall: vec![
                share("accuracy", 1.0),
                number("pearson", Some(-0.5)),
                count("truncated", 3),
            ],
            by_label: label(1.0),
        };
        let both = [evaluation("a", first), evaluation("b", second)];
        assert_eq!(
            table(Path::new("x.tsv"), Task::Classify, &both),
            "x.tsv: 12 texts\n\n           a (int8, cpu)  b (int8, cpu)\naccuracy   50.00%         100.00%\n\
             pearson    -              -0.5000\ntruncated  -              3\n\nf1 of NP  25.00%  100.00%\n"
        );
        assert_eq!(
            table(Path::new("x.tsv"), Task::Tag, &both[1..]),
            "x.tsv: 12 sentences\n\n           b (int8, cpu)\naccuracy   100.00%\npearson    -0.5000\ntruncated  3\n\n\
             label  f1\nNP     100.00%\n"
        );
    }

    #[test]
    fn small_numbers_keep_their_digits() {
        for (number, expected) in [(0.0, "0.0000"), (5.1e-9, "5.10e-9"), (0.5, "0.5000")] {
            assert_eq!(shown(Some(Value::Number(Some(number)))), expected);
        }
    }
}
