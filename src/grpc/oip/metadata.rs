//! Conversion of the metadata of the server and its models to messages.

use crate::grpc::proto::inference as proto;
use crate::service::oip::{
    ConfigTensor, IndexEntry, ModelMetadata, ModelStatisticsReport, ServerMetadata, TensorMetadata,
    TritonConfig,
};
use crate::telemetry::statistics::{BatchStatistics, DurationTotal, InferenceStatistics};

impl From<ServerMetadata> for proto::ServerMetadataResponse {
    fn from(server: ServerMetadata) -> Self {
        let extensions = server.extensions.iter();
        Self {
            name: server.name.to_owned(),
            version: server.version.to_owned(),
            extensions: extensions.map(|name| (*name).to_owned()).collect(),
        }
    }
}

impl From<ModelMetadata> for proto::ModelMetadataResponse {
    fn from(model: ModelMetadata) -> Self {
        Self {
            name: model.name,
            versions: model.versions,
            platform: model.platform.to_owned(),
            inputs: model.inputs.into_iter().map(Into::into).collect(),
            outputs: model.outputs.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<TensorMetadata> for proto::model_metadata_response::TensorMetadata {
    fn from(tensor: TensorMetadata) -> Self {
        Self {
            name: tensor.name.to_owned(),
            datatype: tensor.datatype.to_owned(),
            shape: tensor.shape,
        }
    }
}

impl From<TritonConfig> for proto::ModelConfig {
    fn from(config: TritonConfig) -> Self {
        Self {
            name: config.name,
            platform: config.platform.to_owned(),
            backend: config.backend.to_owned(),
            max_batch_size: i32::try_from(config.max_batch_size).unwrap_or(i32::MAX),
            input: config.input.into_iter().map(Into::into).collect(),
            output: config.output.into_iter().map(Into::into).collect(),
            dynamic_batching: Some(proto::ModelDynamicBatching {}),
        }
    }
}

impl From<ConfigTensor> for proto::ModelInput {
    fn from(tensor: ConfigTensor) -> Self {
        Self {
            name: tensor.name.to_owned(),
            data_type: data_type(tensor.data_type),
            dims: tensor.dims,
            optional: tensor.optional,
        }
    }
}

impl From<ConfigTensor> for proto::ModelOutput {
    fn from(tensor: ConfigTensor) -> Self {
        Self {
            name: tensor.name.to_owned(),
            data_type: data_type(tensor.data_type),
            dims: tensor.dims,
        }
    }
}

fn data_type(name: &str) -> i32 {
    let known = proto::DataType::from_str_name(name);
    known.unwrap_or(proto::DataType::TypeInvalid).into()
}

impl From<ModelStatisticsReport> for proto::ModelStatistics {
    fn from(report: ModelStatisticsReport) -> Self {
        let statistics = report.statistics;
        Self {
            name: report.name,
            version: report.version,
            last_inference: statistics.last_inference,
            inference_count: statistics.inference_count,
            execution_count: statistics.execution_count,
            inference_stats: Some(statistics.inference_stats.into()),
            batch_stats: statistics.batch_stats.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<InferenceStatistics> for proto::InferStatistics {
    fn from(statistics: InferenceStatistics) -> Self {
        Self {
            success: Some(statistics.success.into()),
            fail: Some(statistics.fail.into()),
            queue: Some(statistics.queue.into()),
            compute_input: Some(statistics.compute_input.into()),
            compute_infer: Some(statistics.compute_infer.into()),
            compute_output: Some(statistics.compute_output.into()),
            cache_hit: Some(statistics.cache_hit.into()),
            cache_miss: Some(statistics.cache_miss.into()),
        }
    }
}

impl From<BatchStatistics> for proto::InferBatchStatistics {
    fn from(statistics: BatchStatistics) -> Self {
        Self {
            batch_size: statistics.batch_size,
            compute_input: Some(statistics.compute_input.into()),
            compute_infer: Some(statistics.compute_infer.into()),
            compute_output: Some(statistics.compute_output.into()),
        }
    }
}

impl From<DurationTotal> for proto::StatisticDuration {
    fn from(total: DurationTotal) -> Self {
        Self {
            count: total.count,
            ns: total.ns,
        }
    }
}

impl From<IndexEntry> for proto::repository_index_response::ModelIndex {
    fn from(entry: IndexEntry) -> Self {
        Self {
            name: entry.name,
            version: entry.version,
            state: entry.state.name().to_owned(),
            reason: entry.reason,
        }
    }
}
