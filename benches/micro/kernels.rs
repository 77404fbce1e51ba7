//! A fused graph's matrix products and the kernels between them, in the sizes of ELECTRA small.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use electra_server::activation::Activation;
use electra_server::kernels::{
    ByteWeights, FloatWeights, Heads, Norm, Product, activate_and_quantize, add_and_normalize,
    attend,
};
use fastrand::Rng;

const HEADS: Heads = Heads { count: 4, size: 64 };
const WIDTH: usize = 256;
const INTERMEDIATE: usize = 1024;
const TOKENS: usize = 128;

/// A product's rows, scales and bias, all random.
struct Rows {
    values: Vec<f32>,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl Rows {
    fn of_width(width: usize) -> Self {
        let mut rng = Rng::with_seed(0);
        let mut floats = |count: usize| (0..count).map(|_| rng.f32() * 2.0 - 1.0).collect();
        Self {
            values: floats(TOKENS * width),
            scales: floats(TOKENS),
            bias: floats(width),
        }
    }

    fn product(&self) -> Product<'_> {
        Product {
            rows: &self.values,
            scales: Some(&self.scales),
            bias: &self.bias,
        }
    }
}

pub fn bench(criterion: &mut Criterion) {
    products(criterion);
    around(criterion);
}

fn products(criterion: &mut Criterion) {
    let shape = [WIDTH, INTERMEDIATE];
    let mut rng = Rng::with_seed(0);
    let mut products = vec![0.0; TOKENS * INTERMEDIATE];
    let operations = 2 * TOKENS * WIDTH * INTERMEDIATE;
    let mut group = criterion.benchmark_group("kernels");
    // Criterion shows this as elements per second.
    group.throughput(Throughput::Elements(operations as u64));

    let weights: Vec<f32> = (0..WIDTH * INTERMEDIATE).map(|_| rng.f32()).collect();
    let rows: Vec<f32> = (0..TOKENS * WIDTH).map(|_| rng.f32()).collect();
    let laid_out = FloatWeights::new(shape, &weights);
    group.bench_function(format!("product of floats, {TOKENS} tokens"), |bencher| {
        bencher.iter(|| laid_out.multiply(&rows, black_box(&mut products)));
    });

    let weights: Vec<i8> = (0..WIDTH * INTERMEDIATE)
        .map(|_| rng.i8(-64..=64))
        .collect();
    let rows: Vec<u8> = (0..TOKENS * WIDTH).map(|_| rng.u8(..)).collect();
    let scales = vec![1e-3; INTERMEDIATE];
    let laid_out = ByteWeights::new(shape, &weights);
    group.bench_function(format!("product of bytes, {TOKENS} tokens"), |bencher| {
        bencher.iter(|| laid_out.multiply(&rows, 128, &scales, black_box(&mut products)));
    });
}

fn around(criterion: &mut Criterion) {
    let rows = Rows::of_width(3 * WIDTH);
    let mut context = vec![0.0; TOKENS * WIDTH];
    for length in [16, 64, TOKENS] {
        criterion.bench_function(
            &format!("kernels/attention, {TOKENS} tokens in sequences of {length}"),
            |bencher| {
                bencher.iter(|| {
                    let contexts = context.chunks_mut(length * WIDTH);
                    for (start, context) in (0..).step_by(length).zip(contexts) {
                        let sequence = start..start + length;
                        let queries = sequence.clone();
                        attend(
                            &rows.product(),
                            HEADS,
                            &sequence,
                            queries,
                            black_box(context),
                        );
                    }
                });
            },
        );
    }

    let mut scales = vec![0.0; TOKENS];
    let rows = Rows::of_width(INTERMEDIATE);
    let mut bytes = vec![0; TOKENS * INTERMEDIATE];
    criterion.bench_function(
        &format!("kernels/gelu and quantization, {TOKENS} tokens"),
        |bencher| {
            bencher.iter(|| {
                let (bytes, scales) = (black_box(&mut bytes), &mut scales);
                let product = rows.product();
                activate_and_quantize(Activation::Gelu, &product, 0..TOKENS, 0.5, bytes, scales);
            });
        },
    );

    let rows = Rows::of_width(WIDTH);
    let skip = rows.values.clone();
    let norm = Norm {
        gain: &rows.bias,
        shift: &rows.bias,
        epsilon: 1e-12,
    };
    let mut bytes = vec![0; TOKENS * WIDTH];
    criterion.bench_function(
        &format!("kernels/residual, LayerNorm and quantization, {TOKENS} tokens"),
        |bencher| {
            bencher.iter(|| {
                let normalized = black_box(&mut context);
                let quantized = Some((&mut bytes[..], &mut scales[..]));
                add_and_normalize(
                    &rows.product(),
                    &skip,
                    norm,
                    0..TOKENS,
                    normalized,
                    quantized,
                );
            });
        },
    );
}
