//! Quantizes rows of floats to unsigned bytes, with one scale per row.

use pulp::{Scalar, Simd, WithSimd};

use super::dispatch::dispatch;
use super::functions::ROUNDING;

/// The byte that stands for 0 among signed values.
const SIGNED_ZERO_POINT: f32 = 128.0;
/// The greatest byte, as a float.
const GREATEST: f32 = 255.0;

/// Quantizes rows of both signs to 128 ± 127 by their largest magnitude. `rows` and `bytes` are `[scales, width]`; a
/// scale is the value of one step. A row of zeros has scale 0 and arbitrary bytes, which that scale turns back into
/// zeros.
pub fn quantize_signed(rows: &[f32], width: usize, bytes: &mut [u8], scales: &mut [f32]) {
    dispatch(QuantizeSigned {
        rows,
        width,
        bytes,
        scales,
    });
}

struct QuantizeSigned<'a> {
    rows: &'a [f32],
    width: usize,
    bytes: &'a mut [u8],
    scales: &'a mut [f32],
}

impl WithSimd for QuantizeSigned<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.rows.chunks_exact(self.width);
        let bytes = self.bytes.chunks_exact_mut(self.width);
        for ((row, bytes), scale) in rows.zip(bytes).zip(self.scales) {
            *scale = signed_row(simd, row, bytes);
        }
    }
}

/// Quantizes a row of both signs and returns its scale.
#[inline(always)]
pub(super) fn signed_row<S: Simd>(simd: S, row: &[f32], bytes: &mut [u8]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(row);
    let mut largest = simd.splat_f32s(0.0);
    for values in vectors {
        largest = simd.max_f32s(largest, simd.abs_f32s(*values));
    }
    let largest = simd.reduce_max_f32s(largest);
    let largest = rest
        .iter()
        .fold(largest, |most, value| most.max(value.abs()));
    let scale = largest / 127.0;
    write(simd, row, scale, SIGNED_ZERO_POINT, bytes);
    scale
}

/// Quantizes a row whose values are from `-shift` to `greatest`, and returns its scale. The scale divides the shift
/// into a whole number of steps, which is the row's zero point. So the shift adds the same constant to every row's
/// product; a shift of 0 adds nothing.
#[inline(always)]
pub(super) fn shifted_row<S: Simd>(
    simd: S,
    row: &[f32],
    greatest: f32,
    shift: f32,
    bytes: &mut [u8],
) -> f32 {
    let finest = (greatest + shift) / GREATEST;
    let (scale, zero_point) = if shift > 0.0 {
        let zero_point = (shift / finest).floor().clamp(1.0, GREATEST);
        (shift / zero_point, zero_point)
    } else {
        (finest, 0.0)
    };
    write(simd, row, scale, zero_point, bytes);
    scale
}

#[inline(always)]
fn write<S: Simd>(simd: S, row: &[f32], scale: f32, zero_point: f32, bytes: &mut [u8]) {
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let whole = row.len() / S::F32_LANES * S::F32_LANES;
    let (row, rest) = row.split_at(whole);
    let (bytes, rest_of_bytes) = bytes.split_at_mut(whole);
    write_vectors(simd, row, inverse, zero_point, bytes);
    write_vectors(Scalar, rest, inverse, zero_point, rest_of_bytes);
}

/// Rounds half to even, as ONNX's `QuantizeLinear` does.
#[inline(always)]
fn write_vectors<S: Simd>(simd: S, row: &[f32], inverse: f32, zero_point: f32, bytes: &mut [u8]) {
    let (vectors, _) = S::as_simd_f32s(row);
    let inverse = simd.splat_f32s(inverse);
    let offset = simd.splat_f32s(ROUNDING + zero_point);
    for (values, bytes) in vectors.iter().zip(bytes.chunks_exact_mut(S::F32_LANES)) {
        let rounded = simd.mul_add_e_f32s(*values, inverse, offset);
        let lanes = [rounded];
        let lanes = bytemuck::cast_slice::<_, u8>(&lanes).chunks_exact(size_of::<f32>());
        for (byte, lane) in bytes.iter_mut().zip(lanes) {
            // `ROUNDING` leaves the whole number in the low byte. That is the first one on little-endian processors,
            // and ONNX Runtime has builds for no others.
            *byte = lane[0];
        }
    }
}
