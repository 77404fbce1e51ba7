//! How many connections may be open, over all listeners, and what they are counted by.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::activity::{Overdue, Patience};
use super::files;
use super::places::{PlaceId, Places};
use super::record::Record;
use super::trusted_proxies::TrustedProxies;
use crate::client::Client;
use crate::telemetry::metrics::{CloseReason, Metrics};
use crate::telemetry::once_a_minute::OnceAMinute;
use crate::tls::Tls;

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
pub struct Connections {
    shared: Arc<Shared>,
    tls: Option<Tls>,
}

struct Shared {
    /// The lock is taken when a connection opens, tells its client, or closes, and never for a request.
    usual: Mutex<Places<Occupant>>,
    /// How to end each of the reserved connections, oldest first.
    reserved: Mutex<VecDeque<oneshot::Sender<()>>>,
    max_connections: usize,
    trusted_proxies: TrustedProxies,
    metrics: Metrics,
    over_maximum: OnceAMinute,
    displacements: OnceAMinute,
    accept_failures: OnceAMinute,
}

/// A connection that holds a place.
struct Occupant {
    record: Record,
    /// Tells it to give way.
    end: oneshot::Sender<()>,
}

impl Connections {
    /// No connections. The maximum is lowered to what the process's file descriptors allow.
    #[must_use]
    pub fn new(options: ConnectionOptions, metrics: Metrics) -> Self {
        let max_connections = files::allowed(options.max_connections.get());
        let shared = Shared {
            usual: Mutex::new(Places::new(max_connections)),
            reserved: Mutex::default(),
            max_connections,
            trusted_proxies: options.trusted_proxies,
            metrics,
            over_maximum: OnceAMinute::default(),
            displacements: OnceAMinute::default(),
            accept_failures: OnceAMinute::default(),
        };
        Self {
            shared: Arc::new(shared),
            tls: None,
        }
    }

    /// The same, over TLS alone.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// `None` if connections are not encrypted.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(super) fn trusted_proxies(&self) -> &TrustedProxies {
        &self.shared.trusted_proxies
    }

    /// Admits a connection, if only for health checks.
    pub(super) fn admit(&self, peer: IpAddr, record: &Record) -> Admission {
        // On whose behalf a proxy connects is not known yet.
        let may_displace = !self.trusted_proxies().trust(Some(peer));
        match self.take_place(peer.into(), record, may_displace) {
            Some(place) => Admission::Usual(place),
            None => Admission::Reserved(self.reserve()),
        }
    }

    /// Takes a place, if there is one. It may be that of a client that holds more.
    fn take_place(&self, client: Client, record: &Record, may_displace: bool) -> Option<Place> {
        let (end, needed) = oneshot::channel();
        let newcomer = Occupant {
            record: record.clone(),
            end,
        };
        let mut places = self.places();
        let (taken, displaced) = match places.take(client, newcomer) {
            Ok(id) => (Some(id), None),
            Err(_) if !may_displace => (None, None),
            Err(newcomer) => {
                match places.displace_for(client, |occupant| occupant.record.standing()) {
                    Some(displaced) => (places.take(client, newcomer).ok(), Some(displaced)),
                    None => (None, None),
                }
            }
        };
        drop(places);
        if let Some(displaced) = displaced {
            let _ = displaced.connection.end.send(());
            self.shared
                .metrics
                .connection_closed(CloseReason::Displaced);
            if let Some(connections) = self.shared.displacements.count() {
                tracing::warn!(
                    max_connections = self.shared.max_connections,
                    of = ?displaced.client,
                    which_keeps = displaced.left,
                    connections,
                    "max_connections is reached: connections of who holds the most are closed for clients with fewer"
                );
            }
        }
        Some(Place {
            id: taken?,
            connections: self.clone(),
            needed,
        })
    }

    fn places(&self) -> MutexGuard<'_, Places<Occupant>> {
        self.shared
            .usual
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a reserved connection. If all are taken, the oldest ends: connections that only wait would otherwise keep
    /// health checks out.
    fn reserve(&self) -> oneshot::Receiver<()> {
        if let Some(connections) = self.shared.over_maximum.count() {
            tracing::warn!(
                max_connections = self.shared.max_connections,
                connections,
                "more connections than max_connections: only health checks are answered on new ones"
            );
        }
        let (end, ended) = oneshot::channel();
        let mut reserved = self
            .shared
            .reserved
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        reserved.retain(|connection| !connection.is_closed());
        if reserved.len() >= RESERVED
            && let Some(oldest) = reserved.pop_front()
        {
            let _ = oldest.send(());
            self.shared
                .metrics
                .connection_closed(CloseReason::OverMaximum);
        }
        reserved.push_back(end);
        ended
    }

    /// Logs that a connection could not be accepted.
    pub(super) fn accept_failed(&self, error: &std::io::Error) {
        if let Some(failures) = self.shared.accept_failures.count() {
            tracing::error!(%error, failures, "accepting connections failed");
        }
    }

    pub(super) fn overdue(&self, overdue: Overdue) {
        self.shared.metrics.connection_closed(match overdue {
            Overdue::FirstRequest => CloseReason::FirstRequest,
            Overdue::Idle => CloseReason::Idle,
            Overdue::Stalled => CloseReason::Stalled,
            Overdue::Lifetime => CloseReason::Reserved,
        });
    }
}

/// One connection's admission.
pub enum Admission {
    Usual(Place),
    /// For health checks alone, until it is told to end.
    Reserved(oneshot::Receiver<()>),
}

/// One connection's place among all, until it is dropped.
pub struct Place {
    id: PlaceId,
    connections: Connections,
    /// Completes if the connection is to give way.
    needed: oneshot::Receiver<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.places().release(self.id);
    }
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

    /// The connection comes from a trusted proxy, and has told for which client.
    pub fn belongs_to(&mut self, client: Client, record: &Record, connections: &Connections) {
        match self {
            Self::Usual(place) => connections.places().belongs_to(place.id, client),
            Self::Reserved(_) => {
                if let Some(place) = connections.take_place(client, record, true) {
                    *self = Self::Usual(place);
                }
            }
        }
    }

    /// Completes once another connection needs this one's place. Not to be asked again after that.
    pub async fn is_needed(&mut self) {
        let (Self::Usual(Place { needed, .. }) | Self::Reserved(needed)) = self;
        // An error means that the server is gone.
        let _ = needed.await;
    }
}
