//! What unit tests of every part share: waits that end, and a clock that stands still.

use std::sync::mpsc as blocking;
use std::time::Duration;

use tokio::sync::mpsc;

/// How long a test waits before it fails.
const DEADLINE: Duration = Duration::from_secs(30);

/// Awaits a future, and panics if it takes longer than [`DEADLINE`]. A thread of its own measures that by the system's
/// clock, because tokio's may be paused.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let (done, waiting) = blocking::channel::<()>();
    let (late, mut is_late) = mpsc::channel::<()>(1);
    std::thread::spawn(move || {
        if waiting.recv_timeout(DEADLINE) == Err(blocking::RecvTimeoutError::Timeout) {
            let _ = late.blocking_send(());
        }
    });
    let output = tokio::select! {
        biased;
        output = future => output,
        Some(()) = is_late.recv() => panic!("waited {DEADLINE:?} in vain until {what}"),
    };
    drop(done);
    output
}

/// Polls a condition until it holds, and panics as [`soon`] does.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    soon(what, holds).await;
}

/// Keeps tokio's paused clock where it is: only `tokio::time::advance` moves it. Without this the clock jumps to the next
/// timer whenever all tasks wait, for instance for a worker thread.
pub struct HeldClock {
    /// While it lives a blocking task does, during which tokio does not move the clock.
    _held: blocking::Sender<()>,
}

impl HeldClock {
    /// Must be called in a runtime whose clock is paused.
    pub fn new() -> Self {
        let (held, released) = blocking::channel();
        drop(tokio::task::spawn_blocking(move || released.recv()));
        Self { _held: held }
    }
}
