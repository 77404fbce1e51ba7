//! Compressed bodies: those of requests are taken everywhere; answers are compressed only where a route says so.
//!
//! A task's own answers are not: compressing takes longer than sending them does.

use axum::extract::Request;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

/// Says, as a request's extension, that its body is not what was sent.
#[derive(Clone, Copy, Debug)]
pub struct Decompressed;

/// Says, as a response's extension, that it may be compressed for a client that accepts it.
#[derive(Clone, Copy, Debug)]
pub struct Compressible;

type Chosen = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Decompresses the bodies of requests: gzip and deflate. Others are left to who reads the body, and refuses them.
pub fn of_requests() -> RequestDecompressionLayer {
    RequestDecompressionLayer::new()
        .gzip(true)
        .deflate(true)
        .pass_through_unaccepted(true)
}

/// Compresses the answers that are marked as [`Compressible`].
pub fn of_answers() -> CompressionLayer<Chosen> {
    let chosen: Chosen = |_, _, _, extensions| extensions.get::<Compressible>().is_some();
    CompressionLayer::new()
        .gzip(true)
        .deflate(true)
        .quality(CompressionLevel::Fastest)
        .compress_when(chosen)
}

/// Marks requests that [`of_requests`] decompresses, before it takes away what tells them.
pub async fn mark(mut request: Request) -> Request {
    let encoding = request.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding == "gzip" || encoding == "deflate") {
        request.extensions_mut().insert(Decompressed);
    }
    request
}
