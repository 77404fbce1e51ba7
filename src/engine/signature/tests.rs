//! Signatures concluded from the inputs and outputs that graphs declare, and refusals.

use super::*;

fn tensor(name: &str, datatype: &str, shape: &[i64]) -> TensorInfo {
    TensorInfo {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
    }
}

fn ids(names: &[&str]) -> Vec<TensorInfo> {
    let tensors = names.iter().map(|name| tensor(name, "INT64", &[-1, -1]));
    tensors.collect()
}

/// The three inputs that most graphs have.
fn usual() -> Vec<TensorInfo> {
    ids(&["input_ids", "attention_mask", "token_type_ids"])
}

#[test]
fn inputs_are_taken_in_any_order_and_either_width() {
    let mut inputs = ids(&["attention_mask", "position_ids", "input_ids"]);
    inputs[1].datatype = "INT32".to_owned();
    let logits = [tensor("logits", "FP32", &[-1, 3])];
    let signature = Signature::padded(&inputs, &logits).unwrap();
    assert_eq!(
        signature.inputs,
        GraphInputs::Padded(vec![
            (PaddedInput::AttentionMask, Integer::Int64),
            (PaddedInput::PositionIds, Integer::Int32),
            (PaddedInput::InputIds, Integer::Int64),
        ])
    );
}

#[test]
fn outputs_tell_rows_width_and_task() {
    use OutputRows::{Sequences, Tokens};
    let check = |outputs: &[(&str, &[i64])], rows, width, task| {
        let outputs = outputs
            .iter()
            .map(|(name, shape)| tensor(name, "FP16", shape));
        let outputs: Vec<TensorInfo> = outputs.collect();
        let signature = Signature::padded(&usual(), &outputs).unwrap();
        let found = (signature.output.rows, signature.output.width);
        assert_eq!(found, (rows, width), "{outputs:?}");
        let concluded = signature.concluded_task().map(|concluded| concluded.task);
        assert_eq!(concluded, task, "{outputs:?}");
    };
    check(&[("logits", &[-1, 3])], Sequences, 3, Some(Task::Classify));
    check(&[("logits", &[-1, 1])], Sequences, 1, Some(Task::Classify));
    check(
        &[("logits", &[-1, -1])],
        Tokens,
        1,
        Some(Task::Discriminate),
    );
    check(
        &[("logits", &[-1, -1, 1])],
        Tokens,
        1,
        Some(Task::Discriminate),
    );
    check(&[("logits", &[-1, -1, 5])], Tokens, 5, Some(Task::Tag));
    let ends: &[(&str, &[i64])] = &[("end_logits", &[-1, -1]), ("start_logits", &[-1, -1])];
    check(ends, Tokens, 2, Some(Task::Qa));
    // Outputs beside `logits` are ignored. A single output may have another name, but then implies no task.
    check(
        &[("hidden", &[-1, -1, 8]), ("logits", &[-1, 2])],
        Sequences,
        2,
        Some(Task::Classify),
    );
    check(&[("output", &[-1, -1, 1])], Tokens, 1, None);
    check(
        &[("last_hidden_state", &[-1, -1, 8]), ("scores", &[-1, 4])],
        Sequences,
        4,
        None,
    );
}

#[test]
fn what_can_not_be_fed_or_read_is_named() {
    let logits = || tensor("logits", "FP32", &[-1, 3]);
    let check = |inputs: Vec<TensorInfo>, outputs: &[TensorInfo], expected: &[&str]| {
        let reason = Signature::padded(&inputs, outputs).unwrap_err();
        for words in expected {
            assert!(reason.contains(words), "{reason}");
        }
    };
    let image = ids(&["input_ids", "pixel_values", "attention_mask"]);
    check(
        image,
        &[logits()],
        &["it needs the input `pixel_values`;", "`input_ids`"],
    );
    let decoder = ids(&["input_ids", "attention_mask", "decoder_input_ids"]);
    check(decoder, &[logits()], &["`decoder_input_ids`"]);
    check(
        ids(&["attention_mask"]),
        &[logits()],
        &["no input `input_ids`"],
    );
    check(
        ids(&["input_ids"]),
        &[logits()],
        &["no input `attention_mask`"],
    );
    for shape in [&[1, -1][..], &[-1, 128], &[8, 128], &[-1, -1, -1]] {
        let mut inputs = usual();
        inputs[0].shape = shape.to_vec();
        check(inputs, &[logits()], &["`input_ids`", "dynamic"]);
    }
    let mut inputs = usual();
    inputs[1].datatype = "FP32".to_owned();
    check(inputs, &[logits()], &["`attention_mask` has the type FP32"]);

    let hidden = || tensor("last_hidden_state", "FP32", &[-1, -1, 32]);
    let pooled = tensor("pooler_output", "FP32", &[-1, 32]);
    for outputs in [&[hidden()][..], &[hidden(), pooled]] {
        let way_out = ["it has no head", "`last_hidden_state`", "electra export"];
        check(usual(), outputs, &way_out);
    }
    let two = [("a", &[-1, 3]), ("b", &[-1, 2])].map(|(name, shape)| tensor(name, "FP32", shape));
    check(usual(), &two, &["`a`, `b`", "several"]);
    check(usual(), &[], &["none of them could be the logits"]);
    check(
        usual(),
        &[tensor("start_logits", "FP32", &[-1, -1])],
        &["`start_logits`, and none"],
    );
    let ends = [("start_logits", &[-1, -1]), ("end_logits", &[-1, 7])];
    let ends = ends.map(|(name, shape)| tensor(name, "FP32", shape));
    check(usual(), &ends, &["`end_logits` has the shape [-1, 7]"]);
    check(
        usual(),
        &[tensor("logits", "FP32", &[-1, -1, -1])],
        &["`logits` has the shape"],
    );
    check(
        usual(),
        &[tensor("logits", "FP64", &[-1, 3])],
        &["`logits` has the type FP64"],
    );
}
