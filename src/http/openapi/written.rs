//! The document as text, made once and again only when limits change: making it takes about a millisecond.

use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;

use super::document::document;
use crate::limits::{Limits, Timeouts};

/// The text that was made last.
pub struct WrittenDocument(Mutex<Option<Written>>);

struct Written {
    limits: Limits,
    timeouts: Timeouts,
    text: Bytes,
}

impl WrittenDocument {
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The document of a server with these limits, as JSON.
    pub fn text(&self, limits: Limits, timeouts: Timeouts) -> Bytes {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*written {
            Some(known) if (known.limits, known.timeouts) == (limits, timeouts) => {
                known.text.clone()
            }
            _ => {
                let text = Bytes::from(document(&limits, &timeouts).to_string());
                *written = Some(Written {
                    limits,
                    timeouts,
                    text: text.clone(),
                });
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_made_once_for_the_same_limits() {
        let written = WrittenDocument::new();
        let (limits, timeouts) = (Limits::default(), Timeouts::default());
        let first = written.text(limits, timeouts);
        assert_eq!(first.as_ptr(), written.text(limits, timeouts).as_ptr());
        let wider = Limits {
            max_inputs: 7_777,
            ..limits
        };
        let other = written.text(wider, timeouts);
        assert!(other.windows(4).any(|part| part == b"7777"));
    }
}
