//! Converts a checkpoint to a model folder, for `electra export`, for `electra pull`, and when a checkpoint's folder is
//! loaded.

mod compare;
mod export;
mod failure;
mod pull;
mod report;
mod samples;

pub use export::{ExportOptions, ExportRequest, export};
pub use failure::ConvertError;
pub use pull::{PullError, PullRequest, Pulled, ensure_pulled, pull};
pub use report::{Compared, ExportReport, PrecisionSelection};
