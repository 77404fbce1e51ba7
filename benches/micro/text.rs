//! Tokenizing a text and cutting it into a model's windows.

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{BatchSize, Criterion, Throughput};
use electra_server::text::{TokenizedText, Tokenizer, Window, windows};

use crate::samples::{PARAGRAPH, SENTENCE, tokenizer};

/// Tokens of a window in a model of 512 positions, without `[CLS]` and `[SEP]`.
const ROOM: NonZeroUsize = NonZeroUsize::new(510).expect("510");
/// The service's default.
const OVERLAP: usize = 128;

pub fn bench(criterion: &mut Criterion) {
    let tokenizer = tokenizer();
    let several_windows = PARAGRAPH.repeat(12);
    let mut group = criterion.benchmark_group("tokenize and window");
    for (name, text) in [
        ("sentence", SENTENCE),
        ("paragraph", PARAGRAPH),
        ("several windows", &several_windows),
    ] {
        let (tokens, _) = tokenize_and_window(&tokenizer, text);
        group.throughput(Throughput::Elements(tokens.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| tokenize_and_window(&tokenizer, black_box(text)));
        });
    }
    let mut texts = (10_000..).map(|number| PARAGRAPH.replace(' ', &format!("{number} ")));
    let (tokens, _) = tokenize_and_window(&tokenizer, &texts.next().expect("a number"));
    group.throughput(Throughput::Elements(tokens.len() as u64));
    group.bench_function("paragraph of words that never came before", |bencher| {
        bencher.iter_batched(
            || texts.next().expect("a number"),
            |text| tokenize_and_window(&tokenizer, &text),
            BatchSize::SmallInput,
        );
    });
    group.finish();

    let (tokens, windows) = tokenize_and_window(&tokenizer, &several_windows);
    assert!(windows.len() > 2, "{} windows", windows.len());
    criterion.bench_function("window of most context/several windows", |bencher| {
        bencher.iter(|| windows::most_context(black_box(&windows), tokens.len()));
    });
}

fn tokenize_and_window(tokenizer: &Tokenizer, text: &str) -> (TokenizedText, Vec<Window>) {
    let tokens = tokenizer.tokenize(text).expect("an English text");
    let windows = windows::split(tokens.len(), ROOM, OVERLAP);
    (tokens, windows)
}
