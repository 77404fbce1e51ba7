//! The turns of requests that wait to be admitted to one model's queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::Client;

/// Of each client, one request tries to be admitted at a time, in order of arrival. So none is overtaken by later ones of
/// its client, and when there is room, one of each client is woken, not all.
#[derive(Default)]
pub struct Turns {
    /// Held for a few instructions. Has the clients of which a request tries or waits.
    waiting: Mutex<HashMap<Client, Arc<Semaphore>>>,
}

impl Turns {
    /// Waits for those of the same client that came before. The turn ends on drop.
    pub async fn take(&self, client: Client) -> Turn<'_> {
        let mut turn = Turn {
            turns: self,
            client,
            permit: None,
        };
        let semaphore = Arc::clone(
            self.lock()
                .entry(client)
                .or_insert_with(|| Arc::new(Semaphore::new(1))),
        );
        // It is never closed.
        turn.permit = semaphore.acquire_owned().await.ok();
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, Arc<Semaphore>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's turn, or that it waits for it.
pub struct Turn<'turns> {
    turns: &'turns Turns,
    client: Client,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.permit = None;
        let mut waiting = self.turns.lock();
        // Others take their references while they have the lock.
        if waiting
            .get(&self.client)
            .is_some_and(|of_client| Arc::strong_count(of_client) == 1)
        {
            waiting.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn turns_are_in_order_of_arrival_and_each_client_has_its_own() {
        let turns = Turns::default();
        let other = Client::from(IpAddr::from([192, 0, 2, 1]));
        let first = turns.take(Client::Local).await;
        let mut gone = Box::pin(turns.take(Client::Local));
        let mut second = Box::pin(turns.take(Client::Local));
        let mut third = Box::pin(turns.take(Client::Local));
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        assert!(turns.take(other).now_or_never().is_some());
        drop(gone);
        drop(first);
        assert!((&mut third).now_or_never().is_none());
        let second = second.now_or_never().expect("its turn");
        assert!((&mut third).now_or_never().is_none());
        // A newcomer does not overtake.
        assert!(turns.take(Client::Local).now_or_never().is_none());
        drop(second);
        drop(third.now_or_never().expect("its turn"));
        assert!(turns.lock().is_empty());
    }
}
