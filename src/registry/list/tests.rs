//! Listing, looking up and choosing models.

use super::*;
use crate::model_folder::Content;
use crate::service::testing::Fixture;

fn model(name: &str, versions: &[&str], settings: &str) -> FoundModel {
    let folder = |version: &&str| ModelFolder {
        name: name.to_owned(),
        version: Version::named(version).unwrap(),
        path: "no/such/folder".into(),
        parent: None,
        content: Content::Checkpoint,
    };
    FoundModel {
        name: name.to_owned(),
        settings: Ok(toml::from_str(settings).unwrap()),
        hub_name: None,
        versions: versions.iter().map(folder).collect(),
    }
}

/// Models with one version each, whose files name the task.
fn registry(tasks: &[(&str, Option<Task>)]) -> Registry {
    let registry = Registry::default();
    for (name, task) in tasks {
        let folder = tempfile::tempdir().unwrap();
        if let Some(task) = task {
            std::fs::write(
                folder.path().join("electra.toml"),
                format!("task = \"{task}\""),
            )
            .unwrap();
        }
        std::fs::write(
            folder.path().join("config.json"),
            r#"{"max_position_embeddings": 8}"#,
        )
        .unwrap();
        let mut model = model(name, &["1"], "");
        folder.path().clone_into(&mut model.versions[0].path);
        registry.add(&model, true);
        registry.declare(&model.versions[0]);
    }
    registry
}

fn fail(registry: &Registry, name: &str, version: &str) {
    let model = model(name, &[version], "");
    registry.mark_failed(&model.versions[0], "broken".to_owned());
}

fn is(name: &str) -> DefaultModel {
    DefaultModel::Known(name.into())
}

#[tokio::test]
async fn only_a_model_that_serves_takes_a_route_from_one_that_serves() {
    let fixture = Fixture::new(Task::Tag);
    let models = fixture.service.registry();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("electra.toml"), "task = \"tag\"").unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    let mut first = model("a", &["1"], "");
    folder.path().clone_into(&mut first.versions[0].path);
    models.add(&first, false);
    assert_eq!(models.default_model(Task::Tag), is("model"));
    models.declare(&first.versions[0]);
    assert_eq!(models.default_model(Task::Tag), is("model"));
    fail(models, "a", "1");
    assert_eq!(models.default_model(Task::Tag), is("model"));
    // What electra.toml says chooses among those that serve.
    models.add(&model("a", &["1"], "route = true"), false);
    assert_eq!(models.default_model(Task::Tag), is("model"));
    let serving = models.state("model").unwrap().model().unwrap().clone();
    models.mark_loaded(&first.versions[0], serving);
    assert_eq!(models.default_model(Task::Tag), is("a"));
    // While it is loaded again, and if that fails, it serves.
    models.mark_loading(&first.versions[0]);
    fail(models, "a", "1");
    assert_eq!(models.default_model(Task::Tag), is("a"));
    models.mark_unloaded("a", Version::ONLY);
    assert_eq!(models.default_model(Task::Tag), is("model"));
}

#[test]
fn if_no_model_serves_the_first_by_name_is_a_routes_default() {
    let models = registry(&[
        ("b", Some(Task::Qa)),
        ("a", Some(Task::Tag)),
        ("c", Some(Task::Qa)),
    ]);
    assert_eq!(models.default_model(Task::Qa), is("b"));
    fail(&models, "b", "1");
    assert_eq!(models.default_model(Task::Qa), is("b"));
    assert_eq!(models.default_model(Task::Classify), DefaultModel::None);
    models.mark_unloaded("b", Version::ONLY);
    assert_eq!(models.default_model(Task::Qa), is("c"));
    models.remove("c", Version::ONLY);
    // An unloaded model is the last choice, so that the error names it.
    assert_eq!(models.default_model(Task::Qa), is("b"));
    models.remove("b", Version::ONLY);
    assert_eq!(models.default_model(Task::Qa), DefaultModel::None);
}

#[test]
fn the_default_waits_for_a_model_whose_task_only_its_graph_says() {
    let models = registry(&[("a", None), ("b", Some(Task::Qa))]);
    assert_eq!(
        models.default_model(Task::Qa),
        DefaultModel::Pending("a".into())
    );
    fail(&models, "a", "1");
    assert_eq!(models.default_model(Task::Qa), is("b"));
}

#[test]
fn electra_toml_gives_a_route_to_a_model() {
    let models = registry(&[
        ("a", Some(Task::Qa)),
        ("b", Some(Task::Qa)),
        ("c", Some(Task::Qa)),
    ]);
    let set = |name: &str, settings: &str| models.add(&model(name, &["1"], settings), true);
    set("c", "route = true");
    assert_eq!(models.default_model(Task::Qa), is("c"));
    set("c", "route = false");
    set("a", "route = false");
    assert_eq!(models.default_model(Task::Qa), is("b"));
}

#[test]
fn a_pulled_model_is_found_by_its_name_on_the_hub() {
    let models = Registry::default();
    let pulled = |name: &str, hub_name: &str| FoundModel {
        hub_name: Some(hub_name.to_owned()),
        ..model(name, &["1", "2"], "")
    };
    models.add(&pulled("a", "org/x"), true);
    models.add(&pulled("b", "org/x"), true);
    models.add(&pulled("c", "org/y"), true);
    models.add(&model("d", &["1"], "aliases = [\"z\"]"), true);
    models.add(&pulled("e", "z"), true);
    let found = |address: &str| models.find(address).map(|name| name.to_string());
    // If two models were pulled from the same hub name, the first by name is found. Names and aliases take precedence
    // over hub names.
    for (address, name) in [
        ("org/x", Some("a")),
        ("org/x@2", Some("a")),
        ("org/y", Some("c")),
        ("z", Some("d")),
        ("e", Some("e")),
        ("org/z", None),
    ] {
        assert_eq!(found(address).as_deref(), name, "{address}");
    }
    assert!(models.state("org/x@3").is_none());
    assert_eq!(models.status("b").unwrap().aliases, ["org/x"]);
    // A model that replaces a pulled one by hand has no hub name.
    models.add(&model("c", &["1"], ""), false);
    assert_eq!(found("org/y"), None);
}

#[test]
fn models_are_found_by_name_alias_and_version() {
    let models = registry(&[]);
    models.add(&model("a", &["1", "3"], "aliases = [\"x\", \"b\"]"), true);
    models.add(&model("b", &["2"], "aliases = [\"x\", \"y\"]"), true);
    let find = |address: &str| models.find(address).map(|name| name.to_string());
    for (address, expected) in [
        ("a", Some("a")),
        ("a@3", Some("a")),
        // Names take precedence over aliases. If two models share an alias, the first by name is found.
        ("b", Some("b")),
        ("x", Some("a")),
        ("y@2", Some("b")),
        ("z", None),
    ] {
        assert_eq!(find(address).as_deref(), expected, "{address}");
    }
    fail(&models, "a", "3");
    assert!(matches!(
        models.state("x@3"),
        Some(ModelState::Failed { .. })
    ));
    assert!(matches!(models.state("x@1"), Some(ModelState::Loading)));
    assert!(models.state("a@2").is_none(), "there is no version 2");
}

#[test]
fn versions_that_electra_toml_passes_over_are_listed_and_not_loaded() {
    let models = registry(&[]);
    models.add(&model("a", &["1", "2", "3"], "versions = \"latest\""), true);
    let states = |name: &str| -> Vec<&'static str> {
        let versions = models.status(name).unwrap().versions;
        versions
            .iter()
            .map(|(_, version)| version.state.name())
            .collect()
    };
    assert_eq!(states("a"), ["unloaded", "unloaded", "loading"]);
    assert_eq!(models.state("a").unwrap().name(), "loading");
    fail(&models, "a", "3");
    assert_eq!(models.state("a").unwrap().name(), "failed");
}
