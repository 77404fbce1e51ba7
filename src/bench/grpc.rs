//! The load's target over gRPC: one connection that carries all requests in flight.

use super::BenchError;
use super::grpc_client::{GrpcClient, Message, Unanswered};
use super::load::{LONGEST_ANSWER, LoadFailure, LoadTarget, Outcome};
use super::requests::{Request, RequestContent};
use super::subject::Subject;
use crate::grpc::proto::electra as proto;
use crate::task::Task;

/// Requests to one server.
pub struct GrpcTarget {
    client: GrpcClient,
    requests: Vec<Message>,
}

impl GrpcTarget {
    /// Prepares requests to the server at HOST:PORT. Call it within a tokio runtime.
    ///
    /// # Errors
    /// If the address is invalid.
    pub fn new(
        address: &str,
        subjects: &[Subject],
        requests: &[Request],
    ) -> Result<Self, BenchError> {
        let client = GrpcClient::new(address, LONGEST_ANSWER).map_err(std::io::Error::other)?;
        let prepare = |request: &Request| {
            let Subject { name, task, .. } = &subjects[request.subject];
            message(*task, name, &request.content)
        };
        Ok(Self {
            client,
            requests: requests.iter().map(prepare).collect(),
        })
    }
}

impl LoadTarget for GrpcTarget {
    async fn send(&self, request: usize) -> Outcome {
        let message = self.requests[request].clone();
        self.client.ask(message).await.map_err(|error| match error {
            Unanswered::Refused { status, reason } => LoadFailure::new(status.to_owned(), &reason),
            Unanswered::Broken(error) => LoadFailure::broken(error.source().unwrap_or(&*error)),
        })
    }
}

fn message(task: Task, model: &str, content: &RequestContent) -> Message {
    let model = Some(model.to_owned());
    let text = match content {
        RequestContent::Question(item) => {
            return Message::Answer(proto::AnswerRequest {
                question: Some(item.question.clone()),
                context: Some(item.context.clone()),
                model,
                ..Default::default()
            });
        }
        RequestContent::Text(text) => vec![text.clone()],
    };
    match task {
        Task::Discriminate => Message::Discriminate(proto::DiscriminateRequest {
            text,
            model,
            ..Default::default()
        }),
        Task::Tag => Message::Tag(proto::TagRequest {
            text,
            model,
            ..Default::default()
        }),
        // A question answering model always gets a context too, so only classify reaches this.
        Task::Classify | Task::Qa => Message::Classify(proto::ClassifyRequest {
            text,
            model,
            ..Default::default()
        }),
    }
}
