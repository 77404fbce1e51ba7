//! Errors between a model's name and its files, each with a way out.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::checksum::Checksum;
use super::selection::SelectionError;

/// Why a model's files are not available. `Display` is the sentence for the user who asked for the model.
#[derive(Debug, Error)]
pub enum HubError {
    /// An environment variable has an unusable value.
    #[error("{variable} is `{value}`: {reason}")]
    Environment {
        variable: &'static str,
        value: String,
        /// The problem, and an example of a valid value.
        reason: String,
    },
    #[error(
        "There is no home folder for the hub's cache. Name a folder with HF_HOME or HF_HUB_CACHE."
    )]
    NoHome,
    /// The connection failed, or was lost too often.
    #[error(
        "{endpoint} can't be reached: {reason}. Check the network and HTTPS_PROXY, name a mirror with \
         HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use cached files only."
    )]
    Unreachable {
        /// The hub, or the host that it redirects to.
        endpoint: String,
        /// The network's error.
        reason: String,
    },
    #[error(
        "{endpoint} shows a certificate that is not trusted: {reason}. If a proxy intercepts TLS, as in companies, name the \
         file of its certificates with SSL_CERT_FILE."
    )]
    Untrusted {
        /// The hub, or the host that it redirects to.
        endpoint: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The hub is overloaded, or its rate limit is reached.
    #[error(
        "{endpoint} answered {status}{}. Try again later; with a token (HF_TOKEN) its limits are higher.",
        waited(*asked_seconds, *attempts)
    )]
    Busy {
        endpoint: String,
        status: u16,
        attempts: u32,
        /// The wait that the hub asked for, if it was too long to follow.
        asked_seconds: Option<u64>,
    },
    #[error(
        "{endpoint} does not accept the token. Set HF_TOKEN to a valid one, made at {endpoint}/settings/tokens; a public model \
         needs none, but then neither HF_TOKEN nor {token_file} may hold an old one."
    )]
    TokenRefused {
        endpoint: String,
        /// The file where `hf auth login` stores a token.
        token_file: PathBuf,
    },
    /// There is no such model, or this token may not see it.
    #[error(
        "{endpoint} has no model {name} that {}: it does not exist, or it is private; the hub does not say which. Check \
         its name, or {}.",
        if *with_token { "your token may see" } else { "can be seen without a token" },
        if *with_token { "use a token of an account that may read it" } else { "set HF_TOKEN to a token that may read it" }
    )]
    ModelNotFound {
        endpoint: String,
        name: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The model's terms must be accepted first.
    #[error(
        "{name} is gated: accept its terms at {endpoint}/{name}, and {}.",
        if *with_token { "wait until its authors grant access, or use the token of an account that has access" }
        else { "set HF_TOKEN to a token of the account that accepted them" }
    )]
    Gated {
        endpoint: String,
        name: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The hub refuses for another reason.
    #[error(
        "{endpoint} refuses access to {name}: {reason}. Check {endpoint}/{name}, and the permissions of the token in HF_TOKEN."
    )]
    Forbidden {
        endpoint: String,
        name: String,
        /// The hub's message.
        reason: String,
    },
    #[error(
        "{name} has no revision `{revision}`. {endpoint}/{name}/tree/main lists its branches and tags."
    )]
    RevisionNotFound {
        endpoint: String,
        name: String,
        revision: String,
    },
    /// The response can't be from the hub.
    #[error(
        "The response of {url} can't be from the hub: {reason}. If HF_ENDPOINT names a mirror or there is a proxy, check \
         those."
    )]
    Answer {
        url: String,
        /// What is wrong with the response.
        reason: String,
    },
    /// The repository lacks a file that a model needs.
    #[error("{name} can't be served: {reason}.")]
    Selection {
        name: String,
        reason: SelectionError,
    },
    /// The download was interrupted too often.
    #[error(
        "The download of {file} was interrupted at byte {received}: {reason}. Run the same command again to \
         resume it there."
    )]
    Broken {
        file: String,
        /// Bytes downloaded so far.
        received: u64,
        /// The network's error.
        reason: String,
    },
    /// The file's length does not match the hub's metadata.
    #[error(
        "{file} of {name} has {found} bytes, but the hub announced {expected}. The partial file was removed: run the same \
         command again. If that does not help, check whether a mirror (HF_ENDPOINT) or a proxy changes the file."
    )]
    Size {
        name: String,
        file: String,
        /// Bytes, by the hub's metadata.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// The file's checksum does not match the hub's metadata.
    #[error(
        "{file} of {name} has the wrong checksum: {found} instead of {expected}. The partial file was removed: run the same \
         command again. If that does not help, check whether a mirror (HF_ENDPOINT) or a proxy changes the file."
    )]
    Checksum {
        name: String,
        file: String,
        /// By the hub's metadata.
        expected: Checksum,
        /// Of the file received.
        found: Checksum,
    },
    /// Offline, and not all files are cached.
    #[error(
        "HF_HUB_OFFLINE is set, and the cache {} lacks files of {model}: {missing}. Unset it to download them.",
        .cache.display()
    )]
    Offline {
        /// The model, with its revision.
        model: String,
        cache: PathBuf,
        missing: String,
    },
    #[error(
        "There is no space left for {}. Free some space and run the same command again to resume, or name a folder on \
         another disk with HF_HOME.",
        .path.display()
    )]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// A file of the cache can't be read or written.
    #[error(
        "The hub's cache can't be used at {}: {error}. Name a writable folder with HF_HOME or HF_HUB_CACHE.",
        .path.display()
    )]
    Cache { path: PathBuf, error: io::Error },
}

impl HubError {
    /// Wraps an I/O error on a file of the cache, for `map_err`.
    pub(super) fn cache(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Cache { path, error },
        }
    }
}

fn waited(asked_seconds: Option<u64>, attempts: u32) -> String {
    match asked_seconds {
        Some(seconds) => format!(" and asks to wait for {seconds} s"),
        None => format!(" {attempts} times in a row"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_cache_that_can_not_be_written() {
        let said = |kind: io::ErrorKind| {
            HubError::cache(Path::new("/cache/blobs/x"))(kind.into()).to_string()
        };
        let full = said(io::ErrorKind::StorageFull);
        assert!(
            full.contains("no space left for /cache/blobs/x") && full.contains("HF_HOME"),
            "{full}"
        );
        assert_eq!(said(io::ErrorKind::QuotaExceeded), full);
        let denied = said(io::ErrorKind::PermissionDenied);
        assert!(
            denied.contains("can't be used at /cache/blobs/x") && denied.contains("HF_HUB_CACHE"),
            "{denied}"
        );
    }
}
