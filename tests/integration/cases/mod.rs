//! One table of requests, sent through every interface. All give the same results, or the same error code.

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

/// The answer of one interface: the HTTP body, or the error's code.
type Outcome = Result<Value, String>;

/// Sends all cases that an interface supports, and compares the outcomes with those of the table and of the native
/// route.
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

/// Rounds every fraction to fp32: some interfaces send binary fp32, others decimal digits.
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

/// The cases of one task, with their indices in the table.
fn of_task(cases: &[Case], task: Task) -> impl Iterator<Item = (usize, &Case)> {
    let numbered = cases.iter().enumerate();
    numbered.filter(move |(_, case)| case.task == task)
}
