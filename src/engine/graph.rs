//! A graph ready to run: its sessions, what it takes and what it gives.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;

use ort::session::{RunOptions, Session};
use ort::value::{Outlet, TensorRef, ValueType};
use prost::Message as _;
use serde::Serialize;

use super::packed::PackedBatch;
use super::sessions::{Sessions, usable_device};
use super::weights::read_external;
use super::{Device, EngineError, Layout, Runtime};
use crate::batch::{Cores, Model, Sequence};
use crate::export::Precision;
use crate::export::graph::{INPUTS, LAYOUT_KEY, OUTPUT, PRECISION_KEY};
use crate::onnx;

/// ONNX Runtime's option to give unused memory back at the end of a run.
const SHRINK_ARENA: &str = "memory.enable_memory_arena_shrinkage";

/// How to load a graph.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Where to run it.
    pub device: Device,
    /// How many batches may run at once on the CPU. A GPU runs one at a time.
    pub sessions: NonZeroUsize,
}

/// A graph, loaded.
#[derive(Debug)]
pub struct Graph {
    sessions: Sessions,
    device: Device,
    layout: Layout,
    precision: Precision,
    metadata: HashMap<String, String>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    output_rows: OutputRows,
    output_width: usize,
}

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its element type, as the Open Inference Protocol spells it: `INT64`, `FP32`.
    pub datatype: String,
    /// Its shape, with -1 for a size known when the graph runs.
    pub shape: Vec<i64>,
}

/// What a row of the logits belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputRows {
    Tokens,
    Sequences,
}

impl Graph {
    /// Loads a graph of the packed layout and opens its sessions. [`Device::Auto`] becomes the device that works.
    ///
    /// # Errors
    /// Where the files can't be read, the graph is of another kind, or the device does not work.
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
                "fp16 is for GPUs: the CPU converts it to fp32 and back around every operator; export the checkpoint in int8 \
                 or fp32 for it"
            );
        }
        let sessions = if device.is_gpu() {
            NonZeroUsize::MIN
        } else {
            options.sessions
        };
        let weights = if device.is_gpu() {
            vec![]
        } else {
            read_external(&description.model, path)?
        };
        let sessions = Sessions::open(runtime, path, device, sessions, &weights)?;
        let unsupported = |reason: &str| EngineError::Unsupported {
            path: path.to_path_buf(),
            reason: reason.to_owned(),
        };
        let (inputs, outputs) = sessions
            .one_core
            .with_session(|session| (tensors(session.inputs()), tensors(session.outputs())));
        if inputs.iter().map(|input| input.name.as_str()).ne(INPUTS) {
            return Err(unsupported(
                "its inputs are not those of the packed layout; export the checkpoint again",
            ));
        }
        let logits = outputs.iter().find(|output| output.name == OUTPUT);
        let width = logits
            .and_then(|logits| logits.shape.last())
            .and_then(|width| usize::try_from(*width).ok());
        let output_width = width.ok_or_else(|| {
            unsupported("it has no output `logits` of a fixed width; export the checkpoint again")
        })?;
        Ok(Self {
            sessions,
            device,
            layout: Layout::Packed,
            precision: description.precision,
            output_rows: description.output_rows(),
            metadata: description.metadata,
            inputs,
            outputs,
            output_width,
        })
    }

    /// Where the graph runs; never [`Device::Auto`].
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Whether a batch can run on more cores than one.
    #[must_use]
    pub fn runs_on_all_cores(&self) -> bool {
        self.sessions.all_cores.is_some()
    }

    /// Gives back the memory of what runs on all cores: batches run on one from now on.
    pub fn keep_to_one_core(&mut self) {
        self.sessions.all_cores = None;
    }

    /// How batches are laid out in its inputs.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What its matrices are kept in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Its inputs, in order.
    #[must_use]
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// Its outputs, in order.
    #[must_use]
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Logits in one row of its output.
    #[must_use]
    pub fn output_width(&self) -> usize {
        self.output_width
    }

    /// What the graph says of itself under a key.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Runs a sequence in every session, after which each gives back the memory of larger batches that ran before.
    ///
    /// # Errors
    /// Where ONNX Runtime fails.
    pub fn release_memory(&self, sequence: &Sequence) -> Result<(), EngineError> {
        if self.device.is_gpu() {
            return Ok(());
        }
        let failed = |error: ort::Error| EngineError::Run(error.to_string());
        let mut options = RunOptions::new().map_err(failed)?;
        options.set(SHRINK_ARENA, "cpu:0").map_err(failed)?;
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
        let failed = |error: ort::Error| EngineError::Run(error.to_string());
        let batch = PackedBatch::new(sequences);
        let tensor = |values| TensorRef::<i64>::from_array_view(values).map_err(failed);
        let inputs = ort::inputs! {
            INPUTS[0] => tensor(([batch.input_ids.len()], batch.input_ids.as_slice()))?,
            INPUTS[1] => tensor(([batch.token_type_ids.len()], batch.token_type_ids.as_slice()))?,
            INPUTS[2] => tensor(([batch.position_ids.len()], batch.position_ids.as_slice()))?,
            INPUTS[3] => tensor(([batch.sequence_starts.len()], batch.sequence_starts.as_slice()))?,
        };
        let outputs = match options {
            Some(options) => session.run_with_options(inputs, options),
            None => session.run(inputs),
        };
        let outputs = outputs.map_err(failed)?;
        let (_, logits) = outputs[OUTPUT]
            .try_extract_tensor::<f32>()
            .map_err(failed)?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            let reason =
                "the graph computed logits that are no finite numbers; its weights are damaged";
            return Err(EngineError::Run(reason.to_owned()));
        }
        let width = self.output_width;
        let rows: Vec<_> = match self.output_rows {
            OutputRows::Tokens => PackedBatch::token_rows(sequences).collect(),
            OutputRows::Sequences => (0..sequences.len()).map(|row| row..row + 1).collect(),
        };
        rows.into_iter()
            .map(|rows| {
                logits
                    .get(rows.start * width..rows.end * width)
                    .map(<[f32]>::to_vec)
            })
            .collect::<Option<_>>()
            .ok_or_else(|| {
                EngineError::Run(format!(
                    "{} logits came back for {} sequences",
                    logits.len(),
                    sequences.len()
                ))
            })
    }
}

impl Model for Graph {
    fn run(&self, batch: &[&Sequence], cores: Cores) -> Result<Vec<Vec<f32>>, String> {
        let sessions = match (cores, &self.sessions.all_cores) {
            (Cores::All, Some(sessions)) => sessions,
            _ => &self.sessions.one_core,
        };
        sessions
            .with_session(|session| self.logits(session, batch, None))
            .map_err(|error| error.to_string())
    }
}

/// What the graph's file says before any session is opened.
struct Description {
    model: onnx::Model,
    metadata: HashMap<String, String>,
    precision: Precision,
}

impl Description {
    fn read(path: &Path) -> Result<Self, EngineError> {
        let load = |reason: String| EngineError::Load {
            path: path.to_path_buf(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|error| load(error.to_string()))?;
        let model = onnx::Model::decode(bytes.as_slice())
            .map_err(|error| load(format!("it is no ONNX graph: {error}")))?;
        let metadata: HashMap<_, _> = model
            .metadata_props
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect();
        let unsupported = |reason: String| EngineError::Unsupported {
            path: path.to_path_buf(),
            reason,
        };
        if metadata.get(LAYOUT_KEY).map(String::as_str) != Some("packed") {
            return Err(unsupported(
                "it was not written by `electra export`; export the checkpoint that it came from"
                    .to_owned(),
            ));
        }
        let precision = metadata
            .get(PRECISION_KEY)
            .map_or("", String::as_str)
            .parse()
            .map_err(unsupported)?;
        Ok(Self {
            model,
            metadata,
            precision,
        })
    }

    fn output_rows(&self) -> OutputRows {
        let mut outputs = self.model.graph.iter().flat_map(|graph| &graph.output);
        let first = outputs.find_map(|output| {
            let tensor = output.r#type.as_ref()?.tensor_type.as_ref()?;
            tensor.shape.as_ref()?.dim.first()?.value.clone()
        });
        match first {
            Some(onnx::DimensionValue::Name(name)) if name == "sequences" => OutputRows::Sequences,
            _ => OutputRows::Tokens,
        }
    }
}

/// The device that a graph in this precision runs on: int8 on the CPU alone, the others on any.
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

fn tensors(outlets: &[Outlet]) -> Vec<TensorInfo> {
    outlets
        .iter()
        .map(|outlet| {
            let (datatype, shape) = match outlet.dtype() {
                ValueType::Tensor { ty, shape, .. } => (datatype(*ty), shape.to_vec()),
                other => (format!("{other:?}"), vec![]),
            };
            TensorInfo {
                name: outlet.name().to_owned(),
                datatype,
                shape,
            }
        })
        .collect()
}

fn datatype(element: ort::value::TensorElementType) -> String {
    use ort::value::TensorElementType as Element;
    match element {
        Element::Float32 => "FP32".to_owned(),
        Element::Float16 => "FP16".to_owned(),
        Element::Int64 => "INT64".to_owned(),
        Element::Int32 => "INT32".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
