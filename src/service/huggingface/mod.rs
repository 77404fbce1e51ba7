//! Hugging Face's inference interface: transformers' pipelines (4.57), one file per pipeline, with the same answers in
//! the same shapes.
//!
//! One difference: nothing is truncated silently. A text that is too long to classify is refused, unless the request
//! asks for truncation. Long texts are tagged to their end; the tokens of the first window are tagged as transformers
//! tags them.

mod answer;
mod budget;
mod endpoint;
mod output;
mod parameters;
mod pipeline;
mod question_answering;
mod questions;
mod text_classification;
mod token_classification;
mod words;

#[cfg(test)]
mod tests;

pub use answer::{PipelineCall, PipelineOptions, PipelineRequest};
pub use endpoint::EndpointInfo;
pub use output::{EntityLabel, PipelineAnswer, PipelineAnswers, PipelineEntity, PipelineOutput};
pub use question_answering::Parameters as QuestionAnsweringParameters;
pub use text_classification::Parameters as TextClassificationParameters;
pub use token_classification::Parameters as TokenClassificationParameters;
