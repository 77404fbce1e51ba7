//! Tests of [`super`].

use std::fs;

use serde_json::Value;

use super::*;

#[test]
fn the_function_follows_the_problem() {
    let check = |problem_type, label_count, expected| {
        assert_eq!(default_function(problem_type, label_count), expected);
    };
    check(None, 1, ScoreFunction::Sigmoid);
    check(None, 2, ScoreFunction::Softmax);
    check(Some(ProblemType::SingleLabel), 1, ScoreFunction::Sigmoid);
    check(Some(ProblemType::SingleLabel), 3, ScoreFunction::Softmax);
    check(Some(ProblemType::MultiLabel), 3, ScoreFunction::Sigmoid);
    check(Some(ProblemType::Regression), 1, ScoreFunction::None);
    check(Some(ProblemType::Regression), 2, ScoreFunction::None);
}

#[test]
fn each_function_scores() {
    let check = |logits: &[f32], function, expected: &[f32]| {
        let found = scores(logits, function);
        assert_eq!(found.len(), expected.len());
        for (score, expected) in found.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-6, "{function:?} {found:?}");
        }
    };
    check(
        &[1.0, 2.0, 3.0],
        ScoreFunction::Softmax,
        &[0.090_030_6, 0.244_728_5, 0.665_240_9],
    );
    check(&[0.0, 2.0], ScoreFunction::Sigmoid, &[0.5, 0.880_797]);
    check(&[-3.5, 7.25], ScoreFunction::None, &[-3.5, 7.25]);
}

#[test]
fn best_labels_come_first() {
    let check = |scores: &[f32], top_k, expected: &[usize]| {
        let labels: Vec<usize> = rank(scores, NonZeroUsize::new(top_k))
            .into_iter()
            .map(|(label, _)| label)
            .collect();
        assert_eq!(labels, expected, "{scores:?}");
    };
    check(&[0.1, 0.7, 0.2], 0, &[1, 2, 0]);
    check(&[0.1, 0.7, 0.2], 1, &[1]);
    check(&[0.1, 0.7, 0.2], 9, &[1, 2, 0]);
    check(&[0.5, 0.5, 0.6, 0.5], 0, &[2, 0, 1, 3]);
    check(&[f32::NAN, -1.0, f32::NAN, f32::INFINITY], 0, &[3, 1, 0, 2]);
    check(&[], 3, &[]);
}

#[test]
fn names_are_those_of_requests_and_config_json() {
    assert_eq!(
        serde_json::from_str::<ScoreFunction>("\"none\"").unwrap(),
        ScoreFunction::None
    );
    assert_eq!(
        serde_json::from_str::<ProblemType>("\"multi_label_classification\"").unwrap(),
        ProblemType::MultiLabel
    );
}

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn golden(path: &str) -> Value {
    let text = fs::read_to_string(format!("{GOLDEN}/{path}")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Golden logits of the small checkpoints are scored and ranked as by transformers' pipeline.
#[test]
fn labels_are_those_of_transformers() {
    let mut compared = 0;
    for case in golden("pipelines/text-classification.json")["cases"]
        .as_array()
        .unwrap()
    {
        let checkpoint = case["checkpoint"].as_str().unwrap();
        let inputs = &case["inputs"];
        // Trained models are not in the folder of goldens; a truncated text has other logits.
        if checkpoint.starts_with("sequence-") && case["parameters"].get("truncation").is_none() {
            let (text, text_pair) = inputs.as_str().map_or_else(
                || (&inputs["text"], &inputs["text_pair"]),
                |_| (inputs, &Value::Null),
            );
            let runs = golden(&format!("logits/{checkpoint}.json"));
            let run = runs["cases"]
                .as_array()
                .unwrap()
                .iter()
                .find(|run| run["text"] == *text && run["text_pair"] == *text_pair)
                .unwrap();
            check_golden(case, &run["logits"][0]);
            compared += 1;
        }
    }
    assert!(compared >= 30, "only {compared} cases");
}

fn check_golden(case: &Value, logits: &Value) {
    let config = golden(&format!(
        "checkpoints/{}/config.json",
        case["checkpoint"].as_str().unwrap()
    ));
    let logits: Vec<f32> = serde_json::from_value(logits.clone()).unwrap();
    let problem_type = config
        .get("problem_type")
        .map(|name| serde_json::from_value(name.clone()).unwrap());
    let parameters = &case["parameters"];
    let function = parameters.get("function_to_apply").map_or_else(
        || default_function(problem_type, logits.len()),
        |name| serde_json::from_value(name.clone()).unwrap(),
    );
    // By default the pipeline returns one label; null means all.
    let top_k = parameters
        .get("top_k")
        .map_or(NonZeroUsize::new(1), |top_k| {
            NonZeroUsize::new(
                top_k
                    .as_u64()
                    .map_or(0, |top_k| usize::try_from(top_k).unwrap()),
            )
        });
    let found = rank(&scores(&logits, function), top_k);

    let expected = case["output"].as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{case}");
    for ((label, score), expected) in found.iter().zip(expected) {
        assert_eq!(
            config["id2label"][label.to_string()],
            expected["label"],
            "{case}"
        );
        assert!(
            (f64::from(*score) - expected["score"].as_f64().unwrap()).abs() < 1e-6,
            "{case}"
        );
    }
}
