//! Tests the rules of tagging one by one, then compares with transformers' pipeline on the golden files.

use std::fs;

use serde_json::{Value, json};

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// The labels of electra-mini-chunker, whose golden logits are in the folder of the small checkpoints'.
const CHUNK_LABELS: [&str; 22] = [
    "O", "B-ADJP", "I-ADJP", "B-ADVP", "I-ADVP", "B-CONJP", "I-CONJP", "B-INTJ", "I-INTJ", "B-LST",
    "B-NP", "I-NP", "B-PP", "I-PP", "B-PRT", "I-PRT", "B-SBAR", "I-SBAR", "B-UCP", "I-UCP", "B-VP",
    "I-VP",
];

/// A token with the given probability for one of three labels; the other labels share the rest.
fn logits(label: usize, probability: f32) -> Vec<f32> {
    let mut logits = vec![((1.0 - probability) / 2.0).ln(); 3];
    logits[label] = probability.ln();
    logits
}

/// Checks tokens of two bytes each. `tokens` has the best label, its probability, and whether the token continues a
/// word.
fn check(
    labels: [&str; 3],
    tokens: &[(usize, f32, bool)],
    aggregation: Aggregation,
    expected: &[(&str, f32, Range<usize>)],
) {
    check_grouped(Grouping::Pipeline, labels, tokens, aggregation, expected);
}

fn check_grouped(
    grouping: Grouping,
    labels: [&str; 3],
    tokens: &[(usize, f32, bool)],
    aggregation: Aggregation,
    expected: &[(&str, f32, Range<usize>)],
) {
    let logits: Vec<Vec<f32>> = tokens
        .iter()
        .map(|&(label, probability, _)| logits(label, probability))
        .collect();
    let tagged: Vec<TaggedToken> = tokens
        .iter()
        .zip(&logits)
        .enumerate()
        .map(|(index, (&(_, _, continues_word), logits))| TaggedToken {
            logits,
            bytes: 2 * index..2 * index + 2,
            continues_word,
        })
        .collect();
    let labels = labels.map(str::to_owned);
    let found = entities(&tagged, &labels, &["O"], aggregation, grouping);
    assert_eq!(found.len(), expected.len(), "{aggregation:?}: {found:?}");
    for (entity, (label, score, tokens)) in found.iter().zip(expected) {
        assert_eq!(entity.label, *label, "{aggregation:?}");
        assert_eq!(entity.tokens, *tokens, "{aggregation:?}");
        assert_eq!(
            entity.bytes,
            2 * tokens.start..2 * tokens.end,
            "{aggregation:?}"
        );
        assert!(
            (entity.score - score).abs() < 1e-6,
            "{aggregation:?}: {entity:?}"
        );
    }
}

const BIO: [&str; 3] = ["O", "B-NP", "I-NP"];

#[test]
fn none_keeps_every_token_and_its_whole_label() {
    let tokens = [(1, 0.9, false), (2, 0.8, true), (0, 0.7, false)];
    check(
        BIO,
        &tokens,
        Aggregation::None,
        &[("B-NP", 0.9, 0..1), ("I-NP", 0.8, 1..2)],
    );
}

#[test]
fn simple_joins_adjacent_tokens_of_one_tag() {
    let tokens = [
        (1, 0.9, false),
        (2, 0.7, false),
        (1, 0.6, true),
        (0, 0.9, false),
        (2, 0.5, false),
    ];
    check(
        BIO,
        &tokens,
        Aggregation::Simple,
        &[("NP", 0.8, 0..2), ("NP", 0.6, 2..3), ("NP", 0.5, 4..5)],
    );
}

#[test]
fn words_take_one_label() {
    // A word of three tokens, then a word of one token.
    let tokens = [
        (1, 0.5, false),
        (2, 0.9, true),
        (1, 0.6, true),
        (2, 0.8, false),
    ];
    check(BIO, &tokens, Aggregation::First, &[("NP", 0.65, 0..4)]);
    check(BIO, &tokens, Aggregation::Max, &[("NP", 0.85, 0..4)]);
    // B-NP: (0.5 + 0.05 + 0.6) / 3, I-NP: (0.25 + 0.9 + 0.2) / 3.
    check(
        BIO,
        &tokens,
        Aggregation::Average,
        &[("NP", f32::midpoint(0.45, 0.8), 0..4)],
    );
    // A continuation at the start of a text starts a word.
    check(
        BIO,
        &[(1, 0.5, true)],
        Aggregation::First,
        &[("NP", 0.5, 0..1)],
    );
}

#[test]
fn of_equally_certain_tokens_the_first_decides() {
    let tokens = [(1, 0.6, false), (0, 0.6, true)];
    check(BIO, &tokens, Aggregation::Max, &[("NP", 0.6, 0..2)]);
}

#[test]
fn labels_without_prefix_join_as_continuations() {
    let labels = ["LOC", "B-LOC", "X-Y-Z"];
    let tokens = [
        (1, 0.5, false),
        (0, 0.7, false),
        (2, 0.9, false),
        (2, 0.9, false),
    ];
    check(
        labels,
        &tokens,
        Aggregation::Simple,
        &[("LOC", 0.6, 0..2), ("Y-Z", 0.9, 2..4)],
    );
}

/// Checks the entities of words with the given labels and equal probabilities, by the scheme of the labels.
fn check_scheme(labels: [&str; 3], words: &[usize], expected: &[(&str, Range<usize>)]) {
    let grouping = Grouping::Scheme(Scheme::of(labels));
    let tokens: Vec<_> = words.iter().map(|label| (*label, 0.9, false)).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(label, words)| (*label, 0.9, words.clone()))
        .collect();
    for aggregation in [Aggregation::Simple, Aggregation::First, Aggregation::Max] {
        check_grouped(grouping, labels, &tokens, aggregation, &expected);
    }
}

#[test]
fn entities_begin_and_end_as_the_scheme_has_it() {
    check_scheme(
        BIO,
        &[1, 2, 1, 0, 2, 2],
        &[("NP", 0..2), ("NP", 2..3), ("NP", 4..6)],
    );
    let bioes = ["B-X", "E-X", "S-X"];
    check_scheme(
        bioes,
        &[0, 1, 2, 2, 1],
        &[("X", 0..2), ("X", 2..3), ("X", 3..4), ("X", 4..5)],
    );
    check_scheme(
        ["U-X", "L-X", "I-X"],
        &[2, 1, 2, 0, 1],
        &[("X", 0..2), ("X", 2..3), ("X", 3..4), ("X", 4..5)],
    );
    check_scheme(
        ["X-B", "X-I", "O"],
        &[0, 1, 0, 2],
        &[("X", 0..2), ("X", 2..3)],
    );
    check_scheme(
        ["Drug-Dose", "Drug-Name", "O"],
        &[0, 0, 1, 2, 1],
        &[
            ("Drug-Dose", 0..2),
            ("Drug-Name", 2..3),
            ("Drug-Name", 4..5),
        ],
    );
    // The pipeline uses its own rules.
    check(
        bioes,
        &[(0, 0.9, false), (1, 0.9, false)],
        Aggregation::Simple,
        &[("X", 0.9, 0..1), ("X", 0.9, 1..2)],
    );
}

#[test]
fn tokens_of_one_word_may_all_be_its_end() {
    let labels = ["B-X", "E-X", "S-X"];
    let grouping = Grouping::Scheme(Scheme::of(labels));
    let simple = |tokens: &[(usize, f32, bool)], expected: &[(&str, f32, Range<usize>)]| {
        check_grouped(grouping, labels, tokens, Aggregation::Simple, expected);
    };
    simple(
        &[(2, 0.9, false), (2, 0.9, true), (2, 0.9, false)],
        &[("X", 0.9, 0..2), ("X", 0.9, 2..3)],
    );
    simple(
        &[(0, 0.9, false), (1, 0.9, false), (1, 0.9, true)],
        &[("X", 0.9, 0..3)],
    );
    simple(
        &[(0, 0.9, false), (0, 0.9, true)],
        &[("X", 0.9, 0..1), ("X", 0.9, 1..2)],
    );
}

#[test]
fn labels_are_ignored_by_the_name_they_would_have() {
    let labels = ["B-O", "O", "B-NP"].map(str::to_owned);
    let token = logits(0, 0.9);
    let tagged = [TaggedToken {
        logits: &token,
        bytes: 0..1,
        continues_word: false,
    }];
    let found = |ignored: &[&str], aggregation| {
        entities(&tagged, &labels, ignored, aggregation, Grouping::Pipeline).len()
    };
    assert_eq!(found(&["O"], Aggregation::Simple), 0);
    assert_eq!(found(&["O"], Aggregation::None), 1);
    assert_eq!(found(&["B-O"], Aggregation::Simple), 1);
    assert_eq!(found(&[], Aggregation::Simple), 1);
}

#[test]
fn degenerate_input_does_no_harm() {
    for aggregation in [
        Aggregation::None,
        Aggregation::Simple,
        Aggregation::First,
        Aggregation::Average,
        Aggregation::Max,
    ] {
        check(BIO, &[], aggregation, &[]);
        let labels = BIO.map(str::to_owned);
        for logits in [&[][..], &[f32::NAN; 3], &[0.0, 1.0, 2.0, 9.0]] {
            let token = TaggedToken {
                logits,
                bytes: 0..1,
                continues_word: false,
            };
            for grouping in [Grouping::Pipeline, Grouping::Scheme(Scheme::default())] {
                let tokens = [token.clone(), token.clone()];
                assert!(entities(&tokens, &labels, &["O"], aggregation, grouping).is_empty());
            }
        }
    }
}

#[test]
fn continuations_are_guessed_by_length() {
    let check = |piece: &str, surface: &str, is_unknown, expected| {
        assert_eq!(
            looks_like_continuation(piece, surface, is_unknown),
            expected,
            "{piece} {surface}"
        );
    };
    check("fox", "Fox", false, false);
    check("##es", "es", false, true);
    check("cafe", "café", false, false);
    check("cafe", "cafe\u{301}", false, true);
    check("[UNK]", "zebra", true, false);
    check("東", "東", false, false);
}

/// For every golden case with golden logits, labels, scores and offsets equal the pipeline's.
#[test]
fn entities_are_those_of_transformers() {
    let pipeline = golden("pipelines/token-classification.json");
    let mut compared = 0;
    for case in cases(&pipeline) {
        // With a stride, a text is cut into windows, whose logits belong to other sequences.
        if case["parameters"].get("stride").is_none() {
            check_golden(case);
            compared += 1;
        }
    }
    assert!(compared >= 60, "only {compared} cases");
}

fn golden(path: &str) -> Value {
    let text = fs::read_to_string(format!("{GOLDEN}/{path}")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn cases(golden: &Value) -> &[Value] {
    golden["cases"].as_array().unwrap()
}

fn labels(checkpoint: &str) -> Vec<String> {
    if checkpoint == "electra-mini-chunker" {
        return CHUNK_LABELS.map(str::to_owned).to_vec();
    }
    let config = golden(&format!("checkpoints/{checkpoint}/config.json"));
    let names = config["id2label"].as_object().unwrap();
    (0..names.len())
        .map(|id| names[&id.to_string()].as_str().unwrap().to_owned())
        .collect()
}

fn check_golden(case: &Value) {
    let checkpoint = case["checkpoint"].as_str().unwrap();
    let text = case["inputs"].as_str().unwrap();
    let characters: Vec<char> = text.chars().collect();
    let golden_logits = golden(&format!("logits/{checkpoint}.json"));
    let run = cases(&golden_logits)
        .iter()
        .find(|run| run["text"] == text)
        .unwrap();

    let rows: Vec<Vec<f32>> = serde_json::from_value(run["logits"].clone()).unwrap();
    let pieces: Vec<String> = serde_json::from_value(run["tokens"].clone()).unwrap();
    let offsets: Vec<[usize; 2]> = serde_json::from_value(run["offsets"].clone()).unwrap();
    // Without [CLS] and [SEP]; offsets stay in code points, as in the pipeline.
    let tokens: Vec<TaggedToken> = (1..rows.len() - 1)
        .map(|position| {
            let [start, end] = offsets[position];
            let surface: String = characters[start..end].iter().collect();
            let piece = &pieces[position];
            TaggedToken {
                logits: &rows[position],
                bytes: start..end,
                continues_word: looks_like_continuation(piece, &surface, piece == "[UNK]"),
            }
        })
        .collect();

    let parameters = &case["parameters"];
    let strategy = parameters
        .get("aggregation_strategy")
        .cloned()
        .unwrap_or(json!("none"));
    let aggregation: Aggregation = serde_json::from_value(strategy).unwrap();
    let ignored: Vec<String> = parameters
        .get("ignore_labels")
        .map_or(vec!["O".to_owned()], |labels| {
            serde_json::from_value(labels.clone()).unwrap()
        });
    let ignored: Vec<&str> = ignored.iter().map(String::as_str).collect();
    let labels = labels(checkpoint);
    let found = entities(&tokens, &labels, &ignored, aggregation, Grouping::Pipeline);

    let expected = case["output"].as_array().unwrap();
    let what = format!("{checkpoint} {parameters} {text:?}");
    assert_eq!(found.len(), expected.len(), "{what}");
    for (entity, expected) in found.iter().zip(expected) {
        let label = if aggregation == Aggregation::None {
            "entity"
        } else {
            "entity_group"
        };
        assert_eq!(expected[label], entity.label, "{what}");
        assert_eq!(expected["start"], entity.bytes.start, "{what}");
        assert_eq!(expected["end"], entity.bytes.end, "{what}");
        if aggregation == Aggregation::None {
            assert_eq!(expected["index"], entity.tokens.start + 1, "{what}");
        }
        let score = expected["score"].as_f64().unwrap();
        assert!(
            (f64::from(entity.score) - score).abs() < 2e-6,
            "{what}: {entity:?} {score}"
        );
    }
}
