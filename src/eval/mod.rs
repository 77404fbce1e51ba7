//! Standard scores on labelled data: the usual files, and the metrics that are computed of them. Pure.

pub mod data;
pub mod gold;
pub mod metrics;
pub mod run;
pub mod scores;
pub mod words;
