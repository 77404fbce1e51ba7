//! Runs long computations on a bounded number of blocking threads, so that they do not block connections.

mod turns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use self::turns::{Place, Turns};
use crate::client::Client;
use crate::error::ServiceError;

/// Work that takes longer may not run on a thread that serves connections: it would delay all of them.
const LONGEST_IN_PLACE: Duration = Duration::from_micros(100);

/// Runs parsing, tokenizing and decoding, but no models. Clients share its threads fairly. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    turns: Mutex<Turns<oneshot::Sender<Slot>>>,
    slots: usize,
}

impl Executor {
    /// Allows at most `threads` large computations at a time.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let slots = threads.max(1);
        Self(Arc::new(Shared {
            turns: Mutex::new(Turns::new(slots)),
            slots,
        }))
    }

    /// The number of large computations that run at a time.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.0.slots
    }

    /// Runs `work` of a client, which is estimated to take `cost`: in place if it is short, otherwise on a blocking
    /// thread once it is the client's turn. If the future is dropped, work that has not begun does not begin, and work
    /// that has keeps its slot until it ends.
    ///
    /// # Errors
    /// [`ServiceError::DeadlineExceeded`] if `deadline` passes first, or [`ServiceError::Internal`] if the work
    /// panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        client: Client,
        cost: Duration,
        deadline: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        if cost <= LONGEST_IN_PLACE {
            return Ok(work());
        }
        let executed = async {
            let slot = self.slot(client, cost).await?;
            let work = move || {
                let _slot = slot;
                work()
            };
            tokio::task::spawn_blocking(work)
                .await
                .map_err(ServiceError::internal)
        };
        timeout_at(deadline, executed)
            .await
            .unwrap_or(Err(ServiceError::DeadlineExceeded))
    }

    /// Waits for the client's turn.
    async fn slot(&self, client: Client, cost: Duration) -> Result<Slot, ServiceError> {
        // Dropped after the place: nothing is sent to who has left the order.
        let (sender, mut granted) = oneshot::channel();
        let place = self.0.turns().enter(client, cost, sender);
        let _waiting = Waiting {
            place,
            shared: &self.0,
        };
        grant(&self.0);
        (&mut granted).await.map_err(ServiceError::internal)
    }
}

impl Shared {
    fn turns(&self) -> MutexGuard<'_, Turns<oneshot::Sender<Slot>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the free slots to those whose turn it is.
fn grant(shared: &Arc<Shared>) {
    loop {
        let next = shared.turns().take();
        let Some(next) = next else {
            return;
        };
        // If nobody waits for it any more, the slot is dropped, and so free again.
        let _ = next.send(Slot(Arc::clone(shared)));
    }
}

/// The right to compute, until it is dropped.
#[derive(Debug)]
struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.turns().free();
        grant(&self.0);
    }
}

/// A place in the order, until it is dropped.
struct Waiting<'executor> {
    place: Place,
    shared: &'executor Shared,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.turns().leave(self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use tokio::task::JoinSet;

    use super::*;

    const LONG: Duration = Duration::from_micros(101);
    const CLIENT: Client = Client::Local;
    const OTHER: Client = Client::V4(Ipv4Addr::LOCALHOST);

    /// Occupies the executor's only slot until the sender is dropped.
    async fn occupied(executor: &Executor, deadline: Instant) -> mpsc::Sender<()> {
        let (release, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let long = executor.run(CLIENT, LONG, deadline, move || {
            let _ = begun.send(());
            let _ = gate.recv();
        });
        // Its future is dropped, and it still runs: nothing else may.
        tokio::select! {
            _ = long => panic!("it waits for the gate"),
            _ = has_begun => {}
        }
        release
    }

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let executor = Executor::new(1);
        let deadline = Instant::now() + Duration::from_mins(1);
        let here = std::thread::current().id();
        let small = executor
            .run(CLIENT, LONGEST_IN_PLACE, deadline, || {
                std::thread::current().id()
            })
            .await
            .unwrap();
        let large = executor
            .run(CLIENT, LONG, deadline, || std::thread::current().id())
            .await
            .unwrap();
        assert_eq!(small, here);
        assert_ne!(large, here);
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_and_a_deadline_is_kept() {
        let executor = Executor::new(1);
        let deadline = Instant::now() + Duration::from_mins(1);
        let panicked = executor
            .run(CLIENT, LONG, deadline, || panic!("wrong"))
            .await;
        assert_eq!(panicked, Err::<(), _>(ServiceError::Internal));
        let _slot = executor.slot(CLIENT, LONG).await.unwrap();
        let late = executor.run(CLIENT, LONG, Instant::now(), || ()).await;
        assert_eq!(late, Err(ServiceError::DeadlineExceeded));
    }

    #[tokio::test]
    async fn abandoned_work_keeps_its_slot_until_it_ends() {
        let executor = Executor::new(1);
        let far = Instant::now() + Duration::from_mins(1);
        let release = occupied(&executor, far).await;
        let soon = Instant::now() + Duration::from_millis(10);
        let next = executor.run(CLIENT, LONG, soon, || ()).await;
        assert_eq!(next, Err(ServiceError::DeadlineExceeded));
        drop(release);
        assert_eq!(executor.run(CLIENT, LONG, far, || ()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_client_with_much_to_do_does_not_keep_another_waiting() {
        let executor = Executor::new(1);
        let far = Instant::now() + Duration::from_mins(1);
        let release = occupied(&executor, far).await;
        let (done, order) = mpsc::channel();
        let mut running = JoinSet::new();
        for client in [CLIENT; 100].into_iter().chain([OTHER]) {
            let (executor, done) = (executor.clone(), done.clone());
            running.spawn(async move {
                let work = move || done.send(client).unwrap();
                executor.run(client, LONG, far, work).await
            });
            tokio::task::yield_now().await;
        }
        drop(release);
        while let Some(ended) = running.join_next().await {
            ended.unwrap().unwrap();
        }
        let position = order.try_iter().position(|client| client == OTHER);
        assert!(
            position.is_some_and(|position| position <= 1),
            "{position:?}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn cancellations_at_any_moment_lose_no_slot() {
        let executor = Executor::new(2);
        let far = Instant::now() + Duration::from_mins(1);
        let mut running = JoinSet::new();
        for number in 0..2000_u64 {
            let executor = executor.clone();
            let client = if number % 2 == 0 { CLIENT } else { OTHER };
            running.spawn(async move { executor.run(client, LONG, far, || ()).await });
            if number % 5 == 0 {
                tokio::task::yield_now().await;
            }
            if number % 7 == 0 {
                running.abort_all();
            }
        }
        while running.join_next().await.is_some() {}
        // Both are free again once what has begun has ended.
        let soon = Instant::now() + Duration::from_secs(10);
        let slots = async {
            let first = executor.slot(CLIENT, LONG).await;
            (first, executor.slot(CLIENT, LONG).await)
        };
        assert!(timeout_at(soon, slots).await.is_ok());
    }
}
