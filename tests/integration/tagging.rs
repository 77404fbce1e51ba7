//! `/tag` with labels of other schemes than BIO, and with labels whose names have hyphens.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Server, config, copy_folder, default_models, electra};

const MODEL: &str = "electra-mini-chunker";

/// The default chunker with other labels.
fn relabelled(models: &Path, rename: impl Fn(&str) -> String) {
    let folder = models.join(MODEL);
    copy_folder(&default_models().join(MODEL), &folder);
    let config = std::fs::read_to_string(folder.join("config.json")).expect("config.json");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    let names = config["id2label"].as_object().expect("labels");
    let labels: Vec<String> = (0..names.len())
        .map(|id| rename(names[&id.to_string()].as_str().expect("a name")))
        .collect();
    let settings = format!("labels = {}", json!(labels));
    std::fs::write(folder.join("electra.toml"), settings).expect("electra.toml");
}

/// The labels and texts of entities.
fn entities(list: &Value, label: &str, text: &str) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().expect("a string").to_owned();
    let list = list.as_array().expect("a list");
    list.iter()
        .map(|entity| (word(&entity[label]), word(&entity[text])))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(label, text): &(&str, &str)| ((*label).to_owned(), (*text).to_owned());
    pairs.iter().map(owned).collect()
}

/// The native route groups by the scheme of the model's labels. Hugging Face's route groups as transformers does, which
/// knows BIO only.
#[tokio::test]
async fn entities_are_grouped_by_the_scheme_of_the_labels() {
    let models = tempfile::tempdir().expect("a folder");
    relabelled(models.path(), |label| match label {
        "B-VP" => "Drug-Dose".to_owned(),
        "B-PP" => "S-PP".to_owned(),
        label => label.replace("I-", "E-"),
    });
    let server = Server::start(config(models.path())).await;
    let text = "The old man bought a new car in London.";
    let answer = server.ask("/tag", &json!({"text": text})).await;
    assert_eq!(
        entities(&answer["results"][0]["entities"], "label", "text"),
        pairs(&[
            ("NP", "The old"),
            ("NP", "man"),
            ("Drug-Dose", "bought"),
            ("NP", "a new"),
            ("NP", "car"),
            ("PP", "in"),
            ("NP", "London")
        ])
    );
    let body = json!({"inputs": text, "parameters": {"aggregation_strategy": "simple"}});
    let answer = server.ask(&format!("/models/{MODEL}"), &body).await;
    assert_eq!(
        entities(&answer, "entity_group", "word"),
        pairs(&[
            ("NP", "the"),
            ("NP", "old man"),
            ("Dose", "bought"),
            ("NP", "a"),
            ("NP", "new car"),
            ("PP", "in"),
            ("NP", "london")
        ])
    );

    // The native route's entities are scored, so data with the same entities in a scheme of its own scores 1.
    let data = models.path().join("data.txt");
    let lines = "The B-NP\nold I-NP\nman B-NP\nbought Drug-Dose\na B-NP\nnew I-NP\ncar B-NP\nin B-PP\nLondon B-NP\n. O\n";
    std::fs::write(&data, lines).expect("a file");
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let arguments = [
        "eval",
        "--models",
        &path(models.path()),
        MODEL,
        "--data",
        &path(&data),
        "--json",
    ];
    let output = electra(&arguments).output().expect("an end");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let scores = &report["results"][0]["scores"];
    assert_eq!(
        [&scores["chunks"], &scores["f1"], &scores["accuracy"]],
        [&json!(7), &json!(1.0), &json!(1.0)],
        "{scores}"
    );
}

/// `KoELECTRA`'s taggers write the position after the type: `PER-B`.
#[tokio::test]
async fn the_place_in_an_entity_may_stand_behind() {
    let models = tempfile::tempdir().expect("a folder");
    relabelled(models.path(), |label| match label.split_once('-') {
        Some((letter, kind)) => format!("{kind}-{letter}"),
        None => label.to_owned(),
    });
    let server = Server::start(config(models.path())).await;
    let answer = server
        .ask("/tag", &json!({"text": "The old man bought a car."}))
        .await;
    assert_eq!(
        entities(&answer["results"][0]["entities"], "label", "text"),
        pairs(&[("NP", "The old man"), ("VP", "bought"), ("NP", "a car")])
    );
}
