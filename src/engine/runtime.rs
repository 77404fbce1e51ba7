//! Finds ONNX Runtime's shared library and loads it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::{Environment, GlobalThreadPoolOptions};
use thiserror::Error;

use super::operators;
use super::shared_weights::SharedWeights;

/// A loaded ONNX Runtime. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(super) environment: Environment,
    pub(super) weights: SharedWeights,
    library: PathBuf,
    cores: NonZeroUsize,
}

/// The reason why ONNX Runtime can't be loaded.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// None of the searched folders has a library.
    #[error(
        "ONNX Runtime's library ({}) was not found. Looked in:\n  {}\nFetch it with `make runtime`, or name the file with \
         --onnxruntime-library or ELECTRA_ONNXRUNTIME_LIBRARY.",
        LIBRARY_NAMES[0],
        searched.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n  ")
    )]
    NotFound {
        /// The searched folders, in order.
        searched: Vec<PathBuf>,
    },
    /// The file that the user named does not exist.
    #[error("{} does not exist; --onnxruntime-library and ELECTRA_ONNXRUNTIME_LIBRARY name ONNX Runtime's library", .0.display())]
    Missing(PathBuf),
    /// The file exists but can't be loaded.
    #[error("ONNX Runtime can't be loaded from {}: {reason}", path.display())]
    Unusable { path: PathBuf, reason: String },
}

#[cfg(target_os = "macos")]
const LIBRARY_NAMES: [&str; 1] = ["libonnxruntime.dylib"];
#[cfg(not(target_os = "macos"))]
const LIBRARY_NAMES: [&str; 2] = ["libonnxruntime.so", "libonnxruntime.so.1"];

/// ONNX Runtime allows one library and one environment per process, so this record of them is also global.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the library that the user named, or else the first one found beside the executable, in the project's
    /// folder or in the system's. Later calls return the same runtime.
    ///
    /// # Errors
    /// If no library is found, with all searched folders, or it can't be used.
    pub fn load(named: Option<&Path>) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        let library = match named {
            Some(path) if path.is_file() => path.to_path_buf(),
            Some(path) => return Err(RuntimeError::Missing(path.to_path_buf())),
            None => find(&search_folders(&Surroundings::of_this_process()))?,
        };
        let unusable = |reason: String| RuntimeError::Unusable {
            path: library.clone(),
            reason,
        };
        // A relative path would be resolved against the executable's folder.
        let library_path = library
            .canonicalize()
            .map_err(|error| unusable(error.to_string()))?;
        // Respects CPU affinity and cgroup quotas.
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let failed = |error: ort::Error| unusable(error.to_string());
        let environment = ort::init_from(&library_path)
            .map_err(|error| unusable(error.to_string()))?
            .with_name("electra")
            .with_telemetry(false)
            .with_global_thread_pool(all_cores(cores).map_err(failed)?)
            .build()
            .map_err(failed)?;
        environment.set_log_level(ort::logging::LogLevel::Warning);
        operators::register_domain(&environment).map_err(failed)?;
        let runtime = Self {
            environment,
            weights: SharedWeights::default(),
            library: library_path,
            cores,
        };
        tracing::info!(library = %runtime.library.display(), "loaded ONNX Runtime");
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Number of threads that compute a batch on all cores.
    #[must_use]
    pub fn cores(&self) -> NonZeroUsize {
        self.cores
    }

    /// Path of the loaded library.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }
}

/// Options of the single thread pool for batches that run on all cores, for all models: the thread that runs the batch,
/// and one for each other core. Threads spin while they wait for parts of an operator, because a part is shorter than
/// waking a thread takes. They sleep soon after the batch.
fn all_cores(cores: NonZeroUsize) -> ort::Result<GlobalThreadPoolOptions> {
    GlobalThreadPoolOptions::default()
        .with_intra_threads(cores.get())?
        .with_inter_threads(1)?
        .with_spin_control(true)
}

/// The process's environment, as far as the search depends on it.
struct Surroundings {
    executable: Option<PathBuf>,
    working_directory: Option<PathBuf>,
    library_path: Option<std::ffi::OsString>,
}

impl Surroundings {
    fn of_this_process() -> Self {
        let library_path = if cfg!(target_os = "macos") {
            "DYLD_LIBRARY_PATH"
        } else {
            "LD_LIBRARY_PATH"
        };
        Self {
            executable: std::env::current_exe().ok(),
            working_directory: std::env::current_dir().ok(),
            library_path: std::env::var_os(library_path),
        }
    }
}

/// The folders to search, nearest first.
fn search_folders(surroundings: &Surroundings) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(folder) = surroundings.executable.as_deref().and_then(Path::parent) {
        folders.extend([folder.to_path_buf(), folder.join("lib")]);
    }
    folders.extend(
        surroundings
            .working_directory
            .iter()
            .map(|folder| folder.join(".onnxruntime/lib")),
    );
    // target/release/electra, and target/debug/deps/ of a test, are below the project's folder.
    let ancestors = surroundings
        .executable
        .iter()
        .flat_map(|path| path.ancestors().skip(2).take(4));
    folders.extend(ancestors.map(|folder| folder.join(".onnxruntime/lib")));
    folders.extend(
        surroundings
            .library_path
            .iter()
            .flat_map(std::env::split_paths),
    );
    let system: &[&str] = if cfg!(target_os = "macos") {
        &["/opt/homebrew/lib", "/usr/local/lib"]
    } else if cfg!(target_arch = "aarch64") {
        &[
            "/usr/local/lib",
            "/usr/lib",
            "/usr/lib64",
            "/usr/lib/aarch64-linux-gnu",
        ]
    } else {
        &[
            "/usr/local/lib",
            "/usr/lib",
            "/usr/lib64",
            "/usr/lib/x86_64-linux-gnu",
        ]
    };
    folders.extend(system.iter().map(PathBuf::from));
    let mut seen = std::collections::HashSet::new();
    folders.retain(|folder| !folder.as_os_str().is_empty() && seen.insert(folder.clone()));
    folders
}

fn find(folders: &[PathBuf]) -> Result<PathBuf, RuntimeError> {
    folders
        .iter()
        .flat_map(|folder| LIBRARY_NAMES.iter().map(|name| folder.join(name)))
        .find(|path| path.is_file())
        .ok_or_else(|| RuntimeError::NotFound {
            searched: folders.to_vec(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_goes_from_the_executable_outwards() {
        let folders = search_folders(&Surroundings {
            executable: Some("/project/target/release/electra".into()),
            working_directory: Some("/elsewhere".into()),
            library_path: Some("/opt/a:/opt/b".into()),
        });
        let place = |folder: &str| {
            folders
                .iter()
                .position(|found| found == Path::new(folder))
                .unwrap_or_else(|| panic!("{folder} not searched"))
        };
        let order = [
            "/project/target/release",
            "/project/target/release/lib",
            "/elsewhere/.onnxruntime/lib",
            "/project/.onnxruntime/lib",
            "/opt/a",
            "/opt/b",
            "/usr/local/lib",
        ];
        assert!(
            order.windows(2).all(|pair| place(pair[0]) < place(pair[1])),
            "{folders:?}"
        );
    }

    #[test]
    fn a_library_that_is_nowhere_is_reported_with_every_folder() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().join("first"), folder.path().join("second")];
        let message = find(&folders).unwrap_err().to_string();
        assert!(
            folders
                .iter()
                .all(|folder| message.contains(&folder.display().to_string())),
            "{message}"
        );
        assert!(
            message.contains("make runtime") && message.contains("ELECTRA_ONNXRUNTIME_LIBRARY"),
            "{message}"
        );
    }

    #[test]
    fn the_first_library_found_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let second = folder.path().join("second");
        std::fs::create_dir(&second).unwrap();
        let library = second.join(LIBRARY_NAMES[0]);
        std::fs::write(&library, "").unwrap();
        assert_eq!(
            find(&[folder.path().join("first"), second]).unwrap(),
            library
        );
    }
}
