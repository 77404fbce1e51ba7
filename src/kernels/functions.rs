//! Functions of one variable, over vectors of floats.

use pulp::Simd;

/// 1.5 · 2^23: floats of this magnitude have no fraction bits. Adding it to a value rounds the value to a whole number,
/// which is then in the low bits.
pub(super) const ROUNDING: f32 = 12_582_912.0;

/// [`exp`] clamps its argument to at least this. e^-50 is too small to change a sum, yet far above the denormal numbers
/// that slow processors down.
const LEAST_EXPONENT: f32 = -50.0;
/// [`exp`] clamps its argument to at most this: e^89 is above the greatest float.
const GREATEST_EXPONENT: f32 = 88.0;

/// e^x, with a relative error of at most 1e-7. It is 2^n times a polynomial of the remainder, which is at most ln 2 / 2
/// in magnitude.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// ln 2 in two parts. The first has few enough bits that its product with a small whole number is exact; the second
    /// is the remainder.
    const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    /// Cephes' minimax polynomial of (e^r - 1 - r) / r², highest power first.
    const POLYNOMIAL: [f32; 6] = [
        1.987_569_2e-4,
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    let splat = |value| simd.splat_f32s(value);
    let x = simd.max_f32s(x, splat(LEAST_EXPONENT));
    let x = simd.min_f32s(x, splat(GREATEST_EXPONENT));
    let rounded = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUNDING));
    let whole = simd.sub_f32s(rounded, splat(ROUNDING));
    let rest = simd.mul_add_e_f32s(whole, splat(-LN_2[0]), x);
    let rest = simd.mul_add_e_f32s(whole, splat(-LN_2[1]), rest);
    let polynomial = horner(simd, rest, &POLYNOMIAL);
    let fraction = simd.mul_add_e_f32s(polynomial, simd.mul_f32s(rest, rest), rest);
    let fraction = simd.add_f32s(fraction, splat(1.0));
    // Shifts the whole number from the low bits into the exponent.
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(fraction), exponent))
}

/// The error function, with an error of at most 5e-7: a rational function on [-4, 4]. Beyond that range, erf rounds to
/// ±1.
#[inline(always)]
pub(super) fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Eigen's coefficients, highest power of x² first.
    const NUMERATOR: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_5e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const DENOMINATOR: [f32; 5] = [
        -1.456_607_2e-5,
        -2.133_740_6e-4,
        -1.682_827e-3,
        -7.373_329_2e-3,
        -1.426_474e-2,
    ];
    let x = simd.max_f32s(x, simd.splat_f32s(-4.0));
    let x = simd.min_f32s(x, simd.splat_f32s(4.0));
    let square = simd.mul_f32s(x, x);
    let numerator = simd.mul_f32s(x, horner(simd, square, &NUMERATOR));
    simd.div_f32s(numerator, horner(simd, square, &DENOMINATOR))
}

#[inline(always)]
fn horner<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: &[f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(*coefficient));
    }
    sum
}
