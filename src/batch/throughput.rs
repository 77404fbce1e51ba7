//! Estimates from recent batches how long the waiting work will take. Pure.

use std::time::Duration;

use crate::numbers::float;

/// The factor by which a batch's weight shrinks with each newer one, so that about the last twenty batches count.
const DECAY: f64 = 0.95;

/// One worker's time per token of one model, weighted towards recent batches.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThroughputEstimate {
    tokens: f64,
    seconds: f64,
}

impl ThroughputEstimate {
    /// Adds a batch of `tokens` tokens that took one worker `elapsed`.
    pub fn record(&mut self, tokens: usize, elapsed: Duration) {
        self.tokens = self.tokens * DECAY + float(tokens);
        self.seconds = self.seconds * DECAY + elapsed.as_secs_f64();
    }

    /// Seconds that one worker needs for `tokens` tokens, which may be an estimate. Zero until a batch was recorded.
    #[must_use]
    pub fn seconds_for(&self, tokens: f64) -> f64 {
        if self.tokens > 0.0 {
            tokens * self.seconds / self.tokens
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(batches: &[(usize, u64)], tokens: usize, expected: std::ops::RangeInclusive<f64>) {
        let mut throughput = ThroughputEstimate::default();
        for &(tokens, milliseconds) in batches {
            throughput.record(tokens, Duration::from_millis(milliseconds));
        }
        let seconds = throughput.seconds_for(float(tokens));
        assert!(expected.contains(&seconds), "{batches:?}: {seconds}");
    }

    #[test]
    fn follows_the_recent_batches() {
        check(&[], 100, 0.0..=0.0);
        check(&[(0, 5)], 100, 0.0..=0.0);
        check(&[(100, 50)], 200, 0.099..=0.101);
        let sudden_slowdown = [vec![(100, 50); 100], vec![(100, 500); 60]].concat();
        check(&sudden_slowdown, 100, 0.45..=0.5);
    }
}
