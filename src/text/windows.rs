//! Cuts long texts into overlapping windows, and finds for each token the window with most context.

use std::num::NonZeroUsize;
use std::ops::Range;

/// A part of a tokenized text that is run as a separate sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The window's tokens, as indices into the tokenized text.
    pub tokens: Range<usize>,
}

/// Cuts `token_count` tokens into windows of at most `room` tokens, each sharing `overlap` tokens with the one before.
///
/// The windows are those of transformers' fast tokenizers (`stride`): all are full but the last, which ends with the
/// text. There is always at least one window, even for an empty text, whose special tokens still have to run. An
/// `overlap` of `room` or more counts as `room - 1`, which makes one window per token: callers must bound it.
#[must_use]
pub fn split(token_count: usize, room: NonZeroUsize, overlap: usize) -> Vec<Window> {
    let room = room.get();
    let step = room - overlap.min(room - 1);
    let further = token_count.saturating_sub(room).div_ceil(step);
    (0..=further)
        .map(|index| index * step)
        .map(|start| Window {
            tokens: start..token_count.min(start + room),
        })
        .collect()
}

/// For each token, the index of the window that shows most of its context.
///
/// A token's context in a window is its distance to the nearer edge of the window. An edge of the text does not count,
/// because no context is missing beyond it. Of equal windows, the first is taken. `windows` are those of [`split`].
#[must_use]
pub fn most_context(windows: &[Window], token_count: usize) -> Vec<usize> {
    let mut best: Vec<(usize, Option<usize>)> = vec![(0, None); token_count];
    for (index, Window { tokens }) in windows.iter().enumerate() {
        let (first, last) = (tokens.start, tokens.end.saturating_sub(1));
        let seen = best.iter_mut().enumerate().take(tokens.end).skip(first);
        for (token, best) in seen {
            let left = if first == 0 {
                usize::MAX
            } else {
                token - first
            };
            let right = if tokens.end == token_count {
                usize::MAX
            } else {
                last - token
            };
            let context = Some(left.min(right));
            if context > best.1 {
                *best = (index, context);
            }
        }
    }
    best.into_iter().map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(token_count: usize, room: usize, overlap: usize) -> Vec<Range<usize>> {
        split(token_count, NonZeroUsize::new(room).unwrap(), overlap)
            .into_iter()
            .map(|window| window.tokens)
            .collect()
    }

    #[test]
    #[allow(
        clippy::single_range_in_vec_init,
        reason = "one window is a list of one"
    )]
    fn splits_as_transformers_does() {
        let check = |token_count, room, overlap, expected: &[Range<usize>]| {
            assert_eq!(
                ranges(token_count, room, overlap),
                expected,
                "{token_count} {room} {overlap}"
            );
        };
        check(0, 4, 1, &[0..0]);
        check(3, 4, 1, &[0..3]);
        check(4, 4, 1, &[0..4]);
        check(5, 4, 1, &[0..4, 3..5]);
        check(7, 4, 1, &[0..4, 3..7]);
        check(8, 4, 1, &[0..4, 3..7, 6..8]);
        check(8, 4, 0, &[0..4, 4..8]);
        check(6, 4, 3, &[0..4, 1..5, 2..6]);
        // An overlap without a step forward is reduced to the largest that has one.
        check(6, 4, 9, &[0..4, 1..5, 2..6]);
        check(3, 1, 0, &[0..1, 1..2, 2..3]);
    }

    #[test]
    fn every_token_is_scored_away_from_edges() {
        let check = |token_count, room, overlap, expected: &[usize]| {
            let windows = split(token_count, NonZeroUsize::new(room).unwrap(), overlap);
            assert_eq!(most_context(&windows, token_count), expected);
        };
        check(0, 4, 2, &[]);
        check(4, 4, 2, &[0, 0, 0, 0]);
        // Windows 0..4 and 2..6 share tokens 2 and 3. Token 2 is nearer to the second window's edge.
        check(6, 4, 2, &[0, 0, 0, 1, 1, 1]);
        // 0..6, 3..9, 6..10: the middle one of three shared tokens goes to the earlier window.
        check(10, 6, 3, &[0, 0, 0, 0, 0, 1, 1, 1, 2, 2]);
    }

    proptest! {
        #[test]
        fn covers_every_token(token_count in 0_usize..300, room in 1_usize..40, overlap in 0_usize..50) {
            let windows = ranges(token_count, room, overlap);
            let overlap = overlap.min(room - 1);
            prop_assert_eq!(windows[0].start, 0);
            prop_assert_eq!(windows[windows.len() - 1].end, token_count);
            for window in &windows {
                prop_assert!(window.len() <= room);
            }
            for pair in windows.windows(2) {
                prop_assert_eq!(pair[0].len(), room);
                prop_assert_eq!(pair[0].end - pair[1].start, overlap);
                // Each window shows further tokens.
                prop_assert!(pair[1].end > pair[0].end);
            }
        }

        #[test]
        fn the_chosen_window_holds_the_token_and_half_the_overlap(
            token_count in 1_usize..300, room in 2_usize..40, overlap in 0_usize..39,
        ) {
            let windows = split(token_count, NonZeroUsize::new(room).unwrap(), overlap);
            let overlap = overlap.min(room - 1);
            for (token, index) in most_context(&windows, token_count).into_iter().enumerate() {
                let tokens = &windows[index].tokens;
                prop_assert!(tokens.contains(&token));
                let half = overlap.saturating_sub(1) / 2;
                prop_assert!(tokens.start == 0 || token - tokens.start >= half);
                prop_assert!(tokens.end == token_count || tokens.end - 1 - token >= half);
            }
        }
    }
}
