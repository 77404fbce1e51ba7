//! What stands between the matrix products of a fused graph, in ELECTRA small's sizes.

use std::hint::black_box;

use criterion::Criterion;
use electra_server::export::config::Activation;
use electra_server::kernels::{
    Heads, Norm, Product, activate_and_quantize, add_and_normalize, attend,
};
use fastrand::Rng;

const HEADS: Heads = Heads { count: 4, size: 64 };
const WIDTH: usize = 256;
const INTERMEDIATE: usize = 1024;
const TOKENS: usize = 128;

/// A product's rows, their scales and the bias, all at random.
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
