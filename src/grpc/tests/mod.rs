//! Tests of the methods with a fake model over real connections.

mod calls;
mod health;
mod reflection;
mod streams;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::proto::electra::TagRequest;
use super::proto::electra::electra_client::ElectraClient;
use super::{GrpcState, serve};
use crate::access::Guard;
use crate::browsers::AllowedHosts;
use crate::connections::{ConnectionOptions, Connections};
use crate::inflight::InflightBytes;
use crate::limits::{Limits, Timeouts};
use crate::service::Service;
use crate::service::testing::Fixture;
use crate::stage::Stage;
use crate::task::Task;
use crate::telemetry::metrics::Metrics;

/// Default timeout of requests on a hurried server.
const USUAL_TIME: Duration = Duration::from_millis(20);

/// A gRPC server, and a connection to it.
struct Served {
    channel: Channel,
    address: SocketAddr,
    /// Apart from the service's, so that a test can look at the one without the other.
    stop: watch::Sender<Stage>,
    ended: JoinHandle<()>,
}

impl Served {
    async fn start(service: &Service, metrics: &Metrics, timeouts: Timeouts) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stages) = watch::channel(Stage::default());
        let state = GrpcState {
            guard: Guard::open(),
            service: service.clone(),
            metrics: metrics.clone(),
            timeouts,
            inflight: InflightBytes::new(64 << 20),
            allowed_hosts: AllowedHosts::default(),
        };
        // If a test keeps only its client, the server keeps running.
        let kept = stop.clone();
        let connections = Connections::new(ConnectionOptions::default(), metrics.clone());
        let ended = tokio::spawn(async move {
            serve(listener, connections, state, stages).await;
            drop(kept);
        });
        Self {
            channel: connect(address).await,
            address,
            stop,
            ended,
        }
    }

    /// Serves the fixture's fake model.
    async fn over(fixture: &Fixture) -> Self {
        Self::start(&fixture.service, &fixture.metrics, Timeouts::default()).await
    }

    /// Like `over`, with a very short default timeout. Tests of the server's deadline need it: a client that sets a
    /// timeout ends the call by its own clock.
    async fn hurried(fixture: &Fixture) -> Self {
        let timeouts = Timeouts {
            request: USUAL_TIME,
            ..Timeouts::default()
        };
        Self::start(&fixture.service, &fixture.metrics, timeouts).await
    }

    fn client(&self) -> ElectraClient<Channel> {
        ElectraClient::new(self.channel.clone())
    }
}

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// A request that takes the fake model one sequence.
fn tag(text: &str) -> TagRequest {
    TagRequest {
        text: vec![text.to_owned()],
        ..TagRequest::default()
    }
}

fn with<M>(message: M, key: &'static str, value: &'static str) -> Request<M> {
    let mut request = Request::new(message);
    let value = value.parse().unwrap();
    request.metadata_mut().insert(key, value);
    request
}

/// Checks everything that a status reports.
#[track_caller]
fn expect(status: &Status, code: Code, name: &str) {
    let found = status.metadata().get("error-code");
    assert_eq!(
        (status.code(), found.map(|name| name.to_str().unwrap())),
        (code, Some(name)),
        "{status:?}"
    );
    assert!(status.message().ends_with(['.', '?']), "{status:?}");
}

fn runs(fixture: &Fixture) -> usize {
    fixture.model.runs.load(Ordering::SeqCst)
}
