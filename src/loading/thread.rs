//! The manager's thread: loads all models, then serves commands and follows the folder.

use std::io;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::manager::{DeviceFailure, Manager};
use crate::registry::{Command, Commands, ControlError};

/// How often models that are out of service are checked for requests that they still answer.
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);

/// mimalloc gives the system back what has been free for a second, when it next looks.
const PURGE_DELAY: Duration = Duration::from_millis(1100);

impl Manager {
    /// Starts a thread that loads all models, then does what it is asked, and follows the folder at this interval.
    /// `stopping` ends the loading between two models.
    ///
    /// # Errors
    /// Where the operating system refuses to start a thread. The receiver hears of a device that was asked for by name
    /// and does not work.
    pub fn start(
        mut self,
        commands: Commands,
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

    fn serve(&mut self, commands: &Commands, interval: Option<Duration>) {
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
