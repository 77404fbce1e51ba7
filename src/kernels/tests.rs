//! Compares kernels with their textbook formulas in 64-bit floats.

use std::cell::Cell;
use std::ops::Range;

use fastrand::Rng;
use pulp::Arch;

use super::*;
use crate::activation::Activation;
use crate::numbers::{float, float32};

thread_local! {
    /// The instruction set that kernels use on this thread, in place of the widest.
    pub static CHOSEN: Cell<Option<Arch>> = const { Cell::new(None) };
}

/// Runs a check with each vector width that this processor has, and without vectors.
fn with_all_vectors(check: impl Fn()) {
    let mut kinds = vec![Arch::Scalar, Arch::new()];
    #[cfg(target_arch = "x86_64")]
    kinds.extend(pulp::x86::V3::try_new().map(Arch::V3));
    for kind in kinds {
        CHOSEN.set(Some(kind));
        check();
    }
    CHOSEN.set(None);
}

fn random(rng: &mut Rng, count: usize, spread: f32) -> Vec<f32> {
    (0..count)
        .map(|_| (rng.f32() - 0.5) * 2.0 * spread)
        .collect()
}

fn close(actual: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(*actual) - expected).abs();
        assert!(
            difference <= tolerance,
            "{what}: {actual} instead of {expected} at {index}"
        );
    }
}

/// A random product, with row scales or without.
struct Rows {
    values: Vec<f32>,
    scales: Option<Vec<f32>>,
    bias: Vec<f32>,
}

impl Rows {
    fn random(rng: &mut Rng, rows: usize, width: usize) -> Self {
        Self {
            values: random(rng, rows * width, 3.0),
            scales: rng.bool().then(|| random(rng, rows, 2.0)),
            bias: random(rng, width, 1.0),
        }
    }

    fn product(&self) -> Product<'_> {
        Product {
            rows: &self.values,
            scales: self.scales.as_deref(),
            bias: &self.bias,
        }
    }

    fn exact(&self, row: usize, column: usize) -> f64 {
        let scale = self.scales.as_ref().map_or(1.0, |scales| scales[row]);
        f64::from(self.values[row * self.bias.len() + column]) * f64::from(scale)
            + f64::from(self.bias[column])
    }
}

/// erf by its Taylor series, which converges for all x.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    (sum * std::f64::consts::FRAC_2_SQRT_PI).clamp(-1.0, 1.0)
}

fn activated(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu if x.abs() > 7.0 => x.max(0.0),
        Activation::Gelu => x / 2.0 * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            x / 2.0 * (1.0 + inner.tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// Widths that are, and that are not, multiples of the vector lengths 4, 8 and 16.
const WIDTHS: [usize; 7] = [1, 7, 16, 20, 33, 64, 100];

#[test]
fn activations_are_their_formulas() {
    with_all_vectors(|| {
        let width = 4001;
        let values: Vec<f32> = (0..width).map(|x| float32(x) / 100.0 - 20.0).collect();
        let bias = vec![0.0; width];
        let product = Product {
            rows: &values,
            scales: None,
            bias: &bias,
        };
        for activation in Activation::ALL {
            let mut actual = vec![0.0; width];
            activate(activation, &product, 0..1, &mut actual);
            let expected: Vec<f64> = values
                .iter()
                .map(|x| activated(activation, f64::from(*x)))
                .collect();
            close(&actual, &expected, 3e-6, &format!("{activation:?}"));
        }
    });
}

#[test]
fn rows_are_activated_with_scale_and_bias() {
    with_all_vectors(|| {
        let mut rng = Rng::with_seed(1);
        for width in WIDTHS {
            for activation in Activation::ALL {
                let rows = Rows::random(&mut rng, 5, width);
                let mut actual = vec![0.0; 3 * width];
                activate(activation, &rows.product(), 1..4, &mut actual);
                let places = (1..4).flat_map(|row| (0..width).map(move |column| (row, column)));
                let expected: Vec<f64> = places
                    .map(|(row, column)| activated(activation, rows.exact(row, column)))
                    .collect();
                close(&actual, &expected, 5e-6, &format!("{activation:?} {width}"));
            }
        }
    });
}

/// Checks that dequantized bytes are within half a step of the exact values.
fn check_bytes(bytes: &[u8], scale: f32, zero_point: f32, exact: &[f64], what: &str) {
    let restored: Vec<f32> = bytes
        .iter()
        .map(|byte| (f32::from(*byte) - zero_point) * scale)
        .collect();
    close(&restored, exact, f64::from(scale) * 0.501 + 1e-6, what);
}

#[test]
fn activations_are_quantized_over_the_whole_byte() {
    with_all_vectors(|| {
        let mut rng = Rng::with_seed(2);
        for width in WIDTHS {
            for activation in Activation::ALL {
                let rows = Rows::random(&mut rng, 4, width);
                let shift: f32 = if activation == Activation::Relu {
                    0.0
                } else {
                    0.5
                };
                let (mut bytes, mut scales) = (vec![0; 4 * width], vec![0.0; 4]);
                activate_and_quantize(
                    activation,
                    &rows.product(),
                    0..4,
                    shift,
                    &mut bytes,
                    &mut scales,
                );
                for (row, (bytes, scale)) in bytes.chunks(width).zip(&scales).enumerate() {
                    let exact: Vec<f64> = (0..width)
                        .map(|column| activated(activation, rows.exact(row, column)))
                        .collect();
                    let zero_point = if shift > 0.0 { shift / scale } else { 0.0 };
                    assert!(
                        (zero_point - zero_point.round()).abs() < 1e-4,
                        "{zero_point}"
                    );
                    let what = format!("{activation:?} {width}");
                    check_bytes(bytes, *scale, zero_point.round(), &exact, &what);
                }
            }
        }
    });
}

#[test]
fn residuals_are_normalized_and_quantized() {
    with_all_vectors(|| {
        let mut rng = Rng::with_seed(3);
        for width in WIDTHS {
            let rows = Rows::random(&mut rng, 4, width);
            let [skip, gain, shift] =
                [4 * width, width, width].map(|size| random(&mut rng, size, 1.0));
            let epsilon = 1e-5;
            let norm = Norm {
                gain: &gain,
                shift: &shift,
                epsilon,
            };
            let mut normalized = vec![0.0; 2 * width];
            let (mut bytes, mut scales) = (vec![0; 2 * width], vec![0.0; 2]);
            let quantized = Some((&mut bytes[..], &mut scales[..]));
            add_and_normalize(
                &rows.product(),
                &skip,
                norm,
                1..3,
                &mut normalized,
                quantized,
            );
            for (index, row) in (1..3).enumerate() {
                let sums: Vec<f64> = (0..width)
                    .map(|column| rows.exact(row, column) + f64::from(skip[row * width + column]))
                    .collect();
                let mean = sums.iter().sum::<f64>() / float(width);
                let squares: f64 = sums.iter().map(|sum| (sum - mean).powi(2)).sum();
                let deviation = (squares / float(width) + f64::from(epsilon)).sqrt();
                let expected: Vec<f64> = sums
                    .iter()
                    .zip(gain.iter().zip(&shift))
                    .map(|(sum, (gain, shift))| {
                        (sum - mean) / deviation * f64::from(*gain) + f64::from(*shift)
                    })
                    .collect();
                let columns = index * width..(index + 1) * width;
                let what = format!("width {width}");
                close(&normalized[columns.clone()], &expected, 2e-5, &what);
                check_bytes(&bytes[columns], scales[index], 128.0, &expected, &what);
            }
        }
    });
}

#[test]
fn rows_of_zeros_stay_zeros() {
    with_all_vectors(|| {
        let (mut bytes, mut scales) = (vec![7; 40], vec![7.0; 2]);
        let mut rows = vec![0.0; 40];
        rows[39] = -3.0;
        quantize_signed(&rows, 20, &mut bytes, &mut scales);
        assert_eq!(scales, [0.0, 3.0 / 127.0]);
        assert_eq!(bytes[20..39], [128; 19]);
        assert_eq!(bytes[39], 1);
    });
}

fn exact_attention(rows: &Rows, heads: Heads, sequence: &Range<usize>, query: usize) -> Vec<f64> {
    let width = heads.width();
    let mut context = Vec::with_capacity(width);
    for head in 0..heads.count {
        let columns = head * heads.size..(head + 1) * heads.size;
        let scores: Vec<f64> = sequence
            .clone()
            .map(|key| {
                let dot: f64 = columns
                    .clone()
                    .map(|column| rows.exact(query, column) * rows.exact(key, width + column))
                    .sum();
                dot / float(heads.size).sqrt()
            })
            .collect();
        let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores
            .iter()
            .map(|score| (score - greatest).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        context.extend(columns.map(|column| {
            let values = sequence
                .clone()
                .map(|key| rows.exact(key, 2 * width + column));
            values
                .zip(&weights)
                .map(|(value, weight)| value * weight)
                .sum::<f64>()
                / sum
        }));
    }
    context
}

#[test]
fn sequences_attend_to_themselves() {
    with_all_vectors(|| {
        let mut rng = Rng::with_seed(4);
        for (count, size) in [(1, 1), (3, 5), (2, 8), (2, 16), (1, 20), (2, 32), (1, 64)] {
            let heads = Heads { count, size };
            for (start, length) in [
                (0, 1),
                (2, 5),
                (1, 6),
                (0, 16),
                (3, 17),
                (0, 33),
                (4, 50),
                (0, 70),
            ] {
                let rows = Rows::random(&mut rng, start + length + 2, 3 * heads.width());
                let sequence = start..start + length;
                let mut actual = vec![0.0; length * heads.width()];
                attend(
                    &rows.product(),
                    heads,
                    &sequence,
                    sequence.clone(),
                    &mut actual,
                );
                let expected: Vec<f64> = sequence
                    .clone()
                    .flat_map(|query| exact_attention(&rows, heads, &sequence, query))
                    .collect();
                close(
                    &actual,
                    &expected,
                    2e-5,
                    &format!("{heads:?}, {length} tokens"),
                );
            }
        }
    });
}

/// A token's numbers are bit-identical alone and among others, and with all queries computed at once or some of them.
#[test]
fn a_token_gathers_the_same_whatever_is_computed_beside_it() {
    with_all_vectors(|| {
        let mut rng = Rng::with_seed(5);
        let heads = Heads { count: 2, size: 24 };
        let rows = Rows::random(&mut rng, 60, 3 * heads.width());
        let sequence = 10..57;
        let mut all = vec![0.0; sequence.len() * heads.width()];
        attend(
            &rows.product(),
            heads,
            &sequence,
            sequence.clone(),
            &mut all,
        );
        for queries in [10..11, 20..23, 30..57, 56..57] {
            let mut some = vec![0.0; queries.len() * heads.width()];
            attend(
                &rows.product(),
                heads,
                &sequence,
                queries.clone(),
                &mut some,
            );
            let from = (queries.start - sequence.start) * heads.width();
            assert_eq!(some, all[from..from + some.len()], "{queries:?}");
        }
        let alone = Rows {
            values: rows.values[10 * 3 * heads.width()..57 * 3 * heads.width()].to_vec(),
            scales: rows.scales.as_ref().map(|scales| scales[10..57].to_vec()),
            bias: rows.bias.clone(),
        };
        let mut moved = vec![0.0; all.len()];
        attend(&alone.product(), heads, &(0..47), 0..47, &mut moved);
        assert_eq!(moved, all);
    });
}
