//! Whether the server takes requests, and if not, why.

use std::sync::atomic::Ordering;

use super::Service;
use crate::error::ServiceError;
use crate::repository::ModelState;

impl Service {
    /// Ready means: every model is loaded and the server is not stopping.
    ///
    /// # Errors
    /// Why it is not ready, naming the models that are loading or could not be loaded.
    pub fn readiness(&self) -> Result<(), ServiceError> {
        if self.is_draining() {
            return Err(ServiceError::Draining);
        }
        let mut loading = Vec::new();
        for name in self.repository().names() {
            match self.repository().state(name) {
                Some(ModelState::Failed { reason }) => {
                    return Err(ServiceError::ModelUnavailable {
                        model: name.to_owned(),
                        reason,
                    });
                }
                Some(ModelState::Loading) => loading.push(format!("`{name}`")),
                Some(ModelState::Ready(_)) | None => {}
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
        self.shared.draining.store(true, Ordering::Release);
    }

    /// Whether the server is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use crate::repository::ModelState;
    use crate::service::testing::{Fixture, loading_service};
    use crate::task::Task;

    #[test]
    fn ready_is_when_every_model_is_loaded_and_nothing_stops() {
        let service = loading_service(&["a", "b"]);
        let reason =
            |service: &crate::service::Service| service.readiness().unwrap_err().to_string();
        assert!(reason(&service).contains("loading `a`, `b`"));
        service.repository().set_state(
            "a",
            ModelState::Failed {
                reason: "it is broken".into(),
            },
        );
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
