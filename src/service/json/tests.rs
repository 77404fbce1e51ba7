//! Tests of [`super`].

use serde_json::json;

use super::*;
use crate::fields::Count;
use crate::service::input::Inputs;
use crate::service::{ClassifyRequest, DiscriminateRequest, QaRequest, Results};

fn check<T: DeserializeOwned>(body: &str, code: &str, sentence_part: &str) {
    let Err(error) = parse::<T>(body.as_bytes()) else {
        panic!("{body} was taken");
    };
    assert_eq!(error.code(), code, "{body}: {error}");
    assert!(error.to_string().contains(sentence_part), "{body}: {error}");
}

#[test]
fn what_is_no_json_is_invalid_json() {
    for body in [
        "",
        "{",
        "{\"text\": NaN}",
        "{\"text\": \"a\"} x",
        "{'text': 1}",
    ] {
        check::<DiscriminateRequest>(body, "invalid_json", "not valid JSON");
    }
    check::<DiscriminateRequest>(&"[".repeat(100_000), "invalid_json", "recursion limit");
    check::<DiscriminateRequest>("{\"text\": 1, ", "invalid_json", "EOF");
    check::<DiscriminateRequest>(
        "{\"text\": \"a\", \"threshold\": 1e999}",
        "invalid_json",
        "number",
    );
}

#[test]
fn a_lone_surrogate_is_named_with_its_place() {
    for (body, place) in [
        (
            r#"{"text": ["ok", "\ud800"]}"#,
            "`text[1]` holds a lone surrogate",
        ),
        (r#"{"text": "cut \ud83d"}"#, "`text` holds"),
        (
            r#"{"text": ["\ud83d\ude00", "\ude00\ud83d"]}"#,
            "`text[1]` holds",
        ),
        (r#"{"text": "\ud83d\n"}"#, "`text` holds"),
        (
            r#"{"items": [{"question": "a", "context": "\ud83d\u0041"}]}"#,
            "`items[0].context` holds",
        ),
        (
            r#"{"inputs": [{"data": ["a", ["\udfff"]]}]}"#,
            "`inputs[0].data[1][0]` holds",
        ),
        (r#"{"\ud800": 1}"#, "The body holds"),
        (r#"{"items": [{"\ud800": 1}]}"#, "`items[0]` holds"),
    ] {
        check::<DiscriminateRequest>(body, "invalid_json", place);
    }
    // A malformed escape that is not a surrogate is still invalid JSON.
    check::<DiscriminateRequest>(r#"{"text": "\ud8"}"#, "invalid_json", "not valid JSON");
    assert!(parse::<DiscriminateRequest>(br#"{"text": "\ud83d\ude00"}"#).is_ok());
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_document() {
    let body = "\u{feff}{\"text\": \"\u{feff}a\"}";
    let request: DiscriminateRequest = parse(body.as_bytes()).unwrap();
    assert_eq!(request.text.items(), ["\u{feff}a"]);
    check::<DiscriminateRequest>("\u{feff}", "invalid_json", "EOF");
    check::<DiscriminateRequest>("\u{feff}\u{feff}{}", "invalid_json", "expected value");
}

#[test]
fn what_is_quoted_is_short_and_never_a_text() {
    let error = |body: &Value| parse::<Quotes>(body.to_string().as_bytes()).err().unwrap();
    let long = "`, expected é\"".repeat(1000);
    // A key is quoted with its path.
    let shown: String = long.chars().take(90).collect();
    let secret = "my secret, expected nothing else";
    for (body, quoted) in [
        (json!({"text": {"a": secret}}), None),
        (json!({"count": secret}), None),
        (json!({"share": secret}), None),
        (json!({"flag": long}), None),
        (json!({"list": secret}), None),
        (json!({"level": long}), Some(&shown)),
        (json!({&long: 1}), Some(&shown)),
        (json!({"free": {&long: "a"}}), Some(&shown)),
        (json!({"count": -1e300}), None),
    ] {
        let sentence = error(&body).to_string();
        assert!(sentence.chars().count() < 400, "{sentence}");
        assert!(!sentence.contains("secret"), "{sentence}");
        assert_eq!(sentence.contains(&shown), quoted.is_some(), "{sentence}");
        let more: String = long.chars().take(101).collect();
        assert!(!sentence.contains(&more), "{sentence}");
    }
    check::<Quotes>(
        r#"{"count": "a"}"#,
        "invalid_type",
        "`count` has the wrong type: invalid type: a string, expected a whole number",
    );
    check::<Quotes>(r#"{"levle": 1}"#, "unknown_field", "`level`");
}

/// Every type of field that requests have.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Quotes {
    #[serde(rename = "text")]
    _text: Option<Inputs<String>>,
    #[serde(rename = "count")]
    _count: Option<Count<1>>,
    #[serde(rename = "share")]
    _share: Option<f64>,
    #[serde(rename = "flag")]
    _flag: Option<bool>,
    #[serde(rename = "list")]
    _list: Option<Vec<String>>,
    #[serde(rename = "level")]
    _level: Option<crate::fields::Aggregation>,
    #[serde(rename = "free")]
    _free: Option<std::collections::BTreeMap<String, bool>>,
}

#[test]
fn bytes_that_are_no_utf8_are_named() {
    let error = parse::<DiscriminateRequest>(b"{\"text\": \"\xff\"}")
        .err()
        .unwrap();
    assert_eq!(error, ServiceError::InvalidUtf8 { position: 10 });
}

#[test]
fn wrong_types_are_named_with_their_place() {
    check::<DiscriminateRequest>("[1]", "invalid_type", "The body has the wrong type");
    check::<DiscriminateRequest>("{\"text\": 5}", "invalid_type", "`text` has the wrong type");
    check::<DiscriminateRequest>("{\"text\": [\"a\", null]}", "invalid_type", "`text[1]`");
    check::<DiscriminateRequest>(
        "{\"text\": \"a\", \"level\": 3}",
        "invalid_type",
        "expected a string.",
    );
    check::<ClassifyRequest>("{\"text\": [[\"a\"]]}", "invalid_type", "`text[0]`");
    check::<ClassifyRequest>(
        "{\"text\": [[\"a\", \"b\", \"c\"]]}",
        "invalid_type",
        "`text[0]`",
    );
    check::<ClassifyRequest>(
        "{\"text\": \"a\", \"top_k\": 1.5}",
        "invalid_type",
        "`top_k`",
    );
    check::<QaRequest>("[\"who?\", \"me\"]", "invalid_type", "a JSON object");
    check::<QaRequest>(
        "{\"items\": [[\"who?\", \"me\"]]}",
        "invalid_type",
        "`items[0]`",
    );
    check::<QaRequest>(
        "{\"items\": [{\"question\": 1}]}",
        "invalid_type",
        "`items[0].question`",
    );
}

#[test]
fn missing_and_unknown_fields_are_named_with_their_place() {
    check::<DiscriminateRequest>("{}", "missing_field", "The body lacks the field `text`.");
    check::<QaRequest>(
        "{\"items\": [{\"question\": \"a\"}]}",
        "missing_field",
        "`items[0]` lacks the field `context`.",
    );
    check::<DiscriminateRequest>(
        "{\"text\": \"a\", \"treshold\": 1}",
        "unknown_field",
        "The body has the unknown field `treshold`. Did you mean `threshold`?",
    );
    check::<QaRequest>(
        "{\"items\": [{\"query\": \"a\"}]}",
        "unknown_field",
        "`items[0]` has the unknown field `query`.",
    );
}

#[test]
fn unusable_values_are_named_with_what_would_be_right() {
    check::<ClassifyRequest>(
        "{\"text\": \"a\", \"top_k\": 0}",
        "invalid_value",
        "`top_k`",
    );
    check::<ClassifyRequest>(
        "{\"text\": \"a\", \"top_k\": -1}",
        "invalid_value",
        "at least 1",
    );
    check::<DiscriminateRequest>(
        "{\"text\": \"a\", \"threshold\": 1.5}",
        "invalid_value",
        "from 0 to 1",
    );
    check::<DiscriminateRequest>(
        "{\"text\": \"a\", \"level\": \"line\"}",
        "invalid_value",
        "`word`",
    );
}

#[test]
fn null_is_as_if_a_field_were_absent() {
    let request: DiscriminateRequest =
        parse(b"{\"text\": \"a\", \"threshold\": null, \"model\": null}").unwrap();
    assert_eq!(request.threshold, None);
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts() {
    let request: DiscriminateRequest =
        parse(br#"{"text": "a", "text": "b", "threshold": 0.25}"#).unwrap();
    assert_eq!(request.text.items(), ["b"]);
    check::<DiscriminateRequest>(r#"{"text": "a", "text": 1}"#, "invalid_type", "`text`");
}

#[test]
fn an_answer_is_written_on_one_line() {
    let results = Results {
        model: "a \"model\"".to_owned(),
        results: vec!["one\nline", "é"],
    };
    assert_eq!(
        write(&results).unwrap(),
        r#"{"model":"a \"model\"","results":["one\nline","é"]}"#
    );
}

#[test]
fn memory_counts_values_and_not_what_texts_say() {
    let body = br#"{"text": "a, [b]: {c} \" , \\"}"#;
    assert_eq!(memory(body), body.len() + 640 + 32);
    let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
    // At the least what serde_json's values were measured to need.
    for (item, needed) in [
        ("1", 96),
        (r#""a""#, 96),
        ("[]", 48),
        ("[1]", 224),
        (r#"{"":1}"#, 736),
    ] {
        let body = list(item, 1000);
        let counted = memory(body.as_bytes()) / 1000;
        assert!(counted >= needed, "{item}: {counted}");
    }
    // A string that does not end.
    assert_eq!(memory(br#"["a\"#), 160 + 4);
}
