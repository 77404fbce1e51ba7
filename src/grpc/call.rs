//! Context of a call: the timeout and priority in its metadata, and the record that metrics read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response};

use crate::access::Requester;
use crate::batch::{Priority, WhenFull};
use crate::error::ServiceError;
use crate::inflight::{ClientBytes, Hold, InflightBytes};
use crate::limits::Timeouts;
use crate::service::{RequestContext, Timings, context};

const TIMEOUT: &str = "grpc-timeout";

/// One call. Clones share one record.
#[derive(Clone)]
pub struct Call {
    arrived: Instant,
    /// How long the client waits for the whole call, if it sent a `grpc-timeout`.
    timeout: Option<Duration>,
    requester: Requester,
    priority: Priority,
    timeouts: Timeouts,
    inflight: ClientBytes,
    noted: Arc<Mutex<Noted>>,
}

/// Data of a call for the metrics.
#[derive(Clone, Default)]
pub struct Noted {
    /// `None` if the call is not for a model, or has not named one yet.
    pub model: Option<Arc<str>>,
    /// HTTP status of the error that ended the call.
    pub status: Option<u16>,
}

impl Call {
    /// Reads a call's metadata. `now` is when the call arrived.
    ///
    /// # Errors
    /// [`ServiceError::InvalidHeader`] if the timeout or the priority is malformed.
    pub fn read(
        requester: Requester,
        headers: &HeaderMap,
        timeouts: &Timeouts,
        now: Instant,
    ) -> Result<Self, ServiceError> {
        Ok(Self {
            arrived: now,
            timeout: text(headers, TIMEOUT).map(timeout).transpose()?,
            priority: context::priority(text(headers, context::PRIORITY))?,
            timeouts: *timeouts,
            inflight: InflightBytes::unlimited().of(requester.client()),
            requester,
            noted: Arc::default(),
        })
    }

    /// The same call, whose messages are held in this budget.
    #[must_use]
    pub fn within(self, budget: &InflightBytes) -> Self {
        let inflight = budget.of(self.requester.client());
        Self { inflight, ..self }
    }

    /// Who sent it.
    pub fn requester(&self) -> &Requester {
        &self.requester
    }

    /// What its client may have of the budget.
    pub fn inflight(&self) -> &ClientBytes {
        &self.inflight
    }

    /// The call that `request` belongs to.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] if the request did not pass through [`super::observe`].
    pub fn of<M>(request: &Request<M>) -> Result<Self, ServiceError> {
        let call = request.extensions().get::<Self>();
        call.cloned()
            .ok_or_else(|| ServiceError::internal("a call has no context"))
    }

    /// The context of a unary call's request. Timeouts above the server's maximum are clamped to it.
    pub fn context(&self) -> RequestContext {
        let context = match self.timeout {
            Some(asked) => {
                let timeout = asked.min(self.timeouts.max_request);
                RequestContext::new(self.priority, self.arrived + timeout)
            }
            None => {
                RequestContext::with_default_timeout(self.priority, self.arrived, &self.timeouts)
            }
        };
        context
            .sent_by(self.requester.clone())
            .holding(self.inflight.empty())
    }

    /// The same, with a message of `bytes` in memory.
    ///
    /// # Errors
    /// [`ServiceError::Overloaded`] if the client may not have as many.
    pub fn context_of(&self, bytes: usize) -> Result<RequestContext, ServiceError> {
        Ok(self.context().holding(self.inflight.reserve(bytes)?))
    }

    /// The context of one request of a stream, read at `now`, which holds its message. It has the server's default timeout, but ends no later
    /// than the stream. Streams bound their own requests in flight, so if the queue is full, the request waits.
    pub fn streamed(&self, now: Instant, held: Hold) -> RequestContext {
        let usual = now + self.timeouts.request;
        let deadline = self
            .deadline()
            .map_or(usual, |deadline| deadline.min(usual));
        RequestContext {
            when_full: WhenFull::Wait,
            ..RequestContext::new(self.priority, deadline)
                .sent_by(self.requester.clone())
                .holding(held)
        }
    }

    /// When the client stops waiting for the call. `None` if it sent no timeout, or one too long to add to a time.
    pub fn deadline(&self) -> Option<Instant> {
        self.arrived.checked_add(self.timeout?)
    }

    /// Records the call's model. In a stream, the first request's model stays.
    pub fn note_model(&self, model: Option<Arc<str>>) {
        self.note(|noted| noted.model = noted.model.take().or(model));
    }

    /// Records the error that ends the call.
    pub fn note_error(&self, error: &ServiceError) {
        self.note(|noted| noted.status = Some(error.http_status()));
    }

    pub fn noted(&self) -> Noted {
        self.noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, change: impl FnOnce(&mut Noted)) {
        change(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A response whose metadata reports where the time went.
pub fn timed<R>(response: R, timings: Timings) -> Response<R> {
    let mut response = Response::new(response);
    if let Ok(timings) = MetadataValue::try_from(timings.to_string()) {
        response.metadata_mut().insert(Timings::HEADER, timings);
    }
    response
}

/// A metadata value. A value that is not text becomes U+FFFD, so that it is refused like any other invalid value.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().unwrap_or("\u{fffd}"))
}

/// Parses `grpc-timeout` as gRPC over HTTP/2 specifies it: at most eight digits and a unit.
fn timeout(text: &str) -> Result<Duration, ServiceError> {
    let read = || {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: u64 = match digits.len() {
            1..=8 if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            _ => return None,
        };
        match unit {
            "H" => Some(Duration::from_secs(number * 60 * 60)),
            "M" => Some(Duration::from_secs(number * 60)),
            "S" => Some(Duration::from_secs(number)),
            "m" => Some(Duration::from_millis(number)),
            "u" => Some(Duration::from_micros(number)),
            "n" => Some(Duration::from_nanos(number)),
            _ => None,
        }
    };
    read().ok_or_else(|| ServiceError::InvalidHeader {
        header: TIMEOUT,
        reason: "it must be at most eight digits and one of the units H, M, S, m, u and n"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    #[test]
    fn timeouts_have_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("3S", Duration::from_secs(3)),
            ("250m", Duration::from_millis(250)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(timeout(text), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "S",
            "1",
            "1s",
            "+1S",
            "-1S",
            "1.5S",
            "123456789S",
            "1\u{e9}",
            "\u{fffd}",
        ] {
            let error = timeout(wrong).unwrap_err();
            assert_eq!(error.code(), "invalid_header", "{wrong}");
        }
    }

    #[test]
    fn a_request_has_what_its_client_waits_but_no_more_than_there_is() {
        let timeouts = Timeouts::default();
        let now = Instant::now();
        let call = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(TIMEOUT, value.parse().unwrap());
            }
            Call::read(Requester::default(), &headers, &timeouts, now).unwrap()
        };
        let usual = call(None).context();
        assert_eq!(usual.deadline, now + timeouts.request);
        assert_eq!(usual.latest, now + timeouts.max_request);
        let short = call(Some("10m"));
        assert_eq!(short.context().deadline, now + Duration::from_millis(10));
        assert_eq!(short.context().latest, short.context().deadline);
        let long = call(Some("99999999H"));
        assert_eq!(long.context().deadline, now + timeouts.max_request);
        let hold = || InflightBytes::unlimited().of(Client::Local).empty();
        // A stream's request has the default timeout, clamped to the time that the stream has left.
        let later = now + Duration::from_millis(5);
        assert_eq!(
            call(None).streamed(later, hold()).deadline,
            later + timeouts.request
        );
        assert_eq!(
            long.streamed(later, hold()).deadline,
            later + timeouts.request
        );
        assert_eq!(
            short.streamed(later, hold()).deadline,
            now + Duration::from_millis(10)
        );
    }
}
