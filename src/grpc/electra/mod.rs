//! `electra.v1.Electra`: the four tasks, as unary calls and as streams of requests.

mod adapter;
mod classify;
mod discriminate;
mod message;
mod options;
mod qa;
mod tag;

pub use adapter::ElectraAdapter;
pub use message::{TaskMessage, answer_message};
