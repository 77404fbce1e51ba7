//! Inference by texts and by token ids, with a fake model.

use serde_json::{Value, json};

use super::*;
use crate::service::oip::repository::{
    IndexEntry, IndexState, check_load_parameters, check_unload_parameters,
};
use crate::service::oip::{TensorData, address};
use crate::service::testing::{ANSWER, CLS, FAKE, FOX, Fixture, GOOD, MAX_TOKENS, context};
use crate::task::Task;

const SEP: u32 = 3;

fn texts(name: &str, texts: &[&str]) -> Tensor {
    let bytes = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let shape = vec![i64::try_from(texts.len()).unwrap(), 1];
    Tensor::new(name.to_owned(), shape, TensorData::Bytes(bytes)).unwrap()
}

fn integers(name: &str, shape: &[i64], numbers: &[i64]) -> Tensor {
    let data = TensorData::Int64(numbers.to_vec());
    Tensor::new(name.to_owned(), shape.to_vec(), data).unwrap()
}

/// INT32 token ids in rows of `length`.
fn ids(length: usize, ids: &[u32]) -> Tensor {
    let rows = i64::try_from(ids.len() / length).unwrap();
    let ids = ids.iter().map(|id| i32::try_from(*id).unwrap()).collect();
    let shape = vec![rows, i64::try_from(length).unwrap()];
    Tensor::new("input_ids".to_owned(), shape, TensorData::Int32(ids)).unwrap()
}

fn request(inputs: Vec<Tensor>, outputs: &[&str], parameters: Value) -> InferRequest {
    let output = |name: &&str| RequestedOutput {
        name: (*name).to_owned(),
        binary: None,
    };
    InferRequest {
        model: "model".to_owned(),
        id: Some("7".to_owned()),
        parameters: serde_json::from_value(parameters).unwrap(),
        inputs,
        outputs: outputs.iter().map(output).collect(),
    }
}

async fn infer(task: Task, request: InferRequest) -> Result<InferResponse, ServiceError> {
    let fixture = Fixture::new(task);
    let answer = fixture.service.answer(request, &context()).await?;
    Ok(answer.output)
}

/// Name, shape and data of each output of a successful request.
async fn outputs(
    task: Task,
    inputs: Vec<Tensor>,
    outputs: &[&str],
    parameters: Value,
) -> Vec<(String, Vec<i64>, TensorData)> {
    let response = infer(task, request(inputs, outputs, parameters))
        .await
        .unwrap();
    let outputs = response.outputs.into_iter();
    outputs
        .map(|tensor| {
            (
                tensor.name().to_owned(),
                tensor.shape().to_vec(),
                tensor.into_data(),
            )
        })
        .collect()
}

/// Sends a request, and checks that it is refused with this code and these words.
async fn refused(task: Task, request: InferRequest, code: &str, words: &str) {
    let error = infer(task, request).await.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

fn strings(texts: &[&str]) -> TensorData {
    TensorData::Bytes(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
}

#[tokio::test]
async fn texts_are_answered_by_decoded_outputs() {
    let request = request(vec![texts("text", &["the fake", "a"])], &[], json!({}));
    let response = infer(Task::Discriminate, request).await.unwrap();
    assert_eq!(response.model_name, "model");
    assert_eq!(response.model_version, "1");
    assert_eq!(response.id.as_deref(), Some("7"));
    let names: Vec<_> = response.outputs.iter().map(Tensor::name).collect();
    assert_eq!(
        names,
        ["result", "token", "start", "end", "score", "fake", "count"]
    );
    let data = |name: &str| {
        let found = response.outputs.iter().find(|tensor| tensor.name() == name);
        found.unwrap().data().clone()
    };
    assert_eq!(data("token"), strings(&["the", "fake", "a", ""]));
    assert_eq!(data("start"), TensorData::Int64(vec![0, 4, 0, 0]));
    assert_eq!(data("end"), TensorData::Int64(vec![3, 8, 1, 0]));
    assert_eq!(
        data("fake"),
        TensorData::Bool(vec![false, true, false, false])
    );
    assert_eq!(data("count"), TensorData::Int64(vec![2, 1]));
    let TensorData::Bytes(results) = data("result") else {
        panic!("no texts");
    };
    let result: Value = serde_json::from_slice(&results[0]).unwrap();
    assert_eq!(result["tokens"][1]["token"], "fake");
}

#[tokio::test]
async fn outputs_come_in_the_order_asked_for_and_options_hold() {
    let inputs = || vec![texts("text", &["foxes fake"])];
    let found = outputs(
        Task::Discriminate,
        inputs(),
        &["fake", "word", "logits", "token"],
        json!({"level": "word", "threshold": 0.99, "offsets": "utf8"}),
    )
    .await;
    assert_eq!(
        found,
        [
            (
                "fake".into(),
                vec![1, 2],
                TensorData::Bool(vec![false, false])
            ),
            ("word".into(), vec![1, 2], strings(&["foxes", "fake"])),
        ]
    );
}

#[tokio::test]
async fn each_task_has_its_texts() {
    let found = outputs(
        Task::Classify,
        vec![texts("text", &["good good"]), texts("text_pair", &["a"])],
        &["label"],
        json!({"top_k": 1}),
    )
    .await;
    assert_eq!(found, [("label".into(), vec![1, 1], strings(&["good"]))]);
    let found = outputs(
        Task::Tag,
        vec![texts("text", &["over foxes"])],
        &["text", "label", "start"],
        json!({}),
    )
    .await;
    assert_eq!(found[0], ("text".into(), vec![1, 1], strings(&["foxes"])));
    assert_eq!(found[1], ("label".into(), vec![1, 1], strings(&["X"])));
    let found = outputs(
        Task::Qa,
        vec![
            texts("context", &["the answer", "a"]),
            texts("question", &["?", "?"]),
        ],
        &["text", "count"],
        json!({"no_answer": true}),
    )
    .await;
    assert_eq!(
        found[0],
        ("text".into(), vec![2, 1], strings(&["answer", ""]))
    );
    assert_eq!(found[1].2, TensorData::Int64(vec![1, 0]));
}

#[tokio::test]
async fn token_ids_are_answered_by_logits_without_their_padding() {
    let mask = || integers("attention_mask", &[2, 4], &[1, 1, 1, 1, 1, 1, 1, 0]);
    let inputs = |second: u32| vec![ids(4, &[CLS, FAKE, FOX, SEP, CLS, second, SEP, 0]), mask()];
    let found = outputs(Task::Discriminate, inputs(FAKE), &[], json!({})).await;
    let logits = TensorData::Fp32(vec![-4.0, 4.0, -4.0, -4.0, -4.0, 4.0, -4.0, 0.0]);
    assert_eq!(found, [("logits".into(), vec![2, 4], logits)]);
    let found = outputs(Task::Classify, inputs(GOOD), &[], json!({})).await;
    let logits = TensorData::Fp32(vec![0.5, 0.0, 0.5, 1.0]);
    assert_eq!(found, [("logits".into(), vec![2, 2], logits)]);
    let found = outputs(Task::Tag, inputs(FOX), &[], json!({})).await;
    assert_eq!(found[0].1, [2, 4, 3]);
    let TensorData::Fp32(logits) = &found[0].2 else {
        panic!("no floats");
    };
    assert_eq!(logits[15..18], [0.0, 8.0, 0.0]);
    assert_eq!(logits[21..24], [0.0, 0.0, 0.0]);
    let found = outputs(
        Task::Qa,
        inputs(ANSWER),
        &["end_logits", "start_logits"],
        json!({}),
    )
    .await;
    let logits = TensorData::Fp32(vec![0.0, -8.0, -8.0, -8.0, 0.0, 8.0, -8.0, 0.0]);
    assert_eq!(found[0], ("end_logits".into(), vec![2, 4], logits.clone()));
    assert_eq!(found[1], ("start_logits".into(), vec![2, 4], logits));
}

#[tokio::test]
async fn packed_token_ids_are_answered_by_packed_logits() {
    let inputs = || {
        vec![
            integers("input_ids", &[5], &[2, 8, 3, 2, 3]),
            integers("sequence_starts", &[3], &[0, 3, 5]),
            integers("position_ids", &[5], &[0, 1, 2, 0, 1]),
        ]
    };
    let found = outputs(Task::Discriminate, inputs(), &["logits"], json!({})).await;
    let logits = TensorData::Fp32(vec![-4.0, 4.0, -4.0, -4.0, -4.0]);
    assert_eq!(found, [("logits".into(), vec![5], logits)]);
    for (task, shape) in [
        (Task::Classify, [2, 2]),
        (Task::Tag, [5, 3]),
        (Task::Qa, [5, 2]),
    ] {
        assert_eq!(outputs(task, inputs(), &[], json!({})).await[0].1, shape);
    }
}

#[tokio::test]
async fn unusable_texts_are_refused() {
    let text = |tensor: Tensor| request(vec![tensor], &[], json!({}));
    let not_utf8 = Tensor::new(
        "text".into(),
        vec![1],
        TensorData::Bytes(vec![vec![b'a', 255]]),
    );
    let flat = |shape: Vec<i64>, data| Tensor::new("text".into(), shape, data).unwrap();
    let many = vec![Vec::new(); 300];
    for (tensor, code, words) in [
        (
            not_utf8.unwrap(),
            "invalid_value",
            "`text[0]` can't be used: it is not valid UTF-8 at byte 1",
        ),
        (flat(vec![0], strings(&[])), "empty_input", "`text`"),
        (
            flat(vec![300], TensorData::Bytes(many)),
            "too_many_inputs",
            "300 inputs",
        ),
        (
            flat(vec![1, 2], strings(&["a", "b"])),
            "invalid_value",
            "[1, 2]",
        ),
        (
            flat(vec![1], TensorData::Int64(vec![1])),
            "invalid_value",
            "INT64",
        ),
        (
            texts("txt", &["a"]),
            "unknown_field",
            "Did you mean `text`?",
        ),
    ] {
        refused(Task::Tag, text(tensor), code, words).await;
    }
    let twice = request(
        vec![texts("text", &["a"]), texts("text", &["a"])],
        &[],
        json!({}),
    );
    refused(Task::Tag, twice, "invalid_value", "twice").await;
    refused(
        Task::Tag,
        request(vec![], &[], json!({})),
        "missing_field",
        "`text`",
    )
    .await;
    let alone = request(vec![texts("question", &["?"])], &[], json!({}));
    refused(Task::Qa, alone, "missing_field", "`context`").await;
    let uneven = vec![texts("question", &["?"]), texts("context", &["a", "a"])];
    refused(
        Task::Qa,
        request(uneven, &[], json!({})),
        "invalid_value",
        "`question` has 1",
    )
    .await;
    let long = request(
        vec![texts("text", &["a a a a a a a a a a a a"])],
        &[],
        json!({}),
    );
    refused(Task::Classify, long, "too_many_tokens", "`text[0]`").await;
    // An error names the tensor that holds the text.
    let pair = vec![texts("text", &["a"]), texts("text_pair", &[""])];
    let pair = request(pair, &[], json!({}));
    refused(Task::Classify, pair, "empty_text", "`text_pair[0]`").await;
    let item = vec![texts("question", &["?"]), texts("context", &[""])];
    let item = request(item, &[], json!({}));
    refused(Task::Qa, item, "empty_text", "`context[0]`").await;
    let mixed = vec![texts("text", &["a"]), ids(1, &[CLS])];
    refused(
        Task::Tag,
        request(mixed, &[], json!({})),
        "invalid_value",
        "either texts or token ids",
    )
    .await;
}

#[tokio::test]
async fn unusable_token_ids_are_refused_with_their_place() {
    let row = |length: usize| ids(length, &vec![CLS; length]);
    let types = |values: &[i64]| integers("token_type_ids", &[1, 2], values);
    let mask = |values: &[i64]| integers("attention_mask", &[1, 3], values);
    let starts = |values: &[i64]| {
        integers(
            "sequence_starts",
            &[i64::try_from(values.len()).unwrap()],
            values,
        )
    };
    let packed = || integers("input_ids", &[3], &[2, 8, 3]);
    let positions = integers("position_ids", &[3], &[0, 1, 1]);
    for (inputs, words) in [
        (
            vec![ids(2, &[CLS, 5000])],
            "`input_ids[0, 1]` can't be used: it is 5000",
        ),
        (
            vec![integers("input_ids", &[1, 1], &[-1])],
            "`input_ids[0, 0]`",
        ),
        (
            vec![integers("input_ids", &[1, 0], &[])],
            "a row of 0 tokens",
        ),
        (
            vec![row(MAX_TOKENS + 1)],
            "a row of 13 tokens, and the model reads 1 to 12",
        ),
        (
            vec![row(2), types(&[0, 2])],
            "`token_type_ids[0, 1]` can't be used: it is 2",
        ),
        (vec![row(3), types(&[0, 0])], "its shape is [1, 2]"),
        (vec![row(3), mask(&[0, 1, 1])], "`attention_mask[0, 0]`"),
        (vec![row(3), mask(&[1, 0, 1])], "`attention_mask[0, 2]`"),
        (vec![row(3), mask(&[1, 2, 0])], "`attention_mask[0, 1]`"),
        (vec![packed()], "its shape is [3], and it must be [N, L]"),
        (vec![row(3), starts(&[0, 3])], "must have one dimension"),
        (
            vec![packed(), starts(&[0, 2])],
            "end with the number of tokens, 3",
        ),
        (
            vec![packed(), starts(&[0, 0, 3])],
            "[0, 0] follow each other",
        ),
        (
            vec![packed(), starts(&[0, 9, 3])],
            "[0, 9] follow each other",
        ),
        (
            vec![packed(), starts(&[0, -1, 3])],
            "[0, -1] follow each other",
        ),
        (
            vec![packed(), starts(&[0, 3]), positions],
            "`position_ids[2]`",
        ),
        (
            vec![packed(), starts(&[0, 3]), mask(&[1, 1, 1])],
            "`attention_mask`",
        ),
    ] {
        let request = request(inputs, &[], json!({}));
        refused(Task::Discriminate, request, "invalid_value", words).await;
    }
    let floats = Tensor::new("input_ids".into(), vec![1, 1], TensorData::Fp32(vec![2.0])).unwrap();
    let float = request(vec![floats], &[], json!({}));
    refused(Task::Tag, float, "invalid_value", "FP32").await;
    let many = request(vec![ids(1, &[CLS; 300])], &[], json!({}));
    refused(Task::Tag, many, "too_many_inputs", "300 inputs").await;
    let none = request(vec![integers("input_ids", &[0, 3], &[])], &[], json!({}));
    refused(Task::Tag, none, "empty_input", "input_ids").await;
}

#[tokio::test]
async fn unusable_outputs_and_options_are_refused_by_name() {
    let text =
        |outputs: &[&str], parameters| request(vec![texts("text", &["a"])], outputs, parameters);
    refused(
        Task::Tag,
        text(&["labels"], json!({})),
        "unknown_field",
        "Did you mean `label`?",
    )
    .await;
    refused(
        Task::Tag,
        text(&["logits"], json!({})),
        "invalid_value",
        "have none of the named outputs",
    )
    .await;
    let wrong = text(&[], json!({"aggregation": "mean"}));
    refused(Task::Tag, wrong, "invalid_value", "`aggregation`").await;
    let wrong = text(&[], json!({"threshold": "high"}));
    refused(Task::Discriminate, wrong, "invalid_type", "`threshold`").await;
    let useless = request(vec![ids(1, &[CLS])], &[], json!({"threshold": 0.1}));
    refused(
        Task::Discriminate,
        useless,
        "invalid_value",
        "`parameters.threshold`",
    )
    .await;
    let mut elsewhere = text(&[], json!({}));
    elsewhere.model = address("model", "2").into_owned();
    refused(Task::Tag, elsewhere, "model_not_found", "model@2").await;
}

/// Each option is a field of its task's own request.
#[tokio::test]
async fn every_option_is_known_to_its_task() {
    for task in Task::ALL {
        for option in parameters::options(task) {
            let inputs: &[&str] = match task {
                Task::Qa => &["question", "context"],
                _ => &["text"],
            };
            let inputs = inputs.iter().map(|name| texts(name, &["a"])).collect();
            // -1.5 is invalid for every option, either in type or in value.
            let request = request(inputs, &[], json!({option.name: -1.5}));
            let error = infer(task, request).await.unwrap_err();
            assert!(
                ["invalid_type", "invalid_value"].contains(&error.code()),
                "{task} {option:?}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn metadata_and_configuration_show_both_ways_of_asking() {
    let fixture = Fixture::new(Task::Classify);
    let metadata = serde_json::to_value(fixture.service.model_metadata("model").unwrap()).unwrap();
    assert_eq!(metadata["versions"], json!(["1"]));
    assert_eq!(
        metadata["inputs"][0],
        json!({"name": "text", "datatype": "BYTES", "shape": [-1, 1]})
    );
    assert_eq!(metadata["inputs"][2]["name"], "input_ids");
    assert_eq!(
        metadata["outputs"][4],
        json!({"name": "logits", "datatype": "FP32", "shape": [-1, 2]})
    );
    let config = serde_json::to_value(fixture.service.model_config("model@1").unwrap()).unwrap();
    assert_eq!(config["max_batch_size"], 256);
    assert_eq!(
        config["input"][0],
        json!({"name": "text", "data_type": "TYPE_STRING", "dims": [1], "optional": true})
    );
    let mut inputs = config["input"].as_array().unwrap().iter();
    assert!(
        inputs.all(|input| input["optional"] == true),
        "texts or token ids"
    );
    assert_eq!(
        fixture
            .service
            .model_metadata("model@2")
            .unwrap_err()
            .code(),
        "model_not_found"
    );
}

#[tokio::test]
async fn statistics_count_what_was_answered_and_what_was_not() {
    let fixture = Fixture::new(Task::Tag);
    let request = |text: &[&str], parameters| request(vec![texts("text", text)], &[], parameters);
    for (text, parameters) in [
        (&["a", "fox"][..], json!({})),
        (&["over"], json!({})),
        (&["over"], json!({"aggregation": "mean"})),
    ] {
        let _ = fixture
            .service
            .answer(request(text, parameters), &context())
            .await;
    }
    let hurried = request(&["over"], json!({"timeout": 1}));
    fixture.model.shut();
    assert_eq!(
        fixture
            .service
            .answer(hurried, &context())
            .await
            .unwrap_err()
            .code(),
        "deadline_exceeded"
    );
    fixture.model.open();
    let report = fixture.service.model_statistics(None).unwrap();
    assert_eq!(
        report,
        fixture.service.model_statistics(Some("model@1")).unwrap()
    );
    let [model] = report.model_stats.as_slice() else {
        panic!("not one model");
    };
    assert_eq!(
        (model.name.as_str(), model.version.as_str()),
        ("model", "1")
    );
    let requests = model.statistics.inference_stats;
    assert_eq!(requests.success.count, 2);
    assert_eq!(requests.queue.count, 2);
    assert_eq!(requests.compute_output.count, 2);
    assert_eq!(requests.fail.count, 1);
    let parts = [
        requests.queue,
        requests.compute_input,
        requests.compute_output,
    ];
    let parts: u64 = parts.iter().map(|part| part.ns).sum();
    assert!(requests.success.ns >= parts);
    assert_eq!(
        fixture
            .service
            .model_statistics(Some("other"))
            .unwrap_err()
            .code(),
        "model_not_found"
    );
}

#[tokio::test]
async fn the_index_lists_versions_and_their_states() {
    let fixture = Fixture::new(Task::Tag);
    let entry = |state| IndexEntry {
        name: "model".to_owned(),
        version: "1".to_owned(),
        state,
        reason: String::new(),
    };
    assert_eq!(
        fixture.service.repository_index(true),
        [entry(IndexState::Ready)]
    );
    let service = crate::service::testing::loading_service(&["model"]);
    assert_eq!(
        service.repository_index(false),
        [entry(IndexState::Loading)]
    );
    assert_eq!(service.repository_index(true), []);
    crate::service::testing::fail(&service, "model", "broken");
    let index = service.repository_index(false);
    assert_eq!(
        (index[0].state.name(), index[0].reason.as_str()),
        ("UNAVAILABLE", "broken")
    );
    assert_eq!(
        service.model_readiness("model").unwrap_err().code(),
        "model_unavailable"
    );
}

#[test]
fn loading_takes_no_settings_and_unloading_only_a_harmless_one() {
    let parameters = |json: Value| -> Parameters { serde_json::from_value(json).unwrap() };
    for nothing in [json!({}), json!({"config": null})] {
        assert_eq!(check_load_parameters(&parameters(nothing)), Ok(()));
    }
    // The refusal must say what this server does instead, for every form of the configuration.
    for (name, value) in [
        ("config", json!("{\"max_batch_size\": 4}")),
        ("config", json!({"max_batch_size": 4})),
        ("file:1/model.onnx", json!("AAAA")),
        ("other", json!(1)),
    ] {
        let refusal = check_load_parameters(&parameters(json!({name: value}))).unwrap_err();
        let sentence = refusal.to_string();
        assert_eq!(refusal.code(), "invalid_value", "{sentence}");
        assert!(
            sentence.contains(name) && sentence.contains("electra.toml"),
            "{sentence}"
        );
    }
    for value in [true, false] {
        let dependents = parameters(json!({"unload_dependents": value}));
        assert_eq!(check_unload_parameters(&dependents), Ok(()));
    }
    let other = parameters(json!({"unload_all": true}));
    assert_eq!(
        check_unload_parameters(&other).unwrap_err().code(),
        "unknown_field"
    );
}
