//! Residual LayerNorm: adds a product, scaled and with its bias, to the skip connection's rows and normalizes the sum.

use std::ops::Range;

use pulp::{Scalar, Simd, WithSimd};

use super::dispatch::dispatch;
use super::product::Product;
use super::quantize::signed_row;
use crate::numbers::float32;

/// A LayerNorm's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Factors of the normalized values, `[width]`.
    pub gain: &'a [f32],
    /// Terms added after the factors, `[width]`.
    pub shift: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Writes `LayerNorm(product + skip)` of some rows into `normalized`, `[rows, width]`. If `quantized` is given, also
/// quantizes them to signed bytes, `[rows, width]`, with scales, `[rows]`.
pub fn add_and_normalize(
    product: &Product,
    skip: &[f32],
    norm: Norm,
    rows: Range<usize>,
    normalized: &mut [f32],
    quantized: Option<(&mut [u8], &mut [f32])>,
) {
    dispatch(AddAndNormalize {
        product,
        skip,
        norm,
        rows,
        normalized,
        quantized,
    });
}

struct AddAndNormalize<'a> {
    product: &'a Product<'a>,
    skip: &'a [f32],
    norm: Norm<'a>,
    rows: Range<usize>,
    normalized: &'a mut [f32],
    quantized: Option<(&'a mut [u8], &'a mut [f32])>,
}

impl WithSimd for AddAndNormalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.product.bias.len();
        for (row, normalized) in self.rows.zip(self.normalized.chunks_exact_mut(width)) {
            let skip = &self.skip[row * width..][..width];
            normalize_row(simd, self.product, row, skip, self.norm, normalized);
        }
        let Some((bytes, scales)) = self.quantized else {
            return;
        };
        let rows = self.normalized.chunks_exact(width);
        let bytes = bytes.chunks_exact_mut(width);
        for ((row, bytes), scale) in rows.zip(bytes).zip(scales) {
            *scale = signed_row(simd, row, bytes);
        }
    }
}

#[inline(always)]
fn normalize_row<S: Simd>(
    simd: S,
    product: &Product,
    row: usize,
    skip: &[f32],
    norm: Norm,
    normalized: &mut [f32],
) {
    let (values, scale, bias) = (product.row(row), product.scale(row), product.bias);
    let width = float32(values.len());
    let whole = values.len() / S::F32_LANES * S::F32_LANES;
    let (values, last_values) = values.split_at(whole);
    let (bias, last_bias) = bias.split_at(whole);
    let (skip, last_skip) = skip.split_at(whole);
    let (gain, last_gain) = norm.gain.split_at(whole);
    let (shift, last_shift) = norm.shift.split_at(whole);
    let (normalized, last) = normalized.split_at_mut(whole);

    let sum = add(simd, values, scale, bias, skip, normalized)
        + add(Scalar, last_values, scale, last_bias, last_skip, last);
    let mean = sum / width;
    let squares = squared_distances(simd, normalized, mean) + squared_distances(Scalar, last, mean);
    let factor = 1.0 / (squares / width + norm.epsilon).sqrt();
    scale_and_shift(simd, normalized, mean, factor, gain, shift);
    scale_and_shift(Scalar, last, mean, factor, last_gain, last_shift);
}

/// Adds product, bias and skip of a row, and returns the sum of the results.
#[inline(always)]
fn add<S: Simd>(
    simd: S,
    values: &[f32],
    scale: f32,
    bias: &[f32],
    skip: &[f32],
    added: &mut [f32],
) -> f32 {
    let scale = simd.splat_f32s(scale);
    let mut sum = simd.splat_f32s(0.0);
    let (values, bias) = (S::as_simd_f32s(values).0, S::as_simd_f32s(bias).0);
    let (skip, added) = (S::as_simd_f32s(skip).0, S::as_mut_simd_f32s(added).0);
    for (((value, bias), skip), added) in values.iter().zip(bias).zip(skip).zip(added) {
        *added = simd.add_f32s(simd.mul_add_e_f32s(*value, scale, *bias), *skip);
        sum = simd.add_f32s(sum, *added);
    }
    simd.reduce_sum_f32s(sum)
}

#[inline(always)]
fn squared_distances<S: Simd>(simd: S, values: &[f32], mean: f32) -> f32 {
    let mean = simd.splat_f32s(mean);
    let mut sum = simd.splat_f32s(0.0);
    for value in S::as_simd_f32s(values).0 {
        let distance = simd.sub_f32s(*value, mean);
        sum = simd.mul_add_e_f32s(distance, distance, sum);
    }
    simd.reduce_sum_f32s(sum)
}

#[inline(always)]
fn scale_and_shift<S: Simd>(
    simd: S,
    values: &mut [f32],
    mean: f32,
    factor: f32,
    gain: &[f32],
    shift: &[f32],
) {
    let (mean, factor) = (simd.splat_f32s(mean), simd.splat_f32s(factor));
    let (gain, shift) = (S::as_simd_f32s(gain).0, S::as_simd_f32s(shift).0);
    for ((value, gain), shift) in S::as_mut_simd_f32s(values)
        .0
        .iter_mut()
        .zip(gain)
        .zip(shift)
    {
        let distance = simd.mul_f32s(simd.sub_f32s(*value, mean), factor);
        *value = simd.mul_add_e_f32s(distance, *gain, *shift);
    }
}
