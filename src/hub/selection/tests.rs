//! Tests of [`super`].

use super::*;

fn owned(files: &[&str]) -> Vec<String> {
    files.iter().map(|file| (*file).to_owned()).collect()
}

fn selected(files: &[&str]) -> Result<Vec<String>, SelectionError> {
    select(&owned(files)).map(|selection| selection.files)
}

#[test]
fn one_kind_of_weights_is_taken_of_the_listings_of_known_repositories() {
    // google/electra-base-discriminator
    assert_eq!(
        selected(&[
            ".gitattributes",
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "pytorch_model.bin",
            "rust_model.ot",
            "tf_model.h5",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.txt",
        ])
        .unwrap(),
        [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.txt",
            "pytorch_model.bin"
        ]
    );
    // deepset/electra-base-squad2
    assert_eq!(
        selected(&[
            ".gitattributes",
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "model.safetensors",
            "pytorch_model.bin",
            "special_tokens_map.json",
            "tokenizer_config.json",
            "vocab.txt",
        ])
        .unwrap(),
        [
            "config.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "vocab.txt",
            "model.safetensors"
        ]
    );
    // A training run, pushed unchanged.
    assert_eq!(
        selected(&[
            "added_tokens.json",
            "checkpoint-500/model.safetensors",
            "checkpoint-500/optimizer.pt",
            "config.json",
            "model.safetensors",
            "onnx/model.onnx",
            "optimizer.pt",
            "runs/events.out.tfevents.1",
            "scheduler.pt",
            "tokenizer.json",
            "training_args.bin",
        ])
        .unwrap(),
        [
            "config.json",
            "tokenizer.json",
            "added_tokens.json",
            "model.safetensors"
        ]
    );
}

#[test]
fn of_shards_the_index_comes_first_and_says_which() {
    let files = owned(&[
        "config.json",
        "vocab.txt",
        "model.safetensors.index.json",
        "model-00000-of-00001.safetensors",
        "model-000001-of-000002.safetensors",
        "model-00001-of-00003.safetensors",
        "pytorch_model.bin",
    ]);
    let selection = select(&files).unwrap();
    assert_eq!(
        selection.index.as_deref(),
        Some("model.safetensors.index.json")
    );
    assert_eq!(selection.files[2..], ["model.safetensors.index.json"]);
    // Any numbering works, and shards of an older set are ignored.
    let find = |named: &[&str]| shards(&files, "model.safetensors.index.json", owned(named));
    for named in [
        &["model-00000-of-00001.safetensors"][..],
        &[
            "model-000001-of-000002.safetensors",
            "model-00001-of-00003.safetensors",
        ],
    ] {
        assert_eq!(find(named), Ok(owned(named)));
    }
    assert_eq!(
        find(&[
            "a.safetensors",
            "model-00000-of-00001.safetensors",
            "b.safetensors"
        ]),
        Err(SelectionError::MissingShards {
            index: "model.safetensors.index.json".to_owned(),
            missing: "a.safetensors, b.safetensors".to_owned(),
        })
    );
    let torch = owned(&["config.json", "vocab.txt", "pytorch_model.bin.index.json"]);
    let index = select(&torch).unwrap().index;
    assert_eq!(index.as_deref(), Some("pytorch_model.bin.index.json"));
    assert_eq!(
        select(&files[..2]).map_err(|error| error.to_string().contains("no weights")),
        Err(true)
    );
}

#[test]
fn an_adapter_is_told_from_a_model() {
    let adapter = [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
    ];
    assert!(is_adapter(&owned(&adapter)));
    assert!(is_adapter(&owned(
        &[&adapter[..], &["config.json"]].concat()
    )));
    assert!(!is_adapter(&owned(
        &[&adapter[..], &["config.json", "model.safetensors"]].concat()
    )));
    assert!(!is_adapter(&owned(&["config.json", "tf_model.h5"])));
}

#[test]
fn what_is_missing_is_said_with_what_is_there() {
    let error = selected(&[
        "config.json",
        "vocab.txt",
        "tf_model.h5",
        "flax_model.msgpack",
    ]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("only tf_model.h5 (TensorFlow), flax_model.msgpack (Flax)"),
        "{error}"
    );
    let error = selected(&["config.json", "vocab.txt"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("no weights at all"), "{error}");
    assert_eq!(selected(&["README.md"]), Err(SelectionError::NoConfig));
    assert_eq!(
        selected(&["config.json", "model.safetensors"]),
        Err(SelectionError::NoTokenizer)
    );
}
