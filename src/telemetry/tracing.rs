//! Logs on standard error: filtering, and formatting as text or JSON lines.

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::util::SubscriberInitExt;

/// Holds unless the filter names the target itself. Clients cause h2's warnings at will, and its traces have headers.
const FLOOR: &str = "h2=error";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human-readable lines, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    pub format: LogFormat,
    /// Directives of `tracing_subscriber`'s `EnvFilter`: `info`, or `warn,electra_server=debug`.
    pub filter: String,
}

/// Why logging did not start.
#[derive(Debug, Error)]
pub enum LogError {
    #[error(
        "the log filter `{filter}` is not valid ({source}): write a level such as `info`, or directives such as `warn,electra_server=debug`"
    )]
    Filter { filter: String, source: ParseError },
    #[error(
        "logging has been initialised already in this process: initialise it once, at the start"
    )]
    AlreadyInitialised,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a log format: use `text` or `json`")]
pub struct UnknownLogFormat(String);

/// Starts logging for the whole process.
///
/// # Errors
/// If the filter can't be parsed, or the process already logs.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let filter = filter(&options.filter).map_err(|source| LogError::Filter {
        filter: options.filter.clone(),
        source,
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    match options.format {
        LogFormat::Text => subscriber.finish().try_init(),
        LogFormat::Json => subscriber.json().finish().try_init(),
    }
    .map_err(|_| LogError::AlreadyInitialised)
}

fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{FLOOR},{directives}"))
}

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(name: &str) -> Result<Self, UnknownLogFormat> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat(name.to_owned())),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(filter: &str) -> LogOptions {
        LogOptions {
            format: LogFormat::Json,
            filter: filter.to_owned(),
        }
    }

    #[test]
    fn an_invalid_filter_is_named() {
        let error = init(&options("electra_server=loud")).expect_err("no such level");
        assert!(matches!(error, LogError::Filter { .. }));
        assert!(error.to_string().contains("`electra_server=loud`"));
    }

    #[test]
    fn h2_logs_errors_alone_unless_the_filter_names_it() {
        let directives = |text: &str| filter(text).unwrap().to_string();
        for text in ["debug", "info,ort=warn", "trace,hyper=off"] {
            assert!(directives(text).contains("h2=error"), "{text}");
        }
        assert!(!directives("info,h2=debug").contains("h2=error"));
    }

    #[test]
    fn a_second_start_is_refused() {
        // This call may itself fail, if another test initialised logging first: a process has one subscriber.
        let _ = init(&options("off"));
        assert!(matches!(
            init(&options("off")),
            Err(LogError::AlreadyInitialised)
        ));
    }

    #[test]
    fn formats_by_name() {
        for format in [LogFormat::Text, LogFormat::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        let error = "xml".parse::<LogFormat>().expect_err("no such format");
        assert!(error.to_string().contains("`text` or `json`"));
    }
}
