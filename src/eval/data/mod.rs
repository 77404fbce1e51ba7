//! Labelled data, and the readers of its file formats.

mod cells;
pub mod columns;
pub mod conll;
mod data_error;
mod dataset;
pub mod replaced;
pub mod squad;
mod tag_layout;

pub use data_error::DataError;
pub use dataset::Dataset;
