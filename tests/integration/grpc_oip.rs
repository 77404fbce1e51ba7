//! The Open Inference Protocol over gRPC: native answers for texts, golden logits for token ids, and the server's
//! metadata.

use std::collections::HashMap;

use electra_server::grpc::proto::inference as proto;
use electra_server::grpc::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use proto::infer_parameter::ParameterChoice;
use proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use crate::grpc::{channel, code};
use crate::harness::{
    Server, assert_close, config, default_server, golden, repository, small_server,
};

type Client = GrpcInferenceServiceClient<Channel>;

async fn client(server: &Server) -> Client {
    GrpcInferenceServiceClient::new(channel(server).await)
}

fn texts(name: &str, texts: &[&str]) -> InferInputTensor {
    let bytes = texts.iter().map(|text| text.as_bytes().to_vec());
    InferInputTensor {
        name: name.to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![i64::try_from(texts.len()).expect("few")],
        contents: Some(proto::InferTensorContents {
            bytes_contents: bytes.collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn parameter(choice: ParameterChoice) -> proto::InferParameter {
    proto::InferParameter {
        parameter_choice: Some(choice),
    }
}

fn word(text: &str) -> proto::InferParameter {
    parameter(ParameterChoice::StringParam(text.to_owned()))
}

/// The elements of a raw BYTES tensor.
fn strings(mut raw: &[u8]) -> Vec<String> {
    let mut strings = Vec::new();
    while let Some((length, rest)) = raw.split_first_chunk() {
        let (element, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        strings.push(String::from_utf8(element.to_vec()).expect("UTF-8"));
        raw = rest;
    }
    strings
}

fn floats(raw: &[u8]) -> Vec<f32> {
    let (elements, rest) = raw.as_chunks();
    assert!(rest.is_empty());
    elements.iter().copied().map(f32::from_le_bytes).collect()
}

/// An output's shape and raw data, by name.
fn output<'r>(response: &'r proto::ModelInferResponse, name: &str) -> (&'r [i64], &'r [u8]) {
    let position = response
        .outputs
        .iter()
        .position(|output| output.name == name);
    let position = position.unwrap_or_else(|| panic!("no output {name}"));
    assert!(response.outputs[position].contents.is_none());
    (
        &response.outputs[position].shape,
        &response.raw_output_contents[position],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_answered_as_by_the_native_routes() {
    let server = default_server();
    let mut client = client(&server).await;
    let several = ["The old man bought a new car in London. 😀", "", "Rain."];
    let questions = ["Who wrote the letter?"];
    let contexts = ["The letter was written by Maria Lopez in 1912."];
    for (model, route, inputs, body, parameters) in [
        (
            "electra-mini-discriminator",
            "/discriminate",
            vec![texts("text", &several)],
            json!({"text": several, "level": "word", "threshold": 0.25}),
            vec![
                ("level", word("word")),
                ("threshold", parameter(ParameterChoice::DoubleParam(0.25))),
            ],
        ),
        (
            "electra-mini-sentiment",
            "/classify",
            vec![texts("text", &["A warm film.", "Awful."])],
            json!({"text": ["A warm film.", "Awful."], "top_k": 1}),
            vec![("top_k", parameter(ParameterChoice::Int64Param(1)))],
        ),
        (
            "electra-mini-chunker",
            "/tag",
            vec![texts("text", &several)],
            json!({"text": several, "offsets": "utf16"}),
            vec![("offsets", word("utf16"))],
        ),
        (
            "electra-mini-qa",
            "/qa",
            vec![texts("question", &questions), texts("context", &contexts)],
            json!({"items": [{"question": questions[0], "context": contexts[0]}], "top_k": 2}),
            vec![("top_k", parameter(ParameterChoice::Uint64Param(2)))],
        ),
    ] {
        let native = server.ask(route, &body).await;
        let named = parameters
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let request = proto::ModelInferRequest {
            model_name: model.to_owned(),
            id: "mine".to_owned(),
            parameters: named.collect(),
            inputs,
            ..Default::default()
        };
        let response = client.model_infer(request).await.expect("an answer");
        assert!(response.metadata().get("server-timing").is_some());
        let response = response.into_inner();
        assert_eq!(response.model_name, native["model"]);
        assert_eq!(
            (response.model_version.as_str(), response.id.as_str()),
            ("1", "mine")
        );
        assert_eq!(response.outputs.len(), response.raw_output_contents.len());
        let (shape, raw) = output(&response, "result");
        let results = native["results"].as_array().expect("a list");
        assert_eq!(shape, [i64::try_from(results.len()).expect("few"), 1]);
        let found: Vec<Value> = strings(raw)
            .iter()
            .map(|result| serde_json::from_str(result).expect("JSON"))
            .collect();
        assert_eq!(&found, results, "{model}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_ids_are_answered_by_the_golden_logits() {
    let server = small_server();
    let mut client = client(&server).await;
    for model in ["discriminator-plain", "token-cased"] {
        for case in golden(&format!("logits/{model}.json"))["cases"]
            .as_array()
            .expect("a list")
        {
            let length = integers(&case["input_ids"]).len();
            let names = ["input_ids", "token_type_ids"];
            let input = |name: &str| InferInputTensor {
                name: name.to_owned(),
                datatype: "INT64".to_owned(),
                shape: vec![1, i64::try_from(length).expect("few")],
                ..Default::default()
            };
            let raw = |name: &str| {
                let elements = integers(&case[name]).into_iter();
                elements.flat_map(i64::to_le_bytes).collect()
            };
            let request = proto::ModelInferRequest {
                model_name: model.to_owned(),
                inputs: names.map(input).to_vec(),
                outputs: vec![InferRequestedOutputTensor {
                    name: "logits".to_owned(),
                    ..Default::default()
                }],
                raw_input_contents: names.map(raw).to_vec(),
                ..Default::default()
            };
            let response = client
                .model_infer(request)
                .await
                .expect("an answer")
                .into_inner();
            let (shape, raw) = output(&response, "logits");
            assert_eq!(shape[1], i64::try_from(length).expect("few"));
            let wanted: Vec<f64> = flat(&case["logits"]);
            let found = floats(raw);
            assert_eq!(found.len(), wanted.len());
            for (found, wanted) in found.into_iter().zip(wanted) {
                assert_close(f64::from(found), wanted, 1e-4, model);
            }
        }
    }
}

fn integers(value: &Value) -> Vec<i64> {
    let numbers = value.as_array().expect("a list").iter();
    numbers
        .map(|number| number.as_i64().expect("an integer"))
        .collect()
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => vec![value.as_f64().expect("a number")],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_and_its_models_say_what_they_are() {
    let server = default_server();
    let mut client = client(&server).await;
    let name = "electra-mini-sentiment".to_owned();
    let live = client.server_live(proto::ServerLiveRequest {}).await;
    assert!(live.expect("an answer").into_inner().live);
    let ready = client.server_ready(proto::ServerReadyRequest {}).await;
    assert!(ready.expect("an answer").into_inner().ready);
    for (model, version, expected) in [
        (name.as_str(), "", true),
        (&name, "1", true),
        (&name, "7", false),
        ("other", "", false),
    ] {
        let request = proto::ModelReadyRequest {
            name: model.to_owned(),
            version: version.to_owned(),
        };
        let response = client.model_ready(request).await.expect("an answer");
        assert_eq!(response.into_inner().ready, expected, "{model} {version}");
    }
    let server = client
        .server_metadata(proto::ServerMetadataRequest {})
        .await;
    let server = server.expect("an answer").into_inner();
    assert_eq!(server.name, "electra");
    assert!(server.extensions.contains(&"model_repository".to_owned()));
    let request = proto::ModelMetadataRequest {
        name: name.clone(),
        ..Default::default()
    };
    let model = client
        .model_metadata(request)
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(
        (model.name.as_str(), model.platform.as_str()),
        (name.as_str(), "onnx_onnxv1")
    );
    assert_eq!(
        (model.inputs[0].name.as_str(), model.inputs[0].shape[0]),
        ("text", -1)
    );
    let request = proto::ModelConfigRequest {
        name: name.clone(),
        ..Default::default()
    };
    let config = client
        .model_config(request)
        .await
        .expect("an answer")
        .into_inner();
    let config = config.config.expect("a configuration");
    assert_eq!(config.max_batch_size, 256);
    assert_eq!(config.input[0].data_type(), proto::DataType::TypeString);
    assert!(config.input.iter().all(|input| input.optional));
    let request = proto::ModelMetadataRequest {
        name: "other".to_owned(),
        ..Default::default()
    };
    let status = client.model_metadata(request).await.expect_err("a refusal");
    assert_eq!(code(&status), (Code::NotFound, "model_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_inferred_has_its_code() {
    let server = default_server();
    let mut client = client(&server).await;
    let request = || proto::ModelInferRequest {
        model_name: "electra-mini-sentiment".to_owned(),
        inputs: vec![texts("text", &["a"])],
        ..Default::default()
    };
    let parameters = |name: &str| HashMap::from([(name.to_owned(), word("x"))]);
    let unknown = proto::ModelInferRequest {
        model_name: "other".to_owned(),
        ..request()
    };
    let unloaded_version = proto::ModelInferRequest {
        model_version: "7".to_owned(),
        ..request()
    };
    let unknown_parameter = proto::ModelInferRequest {
        parameters: parameters("topk"),
        ..request()
    };
    let unknown_output = proto::ModelInferRequest {
        outputs: vec![InferRequestedOutputTensor {
            name: "scores".to_owned(),
            ..Default::default()
        }],
        ..request()
    };
    let short_raw = proto::ModelInferRequest {
        raw_input_contents: vec![vec![1, 0, 0]],
        ..request()
    };
    // Parameters that clients of other servers always send are ignored. A parameter with an option's name is not.
    let of_others = HashMap::from([
        (
            "sequence_id".to_owned(),
            parameter(ParameterChoice::Int64Param(7)),
        ),
        (
            "sequence_start".to_owned(),
            parameter(ParameterChoice::BoolParam(true)),
        ),
        (
            "triton_enable_empty_final_response".to_owned(),
            parameter(ParameterChoice::BoolParam(true)),
        ),
        ("content_type".to_owned(), word("str")),
        ("headers".to_owned(), proto::InferParameter::default()),
    ]);
    let mut ours = request();
    let plain = client.model_infer(ours.clone()).await.expect("an answer");
    ours.parameters.clone_from(&of_others);
    ours.inputs[0].parameters.clone_from(&of_others);
    ours.outputs = ["result", "label", "score", "truncated"]
        .map(|name| InferRequestedOutputTensor {
            name: name.to_owned(),
            parameters: of_others.clone(),
        })
        .to_vec();
    let answer = client.model_infer(ours).await.expect("an answer");
    assert_eq!(answer.into_inner(), plain.into_inner());
    for (request, expected, name) in [
        (unknown, Code::NotFound, "model_not_found"),
        (unloaded_version, Code::NotFound, "model_not_found"),
        (unknown_parameter, Code::InvalidArgument, "unknown_field"),
        (unknown_output, Code::InvalidArgument, "unknown_field"),
        (short_raw, Code::InvalidArgument, "invalid_value"),
    ] {
        let status = client.model_infer(request).await.expect_err("a refusal");
        assert_eq!(code(&status), (expected, name), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_loaded_unloaded_and_counted() {
    let models = repository(&["token-cased"]);
    let server = Server::start(config(models.path())).await;
    let mut client = client(&server).await;
    let name = "token-cased".to_owned();
    let infer = || proto::ModelInferRequest {
        model_name: "token-cased".to_owned(),
        inputs: vec![texts("text", &["fox", "fox"])],
        ..Default::default()
    };
    client.model_infer(infer()).await.expect("an answer");
    let statistics = client
        .model_statistics(proto::ModelStatisticsRequest {
            name: name.clone(),
            version: String::new(),
        })
        .await
        .expect("an answer")
        .into_inner();
    let counted = &statistics.model_stats[0];
    assert_eq!(
        (counted.name.as_str(), counted.inference_count),
        (name.as_str(), 2)
    );
    let success = counted
        .inference_stats
        .and_then(|statistics| statistics.success);
    assert_eq!(success.map(|success| success.count), Some(1));
    let index = || proto::RepositoryIndexRequest::default();
    let state = |response: proto::RepositoryIndexResponse| response.models[0].state.clone();
    let found = client.repository_index(index()).await.expect("an answer");
    assert_eq!(state(found.into_inner()), "READY");
    let unload_dependents = proto::ModelRepositoryParameter {
        parameter_choice: Some(
            proto::model_repository_parameter::ParameterChoice::BoolParam(false),
        ),
    };
    let unload = proto::RepositoryModelUnloadRequest {
        model_name: name.clone(),
        parameters: HashMap::from([("unload_dependents".to_owned(), unload_dependents)]),
        ..Default::default()
    };
    client
        .repository_model_unload(unload)
        .await
        .expect("an answer");
    let found = client.repository_index(index()).await.expect("an answer");
    assert_eq!(state(found.into_inner()), "UNAVAILABLE");
    let status = client.model_infer(infer()).await.expect_err("a refusal");
    assert_eq!(code(&status), (Code::Unavailable, "model_unloaded"));
    let load = proto::RepositoryModelLoadRequest {
        model_name: name.clone(),
        ..Default::default()
    };
    let mut changed = load.clone();
    let configuration = proto::ModelRepositoryParameter {
        parameter_choice: Some(
            proto::model_repository_parameter::ParameterChoice::StringParam("{}".to_owned()),
        ),
    };
    changed
        .parameters
        .insert("config".to_owned(), configuration);
    let refused = |status: &tonic::Status| {
        assert_eq!(code(status), (Code::InvalidArgument, "invalid_value"));
        status.message().to_owned()
    };
    let status = client.repository_model_load(changed.clone()).await;
    let sentence = refused(&status.expect_err("a refusal"));
    assert!(sentence.contains("electra.toml"), "{sentence}");
    // HTTP gives the same sentence.
    let body = json!({"parameters": {"config": "{}"}});
    let request = server.post("/v2/repository/models/token-cased/load", &body);
    let error = server.refused(request, 422, "invalid_value").await;
    assert_eq!(error["error"], sentence.as_str());
    // The model was unloaded, and stays unloaded.
    let status = client.model_infer(infer()).await.expect_err("a refusal");
    assert_eq!(code(&status), (Code::Unavailable, "model_unloaded"));
    client.repository_model_load(load).await.expect("an answer");
    client.model_infer(infer()).await.expect("an answer");
    let status = client
        .repository_index(proto::RepositoryIndexRequest {
            repository_name: "other".to_owned(),
            ready: false,
        })
        .await
        .expect_err("a refusal");
    assert_eq!(code(&status), (Code::InvalidArgument, "invalid_value"));
    drop(client);
    server.ended().await.expect("a clean end");
}
