//! Valid config.json files, and refused ones.

use super::*;
use crate::activation::Activation;

fn parse(json: &str) -> Result<ModelConfig, String> {
    ModelConfig::parse(json.as_bytes()).map_err(|error| error.to_string())
}

fn shape(json: &str) -> Result<ModelShape, String> {
    shape_with(json, &[])
}

/// The shape, for a checkpoint with these tensors.
fn shape_with(json: &str, tensors: &[(&str, [usize; 2])]) -> Result<ModelShape, String> {
    let tensor = |name: &str| {
        let mut tensors = tensors.iter();
        tensors
            .find(|(known, _)| *known == name)
            .map(|(_, shape)| shape.as_slice())
    };
    ModelShape::new(&parse(json)?, &tensor).map_err(|error| error.to_string())
}

#[test]
fn every_key_has_the_default_of_transformers() {
    let config = parse("{}").unwrap();
    assert_eq!((config.max_tokens, config.token_types), (512, 2));
    assert_eq!((config.vocabulary_size, config.labels), (None, None));
    let shape = shape("{}").unwrap();
    assert_eq!((shape.vocab_size, shape.embedding_size), (30_522, 128));
    assert_eq!((shape.hidden_size, shape.intermediate_size), (256, 1024));
    assert_eq!(
        (shape.num_hidden_layers, shape.num_attention_heads),
        (12, 4)
    );
    assert_eq!(
        (shape.max_position_embeddings, shape.type_vocab_size),
        (512, 2)
    );
    assert_eq!(
        (shape.hidden_act, shape.head_size()),
        (Activation::Gelu, 64)
    );
    assert!(shape.layer_norm_eps > 0.0 && shape.layer_norm_eps < 1e-11);
}

#[test]
fn null_is_as_if_a_key_were_absent() {
    let nulls = r#"{"architectures": null, "max_position_embeddings": null, "vocab_size": null, "id2label": null,
        "num_labels": null, "problem_type": null, "hidden_act": null, "layer_norm_eps": null, "pruned_heads": null,
        "is_decoder": null, "quantization_config": null, "model_type": null}"#;
    assert_eq!(shape(nulls), shape("{}"));
    assert_eq!(parse(nulls).unwrap().labels, None);
}

#[test]
fn what_config_json_leaves_out_the_tensors_tell() {
    let tensors = [
        ("electra.embeddings.word_embeddings.weight", [100, 16]),
        ("electra.embeddings.position_embeddings.weight", [64, 16]),
        ("electra.embeddings.token_type_embeddings.weight", [1, 16]),
        ("electra.encoder.layer.0.output.dense.weight", [32, 48]),
        ("electra.encoder.layer.1.output.dense.weight", [32, 48]),
    ];
    let told = shape_with("{}", &tensors).unwrap();
    assert_eq!((told.vocab_size, told.embedding_size), (100, 16));
    assert_eq!((told.hidden_size, told.intermediate_size), (32, 48));
    assert_eq!(
        (told.num_hidden_layers, told.max_position_embeddings),
        (2, 64)
    );
    assert_eq!(told.type_vocab_size, 1);
    // config.json takes precedence. Whether the tensors agree is checked later, for all of them together.
    let said = shape_with(r#"{"vocab_size": 90, "num_hidden_layers": 1}"#, &tensors).unwrap();
    assert_eq!((said.vocab_size, said.num_hidden_layers), (90, 1));
    let error = shape_with(r#"{"num_hidden_layers": 1000000}"#, &tensors).unwrap_err();
    assert!(
        error.contains("`num_hidden_layers` is 1000000, but the weights have 2 layers"),
        "{error}"
    );
}

#[test]
fn a_graph_is_never_built_for_more_layers_than_there_can_be() {
    let million = r#"{"num_hidden_layers": 1000000}"#;
    let error = shape_with(million, &[]).unwrap_err();
    assert!(
        error.contains("is 1000000, but must be at most 512"),
        "{error}"
    );
    assert!(shape_with(r#"{"num_hidden_layers": 24}"#, &[]).is_ok());
    // Beside a graph.
    let config = ModelConfig::parse(million.as_bytes()).unwrap();
    assert!(config.shape().is_err());
    // Layers without content take a hundred bytes each in a file, and a graph of them some 20,000.
    let names: Vec<String> = (0..513)
        .map(|layer| format!("electra.encoder.layer.{layer}.output.dense.weight"))
        .collect();
    let tensors: Vec<_> = names.iter().map(|name| (name.as_str(), [0, 0])).collect();
    let error = shape_with("{}", &tensors).unwrap_err();
    assert!(error.contains("at most 512"), "{error}");
}

#[test]
fn a_written_config_tells_all_that_the_graph_was_built_with() {
    let config = parse(
        r#"{"architectures": ["ElectraForPreTraining"], "pruned_heads": {"0": [1]}, "custom": [1]}"#,
    );
    let config = config.unwrap();
    let tensors = [("electra.embeddings.word_embeddings.weight", &[100, 16][..])];
    let tensor = |name: &str| {
        tensors
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, shape)| *shape)
    };
    let shape = ModelShape::new(&config, &tensor).unwrap();
    let written = config.json_of(&shape);
    let read = parse(&written).unwrap();
    assert_eq!((read.vocabulary_size, read.max_tokens), (Some(100), 512));
    assert_eq!(read.architectures, ["ElectraForPreTraining"]);
    assert!(written.contains("custom") && !written.contains("pruned_heads"));
    let again = read.shape().unwrap();
    assert_eq!(
        again,
        ModelShape {
            pruned_heads: again.pruned_heads.clone(),
            ..shape
        }
    );
}

#[test]
fn labels_are_in_the_order_of_their_ids() {
    let ids: Vec<String> = (0..12).map(|id| format!(r#""{id}": "L{id}""#)).collect();
    let labels = parse(&format!(r#"{{"id2label": {{{}}}}}"#, ids.join(",")))
        .unwrap()
        .labels
        .unwrap();
    assert_eq!((labels[2].as_str(), labels[11].as_str()), ("L2", "L11"));
}

#[test]
fn labels_may_be_numbers_truth_values_or_nothing() {
    let labels = |json: &str| parse(json).unwrap().labels;
    let named = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(
        labels(r#"{"id2label": {"0": 0, "1": 2.5, "2": true, "3": null, "04": "x"}}"#),
        named(&["0", "2.5", "true", "LABEL_3", "x"])
    );
    // Of the other keys about labels, transformers reads only `num_labels`, and only without `id2label`.
    assert_eq!(
        labels(
            r#"{"id2label": {"0": "a"}, "label2id": {"a": "0", "b": 7}, "num_labels": 3, "_num_labels": 2}"#
        ),
        named(&["a"])
    );
    assert_eq!(
        labels(r#"{"num_labels": 2}"#),
        named(&["LABEL_0", "LABEL_1"])
    );
    assert_eq!(labels(r#"{"id2label": {}, "_num_labels": 2}"#), None);
}

#[test]
fn what_transformers_takes_is_taken() {
    for (json, expected) in [
        (r#"{"layer_norm_eps": 0.0}"#, "eps 0"),
        (r#"{"layer_norm_eps": 0}"#, "eps 0"),
        (r#"{"pruned_heads": {}}"#, "no heads pruned"),
        (r#"{"pruned_heads": {"3": []}}"#, "no heads pruned"),
        (
            r#"{"dtype": "float16", "transformers_version": "5.0.0"}"#,
            "as transformers 5 writes it",
        ),
        (
            r#"{"torch_dtype": "bfloat16", "use_cache": true, "output_past": true}"#,
            "as transformers 4 does",
        ),
        (
            r#"{"rope_scaling": {"a": [1]}, "n_layer": 99, "dim": "x", "quantizer": null}"#,
            "keys of others",
        ),
        (
            r#"{"is_decoder": false, "add_cross_attention": false}"#,
            "an encoder",
        ),
        ("\u{feff}{}", "a byte order mark"),
    ] {
        let shape = shape(json).unwrap_or_else(|error| panic!("{expected}: {error}"));
        assert!(shape.pruned_heads.is_empty(), "{expected}");
    }
    assert!(
        shape(r#"{"layer_norm_eps": 0.0}"#)
            .unwrap()
            .layer_norm_eps
            .abs()
            < f32::MIN_POSITIVE
    );
    for (name, activation) in [
        ("gelu_python", Activation::Gelu),
        ("gelu_accurate", Activation::GeluTanh),
        ("swish", Activation::Silu),
    ] {
        let json = format!(r#"{{"hidden_act": "{name}"}}"#);
        assert_eq!(shape(&json).unwrap().hidden_act, activation);
    }
    let pruned = shape(r#"{"pruned_heads": {"2": [3, 0], "0": [1]}}"#)
        .unwrap()
        .pruned_heads;
    assert_eq!(pruned[&2].iter().collect::<Vec<_>>(), [&0, &3]);
    assert_eq!(pruned.len(), 2);
}

#[test]
fn each_refusal_names_the_key_and_its_value() {
    for (json, key, found) in [
        (r#"{"vocab_size": "many"}"#, "`vocab_size`", "\"many\""),
        (r#"{"vocab_size": 30522.5}"#, "`vocab_size`", "30522.5"),
        (
            r#"{"max_position_embeddings": 3}"#,
            "`max_position_embeddings`",
            "is 3",
        ),
        (r#"{"type_vocab_size": 0}"#, "`type_vocab_size`", "is 0"),
        (
            r#"{"problem_type": "guess"}"#,
            "`problem_type`",
            "\"guess\"",
        ),
        (
            r#"{"architectures": "ElectraModel"}"#,
            "`architectures`",
            "list of strings",
        ),
        (r#"{"id2label": ["a"]}"#, "`id2label`", "object"),
        (
            r#"{"id2label": {"0": "a", "2": "b"}}"#,
            "`id2label.2`",
            "0 to 1",
        ),
        (
            r#"{"id2label": {"0": "a", "00": "b"}}"#,
            "`id2label.",
            "twice",
        ),
        (
            r#"{"id2label": {"0": "a", "x": "b"}}"#,
            "`id2label.x`",
            "0 to 1",
        ),
        (
            r#"{"id2label": {"0": {"name": "a"}}}"#,
            "`id2label.0`",
            "label's name",
        ),
        (r#"{"num_labels": 100000}"#, "`num_labels`", "100000"),
    ] {
        let error = parse(json).unwrap_err();
        assert!(error.contains(key) && error.contains(found), "{error}");
        assert!(error.starts_with("config.json: "), "{error}");
    }
    // Long values are truncated.
    let long = format!(r#"{{"vocab_size": "{}"}}"#, "é".repeat(5_000));
    assert!(parse(&long).unwrap_err().len() < 300);
    assert!(parse("[]").unwrap_err().contains("not a JSON object"));
    assert!(parse("{").unwrap_err().contains("not a JSON object"));
}

#[test]
fn what_no_graph_is_made_for_is_refused_by_its_key() {
    for (json, key, found) in [
        (
            r#"{"hidden_size": 255}"#,
            "`hidden_size`",
            "`num_attention_heads`",
        ),
        (r#"{"num_hidden_layers": 0}"#, "`num_hidden_layers`", "is 0"),
        (
            r#"{"num_hidden_layers": -1}"#,
            "`num_hidden_layers`",
            "is -1",
        ),
        (
            r#"{"intermediate_size": 100000000}"#,
            "`intermediate_size`",
            "is 100000000",
        ),
        (r#"{"hidden_act": "mish"}"#, "`hidden_act`", "gelu_new"),
        (r#"{"hidden_act": 1}"#, "`hidden_act`", "string"),
        (
            r#"{"model_type": "gpt2"}"#,
            "`model_type`",
            "only \"electra\"",
        ),
        (
            r#"{"position_embedding_type": "relative_key"}"#,
            "`position_embedding_type`",
            "only \"absolute\"",
        ),
        (
            r#"{"layer_norm_eps": -1e-12}"#,
            "`layer_norm_eps`",
            "not negative",
        ),
        (
            r#"{"layer_norm_eps": "1e-12"}"#,
            "`layer_norm_eps`",
            "\"1e-12\"",
        ),
        (r#"{"is_decoder": true}"#, "`is_decoder`", "decoder"),
        (
            r#"{"add_cross_attention": true}"#,
            "`add_cross_attention`",
            "decoder",
        ),
        (
            r#"{"quantization_config": {"quant_method": "bitsandbytes"}}"#,
            "`quantization_config`",
            "bitsandbytes",
        ),
        (
            r#"{"pruned_heads": {"12": [0]}}"#,
            "`pruned_heads.12`",
            "there are 12",
        ),
        (
            r#"{"pruned_heads": {"0": [4]}}"#,
            "`pruned_heads.0`",
            "0 to 3",
        ),
        (r#"{"pruned_heads": [1]}"#, "`pruned_heads`", "object"),
    ] {
        let error = shape(json).unwrap_err();
        assert!(error.contains(key) && error.contains(found), "{error}");
    }
}
