//! Holds the documentation to the code: error codes, settings and metrics that it names, and no others.

use std::collections::BTreeSet;

use electra_server::config::SETTINGS;

use crate::harness::{default_server, project};

fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// `ResourceExhausted` as gRPC writes it: `RESOURCE_EXHAUSTED`.
fn screaming(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_uppercase());
    }
    words
}

#[test]
fn every_error_code_is_documented_under_its_status() {
    let source = read("src/error.rs");
    // `("queue_full", 429, ResourceExhausted)`
    let rows = source.lines().filter_map(|line| {
        let (code, row) = line.split_once("(\"")?.1.split_once("\", ")?;
        let (status, grpc) = row.split_once(')')?.0.split_once(", ")?;
        status.parse::<u16>().ok()?;
        Some((code.to_owned(), format!("{status} {}", screaming(grpc))))
    });
    let rows: BTreeSet<(String, String)> = rows.collect();
    assert!(rows.len() > 20, "{rows:?}");
    let errors = read("docs/http.md");
    let errors = errors.split("## Errors").nth(1).expect("a section");
    let documented = errors.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let statuses = format!("{} {}", cells.next()?, cells.next()?.replace('`', ""));
        Some((statuses, cells.next()?.to_owned()))
    });
    let documented: BTreeSet<(String, String)> = documented
        .filter(|(statuses, _)| statuses.starts_with(|first: char| first.is_ascii_digit()))
        .flat_map(|(status, codes)| {
            let codes: Vec<String> = quoted(&codes).into_iter().map(str::to_owned).collect();
            codes.into_iter().map(move |code| (code, status.clone()))
        })
        // Headers stand between backticks too, and have hyphens.
        .filter(|(code, _)| !code.contains('-'))
        .collect();
    assert_eq!(documented, rows);
}

#[test]
fn every_setting_is_in_the_readme_with_its_default() {
    let readme = read("README.md");
    for setting in SETTINGS {
        let row = format!("| `{}` | {} |", setting.key, setting.default);
        assert!(readme.contains(&row), "README.md lacks the row `{row}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_in_the_readme_and_no_other() {
    let server = default_server();
    let metrics = server.metrics().await;
    let families: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let readme = read("README.md");
    let documented: BTreeSet<&str> = quoted(&readme)
        .into_iter()
        .filter(|name| name.starts_with("electra_"))
        .map(|name| name.trim_end_matches("_total").trim_end_matches("_info"))
        .collect();
    assert_eq!(documented, families);
}
