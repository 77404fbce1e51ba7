//! Makes a model folder out of a checkpoint: graph, weights, tokenizer and config.json, and for a lower precision the
//! comparison with fp32 that decides whether it is fit to serve.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::compare::{Samples, compare};
use super::failure::ExportFailure;
use super::report::{Compared, ExportReport, Selection};
use crate::engine::{Device, Runtime, usable_device};
use crate::export::adapter::warn_of_unapplied;
use crate::export::{
    DATA_FILE, ExportError, Exported, GRAPH_FILE, Precision, PrecisionChoice, Source, export_graph,
};
use crate::model_config::CONFIG_FILE;
use crate::task::Task;
use crate::text::Tokenizer;

/// What to export, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRequest {
    /// The checkpoint's folder.
    pub checkpoint: PathBuf,
    /// The model folder to write; made where it is not there. Files of an earlier export are replaced.
    pub output: PathBuf,
    /// How.
    pub options: ExportOptions,
}

/// How a checkpoint is exported, wherever it lies and wherever it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// The precision of the graph.
    pub precision: PrecisionChoice,
    /// What the graph is to run on: automatic precision depends on it, and fp16 is compared there.
    pub device: Device,
    /// The head to take, where a checkpoint has several.
    pub task: Option<Task>,
    /// Texts to compare with fp32 on, one a line; for question answering a JSON object with `question` and `context` a
    /// line. Built-in ones where `None`.
    pub samples: Option<PathBuf>,
    /// Whether to keep a graph that changes more than 1% of the decisions, where its precision was asked for by name.
    pub accept_changed_decisions: bool,
    /// ONNX Runtime's library, where it is not to be searched; fp32 asked for by name needs none.
    pub onnxruntime_library: Option<PathBuf>,
}

impl Default for ExportOptions {
    /// Automatic precision for the device that works, and nothing else asked for.
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

/// Exports a checkpoint; blocks. Files appear in the output folder when all of them are complete.
///
/// # Errors
/// Where the checkpoint or its tokenizer is unfit, a file can't be written, or the precision asked for changes too many
/// decisions.
pub fn export(request: &ExportRequest) -> Result<ExportReport, ExportFailure> {
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

/// One export, whose files are made in a folder that goes when it is done.
struct Export<'a> {
    request: &'a ExportRequest,
    tokenizer: &'a Tokenizer,
    work: &'a Path,
}

impl Export<'_> {
    /// The folder of the graph to keep, and what is to be said of it.
    fn run(&self) -> Result<(TempDir, ExportReport), ExportFailure> {
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

    fn asked(&self, precision: Precision) -> Result<(TempDir, ExportReport), ExportFailure> {
        let (folder, exported) = self.graph(precision)?;
        let (reference, _) = self.graph(Precision::Fp32)?;
        let runtime = self.runtime()?;
        // int8 runs nowhere else than on the CPU.
        let device = match precision {
            Precision::Int8 => Device::Cpu,
            Precision::Fp16 | Precision::Fp32 => self.device(&runtime)?,
        };
        let compared = self.compare(&runtime, device, &exported, &reference, &folder)?;
        if !compared.comparison.is_accepted() && !self.request.options.accept_changed_decisions {
            return Err(ExportFailure::ChangedDecisions(compared));
        }
        let report = ExportReport {
            exported,
            comparison: Some(compared),
            selection: None,
        };
        Ok((folder, report))
    }

    /// In the precision for the device, where that decides as fp32 does; else in fp32.
    fn preferred(
        &self,
        precision: Precision,
        device: Device,
        runtime: &Runtime,
    ) -> Result<(TempDir, ExportReport), ExportFailure> {
        let (reference, in_fp32) = self.graph(Precision::Fp32)?;
        let attempt = self.graph(precision).and_then(|(folder, exported)| {
            let compared = self.compare(runtime, device, &exported, &reference, &folder)?;
            Ok((folder, exported, compared))
        });
        let (folder, exported, comparison, selection) = match attempt {
            Ok((folder, exported, compared)) if compared.comparison.is_accepted() => {
                let selection = Selection::Preferred { precision, device };
                (folder, exported, Some(compared), selection)
            }
            Ok((_, _, compared)) => {
                let selection = Selection::ChangedDecisions { precision };
                (reference, in_fp32, Some(compared), selection)
            }
            Err(error) if error.is_of(precision) => {
                let reason = error.to_string();
                let selection = Selection::Impossible { reason };
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

    /// Makes the graph in one precision, in a folder of its own, with the config.json that the engine looks for beside it.
    fn graph(&self, precision: Precision) -> Result<(TempDir, Exported), ExportFailure> {
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

    fn runtime(&self) -> Result<Runtime, ExportFailure> {
        Ok(Runtime::load(
            self.request.options.onnxruntime_library.as_deref(),
        )?)
    }

    fn device(&self, runtime: &Runtime) -> Result<Device, ExportFailure> {
        Ok(usable_device(runtime, self.request.options.device)?)
    }

    fn compare(
        &self,
        runtime: &Runtime,
        device: Device,
        exported: &Exported,
        reference: &TempDir,
        candidate: &TempDir,
    ) -> Result<Compared, ExportFailure> {
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

/// The engine recognises its own graph by the sizes in config.json, so all of them are in it.
fn write_config(exported: &Exported, folder: &Path) -> Result<(), ExportError> {
    let path = folder.join(CONFIG_FILE);
    std::fs::write(&path, exported.config.json_of(&exported.shape))
        .map_err(|error| unwritable(&path, error))
}

/// Puts the tokenizer beside the graph, and all of them into the output folder.
fn finish(
    request: &ExportRequest,
    tokenizer: &Tokenizer,
    max_positions: usize,
    graph: &Path,
) -> Result<(), ExportFailure> {
    let tokenizer_path = graph.join("tokenizer.json");
    std::fs::write(&tokenizer_path, tokenizer.to_json()?)
        .map_err(|error| unwritable(&tokenizer_path, error))?;
    // Without it transformers would lower-case, and a limit of the tokenizer's own would be lost.
    let settings_path = graph.join("tokenizer_config.json");
    let settings = tokenizer.config_json(max_positions);
    std::fs::write(&settings_path, settings).map_err(|error| unwritable(&settings_path, error))?;
    // The graph comes last: a folder without one is no model yet.
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
#[path = "export_tests.rs"]
mod tests;
