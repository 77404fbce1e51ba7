//! How many connections may be open, over all listeners, and what they are counted by.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::activity::{Overdue, Patience};
use super::files;
use super::trusted_proxies::TrustedProxies;
use crate::telemetry::metrics::{CloseReason, Metrics};
use crate::telemetry::once_a_minute::OnceAMinute;

/// Connections beyond the maximum, for health checks alone.
const RESERVED: usize = 16;

/// What the configuration says about connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionOptions {
    pub max_connections: NonZeroUsize,
    pub trusted_proxies: TrustedProxies,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            max_connections: NonZeroUsize::new(4096).unwrap_or(NonZeroUsize::MIN),
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

/// Request extension: the connection is one of those for health checks, so nothing else is to be answered.
#[derive(Clone, Copy, Debug)]
pub struct HealthOnly;

/// The connections of a server. Clones count together.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

struct Shared {
    usual: Arc<Semaphore>,
    /// How to end each of the reserved connections, oldest first.
    reserved: Mutex<VecDeque<oneshot::Sender<()>>>,
    max_connections: usize,
    trusted_proxies: TrustedProxies,
    metrics: Metrics,
    over_maximum: OnceAMinute,
    accept_failures: OnceAMinute,
}

impl Connections {
    /// No connections. The maximum is lowered to what the process's file descriptors allow.
    #[must_use]
    pub fn new(options: ConnectionOptions, metrics: Metrics) -> Self {
        let max_connections = files::allowed(options.max_connections.get());
        let permits = max_connections.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            usual: Arc::new(Semaphore::new(permits)),
            reserved: Mutex::default(),
            max_connections,
            trusted_proxies: options.trusted_proxies,
            metrics,
            over_maximum: OnceAMinute::default(),
            accept_failures: OnceAMinute::default(),
        }))
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.0.trusted_proxies
    }

    /// Admits a connection, if only for health checks.
    pub(super) fn admit(&self) -> Admission {
        if let Ok(permit) = Arc::clone(&self.0.usual).try_acquire_owned() {
            return Admission::Usual(permit);
        }
        if let Some(connections) = self.0.over_maximum.count() {
            tracing::warn!(
                max_connections = self.0.max_connections,
                connections,
                "more connections than max_connections: only health checks are answered on new ones"
            );
        }
        Admission::Reserved(self.reserve())
    }

    /// Takes a reserved connection. If all are taken, the oldest ends: connections that only wait would otherwise keep
    /// health checks out.
    fn reserve(&self) -> oneshot::Receiver<()> {
        let (end, ended) = oneshot::channel();
        let mut reserved = self
            .0
            .reserved
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reserved.retain(|connection| !connection.is_closed());
        if reserved.len() >= RESERVED
            && let Some(oldest) = reserved.pop_front()
        {
            let _ = oldest.send(());
            self.0.metrics.connection_closed(CloseReason::OverMaximum);
        }
        reserved.push_back(end);
        ended
    }

    /// Logs that a connection could not be accepted.
    pub(super) fn accept_failed(&self, error: &std::io::Error) {
        if let Some(failures) = self.0.accept_failures.count() {
            tracing::error!(%error, failures, "accepting connections failed");
        }
    }

    pub(super) fn overdue(&self, overdue: Overdue) {
        self.0.metrics.connection_closed(match overdue {
            Overdue::FirstRequest => CloseReason::FirstRequest,
            Overdue::Idle => CloseReason::Idle,
            Overdue::Stalled => CloseReason::Stalled,
            Overdue::Lifetime => CloseReason::Reserved,
        });
    }
}

/// One connection's place among all.
pub enum Admission {
    Usual(#[allow(dead_code, reason = "gives its place back on drop")] OwnedSemaphorePermit),
    /// For health checks alone, until it is told to end.
    Reserved(oneshot::Receiver<()>),
}

impl Admission {
    pub fn is_reserved(&self) -> bool {
        matches!(self, Self::Reserved(_))
    }

    pub fn patience(&self) -> &'static Patience {
        match self {
            Self::Usual(_) => &Patience::USUAL,
            Self::Reserved(_) => &Patience::RESERVED,
        }
    }

    /// Completes once another connection needs this one's place.
    pub async fn is_needed(&mut self) {
        match self {
            Self::Usual(_) => std::future::pending().await,
            Self::Reserved(ended) => {
                // An error means that the server is gone.
                let _ = ended.await;
            }
        }
    }
}
