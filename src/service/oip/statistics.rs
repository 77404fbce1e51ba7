//! Statistics of models since they were loaded.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ServiceError;
use crate::model_folder::Address;
use crate::registry::ModelStatus;
use crate::service::Service;
use crate::telemetry::statistics::StatisticsSnapshot;

/// Statistics of models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Statistics")]
pub struct StatisticsReport {
    /// One entry per loaded version, sorted by name, then by version.
    pub model_stats: Vec<ModelStatisticsReport>,
}

/// Statistics of one loaded version, over the requests of all routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ModelStatistics")]
pub struct ModelStatisticsReport {
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: String,
    /// The version's statistics.
    #[serde(flatten)]
    pub statistics: StatisticsSnapshot,
}

impl Service {
    /// Statistics of a model's loaded versions, or of the one version in the address. Without an address, of all models.
    ///
    /// # Errors
    /// If the model cannot answer requests.
    pub fn model_statistics(
        &self,
        address: Option<&str>,
    ) -> Result<StatisticsReport, ServiceError> {
        let Some(address) = address else {
            let statuses = self.registry().statuses();
            return Ok(StatisticsReport {
                model_stats: statuses.iter().flat_map(of_loaded).collect(),
            });
        };
        let model = self.loaded_model(address)?;
        let mut model_stats = match self.registry().status(address) {
            Some(status) => of_loaded(&status),
            None => Vec::new(),
        };
        if Address::from(address).version.is_some() {
            let version = model.info.version.to_string();
            model_stats.retain(|statistics| statistics.version == version);
        }
        Ok(StatisticsReport { model_stats })
    }
}

fn of_loaded(status: &ModelStatus) -> Vec<ModelStatisticsReport> {
    let loaded = status
        .versions
        .iter()
        .filter_map(|(_, version)| version.state.model());
    loaded
        .map(|model| ModelStatisticsReport {
            name: model.info.name.clone(),
            version: model.info.version.to_string(),
            statistics: model.queue.statistics().snapshot(),
        })
        .collect()
}
