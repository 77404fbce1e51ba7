//! How much work flows have left, so that a newcomer's wait can be estimated without looking at each flow. Pure.

use super::virtual_time::Virtual;

/// Flows by what they have left: bucket `b` holds flows with a normalised cost of 2^b to 2^(b+1).
const BUCKETS: usize = 40;

/// What one flow has left.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Remaining {
    pub tokens: f64,
    /// The tokens divided by the weights of their requests.
    pub cost: Virtual,
}

/// What all flows have left. A flow is counted in the bucket of its own cost.
#[derive(Debug)]
pub struct Backlog {
    buckets: [Bucket; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    flows: u32,
    remaining: Remaining,
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            buckets: [Bucket::default(); BUCKETS],
        }
    }
}

impl Backlog {
    /// Replaces what one flow has left. Flows without work are not counted.
    pub fn replace(&mut self, before: Remaining, now: Remaining) {
        if let Some(bucket) = self.bucket(before) {
            bucket.flows -= 1;
            if bucket.flows == 0 {
                // Rounding errors end here.
                bucket.remaining = Remaining::default();
            } else {
                bucket.remaining.cost = bucket.remaining.cost - before.cost;
                bucket.remaining.tokens = (bucket.remaining.tokens - before.tokens).max(0.0);
            }
        }
        if let Some(bucket) = self.bucket(now) {
            bucket.flows += 1;
            bucket.remaining.cost += now.cost;
            bucket.remaining.tokens += now.tokens;
        }
    }

    /// About how many tokens the flows run while each is given `share`, or what it has left if that is less.
    pub fn tokens_within(&self, share: Virtual) -> f64 {
        let of_bucket = |bucket: &Bucket| {
            let part = f64::from(bucket.flows) * share.get() / bucket.remaining.cost.get();
            bucket.remaining.tokens * part.min(1.0)
        };
        let filled = self.buckets.iter().filter(|bucket| bucket.flows > 0);
        filled.map(of_bucket).sum()
    }

    fn bucket(&mut self, remaining: Remaining) -> Option<&mut Bucket> {
        let cost = remaining.cost.get();
        if cost <= 0.0 {
            return None;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a logarithm of at least 0, and casts saturate"
        )]
        let index = cost.max(1.0).log2() as usize;
        self.buckets.get_mut(index.min(BUCKETS - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remaining(tokens: f64) -> Remaining {
        Remaining {
            tokens,
            cost: Virtual::cost(tokens, 1.0),
        }
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
    fn a_flow_counts_up_to_the_share() {
        let mut backlog = Backlog::default();
        for tokens in [20.0, 20.0, 5000.0] {
            backlog.replace(Remaining::default(), remaining(tokens));
        }
        assert_eq!(backlog.tokens_within(Virtual::cost(10.0, 1.0)), 30.0);
        assert_eq!(backlog.tokens_within(Virtual::cost(512.0, 1.0)), 552.0);
        assert_eq!(backlog.tokens_within(Virtual::cost(1e9, 1.0)), 5040.0);
        backlog.replace(remaining(5000.0), remaining(100.0));
        assert_eq!(backlog.tokens_within(Virtual::cost(512.0, 1.0)), 140.0);
        for tokens in [20.0, 20.0, 100.0] {
            backlog.replace(remaining(tokens), Remaining::default());
        }
        assert_eq!(backlog.tokens_within(Virtual::cost(1e9, 1.0)), 0.0);
    }
}
