//! Tests of [`super`].

use super::*;

fn repository(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    folder
}

fn versions(model: &FoundModel) -> Vec<String> {
    let versions = model.versions.iter();
    versions.map(|folder| folder.version.to_string()).collect()
}

#[test]
fn a_model_has_something_to_run_and_a_tokenizer() {
    let folder = repository(&[
        "b/model.onnx",
        "b/vocab.txt",
        "a/onnx/model.onnx",
        "a/tokenizer.json",
        "c/model.safetensors",
        "c/vocab.txt",
        "d/pytorch_model.bin",
        "d/tokenizer.json",
        "graph-only/model.onnx",
        "tokenizer-only/vocab.txt",
        ".hidden/model.onnx",
        ".hidden/vocab.txt",
        "README.md",
    ]);
    let models = scan(folder.path()).unwrap();
    let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert!(matches!(
        &models[0].versions[0].content,
        Content::Graph(graph) if graph.ends_with("a/onnx/model.onnx")
    ));
    for checkpoint in &models[2..] {
        assert_eq!(checkpoint.versions[0].content, Content::Checkpoint);
    }
}

#[test]
fn numbered_folders_are_versions() {
    let folder = repository(&[
        "m/10/model.onnx",
        "m/10/vocab.txt",
        "m/9/model.onnx",
        "m/9/vocab.txt",
        "m/11/model.onnx",
        "m/v12/model.onnx",
        "m/v12/vocab.txt",
        "m/.13/vocab.txt",
    ]);
    let models = scan(folder.path()).unwrap();
    assert_eq!(models.len(), 1);
    assert_eq!(versions(&models[0]), ["9", "10"], "11 has no tokenizer yet");
}

#[test]
fn a_model_folder_is_a_repository_of_one() {
    let folder = repository(&[
        "one/model.onnx",
        "one/vocab.txt",
        "two/1/model.onnx",
        "two/1/vocab.txt",
    ]);
    for name in ["one", "two"] {
        let models = scan(&folder.path().join(name)).unwrap();
        assert_eq!((models.len(), models[0].name.as_str()), (1, name));
        assert_eq!(versions(&models[0]), ["1"]);
    }
}

#[test]
fn electra_toml_chooses_the_graph() {
    let folder = repository(&["m/model.onnx", "m/vocab.txt", "m/onnx/model_quantized.onnx"]);
    let write = |text: &str| std::fs::write(folder.path().join("m/electra.toml"), text).unwrap();
    write("graph = \"onnx/model_quantized.onnx\"");
    let model = &scan(folder.path()).unwrap()[0];
    assert!(matches!(
        &model.versions[0].content,
        Content::Graph(graph) if graph.ends_with("m/onnx/model_quantized.onnx")
    ));
    write("grph = 1");
    let model = &scan(folder.path()).unwrap()[0];
    assert!(
        (model.settings.as_ref().unwrap_err())
            .to_string()
            .contains("`graph`")
    );
}

#[test]
fn a_graph_by_another_name_is_taken_where_it_is_the_only_one() {
    let folder = repository(&["m/vocab.txt", "m/onnx/model_quantized.onnx"]);
    let content = || {
        scan(folder.path())
            .unwrap()
            .remove(0)
            .versions
            .remove(0)
            .content
    };
    assert!(
        matches!(content(), Content::Graph(graph) if graph.ends_with("m/onnx/model_quantized.onnx"))
    );
    std::fs::write(folder.path().join("m/model_fp16.onnx"), "").unwrap();
    let both = ["model_fp16.onnx".into(), "onnx/model_quantized.onnx".into()];
    assert_eq!(content(), Content::Unclear(both.to_vec()));
    std::fs::write(folder.path().join("m/model.safetensors"), "").unwrap();
    assert_eq!(content(), Content::Checkpoint);
}

#[test]
fn other_files_have_another_fingerprint() {
    let folder = repository(&["m/2/model.onnx", "m/2/vocab.txt"]);
    let model = scan(folder.path()).unwrap().remove(0).versions.remove(0);
    let mut seen = vec![model.fingerprint()];
    assert_eq!(model.fingerprint(), seen[0]);
    for (file, text) in [
        ("m/2/model.onnx", "1"),
        ("m/2/onnx/x", ""),
        ("m/electra.toml", ""),
    ] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let now = model.fingerprint();
        assert!(!seen.contains(&now), "{file}");
        seen.push(now);
    }
    std::fs::create_dir(folder.path().join("m/2/.electra")).unwrap();
    std::fs::write(folder.path().join("m/2/.electra/model.onnx"), "1").unwrap();
    assert_eq!(model.fingerprint(), seen[3]);
}

#[test]
fn nothing_to_serve_says_what_to_do() {
    let error = scan(Path::new("no/such/folder")).unwrap_err().to_string();
    assert!(error.contains("--models"), "{error}");
    let folder = repository(&["raw/config.json"]);
    let error = scan(folder.path()).unwrap_err().to_string();
    assert!(
        [
            "model.onnx",
            "checkpoint",
            "electra export",
            "electra pull NAME"
        ]
        .iter()
        .all(|part| error.contains(part)),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_folder_is_lost_if_nothing_in_it_can_be_read() {
    let repository = tempfile::tempdir().unwrap();
    let at = |path: &str| repository.path().join(path);
    let is_lost = |path: &str, parent: Option<&str>| {
        let folder = ModelFolder {
            name: "a".to_owned(),
            version: Version::ONLY,
            path: at(path),
            parent: parent.map(at),
            content: Content::Checkpoint,
        };
        folder.is_lost()
    };
    let link = |to: &str, path: &str| std::os::unix::fs::symlink(at(to), at(path)).unwrap();
    assert!(!is_lost("a", None));
    std::fs::create_dir(at("a")).unwrap();
    assert!(is_lost("a", None));
    // The version's folder is gone, but from a model's folder that is empty.
    assert!(is_lost("a/1", Some("a")));
    link("none", "a/vocab.txt");
    assert!(is_lost("a", None));
    std::fs::write(at("a/config.json"), "").unwrap();
    assert!(!is_lost("a", None));
    assert!(!is_lost("a/1", Some("a")));
    std::fs::create_dir(at("a/1")).unwrap();
    assert!(is_lost("a/1", Some("a")));
    let mut folder = ModelFolder {
        name: "a".to_owned(),
        version: Version::ONLY,
        path: at("a"),
        parent: None,
        content: Content::Graph(at("a/onnx/model.onnx")),
    };
    assert!(!folder.is_lost());
    std::fs::create_dir(at("a/onnx")).unwrap();
    assert!(folder.is_lost());
    folder.content = Content::Graph(at("a/model.onnx"));
    assert!(!folder.is_lost());
    link("none", "link");
    assert!(is_lost("link", None));
    std::fs::write(at("file"), "").unwrap();
    assert!(!is_lost("file", None));
}
