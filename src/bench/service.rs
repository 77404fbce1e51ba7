//! The load's target inside the process: requests go to the service itself, with no transport.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::load::{Failure, Outcome, Target};
use super::requests::Request;
use super::subject::Subject;
use crate::batch::Priority;
use crate::error::ServiceError;
use crate::service::{
    Answer, ClassifyRequest, DiscriminateRequest, QaRequest, RequestContext, Service, TagRequest,
    json,
};
use crate::task::Task;

/// A service and the requests for it.
pub struct ServiceTarget {
    service: Service,
    requests: Vec<Prepared>,
    timeout: Duration,
}

enum Prepared {
    Discriminate(DiscriminateRequest),
    Classify(ClassifyRequest),
    Tag(TagRequest),
    Qa(QaRequest),
}

impl ServiceTarget {
    /// Prepares requests to a service whose models are loaded; each has so much time to be answered.
    ///
    /// # Errors
    /// Where a request is none that the service takes.
    pub fn new(
        service: Service,
        subjects: &[Subject],
        requests: &[Request],
        timeout: Duration,
    ) -> Result<Self, ServiceError> {
        let prepare = |request: &Request| {
            let Subject { name, task, .. } = &subjects[request.subject];
            let body = request.body(name).to_string();
            Ok(match task {
                Task::Discriminate => Prepared::Discriminate(parse(&body)?),
                Task::Classify => Prepared::Classify(parse(&body)?),
                Task::Tag => Prepared::Tag(parse(&body)?),
                Task::Qa => Prepared::Qa(parse(&body)?),
            })
        };
        let requests = requests
            .iter()
            .map(prepare)
            .collect::<Result<_, ServiceError>>()?;
        Ok(Self {
            service,
            requests,
            timeout,
        })
    }
}

fn parse<T: DeserializeOwned>(body: &str) -> Result<T, ServiceError> {
    json::parse(body.as_bytes())
}

impl Target for ServiceTarget {
    async fn send(&self, request: usize) -> Outcome {
        let context = RequestContext::new(Priority::default(), Instant::now() + self.timeout);
        let service = &self.service;
        match &self.requests[request] {
            Prepared::Discriminate(request) => {
                outcome(service.discriminate(request.clone(), &context).await)
            }
            Prepared::Classify(request) => {
                outcome(service.classify(request.clone(), &context).await)
            }
            Prepared::Tag(request) => outcome(service.tag(request.clone(), &context).await),
            Prepared::Qa(request) => outcome(service.answer(request.clone(), &context).await),
        }
    }
}

fn outcome<R>(answer: Result<Answer<R>, ServiceError>) -> Outcome {
    match answer {
        Ok(answer) => Ok(Some(answer.timings)),
        Err(error) => Err(Failure {
            kind: error.http_status().to_string(),
            reason: error.to_string(),
        }),
    }
}
