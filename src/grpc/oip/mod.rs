//! `inference.GRPCInferenceService`: the Open Inference Protocol (v2) over gRPC.

pub(super) mod infer;
mod metadata;
mod parameters;

use tonic::{Request, Response, Status};

use super::call::{Call, timed};
use super::proto::inference as proto;
use super::proto::inference::grpc_inference_service_server::GrpcInferenceService;
use crate::error::ServiceError;
use crate::quote::quoted;
use crate::service::oip::{address, check_load_parameters, check_unload_parameters};
use crate::service::{Answer, Invocation, Service, cost};

pub struct OipAdapter {
    service: Service,
}

impl OipAdapter {
    pub fn new(service: Service) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for OipAdapter {
    async fn server_live(
        &self,
        _: Request<proto::ServerLiveRequest>,
    ) -> Result<Response<proto::ServerLiveResponse>, Status> {
        Ok(Response::new(proto::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<proto::ServerReadyRequest>,
    ) -> Result<Response<proto::ServerReadyResponse>, Status> {
        let ready = self.service.readiness().is_ok();
        Ok(Response::new(proto::ServerReadyResponse { ready }))
    }

    async fn model_ready(
        &self,
        request: Request<proto::ModelReadyRequest>,
    ) -> Result<Response<proto::ModelReadyResponse>, Status> {
        let proto::ModelReadyRequest { name, version } = request.into_inner();
        let readiness = self.service.model_readiness(&address(&name, &version));
        let ready = readiness.is_ok();
        Ok(Response::new(proto::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<proto::ServerMetadataRequest>,
    ) -> Result<Response<proto::ServerMetadataResponse>, Status> {
        Ok(Response::new(self.service.server_metadata().into()))
    }

    async fn model_metadata(
        &self,
        request: Request<proto::ModelMetadataRequest>,
    ) -> Result<Response<proto::ModelMetadataResponse>, Status> {
        let proto::ModelMetadataRequest { name, version } = request.into_inner();
        let metadata = self.service.model_metadata(&address(&name, &version))?;
        Ok(Response::new(metadata.into()))
    }

    async fn model_infer(
        &self,
        request: Request<proto::ModelInferRequest>,
    ) -> Result<Response<proto::ModelInferResponse>, Status> {
        let call = Call::of(&request)?;
        let request = request.into_inner();
        let address = address(&request.model_name, &request.model_version);
        let target = self.service.find_any(&address);
        call.note_model(target.name.clone());
        let executor = self.service.executor();
        let bytes = infer::size(&request);
        let context = call.context_of(infer::memory(&request))?;
        let read = move || infer::read(request);
        let request = executor
            .run(context.client(), cost::parse(bytes), context.latest, read)
            .await??;
        let invocation = Invocation::new(request, target);
        let Answer { output, timings } = invocation.run(&self.service, &context).await?;
        let bytes = output.size();
        let tensors = context.reserve(output.memory())?;
        let write = move || {
            let _tensors = tensors;
            infer::write(output)
        };
        let response = executor
            .run(context.client(), cost::write(bytes), context.latest, write)
            .await?;
        Ok(timed(response, timings))
    }

    async fn model_config(
        &self,
        request: Request<proto::ModelConfigRequest>,
    ) -> Result<Response<proto::ModelConfigResponse>, Status> {
        let proto::ModelConfigRequest { name, version } = request.into_inner();
        let config = self.service.model_config(&address(&name, &version))?;
        let config = Some(config.into());
        Ok(Response::new(proto::ModelConfigResponse { config }))
    }

    async fn model_statistics(
        &self,
        request: Request<proto::ModelStatisticsRequest>,
    ) -> Result<Response<proto::ModelStatisticsResponse>, Status> {
        let proto::ModelStatisticsRequest { name, version } = request.into_inner();
        let model = (!name.is_empty()).then(|| address(&name, &version));
        let statistics = self.service.model_statistics(model.as_deref())?;
        let model_stats = statistics.model_stats.into_iter().map(Into::into);
        Ok(Response::new(proto::ModelStatisticsResponse {
            model_stats: model_stats.collect(),
        }))
    }

    async fn repository_index(
        &self,
        request: Request<proto::RepositoryIndexRequest>,
    ) -> Result<Response<proto::RepositoryIndexResponse>, Status> {
        let request = request.into_inner();
        check_repository(&request.repository_name)?;
        let models = self.service.repository_index(request.ready).into_iter();
        Ok(Response::new(proto::RepositoryIndexResponse {
            models: models.map(Into::into).collect(),
        }))
    }

    async fn repository_model_load(
        &self,
        request: Request<proto::RepositoryModelLoadRequest>,
    ) -> Result<Response<proto::RepositoryModelLoadResponse>, Status> {
        let call = Call::of(&request)?;
        let request = request.into_inner();
        check_repository(&request.repository_name)?;
        check_load_parameters(&parameters::of_repository(request.parameters))?;
        let model = &request.model_name;
        self.service.load_model(model, call.requester()).await?;
        Ok(Response::new(proto::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<proto::RepositoryModelUnloadRequest>,
    ) -> Result<Response<proto::RepositoryModelUnloadResponse>, Status> {
        let call = Call::of(&request)?;
        let request = request.into_inner();
        check_repository(&request.repository_name)?;
        check_unload_parameters(&parameters::of_repository(request.parameters))?;
        let model = &request.model_name;
        self.service.unload_model(model, call.requester()).await?;
        Ok(Response::new(proto::RepositoryModelUnloadResponse {}))
    }
}

/// Refuses a repository's name: the only repository has none.
fn check_repository(name: &str) -> Result<(), ServiceError> {
    if name.is_empty() {
        return Ok(());
    }
    Err(ServiceError::InvalidValue {
        place: "`repository_name`".to_owned(),
        reason: format!(
            "it is `{}`, and this server's only repository has no name; leave it out",
            quoted(name)
        ),
    })
}
