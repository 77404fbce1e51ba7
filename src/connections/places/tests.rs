//! Tests of [`super`]: connections that come, work, wait and go in any order.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn client(number: u8) -> Client {
    Client::V4(Ipv4Addr::new(10, 0, 0, number))
}

/// Places of which a client holds all.
fn full(most: usize) -> (Places<usize>, Vec<PlaceId>) {
    let mut places = Places::new(most);
    let held = (0..most).map(|number| places.take(client(1), number).unwrap());
    let held = held.collect();
    (places, held)
}

/// The connection that gives way to one of this client.
fn displaced(places: &mut Places<usize>, number: u8) -> Option<usize> {
    places
        .displace_for(client(number))
        .map(|displaced| displaced.end)
}

#[test]
fn the_oldest_quiet_connection_gives_way_first_and_then_those_that_wait() {
    let (mut places, held) = full(6);
    places.start_request(held[0]);
    places.start_request(held[1]);
    places.start_request(held[2]);
    places.set_waiting(held[2], true);
    places.start_request(held[3]);
    places.end_request(held[3]);
    assert_eq!(displaced(&mut places, 2), Some(3));
    assert_eq!(displaced(&mut places, 2), Some(4));
    assert_eq!(displaced(&mut places, 2), Some(5));
    assert_eq!(displaced(&mut places, 2), Some(2));
    // The server works for the others.
    assert_eq!(displaced(&mut places, 2), None);
}

#[test]
fn a_request_that_goes_on_waits_no_longer() {
    let (mut places, held) = full(2);
    for place in &held {
        places.start_request(*place);
        places.set_waiting(*place, true);
    }
    places.set_waiting(held[0], false);
    // Another request on the same connection.
    places.start_request(held[1]);
    assert_eq!(displaced(&mut places, 2), None);
    places.end_request(held[1]);
    assert_eq!(displaced(&mut places, 2), None);
    places.end_request(held[1]);
    assert_eq!(displaced(&mut places, 2), Some(1));
}

#[test]
fn nobody_gives_way_to_a_client_that_holds_as_many_or_one_fewer() {
    let mut places = Places::new(5);
    for (number, count) in [(1, 3), (2, 2)] {
        for _ in 0..count {
            places.take(client(number), 0).unwrap();
        }
    }
    assert_eq!(places.take(client(3), 0), Err(0));
    assert_eq!(displaced(&mut places, 1), None);
    assert_eq!(displaced(&mut places, 2), None);
    let one = places.displace_for(client(3)).unwrap();
    assert_eq!((one.client, one.left), (client(1), 2));
    places.take(client(3), 0).unwrap();
    assert_eq!(displaced(&mut places, 3), None);
}

#[test]
fn few_leave_at_a_time() {
    let (mut places, held) = full(3 * MOST_LEAVING);
    for _ in 0..MOST_LEAVING {
        assert!(displaced(&mut places, 2).is_some());
    }
    assert_eq!(displaced(&mut places, 2), None);
    places.release(held[0]);
    assert!(displaced(&mut places, 2).is_some());
}

#[test]
fn a_connection_counts_for_whom_it_turns_out_to_be() {
    let (mut places, held) = full(4);
    places.start_request(held[0]);
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
    Start(usize),
    End(usize),
    Wait(usize, bool),
    Tell(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5_u8).prop_map(Step::Open),
        2 => any::<usize>().prop_map(Step::Release),
        4 => any::<usize>().prop_map(Step::Start),
        4 => any::<usize>().prop_map(Step::End),
        2 => any::<(usize, bool)>().prop_map(|(index, waits)| Step::Wait(index, waits)),
        1 => (any::<usize>(), 1..5_u8).prop_map(|(index, client)| Step::Tell(index, client)),
    ]
}

/// A connection as the test knows it.
struct Known {
    place: PlaceId,
    number: usize,
    client: u8,
    requests: usize,
    waits: bool,
}

impl Known {
    fn standing(&self) -> Standing {
        match (self.requests, self.waits) {
            (0, _) => Standing::Quiet,
            (_, true) => Standing::Waiting,
            (_, false) => Standing::Busy,
        }
    }
}

/// The connection that is to give way to one of `newcomer`, found by looking at all.
fn expected(known: &[Known], newcomer: u8) -> Option<usize> {
    let mut counts = BTreeMap::<u8, usize>::new();
    for connection in known {
        *counts.entry(connection.client).or_default() += 1;
    }
    let own = counts.get(&newcomer).copied().unwrap_or_default();
    let may = known
        .iter()
        .filter(|connection| connection.standing() != Standing::Busy);
    let first = may.max_by_key(|connection| {
        let order = (connection.standing(), connection.place);
        let count = counts[&connection.client];
        (count, connection.client, std::cmp::Reverse(order))
    })?;
    (counts[&first.client] >= own + 2).then_some(first.number)
}

proptest! {
    #[test]
    fn places_are_never_exceeded_and_the_right_one_gives_way(
        most in 1_usize..8, steps in vec(step(), 0..100),
    ) {
        let mut places = Places::new(most);
        let mut known: Vec<Known> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let open = known.len().max(1);
            let at = |index: usize| index % open;
            match step {
                Step::Open(newcomer) => {
                    if places.take(client(newcomer), number).is_err() {
                        prop_assert_eq!(known.len(), most);
                        let found = displaced(&mut places, newcomer);
                        prop_assert_eq!(found, expected(&known, newcomer));
                        let Some(found) = found else { continue };
                        let index = known.iter().position(|one| one.number == found).unwrap();
                        places.release(known.remove(index).place);
                        prop_assert!(places.take(client(newcomer), number).is_ok());
                    }
                    let place = PlaceId(places.last);
                    known.push(Known { place, number, client: newcomer, requests: 0, waits: false });
                }
                _ if known.is_empty() => {}
                Step::Release(index) => places.release(known.remove(at(index)).place),
                Step::Start(index) => {
                    let index = at(index);
                    (known[index].requests, known[index].waits) = (known[index].requests + 1, false);
                    places.start_request(known[index].place);
                }
                Step::End(index) => {
                    let one = &mut known[at(index)];
                    if one.requests > 0 {
                        one.requests -= 1;
                        places.end_request(one.place);
                    }
                }
                Step::Wait(index, waits) => {
                    let one = &mut known[at(index)];
                    one.waits = waits;
                    places.set_waiting(one.place, waits);
                }
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
        prop_assert!(places.yielding.is_empty());
    }
}
