//! The table of services.

use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

use super::electra::ElectraAdapter;
use super::health::HealthAdapter;
use super::oip::OipAdapter;
use super::proto::electra::electra_server::ElectraServer;
use super::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use super::reflection;
use super::state::GrpcState;

pub fn routes(state: &GrpcState) -> Routes {
    let most_bytes = state.service.limits().max_body_bytes;
    let electra = ElectraServer::new(ElectraAdapter::new(state.service.clone()))
        .max_decoding_message_size(most_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Gzip);
    let health = HealthServer::new(HealthAdapter::new(state.service.clone()));
    let inference = GrpcInferenceServiceServer::new(OipAdapter::new(state.service.clone()))
        .max_decoding_message_size(most_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Gzip);
    let routes = Routes::default()
        .add_service(electra)
        .add_service(inference)
        .add_service(health);
    reflection::add(routes).prepare()
}
