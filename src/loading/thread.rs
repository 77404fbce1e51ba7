//! The manager's thread: loads all models, then executes commands and polls the folder.

use std::io;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::manager::{DeviceFailure, Manager, ReloadError};
use crate::registry::{Commands, ControlError, ModelCommand};

/// How often models out of service are checked for unanswered requests.
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);

/// mimalloc returns memory to the system at its first check after the memory has been free for a second.
const PURGE_DELAY: Duration = Duration::from_millis(1100);

impl Manager {
    /// Starts a thread that loads all models, then executes commands and polls the folder at this interval. `stopping`
    /// ends the initial load between two models.
    ///
    /// # Errors
    /// If the operating system can't start a thread. If the device that the configuration names does not work, the
    /// receiver gets that error.
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
                    yield_to_requests();
                    self.serve(&commands, interval);
                }
                Err(error) => drop(failed.send(error)),
            })?;
        Ok(failure)
    }

    fn serve(&mut self, commands: &Commands, interval: Option<Duration>) {
        let mut last_poll = Instant::now();
        let mut released: Option<Instant> = None;
        loop {
            let left = self.release();
            if left.freed_any {
                released = Some(Instant::now());
            }
            if released.is_some_and(|released| released.elapsed() >= PURGE_DELAY) {
                purge();
                released = None;
            }
            // The interval runs from poll to poll, regardless of commands in between.
            let until_poll = interval.map(|interval| interval.saturating_sub(last_poll.elapsed()));
            let until_release = left.some_in_use.then_some(RELEASE_INTERVAL);
            let until_purge =
                released.map(|released| PURGE_DELAY.saturating_sub(released.elapsed()));
            let waits = [until_poll, until_release, until_purge];
            let command = match waits.into_iter().flatten().min() {
                Some(patience) => commands.recv_timeout(patience),
                None => commands.recv().map_err(RecvTimeoutError::from),
            };
            match command {
                // If the requester is gone, the result is discarded.
                Ok(ModelCommand::Load(name, done)) => {
                    let outcome = self.load(&name).map_err(|error| match error {
                        ReloadError::NotFound => ControlError::NotFound,
                        error => ControlError::Failed(error.to_string()),
                    });
                    let _ = done.send(outcome);
                }
                Ok(ModelCommand::Unload(name, done)) => {
                    let found = self.unload(&name);
                    let _ = done.send(found.then_some(()).ok_or(ControlError::NotFound));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if interval.is_some_and(|interval| last_poll.elapsed() >= interval) {
                        self.follow();
                        last_poll = Instant::now();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Lowers this thread's priority, so that loading a model does not slow down the workers.
fn yield_to_requests() {
    // If the workers want all cores, niceness 10 leaves this thread a tenth of one. On Linux it applies to the calling
    // thread only.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "lowering the loading thread's priority failed");
    }
}

/// Makes mimalloc return free memory, which it does when a thread ends. On a busy server its checks are frequent
/// enough. Without requests, an unloaded model's memory would stay.
fn purge() {
    let ended = thread::Builder::new()
        .spawn(|| drop(vec![0_u8; 1]))
        .map(thread::JoinHandle::join);
    if let Err(error) = ended {
        tracing::debug!(%error, "starting the thread that purges memory failed");
    }
}
