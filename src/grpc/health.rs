//! `grpc.health.v1.Health`: health of the server, of its services, and of each model by name.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::methods::SERVICES;
use crate::error::ServiceError;
use crate::service::Service;

/// The status `SERVICE_UNKNOWN`, which the protocol sends to watchers of an unknown name. They are told if it appears
/// later.
const SERVICE_UNKNOWN: i32 = 3;

pub struct HealthAdapter {
    service: Service,
}

impl HealthAdapter {
    pub fn new(service: Service) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl Health for HealthAdapter {
    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        // Anybody may ask, so the models that there are stay unsaid.
        let status = health(&self.service, &name).ok_or_else(|| ServiceError::ModelNotFound {
            name,
            available: Vec::new(),
        })?;
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let name = request.into_inner().service;
        let (statuses, told) = mpsc::channel(1);
        tokio::spawn(watch(self.service.clone(), name, statuses));
        Ok(Response::new(ReceiverStream::new(told)))
    }
}

/// Sends each change of status until the client disconnects or the server drains. That it stops is the last change sent.
async fn watch(
    service: Service,
    name: String,
    statuses: mpsc::Sender<Result<HealthCheckResponse, Status>>,
) {
    let mut models = service.model_changes();
    let mut stage = service.stage();
    let mut told = None;
    loop {
        let status = health(&service, &name).unwrap_or(SERVICE_UNKNOWN);
        if told != Some(status) {
            told = Some(status);
            let response = HealthCheckResponse { status };
            if statuses.send(Ok(response)).await.is_err() {
                return;
            }
        }
        if service.is_draining() {
            let _ = statuses.send(Err(ServiceError::Draining.into())).await;
            return;
        }
        tokio::select! {
            changed = models.changed() => if changed.is_err() { return },
            changed = stage.changed() => if changed.is_err() { return },
            () = statuses.closed() => return,
        }
    }
}

/// The status of the server, a service or a model. `None` if nothing has this name.
fn health(service: &Service, name: &str) -> Option<i32> {
    let serves = if name.is_empty() || SERVICES.contains(&name) {
        service.readiness().is_ok()
    } else {
        service.is_answering(name)?
    };
    Some(if serves {
        ServingStatus::Serving as i32
    } else {
        ServingStatus::NotServing as i32
    })
}
