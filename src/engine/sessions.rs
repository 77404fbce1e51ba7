//! The sessions of one graph: each is used by one thread at a time, all of them share the weights.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use ort::session::Session;
use ort::session::builder::{PrepackedWeights, SessionBuilder};

use super::weights::SharedWeight;
use super::{Device, EngineError, Runtime};

/// Idle sessions of one graph. A caller takes one out for as long as it runs; where all are out, it waits.
#[derive(Debug)]
pub struct SessionPool {
    idle: Mutex<Vec<Session>>,
    returned: Condvar,
}

impl SessionPool {
    /// Opens the sessions. On the CPU each of them computes on its caller's thread alone, and all of them share the
    /// weights and what ONNX Runtime makes of them ("prepacking").
    pub fn open(
        runtime: &Runtime,
        path: &Path,
        device: Device,
        count: NonZeroUsize,
        weights: &[SharedWeight],
    ) -> Result<Self, EngineError> {
        let prepacked = PrepackedWeights::new();
        let sessions = (0..count.get())
            .map(|_| {
                let mut builder = configure(runtime, device, path)?;
                if !device.is_gpu() {
                    let failed = |error: ort::Error<SessionBuilder>| load_error(path, &error);
                    builder = builder.with_prepacked_weights(&prepacked).map_err(failed)?;
                    for (name, value) in weights {
                        builder = builder
                            .with_initializer(name, value.clone())
                            .map_err(failed)?;
                    }
                }
                builder
                    .commit_from_file(path)
                    .map_err(|error| load_error(path, &error))
            })
            .collect::<Result<Vec<Session>, EngineError>>()?;
        Ok(Self {
            idle: Mutex::new(sessions),
            returned: Condvar::new(),
        })
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

    fn take(&self) -> Session {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(self.session.take());
        self.pool.returned.notify_one();
    }
}

/// Whether a device's execution provider can be registered here.
pub fn check_device(runtime: &Runtime, device: Device) -> Result<(), EngineError> {
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

#[allow(
    clippy::result_large_err,
    reason = "ort hands the builder back inside its errors"
)]
fn configure(
    runtime: &Runtime,
    device: Device,
    path: &Path,
) -> Result<SessionBuilder, EngineError> {
    let builder =
        Session::builder(&runtime.environment).map_err(|error| load_error(path, &error))?;
    let builder = builder
        .with_execution_providers(device.execution_providers())
        .map_err(|error| device_error(runtime, device, &error))?;
    let failed = |error: ort::Error<SessionBuilder>| load_error(path, &error);
    builder
        .with_intra_threads(1)
        .and_then(|builder| builder.with_inter_threads(1))
        // A pattern is kept for each shape that was ever seen, and no two batches have the same.
        .and_then(|builder| builder.with_memory_pattern(false))
        .map_err(failed)
}

fn load_error(path: &Path, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Load {
        path: path.to_path_buf(),
        reason: error.to_string(),
    }
}
