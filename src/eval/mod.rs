//! Standard scores on labelled data: readers of common files, the metrics, and the run through the service.

pub mod data;
pub mod gold;
pub mod metrics;
pub mod run;
pub mod scores;
pub mod words;
