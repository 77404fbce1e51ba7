//! Requests to the routes without a socket, for the fuzz targets.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

use super::{HttpState, router};
use crate::access::Door;

pub struct Client {
    router: Router,
}

impl Client {
    pub fn new(state: HttpState) -> Self {
        Self {
            router: router::router(state, Door::Public),
        }
    }

    /// Sends a request and reads the answer to its end. Returns the status and the answer.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&str, String)],
        body: Vec<u8>,
    ) -> (u16, Vec<u8>) {
        let request = headers
            .iter()
            .fold(Request::post(path), |request, (name, value)| {
                request.header(*name, value)
            });
        let request = request.body(Body::from(body)).unwrap();
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, body.to_vec())
    }
}
