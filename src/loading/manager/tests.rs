//! Loads that panic or do not end, with a loader that no model loads with.

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use tempfile::TempDir;

use super::*;
use crate::registry::{Control, ControlError};
use crate::testing::{eventually, soon};

const LONG: Duration = Duration::from_mins(1);

/// Panics on models named `panics`, waits for the sender to be dropped on models whose names begin with `hangs`, and
/// refuses the others.
struct Fake(Mutex<Receiver<()>>);

impl Load for Fake {
    fn load(
        &self,
        folder: &ModelFolder,
        _: Option<&Predecessor>,
    ) -> Result<LoadedModel, LoadError> {
        match folder.name.as_str() {
            "panics" => panic!("no such piece"),
            name if name.starts_with("hangs") => drop(self.0.lock().unwrap().recv()),
            _ => {}
        }
        Err(LoadError::UnknownTask)
    }

    fn device(&self) -> Device {
        Device::Auto
    }
}

struct Fixture {
    manager: Manager,
    registry: Arc<Registry>,
    /// Ends the load that hangs when it is dropped.
    end: Sender<()>,
    folder: TempDir,
}

impl Fixture {
    fn new(models: &[&str], timeout: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in models {
            write(folder.path(), name);
        }
        let registry = Arc::new(Registry::new(&scan(folder.path()).unwrap()));
        let (end, ended) = channel();
        let manager = Manager::new(
            folder.path().to_owned(),
            Arc::clone(&registry),
            Arc::new(Fake(Mutex::new(ended))),
            timeout,
            Metrics::new("test"),
            Vec::new(),
        );
        Self {
            manager,
            registry,
            end,
            folder,
        }
    }

    /// Why a model is not loaded, or the name of its state.
    fn reason(&self, name: &str) -> String {
        reason(&self.registry, name)
    }
}

fn write(repository: &Path, name: &str) {
    let folder = repository.join(name);
    std::fs::create_dir(&folder).unwrap();
    for file in ["model.onnx", "vocab.txt"] {
        std::fs::write(folder.join(file), "").unwrap();
    }
}

fn reason(registry: &Registry, name: &str) -> String {
    match registry.state(name).unwrap() {
        ModelState::Failed { reason } => reason,
        state => state.name().to_owned(),
    }
}

#[test]
fn a_load_that_panics_fails_alone() {
    let mut fixture = Fixture::new(&["panics", "refused"], LONG);
    fixture.manager.load_all(|_| true).unwrap();
    let reason = fixture.reason("panics");
    assert!(reason.contains("panicked: no such piece"), "{reason}");
    assert!(fixture.reason("refused").contains("task is unknown"));
}

#[test]
fn a_slow_load_holds_up_no_other() {
    let mut fixture = Fixture::new(&["hangs", "refused"], LONG);
    fixture.manager.slow_after = Duration::ZERO;
    fixture.manager.begin_all(|_| true).unwrap();
    assert!(fixture.manager.is_loading_model("hangs"));
    assert_eq!(fixture.reason("hangs"), "loading");
    // Others are loaded, and it is not begun twice.
    fixture.manager.load("hangs").unwrap();
    drop(fixture.end);
    while fixture.manager.is_loading() {
        fixture.manager.finish_oldest().unwrap();
    }
    for name in ["hangs", "refused"] {
        assert!(reason(&fixture.registry, name).contains("task is unknown"));
    }
}

#[test]
fn slow_loads_hold_up_neither_unloads_nor_polls() {
    let slow: Vec<String> = (0..MOST_SLOW + 3).map(|n| format!("hangs-{n}")).collect();
    let names: Vec<&str> = slow.iter().map(String::as_str).collect();
    let mut fixture = Fixture::new(&names, LONG);
    fixture.manager.slow_after = Duration::ZERO;
    fixture.manager.begin_all(|_| true).unwrap();
    assert_eq!(fixture.manager.loading.len(), MOST_SLOW);
    let waits = &slow[MOST_SLOW..];
    for name in waits {
        assert_eq!(fixture.reason(name), "loading");
        assert!(fixture.manager.is_loading_model(name));
    }
    // One of those that wait is unloaded, another removed, and the third asked for again.
    assert!(fixture.manager.unload(&waits[0]));
    assert_eq!(fixture.reason(&waits[0]), "unloaded");
    std::fs::remove_dir_all(fixture.folder.path().join(&waits[1])).unwrap();
    fixture.manager.follow();
    fixture.manager.follow();
    assert!(fixture.registry.status(&waits[1]).is_none());
    fixture.manager.load(&waits[2]).unwrap();
    assert_eq!(fixture.manager.queued.len(), 1);
    drop(fixture.end);
    while fixture.manager.is_loading() {
        fixture.manager.finish_oldest().unwrap();
    }
    assert!(reason(&fixture.registry, &waits[2]).contains("task is unknown"));
    assert_eq!(reason(&fixture.registry, &waits[0]), "unloaded");
}

#[test]
fn a_load_that_does_not_end_fails_by_name_and_is_not_begun_again() {
    let mut fixture = Fixture::new(&["hangs", "refused"], Duration::from_millis(1));
    fixture.manager.load_all(|_| true).unwrap();
    let reason = fixture.reason("hangs");
    assert!(
        reason.contains("longer than load_timeout_ms = 1 ms"),
        "{reason}"
    );
    fixture.manager.load("hangs").unwrap();
    let refusal = fixture.manager.outcome("hangs").unwrap_err().to_string();
    assert!(refusal.contains("has not ended"), "{refusal}");
    // Its files do not count as tried.
    let key = ("hangs".to_owned(), Version::ONLY);
    assert!(!fixture.manager.is_loading());
    assert!(fixture.manager.tried.contains_key(&key));
    std::fs::write(fixture.folder.path().join("hangs/vocab.txt"), "a").unwrap();
    let tried = fixture.manager.tried.clone();
    fixture.manager.follow();
    fixture.manager.follow();
    assert_eq!(fixture.manager.tried[&key], tried[&key]);
}

#[test]
fn a_model_that_is_unloaded_while_it_loads_is_not_put_into_service() {
    let mut fixture = Fixture::new(&["hangs", "refused"], LONG);
    fixture.manager.slow_after = Duration::ZERO;
    fixture.manager.begin_all(|name| name == "hangs").unwrap();
    assert!(fixture.manager.unload("hangs"));
    assert!(!fixture.manager.is_loading());
    assert_eq!(fixture.reason("hangs"), "unloaded");
    assert!(fixture.manager.outcome("hangs").is_err());
}

#[test]
fn a_model_that_is_removed_while_it_loads_is_not_found() {
    let mut fixture = Fixture::new(&["hangs", "refused"], LONG);
    fixture.manager.slow_after = Duration::ZERO;
    fixture.manager.begin_all(|name| name == "hangs").unwrap();
    std::fs::remove_dir_all(fixture.folder.path().join("hangs")).unwrap();
    fixture.manager.follow();
    assert!(fixture.manager.is_loading_model("hangs"));
    fixture.manager.follow();
    assert!(!fixture.manager.is_loading_model("hangs"));
    let outcome = fixture.manager.outcome("hangs");
    assert!(matches!(outcome, Err(ReloadError::NotFound)));
}

#[test]
fn a_model_whose_folder_is_emptied_stays_until_it_is_back_or_removed() {
    let mut fixture = Fixture::new(&["hangs", "refused"], LONG);
    fixture.manager.slow_after = Duration::ZERO;
    fixture.manager.begin_all(|name| name == "hangs").unwrap();
    let folder = fixture.folder.path().join("hangs");
    let empty = || {
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
    };
    let away = fixture.folder.path().join(".away");
    std::fs::rename(&folder, &away).unwrap();
    std::fs::create_dir(&folder).unwrap();
    fixture.manager.follow();
    assert_eq!(fixture.registry.lost(), None);
    for _ in 0..3 {
        fixture.manager.follow();
        let lost = fixture.registry.lost().unwrap();
        assert!(lost.contains("the folder of `hangs` is empty"), "{lost}");
        let loaded = fixture.manager.load("hangs");
        assert!(matches!(loaded, Err(ReloadError::Lost)), "{loaded:?}");
        assert!(fixture.manager.is_loading_model("hangs"));
    }
    // It is back.
    std::fs::remove_dir(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    for _ in 0..3 {
        fixture.manager.follow();
        assert_eq!(fixture.registry.lost(), None);
        assert!(fixture.manager.is_loading_model("hangs"));
    }
    // The folder itself is removed.
    empty();
    fixture.manager.follow();
    fixture.manager.follow();
    assert!(fixture.registry.lost().is_some());
    std::fs::remove_dir(&folder).unwrap();
    fixture.manager.follow();
    assert_eq!(fixture.registry.lost(), None);
    assert!(fixture.manager.is_loading_model("hangs"));
    fixture.manager.follow();
    assert!(fixture.registry.status("hangs").is_none());
}

#[test]
fn a_folder_that_has_other_files_left_is_no_model_any_more() {
    let mut fixture = Fixture::new(&["hangs", "refused"], LONG);
    fixture.manager.slow_after = Duration::ZERO;
    fixture.manager.begin_all(|name| name == "hangs").unwrap();
    std::fs::remove_file(fixture.folder.path().join("hangs/model.onnx")).unwrap();
    fixture.manager.follow();
    fixture.manager.follow();
    assert!(fixture.registry.status("hangs").is_none());
    assert_eq!(fixture.registry.lost(), None);
}

#[tokio::test]
async fn the_loading_thread_outlives_loads_that_panic_or_hang() {
    let mut fixture = Fixture::new(&["hangs", "panics", "refused"], LONG);
    fixture.manager.slow_after = Duration::ZERO;
    let (control, commands) = Control::new();
    let _failure = fixture.manager.start(commands, None, || false).unwrap();
    let registry = fixture.registry;
    eventually("the others are loaded", async || {
        reason(&registry, "refused").contains("unknown")
    })
    .await;
    let loaded = async |name: &str| soon("the load ends", control.load(name)).await;
    let Err(ControlError::Failed(reason)) = loaded("panics").await else {
        panic!("it can't be loaded");
    };
    assert!(reason.contains("no such piece"), "{reason}");
    assert!(!registry.is_settled());
    let hanging = loaded("hangs");
    drop(fixture.end);
    assert!(matches!(hanging.await, Err(ControlError::Failed(_))));
    eventually("the initial load is done", async || registry.is_settled()).await;
    assert_eq!(loaded("none").await, Err(ControlError::NotFound));
}
