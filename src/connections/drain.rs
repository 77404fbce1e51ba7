//! Reads and drops the rest of a body that its request's answer did not need.
//!
//! Many clients of HTTP/1 write a whole request before they read. If the server closed before that, the system would
//! reset the connection, and they would see a broken connection in place of the answer. Over HTTP/2 the protocol would
//! send `RST_STREAM` with `NO_ERROR` after the answer, and clients such as curl 7.88 then lose answers that arrive with it.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The most bytes read of one body.
const MOST_BYTES: usize = 64 << 20;

/// The longest wait for more of it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The longest time for one body.
const LONGEST_TIME: Duration = Duration::from_secs(30);

/// Drains a body beside the answer, which is sent meanwhile. Nothing is kept of it. When this gives up, the connection
/// closes; when the connection ends, so does this.
pub fn drain(body: Incoming) {
    // Without a runtime, the program ends.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(timeout(LONGEST_TIME, read(body)));
    }
}

async fn read(mut body: Incoming) {
    let mut left = MOST_BYTES;
    while let Ok(Some(Ok(frame))) = timeout(LONGEST_PAUSE, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
