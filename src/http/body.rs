//! Reads a request's body up to a limit.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use tokio::time::timeout_at;
use tokio_stream::StreamExt;

use crate::error::ServiceError;
use crate::inflight::{ClientBytes, Hold, Progress};

/// The bytes that are read of a body before other connections of the thread have their turn. Otherwise, a burst of large
/// bodies is read whole, one after another, and a health check waits for all of them.
const LET_OTHERS_AFTER: usize = 64 << 10;

/// Reads a body of at most `limit` bytes. A longer one is refused as soon as that is known; the connection drains the
/// rest.
///
/// Bytes are taken from the budget as they arrive: a declared length is no reason to keep room for it.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    budget: &ClientBytes,
) -> Result<Bytes, ServiceError> {
    let too_large = ServiceError::BodyTooLarge { limit };
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large);
    }
    let mut kept = Kept::new(budget, declared, limit);
    let mut since_others = 0_usize;
    let mut progress = Progress::start();
    let mut chunks = body.into_data_stream();
    loop {
        let chunk = timeout_at(progress.deadline(), chunks.next()).await;
        let Some(chunk) = chunk.map_err(|_| ServiceError::BodyStalled)? else {
            return Ok(kept.hold.keep(kept.bytes));
        };
        let chunk = chunk.map_err(|error| ServiceError::InvalidJson {
            reason: format!("the body ends early ({error})"),
        })?;
        progress.arrived(chunk.len());
        if kept.bytes.len() + chunk.len() > limit {
            return Err(too_large);
        }
        kept.add(&chunk)?;
        since_others += chunk.len();
        if since_others >= LET_OTHERS_AFTER {
            since_others = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// What has arrived of a body, and the bytes that this takes of memory.
struct Kept {
    bytes: Vec<u8>,
    hold: Hold,
    /// The length that the body says it has.
    declared: Option<usize>,
    /// The length that it has at most.
    most: usize,
}

impl Kept {
    fn new(budget: &ClientBytes, declared: Option<usize>, most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            hold: budget.empty(),
            declared,
            most,
        }
    }

    fn add(&mut self, chunk: &[u8]) -> Result<(), ServiceError> {
        let needed = self.bytes.len() + chunk.len();
        match self.declared {
            // The system gives memory as it is written to, so what has not arrived takes none. A buffer that grew would
            // be copied, and its former places take as much memory again until the allocator gives it back.
            Some(declared) if needed <= declared => {
                self.hold.grow(chunk.len())?;
                self.bytes.reserve_exact(declared - self.bytes.len());
            }
            // Doubles the buffer if it is full, so that a body is copied a bounded number of times.
            _ if needed > self.bytes.capacity() => {
                let room = (2 * self.bytes.capacity()).min(self.most).max(needed);
                self.hold.resize(room)?;
                self.bytes.reserve_exact(room - self.bytes.len());
            }
            _ => {}
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::HeaderValue;

    use super::*;
    use crate::client::Client;
    use crate::inflight::InflightBytes;
    use crate::testing::eventually;

    const CHUNK: &[u8] = b"0123456789";

    /// A budget of which one client can hold `bytes`.
    fn budget(bytes: usize) -> (InflightBytes, ClientBytes) {
        let budget = InflightBytes::new(bytes * 4 / 3);
        let client = budget.of(Client::Local);
        (budget, client)
    }

    /// A body of `count` chunks of ten bytes, and the number of chunks read so far.
    fn chunks(count: usize) -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = read.clone();
        let chunks = tokio_stream::iter(0..count).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, io::Error>(CHUNK)
        });
        (Body::from_stream(chunks), read)
    }

    /// Reads with a limit of 20 bytes, and returns the result and the number of chunks read.
    async fn outcome(headers: &HeaderMap, count: usize) -> (Result<Bytes, ServiceError>, usize) {
        let (body, chunks_read) = chunks(count);
        let result = read(headers, body, 20, &budget(20).1).await;
        (result, chunks_read.load(Ordering::Relaxed))
    }

    fn declared(length: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static(length))])
    }

    fn is_too_large(result: &Result<Bytes, ServiceError>) -> bool {
        matches!(result, Err(ServiceError::BodyTooLarge { limit: 20 }))
    }

    #[tokio::test]
    async fn a_body_within_the_limit_is_read_whole() {
        let (result, _) = outcome(&HeaderMap::new(), 2).await;
        assert_eq!(result.unwrap(), CHUNK.repeat(2));
        // A length that is not a number is ignored.
        let (result, _) = outcome(&declared("many"), 2).await;
        assert_eq!(result.unwrap(), CHUNK.repeat(2));
    }

    #[tokio::test]
    async fn a_longer_body_is_refused_as_soon_as_it_is_known_to_be_longer() {
        let (result, read) = outcome(&HeaderMap::new(), 100).await;
        assert!(is_too_large(&result), "{result:?}");
        assert_eq!(read, 3);
        let (result, read) = outcome(&declared("21"), 100).await;
        assert!(is_too_large(&result), "{result:?}");
        assert_eq!(read, 0);
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_an_error() {
        let chunks = [Ok(CHUNK), Err(io::Error::other("reset"))];
        let body = Body::from_stream(tokio_stream::iter(chunks));
        let error = read(&HeaderMap::new(), body, 20, &budget(20).1)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("ends early (reset)"), "{error}");
    }

    #[tokio::test]
    async fn bytes_are_held_as_they_arrive_until_the_body_is_dropped() {
        // What a body declares is not reserved. What has no declared length is held with the room of its buffer.
        for (headers, expected) in [
            (declared("90"), [10, 20, 30, 40, 50]),
            (declared("20"), [10, 20, 40, 40, 80]),
            (HeaderMap::new(), [10, 20, 40, 40, 80]),
        ] {
            let (budget, client) = budget(100);
            let (chunk, chunks) = tokio::sync::mpsc::channel(1);
            let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(chunks));
            let reading = tokio::spawn(async move { read(&headers, body, 200, &client).await });
            for held in expected {
                chunk.send(Ok::<_, io::Error>(CHUNK)).await.unwrap();
                eventually("the bytes are held", async || budget.held() == held).await;
            }
            drop(chunk);
            let bytes = reading.await.unwrap().unwrap();
            assert_eq!((bytes.len(), budget.held()), (50, expected[4]));
            drop(bytes);
            assert_eq!(budget.held(), 0);
        }
    }

    #[tokio::test]
    async fn others_have_their_turn_while_a_large_body_is_read() {
        let (_, client) = budget(1 << 20);
        let part = Bytes::from(vec![b'a'; 16 << 10]);
        let parts = tokio_stream::iter((0..16).map(move |_| Ok::<_, io::Error>(part.clone())));
        let headers = HeaderMap::new();
        let mut reading =
            std::pin::pin!(read(&headers, Body::from_stream(parts), 1 << 20, &client));
        let mut turns = 0;
        let whole = std::future::poll_fn(|context| {
            turns += 1;
            reading.as_mut().poll(context)
        });
        assert_eq!(whole.await.unwrap().len(), 256 << 10);
        assert_eq!(turns, 5);
    }

    #[tokio::test]
    async fn a_body_beyond_the_budget_is_refused_and_given_back() {
        let (budget, client) = budget(30);
        let (body, read_chunks) = chunks(100);
        let refused = read(&HeaderMap::new(), body, 2000, &client).await;
        assert_eq!(refused, Err(ServiceError::Overloaded));
        assert!(read_chunks.load(Ordering::Relaxed) <= 4);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_hardly_arrives_is_refused_and_given_back() {
        let (budget, client) = budget(1 << 20);
        let began = tokio::time::Instant::now();
        let second = std::time::Duration::from_secs(1);
        let trickle = tokio_stream::iter(0..).then(move |_| async move {
            tokio::time::sleep(second).await;
            Ok::<_, io::Error>(CHUNK)
        });
        let body = Body::from_stream(trickle);
        let refused = read(&HeaderMap::new(), body, 1 << 20, &client).await;
        assert_eq!(refused, Err(ServiceError::BodyStalled));
        assert_eq!(began.elapsed().as_secs(), 10);
        assert_eq!(budget.held(), 0);
        // One that pauses for less, and sends enough between pauses, is read.
        let chunks = tokio_stream::iter(0..5).then(|_| async {
            tokio::time::sleep(std::time::Duration::from_secs(8)).await;
            Ok::<_, io::Error>(vec![b'a'; 16 << 10])
        });
        let body = Body::from_stream(chunks);
        let whole = read(&HeaderMap::new(), body, 1 << 20, &client).await;
        assert_eq!(whole.unwrap().len(), 5 * (16 << 10));
    }
}
