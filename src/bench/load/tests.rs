//! Tests of [`super`].

use std::collections::BTreeSet;

use tokio::sync::Mutex;
use tokio::time::{sleep, sleep_until};

use super::*;

/// Takes a fixed time per request. With one lane, it answers one request at a time.
#[derive(Default)]
struct Slow {
    lane: Option<Mutex<()>>,
    in_flight: AtomicUsize,
    /// The number of requests in flight at each arrival, including the new one.
    seen: std::sync::Mutex<Vec<usize>>,
}

const WHILE: Duration = Duration::from_millis(100);

impl LoadTarget for Slow {
    async fn send(&self, _: usize) -> Outcome {
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.seen.lock().unwrap().push(now);
        match &self.lane {
            Some(lane) => {
                let _one = lane.lock().await;
                sleep(WHILE).await;
            }
            None => sleep(WHILE).await,
        }
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        Ok(None)
    }
}

fn plan(arrivals: Arrivals) -> Plan {
    Plan {
        arrivals,
        duration: Duration::from_secs(1),
        requests: NonZeroUsize::new(7).unwrap(),
        seed: 5,
    }
}

fn near(found: Duration, wanted: Duration) -> bool {
    found.abs_diff(wanted) < Duration::from_millis(5)
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_keeps_its_number_in_flight() {
    let target = Arc::new(Slow::default());
    let concurrency = NonZeroUsize::new(4).unwrap();
    let samples = run(&target, plan(Arrivals::Closed { concurrency })).await;
    let seen = target.seen.lock().unwrap().clone();
    assert_eq!(seen.iter().max(), Some(&4));
    // Four at once, ten times per second, with the requests in order.
    assert!((39..=44).contains(&samples.len()), "{}", samples.len());
    let requests: BTreeSet<usize> = samples.iter().map(|sample| sample.request).collect();
    assert!(requests.into_iter().eq(0..7));
    for sample in samples {
        assert!(near(sample.latency(), WHILE), "{sample:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_loops_latency_counts_from_the_schedule() {
    let lane = Some(Mutex::new(()));
    let target = Arc::new(Slow {
        lane,
        ..Slow::default()
    });
    // Twice the target's capacity: each request waits for all before it.
    let plan = plan(Arrivals::Open { rate: 20.0 });
    let (start, (sender, due)) = (Instant::now(), mpsc::unbounded_channel());
    let clock = async move {
        for due in arrivals(20.0, plan.duration, plan.seed) {
            sleep_until(start + due).await;
            sender.send(due).unwrap();
        }
    };
    let (mut samples, ()) = tokio::join!(open_loop(&target, plan, start, due), clock);
    samples.sort_by_key(|sample| sample.finished);
    assert!(samples.len() > 10, "{}", samples.len());
    let mut free = Duration::ZERO;
    for sample in &samples {
        free = free.max(sample.due) + WHILE;
        assert!(near(sample.finished, free), "{sample:?}, not {free:?}");
    }
    let last = samples.last().unwrap();
    assert!(last.latency() > 3 * WHILE, "{last:?}");
}

#[test]
fn arrivals_are_random_times_at_the_rate() {
    let second = Duration::from_secs(1);
    let times: Vec<Duration> = arrivals(500.0, 20 * second, 1).collect();
    assert!((9_600..10_400).contains(&times.len()), "{}", times.len());
    assert!(times.is_sorted());
    assert!(times.iter().copied().eq(arrivals(500.0, 20 * second, 1)));
    assert!(times.iter().copied().ne(arrivals(500.0, 20 * second, 2)));
    // In a Poisson process, the variance of the number of arrivals per second equals its mean.
    let counts = (0..20).map(|index| {
        let within = index * second..(index + 1) * second;
        times.iter().filter(|time| within.contains(*time)).count()
    });
    let counts: BTreeSet<usize> = counts.collect();
    assert!(counts.len() > 5, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_given_up() {
    struct Silent;
    impl LoadTarget for Silent {
        async fn send(&self, _: usize) -> Outcome {
            std::future::pending().await
        }
    }
    let concurrency = NonZeroUsize::MIN;
    let samples = run(&Arc::new(Silent), plan(Arrivals::Closed { concurrency })).await;
    let failure = samples[0].outcome.as_ref().unwrap_err();
    assert_eq!(failure.kind, "no answer");
}
