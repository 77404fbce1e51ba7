//! Compares question answering's decoder with one that enumerates every span.

#![allow(clippy::single_range_in_vec_init, reason = "one span is a list of one")]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A window with an empty question, and its logits.
#[derive(Clone, Debug)]
struct TestWindow {
    logits: Vec<f32>,
    context: Range<usize>,
    first_context_token: usize,
}

impl TestWindow {
    /// `[CLS]` with the logits `cls`, followed by the context and `[SEP]`.
    fn new(cls: [f32; 2], context: &[[f32; 2]], first_context_token: usize) -> Self {
        let rows = [&[cls], context, &[[50.0, 50.0]]].concat();
        Self {
            logits: rows.concat(),
            context: 1..1 + context.len(),
            first_context_token,
        }
    }

    fn borrow(&self) -> QaWindow<'_> {
        QaWindow {
            logits: &self.logits,
            context: self.context.clone(),
            first_context_token: self.first_context_token,
        }
    }
}

fn options(top_k: usize, max_answer_tokens: usize) -> QaOptions {
    QaOptions {
        top_k: NonZeroUsize::new(top_k).unwrap(),
        max_answer_tokens: NonZeroUsize::new(max_answer_tokens).unwrap(),
    }
}

fn run(windows: &[TestWindow], options: QaOptions) -> QaDecoded {
    let windows: Vec<QaWindow> = windows.iter().map(TestWindow::borrow).collect();
    decode(&windows, options)
}

/// The reference: enumerates every span of every window.
fn reference(windows: &[TestWindow], options: QaOptions) -> QaDecoded {
    let mut spans: HashMap<(usize, usize), f64> = HashMap::new();
    let mut no_answer = f64::INFINITY;
    for window in windows {
        let start = |position: usize| f64::from(window.logits[2 * position]);
        let end = |position: usize| f64::from(window.logits[2 * position + 1]);
        no_answer = no_answer.min(start(0) + end(0));
        for first in window.context.clone() {
            for last in first..window.context.end {
                if last - first < options.max_answer_tokens.get() {
                    let token =
                        |position| position - window.context.start + window.first_context_token;
                    let logit = spans
                        .entry((token(first), token(last) + 1))
                        .or_insert(f64::NEG_INFINITY);
                    *logit = logit.max(start(first) + end(last));
                }
            }
        }
    }
    let highest = spans.values().copied().fold(no_answer, f64::max);
    let sum: f64 = spans
        .values()
        .chain([&no_answer])
        .map(|logit| (logit - highest).exp())
        .sum();
    let probability = |logit: f64| narrow((logit - highest).exp() / sum);
    let mut spans: Vec<_> = spans.into_iter().collect();
    spans.sort_by(|(a_span, a), (b_span, b)| b.total_cmp(a).then(a_span.cmp(b_span)));
    spans.truncate(options.top_k.get());
    QaDecoded {
        spans: spans
            .into_iter()
            .map(|((start, end), logit)| Span {
                tokens: start..end,
                score: probability(logit),
                logit: narrow(logit),
            })
            .collect(),
        no_answer_score: probability(no_answer),
    }
}

fn ranges(decoded: &QaDecoded) -> Vec<Range<usize>> {
    decoded
        .spans
        .iter()
        .map(|span| span.tokens.clone())
        .collect()
}

#[test]
fn the_best_span_wins() {
    let window = TestWindow::new(
        [0.0, 0.0],
        &[[1.0, 0.0], [6.0, 1.0], [0.0, 5.0], [0.0, 7.0]],
        10,
    );
    let decoded = run(std::slice::from_ref(&window), options(3, 15));
    assert_eq!(ranges(&decoded), [11..14, 11..13, 10..14]);
    assert!((decoded.spans[0].logit - 13.0).abs() < 1e-6);
    assert!(decoded.spans[0].score > 0.8 && decoded.no_answer_score < 1e-5);
    // An end beyond the longest answer is not considered.
    assert_eq!(
        ranges(&run(std::slice::from_ref(&window), options(1, 2))),
        [11..13]
    );
    // An end before its start is not considered.
    let backwards = TestWindow::new([0.0, 0.0], &[[0.0, 9.0], [9.0, 0.0]], 0);
    assert_eq!(ranges(&run(&[backwards], options(1, 15))), [0..1]);
}

#[test]
fn no_answer_wins_where_squad_2_says_so() {
    let check = |cls: f32, wins: bool| {
        let decoded = run(
            &[TestWindow::new([cls, cls], &[[2.0, 1.0], [1.0, 2.0]], 0)],
            options(1, 15),
        );
        assert_eq!(
            decoded.no_answer_score > decoded.spans[0].score,
            wins,
            "{cls}"
        );
    };
    check(1.99, false);
    check(2.01, true);

    // The window with the lowest score for "no answer" decides.
    let windows = [
        TestWindow::new([9.0, 9.0], &[[0.0, 0.0]], 0),
        TestWindow::new([-9.0, -9.0], &[[0.0, 0.0]], 1),
    ];
    assert!(run(&windows, options(1, 15)).no_answer_score < 1e-6);
}

#[test]
fn a_span_that_several_windows_see_counts_once() {
    let row = [1.0, 1.0];
    let windows = [
        TestWindow::new([0.0, 0.0], &[row, row], 0),
        TestWindow::new([0.0, 0.0], &[[3.0, 3.0], row], 1),
    ];
    let decoded = run(&windows, options(9, 1));
    assert_eq!(ranges(&decoded), [1..2, 0..1, 2..3]);
    let sum: f32 =
        decoded.spans.iter().map(|span| span.score).sum::<f32>() + decoded.no_answer_score;
    assert!((sum - 1.0).abs() < 1e-6);
}

#[test]
fn nothing_to_answer_from_is_no_answer() {
    let nothing = QaDecoded {
        spans: Vec::new(),
        no_answer_score: 1.0,
    };
    assert_eq!(run(&[], options(3, 15)), nothing);
    assert_eq!(
        run(&[TestWindow::new([-5.0, 2.0], &[], 0)], options(3, 15)),
        nothing
    );
    let no_logits = QaWindow {
        logits: &[],
        context: 3..7,
        first_context_token: 0,
    };
    assert_eq!(decode(&[no_logits], options(3, 15)), nothing);
}

#[test]
fn a_context_beyond_the_logits_is_left_out() {
    let window = QaWindow {
        logits: &[0.0, 0.0, 1.0, 1.0, 2.0, 2.0],
        context: 1..9,
        first_context_token: 4,
    };
    assert_eq!(
        ranges(&decode(&[window], options(9, 15))),
        [5..6, 4..6, 4..5]
    );
}

#[test]
fn what_is_no_number_is_the_last_choice() {
    let rows = [
        [f32::NAN, f32::NAN],
        [1.0, 1.0],
        [f32::NEG_INFINITY, f32::INFINITY],
    ];
    let decoded = run(
        &[TestWindow::new([f32::NAN, 0.0], &rows, 0)],
        options(9, 15),
    );
    assert_eq!(decoded.spans[0].tokens, 1..3);
    for span in &decoded.spans {
        assert!(span.score.is_finite() && span.logit.is_finite(), "{span:?}");
    }
    let hopeless = run(
        &[TestWindow::new([f32::NAN; 2], &[[f32::NAN; 2]; 3], 0)],
        options(9, 15),
    );
    assert!(hopeless.no_answer_score.is_finite());
}

#[test]
fn a_gap_between_windows_holds_no_span() {
    let row = [1.0, 1.0];
    let windows = [
        TestWindow::new([0.0, 0.0], &[row], 7),
        TestWindow::new([0.0, 0.0], &[row], 2),
    ];
    assert_eq!(ranges(&run(&windows, options(9, 15))), [2..3, 7..8]);
}

/// Windows of a long context: `room` tokens, of which neighbours share `overlap`, with random logits.
fn windows() -> impl Strategy<Value = Vec<TestWindow>> {
    // Few different values, so that equal logits are common.
    let logit = prop_oneof![(-4_i8..5).prop_map(f32::from), -8.0_f32..8.0];
    let row = [logit.clone(), logit];
    (1_usize..9, 0_usize..9, 1_usize..40, 0_usize..4).prop_flat_map(
        move |(room, overlap, tokens, before)| {
            let step = room - overlap.min(room - 1);
            let starts: Vec<usize> = (0..tokens).step_by(step).collect();
            let row = row.clone();
            let cut: Vec<_> = starts
                .into_iter()
                .map(move |start| {
                    let length = room.min(tokens - start);
                    prop::collection::vec(row.clone(), 2 + before + length).prop_map(move |rows| {
                        TestWindow {
                            logits: rows.concat(),
                            context: 1 + before..1 + before + length,
                            first_context_token: start,
                        }
                    })
                })
                .collect();
            cut.prop_shuffle()
        },
    )
}

proptest! {
    #[test]
    fn agrees_with_writing_down_every_span(
        windows in windows(), top_k in 1_usize..30, max_answer_tokens in prop_oneof![1_usize..12, Just(usize::MAX)],
    ) {
        let options = options(top_k, max_answer_tokens);
        let (found, expected) = (run(&windows, options), reference(&windows, options));
        prop_assert_eq!(ranges(&found), ranges(&expected));
        prop_assert!((found.no_answer_score - expected.no_answer_score).abs() < 1e-6);
        for (found, expected) in found.spans.iter().zip(&expected.spans) {
            prop_assert!((found.score - expected.score).abs() < 1e-6);
            prop_assert!((found.logit - expected.logit).abs() < 1e-5);
        }
    }
}
