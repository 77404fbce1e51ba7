//! A response's body that notes whether the peer takes it, and is given to the protocol in small parts.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::record::InProgress;

/// The most bytes given to the protocol at once. It holds them, so one response that is not taken holds no more there.
const PART: usize = 16 << 10;

/// The most bytes of the last part. HTTP/2 asks for the next part once it may send all before it, so a body that ends is
/// one of which the peer lets all be sent but for this.
const LAST_PART: usize = 1 << 10;

/// A body whose request is in progress until it is dropped.
pub struct ResponseBody<B> {
    inner: B,
    /// What is left of the frame that `inner` gave last.
    rest: Bytes,
    in_progress: InProgress,
    /// Whether the peer is to take what was given last.
    is_offered: bool,
}

impl<B> ResponseBody<B> {
    pub fn new(inner: B, in_progress: InProgress) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
            in_progress,
            is_offered: false,
        }
    }

    /// The next part of what is left.
    fn part(&mut self) -> Bytes {
        let length = match self.rest.len() {
            length if length > PART + LAST_PART => PART,
            length if length > LAST_PART && self.in_progress.is_http2() => length - LAST_PART,
            length => length,
        };
        self.rest.split_to(length)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            let frame = Pin::new(&mut this.inner).poll_frame(context);
            if frame.is_pending() && this.is_offered {
                this.is_offered = false;
                this.in_progress.resume();
            }
            match ready!(frame).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => this.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        this.is_offered = true;
        this.in_progress.offer();
        Poll::Ready(Some(Ok(Frame::data(this.part()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
