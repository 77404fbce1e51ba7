//! HTTP: thin adapters between axum and the service. `routes.rs` lists the routes.

mod body;
mod browsers;
mod compression;
mod context;
mod docs;
mod guard;
mod health;
mod health_only;
mod hub_names;
mod huggingface;
mod json_request;
mod media_type;
mod metrics;
mod models;
mod observe;
mod oip;
mod openapi;
mod permitted;
mod respond;
mod router;
mod routes;
mod server;
mod state;
mod tasks;
mod unsent;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use routes::task_routes;
pub use server::serve;
pub use state::HttpState;
