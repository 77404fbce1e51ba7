//! The order in which waiting work takes the slots of the executor: fair between clients, by the cost of their work.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng 1996). Each piece of work starts at a point in virtual time: where
//! its client's last piece ends, or now if that is later. The piece that starts first goes first, and now is where it
//! starts. So a newcomer waits for one piece of each other client at most, and two clients that wait all the time
//! never differ by more than a piece of each. Within a client, pieces run in the order in which they arrive.
//!
//! Pure: no locks, clocks or threads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::client::Client;

/// The most clients without waiting work whose past costs are remembered. With more, those that have had the least are
/// forgotten, each of which may gain the cost of one piece.
const REMEMBERED: usize = 1024;

/// The waiting work `T`, and the slots that are free for it.
#[derive(Debug)]
pub struct Turns<T> {
    free: usize,
    /// Where the work that was taken last starts. Virtual time is in seconds of one client's work.
    now: Duration,
    clients: HashMap<Client, Line<T>>,
    /// Clients with waiting work, by where the first of it starts; those with equal starts by its arrival.
    waiting: BTreeSet<(Duration, u64, Client)>,
    /// Other clients, by where their last work ends. All of these ends are past `now`.
    idle: BTreeSet<(Duration, Client)>,
    last_arrival: u64,
}

/// The work of one client.
#[derive(Debug)]
struct Line<T> {
    /// Where its next work starts.
    start: Duration,
    /// By arrival.
    waiting: BTreeMap<u64, Work<T>>,
}

#[derive(Debug)]
struct Work<T> {
    cost: Duration,
    item: T,
}

/// A place in the order. Not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    client: Client,
    arrival: u64,
}

impl<T> Turns<T> {
    pub fn new(slots: usize) -> Self {
        Self {
            free: slots,
            now: Duration::ZERO,
            clients: HashMap::new(),
            waiting: BTreeSet::new(),
            idle: BTreeSet::new(),
            last_arrival: 0,
        }
    }

    /// Adds work that waits for a slot.
    pub fn enter(&mut self, client: Client, cost: Duration, item: T) -> Place {
        self.last_arrival += 1;
        let arrival = self.last_arrival;
        let line = self.clients.entry(client).or_insert_with(|| Line {
            start: self.now,
            waiting: BTreeMap::new(),
        });
        if line.waiting.is_empty() {
            self.idle.remove(&(line.start, client));
            self.waiting.insert((line.start, arrival, client));
        }
        line.waiting.insert(arrival, Work { cost, item });
        Place { client, arrival }
    }

    /// Gives a free slot to the work whose turn it is. The slot is taken until [`Self::free`] is called.
    pub fn take(&mut self) -> Option<T> {
        if self.free == 0 {
            return None;
        }
        let Some((start, arrival, client)) = self.waiting.pop_first() else {
            // Nobody has to wait, so it doesn't matter who has had more until now.
            self.clients.clear();
            self.idle.clear();
            self.now = Duration::ZERO;
            return None;
        };
        let line = self.clients.get_mut(&client)?;
        let work = line.waiting.remove(&arrival)?;
        line.start = start.saturating_add(work.cost);
        self.free -= 1;
        self.now = start;
        self.file(client);
        while let Some(&(end, idle)) = self.idle.first()
            && (end <= self.now || self.idle.len() > REMEMBERED)
        {
            self.idle.pop_first();
            self.clients.remove(&idle);
        }
        Some(work.item)
    }

    /// Removes work that waits no longer. Does nothing if it has been taken.
    pub fn leave(&mut self, place: Place) {
        let Place { client, arrival } = place;
        let Some(line) = self.clients.get_mut(&client) else {
            return;
        };
        line.waiting.remove(&arrival);
        // Only a client's first work has a place in the order of all.
        if self.waiting.remove(&(line.start, arrival, client)) {
            self.file(client);
        }
    }

    /// A slot is free again.
    pub fn free(&mut self) {
        self.free += 1;
    }

    /// Puts a client that is in neither order into the one in which it belongs, or forgets it.
    fn file(&mut self, client: Client) {
        let Some(line) = self.clients.get(&client) else {
            return;
        };
        if let Some((arrival, _)) = line.waiting.first_key_value() {
            self.waiting.insert((line.start, *arrival, client));
        } else if line.start > self.now {
            self.idle.insert((line.start, client));
        } else {
            self.clients.remove(&client);
        }
    }
}

#[cfg(test)]
mod tests;
