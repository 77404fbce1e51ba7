//! Regression: Pearson and Spearman correlation.

use std::cmp::Ordering;

use crate::eval::scores::{Scores, number};
use crate::numbers::float;

/// The correlations between predicted and gold numbers.
#[must_use]
pub fn scores(pairs: &[(f64, f64)]) -> Scores {
    Scores {
        overall: vec![
            number("pearson", pearson(pairs)),
            number("spearman", spearman(pairs)),
        ],
        ..Scores::default()
    }
}

/// The linear correlation, -1 to 1. Undefined if one side is constant.
#[must_use]
pub fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = float(pairs.len());
    let mean = |side: fn(&(f64, f64)) -> f64| pairs.iter().map(side).sum::<f64>() / count;
    let (left, right) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut both, mut of_left, mut of_right) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        both += (x - left) * (y - right);
        of_left += (x - left).powi(2);
        of_right += (y - right).powi(2);
    }
    let scale = of_left.sqrt() * of_right.sqrt();
    (scale > 0.0).then(|| (both / scale).clamp(-1.0, 1.0))
}

/// The correlation of ranks. Equal numbers share their mean rank.
#[must_use]
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    let ranked = |side: fn(&(f64, f64)) -> f64| ranks(pairs.iter().map(side).collect());
    let pairs: Vec<(f64, f64)> = ranked(|pair| pair.0)
        .into_iter()
        .zip(ranked(|pair| pair.1))
        .collect();
    pearson(&pairs)
}

/// The rank of each value, from 1. Equal values share their mean rank.
#[must_use]
pub fn ranks(values: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = values.into_iter().enumerate().collect();
    order.sort_by(|(_, left), (_, right)| left.partial_cmp(right).unwrap_or(Ordering::Equal));
    let mut ranks = vec![0.0; order.len()];
    let mut before = 0;
    let are_equal = |left: &f64, right: &f64| left.partial_cmp(right) == Some(Ordering::Equal);
    for equal in order.chunk_by(|(_, left), (_, right)| are_equal(left, right)) {
        let rank = f64::midpoint(float(before + 1), float(before + equal.len()));
        for (index, _) in equal {
            ranks[*index] = rank;
        }
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::golden;

    #[test]
    fn correlations_are_those_of_scipy() {
        for case in golden::cases("numbers") {
            let gold: Vec<f64> = golden::read(&case["gold"]);
            let predicted: Vec<f64> = golden::read(&case["predicted"]);
            let pairs: Vec<(f64, f64)> = gold.into_iter().zip(predicted).collect();
            golden::assert_near(pearson(&pairs), &case["pearson"], &case.to_string());
            golden::assert_near(spearman(&pairs), &case["spearman"], &case.to_string());
        }
    }

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(vec![3.0, 1.0, 3.0, 0.5]), [3.5, 2.0, 3.5, 1.0]);
        assert!(ranks(vec![]).is_empty());
    }
}
