//! Letting requests in: a right key, a wrong one of equal length, and none, among ten thousand.

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use electra_server::access::{AccessOptions, Credentials, Digest, Door, Guard, Need, Origin};
use electra_server::client::Sender;
use electra_server::telemetry::metrics::Metrics;

const KEYS: usize = 10_000;
/// Calls of each kind whose times are compared.
const COMPARED: usize = 100_000;
/// Times beyond this share of the fastest calls are those of interruptions.
const KEPT: f64 = 0.95;

fn key(number: usize) -> String {
    format!("electra_{number:043}")
}

fn guard() -> Guard {
    let mut file = String::new();
    for number in 0..KEYS {
        let digest = Digest::of(key(number).as_bytes());
        writeln!(file, "name-{number} infer {digest}").expect("a string grows");
    }
    let options = AccessOptions {
        key_file: Some("keys".into()),
        ..AccessOptions::default()
    };
    Guard::new(options, Some(file.as_bytes()), Metrics::new("bench")).expect("keys")
}

fn admit(guard: &Guard, key: &str) -> bool {
    let origin = Origin {
        door: Door::Public,
        sender: Sender::default(),
    };
    let credentials = Credentials::Key(key.as_bytes());
    guard.admit(Need::Infer, origin, credentials).is_ok()
}

pub fn bench(criterion: &mut Criterion) {
    let guard = guard();
    let mut group = criterion.benchmark_group("access, 10,000 keys");
    let random = |from: usize| key(from + fastrand::usize(0..KEYS));
    group.bench_function("find a right key", |bencher| {
        bencher.iter_batched(
            || random(0),
            |key| black_box(guard.knows(key.as_bytes())),
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("find a wrong key", |bencher| {
        bencher.iter_batched(
            || random(KEYS),
            |key| black_box(guard.knows(key.as_bytes())),
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("let a request in", |bencher| {
        bencher.iter_batched(
            || random(0),
            |key| black_box(admit(&guard, &key)),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
    compare(&guard);
}

/// Whether the time of the check tells right keys from wrong ones of equal length: Welch's t of calls taken in turn.
/// Beyond 4.5, as is usual for such tests, it would.
fn compare(guard: &Guard) {
    let mut times = [Vec::with_capacity(COMPARED), Vec::with_capacity(COMPARED)];
    for call in 0..2 * COMPARED {
        // In no order that a cache or a branch predictor could learn.
        let is_wrong = fastrand::bool();
        let sent = key(fastrand::usize(0..KEYS) + if is_wrong { KEYS } else { 0 });
        let started = Instant::now();
        black_box(guard.knows(black_box(sent.as_bytes())));
        let elapsed = started.elapsed();
        if call > COMPARED / 10 {
            times[usize::from(is_wrong)].push(elapsed);
        }
    }
    let [right, wrong] = times.map(moments);
    let t = (right.0 - wrong.0) / (right.1 + wrong.1).sqrt();
    println!(
        "access: right keys {:.1} ns, wrong keys {:.1} ns, Welch's t {t:.2}",
        right.0, wrong.0
    );
}

/// The mean in nanoseconds, and its variance.
#[allow(clippy::cast_precision_loss, reason = "counts and times are small")]
fn moments(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let kept = (times.len() as f64 * KEPT).round();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length"
    )]
    times.truncate(kept as usize);
    let nanoseconds = || times.iter().map(|time| time.as_nanos() as f64);
    let mean = nanoseconds().sum::<f64>() / kept;
    let squares: f64 = nanoseconds().map(|time| (time - mean).powi(2)).sum();
    (mean, squares / (kept - 1.0) / kept)
}
