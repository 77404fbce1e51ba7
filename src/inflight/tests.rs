//! Tests of the budget.

use std::future::poll_fn;
use std::task::Poll;

use proptest::prelude::*;

use super::*;

/// A budget, and two clients of it.
fn budget(capacity: usize) -> (InflightBytes, ClientBytes, ClientBytes) {
    let budget = InflightBytes::new(capacity);
    let of = |number| budget.of(std::net::IpAddr::from([192, 0, 2, number]).into());
    let (one, other) = (of(1), of(2));
    (budget, one, other)
}

#[test]
fn a_hold_takes_and_gives_back() {
    let (budget, client, _) = budget(133);
    let mut hold = client.reserve(60).unwrap();
    assert_eq!(client.reserve(41).unwrap_err(), Full);
    assert_eq!(hold.grow(41), Err(Full));
    assert_eq!((hold.bytes(), budget.held()), (60, 60));
    hold.grow(40).unwrap();
    let part = hold.split(70);
    hold.shrink_to(10);
    assert_eq!((part.bytes(), hold.bytes(), budget.held()), (70, 10, 80));
    drop(part);
    assert_eq!(hold.resize(101), Err(Full));
    hold.resize(50).unwrap();
    hold.resize(20).unwrap();
    assert_eq!(budget.held(), 20);
    hold.merge(client.reserve(5).unwrap());
    assert_eq!(hold.bytes(), 25);
    drop(hold);
    assert_eq!(budget.held(), 0);
}

#[test]
fn kept_bytes_are_held_until_the_last_slice_is_gone() {
    let (budget, client, _) = budget(100);
    let mut bytes = client.reserve(10).unwrap().keep(vec![0; 10]);
    let first = bytes.split_to(4);
    drop(bytes);
    assert_eq!(budget.held(), 10);
    drop(first);
    assert_eq!(budget.held(), 0);
}

/// Polls a waiter once.
async fn poll(waiter: &mut Waiter, bytes: usize) -> Poll<Result<Hold, Full>> {
    poll_fn(|context| Poll::Ready(waiter.poll_reserve(context, bytes))).await
}

async fn is_pending(waiter: &mut Waiter, bytes: usize) -> bool {
    poll(waiter, bytes).await.is_pending()
}

async fn granted(waiter: &mut Waiter) -> Hold {
    let hold = poll_fn(|context| waiter.poll_reserve(context, 0));
    let hold = crate::testing::soon("there is room", hold).await;
    hold.expect("in time")
}

#[tokio::test]
async fn a_waiter_gets_bytes_once_there_is_room() {
    let (budget, one, other) = budget(133);
    let hold = one.reserve(80).unwrap();
    let mut waiter = one.waiter(Purpose::Request);
    assert!(is_pending(&mut waiter, 30).await);
    // It keeps nobody else waiting, and gets nothing before its time.
    let others = other.reserve(20).unwrap();
    drop(others);
    assert!(is_pending(&mut waiter, 30).await);
    drop(hold);
    let first = granted(&mut waiter).await;
    assert_eq!((first.bytes(), budget.held()), (30, 30));
    drop(first);
    // More than there is counts as all that a client can have.
    let Poll::Ready(Ok(all)) = poll(&mut waiter, 1000).await else {
        panic!("there is room")
    };
    assert_eq!((all.bytes(), budget.held()), (100, 100));
}

#[tokio::test]
async fn who_waits_is_not_overtaken_by_its_own_client() {
    let (budget, one, other) = budget(133);
    let (hold, little) = (one.reserve(85).unwrap(), one.reserve(15).unwrap());
    let mut much = one.waiter(Purpose::Request);
    let mut behind = one.waiter(Purpose::Request);
    let mut answer = one.waiter(Purpose::Answer);
    assert!(is_pending(&mut much, 50).await);
    drop(little);
    // There is room for it, but it is not its turn.
    assert!(is_pending(&mut behind, 5).await);
    let of_other = other.waiter(Purpose::Request).await_now(5).await;
    assert!(is_pending(&mut answer, 70).await);
    drop(hold);
    assert_eq!(granted(&mut answer).await.bytes(), 70);
    assert_eq!(granted(&mut much).await.bytes(), 50);
    assert_eq!(granted(&mut behind).await.bytes(), 5);
    drop(of_other);
    assert_eq!(budget.held(), 0);
}

impl Waiter {
    async fn await_now(mut self, bytes: usize) -> Hold {
        match poll(&mut self, bytes).await {
            Poll::Ready(Ok(hold)) => hold,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn who_has_gone_is_passed_over_and_what_it_got_is_given_back() {
    let (budget, one, _) = budget(133);
    let hold = one.reserve(100).unwrap();
    let mut waiters: Vec<Waiter> = (0..3).map(|_| one.waiter(Purpose::Request)).collect();
    for waiter in &mut waiters {
        assert!(is_pending(waiter, 100).await);
    }
    drop(waiters.remove(0));
    drop(hold);
    // The second one has the bytes, without knowing it.
    assert_eq!(budget.held(), 100);
    drop(waiters.remove(0));
    assert_eq!(granted(&mut waiters[0]).await.bytes(), 100);
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn who_leaves_the_line_lets_those_behind_have_their_turn() {
    let (budget, one, _) = budget(133);
    let hold = one.reserve(90).unwrap();
    let (mut much, mut little) = (one.waiter(Purpose::Request), one.waiter(Purpose::Request));
    assert!(is_pending(&mut much, 100).await);
    assert!(is_pending(&mut little, 10).await);
    // The end of a stream needs nothing, so it waits for nobody.
    let mut end = one.waiter(Purpose::Request);
    assert!(matches!(poll(&mut end, 0).await, Poll::Ready(Ok(_))));
    drop(much);
    assert_eq!(granted(&mut little).await.bytes(), 10);
    drop(hold);
    assert_eq!(budget.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_forever() {
    let (budget, one, _) = budget(133);
    let _hold = one.reserve(100).unwrap();
    let mut waiter = one.waiter(Purpose::Answer);
    let began = tokio::time::Instant::now();
    let outcome = poll_fn(|context| waiter.poll_reserve(context, 10)).await;
    assert_eq!(outcome.map(|hold| hold.bytes()), Err(Full));
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(budget.held(), 100);
    assert!(!budget.lock().line.has_before(one.client, Purpose::Request));
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(usize),
    Grow(usize, usize),
    Shrink(usize, usize),
    Split(usize, usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (hold, bytes) = (0_usize..8, 0_usize..150);
    prop_oneof![
        bytes.clone().prop_map(Step::Reserve),
        (hold.clone(), bytes.clone()).prop_map(|(hold, bytes)| Step::Grow(hold, bytes)),
        (hold.clone(), bytes.clone()).prop_map(|(hold, bytes)| Step::Shrink(hold, bytes)),
        (hold.clone(), bytes).prop_map(|(hold, bytes)| Step::Split(hold, bytes)),
        hold.prop_map(Step::Drop),
    ]
}

proptest! {
    #[test]
    fn the_budget_is_the_sum_of_holds_and_never_passed(steps in prop::collection::vec(step(), 0..60)) {
        let (budget, client, _) = budget(266);
        let mut holds: Vec<Hold> = Vec::new();
        for step in steps {
            let before: usize = holds.iter().map(Hold::bytes).sum();
            match step {
                Step::Reserve(bytes) => match client.reserve(bytes) {
                    Ok(hold) => holds.push(hold),
                    Err(Full) => prop_assert!(before + bytes > 200),
                },
                Step::Grow(hold, bytes) => {
                    if let Some(hold) = holds.get_mut(hold) {
                        prop_assert_eq!(hold.grow(bytes).is_err(), before + bytes > 200);
                    }
                }
                Step::Shrink(hold, bytes) => {
                    if let Some(hold) = holds.get_mut(hold) {
                        hold.shrink_to(bytes);
                        prop_assert!(hold.bytes() <= bytes);
                    }
                }
                Step::Split(hold, bytes) => {
                    let split = holds.get_mut(hold).map(|hold| hold.split(bytes));
                    holds.extend(split);
                }
                Step::Drop(hold) => {
                    if hold < holds.len() {
                        holds.swap_remove(hold);
                    }
                }
            }
            let sum: usize = holds.iter().map(Hold::bytes).sum();
            prop_assert_eq!(sum, budget.held());
            prop_assert!(sum <= 200);
        }
        drop(holds);
        prop_assert_eq!(budget.held(), 0);
    }
}

#[test]
fn threads_never_pass_the_budget_together() {
    let (budget, one, other) = budget(1000);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let budget = &budget;
            let client = if thread % 2 == 0 { &one } else { &other };
            scope.spawn(move || {
                for round in 0..2000_usize {
                    if let Ok(mut hold) = client.reserve((thread * 131 + round * 17) % 600) {
                        assert!(budget.held() <= 1000);
                        let _ = hold.grow(round % 50);
                        let part = hold.split(round % 100);
                        hold.shrink_to(round % 30);
                        drop(part);
                    }
                }
            });
        }
    });
    assert_eq!(budget.held(), 0);
}
