//! Limits of one request's size and duration.

use std::time::Duration;

/// The maximum size of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In bytes.
    pub max_body_bytes: usize,
    pub max_inputs: usize,
    /// In bytes of UTF-8.
    pub max_text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 2 << 20,
            max_inputs: 256,
            max_text_bytes: 128 << 10,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The timeout of a request that does not set one.
    pub request: Duration,
    /// The longest timeout that a request may ask for.
    pub max_request: Duration,
    /// How long a server that was told to stop still takes requests.
    pub shutdown_delay: Duration,
    /// Time to answer accepted requests after that.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            max_request: Duration::from_mins(5),
            shutdown_delay: Duration::ZERO,
            drain: Duration::from_secs(30),
        }
    }
}
