//! Where a request's time went, and its text form in the header `server-timing`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::batch::SequenceOutput;

/// Where a request's time went. Its sequences run in parallel, so the longest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Tokenizing the texts.
    pub tokenize: Duration,
    /// Waiting for a worker.
    pub queue: Duration,
    /// Running its batches.
    pub inference: Duration,
}

impl Timings {
    /// Header, or metadata key, of the response.
    pub const HEADER: &'static str = "server-timing";

    /// Timings of a request with these outputs.
    pub(super) fn of(tokenize: Duration, outputs: &[SequenceOutput]) -> Self {
        let longest = |time: fn(&SequenceOutput) -> Duration| {
            outputs.iter().map(time).max().unwrap_or_default()
        };
        Self {
            tokenize,
            queue: longest(|output| output.queue_time),
            inference: longest(|output| output.inference_time),
        }
    }

    /// Timings of a request of which one part took these and another took `next`. Parts overlap, so the longest wait
    /// and the longest batch count; tokenising adds up.
    #[must_use]
    pub(super) fn followed_by(self, next: Self) -> Self {
        Self {
            tokenize: self.tokenize + next.tokenize,
            queue: self.queue.max(next.queue),
            inference: self.inference.max(next.inference),
        }
    }
}

/// The header's value, in milliseconds.
impl fmt::Display for Timings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            formatter,
            "tokenize;dur={:.3}, queue;dur={:.3}, inference;dur={:.3}",
            milliseconds(self.tokenize),
            milliseconds(self.queue),
            milliseconds(self.inference),
        )
    }
}

/// The header was not written by this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherTimings;

impl FromStr for Timings {
    type Err = OtherTimings;

    fn from_str(text: &str) -> Result<Self, OtherTimings> {
        let part = |wanted: &str| {
            let found = text.split(", ").find_map(|part| {
                let milliseconds = part.strip_prefix(wanted)?.strip_prefix(";dur=")?;
                let seconds = milliseconds.parse::<f64>().ok()? / 1e3;
                Duration::try_from_secs_f64(seconds).ok()
            });
            found.ok_or(OtherTimings)
        };
        Ok(Self {
            tokenize: part("tokenize")?,
            queue: part("queue")?,
            inference: part("inference")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let timings = Timings {
            tokenize: Duration::from_micros(125),
            queue: Duration::from_micros(2500),
            inference: Duration::from_millis(10),
        };
        let text = "tokenize;dur=0.125, queue;dur=2.500, inference;dur=10.000";
        assert_eq!(timings.to_string(), text);
        assert_eq!(text.parse(), Ok(timings));
        for other in [
            "",
            "total;dur=5",
            "tokenize;dur=-1, queue;dur=1, inference;dur=1",
        ] {
            assert_eq!(other.parse::<Timings>(), Err(OtherTimings), "{other}");
        }
    }
}
