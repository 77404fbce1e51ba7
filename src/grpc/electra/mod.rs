//! `electra.v1.Electra`: the tasks, for one request and for streams of them.

mod adapter;
mod answer;
mod classify;
mod discriminate;
mod message;
mod options;
mod tag;

pub use adapter::ElectraAdapter;
pub use message::{TaskMessage, answer};
