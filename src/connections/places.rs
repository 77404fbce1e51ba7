//! Who holds the places of all connections, and whose connection gives way once all are taken.
//!
//! A newcomer takes the place of a connection of the client that holds the most, if its own client holds at least two
//! fewer. So clients approach equal numbers, and none is closed only for another to be closed next. Each step takes
//! logarithmic time.
//!
//! Pure: no locks, clocks or sockets.

use std::collections::{BTreeSet, HashMap};

use crate::client::Client;

/// Connections that gave way and are still open. With more, no other gives way, so that file descriptors suffice.
const MOST_LEAVING: usize = 32;

/// Identifies a connection. Not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(u64);

/// What a connection waits for. Those of the first kind give way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// A request.
    Quiet,
    /// Its peer, to send the rest of its requests or to take their answers.
    Waiting,
    /// This server. It does not give way.
    Busy,
}

/// The places, each with the means `E` to end its connection.
#[derive(Debug)]
pub struct Places<E> {
    most: usize,
    leaving: usize,
    last: u64,
    held: HashMap<PlaceId, Held<E>>,
    clients: HashMap<Client, Holder>,
    /// Clients with a connection that may give way, by the number of their connections.
    yielding: BTreeSet<(usize, Client)>,
}

#[derive(Debug)]
struct Held<E> {
    client: Client,
    requests: usize,
    standing: Standing,
    end: E,
}

#[derive(Debug, Default)]
struct Holder {
    connections: usize,
    /// Those that may give way, by who is first to. Older ones go before newer ones.
    yielding: BTreeSet<(Standing, PlaceId)>,
}

/// A connection that is to end.
#[derive(Debug, PartialEq, Eq)]
pub struct Displaced<E> {
    pub client: Client,
    /// How many connections the client holds now.
    pub left: usize,
    pub end: E,
}

impl<E> Places<E> {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            leaving: 0,
            last: 0,
            held: HashMap::new(),
            clients: HashMap::new(),
            yielding: BTreeSet::new(),
        }
    }

    /// Takes a free place. Gives `end` back if there is none.
    pub fn take(&mut self, client: Client, end: E) -> Result<PlaceId, E> {
        if self.held.len() >= self.most {
            return Err(end);
        }
        self.last += 1;
        let place = PlaceId(self.last);
        let held = Held {
            client,
            requests: 0,
            standing: Standing::Quiet,
            end,
        };
        self.held.insert(place, held);
        self.change(client, |holder| holder.add(Standing::Quiet, place));
        Ok(place)
    }

    /// Frees a place of the client that holds the most, if this one holds at least two fewer.
    pub fn displace_for(&mut self, client: Client) -> Option<Displaced<E>> {
        let own = self
            .clients
            .get(&client)
            .map_or(0, |holder| holder.connections);
        let &(most, richest) = self.yielding.last()?;
        if most < own + 2 || self.leaving >= MOST_LEAVING {
            return None;
        }
        let (_, place) = *self.clients.get(&richest)?.yielding.first()?;
        let held = self.remove(place)?;
        self.leaving += 1;
        Some(Displaced {
            client: richest,
            left: most - 1,
            end: held.end,
        })
    }

    /// The connection has ended.
    pub fn release(&mut self, place: PlaceId) {
        if self.remove(place).is_none() {
            self.leaving = self.leaving.saturating_sub(1);
        }
    }

    /// The connection is found to be of this client.
    pub fn belongs_to(&mut self, place: PlaceId, client: Client) {
        let Some(held) = self.held.get_mut(&place) else {
            return;
        };
        let before = std::mem::replace(&mut held.client, client);
        let standing = held.standing;
        if before != client {
            self.change(before, |holder| holder.forget(standing, place));
            self.change(client, |holder| holder.add(standing, place));
        }
    }

    /// The headers of a request were read.
    pub fn start_request(&mut self, place: PlaceId) {
        if let Some(held) = self.held.get_mut(&place) {
            held.requests += 1;
        }
        self.set(place, Standing::Busy);
    }

    /// A request has ended.
    pub fn end_request(&mut self, place: PlaceId) {
        if let Some(held) = self.held.get_mut(&place) {
            held.requests = held.requests.saturating_sub(1);
            if held.requests == 0 {
                self.set(place, Standing::Quiet);
            }
        }
    }

    /// Says whether all requests in progress wait for the peer.
    pub fn set_waiting(&mut self, place: PlaceId, waiting: bool) {
        if self.held.get(&place).is_some_and(|held| held.requests > 0) {
            let standing = if waiting {
                Standing::Waiting
            } else {
                Standing::Busy
            };
            self.set(place, standing);
        }
    }

    fn set(&mut self, place: PlaceId, standing: Standing) {
        let Some(held) = self.held.get_mut(&place) else {
            return;
        };
        let before = std::mem::replace(&mut held.standing, standing);
        if before != standing {
            let client = held.client;
            self.change(client, |holder| {
                holder.forget(before, place);
                holder.add(standing, place);
            });
        }
    }

    fn remove(&mut self, place: PlaceId) -> Option<Held<E>> {
        let held = self.held.remove(&place)?;
        self.change(held.client, |holder| holder.forget(held.standing, place));
        Some(held)
    }

    /// Changes what a client holds, and its place among all.
    fn change(&mut self, client: Client, change: impl FnOnce(&mut Holder)) {
        let holder = self.clients.entry(client).or_default();
        let before = holder.key(client);
        change(holder);
        let after = holder.key(client);
        if holder.connections == 0 {
            self.clients.remove(&client);
        }
        if before != after {
            before.map(|key| self.yielding.remove(&key));
            after.map(|key| self.yielding.insert(key));
        }
    }
}

impl Holder {
    fn add(&mut self, standing: Standing, place: PlaceId) {
        self.connections += 1;
        if standing != Standing::Busy {
            self.yielding.insert((standing, place));
        }
    }

    fn forget(&mut self, standing: Standing, place: PlaceId) {
        self.connections -= 1;
        self.yielding.remove(&(standing, place));
    }

    /// Where its client stands among those with a connection that may give way.
    fn key(&self, client: Client) -> Option<(usize, Client)> {
        (!self.yielding.is_empty()).then_some((self.connections, client))
    }
}

#[cfg(test)]
mod tests;
