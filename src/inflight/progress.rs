//! How slowly a body may arrive: what has arrived is held meanwhile.

use std::time::Duration;

use tokio::time::Instant;

/// In each such period a body must end, or [`LEAST_BYTES`] of it arrive.
pub const PERIOD: Duration = Duration::from_secs(10);
/// 1.6 kB per second, about a tenth of the slowest mobile networks in use.
pub const LEAST_BYTES: usize = 16 << 10;

/// The progress of one body.
#[derive(Debug)]
pub struct Progress {
    deadline: Instant,
    arrived: usize,
}

impl Progress {
    /// A body whose first byte is awaited from now on.
    #[must_use]
    pub fn start() -> Self {
        Self {
            deadline: Instant::now() + PERIOD,
            arrived: 0,
        }
    }

    /// When the body counts as stalled, unless more arrives.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn arrived(&mut self, bytes: usize) {
        self.arrived += bytes;
        if self.arrived >= LEAST_BYTES {
            *self = Self::start();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_enough_bytes_extend_the_time() {
        let mut progress = Progress::start();
        let first = Instant::now() + PERIOD;
        advance(Duration::from_secs(9)).await;
        progress.arrived(LEAST_BYTES - 1);
        assert_eq!(progress.deadline(), first);
        progress.arrived(1);
        assert_eq!(progress.deadline(), Instant::now() + PERIOD);
    }
}
