//! The Open Inference Protocol over HTTP: GET and POST below /v2.

mod answer;
mod body;
mod data;
mod infer;
mod metadata;
mod repository;

pub use infer::infer;
pub use metadata::{all_statistics, config, live, model, model_ready, ready, server, statistics};
pub use repository::{index, load, unload};

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::HttpState;
use crate::error::ServiceError;
use crate::service::oip::address;

/// The model that a path names, in one version where it names that too.
pub struct Addressed {
    /// As the path has it.
    pub name: String,
    /// As the service takes it.
    pub address: String,
}

impl FromRequestParts<HttpState> for Addressed {
    type Rejection = ServiceError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &HttpState,
    ) -> Result<Self, ServiceError> {
        let parameters = RawPathParams::from_request_parts(parts, state).await;
        let mut name = None;
        let mut version = "";
        // What is no UTF-8 once decoded is no model's name.
        let parameters = parameters.ok();
        for (parameter, value) in parameters.iter().flatten() {
            match parameter {
                "name" => name = Some(value),
                "version" => version = value,
                _ => {}
            }
        }
        let name = name.unwrap_or("\u{fffd}").to_owned();
        let address = address(&name, version).into_owned();
        Ok(Self { name, address })
    }
}
