//! The load's target over gRPC: one connection that carries all requests in flight.

use super::BenchError;
use super::grpc_client::{Client, Message, Unanswered};
use super::load::{Failure, LONGEST_ANSWER, Outcome, Target};
use super::requests::{Content, Request};
use super::subject::Subject;
use crate::grpc::proto::electra as proto;
use crate::task::Task;

/// Requests to one server.
pub struct GrpcTarget {
    client: Client,
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
        let client = Client::new(address, LONGEST_ANSWER).map_err(std::io::Error::other)?;
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

impl Target for GrpcTarget {
    async fn send(&self, request: usize) -> Outcome {
        let message = self.requests[request].clone();
        self.client.ask(message).await.map_err(|error| match error {
            Unanswered::Refused { status, reason } => Failure::new(status.to_owned(), &reason),
            Unanswered::Broken(error) => Failure::broken(error.source().unwrap_or(&*error)),
        })
    }
}

fn message(task: Task, model: &str, content: &Content) -> Message {
    let model = Some(model.to_owned());
    let text = match content {
        Content::Question(item) => {
            return Message::Answer(proto::AnswerRequest {
                question: Some(item.question.clone()),
                context: Some(item.context.clone()),
                model,
                ..Default::default()
            });
        }
        Content::Text(text) => vec![text.clone()],
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
