//! Health of the server and of each model, checked once and watched.

use tokio_stream::StreamExt;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus::{
    self, NotServing, ServiceUnknown, Serving,
};
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::service::testing::{fail, loading_service};

fn of(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

async fn check(served: &Served, name: &str) -> Result<ServingStatus, Status> {
    let mut client = HealthClient::new(served.channel.clone());
    Ok(client.check(of(name)).await?.into_inner().status())
}

/// A watch whose statuses are read one at a time.
struct Watch(tonic::Streaming<tonic_health::pb::HealthCheckResponse>);

impl Watch {
    async fn start(served: &Served, name: &str) -> Self {
        let mut client = HealthClient::new(served.channel.clone());
        Self(client.watch(of(name)).await.unwrap().into_inner())
    }

    async fn expect(&mut self, status: ServingStatus) {
        assert_eq!(self.0.next().await.unwrap().unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_loaded_server_and_its_models_serve_until_it_stops() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let names = [
        "",
        "electra.v1.Electra",
        "inference.GRPCInferenceService",
        "model",
        "model@1",
    ];
    let mut watches = Vec::new();
    for name in names {
        assert_eq!(check(&served, name).await.unwrap(), Serving, "{name}");
        let mut watch = Watch::start(&served, name).await;
        watch.expect(Serving).await;
        watches.push(watch);
    }
    let unknown = check(&served, "other").await.unwrap_err();
    expect(&unknown, Code::NotFound, "model_not_found");
    let mut unknown = Watch::start(&served, "other").await;
    unknown.expect(ServiceUnknown).await;

    fixture.service.enter(Stage::Draining);
    for name in names {
        assert_eq!(check(&served, name).await.unwrap(), NotServing, "{name}");
    }
    for mut watch in watches {
        watch.expect(NotServing).await;
        let end = watch.0.next().await.unwrap().unwrap_err();
        expect(&end, Code::Unavailable, "draining");
    }
    // Watches that are still open do not delay shutdown.
    served.stop.send(Stage::Draining).unwrap();
    served.ended.await.unwrap();
}

#[tokio::test]
async fn a_watch_tells_of_changes_alone() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let mut model = Watch::start(&served, "model").await;
    let mut whole = Watch::start(&served, "").await;
    model.expect(Serving).await;
    whole.expect(Serving).await;
    let version = crate::model_folder::Version::ONLY;
    let registry = fixture.service.registry();
    let unloaded = registry.mark_unloaded("model", version);
    assert!(unloaded.is_some());
    model.expect(NotServing).await;
    assert_eq!(check(&served, "model").await.unwrap(), NotServing);
    registry.remove("model", version);
    // The server is ready without a model that it should have, so its watch has received nothing.
    model.expect(ServiceUnknown).await;
    fixture.service.enter(Stage::Draining);
    whole.expect(NotServing).await;
}

#[tokio::test]
async fn a_server_that_still_loads_does_not_serve() {
    let fixture = Fixture::new(Task::Tag);
    let service = loading_service(&["a"]);
    let served = Served::start(&service, &fixture.metrics, Timeouts::default()).await;
    for name in ["", "electra.v1.Electra", "a"] {
        assert_eq!(check(&served, name).await.unwrap(), NotServing, "{name}");
    }
    let request = TagRequest {
        model: Some("a".to_owned()),
        ..tag("a")
    };
    let status = served.client().tag(request.clone()).await.unwrap_err();
    expect(&status, Code::Unavailable, "not_ready");
    assert!(status.metadata().get("retry-after").is_some());
    fail(&service, "a", "It is broken.");
    let status = served.client().tag(request).await.unwrap_err();
    expect(&status, Code::Unavailable, "model_unavailable");
    assert_eq!(check(&served, "a").await.unwrap(), NotServing);
}
