//! Parsers of settings, one per kind: from text to a value, or to a phrase that says what would be right.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::engine::Device;
use crate::hub::{Origin, OriginError};
use crate::telemetry::tracing::LogFormat;

/// A path, which need not exist.
#[allow(
    clippy::unnecessary_wraps,
    reason = "it stands beside parsers that may fail"
)]
pub fn path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

/// Comma-separated names of models on the hub, or folders.
pub fn origins(text: &str) -> Result<Vec<Origin>, String> {
    text.split(',')
        .map(|name| {
            name.trim()
                .parse()
                .map_err(|error: OriginError| error.to_string())
        })
        .collect()
}

/// `HOST:PORT`. An empty host means all addresses of the machine.
pub fn address(text: &str) -> Result<String, String> {
    let right = || format!("`{text}` is not an address; give HOST:PORT, such as 0.0.0.0:8080");
    let (host, port) = text.rsplit_once(':').ok_or_else(right)?;
    port.parse::<u16>().map_err(|_| right())?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.contains(char::is_whitespace) || (host.contains(':') && !bracketed) {
        return Err(right());
    }
    Ok(if host.is_empty() {
        format!("0.0.0.0:{port}")
    } else {
        text.to_owned()
    })
}

/// `HOST:PORT` as for [`address`], or `off`.
pub fn address_or_off(text: &str) -> Result<Option<String>, String> {
    match text {
        "off" => Ok(None),
        _ => address(text)
            .map(Some)
            .map_err(|reason| format!("{reason}, or off")),
    }
}

/// `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`.
pub fn device(text: &str) -> Result<Device, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not a device; give auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N")
    })
}

/// A whole number, at least 1.
pub fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a count; give a whole number of at least 1"))
}

/// Milliseconds between two polls. `None` for 0.
pub fn interval(text: &str) -> Result<Option<Duration>, String> {
    if text == "0" {
        return Ok(None);
    }
    milliseconds(text)
        .map(Some)
        .map_err(|_| format!("`{text}` is not an interval; give milliseconds, or 0 for never"))
}

/// Milliseconds, at least 1.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(whole @ 1..) => Ok(Duration::from_millis(u64::from(whole))),
        _ => Err(format!(
            "`{text}` is not a duration; give milliseconds, a whole number from 1 to {}",
            u32::MAX
        )),
    }
}

/// `text` or `json`.
pub fn log_format(text: &str) -> Result<LogFormat, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a log format; give text or json"))
}

/// A filter of log events.
pub fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "`{text}` is not a log filter ({error}); give error, warn, info, debug or trace, or TARGET=LEVEL,…"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for (text, expected) in [
            ("0.0.0.0:8080", Some("0.0.0.0:8080")),
            (":80", Some("0.0.0.0:80")),
            ("localhost:0", Some("localhost:0")),
            ("[::1]:8080", Some("[::1]:8080")),
            ("8080", None),
            ("::1:8080", None),
            ("host:70000", None),
            ("http://host:80", None),
            ("", None),
        ] {
            assert_eq!(address(text).ok().as_deref(), expected, "{text}");
            let or_off = address_or_off(text).ok();
            assert_eq!(or_off, expected.map(|address| Some(address.to_owned())));
        }
        assert_eq!(address_or_off("off"), Ok(None));
        assert!(address_or_off("on").unwrap_err().ends_with("or off"));
    }

    #[test]
    fn models_to_pull_are_a_list() {
        let names = |text: &str| {
            let origins = origins(text)?;
            Ok::<_, String>(origins.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names("a/b@v1, c").unwrap(), ["a/b@v1", "c"]);
        assert_eq!(
            origins(env!("CARGO_MANIFEST_DIR")),
            Ok(vec![Origin::Folder(env!("CARGO_MANIFEST_DIR").into())])
        );
        assert!(names("a/b,../c").unwrap_err().contains("`../c`"));
        assert!(names("a/b/c").unwrap_err().contains("`a/b/c`"));
    }

    #[test]
    fn times_and_counts_start_at_one() {
        assert_eq!(milliseconds("250"), Ok(Duration::from_millis(250)));
        for wrong in ["0", "-1", "1.5", "", "1s", "99999999999"] {
            assert!(
                milliseconds(wrong).is_err() && (wrong.len() > 9 || count(wrong).is_err()),
                "{wrong}"
            );
        }
    }
}
