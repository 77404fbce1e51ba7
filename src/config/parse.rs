//! One parser per kind of setting: from the text as typed to the value.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tracing_subscriber::EnvFilter;

use crate::access::Digest;
use crate::batch::PriorityAccess;
use crate::browsers::{AllowedHosts, AllowedOrigins, NotAHost, NotAnOrigin};
use crate::connections::{NotAProxy, TrustedProxies};
use crate::engine::Device;
use crate::export::PrecisionChoice;
use crate::hub::{Origin, OriginError};
use crate::telemetry::tracing::LogFormat;

/// Why a setting's value can't be used, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error(transparent)]
    Proxy(#[from] NotAProxy),
    #[error(transparent)]
    Host(#[from] NotAHost),
    #[error(transparent)]
    PageOrigin(#[from] NotAnOrigin),
    #[error("`{0}` is not an address; give HOST:PORT, as 0.0.0.0:8080")]
    Address(String),
    #[error("`{0}` is not an address; give HOST:PORT, as 0.0.0.0:8080, or off")]
    AddressOrOff(String),
    #[error("`{0}` is not a device; give auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N")]
    Device(String),
    #[error("{0}")]
    Precision(String),
    #[error("`{0}` is not a count; give a whole number of at least 1")]
    Count(String),
    #[error("`{0}` is not an interval; give milliseconds, or 0 for never")]
    Interval(String),
    #[error("`{0}` is not a time; give milliseconds, a whole number from 1 to {max}", max = u32::MAX)]
    Milliseconds(String),
    #[error("`{0}` is not a delay; give milliseconds, a whole number from 0 to {max}", max = u32::MAX)]
    Delay(String),
    #[error("`{0}` does not say who may set priorities; give any or admin")]
    PriorityAccess(String),
    #[error("`{0}` does not say whether models are loaded and unloaded on request; give on or off")]
    Switch(String),
    #[error(
        "it must be a key of visible ASCII characters without spaces, and not empty; unset it to serve without keys"
    )]
    ApiKey,
    #[error("`{0}` is not a log format; give text or json")]
    LogFormat(String),
    #[error(
        "`{filter}` is not a log filter ({reason}); give error, warn, info, debug or trace, or TARGET=LEVEL,…"
    )]
    LogFilter { filter: String, reason: String },
}

/// A path, which need not exist.
#[allow(
    clippy::unnecessary_wraps,
    reason = "all parsers of the table have one signature"
)]
pub fn path(text: &str) -> Result<PathBuf, ValueError> {
    Ok(PathBuf::from(text))
}

/// A file, or `none`.
pub fn file(text: &str) -> Result<Option<PathBuf>, ValueError> {
    match text {
        "none" => Ok(None),
        _ => path(text).map(Some),
    }
}

/// Models on the hub, or folders, separated by commas.
pub fn origins(text: &str) -> Result<Vec<Origin>, ValueError> {
    let names = text.split(',');
    names.map(|name| Ok(name.trim().parse()?)).collect()
}

/// `HOST:PORT`. Without a host, all addresses of the machine.
pub fn address(text: &str) -> Result<String, ValueError> {
    let wrong = || ValueError::Address(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.contains(char::is_whitespace) || (host.contains(':') && !bracketed) {
        return Err(wrong());
    }
    Ok(if host.is_empty() {
        format!("0.0.0.0:{port}")
    } else {
        text.to_owned()
    })
}

/// `HOST:PORT` as above, or `off`.
pub fn address_or_off(text: &str) -> Result<Option<String>, ValueError> {
    match text {
        "off" => Ok(None),
        _ => match address(text) {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(ValueError::AddressOrOff(text.to_owned())),
        },
    }
}

/// `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`.
pub fn device(text: &str) -> Result<Device, ValueError> {
    text.parse()
        .map_err(|_| ValueError::Device(text.to_owned()))
}

/// `auto`, `fp32`, `fp16` or `int8`.
pub fn precision(text: &str) -> Result<PrecisionChoice, ValueError> {
    text.parse().map_err(ValueError::Precision)
}

/// A whole number of at least one.
pub fn count(text: &str) -> Result<NonZeroUsize, ValueError> {
    text.parse().map_err(|_| ValueError::Count(text.to_owned()))
}

/// An interval in milliseconds; `None` for 0.
pub fn interval(text: &str) -> Result<Option<Duration>, ValueError> {
    if text == "0" {
        return Ok(None);
    }
    match milliseconds(text) {
        Ok(interval) => Ok(Some(interval)),
        Err(_) => Err(ValueError::Interval(text.to_owned())),
    }
}

/// Milliseconds, at least one.
pub fn milliseconds(text: &str) -> Result<Duration, ValueError> {
    match text.parse::<u32>() {
        Ok(whole @ 1..) => Ok(Duration::from_millis(u64::from(whole))),
        _ => Err(ValueError::Milliseconds(text.to_owned())),
    }
}

/// Milliseconds, or 0 for no delay.
pub fn delay(text: &str) -> Result<Duration, ValueError> {
    match text.parse::<u32>() {
        Ok(whole) => Ok(Duration::from_millis(u64::from(whole))),
        Err(_) => Err(ValueError::Delay(text.to_owned())),
    }
}

/// Networks, and `unix`, separated by commas.
pub fn trusted_proxies(text: &str) -> Result<TrustedProxies, ValueError> {
    Ok(text.parse()?)
}

/// Names, addresses and networks, separated by commas.
pub fn allowed_hosts(text: &str) -> Result<AllowedHosts, ValueError> {
    Ok(text.parse()?)
}

/// Origins separated by commas, or `*`.
pub fn allowed_origins(text: &str) -> Result<AllowedOrigins, ValueError> {
    Ok(text.parse()?)
}

/// `any` or `admin`.
pub fn priorities(text: &str) -> Result<PriorityAccess, ValueError> {
    match text {
        "any" => Ok(PriorityAccess::Any),
        "admin" => Ok(PriorityAccess::Admin),
        _ => Err(ValueError::PriorityAccess(text.to_owned())),
    }
}

/// A key: its hash. It comes in a header, so it must be text that a header can hold.
pub fn api_key(text: &str) -> Result<Digest, ValueError> {
    let is_key = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key {
        Ok(Digest::of(text.as_bytes()))
    } else {
        Err(ValueError::ApiKey)
    }
}

/// `on` or `off`.
pub fn switch(text: &str) -> Result<bool, ValueError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(ValueError::Switch(text.to_owned())),
    }
}

/// `text` or `json`.
pub fn log_format(text: &str) -> Result<LogFormat, ValueError> {
    text.parse()
        .map_err(|_| ValueError::LogFormat(text.to_owned()))
}

/// A filter of log events.
pub fn log_filter(text: &str) -> Result<String, ValueError> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(ValueError::LogFilter {
            filter: text.to_owned(),
            reason: error.to_string(),
        }),
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
        let wrong = address_or_off("on").unwrap_err().to_string();
        assert!(wrong.ends_with("or off"), "{wrong}");
    }

    #[test]
    fn models_to_pull_are_a_list() {
        let names = |text: &str| {
            let origins = origins(text)?;
            Ok::<_, ValueError>(origins.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names("a/b@v1, c").unwrap(), ["a/b@v1", "c"]);
        assert_eq!(
            origins(env!("CARGO_MANIFEST_DIR")),
            Ok(vec![Origin::Folder(env!("CARGO_MANIFEST_DIR").into())])
        );
        assert!(
            names("a/b,../c")
                .unwrap_err()
                .to_string()
                .contains("`../c`")
        );
        assert!(names("a/b/c").unwrap_err().to_string().contains("`a/b/c`"));
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
