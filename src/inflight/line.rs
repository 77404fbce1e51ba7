//! Who waits for bytes, and in which order they get them. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::client::Client;

/// The clients looked at in a row of whom none can be served, whenever bytes are given back. If bytes are still free
/// then, more will be given back, and the next clients are looked at.
const LOOKED_AT: usize = 32;

/// What bytes are for. Answers are served before requests, because they free what their requests hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    Answer,
    Request,
}

/// A place in the line. Never used twice. Answers come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    purpose: Purpose,
    number: u64,
}

/// Waiting requests and answers. Clients take turns; each is served in order of arrival, answers first. `W` is how to tell
/// who waits.
#[derive(Debug)]
pub struct Line<W> {
    clients: HashMap<Client, BTreeMap<Place, Waiting<W>>>,
    /// The clients that have somebody waiting, in order of their turns.
    turns: VecDeque<Client>,
    next: u64,
}

#[derive(Debug)]
struct Waiting<W> {
    bytes: usize,
    waiting: W,
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self {
            clients: HashMap::new(),
            turns: VecDeque::new(),
            next: 0,
        }
    }
}

impl<W> Line<W> {
    /// Whether somebody of the client waits whom a newcomer would overtake.
    pub fn has_before(&self, client: Client, purpose: Purpose) -> bool {
        let first = self
            .clients
            .get(&client)
            .and_then(BTreeMap::first_key_value);
        first.is_some_and(|(place, _)| place.purpose <= purpose)
    }

    pub fn join(&mut self, client: Client, purpose: Purpose, bytes: usize, waiting: W) -> Place {
        let place = Place {
            purpose,
            number: self.next,
        };
        self.next += 1;
        let of_client = self.clients.entry(client).or_default();
        if of_client.is_empty() {
            self.turns.push_back(client);
        }
        of_client.insert(place, Waiting { bytes, waiting });
        place
    }

    /// Removes who does not wait any more.
    pub fn leave(&mut self, client: Client, place: Place) {
        let Some(of_client) = self.clients.get_mut(&client) else {
            return;
        };
        of_client.remove(&place);
        if of_client.is_empty() {
            self.clients.remove(&client);
            self.turns.retain(|other| *other != client);
        }
    }

    /// Serves whom `take` can give bytes, in turn, and removes them from the line.
    pub fn advance(
        &mut self,
        mut take: impl FnMut(Client, usize) -> bool,
    ) -> Vec<(Client, usize, W)> {
        let mut served = Vec::new();
        let mut in_vain = 0;
        while in_vain < self.turns.len().min(LOOKED_AT) {
            let Some(client) = self.turns.pop_front() else {
                break;
            };
            let Some(of_client) = self.clients.get_mut(&client) else {
                continue;
            };
            match of_client.first_entry() {
                Some(first) if take(client, first.get().bytes) => {
                    let Waiting { bytes, waiting } = first.remove();
                    served.push((client, bytes, waiting));
                    in_vain = 0;
                }
                _ => in_vain += 1,
            }
            if of_client.is_empty() {
                self.clients.remove(&client);
            } else {
                self.turns.push_back(client);
            }
        }
        served
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn client(number: u16) -> Client {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([192, 0, high, low]).into()
    }

    fn served(line: &mut Line<&'static str>, mut bytes: usize) -> Vec<&'static str> {
        let take = |_, wanted| {
            let left = bytes.checked_sub(wanted);
            bytes = left.unwrap_or(bytes);
            left.is_some()
        };
        let served = line.advance(take);
        served.into_iter().map(|(_, _, waiting)| waiting).collect()
    }

    #[test]
    fn clients_take_turns_and_each_is_served_in_order_with_answers_first() {
        let mut line = Line::default();
        let (one, other) = (client(1), client(2));
        line.join(one, Purpose::Request, 10, "first");
        line.join(one, Purpose::Request, 10, "second");
        let gone = line.join(other, Purpose::Request, 10, "gone");
        line.join(other, Purpose::Request, 10, "other");
        assert!(line.has_before(one, Purpose::Request));
        assert!(!line.has_before(one, Purpose::Answer));
        line.join(one, Purpose::Answer, 10, "answer");
        line.leave(other, gone);
        assert_eq!(served(&mut line, 9), [""; 0]);
        assert_eq!(served(&mut line, 30), ["answer", "other", "first"]);
        assert!(!line.has_before(other, Purpose::Request));
        assert_eq!(served(&mut line, 30), ["second"]);
        assert!(line.clients.is_empty() && line.turns.is_empty());
    }

    #[test]
    fn one_who_wants_much_keeps_only_its_own_client_waiting() {
        let mut line = Line::default();
        line.join(client(1), Purpose::Request, 100, "much");
        line.join(client(1), Purpose::Request, 1, "behind it");
        line.join(client(2), Purpose::Request, 1, "little");
        assert_eq!(served(&mut line, 50), ["little"]);
        assert_eq!(served(&mut line, 101), ["much", "behind it"]);
    }

    #[test]
    fn few_are_looked_at_each_time_and_all_in_the_end() {
        let mut line = Line::default();
        for number in 0..100 {
            line.join(client(number), Purpose::Request, 100, "much");
        }
        line.join(client(1000), Purpose::Request, 1, "little");
        let mut looked_at = 0;
        let mut found = Vec::new();
        for _ in 0..4 {
            let take = |_, bytes| {
                looked_at += 1;
                bytes == 1
            };
            found.extend(line.advance(take));
        }
        assert_eq!(found.len(), 1);
        assert!(looked_at <= 5 * LOOKED_AT, "{looked_at}");
    }
}
