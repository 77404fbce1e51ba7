//! Batch selection, and building a batch's input tensors in either layout.

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{Criterion, Throughput};
use electra_server::batch::policy::{BatchLimit, LOOK_AHEAD, choose, share};
use electra_server::engine::PackedBatch;
use electra_server::inference::Sequence;

const BUDGET: NonZeroUsize = NonZeroUsize::new(1024).expect("1024");
const WORKERS: NonZeroUsize = NonZeroUsize::new(8).expect("8");

pub fn bench(criterion: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(0);
    let lengths: Vec<usize> = (0..LOOK_AHEAD).map(|_| random.usize(8..=128)).collect();
    let limit = BatchLimit {
        tokens: BUDGET,
        pads_to_longest: false,
    };
    let mut group = criterion.benchmark_group("batch");
    group.bench_function("choose of 64 waiting", |bencher| {
        bencher.iter(|| choose(black_box(&lengths), black_box(limit)));
    });
    let waiting_tokens: usize = lengths.iter().sum();
    group.bench_function("share", |bencher| {
        bencher.iter(|| {
            share(
                black_box(BUDGET),
                black_box(waiting_tokens),
                black_box(WORKERS),
            )
        });
    });

    let sequences: Vec<Sequence> = choose(&lengths, limit)
        .into_iter()
        .map(|position| sequence(lengths[position]))
        .collect();
    let sequences: Vec<&Sequence> = sequences.iter().collect();
    let tokens: usize = sequences.iter().map(|sequence| sequence.len()).sum();
    group.throughput(Throughput::Elements(tokens as u64));
    group.bench_function("pack", |bencher| {
        bencher.iter(|| PackedBatch::new(black_box(&sequences)));
    });
    group.finish();
}

fn sequence(length: usize) -> Sequence {
    Sequence {
        ids: vec![2000; length],
        type_ids: vec![0; length],
    }
}
