//! What can go wrong between a name and its files, each with the way out.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::checksum::Checksum;
use super::selection::SelectionError;

/// Why a model's files are not there. `Display` is the sentence for the person who asked for the model.
#[derive(Debug, Error)]
pub enum HubError {
    /// An environment variable says something that can't be.
    #[error("{variable} is `{value}`: {reason}")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// There is no place for the cache.
    #[error(
        "There is no home folder to keep the hub's cache in. Name a folder for it by HF_HOME or HF_HUB_CACHE."
    )]
    NoHome,
    /// No connection, or it is lost again and again.
    #[error(
        "{endpoint} can't be reached: {reason}. Look at the network and at HTTPS_PROXY, name a mirror by \
         HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what is in the cache."
    )]
    Unreachable {
        /// The hub, or the host that it sends to.
        endpoint: String,
        /// What the network says.
        reason: String,
    },
    /// Whoever answers does not prove to be the hub.
    #[error(
        "{endpoint} shows a certificate that is not trusted: {reason}. If a proxy stands in between, as in companies, name the \
         file of its certificates by SSL_CERT_FILE."
    )]
    Untrusted {
        /// The hub, or the host that it sends to.
        endpoint: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// The hub is busy, or limits how often it is asked.
    #[error(
        "{endpoint} answered {status}{}. Try again later; with a token (HF_TOKEN) its limits are higher.",
        waited(*asked_seconds, *attempts)
    )]
    Busy {
        /// The hub.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// How often it was asked.
        attempts: u32,
        /// How long it asked to wait, where that was too long.
        asked_seconds: Option<u64>,
    },
    /// The token is not valid.
    #[error(
        "{endpoint} does not accept the token. Set HF_TOKEN to a valid one, made at {endpoint}/settings/tokens; a public model \
         needs none, but neither HF_TOKEN nor {token_file} may then hold an old one."
    )]
    TokenRefused {
        /// The hub.
        endpoint: String,
        /// Where `hf auth login` leaves a token.
        token_file: PathBuf,
    },
    /// No such model, or none that may be seen.
    #[error(
        "{endpoint} has no model {name} that {}: it does not exist, or it is private; the hub tells no difference. Look \
         at its name, or {}.",
        if *with_token { "your token may see" } else { "can be seen without a token" },
        if *with_token { "take a token of an account that may read it" } else { "set HF_TOKEN to a token that may read it" }
    )]
    ModelNotFound {
        /// The hub.
        endpoint: String,
        /// The model.
        name: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The model's authors want their terms accepted.
    #[error(
        "{name} is gated: accept its terms at {endpoint}/{name}, and {}.",
        if *with_token { "wait until its authors let you in, or take the token of an account that they have let in" }
        else { "set HF_TOKEN to a token of the account that accepted them" }
    )]
    Gated {
        /// The hub.
        endpoint: String,
        /// The model.
        name: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The hub refuses for another reason.
    #[error(
        "{endpoint} refuses to give {name}: {reason}. Look at {endpoint}/{name}, and at what the token in HF_TOKEN may do."
    )]
    Forbidden {
        /// The hub.
        endpoint: String,
        /// The model.
        name: String,
        /// What the hub says.
        reason: String,
    },
    /// The model has no such branch, tag or commit.
    #[error(
        "{name} has no revision `{revision}`. {endpoint}/{name}/tree/main lists its branches and tags."
    )]
    RevisionNotFound {
        /// The hub.
        endpoint: String,
        /// The model.
        name: String,
        /// The revision.
        revision: String,
    },
    /// An answer that makes no sense.
    #[error(
        "{url} was answered in a way that the hub does not: {reason}. If HF_ENDPOINT names a mirror or a proxy stands in \
         between, look there."
    )]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The repository has not what a model needs.
    #[error("{name} can't be served: {reason}.")]
    Selection {
        /// The model.
        name: String,
        /// What is missing.
        reason: SelectionError,
    },
    /// The transfer broke off too often.
    #[error(
        "The transfer of {file} broke off at byte {received}: {reason}. What is there is kept: do the same again, and it goes \
         on from there."
    )]
    Broken {
        /// The file.
        file: String,
        /// Bytes that are there.
        received: u64,
        /// What the network says.
        reason: String,
    },
    /// The file is longer or shorter than announced.
    #[error(
        "{file} of {name} has {found} bytes, and the hub announced {expected}. The partial file was removed: do the same \
         again. If that does not help, look at what a mirror (HF_ENDPOINT) or a proxy in between does to it."
    )]
    Size {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// As announced.
        expected: u64,
        /// As received.
        found: u64,
    },
    /// The file's content is not what the hub says it is.
    #[error(
        "{file} of {name} is not what the hub says it is: its checksum is {found}, and it should be {expected}. The partial \
         file was removed: do the same again. If that does not help, look at what a mirror (HF_ENDPOINT) or a proxy in between \
         does to it."
    )]
    Checksum {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// As announced.
        expected: Checksum,
        /// As received.
        found: Checksum,
    },
    /// Offline, and not in the cache.
    #[error(
        "HF_HUB_OFFLINE is set, and the cache {} has not all of {model}: {missing}. Unset it to download what is missing.",
        .cache.display()
    )]
    Offline {
        /// The model, with its revision.
        model: String,
        /// The cache.
        cache: PathBuf,
        /// What is missing.
        missing: String,
    },
    /// The disk is full.
    #[error(
        "There is no space left for {}. Make room and do the same again, which goes on where this ended, or name a folder on \
         another disk by HF_HOME.",
        .path.display()
    )]
    DiskFull {
        /// The file that was written.
        path: PathBuf,
    },
    /// A file of the cache can't be read or written.
    #[error(
        "The hub's cache fails at {}: {error}. Name a folder that can be written by HF_HOME or HF_HUB_CACHE.",
        .path.display()
    )]
    Cache {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl HubError {
    /// What the system said about a file of the cache.
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
            denied.contains("fails at /cache/blobs/x") && denied.contains("HF_HUB_CACHE"),
            "{denied}"
        );
    }
}
