//! The manager's thread: loads all models, then executes commands and polls the folder.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::manager::{DeviceFailure, Manager};
use crate::panics::{Panic, caught};
use crate::registry::{Commands, ControlError, ModelCommand};

/// Takes the result of a command.
type Reply = oneshot::Sender<Result<(), ControlError>>;

/// How often slow loads are checked, and models out of service for unanswered requests.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

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
            .spawn(move || {
                // Loads that begin later inherit the priority.
                let begun = surviving("initial load", || self.begin_all(|_| !stopping()));
                yield_to_requests();
                match begun {
                    Some(Err(error)) => drop(failed.send(error)),
                    Some(Ok(())) | None => self.serve(&commands, interval, failed),
                }
            })?;
        Ok(failure)
    }

    /// Executes commands until nobody can send more. If the device fails during the initial load, that ends it too.
    fn serve(
        &mut self,
        commands: &Commands,
        interval: Option<Duration>,
        failed: oneshot::Sender<DeviceFailure>,
    ) {
        let mut initial = Some(failed);
        // Requesters of models whose load goes on.
        let mut waiting: Vec<(Arc<str>, Reply)> = Vec::new();
        let mut last_poll = Instant::now();
        let mut released: Option<Instant> = None;
        loop {
            let finished = surviving("load", || self.finish()).unwrap_or(Ok(()));
            if let Err(failure) = finished
                && let Some(failed) = initial.take()
            {
                drop(failed.send(failure));
                return;
            }
            // From here on, failures of the device are reported like any other reason, in the registry.
            if !self.is_loading() && initial.take().is_some() {
                self.settle();
            }
            for (name, reply) in waiting.extract_if(.., |(name, _)| !self.is_loading_model(name)) {
                let _ = reply.send(self.outcome(&name).map_err(|error| self.shown(&error)));
            }
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
            let until_release = left.some_in_use.then_some(CHECK_INTERVAL);
            let until_purge =
                released.map(|released| PURGE_DELAY.saturating_sub(released.elapsed()));
            let until_loaded = self.is_loading().then_some(CHECK_INTERVAL);
            let waits = [until_poll, until_release, until_purge, until_loaded];
            let command = match waits.into_iter().flatten().min() {
                Some(patience) => commands.recv_timeout(patience),
                None => commands.recv().map_err(RecvTimeoutError::from),
            };
            match command {
                // If the requester is gone, the result is discarded.
                Ok(ModelCommand::Load(name, reply)) => {
                    match surviving("load", || self.load(&name)) {
                        Some(Ok(name)) => waiting.push((name, reply)),
                        Some(Err(error)) => drop(reply.send(Err(self.shown(&error)))),
                        None => drop(reply.send(Err(panicked()))),
                    }
                }
                Ok(ModelCommand::Unload(name, reply)) => {
                    let outcome = match surviving("unload", || self.unload(&name)) {
                        Some(true) => Ok(()),
                        Some(false) => Err(ControlError::NotFound),
                        None => Err(panicked()),
                    };
                    let _ = reply.send(outcome);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if interval.is_some_and(|interval| last_poll.elapsed() >= interval) {
                        surviving("poll", || self.follow());
                        last_poll = Instant::now();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Does a piece of work. If it panics, the log says so, and this thread goes on: without it, no model would ever be
/// loaded or unloaded again.
fn surviving<T>(what: &str, work: impl FnOnce() -> T) -> Option<T> {
    caught(work)
        .inspect_err(|Panic { message, place }| {
            tracing::error!(
                what,
                message,
                place,
                "the loading thread panicked and goes on"
            );
        })
        .ok()
}

fn panicked() -> ControlError {
    ControlError::Failed("The server failed unexpectedly; its log says where.".to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_panics_does_not_end_the_thread() {
        assert_eq!(surviving("work", || 1), Some(1));
        assert_eq!(surviving("work", || -> u8 { panic!("broken") }), None);
    }
}
