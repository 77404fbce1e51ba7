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

#[test]
fn every_error_code_is_documented_under_its_status() {
    let source = read("src/error.rs");
    let rows = source.lines().filter_map(|line| {
        let row = line.trim().split_once("=> (\"")?.1;
        let (code, status) = row.strip_suffix("),")?.split_once("\", ")?;
        Some((code.to_owned(), status.to_owned()))
    });
    let rows: BTreeSet<(String, String)> = rows.collect();
    assert!(rows.len() > 20, "{rows:?}");
    let errors = read("docs/http.md");
    let errors = errors.split("## Errors").nth(1).expect("a section");
    let documented = errors.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
    });
    let documented: BTreeSet<(String, String)> = documented
        .filter(|(status, _)| status.parse::<u16>().is_ok())
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
