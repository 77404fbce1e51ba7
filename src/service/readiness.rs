//! Whether the server takes requests, and if not, why.

use tokio::sync::watch;

use super::Service;
use crate::error::ServiceError;
use crate::registry::ModelState;

impl Service {
    /// Ready means: every model that was there at the start is loaded, unless it was unloaded since, and the server is not
    /// stopping. A model that comes later takes nothing from those that answer.
    ///
    /// # Errors
    /// Why it is not ready, naming the models that are loading or could not be loaded.
    pub fn readiness(&self) -> Result<(), ServiceError> {
        if self.is_draining() {
            return Err(ServiceError::Draining);
        }
        let mut loading = Vec::new();
        let starting = !self.registry().is_settled();
        for status in self.registry().statuses() {
            let is_loading = |state: &ModelState| matches!(state, ModelState::Loading);
            let mut versions = status.versions.iter();
            if starting && versions.any(|(_, version)| is_loading(&version.state)) {
                loading.push(format!("`{}`", status.name));
            } else if status.required {
                match status.state {
                    ModelState::Failed { reason } => {
                        return Err(ServiceError::ModelUnavailable {
                            model: status.name.to_string(),
                            reason,
                        });
                    }
                    ModelState::Loading => loading.push(format!("`{}`", status.name)),
                    ModelState::Ready(_) | ModelState::Unloaded => {}
                }
            }
        }
        if loading.is_empty() {
            return Ok(());
        }
        Err(ServiceError::NotReady {
            reason: format!("loading {}", loading.join(", ")),
        })
    }

    /// From now on the server is not ready; what was accepted is still answered.
    pub fn start_draining(&self) {
        self.shared.draining.send_replace(true);
    }

    /// Whether the server is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.shared.draining.borrow()
    }

    /// Is done once the server is stopping.
    pub async fn until_draining(&self) {
        let mut draining = self.shared.draining.subscribe();
        // It fails only without a sender, which this service is.
        let _ = draining.wait_for(|draining| *draining).await;
    }

    /// Whether a model, by its name, an alias or with a version, answers requests; None where there is none such.
    #[must_use]
    pub fn is_answering(&self, model: &str) -> Option<bool> {
        let state = self.registry().state(model)?;
        Some(state.model().is_some() && !self.is_draining())
    }

    /// Hears of each change of what [`Self::readiness`] and [`Self::is_answering`] look at but the beginning of the end,
    /// of which [`Self::until_draining`] tells.
    #[must_use]
    pub fn model_changes(&self) -> watch::Receiver<()> {
        self.registry().changes()
    }
}

#[cfg(test)]
mod tests {
    use crate::service::testing::{Fixture, fail, loading_service};
    use crate::task::Task;

    #[test]
    fn ready_is_when_every_model_is_loaded_and_nothing_stops() {
        let service = loading_service(&["a", "b"]);
        let reason =
            |service: &crate::service::Service| service.readiness().unwrap_err().to_string();
        assert!(reason(&service).contains("loading `a`, `b`"));
        fail(&service, "a", "it is broken");
        assert!(reason(&service).contains("`a`") && reason(&service).contains("it is broken"));
    }

    #[tokio::test]
    async fn a_loaded_server_is_ready_until_it_drains() {
        let fixture = Fixture::new(Task::Tag);
        assert_eq!(fixture.service.readiness(), Ok(()));
        fixture.service.start_draining();
        assert_eq!(fixture.service.readiness().unwrap_err().code(), "draining");
    }
}
