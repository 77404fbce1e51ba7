//! How large a request is before it is tokenised, and how many tokens that is.

use crate::numbers::float;

/// The factor by which a text's weight shrinks with each newer one, so that about the last hundred count.
const DECAY: f64 = 0.99;

/// Tokens per byte before any text was tokenised: English has about one in four bytes.
const USUAL_DENSITY: f64 = 0.25;
/// Bytes of a token that was sent as one.
const TOKEN_BYTES: usize = 8;
/// How many bytes that guess counts for.
const USUAL_BYTES: f64 = 4096.0;

/// The size of a request, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestSize {
    /// Bytes of text.
    Bytes(usize),
    Tokens(usize),
}

impl RequestSize {
    /// About how many bytes it takes, by which the cost of working on it is estimated.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Tokens(tokens) => tokens.saturating_mul(TOKEN_BYTES),
        }
    }

    /// The size of all parts of a request, which are measured alike.
    pub fn total(parts: impl IntoIterator<Item = Self>) -> Self {
        let add = |total: Self, part: Self| match (total, part) {
            (Self::Bytes(total), Self::Bytes(part)) => Self::Bytes(total.saturating_add(part)),
            (Self::Bytes(0), Self::Tokens(part)) => Self::Tokens(part),
            (Self::Tokens(total), Self::Tokens(part) | Self::Bytes(part)) => {
                Self::Tokens(total.saturating_add(part))
            }
            (total @ Self::Bytes(_), Self::Tokens(_)) => total,
        };
        parts.into_iter().fold(Self::Bytes(0), add)
    }
}

/// Tokens per byte of one model's recent texts, overlaps of windows included.
#[derive(Debug, Clone, Copy)]
pub struct TokenDensity {
    tokens: f64,
    bytes: f64,
}

impl Default for TokenDensity {
    fn default() -> Self {
        Self {
            tokens: USUAL_DENSITY * USUAL_BYTES,
            bytes: USUAL_BYTES,
        }
    }
}

impl TokenDensity {
    /// The tokens that a request of this size is expected to have.
    pub fn tokens(&self, size: RequestSize) -> f64 {
        match size {
            RequestSize::Bytes(bytes) => float(bytes) * self.tokens / self.bytes,
            RequestSize::Tokens(tokens) => float(tokens),
        }
    }

    /// Learns from a part of a request that was tokenised.
    pub fn record(&mut self, size: RequestSize, tokens: usize) {
        if let RequestSize::Bytes(bytes) = size
            && bytes > 0
        {
            self.tokens = self.tokens * DECAY + float(tokens);
            self.bytes = self.bytes * DECAY + float(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn density_follows_the_recent_texts() {
        let mut density = TokenDensity::default();
        let mut check = |texts: usize, expected: std::ops::RangeInclusive<f64>| {
            for _ in 0..texts {
                density.record(RequestSize::Bytes(100), 50);
            }
            density.record(RequestSize::Tokens(7), 7);
            let tokens = density.tokens(RequestSize::Bytes(1000));
            assert!(expected.contains(&tokens), "{tokens}");
            assert!((density.tokens(RequestSize::Tokens(1000)) - 1000.0).abs() < 1e-9);
        };
        check(0, 250.0..=250.0);
        check(20, 260.0..=400.0);
        check(500, 499.0..=500.0);
    }
}
