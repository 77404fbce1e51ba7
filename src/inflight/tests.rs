//! Tests of the budget.

use std::future::poll_fn;

use proptest::prelude::*;

use super::*;

#[test]
fn a_hold_takes_and_gives_back() {
    let budget = InflightBytes::new(100);
    let mut hold = budget.reserve(60).unwrap();
    assert_eq!(budget.reserve(41).unwrap_err(), Full);
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
    hold.merge(budget.reserve(5).unwrap());
    assert_eq!(hold.bytes(), 25);
    drop(hold);
    assert_eq!(budget.held(), 0);
}

#[test]
fn kept_bytes_are_held_until_the_last_slice_is_gone() {
    let budget = InflightBytes::new(100);
    let mut bytes = budget.reserve(10).unwrap().keep(vec![0; 10]);
    let first = bytes.split_to(4);
    drop(bytes);
    assert_eq!(budget.held(), 10);
    drop(first);
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn a_waiter_gets_bytes_once_there_is_room() {
    let budget = InflightBytes::new(100);
    let hold = budget.reserve(80).unwrap();
    let mut waiter = budget.waiter();
    let waiting = tokio::spawn(async move {
        let first = poll_fn(|context| waiter.poll_reserve(context, 30)).await;
        drop(first);
        poll_fn(|context| waiter.poll_reserve(context, 1000)).await
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(hold);
    let found = crate::testing::soon("there is room", waiting)
        .await
        .unwrap();
    assert_eq!((found.bytes(), budget.held()), (100, 100));
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
        let budget = InflightBytes::new(200);
        let mut holds: Vec<Hold> = Vec::new();
        for step in steps {
            let before: usize = holds.iter().map(Hold::bytes).sum();
            match step {
                Step::Reserve(bytes) => match budget.reserve(bytes) {
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
    let budget = InflightBytes::new(1000);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let budget = budget.clone();
            scope.spawn(move || {
                for round in 0..2000_usize {
                    if let Ok(mut hold) = budget.reserve((thread * 131 + round * 17) % 600) {
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
