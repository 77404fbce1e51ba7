//! The service `electra.v1.Electra`: its methods, unary and streaming.

use tonic::{Request, Response, Status, Streaming};

use super::message::{TaskMessage, answer_message};
use crate::grpc::call::{Call, timed};
use crate::grpc::proto::electra as proto;
use crate::grpc::proto::electra::electra_server::Electra;
use crate::grpc::stream::{Responses, respond};
use crate::service::Service;

pub struct ElectraAdapter {
    service: Service,
}

impl ElectraAdapter {
    pub fn new(service: Service) -> Self {
        Self { service }
    }

    async fn one<M: TaskMessage>(
        &self,
        request: Request<M>,
    ) -> Result<Response<M::Response>, Status> {
        let call = Call::of(&request)?;
        let request = request.into_inner();
        let context = call.context_of(request.memory())?;
        let answer = answer_message(&self.service, &call, request, &context).await?;
        Ok(timed(answer.output, answer.timings))
    }

    fn each<M: TaskMessage>(
        &self,
        requests: Request<Streaming<M>>,
    ) -> Result<Response<Responses<M::Response>>, Status> {
        let call = Call::of(&requests)?;
        Ok(respond(self.service.clone(), call, requests.into_inner()))
    }
}

#[tonic::async_trait]
impl Electra for ElectraAdapter {
    type DiscriminateStreamStream = Responses<proto::DiscriminateResponse>;
    type ClassifyStreamStream = Responses<proto::ClassifyResponse>;
    type TagStreamStream = Responses<proto::TagResponse>;
    type AnswerStreamStream = Responses<proto::AnswerResponse>;

    async fn discriminate(
        &self,
        request: Request<proto::DiscriminateRequest>,
    ) -> Result<Response<proto::DiscriminateResponse>, Status> {
        self.one(request).await
    }

    async fn discriminate_stream(
        &self,
        requests: Request<Streaming<proto::DiscriminateRequest>>,
    ) -> Result<Response<Self::DiscriminateStreamStream>, Status> {
        self.each(requests)
    }

    async fn classify(
        &self,
        request: Request<proto::ClassifyRequest>,
    ) -> Result<Response<proto::ClassifyResponse>, Status> {
        self.one(request).await
    }

    async fn classify_stream(
        &self,
        requests: Request<Streaming<proto::ClassifyRequest>>,
    ) -> Result<Response<Self::ClassifyStreamStream>, Status> {
        self.each(requests)
    }

    async fn tag(
        &self,
        request: Request<proto::TagRequest>,
    ) -> Result<Response<proto::TagResponse>, Status> {
        self.one(request).await
    }

    async fn tag_stream(
        &self,
        requests: Request<Streaming<proto::TagRequest>>,
    ) -> Result<Response<Self::TagStreamStream>, Status> {
        self.each(requests)
    }

    async fn answer(
        &self,
        request: Request<proto::AnswerRequest>,
    ) -> Result<Response<proto::AnswerResponse>, Status> {
        self.one(request).await
    }

    async fn answer_stream(
        &self,
        requests: Request<Streaming<proto::AnswerRequest>>,
    ) -> Result<Response<Self::AnswerStreamStream>, Status> {
        self.each(requests)
    }
}
