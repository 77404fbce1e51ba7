//! Reads the file of keys at the start, and again when it changes.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::guard::Guard;
use super::key_file::{self, KeyFileError};
use super::options::AccessOptions;
use super::secret::Digest;
use crate::changes::Changes;
use crate::telemetry::metrics::Metrics;

/// The time between two looks at the file. It is small, so it is read each time: times of files can't be relied on where
/// a volume replaces one by a link.
const INTERVAL: Duration = Duration::from_secs(1);

/// The guard of a server, and what its file of keys holds.
///
/// # Errors
/// If there is a file of keys that can't be used.
pub fn guard(options: AccessOptions, metrics: Metrics) -> Result<(Guard, KeyFile), KeyFileError> {
    let content = options
        .key_file
        .as_deref()
        .map(key_file::read)
        .transpose()?;
    let seen = content.as_deref().map(Digest::of);
    let guard = Guard::new(options, content.as_deref(), metrics)?;
    if guard.has_keys() {
        tracing::info!(keys = guard.keys(), "requests need a key");
    }
    let changes = seen.map(|digest| Changes::new(Ok(digest)));
    Ok((guard, KeyFile { changes }))
}

/// A file of keys as it was seen.
#[derive(Clone, Debug, Default)]
pub struct KeyFile {
    /// Its hash, or why it can't be read. `None` if there is no such file.
    changes: Option<Changes<Result<Digest, String>>>,
}

impl KeyFile {
    /// Follows the file for as long as it is polled. A change that can't be used leaves the keys as they are, and the log
    /// says so once.
    pub async fn follow(self, guard: Guard) {
        let (Some(path), Some(mut changes)) = (guard.key_file(), self.changes) else {
            return std::future::pending().await;
        };
        loop {
            sleep(INTERVAL).await;
            let to_read = path.to_owned();
            let read = tokio::task::spawn_blocking(move || key_file::read(&to_read));
            // It fails only if reading panics, or the runtime ends.
            let Ok(read) = read.await else {
                continue;
            };
            let seen = match &read {
                Ok(content) => Ok(Digest::of(content)),
                Err(error) => Err(error.to_string()),
            };
            if changes.settle(&seen) {
                let taken = read.and_then(|content| guard.set_keys(Some(&content)));
                tell(path, taken);
            }
        }
    }
}

fn tell(file: &Path, taken: Result<usize, KeyFileError>) {
    let file = file.display();
    match taken {
        Ok(0) => tracing::warn!(%file, "the file has no keys: nobody is let in"),
        Ok(keys) => tracing::info!(%file, keys, "keys read"),
        Err(reason) => tracing::error!(
            %file, %reason,
            "the file of keys can't be used: the keys before stay valid"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Credentials, Door, Need, Origin};
    use crate::client::Sender;

    fn line(key: &str) -> String {
        format!("shop infer {}\n", Digest::of(key.as_bytes()))
    }

    fn is_valid(guard: &Guard, key: &str) -> bool {
        let origin = Origin {
            door: Door::Public,
            sender: Sender::default(),
        };
        let credentials = Credentials::Key(key.as_bytes());
        guard.admit(Need::Infer, origin, credentials).is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_file_is_followed_and_one_that_can_not_be_used_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, line("old")).unwrap();
        let options = AccessOptions {
            key_file: Some(path.clone()),
            ..AccessOptions::default()
        };
        let (guard, file) = guard(options, Metrics::new("test")).unwrap();
        tokio::spawn(file.follow(guard.clone()));
        assert!(is_valid(&guard, "old"));
        let until = async |key: &str| {
            while !is_valid(&guard, key) {
                sleep(INTERVAL).await;
            }
        };
        std::fs::write(&path, line("old") + &line("new")).unwrap();
        until("new").await;
        for wrong in ["shop infer", "\u{0}"] {
            std::fs::write(&path, wrong).unwrap();
            sleep(3 * INTERVAL).await;
            assert!(is_valid(&guard, "old") && is_valid(&guard, "new"));
        }
        std::fs::remove_file(&path).unwrap();
        sleep(3 * INTERVAL).await;
        assert!(is_valid(&guard, "new"));
        // A program that writes it in parts.
        for part in ["", "shop ", "# one\n"] {
            std::fs::write(&path, part).unwrap();
            sleep(INTERVAL).await;
            assert!(is_valid(&guard, "new"), "{part}");
        }
        std::fs::write(&path, line("newest")).unwrap();
        until("newest").await;
        assert!(!is_valid(&guard, "old") && !is_valid(&guard, "new"));
    }

    #[test]
    fn a_file_that_can_not_be_used_stops_the_start() {
        // A device, as a named pipe, would never end.
        for file in ["/nowhere", "/", "/dev/zero"] {
            let options = AccessOptions {
                key_file: Some(file.into()),
                ..AccessOptions::default()
            };
            assert!(guard(options, Metrics::new("test")).is_err(), "{file}");
        }
    }
}
