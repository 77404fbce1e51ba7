//! Reads a request's body up to a limit.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use tokio_stream::StreamExt;

use crate::error::ServiceError;

/// Reads a body of at most `limit` bytes. A longer body is drained up to `discarded` bytes before it is refused: a client
/// that writes the whole body before it reads then sees the error, not a broken connection.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    discarded: usize,
) -> Result<Vec<u8>, ServiceError> {
    let too_large = ServiceError::BodyTooLarge { limit };
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    // A client that waits for `100 Continue` sends nothing before it reads, so there is nothing to drain.
    let expects_continue = headers.contains_key(EXPECT);
    if declared.is_some_and(|length| length > limit && (expects_continue || length > discarded)) {
        return Err(too_large);
    }
    let mut bytes = Vec::with_capacity(declared.unwrap_or(0).min(limit));
    let mut length = 0_usize;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| ServiceError::InvalidJson {
            reason: format!("the body ends early ({error})"),
        })?;
        length += chunk.len();
        if length > discarded.max(limit) {
            return Err(too_large);
        }
        if length <= limit {
            bytes.extend_from_slice(&chunk);
        }
    }
    if length > limit {
        Err(too_large)
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::HeaderValue;

    use super::*;

    const CHUNK: &[u8] = b"0123456789";

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

    /// Reads with a limit of 20 bytes, drains up to 40, and returns the result and the number of chunks read.
    async fn outcome(headers: &HeaderMap, count: usize) -> (Result<Vec<u8>, ServiceError>, usize) {
        let (body, chunks_read) = chunks(count);
        let result = read(headers, body, 20, 40).await;
        (result, chunks_read.load(Ordering::Relaxed))
    }

    fn declared(length: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static(length))])
    }

    fn is_too_large(result: &Result<Vec<u8>, ServiceError>) -> bool {
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
    async fn a_longer_body_is_drained_up_to_a_bound() {
        let (result, read) = outcome(&HeaderMap::new(), 4).await;
        assert!(is_too_large(&result), "{result:?}");
        assert_eq!(read, 4);
        let (result, read) = outcome(&declared("1000"), 100).await;
        assert!(is_too_large(&result), "{result:?}");
        assert_eq!(read, 0);
        let (result, read) = outcome(&HeaderMap::new(), 100).await;
        assert!(is_too_large(&result), "{result:?}");
        assert_eq!(read, 5);
    }

    #[tokio::test]
    async fn a_client_that_expects_continue_is_refused_at_once() {
        let mut headers = declared("30");
        let (result, read) = outcome(&headers, 3).await;
        assert!(is_too_large(&result), "{result:?}");
        assert_eq!(read, 3);
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        let (result, read) = outcome(&headers, 3).await;
        assert!(is_too_large(&result), "{result:?}");
        assert_eq!(read, 0);
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_an_error() {
        let chunks = [Ok(CHUNK), Err(io::Error::other("reset"))];
        let body = Body::from_stream(tokio_stream::iter(chunks));
        let error = read(&HeaderMap::new(), body, 20, 40).await.unwrap_err();
        assert!(error.to_string().contains("ends early (reset)"), "{error}");
    }
}
