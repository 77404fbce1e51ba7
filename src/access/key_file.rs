//! The file of keys: one key a line, as its name, its scopes, its SHA-256 and its limits.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use thiserror::Error;

use super::limits::KeyLimits;
use super::scope::{Scopes, UnknownScope};
use super::secret::Digest;
use crate::files;

/// What a limit may be, a second.
const RATES: RangeInclusive<f64> = 0.001..=1e9;
/// The longest name of a key, in bytes.
const LONGEST_NAME: usize = 64;
/// The most bytes of a file of keys: room for a hundred thousand.
const LONGEST_FILE: u64 = 16 << 20;

/// One key of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyLine {
    /// What logs and metrics call it. Several keys may have one name, such as one that takes another's place.
    pub name: String,
    pub scopes: Scopes,
    pub digest: Digest,
    pub limits: KeyLimits,
}

/// Why a file of keys can't be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    #[error("it can't be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        reason: LineError,
    },
}

/// What is wrong with a line. Nothing of the line is repeated that may be a key.
#[derive(Debug, Error)]
pub enum LineError {
    #[error("it must be NAME SCOPES sha256:HEX, as `electra key` prints it")]
    Form,
    #[error("its name must have 1 to {LONGEST_NAME} letters, digits and `._-`")]
    Name,
    #[error(transparent)]
    Scopes(#[from] UnknownScope),
    #[error("its hash must be `sha256:` and 64 hexadecimal digits, as `electra key` prints it")]
    Digest,
    #[error(
        "a limit is requests=N/s, tokens=N/s or concurrent=N, each at most once, with N from 0.001 to a billion"
    )]
    Limit,
    #[error("its key is that of line {0} too")]
    Twice(usize),
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// Reads the bytes of a file of keys.
///
/// # Errors
/// If it can't be read, is too long, or is not a regular file.
pub fn read(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    Ok(files::read(path, LONGEST_FILE)?)
}

/// Parses the content of a file of keys. Empty lines, and what follows a `#` at a line's start or after white space,
/// count for nothing.
///
/// # Errors
/// [`KeyFileError::Line`] for the first line that is wrong.
pub fn parse(content: &[u8]) -> Result<Vec<KeyLine>, KeyFileError> {
    let mut keys: Vec<(usize, KeyLine)> = Vec::new();
    for (line, bytes) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        let fail = |reason| KeyFileError::Line { line, reason };
        let text = std::str::from_utf8(bytes).map_err(|_| fail(LineError::NotUtf8))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let words: Vec<&str> = text
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'))
            .collect();
        if words.is_empty() {
            continue;
        }
        keys.push((line, key(&words).map_err(fail)?));
    }
    let mut sorted: Vec<(Digest, usize)> =
        keys.iter().map(|(line, key)| (key.digest, *line)).collect();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0);
    if let Some(&[(_, first), (_, line)]) = twice {
        let reason = LineError::Twice(first);
        return Err(KeyFileError::Line { line, reason });
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

fn key(words: &[&str]) -> Result<KeyLine, LineError> {
    let [name, scopes, digest, limits @ ..] = words else {
        return Err(LineError::Form);
    };
    if !is_name(name) {
        return Err(LineError::Name);
    }
    Ok(KeyLine {
        name: (*name).to_owned(),
        scopes: scopes.parse()?,
        digest: Digest::parse(digest).ok_or(LineError::Digest)?,
        limits: self::limits(limits)?,
    })
}

/// Whether a key may be called so.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn limits(words: &[&str]) -> Result<KeyLimits, LineError> {
    let mut limits = KeyLimits::default();
    for word in words {
        let wrong = || LineError::Limit;
        let (limit, value) = word.split_once('=').ok_or_else(wrong)?;
        let is_repeated = match limit {
            "requests" => limits
                .requests
                .replace(rate(value).ok_or_else(wrong)?)
                .is_some(),
            "tokens" => limits
                .tokens
                .replace(rate(value).ok_or_else(wrong)?)
                .is_some(),
            "concurrent" => {
                let count: u32 = value.parse().map_err(|_| wrong())?;
                limits.concurrent.replace(count).is_some() || count == 0
            }
            _ => true,
        };
        if is_repeated {
            return Err(wrong());
        }
    }
    Ok(limits)
}

/// `N/s`, above zero.
fn rate(value: &str) -> Option<f64> {
    let number: f64 = value.strip_suffix("/s")?.parse().ok()?;
    RATES.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str) -> String {
        Digest::of(key.as_bytes()).to_string()
    }

    #[test]
    fn a_line_is_a_name_scopes_a_hash_and_limits() {
        let content = format!(
            "\u{feff}# all keys\n\nshop infer {}\r\n  ops  infer,admin\t{} requests=2.5/s concurrent=8 tokens=1000/s # Ann\n",
            hash("a"),
            hash("b")
        );
        let keys = parse(content.as_bytes()).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].name, "shop");
        assert_eq!(keys[0].digest, Digest::of(b"a"));
        assert_eq!(keys[0].limits, KeyLimits::default());
        assert_eq!(keys[1].scopes.to_string(), "infer,admin");
        let limits = KeyLimits {
            requests: Some(2.5),
            tokens: Some(1000.0),
            concurrent: Some(8),
        };
        assert_eq!(keys[1].limits, limits);
        assert!(parse(b"").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_line_is_named_and_its_key_is_not_repeated() {
        let (a, b) = (hash("a"), hash("b"));
        for (content, line, reason) in [
            ("shop infer".to_owned(), 1, "NAME SCOPES"),
            ("\nshop infer secret-key".to_owned(), 2, "its hash must be"),
            (format!("shop secret-key {a}"), 1, "a scope is"),
            (format!("shop infer {a} secret-key"), 1, "a limit is"),
            (
                format!("secret-key infer {a} requests=1e-300/s"),
                1,
                "a limit is",
            ),
            (format!("shop read {a}"), 1, "a scope is"),
            (format!("sh/op infer {a}"), 1, "its name must"),
            (format!("{} infer {a}", "n".repeat(65)), 1, "its name must"),
            (format!("shop infer {a} requests=5"), 1, "a limit is"),
            (format!("shop infer {a} requests=0/s"), 1, "a limit is"),
            (format!("shop infer {a} requests=inf/s"), 1, "a limit is"),
            (format!("shop infer {a} concurrent=0"), 1, "a limit is"),
            (
                format!("shop infer {a} concurrent=1 concurrent=2"),
                1,
                "a limit is",
            ),
            (format!("shop infer {a} bytes=1/s"), 1, "a limit is"),
            (
                format!("one infer {a}\ntwo infer {b}\nsix admin {a}"),
                3,
                "that of line 1",
            ),
        ] {
            let error = parse(content.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: ")), "{error}");
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("secret-key"), "{error}");
        }
        assert!(parse(b"\xff").is_err());
    }
}
