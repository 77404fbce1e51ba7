//! Opens and reads checkpoints, in files written by the tests and by PyTorch.

use ::safetensors::Dtype;
use ::safetensors::tensor::TensorView;

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::export::checkpoint::is_checkpoint;
use crate::export::data_file::Float;
use crate::export::weights::{LinearRecipe, Recipe, check};
use crate::model_config::ModelConfig;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// Files in the layouts that PyTorch and transformers write, each with the checkpoint whose weights it holds.
const FORMATS: [(&str, &str); 7] = [
    ("zip", "discriminator-cased"),
    ("legacy", "discriminator-legacy-keys"),
    ("protocol-4", "token-cased"),
    ("sharded-bin", "discriminator-cased"),
    ("sharded-safetensors", "token-cased"),
    ("data-parallel", "token-cased"),
    ("views", "discriminator-cased"),
];

fn format(name: &str) -> PathBuf {
    Path::new(GOLDEN).join("formats").join(name)
}

fn checkpoint(
    tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)],
) -> (tempfile::TempDir, Result<Checkpoint, ExportError>) {
    let folder = tempfile::tempdir().unwrap();
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    ::safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors"))
        .unwrap();
    let opened = Checkpoint::open(folder.path());
    (folder, opened)
}

fn bytes<const N: usize>(values: &[f32], convert: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| convert(*value)).collect()
}

#[test]
fn every_float_type_reads_as_fp32() {
    let values: Vec<f32> = (0..60_000_u16)
        .map(|index| f32::from(index % 512) - 256.0)
        .collect();
    let halves = bytes(&values, |value| f16::from_f32(value).to_le_bytes());
    let brains = bytes(&values, |value| bf16::from_f32(value).to_le_bytes());
    let (_folder, opened) = checkpoint(&[
        (
            "fp32",
            Dtype::F32,
            vec![60_000],
            bytes(&values, f32::to_le_bytes),
        ),
        ("fp16", Dtype::F16, vec![60_000], halves),
        ("bf16", Dtype::BF16, vec![60_000], brains),
    ]);
    let mut opened = opened.unwrap();
    for name in ["fp32", "fp16", "bf16"] {
        assert_eq!(opened.read(name).unwrap(), values, "{name}");
    }
}

#[test]
fn layer_norm_keys_of_old_checkpoints_are_found() {
    let (_folder, opened) = checkpoint(&[
        (
            "a.LayerNorm.gamma",
            Dtype::F32,
            vec![1],
            bytes(&[2.0], f32::to_le_bytes),
        ),
        (
            "a.LayerNorm.beta",
            Dtype::F32,
            vec![1],
            bytes(&[3.0], f32::to_le_bytes),
        ),
    ]);
    let mut opened = opened.unwrap();
    assert_eq!(opened.read("a.LayerNorm.weight").unwrap(), [2.0]);
    assert_eq!(opened.read("a.LayerNorm.bias").unwrap(), [3.0]);
}

#[test]
fn integers_and_missing_tensors_are_refused_by_name() {
    let (_folder, opened) = checkpoint(&[("ids", Dtype::I32, vec![1], vec![0; 4])]);
    let mut opened = opened.unwrap();
    assert!(
        opened
            .read("ids")
            .unwrap_err()
            .to_string()
            .contains("tensor `ids` holds I32")
    );
    assert!(
        opened
            .read("other")
            .unwrap_err()
            .to_string()
            .contains("no tensor `other`")
    );
}

#[test]
fn files_that_are_cut_or_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let good = {
        let data = bytes(&[1.0, 2.0], f32::to_le_bytes);
        let view = TensorView::new(Dtype::F32, vec![2], &data).unwrap();
        ::safetensors::serialize([("w", view)], None).unwrap()
    };
    let check = |content: &[u8], expected: &str| {
        std::fs::write(&path, content).unwrap();
        let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&good[..good.len() - 1], "cut short");
    check(b"abc", "too short");
    check(&u64::MAX.to_le_bytes(), "not a safetensors file");
    check(b"\x02\0\0\0\0\0\0\0[]", "header can't be read");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        Checkpoint::open(folder.path()),
        Err(ExportError::NoWeights { .. })
    ));
}

#[test]
fn every_layout_has_the_same_weights() {
    for (name, same) in FORMATS {
        let mut expected =
            Checkpoint::open(&Path::new(GOLDEN).join("checkpoints").join(same)).unwrap();
        let mut found = Checkpoint::open(&format(name)).unwrap();
        let tensors: Vec<String> = expected.tensors.keys().cloned().collect();
        assert!(tensors.len() > 20);
        for tensor in tensors {
            assert_eq!(
                found.shape(&tensor),
                expected.shape(&tensor),
                "{name}: {tensor}"
            );
            if !tensor.ends_with("position_ids") {
                assert_eq!(
                    found.read(&tensor).unwrap(),
                    expected.read(&tensor).unwrap(),
                    "{name}: {tensor}"
                );
            }
        }
    }
}

#[test]
fn buffers_of_integers_are_there_but_are_no_weights() {
    for (name, numbers) in [("legacy", "int64"), ("views", "int64")] {
        let mut checkpoint = Checkpoint::open(&format(name)).unwrap();
        let ids = "electra.embeddings.position_ids";
        assert_eq!(checkpoint.shape(ids).unwrap()[0], 1);
        let error = checkpoint.read(ids).unwrap_err().to_string();
        assert!(
            error.contains(&format!("tensor `{ids}` holds {numbers}")),
            "{error}"
        );
        assert!(error.contains("pytorch_model.bin"), "{error}");
    }
}

#[test]
fn hostile_files_are_refused_with_the_reason() {
    for (file, expected) in [
        (
            "zip.bin",
            "it refers to `posix.system`, which no checkpoint needs; nothing was executed",
        ),
        (
            "legacy.bin",
            "it refers to `posix.system`, which no checkpoint needs; nothing was executed",
        ),
        (
            "stretched.bin",
            "tensor `weight`: its shape [1099511627776] has more elements than the 1 of its storage",
        ),
        (
            "sparse.bin",
            "it refers to `torch._utils._rebuild_sparse_tensor`",
        ),
        ("script.bin", "belongs to a TorchScript program"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pytorch_model.bin");
        std::fs::copy(format("hostile").join(file), &path).unwrap();
        let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{file}: {error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(!Path::new("electra-executed-a-pickle").exists());
    }
}

#[test]
fn the_first_kind_of_weights_counts() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |format_name: &str| {
        for entry in std::fs::read_dir(format(format_name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    };
    let opened = || {
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        checkpoint.path.file_name().unwrap().to_owned()
    };
    assert!(!is_checkpoint(folder.path()));
    for (name, weights) in [
        ("sharded-bin", "pytorch_model.bin.index.json"),
        ("zip", "pytorch_model.bin"),
        ("sharded-safetensors", "model.safetensors.index.json"),
        ("../checkpoints/token-cased", "model.safetensors"),
    ] {
        copy(name);
        assert_eq!(opened(), weights);
        assert!(is_checkpoint(folder.path()));
    }
}

#[test]
fn shards_must_be_complete_and_beside_their_index() {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(format("sharded-bin")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("pytorch_model.bin.index.json");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let check = |tensor: &str, shard: &str, expected: &str| {
        let mut index = index.clone();
        index["weight_map"][tensor] = shard.into();
        std::fs::write(&path, index.to_string()).unwrap();
        let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("pytorch_model.bin.index.json") && error.contains(expected),
            "{error}"
        );
    };
    let words = "electra.embeddings.word_embeddings.weight";
    let third = "pytorch_model-00003-of-00003.bin";
    assert_ne!(index["weight_map"][words], third);
    check(
        words,
        third,
        "tensor `electra.embeddings.word_embeddings.weight` in `pytorch_model-00003-of-00003.bin`",
    );
    check("other", third, "tensor `other` in");
    check(
        words,
        "gone.bin",
        "the shard `gone.bin`, which does not exist",
    );
    for path in [
        "../shard.bin",
        "/etc/passwd",
        "a/b.bin",
        "..",
        ".",
        "",
        "a\\b",
        "C:b",
    ] {
        check(words, path, "without a path");
    }
    for text in [
        "",
        "[]",
        "{}",
        r#"{"weight_map": []}"#,
        r#"{"weight_map": {"a": 1}}"#,
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("not an index of shards"), "{error}");
    }
}

#[test]
fn what_git_left_out_is_named() {
    for file in ["model.safetensors", "pytorch_model.bin"] {
        let folder = tempfile::tempdir().unwrap();
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 54236116\n";
        std::fs::write(folder.path().join(file), pointer).unwrap();
        let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("git lfs pull"), "{error}");
    }
}

/// A file by PyTorch that is damaged: truncated, with some bytes changed and some copied elsewhere.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let files = ["zip", "legacy", "protocol-4", "data-parallel", "views"];
    let whole = files.map(|name| std::fs::read(format(name).join("pytorch_model.bin")).unwrap());
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let copy = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        1_usize..64,
    );
    (
        prop::sample::select(whole.to_vec()),
        prop::collection::vec(change, 0..8),
        prop::collection::vec(copy, 0..3),
        prop::option::of(any::<prop::sample::Index>()),
        // The description is a small part of the file, but the part that is parsed.
        any::<bool>(),
    )
        .prop_map(|(mut bytes, changes, copies, cut, in_front)| {
            let places = if in_front {
                bytes.len().min(6000)
            } else {
                bytes.len()
            };
            for (place, value) in changes {
                bytes[place.index(places)] = value;
            }
            for (from, to, length) in copies {
                let (from, to) = (from.index(places), to.index(places));
                let length = length.min(bytes.len() - from.max(to));
                bytes.copy_within(from..from + length, to);
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// A damaged file is either read or refused with a sentence. No tensor takes more memory than the file's numbers
    /// account for.
    #[test]
    fn damaged_files_neither_panic_nor_grow(bytes in damaged()) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pytorch_model.bin"), &bytes).unwrap();
        match Checkpoint::open(folder.path()) {
            Ok(mut checkpoint) => {
                let names: Vec<String> = checkpoint.tensors.keys().cloned().collect();
                for name in names {
                    let elements: usize = checkpoint.shape(&name).unwrap().iter().product();
                    prop_assert!(elements <= bytes.len());
                    if let Ok(values) = checkpoint.read(&name) {
                        prop_assert_eq!(values.len(), elements);
                        prop_assert!(values.len() * 2 <= bytes.len());
                    }
                }
            }
            Err(error) => prop_assert!(error.to_string().contains("pytorch_model.bin")),
        }
    }
}

#[test]
fn pruned_heads_that_inflate_a_checkpoint_are_refused() {
    let width = 1 << 20;
    let attention = "electra.encoder.layer.0.attention";
    let names = ["query", "key", "value"].map(|part| format!("{attention}.self.{part}"));
    let mut tensors = vec![(format!("{attention}.output.dense.weight"), vec![width, 0])];
    for name in &names {
        tensors.push((format!("{name}.weight"), vec![0, width]));
        tensors.push((format!("{name}.bias"), vec![0]));
    }
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), Dtype::F32, shape.clone(), Vec::new()))
        .collect();
    let (_folder, opened) = checkpoint(&tensors);
    let mut opened = opened.unwrap();
    let config =
        r#"{"hidden_size": 1048576, "num_hidden_layers": 1, "pruned_heads": {"0": [0, 1, 2, 3]}}"#;
    let config = ModelConfig::parse(config.as_bytes()).unwrap();
    let shape = ModelShape::new(&config, &|name| opened.shape(name)).unwrap();
    opened.restore_pruned_heads(&shape).unwrap();
    let linear = LinearRecipe::from_layer(names[0].clone(), width, width);
    let recipe = Recipe::Linear {
        linear,
        weight: Float::Single,
        bias: Float::Single,
    };
    let error = check(&[recipe], &opened).unwrap_err();
    assert!(matches!(error, ExportError::Inflated { .. }), "{error}");
}
