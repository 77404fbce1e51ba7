//! How many connections may be open, over all listeners, and what they are counted by.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    reserved: Arc<Semaphore>,
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
            reserved: Arc::new(Semaphore::new(RESERVED)),
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

    /// Admits a connection, if only for health checks. `None` if it is to be closed.
    pub(super) fn admit(&self) -> Option<Admission> {
        if let Ok(permit) = Arc::clone(&self.0.usual).try_acquire_owned() {
            return Some(Admission {
                is_reserved: false,
                _permit: permit,
            });
        }
        if let Some(connections) = self.0.over_maximum.count() {
            tracing::warn!(
                max_connections = self.0.max_connections,
                connections,
                "more connections than max_connections: only health checks are answered on new ones"
            );
        }
        let permit = Arc::clone(&self.0.reserved).try_acquire_owned().ok();
        if permit.is_none() {
            self.0.metrics.connection_closed(CloseReason::OverMaximum);
        }
        Some(Admission {
            is_reserved: true,
            _permit: permit?,
        })
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
pub struct Admission {
    is_reserved: bool,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    /// Whether it is for health checks alone.
    pub fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    pub fn patience(&self) -> &'static Patience {
        if self.is_reserved {
            &Patience::RESERVED
        } else {
            &Patience::USUAL
        }
    }
}
