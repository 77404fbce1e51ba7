//! What a request holds beside its body.

use hyper::HeaderMap;

/// What the protocol and the server keep of a request whose body has not arrived: measured as 9 kB over HTTP/2, of which
/// half is of the protocol's own bounds.
const STATE_BYTES: usize = 4 << 10;

/// The weight of a request of which only the head has arrived. Otherwise a client that opens as many streams as it may,
/// and sends no body on any of them, would have the server hold gigabytes.
#[must_use]
pub fn head_bytes(headers: &HeaderMap) -> usize {
    let of_header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        name.as_str().len() + value.len()
    };
    STATE_BYTES + headers.iter().map(of_header).sum::<usize>()
}
