//! POST /discriminate, /classify, /tag, /qa.

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::posted::Posted;
use super::respond::Asked;
use crate::service::{ClassifyRequest, DiscriminateRequest, QaRequest, TagRequest};
use crate::task::Task;

pub async fn discriminate(
    State(http): State<HttpState>,
    posted: Posted<DiscriminateRequest>,
) -> Response {
    let asked = http.asked(Task::Discriminate, &posted, posted.body.model.as_deref());
    let outcome = http
        .service
        .discriminate(posted.body, &posted.context)
        .await;
    http.respond(asked, outcome).await
}

pub async fn classify(State(http): State<HttpState>, posted: Posted<ClassifyRequest>) -> Response {
    let asked = http.asked(Task::Classify, &posted, posted.body.model.as_deref());
    let outcome = http.service.classify(posted.body, &posted.context).await;
    http.respond(asked, outcome).await
}

pub async fn tag(State(http): State<HttpState>, posted: Posted<TagRequest>) -> Response {
    let asked = http.asked(Task::Tag, &posted, posted.body.model.as_deref());
    let outcome = http.service.tag(posted.body, &posted.context).await;
    http.respond(asked, outcome).await
}

pub async fn qa(State(http): State<HttpState>, posted: Posted<QaRequest>) -> Response {
    let asked = http.asked(Task::Qa, &posted, posted.body.model.as_deref());
    let outcome = http.service.answer(posted.body, &posted.context).await;
    http.respond(asked, outcome).await
}

impl HttpState {
    fn asked<T>(&self, task: Task, posted: &Posted<T>, model: Option<&str>) -> Asked {
        Asked {
            model: self.service.model_name(task, model),
            bytes: posted.bytes,
            context: posted.context,
        }
    }
}
