//! `electra export` as an operation: its output and its refusals.

use std::path::Path;

use electra_server::convert::{ConvertError, PrecisionSelection, export};
use electra_server::engine::Device;
use electra_server::export::{Precision, PrecisionChoice};
use electra_server::task::Task;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::harness::{
    Server, checkpoint, config, copy_folder, electra, export_request, exported, file_names, stderr,
};

/// Rewrites a checkpoint's weights, tensor by tensor. `None` removes a tensor.
pub fn rewrite(
    folder: &Path,
    change: impl Fn(&str, Vec<usize>, Vec<u8>) -> Option<(Vec<usize>, Vec<u8>)>,
) {
    let path = folder.join("model.safetensors");
    let bytes = std::fs::read(&path).expect("weights");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let kept: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .filter_map(|(name, view)| {
            let (shape, data) = change(name, view.shape().to_vec(), view.data().to_vec())?;
            Some((name.to_owned(), view.dtype(), shape, data))
        })
        .collect();
    let views = kept.iter().map(|(name, dtype, shape, data)| {
        (
            name.clone(),
            TensorView::new(*dtype, shape.clone(), data).expect("a tensor"),
        )
    });
    let written = safetensors::serialize(views, None).expect("safetensors");
    std::fs::write(path, written).expect("a file");
}

/// A file may have four blocks, and writing more fails as on a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_leaves_nothing_behind() {
    let output = tempfile::tempdir().expect("a folder");
    let program = electra(&["export"]);
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"";
    let run = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(program.get_program())
        .arg("export")
        .arg(checkpoint("discriminator-plain"))
        .arg("--output")
        .arg(output.path())
        .args(["--precision", "fp32"])
        .output()
        .expect("a run");
    let said = stderr(&run);
    assert_eq!(run.status.code(), Some(1), "{said}");
    for part in ["model.onnx.data", "File too large"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(file_names(output.path()), Vec::<String>::new());
}

/// Exports a changed copy of a checkpoint, and returns the refusal.
fn refusal(name: &str, change: impl Fn(&Path)) -> String {
    let (input, output) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    copy_folder(&checkpoint(name), input.path());
    change(input.path());
    let error = export(&export_request(
        input.path(),
        output.path(),
        Precision::Fp32,
    ))
    .expect_err("a refusal")
    .to_string();
    let left: Vec<_> = std::fs::read_dir(output.path())
        .expect("a folder")
        .collect();
    assert!(
        left.is_empty(),
        "a refused export leaves nothing behind: {left:?}"
    );
    error
}

#[test]
fn wrong_and_missing_tensors_are_named_with_both_shapes() {
    let error = refusal("qa-plain", |folder| {
        rewrite(folder, |name, shape, data| match name {
            "electra.encoder.layer.0.output.dense.bias" => None,
            "electra.encoder.layer.0.attention.self.query.weight" => {
                Some((vec![shape[0] * shape[1]], data))
            }
            _ => Some((shape, data)),
        });
    });
    assert!(
        error.contains("`electra.encoder.layer.0.output.dense.bias` is missing; expected shape ["),
        "{error}"
    );
    assert!(
        error.contains("`electra.encoder.layer.0.attention.self.query.weight` has shape ["),
        "{error}"
    );
    assert!(error.contains("; expected ["), "{error}");
}

#[test]
fn checkpoints_that_are_none_are_refused_with_the_way_out() {
    let check = |change: &dyn Fn(&Path), expected: &str| {
        let error = refusal("discriminator-plain", change);
        assert!(error.contains(expected), "{error}");
    };
    check(
        &|folder| std::fs::remove_file(folder.join("config.json")).expect("a file"),
        "config.json",
    );
    check(
        &|folder| std::fs::remove_file(folder.join("model.safetensors")).expect("a file"),
        "has no model.safetensors",
    );
    check(
        &|folder| {
            for file in ["tokenizer.json", "vocab.txt"] {
                let _ = std::fs::remove_file(folder.join(file));
            }
        },
        "tokenizer.json",
    );
    check(
        &|folder| {
            rewrite(folder, |name, shape, data| {
                name.starts_with("electra.").then_some((shape, data))
            });
        },
        "the checkpoint has no head",
    );
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let error = refusal("discriminator-plain", |folder| {
        let path = folder.join("config.json");
        let config = std::fs::read_to_string(&path).expect("config.json");
        let mut config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
        config["vocab_size"] = 100.into();
        std::fs::write(path, config.to_string()).expect("a file");
    });
    assert!(
        error.contains("vocab_size, only 100: they do not belong together"),
        "{error}"
    );
}

#[test]
fn the_task_asked_for_must_be_there() {
    let output = tempfile::tempdir().expect("a folder");
    let mut asked = export_request(&checkpoint("token-bio"), output.path(), Precision::Fp32);
    asked.options.task = Some(Task::Qa);
    let error = export(&asked).expect_err("a refusal").to_string();
    assert!(
        error.contains("no head for the task qa; it has the head of: tag"),
        "{error}"
    );
}

#[test]
fn int8_that_changes_decisions_is_refused_unless_accepted() {
    // With random weights, the spans' scores are close together, and int8 changes many decisions.
    let output = tempfile::tempdir().expect("a folder");
    let accepting = export_request(&checkpoint("qa-projected"), output.path(), Precision::Int8);
    let mut strict = accepting.clone();
    strict.options.accept_changed_decisions = false;
    let Err(ConvertError::ChangedDecisions(compared)) = export(&strict) else {
        panic!("a graph that decides otherwise was accepted");
    };
    let comparison = compared.comparison;
    assert!(
        comparison.decisions >= 40 && comparison.unchanged_share() < 0.99,
        "{comparison}"
    );
    assert!(!output.path().join("model.onnx").exists());
    let report = export(&accepting).expect("it is accepted when told to");
    assert_eq!(report.comparison, Some(compared));
    assert!(output.path().join("model.onnx").exists());
}

#[test]
fn automatic_precision_is_int8_where_it_decides_as_fp32_does_and_says_why() {
    let check = |name: &str, expected: Precision, reason: &PrecisionSelection| {
        let output = tempfile::tempdir().expect("a folder");
        let mut asked = export_request(&checkpoint(name), output.path(), Precision::Fp32);
        asked.options.precision = PrecisionChoice::Auto;
        asked.options.accept_changed_decisions = false;
        let report = export(&asked).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.exported.precision, expected, "{name}");
        assert_eq!(report.selection.as_ref(), Some(reason), "{name}");
        let compared = report.comparison.expect("a comparison");
        assert_eq!(compared.precision, Precision::Int8);
        // The export written is the one that the report describes. Requesting its precision by name gives the same.
        let written = |folder: &Path| {
            std::fs::read(folder.join("model.onnx.data")).expect("the graph's weights")
        };
        assert!(
            written(output.path()) == written(&exported(name, expected)),
            "{name}"
        );
    };
    check(
        "sequence-three-labels",
        Precision::Int8,
        &PrecisionSelection::Preferred {
            precision: Precision::Int8,
            device: Device::Cpu,
        },
    );
    check(
        "qa-projected",
        Precision::Fp32,
        &PrecisionSelection::ChangedDecisions {
            precision: Precision::Int8,
        },
    );
}

#[test]
fn an_export_is_complete_small_and_repeatable() {
    let folder = exported("discriminator-legacy-keys", Precision::Fp32);
    let files = file_names(&folder);
    assert_eq!(
        files,
        [
            "config.json",
            "model.onnx",
            "model.onnx.data",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    let again = tempfile::tempdir().expect("a folder");
    export(&export_request(
        &checkpoint("discriminator-legacy-keys"),
        again.path(),
        Precision::Fp32,
    ))
    .expect("an export");
    for file in files {
        let read = |folder: &Path| std::fs::read(folder.join(&file)).expect("a file");
        assert!(
            read(&folder) == read(again.path()),
            "{file} differs between two exports"
        );
    }
    let bytes = |precision| {
        std::fs::metadata(exported("qa-projected", precision).join("model.onnx.data"))
            .expect("a file")
            .len()
    };
    assert!(bytes(Precision::Int8) * 2 < bytes(Precision::Fp32));
}

/// A tokenizer's own maximum length is exported, and limits the server even if the model supports more.
#[tokio::test(flavor = "multi_thread")]
async fn a_tokenizers_limit_bounds_the_sequences() {
    let (input, repository) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let folder = checkpoint("sequence-three-labels");
    copy_folder(&folder, input.path());
    let path = input.path().join("tokenizer_config.json");
    let text = std::fs::read_to_string(&path).expect("a file");
    let mut settings: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(settings["model_max_length"], 128);
    settings["model_max_length"] = 16.into();
    std::fs::write(&path, settings.to_string()).expect("a file");
    let output = repository.path().join("limited");
    export(&export_request(input.path(), &output, Precision::Fp32)).expect("an export");

    let server = Server::start(config(repository.path())).await;
    let (_, model) = server.send(server.get("/models/limited")).await;
    assert_eq!(model["max_tokens"], 16, "{model}");
    let classify = |words: usize| server.post("/classify", &json!({"text": "the ".repeat(words)}));
    let (status, answer) = server.send(classify(14)).await;
    assert_eq!(status, 200, "{answer}");
    let error = server.refused(classify(15), 422, "too_many_tokens").await;
    assert!(error["error"].to_string().contains("16"), "{error}");
}
