//! The error table of requests: each error's code, HTTP status, gRPC status and sentence.

use std::fmt::Display;
use std::time::Duration;

use thiserror::Error;

use crate::access::{Limited, Need, Refusal};
use crate::batch::BatchError;
use crate::heads::qa_bounds::BoundError;
use crate::inflight::Full;
use crate::quote::quoted;
use crate::task::Task;

/// Why a request is not answered. `Display` is the sentence for the client: what is wrong, where, and what to do.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ServiceError {
    /// The body is not a JSON document.
    #[error("The body is not valid JSON: {reason}. Send one JSON object.")]
    InvalidJson {
        /// The parser's message, with line and column.
        reason: String,
    },
    /// A string in the body contains half of a surrogate pair, which JSON can express but Unicode does not allow.
    #[error(
        "{place} holds a lone surrogate, half of a pair such as `\\ud83d\\ude00`, which is no character. Cut texts \
         between characters, or send `\\ufffd` in its place."
    )]
    LoneSurrogate {
        /// The place: `` `text[3]` `` or `The body`.
        place: String,
    },
    /// The body is not valid UTF-8.
    #[error("The body is not valid UTF-8 at byte {position}. Send JSON encoded as UTF-8.")]
    InvalidUtf8 {
        /// The number of bytes before the first invalid one.
        position: usize,
    },
    /// The message is not the method's request message, or can't be decoded at all.
    #[error(
        "The message can't be read: {reason}. Send it as the method's request message in the server's .proto files."
    )]
    InvalidMessage {
        /// The decoder's message.
        reason: String,
    },
    /// A value has the wrong JSON type.
    #[error("{place} has the wrong type: {reason}.")]
    InvalidType {
        /// The place: `` `text[3]` `` or `The body`.
        place: String,
        /// The type found and the type expected.
        reason: String,
    },
    #[error("There is no model named `{}`.{}", quoted(.name), named(.available))]
    ModelNotFound {
        /// The requested name.
        name: String,
        /// The names of all models.
        available: Vec<String>,
    },
    /// No model has this task.
    #[error("No model serves the task {task}.{}", named(.available))]
    NoModelForTask {
        task: Task,
        /// The names of all models.
        available: Vec<String>,
    },
    #[error("There is no route {}. {hint}", quoted(.path))]
    RouteNotFound {
        /// The requested path.
        path: String,
        /// The nearest route, or where all routes are described.
        hint: String,
    },
    /// The route exists, but only for other methods.
    #[error(
        "{} does not take {}; the Allow header of this answer names the methods it takes.",
        quoted(.path),
        quoted(.method)
    )]
    MethodNotAllowed {
        /// The requested path.
        path: String,
        /// The request's method.
        method: String,
    },
    /// The body exceeds the configured maximum.
    #[error(
        "The request is longer than the {limit} bytes this server takes. Send fewer or shorter texts per request."
    )]
    BodyTooLarge {
        /// The configured `max_body_bytes`.
        limit: usize,
    },
    /// The body's declared media type is not JSON.
    #[error("The body must be JSON: {found}. Send the header `content-type: application/json`.")]
    UnsupportedMediaType {
        /// The value of the header.
        found: String,
    },
    /// The messages use a compression that this server does not support.
    #[error("The messages can't be read: {reason}. Send them as they are, or compressed by gzip.")]
    UnsupportedCompression { reason: String },
    /// A required field is missing.
    #[error("{place} lacks the field `{field}`.")]
    MissingField {
        /// The place where the field should be.
        place: String,
        field: String,
    },
    /// The request has a field that requests of this kind do not have, most likely a typo.
    #[error("{place} has the unknown field `{}`. {hint}", quoted(.field))]
    UnknownField {
        place: String,
        field: String,
        /// The nearest name, or all names.
        hint: String,
    },
    /// A value has the right type but is not valid.
    #[error("{place} can't be used: {reason}.")]
    InvalidValue {
        place: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A request header has an invalid value.
    #[error("The header `{header}` can't be used: {reason}.")]
    InvalidHeader {
        header: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A list of inputs is empty.
    #[error("`{place}` is an empty list. Send at least one input.")]
    EmptyInput {
        /// The field.
        place: &'static str,
    },
    /// There are more inputs than one request may have.
    #[error(
        "`{place}` holds {count} inputs; one request may hold {limit}. Send the rest in further requests."
    )]
    TooManyInputs {
        /// The field.
        place: &'static str,
        /// The number of inputs sent.
        count: usize,
        /// The configured `max_inputs`.
        limit: usize,
    },
    /// A text has no tokens, but needs at least one.
    #[error(
        "`{place}` is empty or holds only white space. Send a text with at least one visible character."
    )]
    EmptyText {
        /// The text: `text[3]`.
        place: String,
    },
    /// A text exceeds the configured maximum in bytes.
    #[error("`{place}` has {length} bytes; a text may have {limit}. Split it into several.")]
    TextTooLong {
        /// The text: `text[3]`.
        place: String,
        /// Its length in bytes of UTF-8.
        length: usize,
        /// The configured `max_text_bytes`.
        limit: usize,
    },
    /// A text is longer than the model's maximum, in a task that does not use windows.
    #[error(
        "`{place}` has {length} tokens, including special tokens; the model reads {limit}. Shorten it, or have it \
         cut there by \"truncate\": true, in a Hugging Face request \"truncation\": true."
    )]
    TooManyTokens {
        /// The text: `text[3]`.
        place: String,
        /// Its length in tokens, special tokens included.
        length: usize,
        /// The model's maximum.
        limit: usize,
    },
    /// A question leaves no room for its context.
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
    /// The requested model has another task than the route.
    #[error(
        "The model `{}` does the task {task}, not {wanted}. Ask it for {task}, or ask another model.",
        quoted(.model)
    )]
    WrongTask {
        model: String,
        /// The model's task.
        task: Task,
        /// The route's task.
        wanted: Task,
    },
    /// The model has a task for which Hugging Face has no pipeline.
    #[error(
        "The model `{}` does the task {task}, for which Hugging Face has no pipeline. Use the route /{task}, or \
         another model.",
        quoted(.model)
    )]
    NoPipeline {
        model: String,
        /// The model's task.
        task: Task,
    },
    /// The request would wait too long for its first batch.
    #[error("The server is busy: the queue is full. Try again in {} s.", seconds(*.retry_after))]
    QueueFull {
        /// Estimated time until there is room.
        retry_after: Duration,
    },
    /// The request's share of the server is too small to answer it by its deadline.
    #[error(
        "The server is too busy to answer this request by its deadline: it needs about {} s. Send less at once, raise the \
         timeout, or try again in {} s.",
        seconds(*.needed),
        seconds(*.retry_after)
    )]
    DeadlineTooShort {
        /// How long the request would take now.
        needed: Duration,
        /// Estimated time until it would take less.
        retry_after: Duration,
    },
    /// Requests in flight hold all the memory that they may.
    #[error(
        "The server is busy: the requests it is answering hold all the memory they may. Try again in {} s.",
        seconds(OVERLOAD_PAUSE)
    )]
    Overloaded,
    /// The body arrives too slowly: what has arrived would be held meanwhile.
    #[error(
        "The request's body stopped arriving, or arrives at less than 16 KiB in 10 s. Send it without pauses."
    )]
    BodyStalled,
    /// A key is needed, and no valid one was sent.
    #[error("{reason} Send a key of this server in the header `authorization: Bearer KEY`.")]
    Unauthenticated {
        /// What was sent instead, a sentence. Never the key.
        reason: &'static str,
    },
    /// The key's limit is reached.
    #[error(
        "This key's limit of {} is reached. Try again in {} s.",
        limit_of(*.limit),
        seconds(*.retry_after)
    )]
    RateLimited {
        limit: Limited,
        /// Time until there is room.
        retry_after: Duration,
    },
    /// The client may not do this.
    #[error("This is not permitted: {reason}.")]
    PermissionDenied {
        /// What is not, and what to do instead.
        reason: String,
    },
    /// The request names a host that is not in `allowed_hosts`.
    #[error(
        "This server does not answer for {host}. Call it by a name that its setting `allowed_hosts` has, or add this one."
    )]
    UnknownHost {
        /// The host, quoted, or that there is none.
        host: String,
    },
    /// A page of another site sent the request, and its origin is not in `cors_allow_origins`.
    #[error(
        "Pages of other sites may not ask this server. Its operator allows an origin by the setting `cors_allow_origins`; \
         forms of other sites are never taken."
    )]
    CrossSite,
    /// A fault of the server. Its log has the details.
    #[error("The server failed to answer; its log says why, under this answer's x-request-id.")]
    Internal,
    /// Models are still loading.
    #[error("The server is not ready: {reason}. Try again shortly.")]
    NotReady {
        /// What the server is waiting for.
        reason: String,
    },
    #[error(
        "The server is stopping and takes no new requests. Send this one to another instance, or again."
    )]
    Draining,
    #[error("The model `{}` could not be loaded: {reason}", quoted(.model))]
    ModelUnavailable {
        model: String,
        /// A sentence.
        reason: String,
    },
    /// An operator unloaded the model, or electra.toml excludes it.
    #[error(
        "The model `{name}` is unloaded. Load it by POST /v2/repository/models/{name}/load, over gRPC by RepositoryModelLoad, or ask another.",
        name = quoted(.model)
    )]
    ModelUnloaded {
        /// The model's name in the request.
        model: String,
    },
    /// The connection is one of those that are reserved for health checks.
    #[error(
        "The server has as many connections as it may have, and answers only health checks on this one. Try again \
         shortly, or ask another instance."
    )]
    TooManyConnections,
    /// The deadline passed before the answer was complete.
    #[error(
        "The request's deadline passed before its answer was ready. Send less at once, or raise the timeout."
    )]
    DeadlineExceeded,
}

/// When to retry after [`ServiceError::Overloaded`]. Small requests leave within a second.
const OVERLOAD_PAUSE: Duration = Duration::from_secs(1);

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        let denied = |reason: &str| Self::PermissionDenied {
            reason: reason.to_owned(),
        };
        match refusal {
            Refusal::NoKey => Self::Unauthenticated {
                reason: "This server needs a key.",
            },
            Refusal::NotBearer => Self::Unauthenticated {
                reason: "The header `authorization` is not `Bearer` and a key.",
            },
            Refusal::Revoked => Self::Unauthenticated {
                reason: "This key is not valid any more.",
            },
            Refusal::UnknownKey => Self::Unauthenticated {
                reason: "There is no such key.",
            },
            Refusal::Scope(need) => denied(match need {
                Need::Control => "this key lacks the scope `admin`; use one that has it",
                Need::Metrics => "this key lacks the scope `metrics`; use one that has it",
                Need::Infer | Need::Nothing => {
                    "this key lacks the scope `infer`; use one that has it"
                }
            }),
            Refusal::ControlOff => denied(
                "models are not loaded or unloaded on request; start the server with model_control = \"on\" for that",
            ),
            Refusal::NotLocal => denied(
                "without keys, models are loaded and unloaded only from the server's own machine or over admin_http; \
                 ask there, or give the server keys",
            ),
            Refusal::Limited { limit, retry_after } => Self::RateLimited { limit, retry_after },
        }
    }
}

fn limit_of(limit: Limited) -> &'static str {
    match limit {
        Limited::Requests => "requests a second",
        Limited::Tokens => "tokens a second",
        Limited::Concurrent => "requests at a time",
    }
}

impl From<Full> for ServiceError {
    fn from(Full: Full) -> Self {
        Self::Overloaded
    }
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
    /// The stable identifier of this error, for programs. Part of the API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().0
    }

    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.row().1
    }

    #[must_use]
    pub fn grpc_status(&self) -> GrpcStatus {
        self.row().2
    }

    /// When a retry makes sense, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after }
            | Self::DeadlineTooShort { retry_after, .. }
            | Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Overloaded => Some(OVERLOAD_PAUSE),
            Self::NotReady { .. } | Self::Draining | Self::TooManyConnections => {
                Some(Duration::from_secs(2))
            }
            Self::ModelUnavailable { .. } | Self::ModelUnloaded { .. } => {
                Some(Duration::from_secs(30))
            }
            _ => None,
        }
    }

    /// The refusal of a request that names this host, or none.
    #[must_use]
    pub fn unknown_host(host: Option<&str>) -> Self {
        let host = match host {
            Some(host) => format!("the host `{}`", quoted(host)),
            None => "a request that names no host".to_owned(),
        };
        Self::UnknownHost { host }
    }

    /// The same for somebody who may know no more of the models than whether they are ready. `None` if it says no more.
    #[must_use]
    pub fn without_details(&self) -> Option<Self> {
        match self {
            Self::ModelNotFound { name, .. } => Some(Self::ModelNotFound {
                name: name.clone(),
                available: Vec::new(),
            }),
            Self::NotReady { .. } | Self::ModelUnavailable { .. } | Self::ModelUnloaded { .. } => {
                Some(Self::NotReady {
                    reason: "a request with a key is told why".to_owned(),
                })
            }
            _ => None,
        }
    }

    /// A fault of the server. The details are logged and not sent to the client.
    pub fn internal(details: impl Display) -> Self {
        tracing::error!(%details, "a request failed");
        Self::Internal
    }

    /// A panic while handling a request. Its message may quote a text, so only its place is logged, by
    /// the hook of `electra serve`.
    #[must_use]
    pub fn panicked() -> Self {
        Self::internal("a handler panicked")
    }

    /// The table: code, HTTP status, gRPC status.
    fn row(&self) -> (&'static str, u16, GrpcStatus) {
        use GrpcStatus::{
            DeadlineExceeded, Internal, InvalidArgument, NotFound, PermissionDenied,
            ResourceExhausted, Unauthenticated, Unavailable, Unimplemented,
        };
        match self {
            Self::InvalidJson { .. } | Self::LoneSurrogate { .. } => {
                ("invalid_json", 400, InvalidArgument)
            }
            Self::InvalidUtf8 { .. } => ("invalid_utf8", 400, InvalidArgument),
            Self::InvalidMessage { .. } => ("invalid_message", 400, InvalidArgument),
            Self::InvalidType { .. } => ("invalid_type", 400, InvalidArgument),
            Self::Unauthenticated { .. } => ("unauthenticated", 401, Unauthenticated),
            Self::PermissionDenied { .. } => ("permission_denied", 403, PermissionDenied),
            Self::CrossSite => ("cross_site", 403, PermissionDenied),
            Self::UnknownHost { .. } => ("unknown_host", 421, PermissionDenied),
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
            Self::QueueFull { .. } | Self::DeadlineTooShort { .. } => {
                ("queue_full", 429, ResourceExhausted)
            }
            Self::RateLimited { .. } => ("rate_limited", 429, ResourceExhausted),
            Self::Internal => ("internal", 500, Internal),
            Self::Overloaded | Self::TooManyConnections => ("overloaded", 503, Unavailable),
            Self::NotReady { .. } => ("not_ready", 503, Unavailable),
            Self::Draining => ("draining", 503, Unavailable),
            Self::ModelUnavailable { .. } => ("model_unavailable", 503, Unavailable),
            Self::ModelUnloaded { .. } => ("model_unloaded", 503, Unavailable),
            Self::DeadlineExceeded | Self::BodyStalled => {
                ("deadline_exceeded", 504, DeadlineExceeded)
            }
        }
    }
}

impl From<BatchError> for ServiceError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::QueueFull { retry_after } => Self::QueueFull { retry_after },
            BatchError::DeadlineTooShort {
                needed,
                retry_after,
            } => Self::DeadlineTooShort {
                needed,
                retry_after,
            },
            BatchError::DeadlineExceeded => Self::DeadlineExceeded,
            BatchError::Closed => Self::Draining,
            BatchError::Inference(details) => Self::internal(details),
        }
    }
}

/// The gRPC statuses of answers, by the names in gRPC's specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcStatus {
    /// `INVALID_ARGUMENT`
    InvalidArgument,
    /// `DEADLINE_EXCEEDED`
    DeadlineExceeded,
    /// `NOT_FOUND`
    NotFound,
    /// `UNAUTHENTICATED`
    Unauthenticated,
    /// `PERMISSION_DENIED`
    PermissionDenied,
    /// `RESOURCE_EXHAUSTED`
    ResourceExhausted,
    /// `UNIMPLEMENTED`
    Unimplemented,
    /// `INTERNAL`
    Internal,
    /// `UNAVAILABLE`
    Unavailable,
}

/// Whole seconds, rounded up, at least one, for a Retry-After header.
#[must_use]
pub fn seconds(duration: Duration) -> u64 {
    let whole = duration.as_secs();
    whole
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
        .max(1)
}

fn named(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => format!(" There is one model: `{name}`."),
        _ => format!(" The models are `{}`.", names.join("`, `")),
    }
}

#[cfg(test)]
mod tests;
