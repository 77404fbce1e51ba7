//! Tokenizing a text and cutting it into a model's windows.

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{BatchSize, Criterion, Throughput};
use electra_server::text::{TokenizedText, Tokenizer, Window, windows};
use fastrand::Rng;

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

    bench_slow_texts(criterion, &tokenizer);

    let (tokens, windows) = tokenize_and_window(&tokenizer, &several_windows);
    assert!(windows.len() > 2, "{} windows", windows.len());
    criterion.bench_function("window of most context/several windows", |bencher| {
        bencher.iter(|| windows::most_context(black_box(&windows), tokens.len()));
    });
}

/// The texts that take longest per byte. `src/text/cost.rs` must not estimate them far below what they take.
fn bench_slow_texts(criterion: &mut Criterion, tokenizer: &Tokenizer) {
    const BYTES: usize = 400;
    let accented = || ('\u{e0}'..='\u{ff}').chain('\u{100}'..='\u{17f}');
    let punctuation = || (33..127).map(char::from).filter(char::is_ascii_punctuation);
    let letters = || 'a'..='z';
    let ideographs = || '\u{4e00}'..='\u{9fff}';
    let cases: [(&str, Vec<char>, usize, &str); 7] = [
        ("99 letters", letters().collect(), 99, " "),
        ("33 letters", letters().collect(), 33, " "),
        ("punctuation", punctuation().collect(), 9, " "),
        (
            "accents and punctuation",
            accented().chain(punctuation()).collect(),
            5,
            " ",
        ),
        ("ideographs", ideographs().collect(), 3, " "),
        ("any character", ('\u{80}'..'\u{30000}').collect(), 4, " "),
        (
            "between cached words",
            accented().chain(letters()).collect(),
            2,
            " a b ",
        ),
    ];
    let mut random = Rng::with_seed(16);
    let mut group = criterion.benchmark_group("slow texts");
    group.throughput(Throughput::Bytes(BYTES as u64));
    for (name, characters, word, separator) in cases {
        let mut text = || {
            let mut text = String::with_capacity(BYTES);
            while text.len() < BYTES {
                text.extend((0..word).map(|_| characters[random.usize(..characters.len())]));
                text.push_str(separator);
            }
            text.truncate(text.floor_char_boundary(BYTES));
            text
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                &mut text,
                |text| tokenizer.tokenize(&text).expect("a text"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn tokenize_and_window(tokenizer: &Tokenizer, text: &str) -> (TokenizedText, Vec<Window>) {
    let tokens = tokenizer.tokenize(text).expect("an English text");
    let windows = windows::split(tokens.len(), ROOM, OVERLAP);
    (tokens, windows)
}
