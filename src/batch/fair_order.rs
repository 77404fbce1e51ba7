//! The order in which the waiting sequences of one device run: fair between clients, and between the requests of each.
//!
//! Clients share the device, and a client's requests share its part, each by virtual time: the next sequence is the one
//! that a fluid in which all take part at once would finish first. So a request goes ahead of the rest of a long one,
//! and nobody's part shrinks by the size of what others send. Costs are tokens divided by the weight of the request's
//! priority, at both levels.
//!
//! First sequences are the exception: they count as equally long, so those of one weight run in the order in which they
//! arrive. Otherwise, as long as short requests keep coming, one of medium length would be overtaken by all of them. Those
//! of a client that had nothing waiting count next to nothing, so it waits for what runs, whatever the others' weights.
//!
//! Pure: no locks, clocks or models.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use super::backlog::{Backlog, Remaining};
use super::virtual_time::{Fluid, Virtual};
use crate::client::Client;
use crate::numbers::float;

/// The tokens that a first sequence counts as when its turn among its client's is decided. It is charged what it has.
const FIRST_TOKENS: f64 = 64.0;
/// The same among the clients, for a client that had nothing waiting. While many clients of a high weight share a device,
/// each is near its next turn, so a newcomer that counted more would wait for several of them. It can't gain by that: its
/// next turn is later by all that it is charged.
const NEWCOMER_TOKENS: f64 = 1.0;
/// The most tokens of a sequence, for estimates. ELECTRA's checkpoints have 512 positions.
const LONGEST_SEQUENCE: f64 = 512.0;

/// Identifies a request. Never reused in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// Where a sequence stands among those of its client. No two are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When the fluid of the client's requests finishes it.
    turn: Virtual,
    arrival: u64,
}

/// A waiting sequence that may join a batch.
#[derive(Debug)]
pub struct Candidate<'order, E> {
    pub client: Client,
    pub place: Place,
    pub item: &'order E,
}

/// Work that runs before a newcomer's, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ahead {
    /// Before its first sequence.
    pub of_first: f64,
    /// Before its last one, its own included.
    pub of_end: f64,
}

/// A request, before it is tokenised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub weight: f64,
    pub tokens: f64,
}

/// The waiting sequences `E` of models `M`.
#[derive(Debug)]
pub struct FairOrder<M, E> {
    clients: HashMap<Client, ClientQueue<M, E>>,
    fluid: Fluid<Client>,
    /// Clients with waiting sequences, by the turn of the first of them.
    next: BTreeSet<(Virtual, Client)>,
    /// The same clients, for each model for which they wait, by how far they are.
    of_model: BTreeMap<M, BTreeSet<(Virtual, Client)>>,
    backlog: Backlog,
    last_request: u64,
    last_arrival: u64,
    requests: usize,
    sequences: usize,
    tokens: usize,
}

/// The requests of one client.
#[derive(Debug)]
struct ClientQueue<M, E> {
    /// How far the client is in the device's virtual time.
    start: Virtual,
    /// Whether nothing has run since it began to wait.
    is_new: bool,
    /// Where its waiting sequences end, as the device's fluid knows it.
    end: Virtual,
    requests: HashMap<RequestId, RequestFlow>,
    /// Requests whose first sequence has not been taken, and the tokens of these.
    firsts: usize,
    first_tokens: f64,
    fluid: Fluid<RequestId>,
    /// No entry is empty.
    waiting: BTreeMap<M, BTreeMap<Place, Entry<E>>>,
    waiting_cost: Virtual,
    /// What its requests have left.
    backlog: Backlog,
    remaining: Remaining,
}

/// One request's part in its client's order.
#[derive(Debug)]
struct RequestFlow {
    weight: f64,
    /// The tokens of its first sequence, until that is taken.
    first: Option<f64>,
    /// Whether it has not brought a sequence yet.
    is_new: bool,
    /// The turn of its last sequence.
    turn: Virtual,
    end: Virtual,
    /// Estimated tokens that are yet to be pushed.
    expected: f64,
    waiting: f64,
}

#[derive(Debug)]
struct Entry<E> {
    request: RequestId,
    tokens: usize,
    weight: f64,
    /// Whether it is its request's first.
    is_first: bool,
    item: E,
}

impl<M, E> Default for FairOrder<M, E> {
    fn default() -> Self {
        Self {
            clients: HashMap::new(),
            fluid: Fluid::default(),
            next: BTreeSet::new(),
            of_model: BTreeMap::new(),
            backlog: Backlog::default(),
            last_request: 0,
            last_arrival: 0,
            requests: 0,
            sequences: 0,
            tokens: 0,
        }
    }
}

impl<M, E> ClientQueue<M, E> {
    fn new(start: Virtual) -> Self {
        Self {
            start,
            is_new: true,
            end: start,
            requests: HashMap::new(),
            firsts: 0,
            first_tokens: 0.0,
            fluid: Fluid::default(),
            waiting: BTreeMap::new(),
            waiting_cost: Virtual::ZERO,
            backlog: Backlog::default(),
            remaining: Remaining::default(),
        }
    }
}

impl<M: Copy + Ord, E> FairOrder<M, E> {
    /// Sequences that wait.
    #[cfg(test)]
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// Whether requests are registered, waiting or not.
    pub fn has_requests(&self) -> bool {
        self.requests > 0
    }

    /// Tokens that wait.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    pub fn is_empty(&self) -> bool {
        self.sequences == 0
    }

    /// The work that runs before that of a request which arrives now. An estimate: requests are grouped by size.
    pub fn ahead(&self, client: Client, estimate: Estimate) -> Ahead {
        let own = self.clients.get(&client);
        let is_newcomer = own.is_none_or(|own| own.waiting.is_empty());
        let before = |share: Virtual, of_client: f64| {
            // By then the client has been served this much, and every other client as much or all that it has.
            let served = share + Virtual::cost(of_client, 1.0);
            let of_all = self.backlog.tokens_within(served);
            let counted = own.map_or(0.0, |own| own.remaining.tokens.min(served.get()));
            of_client + (of_all - counted).max(0.0)
        };
        // First sequences of its client go ahead, though an urgent request overtakes many of them. All else runs as much
        // as the first sequence counts.
        let first = first_cost(estimate.weight);
        let firsts = own.map_or(0.0, |own| {
            let continuing = float(own.requests.len() - own.firsts);
            own.first_tokens / estimate.weight + continuing * first.get()
        });
        let all = Virtual::cost(estimate.tokens, estimate.weight);
        let of_client = own.map_or(0.0, |own| own.backlog.tokens_within(all));
        let share = if is_newcomer {
            newcomer_cost(estimate.weight)
        } else {
            first
        };
        Ahead {
            of_first: before(share, firsts),
            of_end: before(all, of_client.max(firsts)) + estimate.tokens,
        }
    }

    /// Registers a request, which is expected to bring this many tokens.
    pub fn enter(&mut self, client: Client, weight: f64, expected: f64) -> RequestId {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        let now = self.fluid.now();
        let queue = self.clients.entry(client);
        let queue = queue.or_insert_with(|| ClientQueue::new(now));
        let flow = RequestFlow {
            weight,
            first: None,
            is_new: true,
            turn: Virtual::ZERO,
            end: Virtual::ZERO,
            expected,
            waiting: 0.0,
        };
        queue.requests.insert(id, flow);
        self.requests += 1;
        queue.set_first(id, Some(expected.min(LONGEST_SEQUENCE)));
        self.recount(client, id, Remaining::default());
        id
    }

    /// Whether a request has brought no sequence yet.
    pub fn is_entering(&self, client: Client, request: RequestId) -> bool {
        let queue = self.clients.get(&client);
        let flow = queue.and_then(|queue| queue.requests.get(&request));
        flow.is_some_and(|flow| flow.is_new)
    }

    /// Forgets a request. What of it still waits must have been withdrawn. Returns whether it has brought no sequence.
    pub fn leave(&mut self, client: Client, request: RequestId) -> bool {
        let was_entering = self.is_entering(client, request);
        let Some(queue) = self.clients.get_mut(&client) else {
            return was_entering;
        };
        if let Some(flow) = queue.requests.get_mut(&request) {
            let before = flow.remaining();
            (flow.expected, flow.waiting) = (0.0, 0.0);
            self.recount(client, request, before);
        }
        if let Some(queue) = self.clients.get_mut(&client) {
            queue.set_first(request, None);
            if queue.requests.remove(&request).is_some() {
                self.requests -= 1;
            }
        }
        self.forget_if_done(client);
        was_entering
    }

    /// Adds sequences of a request, each with its tokens. `expected` is what they were expected to be. Returns their
    /// places.
    pub fn push(
        &mut self,
        client: Client,
        request: RequestId,
        model: M,
        expected: f64,
        sequences: impl IntoIterator<Item = (usize, E)>,
    ) -> Vec<Place> {
        self.unlink(client);
        let now = self.fluid.now();
        let mut places = Vec::new();
        let mut before = Remaining::default();
        if let Some(queue) = self.clients.get_mut(&client)
            && let Some(flow) = queue.requests.get_mut(&request)
        {
            before = flow.remaining();
            flow.expected = (flow.expected - expected).max(0.0);
            if queue.waiting.is_empty() {
                queue.start = queue.start.max(now);
                queue.is_new = true;
            }
            let waiting = queue.waiting.entry(model).or_default();
            let end_before = flow.end;
            let mut first = None;
            for (tokens, item) in sequences {
                let cost = Virtual::cost(float(tokens), flow.weight);
                self.last_arrival += 1;
                let start = flow.end.max(queue.fluid.now());
                flow.end = start + cost;
                let is_first = std::mem::take(&mut flow.is_new);
                let turn = if is_first {
                    first = Some(float(tokens));
                    start + first_cost(flow.weight)
                } else {
                    flow.end
                };
                // A request's sequences keep their order.
                flow.turn = flow.turn.max(turn);
                let place = Place {
                    turn: flow.turn,
                    arrival: self.last_arrival,
                };
                let entry = Entry {
                    request,
                    tokens,
                    weight: flow.weight,
                    is_first,
                    item,
                };
                waiting.insert(place, entry);
                places.push(place);
                flow.waiting += float(tokens);
                queue.waiting_cost += cost;
                self.sequences += 1;
                self.tokens += tokens;
            }
            queue.fluid.set_end(request, end_before, flow.end);
            if waiting.is_empty() {
                queue.waiting.remove(&model);
            }
            if first.is_some() {
                queue.set_first(request, first);
            }
        }
        self.move_end(client);
        self.recount(client, request, before);
        self.link(client);
        places
    }

    /// Removes sequences of a client that still wait at these places.
    pub fn withdraw(&mut self, client: Client, model: M, places: &[Place]) -> Vec<E> {
        self.unlink(client);
        let removed = places
            .iter()
            .filter_map(|place| {
                let entry = self.remove(client, model, *place)?;
                let queue = self.clients.get_mut(&client)?;
                if let Some(flow) = queue.requests.get_mut(&entry.request) {
                    let end = flow.end - entry.cost();
                    queue.fluid.set_end(entry.request, flow.end, end);
                    flow.end = end;
                }
                Some(entry.item)
            })
            .collect();
        self.move_end(client);
        self.link(client);
        self.catch_up(Vec::new());
        removed
    }

    /// The model whose turn it is.
    pub fn next_model(&self) -> Option<M> {
        let (_, client) = self.next.first()?;
        Some(self.clients.get(client)?.first()?.0)
    }

    /// The next sequences of the model whose turn it is: first the one whose turn it is, then at most `most` in all, about
    /// in the order of their turns.
    pub fn candidates(&self, model: M, most: usize) -> Vec<Candidate<'_, E>> {
        let seed = self.next.first().map(|(_, client)| *client);
        let others = self.of_model.get(&model).into_iter().flatten();
        let others = others.map(|(_, client)| *client);
        let clients = seed
            .into_iter()
            .chain(others.filter(|client| Some(*client) != seed))
            .take(most);
        // Merges the clients' orders. A heap entry is a client's next sequence, by its turn.
        let mut heads = BinaryHeap::new();
        let mut sources = Vec::new();
        for client in clients {
            let Some(queue) = self.clients.get(&client) else {
                continue;
            };
            let Some(waiting) = queue.waiting.get(&model) else {
                continue;
            };
            let mut entries = waiting.iter();
            if let Some(first) = entries.next() {
                let turn = queue.turn(first.1);
                // The seed's client goes first, also if it waits for several models.
                let after = Some(client) != seed;
                heads.push(Reverse((after, turn, sources.len())));
                sources.push((client, first, entries));
            }
        }
        let mut candidates = Vec::with_capacity(most.min(self.sequences));
        while candidates.len() < most
            && let Some(Reverse((_, turn, source))) = heads.pop()
        {
            let (client, (place, entry), entries) = &mut sources[source];
            candidates.push(Candidate {
                client: *client,
                place: **place,
                item: &entry.item,
            });
            if let Some(next) = entries.next() {
                heads.push(Reverse((true, turn + next.1.cost(), source)));
                sources[source].1 = next;
            }
        }
        candidates
    }

    /// Takes sequences to run them, and charges them to their clients and requests.
    pub fn take(&mut self, model: M, places: &[(Client, Place)]) -> Vec<E> {
        let clients: BTreeSet<Client> = places.iter().map(|(client, _)| *client).collect();
        for client in &clients {
            self.unlink(*client);
        }
        let mut served = Virtual::ZERO;
        let mut items = Vec::with_capacity(places.len());
        for (client, place) in places {
            let Some(entry) = self.remove(*client, model, *place) else {
                continue;
            };
            served += entry.cost();
            if let Some(queue) = self.clients.get_mut(client) {
                queue.start += entry.cost();
                queue.is_new = false;
                queue.fluid.serve(entry.cost());
            }
            items.push(entry.item);
        }
        for client in clients {
            self.link(client);
        }
        let ended = self.fluid.serve(served);
        self.catch_up(ended);
        items
    }

    /// Forgets clients that the fluid has finished. Once nothing waits, it has finished all.
    fn catch_up(&mut self, mut ended: Vec<Client>) {
        if self.is_empty() {
            ended.extend(self.fluid.finish());
        }
        for client in ended {
            self.forget_if_done(client);
        }
    }

    /// Removes an entry from its client's order. The caller unlinks and links the client.
    fn remove(&mut self, client: Client, model: M, place: Place) -> Option<Entry<E>> {
        let queue = self.clients.get_mut(&client)?;
        let waiting = queue.waiting.get_mut(&model)?;
        let entry = waiting.remove(&place)?;
        if waiting.is_empty() {
            queue.waiting.remove(&model);
        }
        queue.waiting_cost = queue.waiting_cost - entry.cost();
        if queue.waiting.is_empty() {
            // Rounding errors end here.
            queue.waiting_cost = Virtual::ZERO;
            queue.fluid.finish();
        }
        self.sequences -= 1;
        self.tokens -= entry.tokens;
        let request = entry.request;
        if entry.is_first {
            queue.set_first(request, None);
        }
        if let Some(flow) = queue.requests.get_mut(&request) {
            let before = flow.remaining();
            flow.waiting = (flow.waiting - float(entry.tokens)).max(0.0);
            self.recount(client, request, before);
        }
        Some(entry)
    }

    /// Counts what a request has left, in place of what it had `before`.
    fn recount(&mut self, client: Client, request: RequestId, before: Remaining) {
        let Some(queue) = self.clients.get_mut(&client) else {
            return;
        };
        let Some(flow) = queue.requests.get(&request) else {
            return;
        };
        let now = flow.remaining();
        queue.backlog.replace(before, now);
        let of_client = queue.remaining;
        queue.remaining = Remaining {
            tokens: (of_client.tokens + now.tokens - before.tokens).max(0.0),
            cost: of_client.cost + now.cost - before.cost,
        };
        self.backlog.replace(of_client, queue.remaining);
    }

    /// Tells the device's fluid where the client's work ends now.
    fn move_end(&mut self, client: Client) {
        if let Some(queue) = self.clients.get_mut(&client) {
            let end = queue.start + queue.waiting_cost;
            self.fluid.set_end(client, queue.end, end);
            queue.end = end;
        }
    }

    fn unlink(&mut self, client: Client) {
        let Some(queue) = self.clients.get(&client) else {
            return;
        };
        if let Some((_, turn)) = queue.first() {
            self.next.remove(&(turn, client));
        }
        for model in queue.waiting.keys() {
            if let Some(clients) = self.of_model.get_mut(model) {
                clients.remove(&(queue.start, client));
                if clients.is_empty() {
                    self.of_model.remove(model);
                }
            }
        }
    }

    fn link(&mut self, client: Client) {
        let Some(queue) = self.clients.get(&client) else {
            return;
        };
        if let Some((_, turn)) = queue.first() {
            self.next.insert((turn, client));
        }
        for model in queue.waiting.keys() {
            let clients = self.of_model.entry(*model).or_default();
            clients.insert((queue.start, client));
        }
    }

    /// Forgets a client that has no requests, unless it is ahead of the others: then it is remembered until they have
    /// caught up.
    fn forget_if_done(&mut self, client: Client) {
        let is_done = self.clients.get(&client).is_some_and(|queue| {
            queue.requests.is_empty() && queue.waiting.is_empty() && queue.end <= self.fluid.now()
        });
        if is_done && let Some(queue) = self.clients.remove(&client) {
            // Rounding errors end here.
            self.backlog.replace(queue.remaining, Remaining::default());
        }
    }

    /// Clients that are known: they have requests, or had some a moment ago.
    #[cfg(test)]
    pub fn known_clients(&self) -> usize {
        self.clients.len()
    }
}

impl<M: Copy + Ord, E> ClientQueue<M, E> {
    /// Sets the tokens of a request's first sequence, or that it has been taken.
    fn set_first(&mut self, request: RequestId, first: Option<f64>) {
        let Some(flow) = self.requests.get_mut(&request) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut flow.first, first) {
            self.firsts -= 1;
            self.first_tokens -= before;
        }
        if let Some(tokens) = first {
            self.firsts += 1;
            self.first_tokens += tokens;
        }
        if self.firsts == 0 {
            // Rounding errors end here.
            self.first_tokens = 0.0;
        }
    }

    /// The model of the client's next sequence, and its turn among the clients.
    fn first(&self) -> Option<(M, Virtual)> {
        let firsts = self.waiting.iter().filter_map(|(model, waiting)| {
            let (place, entry) = waiting.first_key_value()?;
            Some((*place, *model, self.turn(entry)))
        });
        let (_, model, turn) = firsts.min_by_key(|(place, ..)| *place)?;
        Some((model, turn))
    }

    /// The turn of the client's next sequence among the clients. The next part of a request that ran dry is no first
    /// sequence: else, many of an urgent flood would go ahead of a newcomer.
    fn turn(&self, next: &Entry<E>) -> Virtual {
        self.start
            + if self.is_new && next.is_first {
                newcomer_cost(next.weight)
            } else {
                next.cost()
            }
    }
}

impl<E> Entry<E> {
    fn cost(&self) -> Virtual {
        Virtual::cost(float(self.tokens), self.weight)
    }
}

/// What a first sequence counts as when its turn among its client's is decided.
fn first_cost(weight: f64) -> Virtual {
    Virtual::cost(FIRST_TOKENS, weight)
}

/// The same for a client that had nothing waiting.
fn newcomer_cost(weight: f64) -> Virtual {
    Virtual::cost(NEWCOMER_TOKENS, weight)
}

impl RequestFlow {
    fn remaining(&self) -> Remaining {
        let tokens = self.expected + self.waiting;
        Remaining {
            tokens,
            cost: Virtual::cost(tokens, self.weight),
        }
    }
}

#[cfg(test)]
mod tests;
