//! Checks that the source has the structure and the invariants of ARCHITECTURE.md.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use crate::harness::project;
use imports::{Imports, circles, room};

/// The text of every Rust file in `src`, by its path from there.
static SOURCES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    fn visit(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                visit(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                let name = path.strip_prefix(root).expect("below src");
                found.insert(name.to_str().expect("UTF-8").to_owned(), text);
            }
        }
    }
    let root = project().join("src");
    let mut found = BTreeMap::new();
    visit(&root, &root, &mut found);
    found
});

/// The imports of product code. Tests and their helpers are left out.
static IMPORTS: LazyLock<Imports> = LazyLock::new(|| {
    let sources = SOURCES.iter().filter(|(file, _)| !is_for_tests(file));
    Imports::read(sources.map(|(file, text)| (file.as_str(), text.as_str())))
});

fn is_for_tests(file: &str) -> bool {
    let stem = file.rsplit('/').next().unwrap_or(file);
    let stem = stem.trim_end_matches(".rs");
    stem == "tests" || stem == "testing" || stem.ends_with("_tests") || file.contains("/tests/")
}

fn architecture() -> String {
    std::fs::read_to_string(project().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md")
}

/// Parses the code map's rows for `src`: each room, and the rooms that it may use.
fn allowed_arrows() -> BTreeMap<String, BTreeSet<String>> {
    let map = architecture();
    let rows = map.lines().filter(|line| line.starts_with("| `src/"));
    let names = |cell: &str| -> Vec<String> {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    };
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [place, _, uses] = cells[..] else {
            panic!("a row of the code map has a place, a purpose and what it uses: {row}");
        };
        let place = &names(place)[0];
        let place = place.trim_start_matches("src/").trim_end_matches('/');
        (room(place).to_owned(), names(uses).into_iter().collect())
    })
    .collect()
}

#[test]
fn no_rooms_or_files_import_each_other_in_a_circle() {
    assert_eq!(circles(&IMPORTS.rooms()), Vec::<Vec<String>>::new());
    assert_eq!(circles(&IMPORTS.files), Vec::<Vec<String>>::new());
}

#[test]
fn rooms_use_what_the_code_map_allows_and_nothing_else() {
    let found = IMPORTS.rooms();
    assert!(found.len() > 20, "{found:?}");
    let allowed = allowed_arrows();
    for (room, uses) in &found {
        assert_eq!(
            allowed.get(room),
            Some(uses),
            "what `{room}` uses, in ARCHITECTURE.md and in the code"
        );
    }
    let unknown = allowed.keys().find(|room| !found.contains_key(*room));
    assert_eq!(
        unknown, None,
        "ARCHITECTURE.md has a room that is not there"
    );
}

/// Files outside the rooms in `allowed` that name a crate.
fn naming(name: &str, allowed: &[&str]) -> Vec<String> {
    let named = |file: &&String| IMPORTS.crates[*file].contains(name);
    // Ensures that the check would find a violation.
    assert!(IMPORTS.crates.keys().any(|file| named(&file)), "{name}");
    let files = IMPORTS.crates.keys().filter(named);
    files
        .filter(|file| !allowed.contains(&room(file)) && !allowed.contains(&file.as_str()))
        .cloned()
        .collect()
}

#[test]
fn one_room_names_each_of_the_large_crates() {
    let tonic: &[&str] = &["grpc", "bench/grpc_client.rs"];
    for (name, rooms) in [
        ("axum", &["http"][..]),
        ("tonic", tonic),
        ("tonic_health", tonic),
        ("tonic_reflection", tonic),
        ("ort", &["engine"]),
        ("pulp", &["kernels"]),
        ("multiversion", &["kernels"]),
        ("rten_gemm", &["kernels"]),
        ("rayon", &["kernels"]),
        ("ureq", &["hub"]),
        ("hf_hub", &["hub"]),
        ("tokio_rustls", &["tls"]),
        ("clap", &["cli", "main"]),
    ] {
        assert_eq!(naming(name, rooms), Vec::<String>::new(), "{name}");
    }
}

/// What decides about turns, waits and batches.
const POLICY: [&str; 8] = [
    "batch/admission.rs",
    "batch/backlog.rs",
    "batch/fair_order.rs",
    "batch/policy.rs",
    "batch/size.rs",
    "batch/virtual_time.rs",
    "connections/places.rs",
    "executor/turns.rs",
];

#[test]
fn pure_rooms_name_no_runtime() {
    let pure = |file: &str| {
        let rooms = [
            "activation",
            "browsers",
            "client",
            "eval",
            "export",
            "fields",
            "heads",
            "kernels",
            "limits",
            "model_config",
            "onnx",
            "task",
            "text",
        ];
        // The run itself uses the service.
        (rooms.contains(&room(file)) && file != "eval/run.rs") || POLICY.contains(&file)
    };
    let impure = IMPORTS
        .crates
        .iter()
        .filter(|(file, crates)| pure(file) && crates.contains("tokio"));
    assert_eq!(
        impure.map(|(file, _)| file).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

#[test]
fn files_say_their_purpose() {
    for (file, text) in SOURCES.iter() {
        let says = text.starts_with("//! ");
        assert!(
            says,
            "{file} does not begin with a line that says its purpose"
        );
    }
}

#[test]
fn what_the_architecture_names_is_there() {
    for shown in architecture()
        .split('`')
        .filter(|text| text.starts_with("src/"))
    {
        assert!(
            project().join(shown).exists(),
            "ARCHITECTURE.md names {shown}, which is not there"
        );
    }
}
