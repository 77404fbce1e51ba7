//! Pools of a graph's sessions. Each session is used by one thread at a time; all share the weights.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use ort::session::Session;
use ort::session::builder::{PrepackedWeights, SessionBuilder};

use super::linear_weights::LinearWeights;
use super::weights::SharedWeight;
use super::{Device, EngineError, Runtime, operators};
use crate::inference::Cores;

/// A graph's sessions, by the number of cores they use.
#[derive(Debug)]
pub struct Sessions {
    /// Sessions that compute on the caller's thread alone; a GPU has only one.
    pub one_core: SessionPool,
    /// A session that computes on all cores; `None` on a single core and on a GPU.
    pub all_cores: Option<SessionPool>,
}

/// The graph of the sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionGraph<'a> {
    /// The graph's file; weights are looked up beside it.
    pub path: &'a Path,
    /// The graph without its large weights.
    pub bytes: &'a [u8],
    /// Weights that all sessions share on the CPU.
    pub weights: &'a [SharedWeight],
    /// Weights of this server's own operators; `None` for a graph without such operators.
    pub linear_weights: Option<&'a LinearWeights>,
}

impl Sessions {
    /// Opens `count` sessions on one core each. On a CPU, if `count` is above one and at least the number of cores,
    /// also opens a session on all cores. On the CPU, all sessions share the weights and their prepacked forms.
    pub fn open(
        runtime: &Runtime,
        graph: SessionGraph,
        device: Device,
        count: NonZeroUsize,
    ) -> Result<Self, EngineError> {
        let opening = Opening {
            runtime,
            graph,
            device,
            prepacked: PrepackedWeights::new(),
        };
        let one_core = (0..count.get())
            .map(|_| opening.session(Cores::One))
            .collect::<Result<Vec<Session>, EngineError>>()?;
        // Fewer sessions than cores mean that some cores are reserved for other work.
        let all_cores = if !device.is_gpu() && count.get() > 1 && count >= runtime.cores() {
            Some(SessionPool::new(vec![opening.session(Cores::All)?]))
        } else {
            None
        };
        Ok(Self {
            one_core: SessionPool::new(one_core),
            all_cores,
        })
    }
}

/// A pool of sessions. A caller takes one for the time of its run, and waits if none is idle.
#[derive(Debug)]
pub struct SessionPool {
    idle: Mutex<Vec<Session>>,
    returned: Condvar,
}

impl SessionPool {
    fn new(sessions: Vec<Session>) -> Self {
        Self {
            idle: Mutex::new(sessions),
            returned: Condvar::new(),
        }
    }

    /// Uses each idle session in turn; these are all sessions if none is in use.
    pub fn try_each<E>(
        &self,
        use_session: impl FnMut(&mut Session) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut sessions = std::mem::take(&mut *self.lock());
        let outcome = sessions.iter_mut().try_for_each(use_session);
        self.lock().append(&mut sessions);
        self.returned.notify_all();
        outcome
    }

    /// Runs `use_session` with exclusive use of a session. The session returns to the pool even if `use_session`
    /// panics.
    pub fn with_session<R>(&self, use_session: impl FnOnce(&mut Session) -> R) -> R {
        let mut taken = TakenSession {
            pool: self,
            session: Some(self.take()),
        };
        match taken.session.as_mut() {
            Some(session) => use_session(session),
            None => unreachable!("a session is taken out for as long as `taken` lives"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Session {
        let mut idle = self.lock();
        loop {
            match idle.pop() {
                Some(session) => return session,
                None => {
                    idle = self
                        .returned
                        .wait(idle)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

struct TakenSession<'pool> {
    pool: &'pool SessionPool,
    session: Option<Session>,
}

impl Drop for TakenSession<'_> {
    fn drop(&mut self) {
        self.pool.lock().extend(self.session.take());
        self.pool.returned.notify_one();
    }
}

/// Resolves [`Device::Auto`]: CUDA if it works, otherwise the CPU. Checks any other device.
///
/// # Errors
/// [`EngineError::Device`], if a device that was named does not work.
pub fn usable_device(runtime: &Runtime, device: Device) -> Result<Device, EngineError> {
    match device {
        Device::Cpu => Ok(Device::Cpu),
        Device::Auto => {
            Ok(check_device(runtime, Device::Cuda(0)).map_or(Device::Cpu, |()| Device::Cuda(0)))
        }
        gpu => check_device(runtime, gpu).map(|()| gpu),
    }
}

/// Checks that a device's execution provider can be registered.
fn check_device(runtime: &Runtime, device: Device) -> Result<(), EngineError> {
    let builder = Session::builder(&runtime.environment)
        .map_err(|error| device_error(runtime, device, &error))?;
    builder
        .with_execution_providers(device.execution_providers())
        .map(drop)
        .map_err(|error| device_error(runtime, device, &error))
}

/// An error that says why a device does not work, and what to do.
fn device_error(runtime: &Runtime, device: Device, error: &dyn std::fmt::Display) -> EngineError {
    let error = error.to_string();
    let reason = format!(
        "{} (ONNX Runtime from {}). Use --device cpu, or the build for GPUs, which `make runtime GPU=1` fetches, with \
         NVIDIA's driver, CUDA and cuDNN.",
        error.trim_end_matches('.'),
        runtime.library().display()
    );
    EngineError::Device { device, reason }
}

/// The arguments of opening a session.
struct Opening<'a> {
    runtime: &'a Runtime,
    graph: SessionGraph<'a>,
    device: Device,
    prepacked: PrepackedWeights,
}

impl Opening<'_> {
    fn session(&self, cores: Cores) -> Result<Session, EngineError> {
        let SessionGraph {
            path,
            bytes,
            weights,
            linear_weights,
        } = self.graph;
        let failed = |error: &dyn std::fmt::Display| load_error(path, error);
        let mut builder = configure(self.runtime, path, self.device, cores)?;
        if self.device.is_gpu() {
            return builder
                .commit_from_file(path)
                .map_err(|error| failed(&error));
        }
        if let Some(linear_weights) = linear_weights {
            let operators = operators::domain(cores, linear_weights);
            let operators = operators.map_err(|error| failed(&error))?;
            builder = builder
                .with_operators(operators)
                .map_err(|error| failed(&error))?;
        }
        let builder = share_weights(builder, weights, &self.prepacked);
        let builder = builder.map_err(|error| failed(&error))?;
        find_weights(builder, path)
            .map_err(|error| failed(&error))?
            .commit_from_memory(bytes)
            .map_err(|error| failed(&error))
    }
}

/// ONNX Runtime's option for the folder with the weights of a graph that is loaded from memory.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// Makes a session that loads its graph from memory look for weights beside the graph's file.
#[allow(
    clippy::result_large_err,
    reason = "ort hands the builder back inside its errors"
)]
pub(super) fn find_weights(
    builder: SessionBuilder,
    path: &Path,
) -> Result<SessionBuilder, ort::Error<SessionBuilder>> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    builder.with_config_entry(WEIGHTS_FOLDER, folder.to_string_lossy())
}

/// A builder with the options that all sessions share, for the caller's thread alone or for all cores.
#[allow(
    clippy::result_large_err,
    reason = "ort hands the builder back inside its errors"
)]
pub(super) fn configure(
    runtime: &Runtime,
    path: &Path,
    device: Device,
    cores: Cores,
) -> Result<SessionBuilder, EngineError> {
    let builder = Session::builder(&runtime.environment)
        .map_err(|error| load_error(path, &error))?
        .with_execution_providers(device.execution_providers())
        .map_err(|error| device_error(runtime, device, &error))?;
    let builder = match cores {
        Cores::One => builder
            .with_independent_thread_pool()
            .and_then(|builder| builder.with_intra_threads(1))
            .and_then(|builder| builder.with_inter_threads(1)),
        // A session without threads of its own uses the runtime's pool.
        Cores::All => Ok(builder),
    };
    builder
        // A pattern is stored for each shape ever seen, and batches rarely repeat a shape.
        .and_then(|builder| builder.with_memory_pattern(false))
        .map_err(|error| load_error(path, &error))
}

/// Makes a session use the shared weights and their prepacked forms.
#[allow(
    clippy::result_large_err,
    reason = "ort hands the builder back inside its errors"
)]
pub(super) fn share_weights(
    builder: SessionBuilder,
    weights: &[SharedWeight],
    prepacked: &PrepackedWeights,
) -> Result<SessionBuilder, ort::Error<SessionBuilder>> {
    weights.iter().try_fold(
        builder.with_prepacked_weights(prepacked)?,
        |builder, (name, value)| builder.with_initializer(name, value.clone()),
    )
}

fn load_error(path: &Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Load {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
