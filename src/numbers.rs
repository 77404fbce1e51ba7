//! Counts of things in memory as other kinds of numbers.

/// As a float: exact, as such counts stay far below 2^52.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^52 do not occur"
)]
pub fn float(count: usize) -> f64 {
    count as f64
}

/// As ONNX writes it: such counts stay far below 2^63.
#[must_use]
pub fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// As a 32-bit float: exact for the widths of models, which stay below 2^24.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "widths beyond 2^24 do not occur"
)]
pub fn float32(count: usize) -> f32 {
    count as f32
}
