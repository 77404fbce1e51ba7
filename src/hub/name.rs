//! Names of models on the hub: `name` or `org/name`, and a revision.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The branch used if no revision is given.
const DEFAULT_REVISION: &str = "main";
/// The hub's limit for one part of a name.
const MAX_PART_BYTES: usize = 96;

/// A repository's name, `org/name` or `name`. It is safe as a part of a URL, and its last part as a folder's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelName(String);

/// A model at a branch, a tag or a commit: `NAME` or `NAME@REVISION`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelReference {
    pub name: ModelName,
    /// A branch, a tag, a full commit hash, or a reference such as `refs/pr/1`.
    pub revision: String,
}

/// A full commit hash: 40 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit(String);

/// Why a text is not a model reference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    #[error(
        "`{text}` is not a model's name: {reason}. Give ORG/NAME as the hub shows it, such as google/electra-base-discriminator"
    )]
    Name { text: String, reason: &'static str },
    #[error(
        "`{text}` is not a revision: give a branch, a tag or a commit hash after the @, such as google/electra-base-discriminator@main"
    )]
    Revision { text: String },
}

impl ModelName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the organisation.
    #[must_use]
    pub fn last_part(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    /// Follows the rules of `huggingface_hub`'s `validate_repo_id`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |reason| NameError::Name {
            text: text.to_owned(),
            reason,
        };
        if text.contains("://") {
            return Err(wrong("it is a URL"));
        }
        if text.split('/').count() > 2 {
            return Err(wrong(
                "it has more than two parts, and there is no such folder",
            ));
        }
        text.split('/')
            .try_for_each(|part| check_part(part).map_err(wrong))?;
        Ok(Self(text.to_owned()))
    }
}

/// Checks that a text is valid as one part of a model's name, or as a model folder's name.
///
/// # Errors
/// The reason, as half a sentence.
pub fn check_part(part: &str) -> Result<(), &'static str> {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if part.is_empty() {
        return Err("a part of it is empty");
    }
    if part.len() > MAX_PART_BYTES {
        return Err("a part of it is longer than 96 letters");
    }
    if !part
        .chars()
        .all(|letter| word(letter) || "-.".contains(letter))
    {
        return Err("it has other characters than letters, digits, `-`, `_` and `.`");
    }
    if !part.starts_with(word) || !part.ends_with(word) {
        return Err("a part of it begins or ends with `-` or `.`");
    }
    if part.contains("..") || part.contains("--") {
        return Err("it has `..` or `--`");
    }
    let ending = part.get(part.len().saturating_sub(4)..);
    if ending.is_some_and(|ending| ending.eq_ignore_ascii_case(".git")) {
        return Err("it ends with `.git`");
    }
    Ok(())
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ModelReference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let name = name.parse()?;
        if !is_revision(revision) {
            return Err(NameError::Revision {
                text: revision.to_owned(),
            });
        }
        Ok(Self {
            name,
            revision: revision.to_owned(),
        })
    }
}

/// Applies those of git's rules for references that matter for a path and a URL.
fn is_revision(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_./+=".contains(letter);
    text.len() <= 255
        && text.chars().all(letter)
        && !text.contains("..")
        && !text.starts_with('-')
        && text.split('/').all(part)
}

impl fmt::Display for ModelReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.revision == DEFAULT_REVISION {
            self.name.fmt(formatter)
        } else {
            write!(formatter, "{}@{}", self.name, self.revision)
        }
    }
}

impl Commit {
    /// Parses a full commit hash. `None` for anything else, abbreviated hashes included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_commit = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_commit.then(|| Self(text.to_ascii_lowercase()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_or_two_parts_of_plain_letters() {
        for (text, name, revision) in [
            ("gpt2", "gpt2", "main"),
            (
                "google/electra-base-discriminator",
                "google/electra-base-discriminator",
                "main",
            ),
            ("a/b.c_d-e1@v1.0", "a/b.c_d-e1", "v1.0"),
            ("a/b@refs/pr/1", "a/b", "refs/pr/1"),
        ] {
            let reference: ModelReference = text.parse().unwrap();
            assert_eq!(
                (reference.name.as_str(), reference.revision.as_str()),
                (name, revision)
            );
            let shown = reference.to_string();
            assert_eq!(shown.parse(), Ok(reference), "{shown}");
        }
        let long = "x".repeat(97);
        for wrong in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "../a",
            "a/..",
            "a/b..c",
            "a/.b",
            "a/b-",
            "a/b--c",
            "a/b.git",
            "a b",
            "a\\b",
            "a/b%2e",
            "a/é",
            "https://huggingface.co/a/b",
            &long,
        ] {
            let error = wrong.parse::<ModelReference>().unwrap_err().to_string();
            assert!(
                error.contains("is not a model's name") && error.contains("ORG/NAME"),
                "{error}"
            );
        }
    }

    #[test]
    fn revisions_can_not_leave_their_folder() {
        for wrong in [
            "a@", "a@..", "a@../b", "a@x/../y", "a@/x", "a@x/", "a@x//y", "a@x y", "a@-x", "a@.x",
            "a@x\\y",
        ] {
            let error = wrong.parse::<ModelReference>().unwrap_err();
            assert!(
                matches!(error, NameError::Revision { .. }),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn the_last_part_names_the_folder() {
        let last = |text: &str| text.parse::<ModelName>().unwrap().last_part().to_owned();
        assert_eq!(
            (last("org/name"), last("name")),
            ("name".to_owned(), "name".to_owned())
        );
    }

    #[test]
    fn commits_are_full_hashes() {
        let hash = "0123456789abcdef0123456789ABCDEF01234567";
        assert_eq!(
            Commit::parse(hash).unwrap().as_str(),
            hash.to_ascii_lowercase()
        );
        for wrong in [
            "main",
            &hash[1..],
            "g123456789abcdef0123456789abcdef01234567",
        ] {
            assert_eq!(Commit::parse(wrong), None);
        }
    }
}
