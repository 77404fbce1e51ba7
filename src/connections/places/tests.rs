//! Tests of [`super`]: connections that come, work, wait and go in any order.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::Standing::{Busy, Quiet, Waiting};
use super::*;

fn client(number: u8) -> Client {
    Client::V4(Ipv4Addr::new(10, 0, 0, number))
}

/// A connection whose number identifies it.
type Numbered = (usize, Standing);

/// Opens connections of a client, of which each has its place in the list as its number.
fn open(places: &mut Places<Numbered>, number: u8, standings: &[Standing]) -> Vec<PlaceId> {
    let connections = standings.iter().copied().enumerate();
    let taken = connections.map(|connection| places.take(client(number), connection).unwrap());
    taken.collect()
}

/// Places of which a client holds all.
fn full(standings: &[Standing]) -> (Places<Numbered>, Vec<PlaceId>) {
    let mut places = Places::new(standings.len());
    let held = open(&mut places, 1, standings);
    (places, held)
}

/// The connection that gives way to one of this client, and how many were looked at.
fn looked_at(places: &mut Places<Numbered>, number: u8) -> (Option<(Client, usize)>, usize) {
    let looks = Cell::new(0);
    let found = places.displace_for(client(number), |(_, standing)| {
        looks.set(looks.get() + 1);
        *standing
    });
    let found = found.map(|displaced| (displaced.client, displaced.connection.0));
    (found, looks.get())
}

/// The connection that gives way to one of this client.
fn displaced(places: &mut Places<Numbered>, number: u8) -> Option<usize> {
    let (found, _) = looked_at(places, number);
    found.map(|(_, connection)| connection)
}

#[test]
fn the_oldest_quiet_connection_gives_way_first_and_then_those_that_wait() {
    let (mut places, _) = full(&[Busy, Waiting, Quiet, Busy, Quiet, Waiting, Quiet]);
    for quiet in [2, 4, 6] {
        assert_eq!(displaced(&mut places, 2), Some(quiet));
    }
    let mut waiting = [1, 5].map(|_| displaced(&mut places, 2));
    waiting.sort_unstable();
    assert_eq!(waiting, [Some(1), Some(5)]);
    // The server works for the others.
    assert_eq!(displaced(&mut places, 2), None);
}

#[test]
fn a_newcomer_looks_at_few_connections_and_the_next_one_at_others() {
    const SHARE: usize = LOOKS / 2;
    for quiet in [0, 1, SHARE - 1, SHARE, 3 * SHARE - 1, 4 * SHARE - 1] {
        let mut standings = [Busy; 4 * SHARE];
        standings[quiet] = Quiet;
        let (mut places, _) = full(&standings);
        for _ in 0..quiet / SHARE {
            assert_eq!(looked_at(&mut places, 2), (None, SHARE));
        }
        let found = Some((client(1), quiet));
        assert_eq!(looked_at(&mut places, 2), (found, quiet % SHARE + 1));
    }
}

#[test]
fn busy_connections_of_one_client_do_not_protect_those_of_others() {
    let mut places = Places::new(9 * LOOKS);
    open(&mut places, 1, &[Busy; 4 * LOOKS]);
    open(&mut places, 2, &[Busy; 3 * LOOKS]);
    open(&mut places, 3, &[Quiet; 2 * LOOKS]);
    for quiet in 0..3 {
        let found = Some((client(3), quiet));
        assert_eq!(looked_at(&mut places, 4), (found, LOOKS * 3 / 4 + 1));
    }
    let mut places = Places::new(4 * LOOKS);
    for number in 5..100 {
        open(&mut places, number, &[Busy; 2]);
    }
    assert_eq!(looked_at(&mut places, 4), (None, LOOKS));
}

#[test]
fn nobody_gives_way_to_a_client_that_holds_as_many_or_one_fewer() {
    let mut places = Places::new(5);
    open(&mut places, 1, &[Quiet; 3]);
    open(&mut places, 2, &[Quiet; 2]);
    assert!(places.take(client(3), (0, Quiet)).is_err());
    assert_eq!(displaced(&mut places, 1), None);
    assert_eq!(displaced(&mut places, 2), None);
    let one = places.displace_for(client(3), |(_, standing)| *standing);
    let one = one.unwrap();
    assert_eq!((one.client, one.left), (client(1), 2));
    places.take(client(3), (0, Quiet)).unwrap();
    assert_eq!(displaced(&mut places, 3), None);
}

#[test]
fn few_leave_at_a_time() {
    let (mut places, held) = full(&[Quiet; 3 * MOST_LEAVING]);
    for _ in 0..MOST_LEAVING {
        assert!(displaced(&mut places, 2).is_some());
    }
    assert_eq!(displaced(&mut places, 2), None);
    places.release(held[0]);
    assert!(displaced(&mut places, 2).is_some());
}

#[test]
fn a_connection_counts_for_whom_it_turns_out_to_be() {
    let (mut places, held) = full(&[Busy, Quiet, Quiet, Quiet]);
    for place in &held[..3] {
        places.belongs_to(*place, client(2));
    }
    assert_eq!(displaced(&mut places, 1), Some(1));
    assert_eq!(displaced(&mut places, 3), Some(2));
    assert_eq!(displaced(&mut places, 3), None);
}

#[derive(Clone, Debug)]
enum Step {
    Open(u8),
    /// The rest choose one of the open connections.
    Release(usize),
    Turn(usize, Standing),
    Tell(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let standing = prop_oneof![Just(Quiet), Just(Waiting), Just(Busy)];
    prop_oneof![
        6 => (1..5_u8).prop_map(Step::Open),
        2 => any::<usize>().prop_map(Step::Release),
        6 => (any::<usize>(), standing).prop_map(|(index, standing)| Step::Turn(index, standing)),
        1 => (any::<usize>(), 1..5_u8).prop_map(|(index, client)| Step::Tell(index, client)),
    ]
}

/// A connection as the test knows it.
struct Known {
    place: PlaceId,
    number: usize,
    client: u8,
    standing: Standing,
}

/// Of which client a connection is to give way to one of `newcomer`, and what it waits for, found by looking at all.
fn expected(known: &[Known], newcomer: u8) -> Option<(u8, Standing)> {
    let mut counts = BTreeMap::<u8, usize>::new();
    for connection in known {
        *counts.entry(connection.client).or_default() += 1;
    }
    let own = counts.get(&newcomer).copied().unwrap_or_default();
    let may = known
        .iter()
        .filter(|connection| connection.standing != Busy && counts[&connection.client] >= own + 2);
    let first = may.max_by_key(|connection| {
        let is_quiet = connection.standing == Quiet;
        (counts[&connection.client], connection.client, is_quiet)
    })?;
    Some((first.client, first.standing))
}

proptest! {
    #[test]
    fn places_are_never_exceeded_and_the_right_one_gives_way(
        most in 1_usize..12, steps in vec(step(), 0..150),
    ) {
        let mut places = Places::new(most);
        let mut known: Vec<Known> = Vec::new();
        let mut opened = 0;
        for step in steps {
            let open = known.len().max(1);
            let at = |index: usize| index % open;
            match step {
                Step::Open(newcomer) => {
                    opened += 1;
                    let mut taken = places.take(client(newcomer), opened);
                    if taken.is_err() {
                        prop_assert_eq!(known.len(), most);
                        let expected = expected(&known, newcomer);
                        let found = places.displace_for(client(newcomer), |number| {
                            known.iter().find(|one| one.number == *number).unwrap().standing
                        });
                        let found = found.map(|found| found.connection);
                        let index = known.iter().position(|one| Some(one.number) == found);
                        let found = index.map(|index| known.remove(index));
                        let seen = found.as_ref().map(|one| (one.client, one.standing));
                        prop_assert_eq!(seen, expected);
                        let Some(found) = found else { continue };
                        places.release(found.place);
                        taken = places.take(client(newcomer), opened);
                    }
                    let place = taken.unwrap();
                    let number = opened;
                    known.push(Known { place, number, client: newcomer, standing: Quiet });
                }
                _ if known.is_empty() => {}
                Step::Release(index) => places.release(known.remove(at(index)).place),
                Step::Turn(index, standing) => known[at(index)].standing = standing,
                Step::Tell(index, number) => {
                    let one = &mut known[at(index)];
                    one.client = number;
                    places.belongs_to(one.place, client(number));
                }
            }
            prop_assert!(known.len() <= most);
            prop_assert_eq!(places.leaving, 0);
        }
        for one in known {
            places.release(one.place);
        }
        prop_assert!(places.held.is_empty() && places.clients.is_empty());
        prop_assert!(places.by_number.is_empty());
    }
}
