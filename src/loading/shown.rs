//! What clients are told of why a model is not loaded. The log has the whole of it.

use std::path::Path;

/// The reason with the repository's files named relative to it, and others by their names alone: where the server keeps
/// its files is nobody's business.
#[must_use]
pub fn without_paths(reason: &str, repository: &Path) -> String {
    let canonical = repository.canonicalize();
    let mut text = reason.to_owned();
    for folder in [Some(repository), canonical.as_deref().ok()]
        .into_iter()
        .flatten()
    {
        let folder = folder.display().to_string();
        if folder.starts_with('/') && folder.len() > 1 {
            text = text.replace(&format!("{folder}/"), "");
        }
    }
    named_only(&text)
}

/// The text with each absolute path replaced by its last part.
fn named_only(text: &str) -> String {
    let is_end = |character: char| {
        character.is_whitespace() || matches!(character, '`' | '\'' | '"' | ')' | ']' | ',' | ';')
    };
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('/') {
        let begins = rest[..start]
            .chars()
            .next_back()
            .is_none_or(|before| is_end(before) || matches!(before, '(' | '[' | '=' | ':'));
        let path = &rest[start..];
        let length = path.find(is_end).unwrap_or(path.len());
        let path = &path[..length];
        shown.push_str(&rest[..start]);
        // `//` follows a scheme, and `/` alone is no path.
        if begins && !path.starts_with("//") && path.len() > 1 {
            // What ends a clause is no part of it.
            let named = path.trim_end_matches([':', '.']);
            let name = named.trim_end_matches('/').rsplit('/').next();
            shown.push_str(name.unwrap_or_default());
            shown.push_str(&path[named.len()..]);
        } else {
            shown.push_str(path);
        }
        rest = &rest[start + length..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_repository_or_names_alone() {
        let repository = Path::new("/srv/my models");
        for (reason, shown) in [
            (
                "/srv/my models/a/1/config.json: is no JSON",
                "a/1/config.json: is no JSON",
            ),
            (
                "`/srv/my models/a/model.onnx` and `/opt/lib/libonnxruntime.so` can't be loaded (/etc/x).",
                "`a/model.onnx` and `libonnxruntime.so` can't be loaded (x).",
            ),
            ("/home/ann/cache/: it failed", "cache: it failed"),
            (
                "see https://example.org/a/b and 1/2, n/a",
                "see https://example.org/a/b and 1/2, n/a",
            ),
            ("a / b", "a / b"),
            ("", ""),
        ] {
            assert_eq!(without_paths(reason, repository), shown);
        }
        assert_eq!(without_paths("/a/b/c", Path::new("/")), "c");
    }
}
