//! Estimates how long a text takes to tokenize, from its length alone.
//!
//! The length suffices: a text of BERT's rules takes at most about three times as long per byte as new English, and
//! how much of it the word cache knows can't be told without looking it up. Nanoseconds per byte on an Intel Xeon with
//! AVX-512, release profile, over texts of 512 bytes to 64 kB (`cargo bench -- "slow texts"` measures the slowest):
//!
//! | text | ns/byte |
//! |---|---|
//! | English from the word cache | 4 |
//! | English that was never seen | 77 to 115 |
//! | control characters, combining marks | 6 to 45 |
//! | words of 99 or 33 letters that are in no vocabulary | 50 to 124 |
//! | `[MASK]` and its look-alikes | 27 to 166 |
//! | punctuation | 123 to 200 |
//! | Chinese characters | 131 to 244 |
//! | random characters of Unicode | 129 to 227 |
//! | words of five letters with accents and punctuation | 264 to 322 |
//! | an uncached word of two letters, one with an accent, before each two cached words | 276 to 373 |

use std::time::Duration;

/// Of a text without a byte.
const START: Duration = Duration::from_micros(1);
/// More than ordinary text takes. The worst takes two and a half times that: so much delays other connections less than
/// moving every text of some hundred words to another thread, which cost two hundredths of the throughput.
const NANOSECONDS_PER_BYTE: u64 = 150;
/// Longer than any work that is done in place.
const UNMEASURED: Duration = Duration::from_secs(1);

/// Whether a tokenizer's rules are those that were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// BERT's normalizer, pre-tokenizer and model.
    Bert,
    /// Any others: for example, regular expressions that can take any time.
    Other,
}

impl Rules {
    /// Estimates the time for a text of `bytes` bytes.
    pub(super) fn estimate(self, bytes: usize) -> Duration {
        match self {
            Self::Bert => {
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                START + Duration::from_nanos(bytes.saturating_mul(NANOSECONDS_PER_BYTE))
            }
            Self::Other => UNMEASURED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_a_millisecond_is_some_seven_hundred_bytes() {
        let limit = Duration::from_micros(100);
        let bytes = |count| Rules::Bert.estimate(count);
        assert!(bytes(0) > Duration::ZERO);
        assert!(bytes(660) <= limit && limit < bytes(661));
        assert!(bytes(usize::MAX) > Duration::from_hours(1));
        assert!(Rules::Other.estimate(0) > limit);
    }
}
