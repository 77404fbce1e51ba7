//! The bodies of calls, whose bytes are taken from the budget of all requests.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};
use tonic::Status;

use crate::error::ServiceError;
use crate::inflight::{ClientBytes, Hold, Progress, Purpose, Waiter};

/// A call's request. Holds the bytes of a message until the message is complete; whoever decodes it holds it then.
pub struct CountedBody<B> {
    inner: B,
    /// If the budget is full, a stream waits, and its client with it. A single request is refused instead.
    waiter: Option<Waiter>,
    hold: Hold,
    message: Framing,
    progress: Progress,
    stalled: Pin<Box<Sleep>>,
    /// When the server no longer waits for the rest of a single request, because it stops. Streams end by themselves.
    late: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Data that has arrived and is not yet held.
    arrived: Option<Bytes>,
    /// Whether it waits for room.
    is_waiting: bool,
}

impl<B> CountedBody<B> {
    pub fn new(
        inner: B,
        budget: &ClientBytes,
        is_stream: bool,
        late: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let progress = Progress::start();
        Self {
            inner,
            waiter: is_stream.then(|| budget.waiter(Purpose::Request)),
            hold: budget.empty(),
            message: Framing::default(),
            stalled: Box::pin(sleep_until(progress.deadline())),
            late: (!is_stream).then(|| Box::pin(late) as _),
            progress,
            arrived: None,
            is_waiting: false,
        }
    }

    fn poll_hold(&mut self, context: &mut Context<'_>, bytes: usize) -> Poll<Result<(), Status>> {
        let held = match &mut self.waiter {
            Some(waiter) => {
                let held = ready!(waiter.poll_reserve(context, bytes));
                held.map(|held| self.hold.merge(held))
            }
            None => self.hold.grow(bytes),
        };
        Poll::Ready(held.map_err(|full| ServiceError::from(full).into()))
    }

    /// Counts data that is handed on.
    fn count(&mut self, data: &[u8]) {
        let begins = self.message.incomplete() == 0;
        self.message.advance(data);
        self.hold.shrink_to(self.message.incomplete());
        if begins || std::mem::take(&mut self.is_waiting) {
            self.progress = Progress::start();
        } else {
            self.progress.arrived(data.len());
        }
        self.stalled.as_mut().reset(self.progress.deadline());
    }

    /// Why the rest of the body, which has not arrived, is not waited for any longer.
    fn poll_given_up(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        if let Some(late) = &mut self.late
            && late.as_mut().poll(context).is_ready()
        {
            self.late = None;
            return Poll::Ready(ServiceError::Draining.into());
        }
        if self.message.incomplete() == 0 {
            return Poll::Pending;
        }
        let stalled = self.stalled.as_mut().poll(context);
        stalled.map(|()| ServiceError::BodyStalled.into())
    }
}

impl<B> Body for CountedBody<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        loop {
            if let Some(data) = this.arrived.take() {
                match this.poll_hold(context, data.len()) {
                    Poll::Ready(Ok(())) => {
                        this.count(&data);
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Poll::Ready(Err(refused)) => return Poll::Ready(Some(Err(refused))),
                    Poll::Pending => {
                        this.arrived = Some(data);
                        this.is_waiting = true;
                        return Poll::Pending;
                    }
                }
            }
            match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.arrived = Some(data),
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Poll::Ready(end) => {
                    return Poll::Ready(
                        end.map(|frame| frame.map_err(|error| Status::from_error(error.into()))),
                    );
                }
                Poll::Pending => {
                    let refused = ready!(this.poll_given_up(context));
                    return Poll::Ready(Some(Err(refused)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.arrived.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Makes a single answer hold its bytes until they are sent. It is encoded at once: what is not yet encoded could not be
/// counted, and a client that reads nothing would keep it so.
///
/// # Errors
/// [`ServiceError::Overloaded`] if the budget is full.
pub async fn held(
    response: Response<tonic::body::Body>,
    budget: &ClientBytes,
) -> Result<Response<tonic::body::Body>, ServiceError> {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.map_err(ServiceError::internal)?;
    let trailers = collected.trailers().cloned();
    let bytes = collected.to_bytes();
    let bytes = budget.reserve(bytes.len())?.keep(bytes);
    let body = Full::new(bytes).with_trailers(std::future::ready(trailers.map(Ok)));
    Ok(Response::from_parts(parts, tonic::body::Body::new(body)))
}

/// Finds where messages end: each is a flag, its length in four bytes, and that many bytes.
#[derive(Default)]
struct Framing {
    head: [u8; 5],
    /// Bytes of the head and of the message that have arrived.
    arrived: usize,
}

impl Framing {
    /// Bytes of a message whose end is still to come.
    fn incomplete(&self) -> usize {
        self.arrived
    }

    fn advance(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let missing = self.missing().min(data.len());
            let (part, rest) = data.split_at(missing);
            if let Some(head) = self.head.get_mut(self.arrived..self.arrived + missing) {
                head.copy_from_slice(part);
            }
            self.arrived += missing;
            data = rest;
            if self.missing() == 0 {
                self.arrived = 0;
            }
        }
    }

    /// Bytes until the end of the head, then until the end of the message.
    fn missing(&self) -> usize {
        let [_, length @ ..] = self.head;
        let head = self.head.len();
        if self.arrived < head {
            head - self.arrived
        } else {
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            (head + length).saturating_sub(self.arrived)
        }
    }
}

#[cfg(test)]
mod tests;
