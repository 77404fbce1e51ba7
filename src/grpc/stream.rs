//! Streams of requests: answered in order, a bounded number at a time.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::Pin;

use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Response, Status, Streaming};

use super::call::Call;
use super::electra::{TaskMessage, answer_message};
use super::status::{status_with_message, unreadable};
use crate::error::ServiceError;
use crate::inflight::{Full, Hold, Purpose, Waiter};
use crate::service::{RequestContext, Service};

/// Most requests of one stream that are computed, or computed but not yet taken by the client. Enough to fill batches;
/// it bounds a stream's memory.
pub const IN_FLIGHT: usize = 32;

pub type Responses<R> = ReceiverStream<Result<R, Status>>;

/// Answers a stream of requests in tasks of their own. The tasks end if the client disconnects or the call's deadline
/// passes. If the server drains, requests already read are still answered.
pub fn respond<M: TaskMessage>(
    service: Service,
    call: Call,
    requests: Streaming<M>,
) -> Response<Responses<M::Response>> {
    let (responses, sent) = mpsc::channel(1);
    let exchange = Exchange {
        service,
        waiting: None,
        room: call.inflight().waiter(Purpose::Request),
        call,
        responses,
        in_flight: VecDeque::with_capacity(IN_FLIGHT),
        begun: 0,
        answered: 0,
    };
    tokio::spawn(exchange.run(requests));
    Response::new(ReceiverStream::new(sent))
}

/// A response, or the error, and what the request held until then.
type RequestOutcome<R> = (Result<R, ServiceError>, Option<RequestContext>);

/// A stream being answered. If it is dropped, requests that have not begun to run are cancelled.
struct Exchange<M: TaskMessage> {
    service: Service,
    call: Call,
    responses: mpsc::Sender<Result<M::Response, Status>>,
    /// Requests that are read and not yet answered, in order.
    in_flight: VecDeque<AbortOnDropHandle<RequestOutcome<M::Response>>>,
    /// A request that is read and waits for room in the budget of bytes, and no further one is read meanwhile.
    waiting: Option<M>,
    room: Waiter,
    begun: u64,
    answered: u64,
}

/// State of the client's side of the stream.
enum StreamState {
    Open,
    Ended,
    /// No further request can be read, because of this error.
    Broken(ServiceError),
}

/// Why a stream ends early.
enum End {
    ClientGone,
    /// The request after the last answered one failed.
    Request(ServiceError),
    /// The stream itself failed.
    Stream(ServiceError),
}

impl<M: TaskMessage> Exchange<M> {
    async fn run(mut self, requests: Streaming<M>) {
        let deadline = self.call.deadline();
        let expired = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let end = tokio::select! {
            end = self.exchange(requests) => end,
            () = expired => Err(End::Stream(ServiceError::DeadlineExceeded)),
        };
        // Cancels requests that are still computed.
        self.in_flight.clear();
        let (error, sentence) = match end {
            Ok(()) | Err(End::ClientGone) => return,
            Err(End::Stream(error)) => {
                let sentence = error.to_string();
                (error, sentence)
            }
            Err(End::Request(error)) => {
                let sentence = format!("Request {} of the stream: {error}", self.answered);
                (error, sentence)
            }
        };
        self.call.note_error(&error);
        let _ = self
            .responses
            .send(Err(status_with_message(error, sentence)))
            .await;
    }

    async fn exchange(&mut self, mut requests: Streaming<M>) -> Result<(), End> {
        let service = self.service.clone();
        let mut draining = std::pin::pin!(service.until_draining());
        let responses = self.responses.clone();
        let mut input = StreamState::Open;
        // A response that the client has no room for yet, and what its request holds until then.
        let mut ready = None;
        loop {
            let is_open = matches!(input, StreamState::Open);
            let is_waiting = self.waiting.is_some();
            if self.in_flight.is_empty() && ready.is_none() && !is_open && !is_waiting {
                return match input {
                    StreamState::Broken(error) => Err(End::Stream(error)),
                    StreamState::Open | StreamState::Ended => Ok(()),
                };
            }
            let has_room = self.in_flight.len() < IN_FLIGHT && !is_waiting;
            // A stream that is beyond its key's limits is not read, so its client waits.
            let paced = if is_open && has_room && self.begun > 0 {
                self.call.requester().wait()
            } else {
                None
            };
            tokio::select! {
                () = responses.closed() => return Err(End::ClientGone),
                () = &mut draining, if is_open => input = StreamState::Broken(ServiceError::Draining),
                () = sleep(paced.unwrap_or_default()), if paced.is_some() => {}
                message = requests.message(), if is_open && has_room && paced.is_none() => match message {
                    Ok(Some(request)) => self.waiting = Some(request),
                    Ok(None) => input = StreamState::Ended,
                    Err(status) => input = StreamState::Broken(self.unreadable(&status)),
                },
                held = room(&mut self.room, self.waiting.as_ref()), if is_waiting => {
                    // Others of its client wait behind it, so one that gets no room ends its stream.
                    let held = held.map_err(|full| End::Stream(full.into()))?;
                    let checked = self.call.requester().check();
                    checked.map_err(|refusal| End::Stream(refusal.into()))?;
                    self.begin(held);
                }
                outcome = next(&mut self.in_flight), if ready.is_none() => {
                    self.in_flight.pop_front();
                    let (response, held) = outcome.unwrap_or_else(|failed| (Err(lost(failed)), None));
                    ready = Some((response.map_err(End::Request)?, held));
                }
                // Meanwhile a request that waits keeps its limit.
                slot = responses.reserve(), if ready.is_some() => {
                    let slot = slot.map_err(|_| End::ClientGone)?;
                    if let Some((response, _held)) = ready.take() {
                        slot.send(Ok(response));
                        self.answered += 1;
                    }
                }
            }
        }
    }

    /// Starts computing the request that has waited for room, and holds it until its response is taken.
    fn begin(&mut self, held: Hold) {
        let Some(request) = self.waiting.take() else {
            return;
        };
        if self.begun > 0 {
            self.call.requester().charge_request();
        }
        self.begun += 1;
        let context = self.call.streamed(Instant::now(), held);
        let answer = answer_message(&self.service, &self.call, request, &context);
        let task = tokio::spawn(async move {
            let response = answer.await.map(|answer| answer.output);
            (response, Some(context))
        });
        self.in_flight.push_back(AbortOnDropHandle::new(task));
    }

    fn unreadable(&self, status: &Status) -> ServiceError {
        unreadable(status, self.service.limits().max_body_bytes)
    }
}

/// Waits until there is room for a message.
async fn room<M: TaskMessage>(room: &mut Waiter, message: Option<&M>) -> Result<Hold, Full> {
    let bytes = message.map_or(0, TaskMessage::memory);
    poll_fn(|context| room.poll_reserve(context, bytes)).await
}

/// Waits for the outcome of the first request in flight. Pending forever if there is none.
async fn next<R>(
    in_flight: &mut VecDeque<AbortOnDropHandle<RequestOutcome<R>>>,
) -> Result<RequestOutcome<R>, JoinError> {
    match in_flight.front_mut() {
        Some(first) => poll_fn(|context| Pin::new(&mut *first).poll(context)).await,
        None => pending().await,
    }
}

/// The error of a task that did not return: it panicked or was cancelled.
fn lost(failed: JoinError) -> ServiceError {
    if failed.is_panic() {
        ServiceError::panicked()
    } else {
        ServiceError::internal(failed)
    }
}
