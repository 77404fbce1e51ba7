//! The way to a running manager: one thread that loads and unloads, told by requests and by the clock.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::oneshot;

use super::{DeviceFailure, Manager};

/// How often models that are out of service are looked after until they have answered what they had accepted.
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);

/// mimalloc gives the system back what has been free for a second, when it next looks.
const PURGE_DELAY: Duration = Duration::from_millis(1100);

/// Asks the manager; cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    commands: mpsc::Sender<Command>,
}

/// What was asked of the manager; it ends when nobody is left who could ask.
#[derive(Debug)]
pub struct Commands(mpsc::Receiver<Command>);

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

#[derive(Debug)]
enum Command {
    Load(String, oneshot::Sender<Result<(), ControlError>>),
    Unload(String, oneshot::Sender<Result<(), ControlError>>),
}

impl Control {
    /// A way to a manager, and what the manager serves.
    #[must_use]
    pub fn new() -> (Self, Commands) {
        let (commands, received) = mpsc::channel();
        (Self { commands }, Commands(received))
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

impl Manager {
    /// Starts a thread that loads all models, then does what it is asked, and follows the folder at this interval.
    /// `stopping` ends the loading between two models.
    ///
    /// # Errors
    /// Where the operating system refuses to start a thread. The receiver hears of a device that was asked for by name
    /// and does not work.
    pub fn start(
        mut self,
        Commands(commands): Commands,
        interval: Option<Duration>,
        stopping: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<oneshot::Receiver<DeviceFailure>> {
        let (failed, failure) = oneshot::channel();
        thread::Builder::new()
            .name("electra-loader".to_owned())
            .spawn(move || match self.load_all(|_| !stopping()) {
                Ok(()) => {
                    self.settle();
                    requests_first();
                    self.serve(&commands, interval);
                }
                Err(error) => drop(failed.send(error)),
            })?;
        Ok(failure)
    }

    fn serve(&mut self, commands: &mpsc::Receiver<Command>, interval: Option<Duration>) {
        let mut looked = Instant::now();
        let mut released: Option<Instant> = None;
        loop {
            let left = self.release();
            if left.gone {
                released = Some(Instant::now());
            }
            if released.is_some_and(|released| released.elapsed() >= PURGE_DELAY) {
                purge();
                released = None;
            }
            // From look to look, however many commands come between.
            let until_look = interval.map(|interval| interval.saturating_sub(looked.elapsed()));
            let until_release = left.some_stay.then_some(RELEASE_INTERVAL);
            let until_purge =
                released.map(|released| PURGE_DELAY.saturating_sub(released.elapsed()));
            let waits = [until_look, until_release, until_purge];
            let command = match waits.into_iter().flatten().min() {
                Some(patience) => commands.recv_timeout(patience),
                None => commands.recv().map_err(RecvTimeoutError::from),
            };
            match command {
                // Whoever asked and went has nothing to hear.
                Ok(Command::Load(name, done)) => {
                    let outcome = self.load(&name).map_err(|reason| {
                        reason.map_or(ControlError::NotFound, ControlError::Failed)
                    });
                    let _ = done.send(outcome);
                }
                Ok(Command::Unload(name, done)) => {
                    let found = self.unload(&name);
                    let _ = done.send(found.then_some(()).ok_or(ControlError::NotFound));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if interval.is_some_and(|interval| looked.elapsed() >= interval) {
                        self.follow();
                        looked = Instant::now();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Has this thread take the time that the workers leave over: a model that is loaded must not slow down those that answer.
fn requests_first() {
    // A tenth of a core where the workers want all of them. On Linux it holds for the calling thread alone.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "models are loaded at the same priority as requests");
    }
}

/// Has mimalloc look for memory to give back: it does when a thread ends. A busy server's threads have it look often
/// enough; one without requests would keep an unloaded model's memory.
fn purge() {
    let ended = thread::Builder::new()
        .spawn(|| drop(vec![0_u8; 1]))
        .map(thread::JoinHandle::join);
    if let Err(error) = ended {
        tracing::debug!(%error, "no thread to purge memory with");
    }
}
