//! The channel for commands that load and unload models.

use std::sync::mpsc;

use thiserror::Error;
use tokio::sync::oneshot;

/// Sends commands to the manager. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    commands: mpsc::Sender<ModelCommand>,
}

/// The manager's end of the channel. Closes when the last [`Control`] is dropped.
pub type Commands = mpsc::Receiver<ModelCommand>;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ControlError {
    #[error("there is no such model")]
    NotFound,
    /// It could not be loaded, for this reason (a sentence).
    #[error("{0}")]
    Failed(String),
    /// The manager has stopped, or has not started.
    #[error("the server is stopping")]
    Stopped,
}

/// A command with the model's name and the channel for its result.
#[derive(Debug)]
pub enum ModelCommand {
    /// Load the model, or reload it if its files have changed.
    Load(String, oneshot::Sender<Result<(), ControlError>>),
    /// Take the model out of service.
    Unload(String, oneshot::Sender<Result<(), ControlError>>),
}

impl Control {
    #[must_use]
    pub fn new() -> (Self, Commands) {
        let (commands, received) = mpsc::channel();
        (Self { commands }, received)
    }

    /// Loads a model, or reloads it if its files have changed. Returns once it serves.
    ///
    /// # Errors
    /// See [`ControlError`]. The version that served before goes on serving.
    pub async fn load(&self, name: &str) -> Result<(), ControlError> {
        self.ask(|done| ModelCommand::Load(name.to_owned(), done))
            .await
    }

    /// Takes a model out of service. Accepted requests are still answered.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn unload(&self, name: &str) -> Result<(), ControlError> {
        self.ask(|done| ModelCommand::Unload(name.to_owned(), done))
            .await
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), ControlError>>) -> ModelCommand,
    ) -> Result<(), ControlError> {
        let (done, outcome) = oneshot::channel();
        self.commands
            .send(command(done))
            .map_err(|_| ControlError::Stopped)?;
        outcome.await.unwrap_or(Err(ControlError::Stopped))
    }
}
