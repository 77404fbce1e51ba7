//! From a checkpoint to a model folder that can be served: `electra export`, `electra pull`, and what loading a checkpoint's
//! folder does.

mod compare;
mod export;
mod failure;
mod pull;
mod report;
mod samples;

pub use export::{ExportOptions, ExportRequest, export};
pub use failure::ExportFailure;
pub use pull::{PullError, PullRequest, Pulled, provide, pull};
pub use report::{Compared, ExportReport, Selection};
