//! Reads batch statistics from a server's metrics. Pure.

use serde::Serialize;

/// Totals over all batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchTotals {
    pub batches: f64,
    pub sequences: f64,
    /// Padding not counted.
    pub tokens: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeanBatch {
    /// The number of batches averaged.
    pub batches: f64,
    /// Sequences per batch.
    pub sequences: f64,
    /// Tokens per batch.
    pub tokens: f64,
}

impl BatchTotals {
    /// Sums the metrics of these models. `None` if the text does not come from an electra server.
    #[must_use]
    pub fn read(metrics: &str, models: &[&str]) -> Option<Self> {
        let mut found = false;
        let mut totals = Self::default();
        for line in metrics.lines() {
            let Some((name, rest)) = line.split_once('{') else {
                continue;
            };
            let place = match name {
                "electra_batch_sequences_count" => &mut totals.batches,
                "electra_batch_sequences_sum" => &mut totals.sequences,
                "electra_batch_tokens_sum" => &mut totals.tokens,
                _ => continue,
            };
            let Some((labels, value)) = rest.split_once("} ") else {
                continue;
            };
            found = true;
            if models
                .iter()
                .any(|model| labels == format!("model=\"{model}\""))
            {
                *place += value.parse().unwrap_or(0.0);
            }
        }
        found.then_some(totals)
    }

    /// The difference to an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            batches: self.batches - earlier.batches,
            sequences: self.sequences - earlier.sequences,
            tokens: self.tokens - earlier.tokens,
        }
    }

    /// The mean batch. `None` if there was no batch.
    #[must_use]
    pub fn mean(self) -> Option<MeanBatch> {
        (self.batches > 0.0).then(|| MeanBatch {
            batches: self.batches,
            sequences: self.sequences / self.batches,
            tokens: self.tokens / self.batches,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn batches_are_read_from_the_servers_own_metrics() {
        let metrics = Metrics::new("1.2.3");
        let tagger = metrics.model("tagger");
        tagger.batch_run(1, 10, Duration::from_millis(1));
        let before = BatchTotals::read(&metrics.encode().unwrap(), &["tagger"]).unwrap();
        tagger.batch_run(2, 50, Duration::from_millis(1));
        tagger.batch_run(4, 150, Duration::from_millis(1));
        metrics
            .model("other")
            .batch_run(9, 99, Duration::from_millis(1));
        let after = BatchTotals::read(&metrics.encode().unwrap(), &["tagger"]).unwrap();
        let expected = MeanBatch {
            batches: 2.0,
            sequences: 3.0,
            tokens: 100.0,
        };
        assert_eq!(after.since(before).mean(), Some(expected));
        assert_eq!(before.since(before).mean(), None);
    }

    #[test]
    fn metrics_of_another_server_say_nothing() {
        let metrics = "nv_inference_count{model=\"tagger\",version=\"1\"} 5\nup 1\n";
        assert_eq!(BatchTotals::read(metrics, &["tagger"]), None);
    }
}
