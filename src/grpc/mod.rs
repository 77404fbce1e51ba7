//! gRPC: thin adapters between tonic and the service. `services.rs` lists the services.

mod body;
mod call;
mod electra;
mod health;
mod methods;
mod observe;
mod oip;
pub mod proto;
mod reflection;
mod server;
mod services;
mod state;
mod status;
mod stream;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use methods::task_routes;
pub use server::serve;
pub use state::GrpcState;
