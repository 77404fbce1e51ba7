//! Inference requests in JSON and in binary, valid and invalid.

use serde_json::json;

use super::*;
use crate::service::oip::TensorData;

fn model(version: &str) -> Addressed {
    Addressed {
        name: "m".to_owned(),
        address: crate::service::oip::address("m", version).into_owned(),
    }
}

fn with_input(input: &Value) -> Vec<u8> {
    json!({"inputs": [input]}).to_string().into_bytes()
}

fn data_of(body: &[u8], json_length: Option<usize>) -> TensorData {
    let request = read(&model(""), body, json_length).unwrap();
    request.inputs[0].data().clone()
}

#[track_caller]
fn refused(body: &[u8], json_length: Option<usize>, code: &str, words: &str) {
    let error = read(&model("1"), body, json_length).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn data_is_flat_or_nested() {
    let numbers = TensorData::Int64(vec![1, 2, 3, 4]);
    for data in [json!([1, 2, 3, 4]), json!([[1, 2], [3, 4]])] {
        let input = json!({"name": "i", "datatype": "INT64", "shape": [2, 2], "data": data});
        assert_eq!(data_of(&with_input(&input), None), numbers);
    }
    let strings = json!({"name": "i", "datatype": "BYTES", "shape": [1], "data": ["é"]});
    let text = TensorData::Bytes(vec!["é".as_bytes().to_vec()]);
    assert_eq!(data_of(&with_input(&strings), None), text);
}

#[test]
fn elements_are_of_the_tensors_type() {
    for (datatype, element, place) in [
        ("INT64", json!(1.5), "`inputs[0].data[0]`"),
        ("INT64", json!(u64::MAX), "18446744073709551615"),
        ("INT32", json!(1_i64 << 40), "32 bits"),
        ("BOOL", json!(1), "true or false"),
        ("FP32", json!("1"), "a number"),
        ("BYTES", json!(null), "it is null"),
        ("BYTES", json!([[3]]), "`inputs[0].data[0][0][0]`"),
    ] {
        let input = json!({"name": "i", "datatype": datatype, "shape": [1], "data": [element]});
        refused(&with_input(&input), None, "invalid_type", place);
    }
    let input = json!({"name": "i", "datatype": "BYTES", "shape": [1], "data": "a"});
    refused(&with_input(&input), None, "invalid_type", "must be a list");
}

fn binary_body(sizes: &[usize], raw: &[u8]) -> (Vec<u8>, usize) {
    let input = |size: &usize| {
        json!({
            "name": format!("i{size}"),
            "datatype": "INT32",
            "shape": [size / 4],
            "parameters": {"binary_data_size": size},
        })
    };
    let inputs: Vec<_> = sizes.iter().map(input).collect();
    let mut body = json!({"inputs": inputs}).to_string().into_bytes();
    let length = body.len();
    body.extend_from_slice(raw);
    (body, length)
}

#[test]
fn binary_data_follows_the_json_in_the_inputs_order() {
    let (body, length) = binary_body(&[4, 8], &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    let request = read(&model(""), &body, Some(length)).unwrap();
    assert_eq!(request.inputs[0].data(), &TensorData::Int32(vec![1]));
    assert_eq!(request.inputs[1].data(), &TensorData::Int32(vec![2, 3]));
}

#[test]
fn binary_data_that_does_not_add_up_is_refused() {
    let check = |raw: &[u8], words: &str| {
        let (body, length) = binary_body(&[4], raw);
        refused(&body, Some(length), "invalid_value", words);
    };
    check(&[0; 3], "it is 4, and 3 bytes are left");
    check(&[0; 6], "2 bytes of binary data");
    let (body, _) = binary_body(&[4], &[]);
    refused(
        &body,
        None,
        "invalid_value",
        "Inference-Header-Content-Length",
    );
    let (body, _) = binary_body(&[4], &[0; 4]);
    refused(&body, None, "invalid_json", "");
}

#[test]
fn inputs_have_data_one_way() {
    let input = |changes: &Value| {
        let mut input = json!({"name": "i", "datatype": "INT64", "shape": [1]});
        for (field, value) in changes.as_object().unwrap() {
            input[field] = value.clone();
        }
        with_input(&input)
    };
    refused(
        &input(&json!({})),
        None,
        "missing_field",
        "`inputs[0]` lacks the field `data`",
    );
    let both = json!({"data": [1], "parameters": {"binary_data_size": 0}});
    refused(&input(&both), None, "invalid_value", "one or the other");
    refused(
        &input(&json!({"datatype": "FP8"})),
        None,
        "invalid_value",
        "`FP8`",
    );
    refused(
        &input(&json!({"dat": [1]})),
        None,
        "unknown_field",
        "Did you mean `data`?",
    );
    refused(b"{}", None, "missing_field", "`inputs`");
    refused(
        br#"{"inputs": [["i", "INT64", [1]]]}"#,
        None,
        "invalid_type",
        "`inputs[0]`",
    );
}

#[test]
fn a_model_named_in_the_body_is_that_of_the_path() {
    let body = |name: &str, version: &str| {
        json!({"model_name": name, "model_version": version, "inputs": []})
            .to_string()
            .into_bytes()
    };
    for (name, version) in [("m", "1"), ("", "")] {
        assert!(read(&model("1"), &body(name, version), None).is_ok());
    }
    refused(&body("n", "1"), None, "invalid_value", "`model_name`");
    refused(&body("m", "2"), None, "invalid_value", "`model_version`");
}
