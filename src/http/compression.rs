//! Compressed bodies. Requests may be compressed on every route; responses are compressed only on routes that opt in.
//!
//! Answers of tasks are not compressed: compressing them takes longer than sending them.

use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

/// Response extension: the body may be compressed if the client accepts it.
#[derive(Clone, Copy, Debug)]
pub struct Compressible;

type Chosen = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Decompresses gzip and deflate bodies of requests. Other encodings pass through, and the body's reader refuses them.
pub fn of_requests() -> RequestDecompressionLayer {
    RequestDecompressionLayer::new()
        .gzip(true)
        .deflate(true)
        .pass_through_unaccepted(true)
}

/// Compresses responses marked as [`Compressible`].
pub fn of_answers() -> CompressionLayer<Chosen> {
    let chosen: Chosen = |_, _, _, extensions| extensions.get::<Compressible>().is_some();
    CompressionLayer::new()
        .gzip(true)
        .deflate(true)
        .quality(CompressionLevel::Fastest)
        .compress_when(chosen)
}
