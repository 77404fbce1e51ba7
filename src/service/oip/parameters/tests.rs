//! Parameters: their effects, and which are refused.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::ParameterValue::{Bool, Double, Int64, Null, Other, String as Text, Uint64};
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
    let check = |context: &RequestContext, name: &str, value, wanted: (u8, Duration)| {
        let changed = read(name, value, Task::Tag).unwrap().context(context);
        let time = changed.deadline - Instant::now();
        assert_eq!((changed.priority.get(), time), wanted);
    };
    let minute = Duration::from_mins(1);
    check(&usual, "priority", Int64(1), (1, minute));
    check(&usual, "priority", Uint64(5), (5, minute));
    check(&usual, "priority", Int64(0), (3, minute));
    let milliseconds = Duration::from_millis;
    check(&usual, "timeout", Int64(2_000), (3, milliseconds(2)));
    let text = Text("3000".to_owned());
    check(&usual, "timeout", text, (3, milliseconds(3)));
    check(&usual, "timeout", Int64(0), (3, minute));
    // Above the default, but clamped to the maximum and to the transport's deadline.
    check(&usual, "timeout", Int64(180_000_000), (3, 3 * minute));
    check(&usual, "timeout", Uint64(u64::MAX), (3, 120 * minute));
    let said = RequestContext::new(usual.priority, usual.deadline);
    check(&said, "timeout", Uint64(u64::MAX), (3, minute));
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
    check("threshold", Other, "invalid_type");
    check("priority", Other, "invalid_value");
}

/// A misspelt option is still refused, although unknown parameters are ignored.
#[test]
fn what_is_nearly_an_option_is_refused_with_its_name() {
    let check = |name: &str, task, hint: &str| {
        let error = read(name, Int64(1), task).unwrap_err();
        assert_eq!(error.code(), "unknown_field", "{name}: {error}");
        assert!(error.to_string().contains(hint), "{name}: {error}");
    };
    check("treshold", Task::Discriminate, "Did you mean `threshold`?");
    check("top_p", Task::Classify, "Did you mean `top_k`?");
    check("thresold", Task::Classify, "Did you mean `threshold`?");
    check("TOP_K", Task::Classify, "Did you mean `top_k`?");
    check("prioritie", Task::Tag, "Did you mean `priority`?");
    check("time_out", Task::Tag, "Did you mean `timeout`?");
    check(
        "binary_data_outputs",
        Task::Tag,
        "Did you mean `binary_data_output`?",
    );
    // Options of other tasks, and of the Hugging Face route, would have no effect.
    check(
        "top_k",
        Task::Tag,
        "its options are `aggregation`, `offsets`",
    );
    check("aggregation_strategy", Task::Tag, "called `aggregation`");
    check("grouped_entities", Task::Tag, "called `aggregation`");
    check("return_all_scores", Task::Classify, "called `top_k`");
    check("truncation", Task::Classify, "called `truncate`");
    check("model", Task::Tag, "names the model");
}

/// Parameters that clients of other servers add to every request are ignored.
#[test]
fn what_other_servers_clients_add_is_ignored() {
    for (name, value) in [
        ("triton_enable_empty_final_response", Bool(true)),
        ("triton_enable_empty_final_response", Int64(1)),
        ("sequence_id", Int64(4)),
        ("sequence_id", Text("abc".to_owned())),
        ("sequence_start", Bool(true)),
        ("sequence_end", Bool(false)),
        ("headers", Other),
        ("content_type", Text("str".to_owned())),
        ("content_type", Null),
        ("threshold", Null),
        ("max_tokens_of_a_language_model", Double(1.5)),
    ] {
        let read = read(name, value.clone(), Task::Discriminate);
        let read = read.unwrap_or_else(|error| panic!("{name} {value:?}: {error}"));
        assert!(read.options.is_empty(), "{name}");
    }
}

/// Parameters that would change the meaning of the data or the answer are refused.
#[test]
fn what_changes_the_data_is_refused_by_name() {
    let one = |name: &str, value| BTreeMap::from([(name.to_owned(), value)]);
    for (name, value) in [
        ("content_type", Text("base64".to_owned())),
        ("content_type", Other),
        ("classification", Int64(3)),
        ("classification", Bool(true)),
        ("shared_memory_region", Text("region".to_owned())),
        ("shared_memory_offset", Int64(0)),
        ("shared_memory_byte_size", Int64(8)),
    ] {
        let errors = [
            read(name, value.clone(), Task::Classify).unwrap_err(),
            binary_data_size("i", &one(name, value.clone())).unwrap_err(),
            RequestedOutput::new("o".to_owned(), &one(name, value)).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code(), "unknown_field", "{name}: {error}");
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
    }
}

#[test]
fn values_of_any_json_type_are_read() {
    let json = serde_json::json!({"a": null, "b": [1, [2]], "c": {"d": {}}, "e": 1, "f": "g"});
    let parameters: Parameters = serde_json::from_value(json).unwrap();
    let values: Vec<&ParameterValue> = parameters.values().collect();
    let wanted = [Null, Other, Other, Uint64(1), Text("g".to_owned())];
    assert_eq!(values, wanted.iter().collect::<Vec<_>>());
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
    assert_eq!(output("binary_data", Null).unwrap().binary, None);
    assert_eq!(output("headers", Other).unwrap().binary, None);
    let mistyped = output("binary_date", Bool(true)).unwrap_err();
    assert!(
        mistyped.to_string().contains("`binary_data`?"),
        "{mistyped}"
    );
    let size = |name: &str, value| binary_data_size("i", &one(name, value));
    for misplaced in [
        output("top_k", Int64(1)).unwrap_err(),
        size("top_k", Int64(1)).unwrap_err(),
    ] {
        let misplaced = misplaced.to_string();
        assert!(
            misplaced.contains("in the request's `parameters`"),
            "{misplaced}"
        );
    }
    assert_eq!(size("binary_data_size", Int64(7)), Ok(Some(7)));
    assert_eq!(
        size("binary_data_size", Int64(-7)).unwrap_err().code(),
        "invalid_value"
    );
    assert_eq!(size("content_type", Text("np".to_owned())), Ok(None));
    assert_eq!(size("binary_data_size", Null), Ok(None));
    let mistyped = size("binary_datasize", Int64(7)).unwrap_err();
    assert!(
        mistyped.to_string().contains("`binary_data_size`?"),
        "{mistyped}"
    );
}
