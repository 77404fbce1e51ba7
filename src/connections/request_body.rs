//! A request's body that notes whether the peer is to send the rest of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::drain::drain;
use super::record::Receiving;

/// A body as it arrives.
pub struct RequestBody {
    /// `None` once it has ended.
    inner: Option<Incoming>,
    receiving: Receiving,
    rest: Rest,
}

/// What becomes of a body that is dropped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It is read and dropped.
    Drained,
    /// The client sends it once it is asked to, which reading does.
    Awaited,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, receiving: Receiving, rest: Rest) -> Self {
        Self {
            inner: Some(inner),
            receiving,
            rest,
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = self.inner.take().filter(|body| !body.is_end_stream());
        if let Some(body) = rest
            && self.rest == Rest::Drained
        {
            drain(body);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(&mut *inner).poll_frame(context);
        let is_whole = inner.is_end_stream();
        if self.rest == Rest::Awaited {
            self.rest = Rest::Drained;
        }
        match &frame {
            Poll::Pending => self.receiving.set_waiting(true),
            Poll::Ready(Some(Ok(_))) if !is_whole => {}
            Poll::Ready(last) => {
                self.receiving.set_waiting(false);
                if !matches!(last, Some(Ok(_))) {
                    self.inner = None;
                }
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
