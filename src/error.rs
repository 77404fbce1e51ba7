//! The one error table: what can go wrong with a request, its code, its HTTP status and its sentence.

use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;

use crate::batch::BatchError;
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
    /// The body holds bytes that are not UTF-8.
    #[error("The body is not valid UTF-8 at byte {position}. Send JSON encoded as UTF-8.")]
    InvalidUtf8 {
        /// Bytes before the first wrong one.
        position: usize,
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
    #[error("There is no model named `{name}`. {}", named(.available))]
    ModelNotFound {
        /// The name asked for.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// No model does this task.
    #[error("No model here does the task {task}, so this route has none. {}", named(.available))]
    NoModelForTask {
        /// The task asked for.
        task: Task,
        /// The names there are.
        available: Vec<String>,
    },
    /// No route has this path.
    #[error("There is no route {path}. {hint}")]
    RouteNotFound {
        /// The path asked for.
        path: String,
        /// The nearest route, or where all routes are described.
        hint: String,
    },
    /// The route exists, for other methods.
    #[error(
        "{path} does not take {method}; the Allow header of this answer names the methods it takes."
    )]
    MethodNotAllowed {
        /// The path asked for.
        path: String,
        /// The method used.
        method: String,
    },
    /// The body is longer than this server reads.
    #[error(
        "The body is longer than the {limit} bytes this server takes. Send fewer or shorter texts a request."
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
    /// A field without which the request means nothing is absent.
    #[error("{place} lacks the field `{field}`.")]
    MissingField {
        /// Where the field should be.
        place: String,
        /// The field.
        field: String,
    },
    /// A field no request of this kind has: surely a mistake.
    #[error("{place} has the unknown field `{field}`. {hint}")]
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
        "`{place}` has {length} tokens with the special ones; the model reads {limit}. Shorten it, or send \
         \"truncate\": true to have it cut there."
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
        "The model `{model}` does the task {task}, not {wanted}. Use the route /{task}, or another model."
    )]
    WrongTask {
        /// The model.
        model: String,
        /// What it does.
        task: Task,
        /// What was asked.
        wanted: Task,
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
    #[error("The model `{model}` could not be loaded: {reason}")]
    ModelUnavailable {
        /// The model.
        model: String,
        /// Why, a sentence.
        reason: String,
    },
    /// The model was taken out of service.
    #[error(
        "The model `{model}` is unloaded. Load it by POST /v2/repository/models/{model}/load, or ask another."
    )]
    ModelUnloaded {
        /// The model, as it was asked for.
        model: String,
    },
    /// The request's deadline passed before its answer was there.
    #[error(
        "The request's deadline passed before its answer was there. Send less at once, or allow more time by x-request-timeout-ms."
    )]
    DeadlineExceeded,
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

    /// The table: code, HTTP status.
    fn row(&self) -> (&'static str, u16) {
        match self {
            Self::InvalidJson { .. } => ("invalid_json", 400),
            Self::InvalidUtf8 { .. } => ("invalid_utf8", 400),
            Self::InvalidType { .. } => ("invalid_type", 400),
            Self::ModelNotFound { .. } | Self::NoModelForTask { .. } => ("model_not_found", 404),
            Self::RouteNotFound { .. } => ("route_not_found", 404),
            Self::MethodNotAllowed { .. } => ("method_not_allowed", 405),
            Self::BodyTooLarge { .. } => ("body_too_large", 413),
            Self::UnsupportedMediaType { .. } => ("unsupported_media_type", 415),
            Self::MissingField { .. } => ("missing_field", 422),
            Self::UnknownField { .. } => ("unknown_field", 422),
            Self::InvalidValue { .. } => ("invalid_value", 422),
            Self::InvalidHeader { .. } => ("invalid_header", 422),
            Self::EmptyInput { .. } => ("empty_input", 422),
            Self::TooManyInputs { .. } => ("too_many_inputs", 422),
            Self::EmptyText { .. } => ("empty_text", 422),
            Self::TextTooLong { .. } => ("text_too_long", 422),
            Self::TooManyTokens { .. } => ("too_many_tokens", 422),
            Self::QuestionTooLong { .. } => ("question_too_long", 422),
            Self::WrongTask { .. } => ("wrong_task", 422),
            Self::QueueFull { .. } => ("queue_full", 429),
            Self::Internal => ("internal", 500),
            Self::NotReady { .. } => ("not_ready", 503),
            Self::Draining => ("draining", 503),
            Self::ModelUnavailable { .. } => ("model_unavailable", 503),
            Self::ModelUnloaded { .. } => ("model_unloaded", 503),
            Self::DeadlineExceeded => ("deadline_exceeded", 504),
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
mod tests {
    use super::*;

    fn check(error: &ServiceError, code: &str, status: u16, sentence: &str) {
        assert_eq!((error.code(), error.http_status()), (code, status));
        assert_eq!(error.to_string(), sentence);
    }

    #[test]
    fn errors_have_a_code_a_status_and_a_sentence() {
        check(
            &ServiceError::TooManyTokens {
                place: "text[3]".into(),
                length: 700,
                limit: 512,
            },
            "too_many_tokens",
            422,
            "`text[3]` has 700 tokens with the special ones; the model reads 512. Shorten it, or send \
             \"truncate\": true to have it cut there.",
        );
        check(
            &ServiceError::ModelNotFound {
                name: "x".into(),
                available: vec!["a".into(), "b".into()],
            },
            "model_not_found",
            404,
            "There is no model named `x`. The models are `a`, `b`.",
        );
        check(
            &ServiceError::WrongTask {
                model: "a".into(),
                task: Task::Tag,
                wanted: Task::Qa,
            },
            "wrong_task",
            422,
            "The model `a` does the task tag, not qa. Use the route /tag, or another model.",
        );
        check(
            &ServiceError::QueueFull {
                retry_after: Duration::from_millis(1200),
            },
            "queue_full",
            429,
            "The server is busy: the model's queue is full. Try again in 2 s.",
        );
    }

    #[test]
    fn every_error_that_passes_says_when_to_try_again() {
        for error in [
            ServiceError::QueueFull {
                retry_after: Duration::from_secs(3),
            },
            ServiceError::NotReady {
                reason: String::new(),
            },
            ServiceError::Draining,
            ServiceError::ModelUnavailable {
                model: String::new(),
                reason: String::new(),
            },
            ServiceError::ModelUnloaded {
                model: String::new(),
            },
        ] {
            assert!(
                matches!(error.http_status(), 429 | 503) && error.retry_after().is_some(),
                "{error:?}"
            );
        }
        assert_eq!(ServiceError::DeadlineExceeded.retry_after(), None);
    }

    #[test]
    fn batch_errors_keep_their_meaning_and_hide_the_details() {
        assert_eq!(
            ServiceError::from(BatchError::DeadlineExceeded),
            ServiceError::DeadlineExceeded
        );
        assert_eq!(
            ServiceError::from(BatchError::Closed),
            ServiceError::Draining
        );
        let hidden = ServiceError::from(BatchError::Inference("secret".into()));
        assert!(!hidden.to_string().contains("secret"));
    }

    #[test]
    fn retry_after_rounds_up_to_at_least_a_second() {
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_millis(1001)), 2);
        assert_eq!(seconds(Duration::from_secs(5)), 5);
    }
}
