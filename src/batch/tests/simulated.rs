//! Arrivals, deadlines, cancellations, floods and failing batches in any order, on a virtual clock, with workers that the
//! test plays itself.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tokio::runtime;
use tokio::task::{JoinHandle, yield_now};

use super::super::pool::Assignment;
use super::super::worker;
use super::*;

const CAPACITY: usize = 40;
const BATCH_TOKENS: usize = 256;
/// A worker's speed.
const PER_TOKEN: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
struct Arrival {
    /// Since the arrival before.
    after: Duration,
    client: u8,
    priority: u8,
    model: usize,
    timeout: Duration,
    /// The tokens of its sequences.
    lengths: Vec<usize>,
    waits: bool,
    /// When its client hangs up, if it does.
    patience: Option<Duration>,
}

fn milliseconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn arrival() -> impl Strategy<Value = Arrival> {
    // Most are short; some are floods.
    let lengths = prop_oneof![
        4 => prop::collection::vec(1_usize..60, 1..3),
        1 => prop::collection::vec(1_usize..513, 1..120),
    ];
    (
        milliseconds(0..200),
        0_u8..4,
        1_u8..6,
        0_usize..2,
        milliseconds(1..20_000),
        lengths,
        prop::bool::weighted(0.2),
        prop::option::weighted(0.2, milliseconds(0..2_000)),
    )
        .prop_map(
            |(after, client, priority, model, timeout, lengths, waits, patience)| Arrival {
                after,
                client,
                priority,
                model,
                timeout,
                lengths,
                waits,
                patience,
            },
        )
}

/// A batch that a worker runs.
struct Running {
    assignment: Assignment,
    started: Instant,
    end: Instant,
    fails: bool,
}

/// A request's sequences, its deadline, when it ended, and how.
type Ended = (Vec<u32>, Instant, Instant, Outputs);

struct Simulation {
    pool: Arc<crate::batch::pool::Pool>,
    metrics: Metrics,
    workers: usize,
    running: Vec<Running>,
    /// Which batches fail, in turn.
    faults: Vec<bool>,
    batches: usize,
    /// The sequences that were run, by their names.
    ran: BTreeSet<u32>,
    /// Those that were in a failing batch.
    failed: BTreeSet<u32>,
    deadlines: BTreeMap<u32, Instant>,
}

impl Simulation {
    /// Gives free workers their batches, and checks these.
    fn assign(&mut self) {
        while self.running.len() < self.workers
            && let Some(assignment) = self.pool.try_next_batch()
        {
            let started = Instant::now();
            let entries = &assignment.batch.entries;
            let tokens: usize = entries.iter().map(|entry| entry.sequence.len()).sum();
            assert!(
                tokens <= BATCH_TOKENS || entries.len() == 1,
                "{tokens} tokens"
            );
            let fails = self.faults[self.batches % self.faults.len()];
            self.batches += 1;
            for entry in entries {
                let name = entry.sequence.ids[0];
                assert!(self.ran.insert(name), "{name} ran twice");
                assert!(
                    started < self.deadlines[&name],
                    "{name} ran after its deadline"
                );
                if fails {
                    self.failed.insert(name);
                }
            }
            let cost = PER_TOKEN * u32::try_from(tokens).expect("few tokens");
            self.running.push(Running {
                assignment,
                started,
                end: started + cost,
                fails,
            });
        }
        let waiting = metric(&self.metrics, "electra_queue_depth{model=\"m0\"}");
        assert!(waiting.parse::<usize>().expect("a number") <= CAPACITY);
    }

    /// Ends the batches that are due.
    fn end_batches(&mut self) {
        let now = Instant::now();
        let (due, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| running.end <= now);
        self.running = running;
        for Running {
            assignment,
            started,
            fails,
            ..
        } in due
        {
            let outputs = assignment
                .batch
                .entries
                .iter()
                .map(|entry| logits(&entry.sequence))
                .collect();
            let outputs = if fails {
                Err(InferenceError::model("told to"))
            } else {
                Ok(outputs)
            };
            worker::finish(&self.pool, assignment, outputs, started, started);
        }
    }

    /// Lets time pass until `until`, or until all is done.
    async fn run_until(&mut self, until: Instant) {
        loop {
            self.settle().await;
            let next = self.running.iter().map(|running| running.end).min();
            let next = next.unwrap_or(until).min(until);
            tokio::time::sleep_until(next).await;
            self.end_batches();
            if next >= until {
                self.settle().await;
                return;
            }
        }
    }

    /// Checks a request's outcome.
    fn check(&self, (names, deadline, ended, outputs): Ended) {
        assert!(
            ended <= deadline + Duration::from_millis(1),
            "answered after its deadline"
        );
        let failed = names.iter().any(|name| self.failed.contains(name));
        match outputs {
            Ok(outputs) => {
                assert!(!failed);
                assert_eq!(
                    super::names(Ok(outputs)),
                    names,
                    "the outputs of another request"
                );
            }
            Err(BatchError::Inference(_)) => assert!(failed, "another batch's fault"),
            Err(BatchError::Closed) => panic!("nothing is closed"),
            Err(_) => {}
        }
    }

    fn check_nothing_is_left(&self) {
        assert!(self.running.is_empty() && self.pool.try_next_batch().is_none());
        for series in ["queue_depth", "queue_tokens"] {
            for model in ["m0", "m1"] {
                let series = format!("electra_{series}{{model=\"{model}\"}}");
                assert_eq!(metric(&self.metrics, &series), "0", "{series}");
            }
        }
    }

    /// Lets requests act on what has happened, and workers on what they do.
    async fn settle(&mut self) {
        for _ in 0..20 {
            yield_now().await;
        }
        self.assign();
        for _ in 0..20 {
            yield_now().await;
        }
        self.assign();
    }
}

async fn simulate(arrivals: Vec<Arrival>, workers: usize, faults: Vec<bool>) {
    let metrics = Metrics::new("0");
    let options = SchedulerOptions {
        workers: count(workers),
        queue_capacity: count(CAPACITY),
        longest_wait: Duration::from_secs(1),
    };
    let (scheduler, pool) = Scheduler::simulated(options, metrics.clone());
    let model = || {
        let (runs, _) = mpsc::unbounded_channel();
        Arc::new(ToldModel {
            runs,
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            pads_to_longest: false,
        })
    };
    let options = QueueOptions {
        sizing: BatchSizing {
            batch_tokens: count(BATCH_TOKENS),
            all_cores_from: None,
        },
        capacity: None,
    };
    let queues = ["m0", "m1"].map(|name| scheduler.add_model(name, model(), options));
    let mut simulation = Simulation {
        pool,
        metrics,
        workers,
        running: Vec::new(),
        faults,
        batches: 0,
        ran: BTreeSet::new(),
        failed: BTreeSet::new(),
        deadlines: BTreeMap::new(),
    };
    let mut next_name = 1;
    let mut requests: Vec<JoinHandle<Ended>> = Vec::new();
    let mut cancelled = Vec::new();
    for arrival in arrivals {
        simulation.run_until(Instant::now() + arrival.after).await;
        let deadline = Instant::now() + arrival.timeout;
        let mut sequences = Vec::new();
        for length in &arrival.lengths {
            sequences.push(sequence(next_name, *length));
            simulation.deadlines.insert(next_name, deadline);
            next_name += 1;
        }
        let schedule = Schedule {
            priority: Priority::try_from(arrival.priority).expect("a priority"),
            deadline,
            when_full: if arrival.waits {
                WhenFull::Wait
            } else {
                WhenFull::Refuse
            },
            ..from_client(arrival.client, MINUTE)
        };
        let queue = queues[arrival.model].clone();
        let names: Vec<u32> = sequences.iter().map(|sequence| sequence.ids[0]).collect();
        let request = async move {
            let outputs = queue.submit(sequences, schedule).await;
            (names, deadline, Instant::now(), outputs)
        };
        if let Some(patience) = arrival.patience {
            cancelled.push(tokio::spawn(async move {
                let _ = tokio::time::timeout(patience, request).await;
            }));
        } else {
            requests.push(tokio::spawn(request));
        }
    }
    simulation.run_until(Instant::now() + MINUTE).await;
    for cancelled in cancelled {
        assert!(cancelled.is_finished(), "a cancelled request goes on");
    }
    for request in requests {
        assert!(request.is_finished(), "a request was lost");
        simulation.check(request.await.expect("no panic"));
    }
    simulation.check_nothing_is_left();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_lost_run_twice_or_run_late(
        arrivals in prop::collection::vec(arrival(), 1..40),
        workers in 1_usize..4,
        faults in prop::collection::vec(prop::bool::weighted(0.1), 1..20),
    ) {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(simulate(arrivals, workers, faults));
    }
}
