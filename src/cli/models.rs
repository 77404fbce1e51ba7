//! `electra models`.

use std::io::{self, ErrorKind, Write};

use clap::Args;

use super::error::CliError;
use super::grid::grid;
use super::one_shot;
use super::settings::{LocalSettings, Settings};
use crate::service::ModelReport;
use crate::task::Task;

#[derive(Debug, Args)]
pub struct ModelsArguments {
    /// Print JSON, as GET /models returns it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings<LocalSettings>,
}

/// Loads every model of the repository and prints a table of them.
///
/// # Errors
/// If one of them can't be loaded.
pub fn run(arguments: &ModelsArguments) -> Result<(), CliError> {
    let (_runtime, app) = one_shot::start_with(&arguments.settings.arguments)?;
    app.load(|_| true).map_err(CliError::failed)?;
    let models = app.service().models();
    let text = if arguments.json {
        serde_json::to_string_pretty(&serde_json::json!({"models": models}))
            .map_err(CliError::failed)?
            + "\n"
    } else {
        table(&models)
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(CliError::failed(error)),
        _ => {}
    }
    let failed = models.iter().any(|model| model.reason.is_some());
    if failed {
        Err(CliError::Reported)
    } else {
        Ok(())
    }
}

fn table(models: &[ModelReport]) -> String {
    let header = [
        "NAME",
        "TASK",
        "PRECISION",
        "DEVICE",
        "LAYOUT",
        "TOKENS",
        "SIZE",
        "STATE",
        "INPUTS",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(models.iter().map(row));
    let notes: Vec<String> = models.iter().flat_map(notes).collect();
    let gap = if notes.is_empty() { "" } else { "\n" };
    let notes: String = notes.into_iter().map(|note| note + "\n").collect();
    grid(&rows) + gap + &notes
}

/// Notes below the table: other names, versions, and why files could not be loaded.
fn notes(model: &ModelReport) -> Vec<String> {
    let name = &model.name;
    let mut notes = Vec::new();
    if !model.aliases.is_empty() {
        notes.push(format!(
            "{name} is also called {}.",
            model.aliases.join(", ")
        ));
    }
    let source = model
        .details
        .as_ref()
        .and_then(|details| details.source.as_ref());
    if let Some(source) = source {
        notes.push(format!("{name} was made of {source}."));
    }
    if model.versions.len() > 1 {
        let versions = model.versions.join(", ");
        notes.push(match &model.version {
            Some(serving) => format!("{name} has the versions {versions}; {serving} serves."),
            None => format!("{name} has the versions {versions}; none serves."),
        });
    }
    for version in &model.version_states {
        let number = &version.version;
        if let Some(reason) = &version.reason {
            notes.push(match model.versions.len() {
                1 => format!("{name}: {reason}"),
                _ => format!("{name}, version {number}: {reason}"),
            });
        }
    }
    notes
}

fn row(model: &ModelReport) -> Vec<String> {
    let unknown = || "-".to_owned();
    let task = model.task.map_or("-", Task::name).to_owned();
    let state = model.state.to_owned();
    let Some(details) = &model.details else {
        let name = model.name.clone();
        return vec![
            name,
            task,
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            state,
            unknown(),
        ];
    };
    let inputs: Vec<&str> = details
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    vec![
        model.name.clone(),
        task,
        details.precision.clone(),
        details.device.clone(),
        details.layout.clone(),
        details.max_tokens.to_string(),
        megabytes(details.size_bytes),
        state,
        inputs.join(" "),
    ]
}

/// Megabytes (millions of bytes), with one decimal.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::VersionReport;

    #[test]
    fn failed_models_are_listed_with_their_reason() {
        let failed = ModelReport {
            name: "broken".to_owned(),
            task: Some(Task::Tag),
            aliases: vec!["bust".to_owned()],
            versions: vec!["1".to_owned(), "2".to_owned()],
            version: None,
            state: "failed",
            reason: Some("config.json is missing.".to_owned()),
            version_states: vec![VersionReport {
                version: "2".to_owned(),
                state: "failed",
                reason: Some("config.json is missing.".to_owned()),
                precision: None,
                size_bytes: None,
            }],
            default: true,
            details: None,
        };
        let table = table(&[failed]);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("NAME    TASK"), "{table}");
        assert!(lines[1].starts_with("broken  tag"), "{table}");
        assert_eq!(
            lines[3..],
            [
                "broken is also called bust.",
                "broken has the versions 1, 2; none serves.",
                "broken, version 2: config.json is missing."
            ]
        );
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(
            (megabytes(23_450_000), megabytes(1)),
            ("23.5 MB".to_owned(), "0.1 MB".to_owned())
        );
    }
}
