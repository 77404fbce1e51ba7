//! How much one request may hold, and how long it may take.

use std::time::Duration;

/// What one request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body, in bytes.
    pub max_body_bytes: usize,
    /// Most inputs.
    pub max_inputs: usize,
    /// Longest text, in bytes of UTF-8.
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

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A request that does not say.
    pub request: Duration,
    /// The most a request may ask for.
    pub max_request: Duration,
    /// Answering what was accepted once the server is stopping.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            max_request: Duration::from_mins(5),
            drain: Duration::from_secs(30),
        }
    }
}
