//! Exports a checkpoint to a model folder: graph, weights, tokenizer and config.json. A lower precision is first
//! compared with fp32 to decide whether it can be served.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::compare::{Samples, compare};
use super::failure::ConvertError;
use super::report::{Compared, ExportReport, PrecisionSelection};
use crate::engine::{Device, Runtime, usable_device};
use crate::export::adapter::warn_of_unapplied;
use crate::export::{
    DATA_FILE, ExportError, Exported, GRAPH_FILE, Precision, PrecisionChoice, Source, export_graph,
};
use crate::model_config::CONFIG_FILE;
use crate::task::Task;
use crate::text::Tokenizer;

/// The source and the destination of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    pub checkpoint: PathBuf,
    /// The model folder to write; created if it does not exist. Files of an earlier export are replaced.
    pub output: PathBuf,
    pub options: ExportOptions,
}

/// Options of an export, independent of its source and destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// The precision of the graph.
    pub precision: PrecisionChoice,
    /// The device that the graph is for. It decides automatic precision, and fp16 is compared on it.
    pub device: Device,
    /// The head to export, if the checkpoint has several.
    pub task: Option<Task>,
    /// A file of texts for the comparison with fp32, one per line. For question answering, each line is a JSON object
    /// with `question` and `context`. `None` for the built-in texts.
    pub samples: Option<PathBuf>,
    /// Whether to keep a graph that changes more than 1% of the decisions, if the user requested its precision.
    pub accept_changed_decisions: bool,
    /// Path of ONNX Runtime's library; `None` to search for it. An export to fp32 on request does not need it.
    pub onnxruntime_library: Option<PathBuf>,
}

impl Default for ExportOptions {
    /// Automatic precision for the device that works, and no other options.
    fn default() -> Self {
        Self {
            precision: PrecisionChoice::Auto,
            device: Device::Auto,
            task: None,
            samples: None,
            accept_changed_decisions: false,
            onnxruntime_library: None,
        }
    }
}

/// Exports a checkpoint; blocks. Files appear in the output folder once all of them are complete.
///
/// # Errors
/// If the checkpoint or its tokenizer can't be used, a file can't be written, or the requested precision changes too
/// many decisions.
pub fn export(request: &ExportRequest) -> Result<ExportReport, ConvertError> {
    let shape = Source::open(&request.checkpoint)?.shape;
    let checkpoint = &request.checkpoint;
    warn_of_unapplied(checkpoint.display(), |file| checkpoint.join(file).is_file());
    let tokenizer = Tokenizer::from_folder(&request.checkpoint)?.for_rows(shape.vocab_size)?;
    let output = &request.output;
    std::fs::create_dir_all(output).map_err(|error| unwritable(output, error))?;
    let work = tempfile::tempdir_in(output).map_err(|error| unwritable(output, error))?;
    let export = Export {
        request,
        tokenizer: &tokenizer,
        work: work.path(),
    };
    let (graph, report) = export.run()?;
    finish(
        request,
        &tokenizer,
        shape.max_position_embeddings,
        graph.path(),
    )?;
    Ok(report)
}

/// One export, whose files are made in a temporary folder.
struct Export<'a> {
    request: &'a ExportRequest,
    tokenizer: &'a Tokenizer,
    work: &'a Path,
}

impl Export<'_> {
    /// Returns the folder of the graph to keep, and the report.
    fn run(&self) -> Result<(TempDir, ExportReport), ConvertError> {
        match self.request.options.precision {
            PrecisionChoice::Fixed(Precision::Fp32) => {
                let (folder, exported) = self.graph(Precision::Fp32)?;
                let report = ExportReport {
                    exported,
                    comparison: None,
                    selection: None,
                };
                Ok((folder, report))
            }
            PrecisionChoice::Fixed(precision) => self.asked(precision),
            PrecisionChoice::Auto => {
                let runtime = self.runtime()?;
                let device = self.device(&runtime)?;
                let preferred = if device.is_gpu() {
                    Precision::Fp16
                } else {
                    Precision::Int8
                };
                self.preferred(preferred, device, &runtime)
            }
        }
    }

    fn asked(&self, precision: Precision) -> Result<(TempDir, ExportReport), ConvertError> {
        let (folder, exported) = self.graph(precision)?;
        let (reference, _) = self.graph(Precision::Fp32)?;
        let runtime = self.runtime()?;
        // int8 runs only on the CPU.
        let device = match precision {
            Precision::Int8 => Device::Cpu,
            Precision::Fp16 | Precision::Fp32 => self.device(&runtime)?,
        };
        let compared = self.compare(&runtime, device, &exported, &reference, &folder)?;
        if !compared.comparison.is_accepted() && !self.request.options.accept_changed_decisions {
            return Err(ConvertError::ChangedDecisions(compared));
        }
        let report = ExportReport {
            exported,
            comparison: Some(compared),
            selection: None,
        };
        Ok((folder, report))
    }

    /// Exports in the device's precision if its decisions match those of fp32, otherwise in fp32.
    fn preferred(
        &self,
        precision: Precision,
        device: Device,
        runtime: &Runtime,
    ) -> Result<(TempDir, ExportReport), ConvertError> {
        let (reference, in_fp32) = self.graph(Precision::Fp32)?;
        let attempt = self.graph(precision).and_then(|(folder, exported)| {
            let compared = self.compare(runtime, device, &exported, &reference, &folder)?;
            Ok((folder, exported, compared))
        });
        let (folder, exported, comparison, selection) = match attempt {
            Ok((folder, exported, compared)) if compared.comparison.is_accepted() => {
                let selection = PrecisionSelection::Preferred { precision, device };
                (folder, exported, Some(compared), selection)
            }
            Ok((_, _, compared)) => {
                let selection = PrecisionSelection::ChangedDecisions { precision };
                (reference, in_fp32, Some(compared), selection)
            }
            Err(error) if error.is_of(precision) => {
                let reason = error.to_string();
                let selection = PrecisionSelection::Impossible { reason };
                (reference, in_fp32, None, selection)
            }
            Err(error) => return Err(error),
        };
        let report = ExportReport {
            exported,
            comparison,
            selection: Some(selection),
        };
        Ok((folder, report))
    }

    /// Exports the graph in one precision to a temporary folder, with the config.json that the engine expects beside
    /// it.
    fn graph(&self, precision: Precision) -> Result<(TempDir, Exported), ConvertError> {
        let folder =
            tempfile::tempdir_in(self.work).map_err(|error| unwritable(self.work, error))?;
        let ExportRequest {
            checkpoint,
            options,
            ..
        } = self.request;
        let exported = export_graph(checkpoint, folder.path(), precision, options.task)?;
        write_config(&exported, folder.path())?;
        Ok((folder, exported))
    }

    fn runtime(&self) -> Result<Runtime, ConvertError> {
        Ok(Runtime::load(
            self.request.options.onnxruntime_library.as_deref(),
        )?)
    }

    fn device(&self, runtime: &Runtime) -> Result<Device, ConvertError> {
        Ok(usable_device(runtime, self.request.options.device)?)
    }

    fn compare(
        &self,
        runtime: &Runtime,
        device: Device,
        exported: &Exported,
        reference: &TempDir,
        candidate: &TempDir,
    ) -> Result<Compared, ConvertError> {
        let samples = Samples {
            tokenizer: self.tokenizer,
            file: self.request.options.samples.as_deref(),
        };
        let (reference, candidate) = (reference.path(), candidate.path());
        let comparison = compare(runtime, device, &samples, exported, reference, candidate)?;
        Ok(Compared {
            precision: exported.precision,
            comparison,
        })
    }
}

/// Writes config.json with all sizes, because the engine compares them with the graph to recognise its own.
fn write_config(exported: &Exported, folder: &Path) -> Result<(), ExportError> {
    let path = folder.join(CONFIG_FILE);
    std::fs::write(&path, exported.config.json_of(&exported.shape))
        .map_err(|error| unwritable(&path, error))
}

/// Adds the tokenizer to the graph's folder and moves all files to the output folder.
fn finish(
    request: &ExportRequest,
    tokenizer: &Tokenizer,
    max_positions: usize,
    graph: &Path,
) -> Result<(), ConvertError> {
    let tokenizer_path = graph.join("tokenizer.json");
    std::fs::write(&tokenizer_path, tokenizer.to_json()?)
        .map_err(|error| unwritable(&tokenizer_path, error))?;
    // Without this file, transformers would lower-case texts, and the tokenizer's own length limit would be lost.
    let settings_path = graph.join("tokenizer_config.json");
    let settings = tokenizer.config_json(max_positions);
    std::fs::write(&settings_path, settings).map_err(|error| unwritable(&settings_path, error))?;
    // The graph is last, because a folder is not a model until it has one.
    for file in [
        CONFIG_FILE,
        "tokenizer.json",
        "tokenizer_config.json",
        DATA_FILE,
        GRAPH_FILE,
    ] {
        let target = request.output.join(file);
        std::fs::rename(graph.join(file), &target).map_err(|error| unwritable(&target, error))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: std::io::Error) -> ExportError {
    ExportError::Write {
        path: path.to_path_buf(),
        error,
    }
}

#[cfg(test)]
mod tests;
