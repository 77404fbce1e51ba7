//! Waits for bytes of the budget.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::line::{Place, Purpose};
use super::{ClientBytes, Full, Hold};

/// How long bytes are waited for. Those who wait may hold what others wait for, so none may wait forever.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Waits for bytes: in order of arrival among those of one client, and in turn with other clients.
#[derive(Debug)]
pub struct Waiter {
    client: ClientBytes,
    purpose: Purpose,
    waiting: Option<InLine>,
}

#[derive(Debug)]
struct InLine {
    place: Place,
    granted: oneshot::Receiver<Hold>,
    limit: Pin<Box<Sleep>>,
}

impl Waiter {
    pub(super) fn new(client: ClientBytes, purpose: Purpose) -> Self {
        Self {
            client,
            purpose,
            waiting: None,
        }
    }

    /// Takes `bytes` once the client may have as many. More than a client can have counts as that: what has arrived is in
    /// memory already. Later calls wait for what the first one asked for, until it is ready.
    ///
    /// # Errors
    /// [`Full`] after [`LONGEST_WAIT`].
    pub fn poll_reserve(
        &mut self,
        context: &mut Context<'_>,
        bytes: usize,
    ) -> Poll<Result<Hold, Full>> {
        let in_line = match &mut self.waiting {
            Some(in_line) => in_line,
            None => match join(&self.client, self.purpose, bytes) {
                Ok(hold) => return Poll::Ready(Ok(hold)),
                Err(in_line) => self.waiting.insert(in_line),
            },
        };
        if let Poll::Ready(granted) = Pin::new(&mut in_line.granted).poll(context) {
            self.waiting = None;
            return Poll::Ready(granted.map_err(|_| Full));
        }
        if in_line.limit.as_mut().poll(context).is_ready() {
            self.leave();
            return Poll::Ready(Err(self.client.refuse()));
        }
        Poll::Pending
    }

    /// Leaves the line, in which those behind may have their turn now. What was granted meanwhile is given back.
    fn leave(&mut self) {
        if let Some(InLine { place, granted, .. }) = self.waiting.take() {
            let ClientBytes { budget, client } = &self.client;
            budget.change(|state| state.line.leave(*client, place));
            drop(granted);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Takes the bytes, or a place in the line.
fn join(of: &ClientBytes, purpose: Purpose, bytes: usize) -> Result<Hold, InLine> {
    if bytes == 0 {
        // Such as the end of a stream.
        return Ok(of.empty());
    }
    let mut state = of.budget.lock();
    let bytes = bytes.min(state.ledger.most());
    let has_turn = !state.line.has_before(of.client, purpose);
    if has_turn && state.ledger.take(of.client, bytes) {
        drop(state);
        return Ok(Hold::of(of.clone(), bytes));
    }
    let (grant, granted) = oneshot::channel();
    let place = state.line.join(of.client, purpose, bytes, grant);
    Err(InLine {
        place,
        granted,
        limit: Box::pin(sleep(LONGEST_WAIT)),
    })
}
