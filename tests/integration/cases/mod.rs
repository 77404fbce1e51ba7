//! One table of requests, sent every way in: each gives the same results, or the same error's code.

mod command_line;
mod electra_v1;
mod http;
mod inference;
mod inference_grpc;
mod table;

use electra_server::task::Task;
use serde_json::Value;
use table::{Case, Way, cases};

use crate::harness::default_server;

/// What one way answers: the body that HTTP has, or the error's code.
type Outcome = Result<Value, String>;

/// Sends all cases of a way, and compares its outcomes with those that the table and the native route give.
async fn check(way: Way) {
    let server = default_server();
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.ways.contains(&way))
        .collect();
    let outcomes = match way {
        Way::Http => http::send(&server, &cases).await,
        Way::CommandLine => command_line::send(&cases),
        Way::ElectraV1 => electra_v1::send(&server, &cases).await,
        Way::InferenceHttp => inference::send(&server, &cases).await,
        Way::InferenceGrpc => inference_grpc::send(&server, &cases).await,
    };
    let wanted = http::send(&server, &cases).await;
    assert_eq!(outcomes.len(), cases.len());
    for ((case, found), wanted) in cases.iter().zip(outcomes).zip(wanted) {
        let told = found.as_ref().err().map(String::as_str);
        assert_eq!(told, case.refused, "{way:?} {case:?}: {found:?}");
        assert_eq!(found.map(in_fp32), wanted.map(in_fp32), "{way:?} {case:?}");
    }
}

/// With every fraction as the fp32 that it stands for: some ways write it as such, others in decimal digits.
fn in_fp32(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(in_fp32).collect(),
        Value::Object(fields) => (fields.into_iter())
            .map(|(name, value)| (name, in_fp32(value)))
            .collect(),
        Value::Number(number) if number.is_f64() => {
            #[expect(clippy::cast_possible_truncation, reason = "it was fp32")]
            let fraction = number.as_f64().expect("a fraction") as f32;
            fraction.into()
        }
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_routes_answer_as_the_table_says() {
    check(Way::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_answers_as_http() {
    check(Way::CommandLine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn electra_v1_answers_as_http() {
    check(Way::ElectraV1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_inference_protocol_answers_as_http() {
    check(Way::InferenceHttp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_inference_protocol_over_grpc_answers_as_http() {
    check(Way::InferenceGrpc).await;
}

/// The cases of one task, with their places among all.
fn of_task(cases: &[Case], task: Task) -> impl Iterator<Item = (usize, &Case)> {
    let numbered = cases.iter().enumerate();
    numbered.filter(move |(_, case)| case.task == task)
}
