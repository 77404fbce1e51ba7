//! The sessions of one graph: each is used by one thread at a time, all of them share the weights.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use ort::session::Session;
use ort::session::builder::{PrepackedWeights, SessionBuilder};

use super::linear_weights::LinearWeights;
use super::weights::SharedWeight;
use super::{Device, EngineError, Runtime, operators};
use crate::inference::Cores;

/// The sessions of one graph, by the cores they compute on.
#[derive(Debug)]
pub struct Sessions {
    /// Each computes on its caller's thread alone; on a GPU there is one.
    pub one_core: SessionPool,
    /// Computes on all cores; absent where there is but one, and on a GPU.
    pub all_cores: Option<SessionPool>,
}

/// The graph that sessions are opened of.
#[derive(Clone, Copy, Debug)]
pub struct SessionGraph<'a> {
    /// Its file; weights are looked for beside it.
    pub path: &'a Path,
    /// The graph without its large weights.
    pub bytes: &'a [u8],
    /// The weights that all sessions share on the CPU.
    pub weights: &'a [SharedWeight],
    /// The weights that operators of this server's own multiply with; none for a graph without such operators.
    pub linear_weights: Option<&'a LinearWeights>,
}

impl Sessions {
    /// Opens `count` sessions on one core each, and with more than one of them another on all cores. On the CPU all of
    /// them share the weights and what ONNX Runtime makes of them ("prepacking").
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
        // With fewer callers than cores, some of the cores are not for this process's graphs.
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

/// Idle sessions. A caller takes one out for as long as it runs; where all are out, it waits.
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

    /// Uses each of the idle sessions in turn; all of them where none is in use.
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

    /// Runs `use_session` with a session of its own. The session goes back when it returns or panics.
    pub fn with_session<R>(&self, use_session: impl FnOnce(&mut Session) -> R) -> R {
        let mut taken = Taken {
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

struct Taken<'pool> {
    pool: &'pool SessionPool,
    session: Option<Session>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.pool.lock().extend(self.session.take());
        self.pool.returned.notify_one();
    }
}

/// The device that a name stands for here: [`Device::Auto`] is CUDA where it works, else the CPU.
///
/// # Errors
/// [`EngineError::Device`] where a device that was named does not work.
pub fn usable_device(runtime: &Runtime, device: Device) -> Result<Device, EngineError> {
    match device {
        Device::Cpu => Ok(Device::Cpu),
        Device::Auto => {
            Ok(check_device(runtime, Device::Cuda(0)).map_or(Device::Cpu, |()| Device::Cuda(0)))
        }
        gpu => check_device(runtime, gpu).map(|()| gpu),
    }
}

/// Whether a device's execution provider can be registered here.
fn check_device(runtime: &Runtime, device: Device) -> Result<(), EngineError> {
    let builder = Session::builder(&runtime.environment)
        .map_err(|error| device_error(runtime, device, &error))?;
    builder
        .with_execution_providers(device.execution_providers())
        .map(drop)
        .map_err(|error| device_error(runtime, device, &error))
}

/// Why a device does not work, and what would.
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

/// What opening a session takes.
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

/// ONNX Runtime's name of the folder that holds the weights of a graph that comes from memory.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// Has a session that gets its graph from memory look for weights beside the graph's file.
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

/// A builder with the options of every session: computing on its caller's thread alone, or on all cores.
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
        // The runtime's pool, as a session has it that asks for none of its own.
        Cores::All => Ok(builder),
    };
    builder
        // A pattern is kept for each shape that was ever seen, and no two batches have the same.
        .and_then(|builder| builder.with_memory_pattern(false))
        .map_err(|error| load_error(path, &error))
}

/// Has a session use weights that others use too, and what ONNX Runtime makes of them.
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
#[path = "sessions_tests.rs"]
mod tests;
