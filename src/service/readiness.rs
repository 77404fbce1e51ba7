//! Whether the server is ready for requests, and the reason if not.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::Service;
use crate::error::ServiceError;
use crate::registry::ModelState;
use crate::stage::Stage;

/// How long the bodies of requests may still arrive once the server drains. Requests without a whole body are not accepted
/// yet, so they must not delay the stop.
const BODY_GRACE: Duration = Duration::from_secs(1);

impl Service {
    /// The server is ready if it is not stopping, some model serves, every model present at startup is loaded, was
    /// unloaded on request or removed from the repository, and the repository and the folders of those models are
    /// neither empty nor unreadable. Models added later do not affect readiness otherwise.
    ///
    /// # Errors
    /// The reason, naming models that are loading or failed to load.
    pub fn readiness(&self) -> Result<(), ServiceError> {
        self.refuse_when_stopping()?;
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
        let reason = if !loading.is_empty() {
            format!("loading {}", loading.join(", "))
        } else if let Some(lost) = self.registry().lost() {
            lost
        } else if !self.registry().serves_any() {
            "no model is loaded".to_owned()
        } else {
            return Ok(());
        };
        Err(ServiceError::NotReady { reason })
    }

    /// Moves the stop on to a stage, for everything that looks at [`Self::stage`]. It never goes back.
    pub fn enter(&self, stage: Stage) {
        self.shared.stage.send_if_modified(|current| {
            let is_later = stage > *current;
            if is_later {
                *current = stage;
            }
            is_later
        });
    }

    /// How far the server's stop has come.
    #[must_use]
    pub fn stage(&self) -> watch::Receiver<Stage> {
        self.shared.stage.subscribe()
    }

    /// Whether new requests are refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.shared.stage.borrow() >= Stage::Draining
    }

    /// Completes once the server starts to drain.
    pub async fn until_draining(&self) {
        let mut stage = self.stage();
        // This fails only without a sender, and this service holds one.
        let _ = stage.wait_for(|stage| *stage >= Stage::Draining).await;
    }

    /// Completes once the server drains and the time for bodies to arrive is over.
    pub async fn until_bodies_are_late(&self) {
        self.until_draining().await;
        sleep(BODY_GRACE).await;
    }

    /// A server that stops is not ready, though it may still take requests.
    pub(super) fn refuse_when_stopping(&self) -> Result<(), ServiceError> {
        if self.is_stopping() {
            return Err(ServiceError::Draining);
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        *self.shared.stage.borrow() > Stage::Serving
    }

    /// Whether a model answers requests, by its name or alias, with or without a version. `None` if there is no such
    /// model.
    #[must_use]
    pub fn is_answering(&self, model: &str) -> Option<bool> {
        let state = self.registry().state(model)?;
        Some(state.model().is_some() && !self.is_stopping())
    }

    /// Notified of every change that affects [`Self::readiness`] or [`Self::is_answering`], except the stop (see
    /// [`Self::stage`]).
    #[must_use]
    pub fn model_changes(&self) -> watch::Receiver<()> {
        self.registry().changes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_folder::Version;
    use crate::service::testing::{Fixture, fail, loading_service};
    use crate::task::Task;

    #[test]
    fn ready_is_when_every_model_is_loaded_and_nothing_stops() {
        let service = loading_service(&["a", "b"]);
        let reason = |service: &Service| service.readiness().unwrap_err().to_string();
        assert!(reason(&service).contains("loading `a`, `b`"));
        fail(&service, "a", "it is broken");
        assert!(reason(&service).contains("`a`") && reason(&service).contains("it is broken"));
    }

    #[tokio::test]
    async fn a_server_without_its_repository_or_without_models_is_not_ready() {
        let fixture = Fixture::new(Task::Tag);
        let registry = fixture.service.registry();
        let mut changes = fixture.service.model_changes();
        registry.set_lost(Some("the folder is empty".to_owned()));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        let reason = fixture.service.readiness().unwrap_err().to_string();
        assert!(reason.contains("the folder is empty"), "{reason}");
        registry.set_lost(None);
        assert!(changes.has_changed().unwrap());
        assert_eq!(fixture.service.readiness(), Ok(()));
        registry.mark_unloaded("model", Version::ONLY);
        let reason = fixture.service.readiness().unwrap_err().to_string();
        assert!(reason.contains("no model is loaded"), "{reason}");
    }

    #[tokio::test]
    async fn a_loaded_server_is_ready_until_it_stops_and_refuses_once_it_drains() {
        let service = &Fixture::new(Task::Tag).service;
        let states = |service: &Service| {
            let readiness = [
                service.readiness(),
                service.model_readiness("model"),
                service.endpoint_health("model"),
            ];
            let ready = readiness.map(|readiness| readiness.is_ok());
            (ready, service.is_answering("model"), service.is_draining())
        };
        assert_eq!(states(service), ([true; 3], Some(true), false));
        for (stage, is_draining) in [
            (Stage::Leaving, false),
            (Stage::Closing, false),
            (Stage::Draining, true),
            // There is no way back.
            (Stage::Serving, true),
        ] {
            service.enter(stage);
            let expected = ([false; 3], Some(false), is_draining);
            assert_eq!(states(service), expected, "{stage:?}");
        }
    }
}
