//! Decoding each head's logits to an answer, with a request's default options.

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::Criterion;
use electra_server::heads::classify::{rank, scores};
use electra_server::heads::discriminate::{replaced_probability, score_words};
use electra_server::heads::qa::{QaOptions, QaWindow, decode};
use electra_server::heads::scheme::Scheme;
use electra_server::heads::tag::{Grouping, TaggedToken, entities};
use electra_server::text::TokenizedText;

use crate::samples::{PARAGRAPH, logits, tokenizer};
use electra_server::fields::{Aggregation, ScoreFunction};

pub fn bench(criterion: &mut Criterion) {
    let tokens = tokenizer().tokenize(PARAGRAPH).expect("an English text");
    discriminate(criterion, &tokens);
    classify(criterion);
    tag(criterion, &tokens);
    qa(criterion);
}

fn discriminate(criterion: &mut Criterion, tokens: &TokenizedText) {
    let logits = logits(tokens.len());
    let name = format!("decode/discriminate, words of {} tokens", tokens.len());
    criterion.bench_function(&name, |bencher| {
        bencher.iter(|| {
            let scores: Vec<f32> = black_box(&logits)
                .iter()
                .map(|logit| replaced_probability(*logit))
                .collect();
            score_words(&scores, &tokens.words)
        });
    });
}

fn classify(criterion: &mut Criterion) {
    let logits = logits(5);
    criterion.bench_function("decode/classify, 5 labels", |bencher| {
        bencher.iter(|| rank(&scores(black_box(&logits), ScoreFunction::Softmax), None));
    });
}

fn tag(criterion: &mut Criterion, tokens: &TokenizedText) {
    let phrases = [
        "NP", "VP", "PP", "ADVP", "SBAR", "ADJP", "PRT", "CONJP", "INTJ", "LST", "UCP",
    ];
    let labels: Vec<String> = phrases
        .iter()
        .flat_map(|phrase| [format!("B-{phrase}"), format!("I-{phrase}")])
        .chain(["O".to_owned()])
        .collect();
    let logits = logits(tokens.len() * labels.len());
    let tagged: Vec<TaggedToken<'_>> = logits
        .chunks_exact(labels.len())
        .enumerate()
        .map(|(token, logits)| TaggedToken {
            logits,
            bytes: tokens.offsets[token].clone(),
            continues_word: tokens.continues_word(token),
        })
        .collect();
    let (count, width) = (tokens.len(), labels.len());
    let name = format!("decode/tag, {count} tokens, {width} labels");
    criterion.bench_function(&name, |bencher| {
        let grouping = Grouping::Scheme(Scheme::of(labels.iter().map(String::as_str)));
        bencher.iter(|| {
            entities(
                black_box(&tagged),
                &labels,
                &["O"],
                Aggregation::default(),
                grouping,
            )
        });
    });
}

fn qa(criterion: &mut Criterion) {
    const TOKENS: usize = 384;
    let logits = logits(2 * TOKENS);
    // [CLS] and [SEP] around a question of 12 tokens, and a last [SEP].
    let windows = [QaWindow {
        logits: &logits,
        context: 14..TOKENS - 1,
        first_context_token: 0,
    }];
    let options = QaOptions {
        top_k: NonZeroUsize::MIN,
        max_answer_tokens: NonZeroUsize::new(30).expect("30"),
    };
    criterion.bench_function("decode/qa, a window of 384 tokens", |bencher| {
        bencher.iter(|| decode(black_box(&windows), options));
    });
}
