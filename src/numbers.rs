//! Converts counts of things in memory to other number types.

/// As an f64. Exact, because counts stay far below 2^52.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^52 do not occur"
)]
pub fn float(count: usize) -> f64 {
    count as f64
}

/// As ONNX's int64. Lossless, because counts stay far below 2^63.
#[must_use]
pub fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// As an f32. Exact for the widths of models, which stay below 2^24.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "widths beyond 2^24 do not occur"
)]
pub fn float32(count: usize) -> f32 {
    count as f32
}
