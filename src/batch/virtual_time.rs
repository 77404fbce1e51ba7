//! Virtual time: how far each of several flows would be if they shared their work as a fluid, all at once.
//!
//! Weighted fair queueing (Demers, Keshav and Shenker 1989; Parekh and Gallager 1993). While `n` flows are busy, work of
//! a normalised cost `c` (its tokens divided by the flow's weight) takes the fluid `c / n` further. Real work is done in
//! the order in which the fluid would finish it. It then ends at most one piece of work later than in the fluid.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::{Add, AddAssign, Sub};

/// A cost divided by a weight, or a point in virtual time. Never NaN: costs are finite and weights are not zero.
#[derive(Clone, Copy, Debug, Default)]
pub struct Virtual(f64);

impl Virtual {
    pub const ZERO: Self = Self(0.0);

    /// The normalised cost of `tokens` at this weight.
    #[must_use]
    pub fn cost(tokens: f64, weight: f64) -> Self {
        Self(tokens / weight)
    }

    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Virtual {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Virtual {}

impl PartialOrd for Virtual {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Virtual {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Add for Virtual {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Virtual {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Virtual {
    type Output = Self;

    /// Not below zero: sums of floats may miss it by a rounding error.
    fn sub(self, other: Self) -> Self {
        Self((self.0 - other.0).max(0.0))
    }
}

/// The fluid that the flows `K` share: its time, and the flows that are busy in it. A flow can be busy in the fluid
/// while nothing of it waits any more, because its work was done earlier than the fluid would have.
#[derive(Debug)]
pub struct Fluid<K> {
    now: Virtual,
    busy: BTreeSet<(Virtual, K)>,
}

impl<K> Default for Fluid<K> {
    fn default() -> Self {
        Self {
            now: Virtual::ZERO,
            busy: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Copy> Fluid<K> {
    /// How far each flow is that has been busy from the start.
    pub fn now(&self) -> Virtual {
        self.now
    }

    /// Changes when a flow has nothing left to do. `before` is what was last set for it.
    pub fn set_end(&mut self, flow: K, before: Virtual, end: Virtual) {
        self.busy.remove(&(before, flow));
        if end > self.now {
            self.busy.insert((end, flow));
        }
    }

    /// Moves on by work of this normalised cost. Returns the flows that have nothing left to do.
    pub fn serve(&mut self, cost: Virtual) -> Vec<K> {
        let mut left = cost.get();
        let mut ended = Vec::new();
        while let Some(&(end, flow)) = self.busy.first() {
            #[allow(clippy::cast_precision_loss, reason = "flows are far below 2^52")]
            let flows = self.busy.len() as f64;
            let until_end = (end - self.now).get() * flows;
            if until_end > left {
                self.now += Virtual(left / flows);
                break;
            }
            left -= until_end;
            self.now = end;
            self.busy.pop_first();
            ended.push(flow);
        }
        ended
    }

    /// Does all that is left: nothing waits any more. Returns the flows that were busy.
    pub fn finish(&mut self) -> Vec<K> {
        if let Some((end, _)) = self.busy.last() {
            self.now = self.now.max(*end);
        }
        let ended = std::mem::take(&mut self.busy);
        ended.into_iter().map(|(_, flow)| flow).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fluid(ends: &[f64]) -> Fluid<usize> {
        let mut fluid = Fluid::default();
        for (flow, end) in ends.iter().enumerate() {
            fluid.set_end(flow, Virtual::ZERO, Virtual(*end));
        }
        fluid
    }

    fn check(ends: &[f64], work: f64, now: f64, ended: &[usize]) {
        let mut fluid = fluid(ends);
        let found = fluid.serve(Virtual(work));
        assert_eq!(
            (fluid.now().get(), found.as_slice()),
            (now, ended),
            "{ends:?}, {work}"
        );
    }

    #[test]
    fn busy_flows_move_on_together() {
        check(&[], 10.0, 0.0, &[]);
        check(&[100.0], 10.0, 10.0, &[]);
        check(&[100.0, 50.0], 10.0, 5.0, &[]);
        // The first of three needs 6 in all; then two share the rest.
        check(&[2.0, 100.0, 100.0], 10.0, 4.0, &[0]);
        // The fluid is empty when all work is done.
        check(&[2.0, 5.0, 5.0], 12.0, 5.0, &[0, 1, 2]);
    }

    #[test]
    fn a_flow_that_withdraws_its_work_slows_nobody() {
        let mut fluid = fluid(&[100.0, 100.0]);
        fluid.set_end(0, Virtual(100.0), Virtual::ZERO);
        fluid.serve(Virtual(10.0));
        assert_eq!(fluid.now(), Virtual(10.0));
    }
}
