//! Answers requests of every transport: takes a validated request, and returns an answer or a `ServiceError`.

mod chunk;
mod classify;
pub mod context;
pub mod cost;
mod discriminate;
mod handle;
pub mod huggingface;
mod input;
pub mod json;
mod models;
pub mod oip;
mod operation;
mod qa;
mod readiness;
mod steps;
mod tag;
mod timings;
mod windowed;

#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) mod testing;

pub use classify::{Classification, ClassifyInput, ClassifyRequest, LabelScore};
pub use context::RequestContext;
pub use discriminate::{DiscriminateRequest, Discrimination, ScoredToken, ScoredWord};
pub use handle::{Service, Target};
pub use input::Inputs;
pub(crate) use input::objects;
pub use models::{ModelReport, VersionReport};
pub use operation::{Answer, Invocation, Operation, RequestOption, Results, TaskOperation};
pub use qa::{AnswerSpan, QaAnswers, QaItem, QaRequest};
pub use tag::{TagRequest, TaggedEntity, Tagging};
pub use timings::Timings;
pub(crate) use windowed::ScoredText;
