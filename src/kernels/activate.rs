//! Activation functions of feed-forward layers, applied after a product's scale and bias.

use std::ops::Range;

use pulp::{Scalar, Simd, WithSimd};

use super::dispatch::dispatch;
use super::functions::{erf, exp};
use super::product::Product;
use super::quantize::shifted_row;
use crate::activation::Activation;

/// Activates `rows` of a product into `activated`, `[rows, width]`.
pub fn activate(
    activation: Activation,
    product: &Product,
    rows: Range<usize>,
    activated: &mut [f32],
) {
    dispatch(Activate {
        activation,
        product,
        rows,
        activated,
    });
}

/// Activates `rows` of a product and quantizes them into `bytes`, `[rows, width]`, and `scales`, `[rows]`. `shift` is
/// added to each value to make it positive: it must be at least the activation's depth.
pub fn activate_and_quantize(
    activation: Activation,
    product: &Product,
    rows: Range<usize>,
    shift: f32,
    bytes: &mut [u8],
    scales: &mut [f32],
) {
    dispatch(ActivateAndQuantize {
        activation,
        product,
        rows,
        shift,
        bytes,
        scales,
    });
}

struct Activate<'a> {
    activation: Activation,
    product: &'a Product<'a>,
    rows: Range<usize>,
    activated: &'a mut [f32],
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.activated.chunks_exact_mut(self.product.bias.len());
        for (row, activated) in self.rows.zip(rows) {
            activate_row(simd, self.activation, self.product, row, activated);
        }
    }
}

struct ActivateAndQuantize<'a> {
    activation: Activation,
    product: &'a Product<'a>,
    rows: Range<usize>,
    shift: f32,
    bytes: &'a mut [u8],
    scales: &'a mut [f32],
}

impl WithSimd for ActivateAndQuantize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.product.bias.len();
        let mut activated = vec![0.0; width];
        let quantized = self.bytes.chunks_exact_mut(width).zip(self.scales);
        for (row, (bytes, scale)) in self.rows.zip(quantized) {
            let greatest = activate_row(simd, self.activation, self.product, row, &mut activated);
            *scale = shifted_row(simd, &activated, greatest, self.shift, bytes);
        }
    }
}

/// Activates a row and returns its maximum.
#[inline(always)]
fn activate_row<S: Simd>(
    simd: S,
    activation: Activation,
    product: &Product,
    row: usize,
    activated: &mut [f32],
) -> f32 {
    let (values, scale, bias) = (product.row(row), product.scale(row), product.bias);
    match activation {
        Activation::Gelu => apply::<S, Gelu>(simd, values, scale, bias, activated),
        Activation::GeluTanh => apply::<S, GeluTanh>(simd, values, scale, bias, activated),
        Activation::Relu => apply::<S, Relu>(simd, values, scale, bias, activated),
        Activation::Silu => apply::<S, Silu>(simd, values, scale, bias, activated),
    }
}

#[inline(always)]
fn apply<S: Simd, F: Function>(
    simd: S,
    values: &[f32],
    scale: f32,
    bias: &[f32],
    activated: &mut [f32],
) -> f32 {
    let whole = values.len() / S::F32_LANES * S::F32_LANES;
    let (values, last_values) = values.split_at(whole);
    let (bias, last_bias) = bias.split_at(whole);
    let (activated, last_activated) = activated.split_at_mut(whole);
    let greatest = apply_vectors::<S, F>(simd, values, scale, bias, activated);
    let last = apply_vectors::<Scalar, F>(Scalar, last_values, scale, last_bias, last_activated);
    greatest.max(last)
}

#[inline(always)]
fn apply_vectors<S: Simd, F: Function>(
    simd: S,
    values: &[f32],
    scale: f32,
    bias: &[f32],
    activated: &mut [f32],
) -> f32 {
    let scale = simd.splat_f32s(scale);
    let mut greatest = simd.splat_f32s(f32::NEG_INFINITY);
    let (values, bias) = (S::as_simd_f32s(values).0, S::as_simd_f32s(bias).0);
    let activated = S::as_mut_simd_f32s(activated).0;
    for ((value, bias), activated) in values.iter().zip(bias).zip(activated) {
        *activated = F::of(simd, simd.mul_add_e_f32s(*value, scale, *bias));
        greatest = simd.max_f32s(greatest, *activated);
    }
    simd.reduce_max_f32s(greatest)
}

trait Function {
    fn of<S: Simd>(simd: S, x: S::f32s) -> S::f32s;
}

struct Gelu;
struct GeluTanh;
struct Relu;
struct Silu;

impl Function for Gelu {
    #[inline(always)]
    fn of<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        let half = simd.mul_f32s(x, simd.splat_f32s(0.5));
        let erf = erf(
            simd,
            simd.mul_f32s(x, simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2)),
        );
        simd.mul_add_e_f32s(half, erf, half)
    }
}

impl Function for GeluTanh {
    /// The sigmoid of 2y equals (1 + tanh y) / 2.
    #[inline(always)]
    fn of<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        /// 2 √(2/π), and the same times 0.044715.
        const FACTORS: [f32; 2] = [1.595_769, 0.071_354_814];
        let square = simd.mul_f32s(x, x);
        let factor = simd.mul_add_e_f32s(
            square,
            simd.splat_f32s(FACTORS[1]),
            simd.splat_f32s(FACTORS[0]),
        );
        gated(simd, x, simd.mul_f32s(x, factor))
    }
}

impl Function for Relu {
    #[inline(always)]
    fn of<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        simd.max_f32s(x, simd.splat_f32s(0.0))
    }
}

impl Function for Silu {
    #[inline(always)]
    fn of<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        gated(simd, x, x)
    }
}

/// x times the sigmoid of y.
#[inline(always)]
fn gated<S: Simd>(simd: S, x: S::f32s, y: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let exp = exp(simd, simd.neg_f32s(y));
    simd.div_f32s(x, simd.add_f32s(one, exp))
}
