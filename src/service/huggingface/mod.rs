//! Hugging Face's inference interface: what transformers' pipelines (4.57) answer, in their shapes; one file a pipeline.
//!
//! One thing is different: nothing is cut in silence. A text that is too long to classify is refused unless the request
//! has it cut; the tokens of a long text are tagged to its end, the first as transformers tags them.

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
