//! A loaded graph: its sessions, inputs and outputs.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;

use ort::session::{RunOptions, Session};
use prost::Message as _;

use super::description::Description;
use super::sessions::{SessionGraph, Sessions, usable_device};
use super::signature::{ConcludedTask, OutputRows, Signature};
use super::weights::{check_external, read_external, read_linear};
use super::{Device, EngineError, Layout, Runtime, TensorInfo};
use crate::export::Precision;
use crate::export::graph::{FusedGraph, TASK_KEY};
use crate::inference::{Cores, InferenceError, Model, Sequence};
use crate::kernels;
use crate::task::Task;

/// ONNX Runtime's run option that frees unused memory after a run.
const SHRINK_ARENA: &str = "memory.enable_memory_arena_shrinkage";

/// Options for loading a graph.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    pub device: Device,
    /// Number of batches that may run at once on the CPU. A GPU runs one at a time.
    pub sessions: NonZeroUsize,
}

#[derive(Debug)]
pub struct Graph {
    sessions: Sessions,
    device: Device,
    layout: Layout,
    precision: Precision,
    metadata: HashMap<String, String>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    signature: Signature,
    fused: bool,
}

impl Graph {
    /// Loads a graph of either layout and opens its sessions. [`Device::Auto`] is resolved to a device that works.
    ///
    /// # Errors
    /// If the files can't be read, the graph is of another kind, or the device does not work.
    pub fn load(
        runtime: &Runtime,
        path: &Path,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let description = Description::read(path)?;
        let device = resolve(runtime, options.device, description.precision)?;
        if description.precision == Precision::Fp16 && !device.is_gpu() {
            tracing::warn!(
                graph = %path.display(),
                "fp16 is for GPUs: the CPU converts to fp32 and back around every operator; for the CPU, export the checkpoint \
                 in int8 or fp32"
            );
        }
        let fused = fused(&description, device);
        let fused = fused.as_ref();
        let model = fused.map_or(&description.model, |fused| &fused.model);
        let file = &description.file;
        let (sessions, weights) = if device.is_gpu() {
            check_external(model, &file.path)?;
            (NonZeroUsize::MIN, vec![])
        } else {
            let weights = read_external(model, &file.path, &runtime.weights)?;
            (options.sessions, weights)
        };
        let linear_weights = fused
            .map(|fused| read_linear(&fused.linear_weights, &file.path, &runtime.weights))
            .transpose()?;
        let fused_bytes = fused.map(|fused| fused.model.encode_to_vec());
        let graph = SessionGraph {
            path: &file.path,
            bytes: fused_bytes.as_ref().unwrap_or(&file.bytes),
            weights: &weights,
            linear_weights: linear_weights.as_ref(),
        };
        let sessions = Sessions::open(runtime, graph, device, sessions)?;
        let (inputs, outputs) = sessions.one_core.with_session(|session| {
            let outputs = TensorInfo::of_all(session.outputs());
            (TensorInfo::of_all(session.inputs()), outputs)
        });
        let signature = match description.layout {
            Layout::Packed => {
                Signature::packed(&inputs, &outputs, description.first_output_dimension())
            }
            Layout::Padded => Signature::padded(&inputs, &outputs),
        };
        let signature = signature.map_err(|reason| EngineError::Unsupported {
            path: path.to_path_buf(),
            reason,
        })?;
        Ok(Self {
            sessions,
            device,
            layout: description.layout,
            precision: description.precision,
            metadata: description.metadata,
            inputs,
            outputs,
            signature,
            fused: fused.is_some(),
        })
    }

    /// The device that the graph runs on; never [`Device::Auto`].
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Whether a batch can run on several cores.
    #[must_use]
    pub fn runs_on_all_cores(&self) -> bool {
        self.sessions.all_cores.is_some()
    }

    /// Frees the session that runs on all cores; each batch then runs on one core.
    pub fn keep_to_one_core(&mut self) {
        self.sessions.all_cores = None;
    }

    /// Whether the graph runs in this server's own operators (`export::graph::fused`).
    #[must_use]
    pub fn is_fused(&self) -> bool {
        self.fused
    }

    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The type in which the graph's matrices are stored.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The graph's inputs, in order.
    #[must_use]
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The graph's outputs, in order.
    #[must_use]
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Number of logits per row of the output.
    #[must_use]
    pub fn output_width(&self) -> usize {
        self.signature.output.width
    }

    /// Whether a row of the output is a token or a sequence.
    #[must_use]
    pub fn output_rows(&self) -> OutputRows {
        self.signature.output.rows
    }

    /// The value of a key in the graph's metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The task that the graph's metadata names, or else the one that its outputs imply; `None` if they are ambiguous.
    #[must_use]
    pub fn task(&self) -> Option<ConcludedTask> {
        let said = self.metadata(TASK_KEY).and_then(Task::named);
        let said = said.map(|task| ConcludedTask {
            task,
            from: format!("its metadata {TASK_KEY}"),
        });
        said.or_else(|| self.signature.concluded_task())
    }

    /// Runs a sequence in every session, and frees the memory that larger batches before it took. Does nothing on a
    /// GPU.
    ///
    /// # Errors
    /// If ONNX Runtime fails.
    pub fn release_memory(&self, sequence: &Sequence) -> Result<(), EngineError> {
        if self.device.is_gpu() {
            return Ok(());
        }
        let mut options = RunOptions::new().map_err(EngineError::Runtime)?;
        options
            .set(SHRINK_ARENA, "cpu:0")
            .map_err(EngineError::Runtime)?;
        let mut run =
            |session: &mut Session| self.logits(session, &[sequence], Some(&options)).map(drop);
        self.sessions.one_core.try_each(&mut run)?;
        match &self.sessions.all_cores {
            Some(sessions) => sessions.try_each(&mut run),
            None => Ok(()),
        }
    }

    fn logits(
        &self,
        session: &mut Session,
        sequences: &[&Sequence],
        options: Option<&RunOptions>,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let (inputs, rows) = self
            .signature
            .inputs
            .feed(sequences)
            .map_err(EngineError::Runtime)?;
        let outputs = match options {
            Some(options) => session.run_with_options(inputs, options),
            None => session.run(inputs),
        };
        self.signature.output.read(
            &outputs.map_err(EngineError::Runtime)?,
            sequences.len(),
            &rows,
        )
    }
}

impl Model for Graph {
    fn run(&self, batch: &[&Sequence], cores: Cores) -> Result<Vec<Vec<f32>>, InferenceError> {
        let sessions = match (cores, &self.sessions.all_cores) {
            (Cores::All, Some(sessions)) => sessions,
            _ => &self.sessions.one_core,
        };
        sessions
            .with_session(|session| self.logits(session, batch, None))
            .map_err(InferenceError::model)
    }

    fn pads_to_longest(&self) -> bool {
        self.layout == Layout::Padded
    }
}

/// Returns the fused graph, if there is one and the device is a CPU that the operators support.
fn fused(description: &Description, device: Device) -> Option<FusedGraph> {
    let wanted = !device.is_gpu()
        && description.layout == Layout::Packed
        && description.precision != Precision::Fp16
        && kernels::vectorized();
    let fused = wanted.then(|| description.fused()).flatten();
    if wanted && fused.is_none() {
        tracing::info!(
            graph = %description.file.path.display(),
            "running the graph without fused operators, because another version of electra exported it or its config.json \
             has changed; to make it faster, export the checkpoint again"
        );
    }
    fused
}

/// The device that a graph of this precision runs on. int8 runs only on the CPU.
fn resolve(runtime: &Runtime, device: Device, precision: Precision) -> Result<Device, EngineError> {
    if device == Device::Auto && precision == Precision::Int8 {
        return Ok(Device::Cpu);
    }
    let device = usable_device(runtime, device)?;
    if device.is_gpu() && precision == Precision::Int8 {
        let reason =
            "int8 graphs run on the CPU; export the checkpoint with --precision fp16 for a GPU";
        return Err(EngineError::Device {
            device,
            reason: reason.to_owned(),
        });
    }
    Ok(device)
}

#[cfg(test)]
mod tests;
