//! `electra export`: makes a model folder from a checkpoint.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use crate::convert::{ExportOptions, ExportReport, ExportRequest, export};
use crate::engine::Device;
use crate::export::PrecisionChoice;
use crate::task::Task;

#[derive(Clone, Debug, Args)]
pub struct ExportArguments {
    /// The checkpoint's folder: config.json, weights in safetensors or PyTorch format, whole or sharded, and the
    /// tokenizer
    #[arg(value_name = "CHECKPOINT")]
    pub checkpoint: PathBuf,
    /// The model folder to write, created if needed
    #[arg(long, value_name = "FOLDER")]
    pub output: PathBuf,
    #[command(flatten)]
    pub options: OptionArguments,
    /// The ONNX Runtime library; searched for if not given
    #[arg(long, value_name = "FILE", env = "ELECTRA_ONNXRUNTIME_LIBRARY")]
    pub onnxruntime_library: Option<PathBuf>,
}

/// Options of an export, wherever the checkpoint comes from.
#[derive(Clone, Debug, Args)]
pub struct OptionArguments {
    /// fp32: as exact as the checkpoint. int8: a quarter of the size, faster on the CPU. fp16: half the size, for GPUs.
    /// auto: int8 for the CPU and fp16 for a GPU, or fp32 if that changes more than 1% of the decisions
    #[arg(long, value_name = "auto|fp32|fp16|int8", default_value_t = PrecisionChoice::Auto)]
    pub precision: PrecisionChoice,
    /// The device that the model will run on: auto, cpu, cuda[:N] or tensorrt[:N]
    #[arg(long, value_name = "DEVICE", env = "ELECTRA_DEVICE", default_value_t = Device::Auto)]
    pub device: Device,
    /// The task of a checkpoint with several heads: discriminate, classify, tag or qa; auto recognises the head by its
    /// weights
    #[arg(long, value_name = "TASK", default_value = "auto", value_parser = parse_task)]
    pub task: TaskChoice,
    /// Texts for the comparison of int8 or fp16 with fp32, one per line (for qa, one JSON object with question and
    /// context per line); built-in ones if not given
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// Accept the requested precision even if it changes more than 1% of the decisions on the samples
    #[arg(long)]
    pub accept_changed_decisions: bool,
}

impl OptionArguments {
    #[must_use]
    pub fn options(&self, onnxruntime_library: Option<PathBuf>) -> ExportOptions {
        ExportOptions {
            precision: self.precision,
            device: self.device,
            task: match self.task {
                TaskChoice::Auto => None,
                TaskChoice::Named(task) => Some(task),
            },
            samples: self.samples.clone(),
            accept_changed_decisions: self.accept_changed_decisions,
            onnxruntime_library,
        }
    }
}

/// The head to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskChoice {
    /// The checkpoint's head, recognised by its weights.
    Auto,
    /// The head for this task.
    Named(Task),
}

/// Exports, and prints a summary on standard output.
///
/// # Errors
/// If the checkpoint can't be exported.
pub fn run(arguments: &ExportArguments) -> Result<(), CliError> {
    let request = ExportRequest {
        checkpoint: arguments.checkpoint.clone(),
        output: arguments.output.clone(),
        options: arguments
            .options
            .options(arguments.onnxruntime_library.clone()),
    };
    let report = export(&request).map_err(CliError::failed)?;
    print(&request.output, &report);
    Ok(())
}

/// Prints the summary of an export on standard output.
pub(super) fn print(folder: &Path, report: &ExportReport) {
    let exported = &report.exported;
    println!(
        "{}: task {}, {}, {} layers of width {}, {:.1} MB",
        folder.display(),
        exported.head.task(),
        exported.precision,
        exported.shape.num_hidden_layers,
        exported.shape.hidden_size,
        megabytes(exported.bytes)
    );
    if let Some(unused) = exported.unused_tensors() {
        println!("{unused}");
    }
    if let Some(compared) = &report.comparison {
        println!("{compared}");
    }
    if let Some(selection) = &report.selection {
        println!("precision auto: {selection}");
    }
}

fn parse_task(text: &str) -> Result<TaskChoice, String> {
    match text {
        "auto" => Ok(TaskChoice::Auto),
        name => Task::named(name).map(TaskChoice::Named).ok_or_else(|| {
            format!("`{name}` is not a task; tasks are auto, discriminate, classify, tag and qa")
        }),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
