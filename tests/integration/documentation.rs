//! Checks the documentation against the code: error codes, settings and metrics must match exactly. Checks its
//! structure too: every page is in the table of contents, and no link is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use electra_server::config::SETTINGS;

use crate::harness::{default_server, project};

fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts between backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Converts `ResourceExhausted` to gRPC's spelling, `RESOURCE_EXHAUSTED`.
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
        // Headers are in backticks too, but have hyphens.
        .filter(|(code, _)| !code.contains('-'))
        .collect();
    assert_eq!(documented, rows);
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let page = read("docs/configuration.md");
    for setting in SETTINGS {
        let row = format!("| `{}` | {} |", setting.key, setting.default);
        assert!(
            page.contains(&row),
            "docs/configuration.md lacks the row `{row}`"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_no_other() {
    let server = default_server();
    let metrics = server.metrics().await;
    let families: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let page = read("docs/metrics.md");
    let rows: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(|name| name.trim_end_matches("_total").trim_end_matches("_info"))
        .collect();
    assert_eq!(rows, families);
    // Queries name the series of a metric family.
    let mentioned = page
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("electra_"));
    for name in mentioned {
        let family = ["_total", "_info", "_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        assert!(
            families.contains(family),
            "docs/metrics.md names {name}, which is no metric"
        );
    }
}

/// The Markdown files of docs/, relative to the project.
fn pages() -> BTreeSet<String> {
    let folder = std::fs::read_dir(project().join("docs")).expect("docs/");
    folder
        .map(|entry| entry.expect("docs/").file_name())
        .filter_map(|name| name.into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|it| it == "md"))
        .map(|name| format!("docs/{name}"))
        .collect()
}

/// The lines outside code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The targets of links `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        let line = without_code(line);
        for link in line.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            targets.push(target.to_owned());
        }
    }
    targets
}

/// The anchors of the headings, as GitHub and mdBook make them: `## POST /qa` is `post-qa`.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchors = headings.map(|heading| {
        let anchor: String = heading
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect();
        let times: &mut usize = seen.entry(anchor.clone()).or_default();
        *times += 1;
        match *times {
            1 => anchor,
            times => format!("{anchor}-{}", times - 1),
        }
    });
    anchors.collect()
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# A `b.toml` of /c\n```\n# no heading\n```\n## Twice: x_y\n### Twice: x_y\n";
    let expected = ["a-btoml-of-c", "twice-x_y", "twice-x_y-1"];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let listed = links(&read("docs/SUMMARY.md"));
    let distinct: BTreeSet<String> = listed.iter().map(|page| format!("docs/{page}")).collect();
    assert_eq!(distinct.len(), listed.len(), "a page is listed twice");
    let mut pages = pages();
    pages.remove("docs/SUMMARY.md");
    assert_eq!(distinct, pages);
}

#[test]
fn every_link_leads_somewhere() {
    let mut files = pages();
    files.extend(
        [
            "README.md",
            "ARCHITECTURE.md",
            "deploy/README.md",
            "models/README.md",
            "tests/clients/README.md",
            "tests/fuzz/README.md",
            "tests/reliability/README.md",
            "bench/peers/README.md",
        ]
        .map(str::to_owned),
    );
    files.extend(
        ["CONTRIBUTING.md", "CHANGELOG.md"]
            .map(str::to_owned)
            .into_iter()
            .filter(|file| project().join(file).exists()),
    );
    let mut broken = Vec::new();
    for file in files {
        let text = read(&file);
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                PathBuf::from(&file)
            } else {
                Path::new(&file)
                    .parent()
                    .map(|folder| folder.join(path))
                    .expect("a file is in a folder")
            };
            let is_there = project().join(&target).exists()
                && (anchor.is_empty()
                    || anchors(&read(&target.to_string_lossy())).contains(anchor));
            if !is_there {
                broken.push(format!("{file}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
