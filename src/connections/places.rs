//! Who holds the places of all connections, and whose connection gives way once all are taken.
//!
//! A newcomer takes the place of a connection of the client that holds the most, if its own client holds at least two
//! fewer. So clients approach equal numbers, and none is closed only for another to be closed next. What a connection
//! does is asked only then, so requests cost nothing here.
//!
//! Pure: no locks, clocks or sockets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::activity::Standing;
use crate::client::Client;

/// Connections that gave way and are still open. With more, no other gives way, so that file descriptors suffice.
const MOST_LEAVING: usize = 16;

/// The connections that are looked at for one newcomer. Their number bounds how long the others wait for the places.
const LOOKS: usize = 64;

/// Identifies a connection. Not reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceId(u64);

/// The places, each with its connection `C`.
#[derive(Debug)]
pub struct Places<C> {
    most: usize,
    leaving: usize,
    last_turn: u64,
    held: HashMap<PlaceId, Held<C>>,
    /// The connections of each client, by turn.
    clients: HashMap<Client, BTreeMap<u64, PlaceId>>,
    /// The clients by the number of their connections.
    by_number: BTreeSet<(usize, Client)>,
}

#[derive(Debug)]
struct Held<C> {
    client: Client,
    /// When it is looked at next, compared with the others of its client. A connection that was looked at in vain goes
    /// behind all others, so that the next newcomer looks at those.
    turn: u64,
    connection: C,
}

/// A connection that is to end.
#[derive(Debug)]
pub struct Displaced<C> {
    pub client: Client,
    /// How many connections the client holds now.
    pub left: usize,
    pub connection: C,
}

impl<C> Places<C> {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            leaving: 0,
            last_turn: 0,
            held: HashMap::new(),
            clients: HashMap::new(),
            by_number: BTreeSet::new(),
        }
    }

    /// Takes a free place. Gives the connection back if there is none.
    pub fn take(&mut self, client: Client, connection: C) -> Result<PlaceId, C> {
        if self.held.len() >= self.most {
            return Err(connection);
        }
        self.last_turn += 1;
        let turn = self.last_turn;
        let place = PlaceId(turn);
        let held = Held {
            client,
            turn,
            connection,
        };
        self.held.insert(place, held);
        self.change(client, |order| order.insert(turn, place));
        Ok(place)
    }

    /// Frees a place of the client that holds the most, if this one holds at least two fewer. If no connection that is
    /// looked at gives way, that of the client that holds the most after it is tried.
    pub fn displace_for(
        &mut self,
        client: Client,
        standing_of: impl Fn(&C) -> Standing,
    ) -> Option<Displaced<C>> {
        if self.leaving >= MOST_LEAVING {
            return None;
        }
        let fewest = self.number_of(client) + 2;
        let richest = self.by_number.iter().rev();
        let richest = richest.take_while(|(number, _)| *number >= fewest);
        let richest: Vec<_> = richest.take(LOOKS).copied().collect();
        let mut left = LOOKS;
        let place = richest.into_iter().find_map(|(number, client)| {
            // Only half of those left, so that many busy connections of one client don't protect all others.
            let looks = left.div_ceil(2).min(number);
            left -= looks;
            self.look_at(client, looks, &standing_of)
        })?;
        let held = self.remove(place)?;
        self.leaving += 1;
        Some(Displaced {
            client: held.client,
            left: self.number_of(held.client),
            connection: held.connection,
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
        if let Some(held) = self.held.get_mut(&place) {
            let turn = held.turn;
            let before = std::mem::replace(&mut held.client, client);
            self.change(before, |order| order.remove(&turn));
            self.change(client, |order| order.insert(turn, place));
        }
    }

    fn number_of(&self, client: Client) -> usize {
        self.clients.get(&client).map_or(0, BTreeMap::len)
    }

    /// Looks at this many connections of a client, and returns the first quiet one, or else the first that waits.
    fn look_at(
        &mut self,
        client: Client,
        looks: usize,
        standing_of: impl Fn(&C) -> Standing,
    ) -> Option<PlaceId> {
        let order = self.clients.get_mut(&client)?;
        let mut waiting = None;
        for _ in 0..looks {
            let (_, place) = order.pop_first()?;
            let held = self.held.get_mut(&place)?;
            self.last_turn += 1;
            held.turn = self.last_turn;
            order.insert(held.turn, place);
            match standing_of(&held.connection) {
                Standing::Quiet => return Some(place),
                Standing::Waiting => waiting = waiting.or(Some(place)),
                Standing::Busy => {}
            }
        }
        waiting
    }

    fn remove(&mut self, place: PlaceId) -> Option<Held<C>> {
        let held = self.held.remove(&place)?;
        self.change(held.client, |order| order.remove(&held.turn));
        Some(held)
    }

    /// Changes what a client holds, and where it stands among all.
    fn change<R>(&mut self, client: Client, change: impl FnOnce(&mut BTreeMap<u64, PlaceId>) -> R) {
        let order = self.clients.entry(client).or_default();
        self.by_number.remove(&(order.len(), client));
        change(order);
        if order.is_empty() {
            self.clients.remove(&client);
        } else {
            self.by_number.insert((order.len(), client));
        }
    }
}

#[cfg(test)]
mod tests;
