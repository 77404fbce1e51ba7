//! Tests of [`super`]: arrivals, batches and withdrawals in any order.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::batch::policy;

type Order = FairOrder<u8, u64>;

fn client(number: u8) -> Client {
    Client::V4(Ipv4Addr::new(10, 0, 0, number))
}

/// Pushes `count` sequences of a new request, each of `tokens` tokens. Items are the tokens.
fn push(order: &mut Order, number: u8, weight: f64, count: usize, tokens: u64) -> RequestId {
    let request = order.enter(client(number), weight, 0.0);
    add(order, number, request, count, tokens);
    request
}

fn add(order: &mut Order, number: u8, request: RequestId, count: usize, tokens: u64) {
    let length = usize::try_from(tokens).unwrap();
    let sequences = std::iter::repeat_n((length, tokens), count);
    order.push(client(number), request, 0, 0.0, sequences);
}

/// Takes the next sequence and returns its client and item.
fn next(order: &mut Order) -> Option<(Client, u64)> {
    let model = order.next_model()?;
    let (client, place) = {
        let first = &order.candidates(model, 1)[0];
        (first.client, first.place)
    };
    let taken = order.take(model, &[(client, place)]);
    Some((client, taken[0]))
}

/// The tokens that each client gets of the next `tokens`.
fn parts(order: &mut Order, tokens: u64) -> HashMap<Client, u64> {
    let mut parts = HashMap::new();
    let mut total = 0;
    while total < tokens {
        let (client, item) = next(order).expect("enough waits");
        *parts.entry(client).or_default() += item;
        total += item;
    }
    parts
}

#[test]
fn a_short_request_goes_ahead_of_the_rest_of_a_long_one() {
    // Of another client, and of the same.
    for newcomer in [2, 1] {
        let mut order = Order::default();
        push(&mut order, 1, 1.0, 1000, 512);
        assert_eq!(parts(&mut order, 5120).len(), 1);
        push(&mut order, newcomer, 1.0, 1, 20);
        assert_eq!(next(&mut order), Some((client(newcomer), 20)));
    }
}

#[test]
fn a_short_request_waits_for_few_of_many_long_ones() {
    // Also of urgent ones.
    for (clients, weight) in [(8, 1.0), (8, 4.0), (64, 4.0)] {
        let mut order = Order::default();
        for number in 1..=clients {
            push(&mut order, number, weight, 1000, 512);
        }
        // None is a newcomer any more.
        parts(&mut order, 512 * u64::from(clients));
        let mut waits = Vec::new();
        for round in 0..200 {
            // So much that the newcomer keeps within its part.
            parts(&mut order, 512 * (1 + round % 5) * u64::from(clients) / 8);
            push(&mut order, 100, 1.0, 1, 20);
            let next = || next(&mut order);
            let before = std::iter::from_fn(next).take_while(|(_, item)| *item != 20);
            waits.push(before.count());
        }
        waits.sort_unstable();
        assert!(waits[198] <= 1, "{clients} {weight}: {waits:?}");
    }
}

#[test]
fn clients_have_equal_parts_whatever_the_number_of_their_requests() {
    let mut order = Order::default();
    push(&mut order, 1, 1.0, 1000, 100);
    for _ in 0..50 {
        push(&mut order, 2, 1.0, 100, 100);
    }
    let parts = parts(&mut order, 20_000);
    assert!(
        parts[&client(1)].abs_diff(parts[&client(2)]) <= 200,
        "{parts:?}"
    );
}

#[test]
fn priorities_are_weights_within_a_client_and_between_clients() {
    for other in [1, 2] {
        let mut order = Order::default();
        let urgent = push(&mut order, 1, 4.0, 4000, 10);
        add(&mut order, 1, urgent, 4000, 10);
        push(&mut order, other, 0.25, 4000, 11);
        let mut parts = HashMap::new();
        for _ in 0..3400 {
            let (_, item) = next(&mut order).unwrap();
            *parts.entry(item).or_insert(0) += item;
        }
        // Sixteen to one, and none starves.
        let ratio = float(usize::try_from(parts[&10] / parts[&11]).unwrap());
        assert!((15.0..=17.0).contains(&ratio), "{parts:?}");
    }
}

#[test]
fn a_client_that_was_idle_has_no_credit() {
    let mut order = Order::default();
    push(&mut order, 1, 1.0, 1000, 100);
    push(&mut order, 2, 1.0, 1, 100);
    parts(&mut order, 50_000);
    push(&mut order, 2, 1.0, 1000, 100);
    let parts = parts(&mut order, 10_000);
    assert!(parts[&client(2)] <= 5200, "{parts:?}");
}

#[test]
fn models_share_in_the_same_way() {
    let mut order = Order::default();
    push(&mut order, 1, 1.0, 1000, 512);
    next(&mut order);
    let request = order.enter(client(1), 1.0, 0.0);
    order.push(client(1), request, 7, 0.0, [(20, 20)]);
    assert_eq!(order.next_model(), Some(7));
    // A batch has one model only.
    let candidates = order.candidates(7, 64);
    assert_eq!(candidates.len(), 1);
}

#[test]
fn candidates_follow_the_order_over_clients() {
    let mut order = Order::default();
    push(&mut order, 1, 1.0, 3, 100);
    push(&mut order, 2, 1.0, 3, 60);
    let candidates = order.candidates(0, 64);
    let tokens: Vec<u64> = candidates.iter().map(|candidate| *candidate.item).collect();
    assert_eq!(tokens, [100, 60, 60, 100, 60, 100]);
    assert_eq!(order.candidates(0, 2).len(), 2);
}

#[test]
fn a_newcomer_sees_what_runs_before_it() {
    let mut order = Order::default();
    let estimate = |tokens: f64| Estimate {
        weight: 1.0,
        tokens,
    };
    assert_eq!(
        order.ahead(client(1), estimate(20.0)),
        Ahead {
            of_first: 0.0,
            of_end: 20.0
        }
    );
    for _ in 0..100 {
        push(&mut order, 1, 1.0, 1, 20);
    }
    order.enter(client(2), 1.0, 1e6);
    // Its client's hundred requests, and as much for the other client.
    let ahead = order.ahead(client(1), estimate(20.0));
    assert!((4000.0..4100.0).contains(&ahead.of_first), "{ahead:?}");
    // A new client waits for little, whatever the others have.
    let ahead = order.ahead(client(3), estimate(20.0));
    assert!(ahead.of_first <= 128.0, "{ahead:?}");
    // A large request ends when the others have had as much or all that they have.
    let ahead = order.ahead(client(3), estimate(10_000.0));
    assert!((20_000.0..24_100.0).contains(&ahead.of_end), "{ahead:?}");
    // An urgent one overtakes.
    let urgent = Estimate {
        weight: 4.0,
        tokens: 20.0,
    };
    let ahead = order.ahead(client(1), urgent);
    assert!(ahead.of_first <= 1100.0, "{ahead:?}");
}

#[test]
fn a_medium_request_is_not_overtaken_by_all_short_ones() {
    for newcomers in [1, 2] {
        let mut order = Order::default();
        for _ in 0..50 {
            push(&mut order, 1, 1.0, 1, 20);
        }
        push(&mut order, 1, 1.0, 1, 250);
        let mut before = 0;
        while let Some((_, item)) = next(&mut order) {
            if item == 250 {
                break;
            }
            before += 1;
            push(&mut order, newcomers, 1.0, 1, 20);
        }
        // As many of another client, and what that gets while the request's own client pays for it.
        let most = if newcomers == 1 {
            50
        } else {
            2 * 50 + 250 / 20
        };
        assert!(before <= most, "{newcomers}: {before}");
    }
}

#[test]
fn urgent_single_sequences_overtake() {
    let mut order = Order::default();
    for number in 0..100 {
        push(&mut order, 1, 0.25, 1, 60 + number);
    }
    parts(&mut order, 600);
    push(&mut order, 1, 4.0, 1, 20);
    assert_eq!(next(&mut order), Some((client(1), 20)));
}

#[test]
fn a_request_that_ran_dry_does_not_go_ahead_of_a_newcomer() {
    let mut order = Order::default();
    let urgent: Vec<_> = (1..9)
        .map(|number| (number, push(&mut order, number, 4.0, 1, 512)))
        .collect();
    // Another client keeps the device busy.
    push(&mut order, 100, 1.0, 100, 512);
    for _ in 0..20 {
        next(&mut order);
    }
    push(&mut order, 200, 1.0, 1, 25);
    for (number, request) in urgent {
        add(&mut order, number, request, 8, 512);
    }
    let before = (0..9).take_while(|_| next(&mut order).is_some_and(|(_, item)| item != 25));
    assert!(before.count() <= 1);
}

#[derive(Clone, Debug)]
enum Step {
    Push {
        client: u8,
        priority: u8,
        lengths: Vec<u16>,
    },
    Batch(usize),
    Withdraw(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = prop::collection::vec(1_u16..512, 1..12);
    prop_oneof![
        3 => (0_u8..5, 0_u8..5, lengths)
            .prop_map(|(client, priority, lengths)| Step::Push { client, priority, lengths }),
        5 => (1_usize..9).prop_map(Step::Batch),
        1 => any::<usize>().prop_map(Step::Withdraw),
    ]
}

proptest! {
    /// Everything pushed is taken or withdrawn, once, and nothing is remembered afterwards.
    #[test]
    fn nothing_is_lost_and_nothing_runs_twice(steps in prop::collection::vec(step(), 1..60)) {
        let mut order = Order::default();
        let mut requests = Vec::new();
        let (mut pushed, mut gone) = (0_u64, HashSet::new());
        for step in steps {
            match step {
                Step::Push { client: number, priority, lengths } => {
                    let client = client(number);
                    let request = order.enter(client, f64::from(1 << priority) / 4.0, 100.0);
                    let model = number % 2;
                    let sequences: Vec<_> = lengths
                        .iter()
                        .zip(pushed..)
                        .map(|(length, item)| (usize::from(*length), item))
                        .collect();
                    pushed += sequences.len() as u64;
                    let places = order.push(client, request, model, 50.0, sequences);
                    requests.push((client, request, model, places));
                }
                Step::Batch(most) => {
                    if let Some(model) = order.next_model() {
                        let candidates = order.candidates(model, most);
                        prop_assert!(!candidates.is_empty());
                        let places: Vec<_> = candidates
                            .iter()
                            .map(|candidate| (candidate.client, candidate.place))
                            .collect();
                        let taken = order.take(model, &places);
                        prop_assert_eq!(taken.len(), places.len());
                        for item in taken {
                            prop_assert!(gone.insert(item), "{} ran twice", item);
                        }
                    }
                }
                Step::Withdraw(which) => {
                    if !requests.is_empty() {
                        let which = which % requests.len();
                        let (client, request, model, places) = requests.swap_remove(which);
                        for item in order.withdraw(client, model, &places) {
                            prop_assert!(gone.insert(item), "{} was lost and ran", item);
                        }
                        order.leave(client, request);
                    }
                }
            }
        }
        while let Some((_, item)) = next(&mut order) {
            prop_assert!(gone.insert(item));
        }
        prop_assert_eq!(gone.len() as u64, pushed);
        prop_assert_eq!((order.sequences(), order.tokens()), (0, 0));
        for (client, request, ..) in requests {
            order.leave(client, request);
        }
        prop_assert_eq!(order.known_clients(), 0);
        let estimate = Estimate { weight: 1.0, tokens: 1e6 };
        let ahead = order.ahead(client(0), estimate);
        prop_assert!(ahead.of_first < 1e-3 && ahead.of_end < 1e6 + 1.0, "{:?}", ahead);
    }

    /// Of flows that never run dry, none gets more than one of its sequences and one of theirs beyond its part.
    #[test]
    fn shares_follow_the_weights_within_one_sequence(
        flows in prop::collection::vec((0_u8..4, 0_u32..5, 1_u64..512), 2..8),
        rounds in 1_usize..300,
    ) {
        let mut order = Order::default();
        let mut served = vec![0.0; flows.len()];
        // One request a client: both levels are alike.
        for (number, (_, priority, tokens)) in flows.iter().enumerate() {
            let number = u8::try_from(number).unwrap();
            let weight = f64::from(1_u32 << priority) / 4.0;
            push(&mut order, number, weight, 400, *tokens);
        }
        for _ in 0..rounds {
            let (client, item) = next(&mut order).unwrap();
            let Client::V4(address) = client else { unreachable!() };
            let flow = usize::from(address.octets()[3]);
            let weight = f64::from(1_u32 << flows[flow].1) / 4.0;
            served[flow] += f64::from(u32::try_from(item).unwrap()) / weight;
        }
        let cost = |flow: usize| {
            let (_, priority, tokens) = flows[flow];
            f64::from(u32::try_from(tokens).unwrap()) / (f64::from(1_u32 << priority) / 4.0)
        };
        for one in 0..flows.len() {
            for other in 0..flows.len() {
                let ahead = served[one] - served[other];
                // First sequences count as equally long.
                let first = FIRST_TOKENS / (f64::from(1_u32 << flows[one].1) / 4.0)
                    + FIRST_TOKENS / (f64::from(1_u32 << flows[other].1) / 4.0);
                let bound = cost(one) + cost(other) + first;
                prop_assert!(ahead <= bound + 1e-6, "{} {:?}", ahead, served);
            }
        }
    }

    /// A newcomer's first sequence runs at most one sequence of the others later than in the fluid.
    #[test]
    fn a_newcomer_waits_for_its_turn_only(
        clients in 1_u8..8,
        requests in 1_u8..5,
        length in 1_u64..512,
        newcomer in 1_u64..512,
        before in 0_u64..40,
        own in any::<bool>(),
    ) {
        let mut order = Order::default();
        for number in 0..clients {
            for _ in 0..requests {
                push(&mut order, number, 1.0, 300, length);
            }
        }
        // First sequences run in the order in which they arrive.
        for _ in 0..u64::from(clients) * u64::from(requests) + before {
            next(&mut order);
        }
        let marked = newcomer + 1000;
        let number = if own { 0 } else { 100 };
        let request = order.enter(client(number), 1.0, 0.0);
        let tokens = usize::try_from(newcomer).unwrap();
        order.push(client(number), request, 0, 0.0, [(tokens, marked)]);
        let mut waited = 0;
        while let Some((_, item)) = next(&mut order) {
            if item == marked {
                break;
            }
            waited += item;
        }
        // By then each request of its client has had as much as the newcomer counts, and one sequence more at most; and each
        // client as much as its own.
        let mates = if own { u64::from(requests) } else { 0 };
        let of_client = mates * (length.max(64) + length) + newcomer.max(64) + length;
        let fluid = of_client * u64::from(clients + u8::from(!own));
        // One sequence more at each of the two levels. Before its first sequence, which counts as 64 tokens at least, each
        // other client may be as much behind.
        let late = length.max(64) * (1 + u64::from(clients));
        prop_assert!(waited <= fluid + late + length, "{} > {} + {}", waited, fluid, late);
    }
}

proptest! {
    /// The same with batches, which take sequences of similar length out of their turns: fair within one batch. Only room
    /// that no sequence of the flow whose turn it is can use goes to others beyond that, so all have the same lengths.
    #[test]
    fn shares_follow_the_weights_within_one_batch(
        flows in prop::collection::vec(0_u32..5, 2..6),
        lengths in prop::collection::vec(1_u16..512, 1..6),
        tokens in 1_usize..1024,
        rounds in 1_usize..200,
    ) {
        let weight = |flow: usize| f64::from(1_u32 << flows[flow]) / 4.0;
        let mut order = Order::default();
        let mut pushed = vec![0; flows.len()];
        let requests: Vec<_> = (0..flows.len())
            .map(|flow| order.enter(client(u8::try_from(flow).unwrap()), weight(flow), 0.0))
            .collect();
        let mut served = vec![0.0; flows.len()];
        let limit = policy::BatchLimit {
            tokens: NonZeroUsize::new(tokens).unwrap(),
            pads_to_longest: false,
        };
        for _ in 0..rounds {
            // None runs dry: as many wait of each as a batch may look at.
            for (flow, request) in requests.iter().enumerate() {
                let number = u8::try_from(flow).unwrap();
                while pushed[flow] < policy::LOOK_AHEAD {
                    for length in &lengths {
                        let item = u64::from(*length);
                        let length = usize::from(*length);
                        order.push(client(number), *request, 0, 0.0, [(length, item)]);
                        pushed[flow] += 1;
                    }
                }
            }
            let candidates = order.candidates(0, policy::LOOK_AHEAD);
            let waiting: Vec<usize> = candidates
                .iter()
                .map(|candidate| usize::try_from(*candidate.item).unwrap())
                .collect();
            let mut places = Vec::new();
            for position in policy::choose(&waiting, limit) {
                let Candidate { client, place, .. } = candidates[position];
                let Client::V4(address) = client else { unreachable!() };
                let flow = usize::from(address.octets()[3]);
                served[flow] += float(waiting[position]) / weight(flow);
                pushed[flow] -= 1;
                places.push((client, place));
            }
            order.take(0, &places);
        }
        let longest = |flow: usize| f64::from(*lengths.iter().max().unwrap()) / weight(flow);
        for one in 0..flows.len() {
            for other in 0..flows.len() {
                let ahead = served[one] - served[other];
                let batch = float(tokens) / weight(one);
                let firsts = FIRST_TOKENS / weight(one) + FIRST_TOKENS / weight(other);
                let bound = batch + longest(one) + longest(other) + firsts;
                prop_assert!(ahead <= bound + 1e-6, "{} > {}: {:?}", ahead, bound, served);
            }
        }
    }
}
