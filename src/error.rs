//! The one error table: what can go wrong with a request, its code, its status over HTTP and over gRPC, and its sentence.

use std::any::Any;
use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;

use crate::batch::BatchError;
use crate::heads::qa_bounds::BoundError;
use crate::quote::quoted;
use crate::task::Task;

/// Why a request is not answered. `Display` is the sentence for the person who sent it: what is wrong, where, and what to do.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ServiceError {
    /// The body is no JSON document.
    #[error("The body is not valid JSON: {reason}. Send one JSON object.")]
    InvalidJson {
        /// The parser's words, with line and column.
        reason: String,
    },
    /// A string of the body holds half of a surrogate pair, which JSON can write and Unicode does not have.
    #[error(
        "{place} holds a lone surrogate, half of a pair such as `\\ud83d\\ude00`, which is no character. Cut texts \
         between characters, or send `\\ufffd` in its place."
    )]
    LoneSurrogate {
        /// Where: `` `text[3]` `` or `The body`.
        place: String,
    },
    /// The body holds bytes that are not UTF-8.
    #[error("The body is not valid UTF-8 at byte {position}. Send JSON encoded as UTF-8.")]
    InvalidUtf8 {
        /// Bytes before the first wrong one.
        position: usize,
    },
    /// The message is not one of the method's, or can't be read at all.
    #[error(
        "The message can't be read: {reason}. Send it as the method's request message in the server's .proto files."
    )]
    InvalidMessage {
        /// What the reader says.
        reason: String,
    },
    /// A value has another JSON type than the request wants there.
    #[error("{place} has the wrong type: {reason}.")]
    InvalidType {
        /// Where: `` `text[3]` `` or `The body`.
        place: String,
        /// What was found and what is wanted.
        reason: String,
    },
    /// No model has this name.
    #[error("There is no model named `{}`. {}", quoted(.name), named(.available))]
    ModelNotFound {
        /// The name asked for.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// No model does this task.
    #[error("No model here does the task {task}. {}", named(.available))]
    NoModelForTask {
        /// The task asked for.
        task: Task,
        /// The names there are.
        available: Vec<String>,
    },
    /// No route has this path.
    #[error("There is no route {}. {hint}", quoted(.path))]
    RouteNotFound {
        /// The path asked for.
        path: String,
        /// The nearest route, or where all routes are described.
        hint: String,
    },
    /// The route exists, for other methods.
    #[error(
        "{} does not take {}; the Allow header of this answer names the methods it takes.",
        quoted(.path),
        quoted(.method)
    )]
    MethodNotAllowed {
        /// The path asked for.
        path: String,
        /// The method used.
        method: String,
    },
    /// The body is longer than this server reads.
    #[error(
        "The request is longer than the {limit} bytes this server takes. Send fewer or shorter texts a request."
    )]
    BodyTooLarge {
        /// The configured `max_body_bytes`.
        limit: usize,
    },
    /// The body is declared as something else than JSON.
    #[error("The body must be JSON: {found}. Send the header `content-type: application/json`.")]
    UnsupportedMediaType {
        /// What the header says.
        found: String,
    },
    /// The messages are compressed in a way that this server does not read.
    #[error("The messages can't be read: {reason}. Send them as they are, or compressed by gzip.")]
    UnsupportedCompression {
        /// What is wrong.
        reason: String,
    },
    /// A field without which the request means nothing is absent.
    #[error("{place} lacks the field `{field}`.")]
    MissingField {
        /// Where the field should be.
        place: String,
        /// The field.
        field: String,
    },
    /// A field no request of this kind has: surely a mistake.
    #[error("{place} has the unknown field `{}`. {hint}", quoted(.field))]
    UnknownField {
        /// Where the field is.
        place: String,
        /// The field.
        field: String,
        /// The nearest name, or all names.
        hint: String,
    },
    /// Right type, unusable value.
    #[error("{place} can't be used: {reason}.")]
    InvalidValue {
        /// Where the value is.
        place: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A request header has an unusable value.
    #[error("The header `{header}` can't be used: {reason}.")]
    InvalidHeader {
        /// The header's name.
        header: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A list of inputs with nothing in it.
    #[error("`{place}` is an empty list. Send at least one input.")]
    EmptyInput {
        /// The field.
        place: &'static str,
    },
    /// More inputs than one request may hold.
    #[error(
        "`{place}` holds {count} inputs; one request may hold {limit}. Send the rest in further requests."
    )]
    TooManyInputs {
        /// The field.
        place: &'static str,
        /// How many were sent.
        count: usize,
        /// The configured `max_inputs`.
        limit: usize,
    },
    /// A text without a single token where one is needed.
    #[error(
        "`{place}` is empty or holds only white space. Send a text with at least one visible character."
    )]
    EmptyText {
        /// The text: `text[3]`.
        place: String,
    },
    /// A text longer than this server takes, in bytes.
    #[error("`{place}` has {length} bytes; a text may have {limit}. Split it into several.")]
    TextTooLong {
        /// The text: `text[3]`.
        place: String,
        /// Its length in bytes of UTF-8.
        length: usize,
        /// The configured `max_text_bytes`.
        limit: usize,
    },
    /// A text longer than the model reads at once, where a window would not do.
    #[error(
        "`{place}` has {length} tokens with the special ones; the model reads {limit}. Shorten it, or have it \
         cut there by \"truncate\": true, in a Hugging Face request \"truncation\": true."
    )]
    TooManyTokens {
        /// The text: `text[3]`.
        place: String,
        /// Its length in tokens, special ones included.
        length: usize,
        /// The model's limit.
        limit: usize,
    },
    /// A question that leaves no room for its context.
    #[error(
        "`{place}` has {length} tokens; with this context a question may have {limit}. Shorten the question."
    )]
    QuestionTooLong {
        /// The question: `items[3].question`.
        place: String,
        /// Its length in tokens.
        length: usize,
        /// The longest that leaves room for the context.
        limit: usize,
    },
    /// The model asked for does another task than the route.
    #[error(
        "The model `{}` does the task {task}, not {wanted}. Ask it for {task}, or ask another model.",
        quoted(.model)
    )]
    WrongTask {
        /// The model.
        model: String,
        /// What it does.
        task: Task,
        /// What was asked.
        wanted: Task,
    },
    /// The model does a task that Hugging Face has no pipeline for.
    #[error(
        "The model `{}` does the task {task}, for which Hugging Face has no pipeline. Use the route /{task}, or \
         another model.",
        quoted(.model)
    )]
    NoPipeline {
        /// The model.
        model: String,
        /// What it does.
        task: Task,
    },
    /// The model's queue has no room.
    #[error("The server is busy: the model's queue is full. Try again in {} s.", seconds(*.retry_after))]
    QueueFull {
        /// When there may be room.
        retry_after: Duration,
    },
    /// A fault of the server; what happened is in its log.
    #[error("The server failed to answer; its log says why, under this answer's x-request-id.")]
    Internal,
    /// Models are still loading.
    #[error("The server is not ready: {reason}. Try again shortly.")]
    NotReady {
        /// What is being waited for.
        reason: String,
    },
    /// The server is stopping.
    #[error(
        "The server is stopping and takes no new requests. Send this one to another instance, or again."
    )]
    Draining,
    /// The model could not be loaded.
    #[error("The model `{}` could not be loaded: {reason}", quoted(.model))]
    ModelUnavailable {
        /// The model.
        model: String,
        /// Why, a sentence.
        reason: String,
    },
    /// The model was taken out of service.
    #[error(
        "The model `{name}` is unloaded. Load it by POST /v2/repository/models/{name}/load, over gRPC by RepositoryModelLoad, or ask another.",
        name = quoted(.model)
    )]
    ModelUnloaded {
        /// The model, as it was asked for.
        model: String,
    },
    /// The request's deadline passed before its answer was there.
    #[error(
        "The request's deadline passed before its answer was there. Send less at once, or allow it more time."
    )]
    DeadlineExceeded,
}

impl From<BoundError> for ServiceError {
    fn from(error: BoundError) -> Self {
        Self::InvalidValue {
            place: format!("`{}`", error.field()),
            reason: error.to_string(),
        }
    }
}

impl ServiceError {
    /// The stable name of this error, for programs: part of the API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().0
    }

    /// The HTTP status this error is answered with.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.row().1
    }

    /// The gRPC status this error is answered with.
    #[must_use]
    pub fn grpc_status(&self) -> GrpcStatus {
        self.row().2
    }

    /// When trying again makes sense, where it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after } => Some(*retry_after),
            Self::NotReady { .. } | Self::Draining => Some(Duration::from_secs(2)),
            Self::ModelUnavailable { .. } | Self::ModelUnloaded { .. } => {
                Some(Duration::from_secs(30))
            }
            _ => None,
        }
    }

    /// A fault of the server: what happened goes into the log, not into the answer.
    pub fn internal(details: impl Display) -> Self {
        tracing::error!(%details, "a request failed");
        Self::Internal
    }

    /// A panic while a request was answered: its words go into the log.
    #[must_use]
    pub fn panicked(panic: &(dyn Any + Send)) -> Self {
        let words = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Self::internal(format!(
            "a handler panicked: {}",
            words.unwrap_or("without words")
        ))
    }

    /// The table: code, HTTP status, gRPC status.
    fn row(&self) -> (&'static str, u16, GrpcStatus) {
        use GrpcStatus::{
            DeadlineExceeded, Internal, InvalidArgument, NotFound, ResourceExhausted, Unavailable,
            Unimplemented,
        };
        match self {
            Self::InvalidJson { .. } | Self::LoneSurrogate { .. } => {
                ("invalid_json", 400, InvalidArgument)
            }
            Self::InvalidUtf8 { .. } => ("invalid_utf8", 400, InvalidArgument),
            Self::InvalidMessage { .. } => ("invalid_message", 400, InvalidArgument),
            Self::InvalidType { .. } => ("invalid_type", 400, InvalidArgument),
            Self::ModelNotFound { .. } | Self::NoModelForTask { .. } => {
                ("model_not_found", 404, NotFound)
            }
            Self::RouteNotFound { .. } => ("route_not_found", 404, Unimplemented),
            Self::MethodNotAllowed { .. } => ("method_not_allowed", 405, Unimplemented),
            Self::BodyTooLarge { .. } => ("body_too_large", 413, ResourceExhausted),
            Self::UnsupportedMediaType { .. } | Self::UnsupportedCompression { .. } => {
                ("unsupported_media_type", 415, Unimplemented)
            }
            Self::MissingField { .. } => ("missing_field", 422, InvalidArgument),
            Self::UnknownField { .. } => ("unknown_field", 422, InvalidArgument),
            Self::InvalidValue { .. } => ("invalid_value", 422, InvalidArgument),
            Self::InvalidHeader { .. } => ("invalid_header", 422, InvalidArgument),
            Self::EmptyInput { .. } => ("empty_input", 422, InvalidArgument),
            Self::TooManyInputs { .. } => ("too_many_inputs", 422, InvalidArgument),
            Self::EmptyText { .. } => ("empty_text", 422, InvalidArgument),
            Self::TextTooLong { .. } => ("text_too_long", 422, InvalidArgument),
            Self::TooManyTokens { .. } => ("too_many_tokens", 422, InvalidArgument),
            Self::QuestionTooLong { .. } => ("question_too_long", 422, InvalidArgument),
            Self::WrongTask { .. } | Self::NoPipeline { .. } => {
                ("wrong_task", 422, InvalidArgument)
            }
            Self::QueueFull { .. } => ("queue_full", 429, ResourceExhausted),
            Self::Internal => ("internal", 500, Internal),
            Self::NotReady { .. } => ("not_ready", 503, Unavailable),
            Self::Draining => ("draining", 503, Unavailable),
            Self::ModelUnavailable { .. } => ("model_unavailable", 503, Unavailable),
            Self::ModelUnloaded { .. } => ("model_unloaded", 503, Unavailable),
            Self::DeadlineExceeded => ("deadline_exceeded", 504, DeadlineExceeded),
        }
    }
}

impl From<BatchError> for ServiceError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::QueueFull { retry_after } => Self::QueueFull { retry_after },
            BatchError::DeadlineExceeded => Self::DeadlineExceeded,
            BatchError::Closed => Self::Draining,
            BatchError::Inference(details) => Self::internal(details),
        }
    }
}

/// The statuses of gRPC that a request can be answered with, by the names that its specification gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatus {
    /// `INVALID_ARGUMENT`
    InvalidArgument,
    /// `DEADLINE_EXCEEDED`
    DeadlineExceeded,
    /// `NOT_FOUND`
    NotFound,
    /// `RESOURCE_EXHAUSTED`
    ResourceExhausted,
    /// `UNIMPLEMENTED`
    Unimplemented,
    /// `INTERNAL`
    Internal,
    /// `UNAVAILABLE`
    Unavailable,
}

/// Whole seconds, rounded up, at least one: what a Retry-After header holds.
#[must_use]
pub fn seconds(duration: Duration) -> u64 {
    let whole = duration.as_secs();
    (whole + u64::from(duration.subsec_nanos() > 0)).max(1)
}

fn named(names: &[String]) -> String {
    match names {
        [] => "There are no models.".to_owned(),
        [name] => format!("There is one model: `{name}`."),
        _ => format!("The models are `{}`.", names.join("`, `")),
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
