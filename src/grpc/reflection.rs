//! Server reflection, in both versions that clients use.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Request;
use hyper::body::{Bytes, Frame};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

use super::proto::DESCRIPTORS;
use crate::service::Service;

/// Adds reflection of all services.
pub fn add(routes: Routes) -> Routes {
    match with_reflection(routes.clone()) {
        Ok(routes) => routes,
        // Unexpected: the build makes the descriptors, and the tests list the services by reflection.
        Err(error) => {
            tracing::error!(%error, "gRPC server reflection is unavailable");
            routes
        }
    }
}

fn with_reflection(routes: Routes) -> Result<Routes, Error> {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// Ends a reflection request's stream when the server drains, so that a client that keeps it open does not delay
/// shutdown.
pub fn until_draining(request: Request<Body>, service: Service) -> Request<Body> {
    request.map(|body| {
        Body::new(UntilDraining {
            body,
            draining: Box::pin(async move { service.until_draining().await }),
        })
    })
}

struct UntilDraining {
    body: Body,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl hyper::body::Body for UntilDraining {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Pending => this.draining.as_mut().poll(context).map(|()| None),
            frame @ Poll::Ready(_) => frame,
        }
    }
}
