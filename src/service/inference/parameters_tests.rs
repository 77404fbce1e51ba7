//! What parameters mean, and which are refused.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::ParameterValue::{Bool, Double, Int64, String as Text, Uint64};
use super::*;
use crate::service::testing::context;

fn read(name: &str, value: ParameterValue, task: Task) -> Result<RequestParameters, ServiceError> {
    RequestParameters::read(BTreeMap::from([(name.to_owned(), value)]), task)
}

#[tokio::test(start_paused = true)]
async fn priority_and_timeout_change_the_context() {
    let usual = RequestContext {
        latest: Instant::now() + Duration::from_hours(2),
        ..context()
    };
    let check = |context: RequestContext, name: &str, value, wanted: (u8, Duration)| {
        let changed = read(name, value, Task::Tag).unwrap().context(&context);
        let time = changed.deadline - Instant::now();
        assert_eq!((changed.priority.get(), time), wanted);
    };
    let minute = Duration::from_mins(1);
    check(usual, "priority", Int64(1), (1, minute));
    check(usual, "priority", Uint64(5), (5, minute));
    check(usual, "priority", Int64(0), (3, minute));
    let milliseconds = Duration::from_millis;
    check(usual, "timeout", Int64(2_000), (3, milliseconds(2)));
    let text = Text("3000".to_owned());
    check(usual, "timeout", text, (3, milliseconds(3)));
    check(usual, "timeout", Int64(0), (3, minute));
    // Later than usual, but no later than there is time, or than the transport says.
    check(usual, "timeout", Int64(180_000_000), (3, 3 * minute));
    check(usual, "timeout", Uint64(u64::MAX), (3, 120 * minute));
    let said = RequestContext::new(usual.priority, usual.deadline);
    check(said, "timeout", Uint64(u64::MAX), (3, minute));
}

#[test]
fn unusable_parameters_are_refused_by_name() {
    let check = |name: &str, value, code: &str| {
        let error = read(name, value, Task::Discriminate).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    check("priority", Int64(6), "invalid_value");
    check("priority", Int64(-1), "invalid_value");
    check("priority", Bool(true), "invalid_value");
    check("timeout", Double(1.5), "invalid_value");
    check("binary_data_output", Int64(1), "invalid_type");
    check(
        "triton_enable_empty_final_response",
        Int64(1),
        "invalid_type",
    );
    check("sequence_id", Int64(4), "invalid_value");
    check("sequence_start", Bool(true), "invalid_value");
    check("top_k", Int64(1), "unknown_field");
    check("model", Text("other".to_owned()), "unknown_field");
    check("text", Text("other".to_owned()), "unknown_field");
}

#[test]
fn what_says_nothing_here_is_harmless() {
    for (name, value) in [
        ("triton_enable_empty_final_response", Bool(true)),
        ("sequence_id", Int64(0)),
        ("sequence_id", Text(String::new())),
        ("sequence_end", Bool(false)),
    ] {
        assert!(read(name, value, Task::Qa).is_ok(), "{name}");
    }
}

#[test]
fn options_come_as_json_would_have_them() {
    let check = |name: &str, value, task, json: Value| {
        assert_eq!(read(name, value, task).unwrap().options[name], json);
    };
    check("threshold", Double(0.5), Task::Discriminate, 0.5.into());
    check(
        "threshold",
        Text("0.5".to_owned()),
        Task::Discriminate,
        0.5.into(),
    );
    check(
        "truncate",
        Text("true".to_owned()),
        Task::Classify,
        true.into(),
    );
    check(
        "level",
        Text("1".to_owned()),
        Task::Discriminate,
        "1".into(),
    );
    check("stride", Uint64(8), Task::Qa, 8.into());
}

#[test]
fn tensors_have_parameters_of_their_own() {
    let one = |name: &str, value| BTreeMap::from([(name.to_owned(), value)]);
    let output = |name: &str, value| RequestedOutput::new("o".to_owned(), &one(name, value));
    assert_eq!(
        output("binary_data", Bool(true)).unwrap().binary,
        Some(true)
    );
    assert_eq!(output("classification", Int64(0)).unwrap().binary, None);
    for (name, value) in [
        ("classification", Int64(3)),
        ("shared_memory_region", Bool(true)),
    ] {
        assert_eq!(output(name, value).unwrap_err().code(), "unknown_field");
    }
    let size = |name: &str, value| binary_data_size("i", &one(name, value));
    assert_eq!(size("binary_data_size", Int64(7)), Ok(Some(7)));
    assert_eq!(
        size("binary_data_size", Int64(-7)).unwrap_err().code(),
        "invalid_value"
    );
    assert_eq!(
        size("shared_memory_region", Bool(true)).unwrap_err().code(),
        "unknown_field"
    );
}
