//! Holds the source to the invariants of ARCHITECTURE.md.

use std::path::{Path, PathBuf};

use crate::harness::project;

/// Every Rust file below `src`, by its path from there.
fn sources() -> Vec<(PathBuf, String)> {
    fn visit(folder: &Path, root: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                visit(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                found.push((
                    path.strip_prefix(root).expect("below src").to_path_buf(),
                    text,
                ));
            }
        }
    }
    let root = project().join("src");
    let mut found = Vec::new();
    visit(&root, &root, &mut found);
    found
}

/// Code without comments and without the tests at a file's end.
fn code(text: &str) -> String {
    let body = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    body.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Files that name a crate or module, as a path such as `axum::`.
fn naming(word: &str, inside: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let prefix = format!("{word}::");
    sources()
        .into_iter()
        .filter(|(path, text)| {
            inside(path)
                && code(text).match_indices(&prefix).any(|(at, _)| {
                    let before = code(text)[..at].chars().next_back();
                    !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
                })
        })
        .map(|(path, _)| path)
        .collect()
}

fn is_test_support(path: &Path) -> bool {
    let name = path
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    name == "tests" || name == "testing" || name.ends_with("_tests")
}

#[test]
fn each_transport_and_the_engine_alone_name_their_crates() {
    for (word, folder) in [
        ("axum", "http"),
        ("tonic", "grpc"),
        ("tonic_health", "grpc"),
        ("tonic_reflection", "grpc"),
        ("ort", "engine"),
    ] {
        assert_eq!(
            naming(word, |path| !path.starts_with(folder)),
            Vec::<PathBuf>::new(),
            "{word}"
        );
        // The check itself finds what it looks for.
        assert!(!naming(word, |path| path.starts_with(folder)).is_empty());
    }
}

#[test]
fn only_the_hub_names_ureq_and_hf_hub() {
    for word in ["ureq", "hf_hub"] {
        assert_eq!(
            naming(word, |path| !path.starts_with("hub")),
            Vec::<PathBuf>::new()
        );
        assert!(!naming(word, |path| path.starts_with("hub")).is_empty());
    }
}

#[test]
fn only_the_kernels_name_what_they_are_made_with() {
    for word in ["pulp", "multiversion", "rten_gemm", "rayon"] {
        assert_eq!(
            naming(word, |path| !path.starts_with("kernels")),
            Vec::<PathBuf>::new()
        );
        assert!(!naming(word, |path| path.starts_with("kernels")).is_empty());
    }
}

#[test]
fn pure_parts_name_no_runtime_transport_or_engine() {
    let pure = |path: &Path| {
        let folders = ["eval", "export", "heads", "kernels", "model_config", "text"];
        let files = ["activation.rs", "task.rs", "onnx.rs", "batch/policy.rs"];
        (folders.iter().any(|folder| path.starts_with(folder))
            || files.iter().any(|file| path == Path::new(file)))
            && !is_test_support(path)
    };
    for word in [
        "axum",
        "tonic",
        "ort",
        "crate::engine",
        "crate::http",
        "crate::grpc",
        "crate::service",
    ] {
        assert_eq!(naming(word, pure), Vec::<PathBuf>::new(), "{word}");
    }
    // The policy's clock is tokio's `Instant`, a value; nothing else of tokio is named.
    assert_eq!(
        naming("tokio", |path| pure(path)
            && path != Path::new("batch/policy.rs")),
        Vec::<PathBuf>::new()
    );
}

#[test]
fn the_service_names_no_transport() {
    for word in ["crate::http", "crate::grpc"] {
        assert_eq!(
            naming(word, |path| path.starts_with("service")),
            Vec::<PathBuf>::new()
        );
    }
}

#[test]
fn files_say_their_purpose_and_stay_short() {
    for (path, text) in sources() {
        assert!(
            text.starts_with("//! "),
            "{} does not begin with a line that says its purpose",
            path.display()
        );
        let lines = text.lines().count();
        assert!(
            lines <= 500 || is_test_support(&path),
            "{} has {lines} lines",
            path.display()
        );
    }
}

#[test]
fn the_code_map_names_every_folder_and_nothing_else() {
    let map = std::fs::read_to_string(project().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for entry in std::fs::read_dir(project().join("src")).expect("src") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        let shown = if entry.path().is_dir() {
            format!("`src/{name}/`")
        } else {
            format!("`src/{name}`")
        };
        if name != "lib.rs" && !is_test_support(&entry.path()) {
            assert!(map.contains(&shown), "{shown} is not in ARCHITECTURE.md");
        }
    }
    for shown in map.split('`').filter(|text| text.starts_with("src/")) {
        assert!(
            project().join(shown).exists(),
            "ARCHITECTURE.md names {shown}, which is not there"
        );
    }
}
