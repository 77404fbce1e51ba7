//! Compares snapshots of a model repository and decides what to load and unload. Pure.

use std::collections::BTreeMap;

use crate::model_folder::{Fingerprint, Version};

/// The versions of all models at one poll, each with the fingerprint of its files.
pub type Snapshot = BTreeMap<(String, Version), Fingerprint>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The version is new, or its files changed.
    Load(String, Version),
    /// The version's folder is gone.
    Remove(String, Version),
}

/// Lists versions that differ from the last attempt to load them (`tried`) and are unchanged across two polls. So
/// half-copied files are ignored, and a folder that a network share hides for a moment is kept.
#[must_use]
pub fn changes(tried: &Snapshot, before: &Snapshot, now: &Snapshot) -> Vec<Change> {
    let new = now
        .iter()
        .filter(|(key, files)| tried.get(*key) != Some(files) && before.get(*key) == Some(files))
        .map(|((name, version), _)| Change::Load(name.clone(), *version));
    let gone = tried
        .keys()
        .filter(|key| !now.contains_key(*key) && !before.contains_key(*key))
        .map(|(name, version)| Change::Remove(name.clone(), *version));
    new.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses `a1=x`: version 1 of the model a, with files x.
    fn look(text: &str) -> Snapshot {
        let version = |item: &str| {
            let (key, files) = item.split_once('=').unwrap();
            let (name, version) = key.split_at(1);
            let key = (name.to_owned(), Version::named(version).unwrap());
            (key, Fingerprint::of(files))
        };
        text.split_whitespace().map(version).collect()
    }

    fn written(change: &Change) -> String {
        match change {
            Change::Load(name, version) => format!("+{name}{version}"),
            Change::Remove(name, version) => format!("-{name}{version}"),
        }
    }

    #[test]
    fn what_changed_and_rests_is_acted_on() {
        let check = |tried: &str, before: &str, now: &str, expected: &[&str]| {
            let changes = changes(&look(tried), &look(before), &look(now));
            let changes: Vec<_> = changes.iter().map(written).collect();
            assert_eq!(changes, expected, "{tried} | {before} | {now}");
        };
        check("a1=x", "a1=x", "a1=x", &[]);
        // A new version, still being copied at first.
        check("a1=x", "a1=x", "a1=x a2=p", &[]);
        check("a1=x", "a1=x a2=p", "a1=x a2=q", &[]);
        check("a1=x", "a1=x a2=q", "a1=x a2=q", &["+a2"]);
        // A version changed in place.
        check("a1=x", "a1=x", "a1=y", &[]);
        check("a1=x", "a1=y", "a1=y", &["+a1"]);
        // Temporarily invisible, then removed.
        check("a1=x b1=x", "a1=x b1=x", "a1=x", &[]);
        check("a1=x b1=x", "a1=x", "a1=x", &["-b1"]);
        // A new version is loaded before the old one is removed.
        check("a1=x", "a2=x", "a2=x", &["+a2", "-a1"]);
    }
}
