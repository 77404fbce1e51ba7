//! Converts logits to answers. Pure functions, one file per head.

pub mod classify;
pub mod discriminate;
pub mod qa;
pub mod qa_bounds;
pub mod qa_pipeline;
pub mod scheme;
pub mod tag;

/// `1 / (1 + e^-logit)`: the probability for a single logit.
fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The probabilities of mutually exclusive labels. Logits are shifted by their maximum to avoid overflow.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut scores: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f32 = scores.iter().sum();
    for score in &mut scores {
        *score /= sum;
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigmoid_keeps_its_range() {
        let check = |logit: f32, expected: f32| {
            assert!(
                (sigmoid(logit) - expected).abs() < 1e-7,
                "sigmoid of {logit}"
            );
        };
        check(0.0, 0.5);
        check(2.0, 0.880_797_1);
        check(-2.0, 0.119_202_92);
        check(-1e30, 0.0);
        check(f32::INFINITY, 1.0);
    }

    #[test]
    fn softmax_sums_to_one() {
        let check = |logits: &[f32], expected: &[f32]| {
            for (score, expected) in softmax(logits).into_iter().zip(expected) {
                assert!((score - expected).abs() < 1e-7, "softmax of {logits:?}");
            }
        };
        check(&[0.0, 0.0], &[0.5, 0.5]);
        check(
            &[1.0, 2.0, 3.0],
            &[0.090_030_57, 0.244_728_48, 0.665_240_94],
        );
        check(&[1e30, -1e30], &[1.0, 0.0]);
        check(&[-7.0], &[1.0]);
        assert!(softmax(&[]).is_empty());
    }
}
