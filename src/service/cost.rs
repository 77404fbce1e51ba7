//! Estimates of how long work takes, by which it is decided where it runs. Upper bounds for ordinary requests, in the
//! release profile on a slow core. A tokenizer estimates its own (`Tokenizer::estimate`).

use std::time::Duration;

/// Of work that never runs in place.
pub const LONG: Duration = Duration::from_secs(1);

/// Parsing JSON, by the body's bytes: lists of short strings take the longest.
const PARSE: u32 = 10;
/// Checking tokens that were sent as such.
const CHECK: u32 = 20;
/// From logits to results, by bytes of text.
const DECODE: u32 = 60;
/// Writing results as JSON, by bytes of text: about fifteen bytes for each.
const WRITE: u32 = 60;

/// Parsing a body of this many bytes.
#[must_use]
pub fn parse(bytes: usize) -> Duration {
    nanoseconds(bytes, PARSE)
}

/// Checking this many tokens, which are not to be tokenised.
#[must_use]
pub fn check(tokens: usize) -> Duration {
    nanoseconds(tokens, CHECK)
}

/// Decoding the logits of this many bytes of text.
#[must_use]
pub fn decode(bytes: usize) -> Duration {
    nanoseconds(bytes, DECODE)
}

/// Writing the results of this many bytes of text.
#[must_use]
pub fn write(bytes: usize) -> Duration {
    nanoseconds(bytes, WRITE)
}

fn nanoseconds(count: usize, each: u32) -> Duration {
    Duration::from_nanos((count as u64).saturating_mul(u64::from(each)))
}
