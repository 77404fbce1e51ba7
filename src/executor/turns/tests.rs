//! Tests of [`super`]: arrivals, ends and cancellations in any order.

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn client(number: u16) -> Client {
    Client::V4(Ipv4Addr::from_bits(number.into()))
}

/// Enters `count` pieces of a client, each with the client's number as the item.
fn enter(turns: &mut Turns<u16>, number: u16, count: usize, milliseconds: u32) -> Vec<Place> {
    let cost = MILLISECOND * milliseconds;
    (0..count)
        .map(|_| turns.enter(client(number), cost, number))
        .collect()
}

/// Takes the one slot, and frees it.
fn next(turns: &mut Turns<u16>) -> Option<u16> {
    let taken = turns.take();
    assert_eq!(turns.take(), None, "there is one slot");
    if taken.is_some() {
        turns.free();
    }
    taken
}

#[test]
fn a_newcomer_waits_for_one_turn_of_each_other_client() {
    let mut turns = Turns::new(1);
    for number in 1..=3 {
        enter(&mut turns, number, 1000, 1);
    }
    for _ in 0..100 {
        next(&mut turns);
    }
    enter(&mut turns, 4, 1, 50);
    let before: Vec<_> = std::iter::from_fn(|| next(&mut turns))
        .take_while(|number| *number != 4)
        .collect();
    assert!(before.len() <= 3, "{before:?}");
    for number in 1..=3 {
        let turns = before.iter().filter(|taken| **taken == number).count();
        assert!(turns <= 1, "{before:?}");
    }
}

#[test]
fn clients_share_by_cost_and_not_by_number() {
    let mut turns = Turns::new(1);
    enter(&mut turns, 1, 1000, 10);
    enter(&mut turns, 2, 1000, 1);
    let taken: Vec<_> = (0..110).filter_map(|_| next(&mut turns)).collect();
    let large = taken.iter().filter(|number| **number == 1).count();
    assert!((9..=11).contains(&large), "{large}");
}

#[test]
fn a_client_that_comes_back_has_not_waited_for_free() {
    // Each has one piece at a time, and one of them longer pieces.
    let mut turns = Turns::new(1);
    enter(&mut turns, 1, 1, 10);
    enter(&mut turns, 2, 1, 1);
    let mut taken = [0; 3];
    for _ in 0..110 {
        let number = turns.take().unwrap();
        taken[usize::from(number)] += 1;
        enter(&mut turns, number, 1, if number == 1 { 10 } else { 1 });
        turns.free();
    }
    assert!((9..=11).contains(&taken[1]), "{taken:?}");
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut turns = Turns::new(1);
    let all = u32::try_from(3 * REMEMBERED).unwrap();
    for number in 0..all {
        let client = Client::V4(Ipv4Addr::from_bits(number));
        turns.enter(client, MILLISECOND * (1 + number), 0);
    }
    for number in 1..=all {
        turns.take().unwrap();
        turns.free();
        assert!(turns.idle.len() <= REMEMBERED);
        assert_eq!(turns.clients.len(), turns.idle.len() + turns.waiting.len());
        assert!(u32::try_from(turns.waiting.len()).unwrap() == all - number);
    }
    assert_eq!(turns.take(), None);
    assert!(turns.clients.is_empty() && turns.idle.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Enter {
        client: u16,
        cost: u32,
        count: usize,
    },
    Take,
    Free,
    /// Of those that wait, the one at this index, modulo their number.
    Leave(usize),
    /// A client goes, with all that it waits for.
    LeaveAll(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let enter = |counts| {
        (1..6_u16, 1..100_u32, counts).prop_map(|(client, cost, count)| Step::Enter {
            client,
            cost,
            count,
        })
    };
    prop_oneof![
        4 => enter(1..3_usize),
        1 => enter(5..30_usize),
        12 => Just(Step::Take),
        12 => Just(Step::Free),
        2 => any::<usize>().prop_map(Step::Leave),
        1 => (1..6_u16).prop_map(Step::LeaveAll),
    ]
}

/// What the order should do, kept beside it.
struct Checked {
    turns: Turns<usize>,
    slots: usize,
    taken: usize,
    last: usize,
    /// All that waits, in the order in which it came: number, client, cost, place.
    waiting: Vec<(usize, u16, u32, Place)>,
    /// For each pair of clients, what each was given since both wait, and the largest cost of each.
    pairs: BTreeMap<(u16, u16), [u32; 2]>,
    largest: [u32; 6],
    /// Clients that wait for their first turn since nobody waited: the turns of others before.
    newcomers: BTreeMap<u16, [usize; 6]>,
    known: [bool; 6],
}

impl Checked {
    fn new(slots: usize) -> Self {
        Self {
            turns: Turns::new(slots),
            slots,
            taken: 0,
            last: 0,
            waiting: Vec::new(),
            pairs: BTreeMap::new(),
            largest: [0; 6],
            newcomers: BTreeMap::new(),
            known: [false; 6],
        }
    }

    fn waits(&self, client: u16) -> bool {
        self.waiting.iter().any(|(_, other, ..)| *other == client)
    }

    /// Forgets what was counted of clients that do not wait, and begins to count for those that do.
    fn look(&mut self) {
        for (one, other) in (1..6).flat_map(|one| (1..one).map(move |other| (one, other))) {
            if self.waits(one) && self.waits(other) {
                self.pairs.entry((one, other)).or_default();
            } else {
                self.pairs.remove(&(one, other));
            }
        }
        let gone: Vec<_> = (1..6).filter(|client| !self.waits(*client)).collect();
        for client in gone {
            self.newcomers.remove(&client);
        }
    }

    fn enter(&mut self, number: u16, cost: u32) {
        self.last += 1;
        let place = self
            .turns
            .enter(client(number), MILLISECOND * cost, self.last);
        self.waiting.push((self.last, number, cost, place));
        self.largest[usize::from(number)] = self.largest[usize::from(number)].max(cost);
        if !std::mem::replace(&mut self.known[usize::from(number)], true) {
            self.newcomers.insert(number, [0; 6]);
        }
        self.look();
    }

    fn take(&mut self) {
        let taken = self.turns.take();
        if self.taken == self.slots {
            assert_eq!(taken, None, "no slot is free");
            return;
        }
        let Some(item) = taken else {
            assert!(self.waiting.is_empty(), "a slot is free, and work waits");
            self.known = [false; 6];
            return;
        };
        self.taken += 1;
        let index = self.waiting.iter().position(|(other, ..)| *other == item);
        let (_, client, cost, _) = self.waiting[index.expect("it waits, and is taken once")];
        let first = self.waiting.iter().find(|(_, other, ..)| *other == client);
        assert_eq!(first.unwrap().0, item, "a client's first comes first");
        self.waiting.remove(index.unwrap());
        for ((one, other), given) in &mut self.pairs {
            if client == *one || client == *other {
                given[usize::from(client == *other)] += cost;
                let most = self.largest[usize::from(*one)] + self.largest[usize::from(*other)];
                assert!(given[0].abs_diff(given[1]) <= most, "{one} {other}");
            }
        }
        self.newcomers.remove(&client);
        for (newcomer, turns) in &mut self.newcomers {
            turns[usize::from(client)] += 1;
            assert!(turns[usize::from(client)] <= 1, "{newcomer} waits");
        }
        self.look();
    }

    fn free(&mut self) {
        if self.taken > 0 {
            self.taken -= 1;
            self.turns.free();
        }
    }

    fn leave(&mut self, index: usize) {
        let (_, _, _, place) = self.waiting.remove(index);
        self.turns.leave(place);
        // A second time, or too late, it does nothing.
        self.turns.leave(place);
        self.look();
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Enter {
                client,
                cost,
                count,
            } => (0..count).for_each(|_| self.enter(client, cost)),
            Step::Take => self.take(),
            Step::Free => self.free(),
            Step::Leave(_) if self.waiting.is_empty() => {}
            Step::Leave(index) => self.leave(index % self.waiting.len()),
            Step::LeaveAll(client) => {
                while let Some(index) = self.waiting.iter().position(|work| work.1 == client) {
                    self.leave(index);
                }
            }
        }
    }

    /// Lets all that waits run.
    fn drain(&mut self) {
        while !self.waiting.is_empty() {
            self.free();
            self.take();
        }
        for _ in 0..self.slots {
            self.free();
        }
        self.take();
        assert_eq!(self.turns.free, self.slots);
        assert!(self.turns.clients.is_empty() && self.turns.idle.is_empty());
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_or_taken_twice_and_clients_get_equal_shares(
        slots in 1_usize..4, steps in vec(step(), 0..200),
    ) {
        let mut checked = Checked::new(slots);
        for step in steps {
            checked.run(&step);
        }
        checked.drain();
    }
}
