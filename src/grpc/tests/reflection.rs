//! Server reflection, in both versions that clients use.

use tokio_stream::{StreamExt, iter};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;

use super::*;

fn question(message: MessageRequest) -> ServerReflectionRequest {
    ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    }
}

fn services(response: ServerReflectionResponse) -> Vec<String> {
    let Some(MessageResponse::ListServicesResponse(list)) = response.message_response else {
        panic!("{response:?}");
    };
    let mut names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn services_and_their_messages_can_be_asked_for() {
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let mut client = ServerReflectionClient::new(served.channel.clone());
    let symbol = "electra.v1.Electra".to_owned();
    let questions = [
        question(MessageRequest::ListServices(String::new())),
        question(MessageRequest::FileContainingSymbol(symbol)),
    ];
    let answers = client
        .server_reflection_info(iter(questions))
        .await
        .unwrap();
    let mut answers = answers.into_inner();
    let listed = services(answers.next().await.unwrap().unwrap());
    for service in [
        "electra.v1.Electra",
        "grpc.health.v1.Health",
        "inference.GRPCInferenceService",
    ] {
        assert!(listed.iter().any(|name| name == service), "{listed:?}");
    }
    let file = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::FileDescriptorResponse(file)) = file else {
        panic!("{file:?}");
    };
    let file = String::from_utf8_lossy(&file.file_descriptor_proto[0]).into_owned();
    assert!(file.contains("DiscriminateStream"));
}

#[tokio::test]
async fn a_client_that_keeps_asking_does_not_keep_the_server() {
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    let fixture = Fixture::new(Task::Tag);
    let served = Served::over(&fixture).await;
    let mut client = ServerReflectionClient::new(served.channel.clone());
    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let questions = iter([question]).chain(tokio_stream::pending());
    let answers = client.server_reflection_info(questions).await.unwrap();
    let mut answers = answers.into_inner();
    assert!(answers.next().await.unwrap().is_ok());
    fixture.service.enter(Stage::Draining);
    served.stop.send(Stage::Draining).unwrap();
    served.ended.await.unwrap();
}
