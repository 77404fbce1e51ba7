//! Recognises heads from tensors and config.json together.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::*;

const CLASSIFIER: &[(&str, &[usize])] =
    &[("classifier.weight", &[3, 4]), ("classifier.bias", &[3])];
const ONE_ROW: &[(&str, &[usize])] = &[("classifier.weight", &[1, 4]), ("classifier.bias", &[1])];
const SUMMARY: &[(&str, &[usize])] = &[
    ("sequence_summary.summary.weight", &[4, 4]),
    ("sequence_summary.summary.bias", &[4]),
];
const SEQUENCE: &[(&str, &[usize])] = &[
    ("classifier.dense.weight", &[4, 4]),
    ("classifier.out_proj.weight", &[2, 4]),
];
const DISCRIMINATOR: &[(&str, &[usize])] =
    &[("discriminator_predictions.dense_prediction.weight", &[1, 4])];
const GENERATOR: &[(&str, &[usize])] = &[("generator_predictions.dense.weight", &[4, 4])];
const ANSWERS: &[(&str, &[usize])] = &[("qa_outputs.weight", &[2, 4])];

/// Writes zero tensors with these names and shapes as weights.
fn write(folder: &Path, tensors: &[(&str, &[usize])]) {
    let zeros = vec![0; 256];
    let views = tensors.iter().map(|(name, shape)| {
        let bytes = &zeros[..shape.iter().product::<usize>() * 4];
        (
            *name,
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap(),
        )
    });
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(folder.join("model.safetensors"), file).unwrap();
}

/// Recognises the head of a checkpoint that has these tensors and an encoder.
fn recognise(
    heads: &[&[(&str, &[usize])]],
    config: &str,
    wanted: Option<Task>,
) -> Result<Head, String> {
    let mut tensors: Vec<_> = heads.concat();
    tensors.push((TRUNK, &[2, 2]));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &tensors);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let config = ModelConfig::parse(config.as_bytes()).unwrap();
    Head::recognise(&checkpoint, &config, wanted).map_err(|error| error.to_string())
}

fn class(name: &str) -> String {
    format!(r#"{{"architectures": ["{name}"]}}"#)
}

#[test]
fn a_head_that_stands_alone_needs_no_architecture() {
    for (tensors, head) in [
        (DISCRIMINATOR, Head::Discriminator),
        (SEQUENCE, Head::Sequence { labels: 2 }),
        (CLASSIFIER, Head::Token { labels: 3 }),
        (ANSWERS, Head::QuestionAnswering),
    ] {
        assert_eq!(recognise(&[tensors], "{}", None), Ok(head));
        // An unknown class, and the encoder's own.
        assert_eq!(
            recognise(&[tensors], &class("MyElectraTagger"), None),
            Ok(head)
        );
        assert_eq!(
            recognise(&[tensors], &class("ElectraModel"), None),
            Ok(head)
        );
    }
    // The heads that pre-training leaves.
    let both = &[DISCRIMINATOR, GENERATOR];
    assert_eq!(recognise(both, "{}", None), Ok(Head::Discriminator));
}

#[test]
fn multiple_choice_and_the_generator_are_refused_by_name() {
    let check = |heads: &[&[(&str, &[usize])]], config: &str, expected: &str| {
        let error = recognise(heads, config, None).unwrap_err();
        assert!(
            error.contains(expected) && error.contains("can't be served"),
            "{error}"
        );
    };
    check(&[ONE_ROW, SUMMARY], "{}", "multiple choice");
    check(
        &[ONE_ROW, SUMMARY],
        &class("ElectraForMultipleChoice"),
        "multiple choice",
    );
    // With `summary_use_proj` false, only the class tells.
    check(
        &[ONE_ROW],
        &class("ElectraForMultipleChoice"),
        "multiple choice",
    );
    check(&[GENERATOR], "{}", "generator");
    check(&[GENERATOR], &class("ElectraForMaskedLM"), "generator");
    check(
        &[GENERATOR, DISCRIMINATOR],
        &class("ElectraForCausalLM"),
        "generator",
    );
}

#[test]
fn one_row_may_be_two_heads_and_someone_must_say_which() {
    let error = recognise(&[ONE_ROW], "{}", None).unwrap_err();
    assert!(
        error.contains("tag; multiple choice") && error.contains("--task"),
        "{error}"
    );
    let tagger = Ok(Head::Token { labels: 1 });
    assert_eq!(recognise(&[ONE_ROW], "{}", Some(Task::Tag)), tagger);
    assert_eq!(
        recognise(&[ONE_ROW], &class("ElectraForTokenClassification"), None),
        tagger
    );
}

#[test]
fn an_architecture_that_the_tensors_contradict_is_named_with_what_is_there() {
    for (tensors, name, found) in [
        (CLASSIFIER, "ElectraForSequenceClassification", "tag"),
        (SEQUENCE, "ElectraForTokenClassification", "classify"),
        (DISCRIMINATOR, "ElectraForQuestionAnswering", "discriminate"),
        (DISCRIMINATOR, "ElectraForMaskedLM", "discriminate"),
        (CLASSIFIER, "ElectraForMultipleChoice", "tag"),
    ] {
        let error = recognise(&[tensors], &class(name), None).unwrap_err();
        assert!(
            error.contains(name) && error.contains(&format!("the head of: {found};")),
            "{error}"
        );
    }
    // A task from the user overrides config.json.
    let classifier = recognise(
        &[SEQUENCE],
        &class("ElectraForTokenClassification"),
        Some(Task::Classify),
    );
    assert_eq!(classifier, Ok(Head::Sequence { labels: 2 }));
}

#[test]
fn of_several_heads_the_architecture_decides() {
    let both: &[&[_]] = &[DISCRIMINATOR, SEQUENCE];
    let sequence = recognise(both, &class("ElectraForSequenceClassification"), None);
    assert_eq!(sequence, Ok(Head::Sequence { labels: 2 }));
    let discriminator = recognise(both, &class("ElectraForPreTraining"), None);
    assert_eq!(discriminator, Ok(Head::Discriminator));
    let error = recognise(both, "{}", None).unwrap_err();
    assert!(error.contains("(discriminate; classify)"), "{error}");
}

#[test]
fn labels_must_be_as_many_as_rows() {
    let three = r#"{"id2label": {"0": "a", "1": "b", "2": "c"}}"#;
    assert_eq!(
        recognise(&[CLASSIFIER], three, None),
        Ok(Head::Token { labels: 3 })
    );
    for (tensors, config) in [(SEQUENCE, three), (CLASSIFIER, r#"{"num_labels": 2}"#)] {
        let error = recognise(&[tensors], config, None).unwrap_err();
        assert!(
            error.contains("id2label") && error.contains("rows"),
            "{error}"
        );
    }
    // `_num_labels`, from older versions, is ignored, as in transformers.
    let old = r#"{"_num_labels": 2, "id2label": {"0": "a", "1": "b", "2": "c"}}"#;
    assert_eq!(
        recognise(&[CLASSIFIER], old, None),
        Ok(Head::Token { labels: 3 })
    );
    // A discriminator has no labels, whatever config.json lists.
    assert_eq!(
        recognise(&[DISCRIMINATOR], three, None),
        Ok(Head::Discriminator)
    );
}

#[test]
fn tensors_of_another_model_are_not_taken_for_one_without_a_head() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |tensors: &[(&str, &[usize])]| {
        write(folder.path(), tensors);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let config = ModelConfig::parse(b"{}").unwrap();
        Head::recognise(&checkpoint, &config, None)
            .unwrap_err()
            .to_string()
    };
    // A head with ELECTRA's names does not make a checkpoint an ELECTRA model.
    for head in [&[][..], CLASSIFIER] {
        let bert = ("bert.embeddings.word_embeddings.weight", &[2, 2][..]);
        let error = refusal(&[&[bert], head].concat());
        assert!(
            error.contains("`bert.embeddings.word_embeddings.weight`"),
            "{error}"
        );
    }
    for trunk in [TRUNK, BARE_TRUNK] {
        assert!(refusal(&[(trunk, &[2, 2])]).contains("has no head"));
    }
}
