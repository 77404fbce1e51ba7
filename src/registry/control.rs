//! Commands to whoever loads and unloads models, and their outcomes.

use std::sync::mpsc;

use thiserror::Error;
use tokio::sync::oneshot;

/// Sends commands to the manager; cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    commands: mpsc::Sender<Command>,
}

/// The manager's end of the channel, which closes once no [`Control`] is left.
pub type Commands = mpsc::Receiver<Command>;

/// Why a model could not be loaded or unloaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ControlError {
    /// There is no such model.
    #[error("there is no such model")]
    NotFound,
    /// It could not be loaded: a sentence.
    #[error("{0}")]
    Failed(String),
    /// Nobody manages models any more, or yet.
    #[error("the server is stopping")]
    Stopped,
}

/// One command: the model's name, and where the outcome is sent.
#[derive(Debug)]
pub enum Command {
    /// Load it, or load it again if its files have changed.
    Load(String, oneshot::Sender<Result<(), ControlError>>),
    /// Take it out of service.
    Unload(String, oneshot::Sender<Result<(), ControlError>>),
}

impl Control {
    /// Both ends of the channel.
    #[must_use]
    pub fn new() -> (Self, Commands) {
        let (commands, received) = mpsc::channel();
        (Self { commands }, received)
    }

    /// Loads a model, or loads it again if its files have changed; returns when it serves.
    ///
    /// # Errors
    /// See [`ControlError`]. What served before goes on serving.
    pub async fn load(&self, name: &str) -> Result<(), ControlError> {
        self.ask(|done| Command::Load(name.to_owned(), done)).await
    }

    /// Takes a model out of service; what it has accepted is still answered.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn unload(&self, name: &str) -> Result<(), ControlError> {
        self.ask(|done| Command::Unload(name.to_owned(), done))
            .await
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), ControlError>>) -> Command,
    ) -> Result<(), ControlError> {
        let (done, outcome) = oneshot::channel();
        self.commands
            .send(command(done))
            .map_err(|_| ControlError::Stopped)?;
        outcome.await.unwrap_or(Err(ControlError::Stopped))
    }
}
