//! Tests of [`super`].

use proptest::prelude::*;

use super::*;

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("a positive number")
}

fn check(lengths: &[usize], tokens: usize, pads_to_longest: bool, expected: &[usize]) {
    let limit = BatchLimit {
        tokens: count(tokens),
        pads_to_longest,
    };
    assert_eq!(choose(lengths, limit), expected, "{lengths:?} in {limit:?}");
}

#[test]
fn packed_batches() {
    check(&[], 10, false, &[]);
    check(&[4], 10, false, &[0]);
    // Nearest length first, whatever the order of arrival.
    check(&[10, 30, 11, 12], 33, false, &[0, 2, 3]);
    // Ties in length go to the earlier turn.
    check(&[10, 12, 8], 22, false, &[0, 1]);
    // A sequence that does not fit is skipped in favour of one that does.
    check(&[10, 11, 3], 14, false, &[0, 2]);
    check(&[6, 4], 10, false, &[0, 1]);
    // A sequence longer than the budget runs alone.
    check(&[50, 1], 10, false, &[0]);
}

#[test]
fn padded_batches_pay_for_their_padding() {
    check(&[2, 9], 11, false, &[0, 1]);
    check(&[2, 9], 11, true, &[0]);
    check(&[2, 9], 18, true, &[0, 1]);
    check(&[9, 2, 2], 18, true, &[0, 1]);
    check(&[4, 4, 4], 12, true, &[0, 1, 2]);
}

#[test]
fn free_workers_share_what_waits() {
    for (waiting, free, expected) in [
        (1000, 1, 512), // under load: the whole budget
        (600, 2, 300),
        (601, 2, 301),
        (4000, 2, 512), // never more than the budget
        (40, 4, 32),    // never less than pays
        (0, 2, 32),
    ] {
        assert_eq!(share(count(512), waiting, count(free)), count(expected));
    }
    assert_eq!(share(count(8), 600, count(2)), count(8));
}

proptest! {
    #[test]
    fn any_batch(
        lengths in prop::collection::vec(1_usize..600, 1..LOOK_AHEAD),
        tokens in 1_usize..2000,
        pads_to_longest: bool,
    ) {
        let chosen = choose(&lengths, BatchLimit { tokens: count(tokens), pads_to_longest });
        let cost = |positions: &[usize]| -> usize {
            let lengths = positions.iter().map(|&position| lengths[position]);
            if pads_to_longest {
                lengths.max().unwrap_or(0) * positions.len()
            } else {
                lengths.sum()
            }
        };

        prop_assert_eq!(chosen[0], 0, "the first is always in");
        prop_assert!(chosen.len() == 1 || cost(&chosen) <= tokens);
        let mut distinct = chosen.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), chosen.len());
        let distances: Vec<usize> = chosen.iter().map(|&position| lengths[position].abs_diff(lengths[0])).collect();
        prop_assert!(distances.is_sorted());
        // Every sequence left behind would exceed the limit.
        for position in (0..lengths.len()).filter(|position| !chosen.contains(position)) {
            let mut fuller = chosen.clone();
            fuller.push(position);
            prop_assert!(cost(&fuller) > tokens);
        }
    }
}
