//! Parsing requests from JSON and serializing answers to JSON, as the server does.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use electra_server::heads::discriminate::{is_replaced, replaced_probability};
use electra_server::service::{
    AnswerSpan, DiscriminateRequest, Discrimination, QaAnswers, Results, ScoredToken, json,
};
use serde::Serialize;

use crate::samples::{PARAGRAPH, SENTENCE, logits, tokenizer};

pub fn bench(criterion: &mut Criterion) {
    let request = serde_json::json!({ "text": PARAGRAPH }).to_string();
    let mut group = criterion.benchmark_group("JSON in");
    group.throughput(Throughput::Bytes(request.len() as u64));
    group.bench_function("discriminate, a paragraph", |bencher| {
        bencher.iter(|| json::parse::<DiscriminateRequest>(black_box(request.as_bytes())));
    });
    group.finish();

    write(criterion, "discriminate, 64 tokens", &discrimination());
    write(criterion, "qa, one answer", &qa_answers());
}

fn write<R: Serialize>(criterion: &mut Criterion, name: &str, answer: &Results<R>) {
    let written = json::write(answer).expect("an answer");
    let mut group = criterion.benchmark_group("JSON out");
    group.throughput(Throughput::Bytes(written.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| json::write(black_box(answer)));
    });
    group.finish();
}

fn discrimination() -> Results<Discrimination> {
    let tokenizer = tokenizer();
    let tokens = tokenizer.tokenize(PARAGRAPH).expect("an English text");
    let scored: Vec<ScoredToken> = tokens
        .ids
        .iter()
        .zip(tokens.offsets)
        .zip(logits(64))
        .map(|((id, bytes), logit)| {
            let score = replaced_probability(logit);
            ScoredToken {
                token: tokenizer.token(*id).expect("a token's id"),
                start: bytes.start,
                end: bytes.end,
                score,
                fake: is_replaced(score, 0.5),
            }
        })
        .collect();
    assert_eq!(scored.len(), 64);
    answer(Discrimination::Tokens(scored))
}

fn qa_answers() -> Results<QaAnswers> {
    let span = AnswerSpan {
        text: SENTENCE[32..].to_owned(),
        score: 0.734_512_9,
        start: 32,
        end: SENTENCE.len(),
    };
    answer(QaAnswers {
        answers: vec![span],
        no_answer_score: 0.021_374_68,
    })
}

fn answer<R>(result: R) -> Results<R> {
    Results {
        model: "electra-mini".to_owned(),
        results: vec![result],
    }
}
