//! The load's target inside the process: the service itself, without a transport.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::load::{LoadFailure, LoadTarget, Outcome};
use super::requests::Request;
use super::subject::Subject;
use crate::batch::Priority;
use crate::error::ServiceError;
use crate::service::{
    ClassifyRequest, DiscriminateRequest, QaRequest, RequestContext, Service, TagRequest,
    TaskOperation, json,
};
use crate::task::Task;

/// A service and the requests for it.
pub struct ServiceTarget {
    service: Service,
    requests: Vec<Box<dyn ServiceCall>>,
    timeout: Duration,
}

/// A request of any task, ready to be sent again and again.
trait ServiceCall: Send + Sync {
    fn send<'a>(
        &'a self,
        service: &'a Service,
        context: RequestContext,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
}

impl<O: TaskOperation> ServiceCall for O {
    fn send<'a>(
        &'a self,
        service: &'a Service,
        context: RequestContext,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            match service.answer(self.clone(), &context).await {
                Ok(answer) => Ok(Some(answer.timings)),
                Err(error) => Err(LoadFailure {
                    kind: error.http_status().to_string(),
                    reason: error.to_string(),
                }),
            }
        })
    }
}

impl ServiceTarget {
    /// Prepares requests to a service whose models are loaded; each has `timeout` to be answered.
    ///
    /// # Errors
    /// If the service does not accept a request.
    pub fn new(
        service: Service,
        subjects: &[Subject],
        requests: &[Request],
        timeout: Duration,
    ) -> Result<Self, ServiceError> {
        let prepare = |request: &Request| {
            let Subject { name, task, .. } = &subjects[request.subject];
            let body = request.body(name).to_string();
            match task {
                Task::Discriminate => prepared::<DiscriminateRequest>(&body),
                Task::Classify => prepared::<ClassifyRequest>(&body),
                Task::Tag => prepared::<TagRequest>(&body),
                Task::Qa => prepared::<QaRequest>(&body),
            }
        };
        let requests = requests.iter().map(prepare).collect::<Result<_, _>>()?;
        Ok(Self {
            service,
            requests,
            timeout,
        })
    }
}

fn prepared<O: TaskOperation>(body: &str) -> Result<Box<dyn ServiceCall>, ServiceError> {
    let operation: O = json::parse(body.as_bytes())?;
    Ok(Box::new(operation))
}

impl LoadTarget for ServiceTarget {
    async fn send(&self, request: usize) -> Outcome {
        let context = RequestContext::new(Priority::default(), Instant::now() + self.timeout);
        self.requests[request].send(&self.service, context).await
    }
}
