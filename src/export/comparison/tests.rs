//! Tests of [`super`].

use super::*;

fn check(
    rule: DecisionRule,
    width: usize,
    reference: &[f32],
    candidate: &[f32],
    decisions: usize,
    unchanged: usize,
) {
    let sample = |logits: &[f32]| {
        vec![SampleLogits {
            logits: logits.to_vec(),
            rows: 0..logits.len() / width,
        }]
    };
    let comparison = Comparison::new(&sample(reference), &sample(candidate), width, rule);
    assert_eq!(
        (comparison.decisions, comparison.unchanged),
        (decisions, unchanged),
        "{rule:?}"
    );
}

#[test]
fn decisions_are_counted_by_rule() {
    check(
        DecisionRule::EachAboveZero,
        1,
        &[1.0, -1.0, 0.1],
        &[2.0, -3.0, -0.1],
        3,
        2,
    );
    check(
        DecisionRule::Highest,
        2,
        &[1.0, 2.0, 3.0, 0.0],
        &[1.0, 1.5, 0.0, 3.0],
        2,
        1,
    );
    // Starts 0 and 1 have similar logits, and the end is token 2. A span never ends before it starts.
    check(
        DecisionRule::BestSpan { max_tokens: 3 },
        2,
        &[2.0, 9.0, 1.9, 0.0, 0.0, 8.0],
        &[2.0, 9.0, 2.1, 0.0, 0.0, 8.0],
        1,
        1,
    );
    check(
        DecisionRule::BestSpan { max_tokens: 3 },
        2,
        &[2.0, 0.0, 1.9, 0.0, 0.0, 8.0],
        &[2.0, 0.0, 2.1, 0.0, 0.0, 8.0],
        1,
        0,
    );
    check(
        DecisionRule::Number,
        1,
        &[0.0, 100.0, 50.0],
        &[0.9, 100.0, 48.0],
        3,
        2,
    );
}

#[test]
fn only_the_rows_that_count_are_compared() {
    let reference = [SampleLogits {
        logits: vec![9.0, 1.0, 2.0, 9.0],
        rows: 1..3,
    }];
    let candidate = [SampleLogits {
        logits: vec![-9.0, 1.5, 2.0, -9.0],
        rows: 1..3,
    }];
    let comparison = Comparison::new(&reference, &candidate, 1, DecisionRule::EachAboveZero);
    assert_eq!(
        comparison.to_string(),
        "largest logit difference 0.5000, mean 0.2500; 2 of 2 decisions unchanged (100.00%)"
    );
    assert!(comparison.is_accepted());
}

#[test]
fn two_changes_in_a_hundred_are_refused() {
    let samples = |changed: usize| {
        let logits = (0..100)
            .map(|index| if index < changed { 1.0 } else { -1.0 })
            .collect();
        vec![SampleLogits {
            logits,
            rows: 0..100,
        }]
    };
    let accepted = |changed| {
        Comparison::new(
            &samples(0),
            &samples(changed),
            1,
            DecisionRule::EachAboveZero,
        )
        .is_accepted()
    };
    assert!(accepted(1) && !accepted(2));
}

#[test]
fn the_rule_follows_head_and_problem_type() {
    let check = |head, problem_type, rule| assert_eq!(DecisionRule::of(head, problem_type), rule);
    check(Head::Discriminator, None, DecisionRule::EachAboveZero);
    check(Head::Sequence { labels: 3 }, None, DecisionRule::Highest);
    check(
        Head::Sequence { labels: 3 },
        Some(ProblemType::MultiLabel),
        DecisionRule::EachAboveZero,
    );
    check(
        Head::Sequence { labels: 1 },
        None,
        DecisionRule::EachAboveZero,
    );
    check(
        Head::Sequence { labels: 1 },
        Some(ProblemType::Regression),
        DecisionRule::Number,
    );
    check(Head::Token { labels: 1 }, None, DecisionRule::Highest);
}
