//! The activity of one connection, shared by what reads, writes and watches it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::activity::{Activity, Patience, Standing, Verdict};

/// A connection's activity. Clones are of the same connection. The lock is held for a few instructions, some times per
/// request and per frame, never per byte.
#[derive(Clone)]
pub struct Record(Arc<Shared>);

struct Shared {
    activity: Mutex<Activity>,
    /// Told of what the connection can't wait for until it is looked at next.
    urgent: Notify,
}

impl Record {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            activity: Mutex::new(Activity::new(Instant::now())),
            urgent: Notify::new(),
        }))
    }

    /// A request's headers were read. It is in progress until the value is dropped.
    pub fn start_request(&self, is_http2: bool) -> InProgress {
        InProgress {
            request: self.lock().start_request(is_http2),
            is_http2,
            record: self.clone(),
        }
    }

    /// The socket takes no bytes, or takes them again.
    pub fn set_writable(&self, writable: bool) {
        self.lock().set_writable(writable, Instant::now());
    }

    /// The connection was asked to close.
    pub fn close(&self) {
        self.lock().close(Instant::now());
    }

    /// When the connection opened.
    pub fn opened(&self) -> Instant {
        self.lock().opened()
    }

    /// The peer is a proxy, which sends requests of several clients.
    pub fn share(&self) {
        self.lock().share();
    }

    pub fn standing(&self) -> Standing {
        self.lock().standing(Instant::now())
    }

    /// The server drains.
    pub fn drain(&self) {
        self.lock().drain(Instant::now());
    }

    /// Whether a request came by HTTP/2.
    pub fn speaks_http2(&self) -> bool {
        self.lock().speaks_http2()
    }

    pub fn verdict(&self, patience: &Patience) -> Verdict {
        self.lock().verdict(patience, Instant::now())
    }

    /// The connection is to be looked at.
    pub fn alert(&self) {
        self.0.urgent.notify_one();
    }

    /// Completes once the connection is to be looked at.
    pub async fn alerted(&self) {
        self.0.urgent.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Activity> {
        self.0
            .activity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress.
pub struct InProgress {
    request: u64,
    is_http2: bool,
    record: Record,
}

impl InProgress {
    pub fn is_http2(&self) -> bool {
        self.is_http2
    }

    /// For the request's body.
    pub fn receiving(&self) -> Receiving {
        Receiving {
            request: self.request,
            record: self.record.clone(),
            is_waiting: false,
        }
    }

    /// The response has a frame for the peer to take.
    pub fn offer(&self) {
        self.record.lock().offer(self.request, Instant::now());
    }

    /// The peer has taken all that is ready.
    pub fn resume(&self) {
        self.record.lock().resume(self.request);
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut activity = self.record.lock();
        activity.end_request(self.request, Instant::now());
        let is_ending = activity.is_ending();
        drop(activity);
        if is_ending {
            self.record.alert();
        }
    }
}

/// Whether a request waits for more of its body.
pub struct Receiving {
    request: u64,
    record: Record,
    is_waiting: bool,
}

impl Receiving {
    pub fn set_waiting(&mut self, waiting: bool) {
        if waiting != self.is_waiting {
            self.is_waiting = waiting;
            let mut activity = self.record.lock();
            if waiting {
                activity.expect(self.request, Instant::now());
            } else {
                activity.receive(self.request);
            }
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.set_waiting(false);
    }
}
