//! A service with a fake model: real tokenizer, queue and workers, but no graph.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{RequestContext, Service};
use crate::batch::{
    BatchSizing, Priority, PriorityAccess, QueueOptions, Scheduler, SchedulerOptions,
};
use crate::engine::{Device, Layout, Precision};
use crate::executor::Executor;
use crate::heads::scheme::Scheme;
use crate::inference::{Cores, InferenceError, Model, Sequence};
use crate::limits::Limits;
use crate::model_folder::{
    Content, FoundModel, ModelFolder, ModelSettings, RequestDefaults, Version,
};
use crate::registry::{Control, LoadedModel, ModelInfo, Registry};
use crate::task::Task;
use crate::telemetry::metrics::Metrics;
use crate::testing::{eventually, soon};
use crate::text::Tokenizer;

const VOCABULARY: &str =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfox\n##es\nfake\ngood\nover\nanswer\n?\na\né\n東\n";

/// Ids of the vocabulary above that the fake model uses.
pub const CLS: u32 = 2;
pub const FOX: u32 = 6;
pub const ES: u32 = 7;
pub const FAKE: u32 = 8;
pub const GOOD: u32 = 9;
pub const ANSWER: u32 = 11;

/// Large computations that the service of a fixture runs at a time.
pub const EXECUTOR_SLOTS: usize = 2;

/// Longest sequence that the model accepts.
pub const MAX_TOKENS: usize = 12;

/// What a batch of the fake model does in place of answering.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Panic,
    Error,
}

/// Computes logits by simple rules, see [`logits`]. Can be blocked, to keep requests waiting, and told to fail.
pub struct HandMade {
    task: Task,
    /// Number of sequences that have begun to run.
    begun: watch::Sender<usize>,
    /// Number of sequences run so far.
    pub runs: AtomicUsize,
    shut: Mutex<bool>,
    opened: Condvar,
    /// Of the next batch to begin.
    fault: Mutex<Option<Fault>>,
}

impl HandMade {
    fn new(task: Task) -> Self {
        let begun = watch::Sender::new(0);
        Self {
            task,
            begun,
            runs: AtomicUsize::new(0),
            shut: Mutex::new(false),
            opened: Condvar::new(),
            fault: Mutex::new(None),
        }
    }

    /// Waits until at least `count` sequences have begun to run.
    pub async fn until_begun(&self, count: usize) {
        let mut begun = self.begun.subscribe();
        let begun = begun.wait_for(|begun| *begun >= count);
        soon("the model runs", begun).await.unwrap();
    }

    /// Blocks every run until [`Self::open`].
    pub fn shut(&self) {
        *self.shut.lock().unwrap() = true;
    }

    /// Makes the next batch to begin fail.
    pub fn fail_next(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    /// Lets blocked runs continue.
    pub fn open(&self) {
        *self.shut.lock().unwrap() = false;
        self.opened.notify_all();
    }
}

impl Model for HandMade {
    fn run(&self, batch: &[&Sequence], _: Cores) -> Result<Vec<Vec<f32>>, InferenceError> {
        let fault = self.fault.lock().unwrap().take();
        self.begun.send_modify(|begun| *begun += batch.len());
        let mut shut = self.shut.lock().unwrap();
        while *shut {
            shut = self.opened.wait(shut).unwrap();
        }
        drop(shut);
        self.runs.fetch_add(batch.len(), Ordering::SeqCst);
        match fault {
            Some(Fault::Panic) => panic!("told to"),
            Some(Fault::Error) => return Err(InferenceError::model("told to")),
            None => {}
        }
        Ok(batch
            .iter()
            .map(|sequence| logits(self.task, &sequence.ids))
            .collect())
    }
}

/// Rules per task:
///
/// - discriminate: the token `fake` is fake.
/// - classify: the more often `good` occurs, the better.
/// - tag: `fox` is B-X, `##es` is I-X.
/// - qa: `answer` is the answer; without it, there is no answer.
fn logits(task: Task, ids: &[u32]) -> Vec<f32> {
    let by_token = |row: &dyn Fn(u32) -> Vec<f32>| ids.iter().flat_map(|id| row(*id)).collect();
    match task {
        Task::Discriminate => by_token(&|id| vec![if id == FAKE { 4.0 } else { -4.0 }]),
        Task::Classify => {
            let good = u8::try_from(ids.iter().filter(|id| **id == GOOD).count()).unwrap();
            vec![0.5, f32::from(good)]
        }
        Task::Tag => by_token(&|id| match id {
            FOX => vec![0.0, 8.0, 0.0],
            ES => vec![0.0, 0.0, 8.0],
            _ => vec![8.0, 0.0, 0.0],
        }),
        Task::Qa => by_token(&|id| match id {
            ANSWER => vec![8.0, 8.0],
            CLS => vec![0.0, 0.0],
            _ => vec![-8.0, -8.0],
        }),
    }
}

/// A service with one loaded model named `model`.
pub struct Fixture {
    pub service: Service,
    pub model: Arc<HandMade>,
    pub metrics: Metrics,
    /// Stops its worker when it is dropped.
    pub scheduler: Arc<Scheduler>,
}

impl Fixture {
    /// Must be called in a tokio runtime.
    pub fn new(task: Task) -> Self {
        Self::with(task, Limits::default(), 64)
    }

    pub fn with(task: Task, limits: Limits, queue_capacity: usize) -> Self {
        let metrics = Metrics::new("test");
        let options = SchedulerOptions {
            workers: NonZeroUsize::MIN,
            queue_capacity: NonZeroUsize::new(queue_capacity).unwrap(),
            longest_wait: Duration::from_secs(1),
        };
        let scheduler = Arc::new(Scheduler::start(options, metrics.clone()).unwrap());
        let model = Arc::new(HandMade::new(task));
        let sizing = BatchSizing {
            batch_tokens: NonZeroUsize::new(64).unwrap(),
            all_cores_from: None,
        };
        let options = QueueOptions {
            sizing,
            capacity: None,
        };
        let queue = scheduler.add_model("model", model.clone(), options);
        let found = found("model");
        let registry = Arc::new(Registry::new(std::slice::from_ref(&found)));
        let loaded = LoadedModel {
            info: info(task, limits),
            tokenizer: Arc::new(tokenizer()),
            sizing,
            queue,
        };
        registry.mark_loaded(&found.versions[0], Arc::new(loaded));
        let (control, _) = Control::new();
        Self {
            service: Service::new(
                registry,
                control,
                limits,
                Executor::new(EXECUTOR_SLOTS),
                scheduler.gate(),
                PriorityAccess::Any,
            ),
            model,
            metrics,
            scheduler,
        }
    }
}

impl Fixture {
    /// Waits until `GET /metrics` would contain `words`.
    pub async fn until_counted(&self, words: &str) {
        let what = format!("the metrics have `{words}`");
        eventually(&what, async || {
            self.metrics.encode().unwrap().contains(words)
        })
        .await;
    }

    /// Waits until `count` sequences are queued.
    pub async fn until_queued(&self, count: usize) {
        let line = format!("electra_queue_depth{{model=\"model\"}} {count}\n");
        self.until_counted(&line).await;
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.model.open();
    }
}

/// A service whose models are all still loading.
pub fn loading_service(names: &[&str]) -> Service {
    let found: Vec<_> = names.iter().map(|name| found(name)).collect();
    let registry = Arc::new(Registry::new(&found));
    let (control, _) = Control::new();
    let options = SchedulerOptions {
        workers: NonZeroUsize::MIN,
        queue_capacity: NonZeroUsize::MIN,
        longest_wait: Duration::from_secs(1),
    };
    let scheduler = Scheduler::start(options, Metrics::new("test")).unwrap();
    Service::new(
        registry,
        control,
        Limits::default(),
        Executor::new(1),
        scheduler.gate(),
        PriorityAccess::Admin,
    )
}

/// Marks a model of [`loading_service`] as failed.
pub fn fail(service: &Service, name: &str, reason: &str) {
    let found = found(name);
    service
        .registry()
        .mark_failed(&found.versions[0], reason.to_owned());
}

/// A context with a distant deadline.
pub fn context() -> RequestContext {
    RequestContext::new(Priority::default(), Instant::now() + Duration::from_mins(1))
}

fn found(name: &str) -> FoundModel {
    let folder = ModelFolder {
        name: name.to_owned(),
        version: Version::ONLY,
        path: Path::new("no/such/folder").into(),
        parent: None,
        content: Content::Checkpoint,
    };
    FoundModel {
        name: name.to_owned(),
        settings: Ok(ModelSettings::default()),
        hub_name: None,
        versions: vec![folder],
    }
}

fn info(task: Task, limits: Limits) -> ModelInfo {
    let labels: &[&str] = match task {
        Task::Classify => &["bad", "good"],
        Task::Tag => &["O", "B-X", "I-X"],
        Task::Discriminate | Task::Qa => &[],
    };
    ModelInfo {
        name: "model".to_owned(),
        version: Version::ONLY,
        task,
        limits,
        defaults: RequestDefaults::default(),
        precision: Precision::Int8,
        device: Device::Cpu,
        layout: Layout::Packed,
        max_tokens: MAX_TOKENS,
        token_types: 2,
        scheme: Scheme::of(labels.iter().copied()),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        problem_type: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
        size_bytes: 0,
        source: None,
    }
}

fn tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), VOCABULARY).unwrap();
    std::fs::write(
        folder.path().join("tokenizer_config.json"),
        r#"{"do_lower_case": true, "strip_accents": false}"#,
    )
    .unwrap();
    Tokenizer::from_folder(folder.path()).unwrap()
}
