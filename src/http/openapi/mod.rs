//! The OpenAPI 3.1 document of all routes.

mod derived;
mod document;
mod errors;
mod headers;
mod huggingface;
mod models;
mod oip;
mod operation;
mod operations;
mod schema;
mod tags;
mod tasks;
mod written;

#[cfg(test)]
mod tests;

pub use written::WrittenDocument;
