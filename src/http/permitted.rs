//! A response's body whose request counts as in progress until it has been sent or given up.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use crate::access::Permit;

/// A body that holds a permit.
pub struct Permitted {
    inner: Body,
    _permit: Permit,
}

impl Permitted {
    pub fn body(inner: Body, permit: Permit) -> Body {
        let permitted = Self {
            inner,
            _permit: permit,
        };
        Body::new(permitted)
    }
}

impl HttpBody for Permitted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
