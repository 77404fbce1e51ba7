//! The Open Inference Protocol (v2) over HTTP: the routes below /v2.

mod answer;
mod body;
mod data;
mod infer;
mod metadata;
mod repository;

pub use infer::infer;
pub use metadata::{Live, ModelReady, Ready};
pub use metadata::{all_statistics, config, live, model, model_ready, ready, server, statistics};
pub use repository::{Done, IndexRequest, index, load, unload};

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::HttpState;
use crate::error::ServiceError;
use crate::service::oip::address;

/// The model, and the version if any, that a path names.
pub struct Addressed {
    /// The model's name in the path.
    pub name: String,
    /// The name with `@` and the version, if the path has a version. The service finds models by it.
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
        // A name that is not UTF-8 becomes U+FFFD, which no model is called, so the error is "not found".
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
