//! The client of `electra.v1.Electra` that `electra bench` uses.

use std::error::Error;

use thiserror::Error;
use tonic::transport::{self, Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::grpc::proto::electra as proto;
use crate::grpc::proto::electra::electra_client::ElectraClient;
use crate::service::Timings;

/// A client of one server, over one connection.
pub struct GrpcClient(ElectraClient<Channel>);

/// A request of one of the tasks.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Discriminate(proto::DiscriminateRequest),
    Classify(proto::ClassifyRequest),
    Tag(proto::TagRequest),
    Answer(proto::AnswerRequest),
}

/// Why a request was not answered.
#[derive(Debug, Error)]
pub enum Unanswered {
    #[error("{status}: {reason}")]
    Refused {
        /// The status, as gRPC spells it.
        status: &'static str,
        /// The server's message.
        reason: String,
    },
    /// The connection failed or was lost.
    #[error(transparent)]
    Broken(Box<dyn Error + Send + Sync>),
}

impl GrpcClient {
    /// A client of the server at HOST:PORT. The first request opens the connection. Responses of more than
    /// `longest_answer` bytes are refused. Call it within a tokio runtime.
    ///
    /// # Errors
    /// If the address is invalid.
    pub fn new(address: &str, longest_answer: usize) -> Result<Self, transport::Error> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        let client = ElectraClient::new(channel).max_decoding_message_size(longest_answer);
        Ok(Self(client))
    }

    /// Sends a request, waits for the response, and returns the timings that the server reports.
    ///
    /// # Errors
    /// If the server refused the request or could not be reached.
    pub async fn ask(&self, message: Message) -> Result<Option<Timings>, Unanswered> {
        let mut client = self.0.clone();
        let answered = match message {
            Message::Discriminate(message) => client
                .discriminate(message)
                .await
                .map(|answer| timings(&answer)),
            Message::Classify(message) => client
                .classify(message)
                .await
                .map(|answer| timings(&answer)),
            Message::Tag(message) => client.tag(message).await.map(|answer| timings(&answer)),
            Message::Answer(message) => client.answer(message).await.map(|answer| timings(&answer)),
        };
        answered.map_err(Into::into)
    }
}

fn timings<R>(response: &Response<R>) -> Option<Timings> {
    let text = response.metadata().get(Timings::HEADER)?;
    text.to_str().ok()?.parse().ok()
}

impl From<Status> for Unanswered {
    fn from(status: Status) -> Self {
        // A status with a source was created by the client, not the server.
        if status.source().is_some() {
            return Self::Broken(Box::new(status));
        }
        Self::Refused {
            status: name(status.code()),
            reason: status.message().to_owned(),
        }
    }
}

/// The name of a status in gRPC's specification.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
