//! A request's body that notes whether the peer is to send the rest of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::record::Receiving;

/// A body as it arrives.
pub struct RequestBody {
    inner: Incoming,
    receiving: Receiving,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, receiving: Receiving) -> Self {
        Self { inner, receiving }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        match &frame {
            Poll::Pending => self.receiving.set_waiting(true),
            Poll::Ready(Some(Ok(_))) if !self.inner.is_end_stream() => {}
            Poll::Ready(_) => self.receiving.set_waiting(false),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
