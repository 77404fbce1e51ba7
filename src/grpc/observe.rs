//! Middleware for every call: context, request id, log span, metrics, and one form for all errors.

use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::{Service, ServiceExt, service_fn};
use tower_http::catch_panic::{CatchPanic, ResponseForPanic};
use tracing::{Instrument, Span};

use super::body::{self, CountedBody};
use super::call::{Call, Noted};
use super::state::GrpcState;
use super::{methods, reflection, services, status};
use crate::access::{Credentials, Door, Guard, Origin, Permit, Requester};
use crate::browsers::named_hosts;
use crate::client::Sender;
use crate::connections::{HealthOnly, RequestBody};
use crate::error::ServiceError;
use crate::inflight::{Purpose, Waiter, head_bytes};
use crate::quote::quoted;
use crate::telemetry::request::{
    REQUEST_ID, RequestRecorder, TRACE_PARENT, UNMATCHED, request_id, span,
};

const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

type Caught = CatchPanic<Routes, Panicked>;

/// All methods, wrapped in the middleware.
pub fn observed(
    state: GrpcState,
) -> impl Service<
    Request<RequestBody>,
    Response = Response<ObservedBody>,
    Error = Infallible,
    Future: Send,
> + Clone {
    let routes: Caught = CatchPanic::custom(services::routes(&state), Panicked);
    service_fn(move |request| observe(state.clone(), routes.clone(), request))
}

/// Runs a call in its span. It is counted when its answer has been sent.
async fn observe(
    state: GrpcState,
    routes: Caught,
    request: Request<RequestBody>,
) -> Result<Response<ObservedBody>, Infallible> {
    let headers = request.headers();
    let method = methods::find(request.uri().path());
    let route = method.as_ref().map_or(UNMATCHED, |method| method);
    let id = request_id(text(headers, REQUEST_ID));
    let span = span("gRPC", route, &id, text(headers, TRACE_PARENT));
    let recorder = RequestRecorder::new(state.metrics.clone(), route);
    let mut observed = Observed {
        recorder,
        call: None,
        permit: None,
        matters: methods::runs_model(route),
        span: span.clone(),
    };
    if !is_grpc(headers) {
        let mut response = Response::new(ObservedBody::of(Body::empty(), None));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        observed.finish(Some(response.status().as_u16()));
        return Ok(response);
    }
    let admitted = method.and_then(|method| {
        if !methods::is_health(method) {
            // Probes call by the address.
            check_host(&state, &request)?;
        }
        let (requester, permit) = admit(&state.guard, method, &request)?;
        let call = Call::read(requester, headers, &state.timeouts, Instant::now())?;
        Ok((method, call.within(&state.inflight), permit))
    });
    let answered = match admitted {
        Ok((method, call, permit)) => {
            observed.call = Some(call.clone());
            observed.permit = permit;
            answer(&state, routes, request, method, call)
                .instrument(span)
                .await
        }
        Err(error) => Err(error),
    };
    let mut response = match answered {
        Ok(response) => response.map(|body| {
            let body = if methods::is_reflection(route) {
                Body::new(body.map_frame(with_short_message))
            } else {
                body
            };
            let waiter = |call: &Call| call.inflight().waiter(Purpose::Answer);
            let streaming = observed.call.as_ref().filter(|_| methods::is_stream(route));
            ObservedBody {
                waiter: streaming.map(waiter),
                ..ObservedBody::of(body, Some(observed))
            }
        }),
        Err(error) => {
            observed.finish(Some(error.http_status()));
            let response = Status::from(error).into_http::<Body>();
            response.map(|body| ObservedBody::of(body, None))
        }
    };
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// Lets a call in, or says why not.
fn admit(
    guard: &Guard,
    method: &str,
    request: &Request<RequestBody>,
) -> Result<(Requester, Option<Permit>), ServiceError> {
    let need = methods::need(method);
    if need.is_administration() && guard.is_administration_apart() {
        return Err(ServiceError::RouteNotFound {
            path: method.to_owned(),
            hint: "It is served over HTTP on admin_http alone.".to_owned(),
        });
    }
    let origin = Origin {
        door: Door::Public,
        sender: Sender::of(request.extensions()),
    };
    Ok(guard.admit(need, origin, Credentials::of(request.headers()))?)
}

/// Calls a method. tonic reports some refusals in the head of the response; they become errors here, so that all errors
/// have one form.
async fn answer(
    state: &GrpcState,
    routes: Caught,
    request: Request<RequestBody>,
    method: &str,
    call: Call,
) -> Result<Response<Body>, ServiceError> {
    if request.extensions().get::<HealthOnly>().is_some() && !methods::is_health(method) {
        return Err(ServiceError::TooManyConnections);
    }
    if methods::runs_model(method) && state.service.is_draining() {
        return Err(ServiceError::Draining);
    }
    let is_stream = methods::is_stream(method);
    let budget = call.inflight().clone();
    // Streams bound what they hold of each message.
    let _head = if is_stream {
        budget.empty()
    } else {
        budget.reserve(head_bytes(request.headers()))?
    };
    let service = state.service.clone();
    let late = async move { service.until_bodies_are_late().await };
    let request = request.map(|body| Body::new(CountedBody::new(body, &budget, is_stream, late)));
    let mut request = if methods::is_reflection(method) {
        reflection::until_draining(request, state.service.clone())
    } else {
        request
    };
    // Clients announce gzip by default, wanted or not. Responses are compressed only if the request was.
    if request.headers().get(ENCODING).is_none() {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    // The deadline also bounds reading the request. Calls that run no model, such as loading one, have only the
    // client's deadline.
    let deadline = if methods::has_timeout_parameter(method) {
        Some(call.context().latest)
    } else if methods::runs_model(method) {
        Some(call.context().deadline)
    } else {
        call.deadline()
    };
    request.extensions_mut().insert(call);
    let response = within(deadline, routes.oneshot(request)).await?;
    let response = match response {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    match response.extensions().get::<Status>() {
        None if is_stream => Ok(response),
        None => body::held(response, &budget).await,
        Some(refusal) => Err(status::error(refusal)
            .cloned()
            .unwrap_or_else(|| status::unreadable(refusal, state.service.limits().max_body_bytes))),
    }
}

async fn within<R>(
    deadline: Option<Instant>,
    work: impl Future<Output = R>,
) -> Result<R, ServiceError> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work)
            .await
            .map_err(|_| ServiceError::DeadlineExceeded),
        None => Ok(work.await),
    }
}

/// Makes a response if a method panics.
#[derive(Clone, Copy)]
struct Panicked;

impl ResponseForPanic for Panicked {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, _: Box<dyn Any + Send>) -> Response<Body> {
        Status::from(ServiceError::panicked()).into_http()
    }
}

fn check_host<B>(state: &GrpcState, request: &Request<B>) -> Result<(), ServiceError> {
    let (uri, headers) = (request.uri(), request.headers());
    if state.allowed_hosts.allow(named_hosts(uri, headers)) {
        Ok(())
    } else {
        Err(ServiceError::unknown_host(named_hosts(uri, headers).next()))
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(b"application/grpc"))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// A call in progress. If it is dropped before it is finished, the client has disconnected.
struct Observed {
    recorder: RequestRecorder,
    call: Option<Call>,
    /// The call counts as in progress until its answer has been sent.
    permit: Option<Permit>,
    matters: bool,
    span: Span,
}

impl Observed {
    fn finish(&mut self, status: Option<u16>) {
        let Noted {
            model,
            status: of_error,
        } = self.call.as_ref().map(Call::noted).unwrap_or_default();
        let status = of_error.or(status).unwrap_or(200);
        let (recorder, matters) = (&mut self.recorder, self.matters);
        self.span
            .in_scope(|| recorder.finish(model.as_deref().unwrap_or_default(), status, matters));
    }
}

/// A response's body, which ends with the call's status.
pub struct ObservedBody {
    inner: Body,
    observed: Option<Observed>,
    /// Waits for room in the budget before a stream's next message is sent. Single answers hold their bytes already.
    waiter: Option<Waiter>,
    waiting: Option<Bytes>,
}

impl ObservedBody {
    fn of(inner: Body, observed: Option<Observed>) -> Self {
        Self {
            inner,
            observed,
            waiter: None,
            waiting: None,
        }
    }

    /// The data that waits for room in the budget.
    fn poll_held(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let data = self.waiting.take().unwrap_or_default();
        let data = match &mut self.waiter {
            Some(waiter) => match waiter.poll_reserve(context, data.len()) {
                Poll::Ready(Ok(hold)) => hold.keep(data),
                Poll::Ready(Err(full)) => return Poll::Ready(Some(Ok(self.fail(full.into())))),
                Poll::Pending => {
                    self.waiting = Some(data);
                    return Poll::Pending;
                }
            },
            None => data,
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    /// Ends the stream with an error.
    fn fail(&mut self, error: ServiceError) -> Frame<Bytes> {
        self.finish(Some(error.http_status()));
        self.inner = Body::empty();
        let mut trailers = HeaderMap::new();
        // This fails only if the message is not valid as a header, and the sentences of errors are.
        let _ = Status::from(error).add_header(&mut trailers);
        Frame::trailers(trailers)
    }

    fn finish(&mut self, status: Option<u16>) {
        if let Some(mut observed) = self.observed.take() {
            observed.finish(status);
        }
    }
}

impl hyper::body::Body for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.waiting.is_some() {
            return this.poll_held(context);
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        let frame = match frame {
            Some(Ok(frame)) if this.waiter.is_some() && frame.is_data() => {
                this.waiting = frame.into_data().ok();
                return this.poll_held(context);
            }
            frame => frame,
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.finish(http_status(trailers));
                }
            }
            Some(Err(_)) => this.finish(Some(500)),
            None => this.finish(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Shortens the message in trailers to the length of a quotation. tonic's reflection service repeats names of any
/// length.
fn with_short_message(frame: Frame<Bytes>) -> Frame<Bytes> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return frame,
    };
    if let Some(status) = Status::from_header_map(&trailers)
        && status.code() != Code::Ok
    {
        let short = Status::new(status.code(), quoted(status.message()).to_string());
        // This fails only if the message is not valid as a header; it was valid before it was shortened.
        let _ = short.add_header(&mut trailers);
    }
    Frame::trailers(trailers)
}

/// The HTTP status to count for a stream that ends with a status made by another crate. `None` for OK.
fn http_status(trailers: &HeaderMap) -> Option<u16> {
    match Status::from_header_map(trailers)?.code() {
        Code::Ok => None,
        Code::NotFound | Code::InvalidArgument => Some(404),
        _ => Some(500),
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error_that_says_nothing() {
        let panics = service_fn(|_: Request<Body>| async {
            panic!("secret") as Result<Response<Body>, Infallible>
        });
        let caught = CatchPanic::custom(panics, Panicked);
        let response = caught.oneshot(Request::new(Body::empty())).await.unwrap();
        let status = response.extensions().get::<Status>().unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"), "{status:?}");
    }
}
