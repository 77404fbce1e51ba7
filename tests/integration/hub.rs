//! From a hub name to an endpoint: interrupted, corrupt and refused downloads, the cache, and the program itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use electra_server::convert::ExportOptions;
use electra_server::convert::{PullError, PullRequest, Pulled, ensure_pulled, pull};
use electra_server::export::{Precision, PrecisionChoice};
use electra_server::hub::{Hub, HubError, HubSettings, Observer, Token};
use hyper::body::Bytes;
use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::{
    ServerProcess, checkpoint, copy_folder, electra, exported, file_names, project, stderr,
};
use crate::hub_server::{Access, FaultKind, HubServer, Repository, Seen, TOKEN, commit};

const NAME: &str = "org/discriminator-plain";
const CHECKPOINT: &str = "discriminator-plain";
const WEIGHTS: &str = "cdn:/blobs/";

fn small_hub() -> HubServer {
    HubServer::start(&[(NAME, Repository::of_folder(&checkpoint(CHECKPOINT)))])
}

fn weights_bytes() -> usize {
    let weights =
        std::fs::metadata(checkpoint(CHECKPOINT).join("model.safetensors")).expect("weights");
    usize::try_from(weights.len()).expect("small")
}

/// A user of a hub, with a cache and a model repository of their own.
struct User {
    folder: tempfile::TempDir,
    settings: HubSettings,
    waits: Arc<Mutex<Vec<Duration>>>,
}

impl User {
    fn of(hub: &HubServer) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = HubSettings {
            endpoint: hub.endpoint(),
            token: None,
            token_file: folder.path().join("token"),
            cache: folder.path().join("hub"),
            offline: false,
            certificates: None,
        };
        Self {
            folder,
            settings,
            waits: Arc::default(),
        }
    }

    fn hub(&self) -> Hub {
        let waits = Arc::clone(&self.waits);
        let pause = move |wait| waits.lock().expect("no panic").push(wait);
        Hub::with_pause(self.settings.clone(), Box::new(pause)).expect("a hub")
    }

    fn fetch(&self, reference: &str) -> Result<PathBuf, HubError> {
        let hub = self.hub();
        let found = hub.find(&reference.parse().expect("a name"))?;
        hub.fetch(&found, &Nobody)
    }

    fn refused(&self, reference: &str) -> String {
        self.fetch(reference).expect_err("a refusal").to_string()
    }

    fn waits(&self) -> Vec<Duration> {
        std::mem::take(&mut self.waits.lock().expect("no panic"))
    }

    fn blobs(&self) -> Vec<String> {
        let folder = self
            .settings
            .cache
            .join("models--org--discriminator-plain/blobs");
        file_names(&folder)
    }

    #[track_caller]
    fn expect_nothing_incomplete(&self) {
        let blobs = self.blobs();
        assert!(
            !blobs.iter().any(|blob| blob.ends_with(".incomplete")),
            "{blobs:?}"
        );
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn request(&self, origin: &str) -> PullRequest {
        PullRequest {
            origin: origin.parse().expect("an origin"),
            models: self.models(),
            name: None,
            force: false,
            export: ExportOptions {
                precision: PrecisionChoice::Fixed(Precision::Fp32),
                ..ExportOptions::default()
            },
        }
    }

    fn pull(&self, request: &PullRequest) -> Result<Pulled, PullError> {
        pull(request, &|| Ok(self.hub()), &Nobody)
    }

    fn ensure_pulled(&self, request: &PullRequest) -> Result<Pulled, PullError> {
        ensure_pulled(request, &|| Ok(self.hub()), &Nobody)
    }
}

struct Nobody;

impl Observer for Nobody {
    fn started(&self, _: &str, _: Option<u64>, _: u64) {}
    fn received(&self, _: &str, _: u64) {}
    fn restarted(&self, _: &str) {}
    fn finished(&self, _: &str) {}
}

#[track_caller]
fn assert_says(message: &str, expected: &[&str]) {
    for expected in expected {
        assert!(
            message.contains(expected),
            "{expected} is not in: {message}"
        );
    }
}

fn transfers(seen: &[Seen]) -> Vec<&Seen> {
    seen.iter()
        .filter(|seen| seen.path.starts_with(WEIGHTS))
        .collect()
}

fn same_content(folder: &Path) {
    for file in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ] {
        let found =
            std::fs::read(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(
            found,
            std::fs::read(checkpoint(CHECKPOINT).join(file)).expect("a file"),
            "{file}"
        );
    }
}

#[test]
fn what_is_needed_is_fetched_once_and_what_is_not_is_left() {
    let hub = small_hub();
    let user = User::of(&hub);
    let folder = user.fetch(NAME).expect("a folder");
    same_content(&folder);
    assert!(!folder.join("README.md").exists());
    assert!(folder.ends_with(format!(
        "models--org--discriminator-plain/snapshots/{}",
        commit('a')
    )));
    let branch = user
        .settings
        .cache
        .join("models--org--discriminator-plain/refs/main");
    assert_eq!(
        std::fs::read_to_string(branch).expect("a reference"),
        commit('a')
    );
    hub.seen();
    assert_eq!(user.fetch(NAME).expect("a folder"), folder);
    let seen = hub.seen();
    assert_eq!(seen.len(), 1, "only the revision is asked for: {seen:?}");
    assert!(user.waits().is_empty());
}

#[test]
fn a_transfer_that_breaks_goes_on_where_it_ended() {
    let hub = small_hub();
    let user = User::of(&hub);
    hub.fault(WEIGHTS, 1, FaultKind::Cut(50_000));
    same_content(&user.fetch(NAME).expect("a folder"));
    let seen = hub.seen();
    let transfers = transfers(&seen);
    assert_eq!(transfers.len(), 2, "{transfers:?}");
    assert_eq!(transfers[0].range, None);
    assert_eq!(transfers[1].range.as_deref(), Some("bytes=50000-"));
    assert_eq!(transfers[1].sent, weights_bytes() - 50_000);
    assert_eq!(user.waits().len(), 1);
}

#[test]
fn a_transfer_that_was_given_up_goes_on_the_next_time() {
    let hub = small_hub();
    let user = User::of(&hub);
    hub.fault(WEIGHTS, 1, FaultKind::Cut(50_000));
    hub.fault(WEIGHTS, 100, FaultKind::Cut(0));
    let message = user.refused(NAME);
    assert_says(
        &message,
        &["model.safetensors", "byte 50000", "the same command again"],
    );
    assert_eq!(
        user.waits().len(),
        4,
        "five fruitless tries in a row are enough"
    );
    assert!(
        user.blobs()
            .iter()
            .any(|blob| blob.ends_with(".incomplete"))
    );
    let hub_again = small_hub();
    let user = User {
        settings: HubSettings {
            endpoint: hub_again.endpoint(),
            ..user.settings.clone()
        },
        ..user
    };
    same_content(&user.fetch(NAME).expect("a folder"));
    let seen = hub_again.seen();
    let transfers = transfers(&seen);
    assert_eq!(transfers.len(), 1);
    assert_eq!(transfers[0].range.as_deref(), Some("bytes=50000-"));
    user.expect_nothing_incomplete();
}

#[test]
fn a_host_that_knows_no_ranges_sends_the_file_anew() {
    let hub = small_hub();
    let user = User::of(&hub);
    hub.fault(WEIGHTS, 1, FaultKind::Cut(50_000));
    hub.fault(WEIGHTS, 1, FaultKind::IgnoreRange);
    same_content(&user.fetch(NAME).expect("a folder"));
}

#[test]
fn a_mirror_that_sends_content_itself_is_checked_too() {
    let hub = small_hub();
    hub.serve_content_alone();
    let user = User::of(&hub);
    hub.fault(WEIGHTS, 1, FaultKind::Corrupt);
    assert_says(&user.refused(NAME), &["model.safetensors", "SHA-256"]);
    same_content(&user.fetch(NAME).expect("a folder"));
}

#[test]
fn content_that_is_not_what_was_announced_is_refused_and_removed() {
    for (path, file, kind) in [
        (WEIGHTS, "model.safetensors", "SHA-256"),
        ("resolve-cache", "config.json", "git blob"),
    ] {
        let hub = small_hub();
        let user = User::of(&hub);
        hub.fault(path, 1, FaultKind::Corrupt);
        let message = user.refused(NAME);
        assert_says(&message, &[file, NAME, kind, "partial file was removed"]);
        user.expect_nothing_incomplete();
        same_content(&user.fetch(NAME).expect("a folder"));
    }
}

#[test]
fn a_file_that_is_longer_than_announced_is_refused() {
    let hub = small_hub();
    let user = User::of(&hub);
    hub.fault(WEIGHTS, 1, FaultKind::Longer);
    let (announced, found) = (
        weights_bytes().to_string(),
        (weights_bytes() + 1).to_string(),
    );
    assert_says(
        &user.refused(NAME),
        &["model.safetensors", NAME, &announced, &found, "was removed"],
    );
    user.expect_nothing_incomplete();
}

#[test]
fn remains_that_are_longer_than_the_file_are_thrown_away() {
    let hub = small_hub();
    let user = User::of(&hub);
    let folder = user.fetch(NAME).expect("a folder");
    let blob = folder
        .join("model.safetensors")
        .canonicalize()
        .expect("a blob");
    let mut longer = std::fs::read(&blob).expect("a blob");
    longer.push(0);
    std::fs::remove_file(&blob).expect("a blob");
    std::fs::write(blob.with_extension("incomplete"), longer).expect("a file");
    same_content(&user.fetch(NAME).expect("a folder"));
}

#[test]
fn two_that_want_the_same_file_fetch_it_once() {
    let hub = small_hub();
    let user = User::of(&hub);
    std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| user.fetch(NAME)));
        for thread in threads {
            same_content(&thread.join().expect("no panic").expect("a folder"));
        }
    });
    assert_eq!(transfers(&hub.seen()).len(), 1);
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let hub = small_hub();
    hub.change(NAME, |repository| repository.access = Access::Private);
    let mut user = User::of(&hub);
    assert_says(
        &user.refused(NAME),
        &["does not exist, or it is private", "HF_TOKEN", NAME],
    );
    user.settings.token = Token::new(TOKEN);
    hub.seen();
    same_content(&user.fetch(NAME).expect("a folder"));
    for seen in hub.seen() {
        let expected = (!seen.path.starts_with("cdn:")).then(|| format!("Bearer {TOKEN}"));
        assert_eq!(seen.authorization, expected, "{}", seen.path);
    }
    user.settings.token = Token::new("hf_expired");
    let message = user.refused(NAME);
    assert_says(&message, &["does not accept the token", "/settings/tokens"]);
    assert!(!message.contains("hf_expired"));
}

#[test]
fn what_the_hub_refuses_is_said_with_the_way_out() {
    let hub = small_hub();
    let mut user = User::of(&hub);
    let endpoint = hub.endpoint();
    assert_says(
        &user.refused("org/nothing"),
        &["org/nothing", "set HF_TOKEN", &endpoint],
    );
    assert_says(
        &user.refused(&format!("{NAME}@v9")),
        &["no revision `v9`", &format!("{endpoint}/{NAME}/tree/main")],
    );
    hub.change(NAME, |repository| repository.access = Access::Gated);
    assert_says(
        &user.refused(NAME),
        &[
            "gated",
            &format!("accept its terms at {endpoint}/{NAME}"),
            "set HF_TOKEN",
        ],
    );
    user.settings.token = Token::new(TOKEN);
    assert_says(
        &user.refused(NAME),
        &["gated", "wait until its authors grant access"],
    );
    assert_says(&user.refused("org/nothing"), &["that your token may see"]);
    assert!(user.waits().is_empty(), "a refusal is not asked for twice");
}

#[test]
fn a_hub_that_is_busy_is_asked_again_as_it_wants() {
    let hub = small_hub();
    let user = User::of(&hub);
    hub.fault("/api/models/", 2, FaultKind::Status(429, Some("7")));
    hub.fault("/resolve/", 1, FaultKind::Status(500, None));
    hub.fault(WEIGHTS, 1, FaultKind::Status(503, Some("1")));
    same_content(&user.fetch(NAME).expect("a folder"));
    let seconds: Vec<f64> = user.waits().iter().map(Duration::as_secs_f64).collect();
    assert_eq!(seconds, [7.0, 7.0, 0.5, 1.0]);

    hub.seen();
    hub.fault("/api/models/", 100, FaultKind::Status(429, Some("2")));
    let message = user.refused(NAME);
    assert_says(&message, &["answered 429", "5 times in a row", "HF_TOKEN"]);
    assert_eq!((user.waits().len(), hub.seen().len()), (4, 5));
}

#[test]
fn a_hub_that_asks_for_too_much_time_is_not_waited_for() {
    let hub = small_hub();
    let user = User::of(&hub);
    hub.fault("/api/models/", 1, FaultKind::Status(429, Some("3600")));
    assert_says(
        &user.refused(NAME),
        &["answered 429", "asks to wait for 3600 s"],
    );
    assert!(user.waits().is_empty());
}

#[test]
fn a_network_that_is_down_is_told_from_a_hub_that_refuses() {
    let hub = small_hub();
    let mut user = User::of(&hub);
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    user.settings.endpoint = format!("http://{}", port.local_addr().expect("an address"));
    drop(port);
    let endpoint = user.settings.endpoint.clone();
    assert_says(
        &user.refused(NAME),
        &[&endpoint, "can't be reached", "HF_HUB_OFFLINE=1"],
    );
    assert_eq!(user.waits().len(), 4);
}

#[test]
fn offline_the_cache_must_do() {
    let hub = small_hub();
    let mut user = User::of(&hub);
    user.settings.offline = true;
    assert_says(
        &user.refused(NAME),
        &["HF_HUB_OFFLINE", NAME, "nothing was ever fetched"],
    );
    user.settings.offline = false;
    let folder = user.fetch(NAME).expect("a folder");
    user.settings.offline = true;
    hub.seen();
    assert_eq!(user.fetch(NAME).expect("a folder"), folder);
    assert_eq!(
        user.fetch(&format!("{NAME}@{}", commit('a')))
            .expect("a folder"),
        folder
    );
    std::fs::remove_file(folder.join("model.safetensors")).expect("a link");
    assert_says(&user.refused(NAME), &["HF_HUB_OFFLINE", "weights"]);
    assert_eq!(hub.seen(), []);
}

#[test]
fn a_pinned_revision_stays_what_it_was() {
    let hub = small_hub();
    let user = User::of(&hub);
    hub.change(NAME, |repository| {
        let mut files = repository.commits[&commit('a')].clone();
        files.insert("config.json".to_owned(), Bytes::from_static(b"{}"));
        repository.push('b', files);
        repository
            .references
            .insert("refs/pr/1".to_owned(), commit('a'));
    });
    for pinned in [commit('a'), "refs/pr/1".to_owned()] {
        same_content(&user.fetch(&format!("{NAME}@{pinned}")).expect("a folder"));
    }
    let newest = user.fetch(NAME).expect("a folder");
    assert_eq!(
        std::fs::read(newest.join("config.json")).expect("a file"),
        b"{}"
    );
    let seen = hub.seen();
    assert_eq!(
        transfers(&seen).len(),
        1,
        "weights that did not change are not fetched again"
    );
}

#[test]
fn a_repository_without_weights_that_can_be_read_says_what_it_has() {
    let files = ["config.json", "vocab.txt", "tf_model.h5"];
    let files = files.map(|name| (name.to_owned(), Bytes::from_static(b"{}")));
    let mut repository = Repository::default();
    repository.push('c', BTreeMap::from(files));
    let hub = HubServer::start(&[("org/old", repository)]);
    let message = User::of(&hub).refused("org/old");
    assert_says(
        &message,
        &[
            "org/old",
            "only tf_model.h5 (TensorFlow)",
            "save_pretrained",
        ],
    );
}

#[test]
fn weights_as_pytorch_writes_them_are_pulled_and_exported() {
    for (format, original) in [
        ("zip", "discriminator-cased"),
        ("legacy", "discriminator-legacy-keys"),
        ("sharded-bin", "discriminator-cased"),
        ("sharded-safetensors", "token-cased"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        copy_folder(&checkpoint(original), folder.path());
        std::fs::remove_file(folder.path().join("model.safetensors")).expect("weights");
        copy_folder(
            &project().join("tests/golden/formats").join(format),
            folder.path(),
        );
        let hub = HubServer::start(&[("org/old", Repository::of_folder(folder.path()))]);
        let user = User::of(&hub);
        let pulled = user.pull(&user.request("org/old")).expect("a model");
        for file in ["model.onnx", "model.onnx.data"] {
            let of = |folder: &Path| std::fs::read(folder.join(file)).expect("a file");
            assert_eq!(
                of(&pulled.folder),
                of(&exported(original, Precision::Fp32)),
                "{format}, {file}"
            );
        }
    }
}

/// Only the shards in the index are fetched, however they are numbered. Shards of an older set are not.
#[test]
fn of_shards_those_that_the_index_names_are_pulled() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_folder(&checkpoint("token-cased"), folder.path());
    std::fs::remove_file(folder.path().join("model.safetensors")).expect("weights");
    copy_folder(
        &project().join("tests/golden/formats/sharded-safetensors"),
        folder.path(),
    );
    let index = folder.path().join("model.safetensors.index.json");
    let mut names = std::fs::read_to_string(&index).expect("an index");
    for number in 1..=3 {
        let name = format!("model-{number:05}-of-00003.safetensors");
        let renamed = format!("model-{:06}-of-000003.safetensors", number - 1);
        std::fs::rename(folder.path().join(&name), folder.path().join(&renamed)).expect("a shard");
        names = names.replace(&name, &renamed);
    }
    std::fs::write(&index, names).expect("a file");
    for left_over in [
        "model-00001-of-00009.safetensors",
        "model-00000-of-00001.safetensors",
    ] {
        std::fs::write(folder.path().join(left_over), left_over).expect("a file");
    }
    let hub = HubServer::start(&[("org/cut", Repository::of_folder(folder.path()))]);
    let user = User::of(&hub);
    let pulled = user.pull(&user.request("org/cut")).expect("a model");
    let of = |folder: &Path| std::fs::read(folder.join("model.onnx.data")).expect("a file");
    assert_eq!(
        of(&pulled.folder),
        of(&exported("token-cased", Precision::Fp32))
    );
    let fetched = file_names(&user.fetch("org/cut").expect("a folder"));
    let shards: Vec<_> = fetched
        .iter()
        .filter(|name| name.contains("-of-"))
        .collect();
    assert_eq!(shards.len(), 3, "{fetched:?}");
    assert!(
        shards.iter().all(|name| name.contains("-of-000003")),
        "{fetched:?}"
    );

    std::fs::remove_file(folder.path().join("model-000001-of-000003.safetensors"))
        .expect("a shard");
    let hub = HubServer::start(&[("org/cut", Repository::of_folder(folder.path()))]);
    let message = User::of(&hub).refused("org/cut");
    assert_says(
        &message,
        &["incomplete", "not model-000001-of-000003.safetensors"],
    );
}

#[test]
fn an_adapter_is_refused_with_its_base_and_the_way_to_merge_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, content) in [
        (
            "adapter_config.json",
            r#"{"peft_type": "LORA", "base_model_name_or_path": "org/base", "task_type": "SEQ_CLS"}"#,
        ),
        ("adapter_model.safetensors", ""),
        ("tokenizer.json", "{}"),
    ] {
        std::fs::write(folder.path().join(file), content).expect("a file");
    }
    let expected = [
        "PEFT adapter (LORA)",
        "`org/base`",
        "AutoPeftModelForSequenceClassification",
        "merge_and_unload",
    ];
    let hub = HubServer::start(&[("org/adapter", Repository::of_folder(folder.path()))]);
    let user = User::of(&hub);
    assert_says(&user.refused("org/adapter"), &expected);
    assert!(transfers(&hub.seen()).is_empty(), "no weights are fetched");
    // A folder on disk is refused with the same sentence.
    let mut request = user.request(folder.path().to_str().expect("UTF-8"));
    request.name = Some("adapter".to_owned());
    let message = user.pull(&request).expect_err("a refusal").to_string();
    assert_says(&message, &expected);
}

#[test]
fn a_pull_makes_a_model_once_and_again_for_a_newer_commit() {
    let hub = small_hub();
    let user = User::of(&hub);
    let request = user.request(NAME);
    // Remains of a process that was killed.
    std::fs::create_dir_all(user.models().join(".discriminator-plain.old/made")).expect("a folder");
    let pulled = user.pull(&request).expect("a model");
    assert!(pulled.report.is_some());
    assert_eq!(pulled.folder, user.models().join(CHECKPOINT));
    for file in [
        "config.json",
        "tokenizer.json",
        "model.onnx",
        "model.onnx.data",
    ] {
        let expected =
            std::fs::read(exported(CHECKPOINT, Precision::Fp32).join(file)).expect("a file");
        assert_eq!(
            std::fs::read(pulled.folder.join(file)).expect("a file"),
            expected,
            "{file}"
        );
    }
    let source = std::fs::read_to_string(pulled.folder.join("source.json")).expect("a note");
    let source: Value = serde_json::from_str(&source).expect("JSON");
    let expected = json!({
        "name": NAME, "revision": "main", "commit": commit('a'), "endpoint": hub.endpoint(), "precision": "fp32"
    });
    assert_eq!(source, expected);

    std::fs::write(
        pulled.folder.join("electra.toml"),
        "task = \"discriminate\"\n",
    )
    .expect("a file");
    assert!(
        user.pull(&request).expect("the model").report.is_none(),
        "the same is not made twice"
    );
    let mut other = request.clone();
    other.export.precision = PrecisionChoice::Fixed(Precision::Int8);
    other.export.accept_changed_decisions = true;
    hub.seen();
    assert!(
        user.pull(&other).expect("the model").report.is_some(),
        "another precision is another model"
    );
    assert!(transfers(&hub.seen()).is_empty(), "and needs no transfer");

    hub.change(NAME, |repository| {
        let mut files = repository.commits[&commit('a')].clone();
        let config = String::from_utf8(files["config.json"].to_vec()).expect("UTF-8");
        files.insert("config.json".to_owned(), format!("{config}\n").into());
        repository.push('b', files);
    });
    assert!(
        user.ensure_pulled(&request)
            .expect("the model")
            .report
            .is_none(),
        "what is there does for a server"
    );
    assert!(user.pull(&request).expect("the model").report.is_some());
    let source = std::fs::read_to_string(pulled.folder.join("source.json")).expect("a note");
    assert!(source.contains(&commit('b')), "{source}");
    assert!(
        pulled.folder.join("electra.toml").is_file(),
        "what a person added stays"
    );
    assert_eq!(visible(&user.models()), [CHECKPOINT]);
}

/// The entries of a model repository, without the lock.
fn visible(models: &Path) -> Vec<String> {
    let mut names = file_names(models);
    names.retain(|name| name != ".pull.lock");
    names
}

#[test]
fn an_export_that_fails_leaves_what_was_there() {
    let hub = small_hub();
    let user = User::of(&hub);
    let pulled = user.pull(&user.request(NAME)).expect("a model");
    hub.change(NAME, |repository| {
        let mut files = repository.commits[&commit('a')].clone();
        let broken = Bytes::from_static(br#"{"vocab_size": 0}"#);
        files.insert("config.json".to_owned(), broken);
        repository.push('b', files);
    });
    let message = user
        .pull(&user.request(NAME))
        .expect_err("a refusal")
        .to_string();
    assert_says(
        &message,
        &[NAME, "can't be exported as a model", "config.json"],
    );
    let source = std::fs::read_to_string(pulled.folder.join("source.json")).expect("a note");
    assert!(source.contains(&commit('a')) && pulled.folder.join("model.onnx").is_file());
    assert_eq!(visible(&user.models()), [CHECKPOINT]);
}

#[test]
fn a_model_from_elsewhere_is_replaced_by_force_alone() {
    let hub = small_hub();
    let user = User::of(&hub);
    let mut request = user.request(NAME);
    let target = user.models().join(CHECKPOINT);
    copy_folder(&exported(CHECKPOINT, Precision::Fp32), &target);
    let message = user.pull(&request).expect_err("a refusal").to_string();
    assert_says(
        &message,
        &[CHECKPOINT, "put there by hand", "--force", "--name"],
    );
    assert!(user.ensure_pulled(&request).is_err());
    assert!(
        transfers(&hub.seen()).is_empty(),
        "it is seen before anything is fetched"
    );
    request.name = Some("another".to_owned());
    assert!(
        user.pull(&request)
            .expect("a model")
            .folder
            .ends_with("another")
    );
    request.name = None;
    request.force = true;
    assert!(user.pull(&request).expect("a model").report.is_some());
    request.force = false;
    assert!(user.pull(&request).expect("the model").report.is_none());
    request.name = Some("../outside".to_owned());
    assert_says(
        &user.pull(&request).expect_err("a refusal").to_string(),
        &["../outside", "--name"],
    );
    request.name = None;
    request.models = target;
    assert_says(
        &user.pull(&request).expect_err("a refusal").to_string(),
        &["is a model folder, not a model repository"],
    );
}

#[test]
fn a_folder_is_pulled_like_a_name() {
    let hub = small_hub();
    let user = User::of(&hub);
    let folder = user.folder.path().join("mine");
    copy_folder(&checkpoint(CHECKPOINT), &folder);
    let request = user.request(folder.to_str().expect("UTF-8"));
    assert!(
        user.ensure_pulled(&request)
            .expect("a model")
            .report
            .is_some()
    );
    assert!(
        user.ensure_pulled(&request)
            .expect("the model")
            .report
            .is_none()
    );
    std::fs::write(folder.join("notes.txt"), "changed").expect("a file");
    assert!(
        user.ensure_pulled(&request)
            .expect("the model")
            .report
            .is_some()
    );
    assert_eq!(visible(&user.models()), ["mine"]);
    assert_eq!(hub.seen(), []);
    // A checkpoint inside the repository is never replaced by its own export.
    let inside = user.models().join("inside");
    copy_folder(&checkpoint(CHECKPOINT), &inside);
    let mut request = user.request(inside.to_str().expect("UTF-8"));
    request.force = true;
    assert_says(
        &user.pull(&request).expect_err("a refusal").to_string(),
        &["is in the model repository already"],
    );
    request.force = false;
    assert!(
        user.ensure_pulled(&request)
            .expect("the model")
            .report
            .is_none()
    );
    assert!(inside.join("model.safetensors").is_file());
}

/// The program, with the given hub, a cache of its own, and nothing else of this machine's environment.
fn with_hub(mut command: Command, hub: &HubServer, home: &Path) -> Command {
    for variable in ["HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE"] {
        command.env_remove(variable);
    }
    command
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_HOME", home);
    with_no_proxy(command)
}

fn with_no_proxy(mut command: Command) -> Command {
    command.env("NO_PROXY", "127.0.0.1");
    command
}

#[test]
fn the_program_pulls_a_name_and_says_what_came_of_it() {
    let hub = small_hub();
    let home = tempfile::tempdir().expect("a folder");
    let models = home.path().join("models");
    let models = models.to_str().expect("UTF-8");
    let pull = |arguments: &[&str]| {
        let always = ["pull", "--models", models, "--precision", "fp32"];
        let mut command = with_hub(electra(&[&always, arguments].concat()), &hub, home.path());
        let output = command.output().expect("an end");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr(&output),
        )
    };
    let (code, out, log) = pull(&[NAME]);
    assert_eq!(code, Some(0), "{log}");
    assert_says(&out, &["discriminator-plain: task discriminate, fp32"]);
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("downloaded"))
        .collect();
    assert_eq!(
        lines.len(),
        5,
        "a line for each file where there is no terminal: {log}"
    );
    let (code, out, _) = pull(&[NAME]);
    assert_eq!(code, Some(0));
    assert_says(&out, &[NAME, &commit('a'), "already (precision fp32)"]);
    let (code, _, log) = pull(&["org/nothing"]);
    assert_eq!(code, Some(1));
    assert_says(&log, &["electra: ", "has no model org/nothing"]);
    let (code, _, log) = pull(&["org/name/more"]);
    assert_eq!(code, Some(2));
    assert_says(&log, &["org/name/more", "ORG/NAME"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_asked_for_a_name_answers_with_it() {
    let hub = small_hub();
    let home = tempfile::tempdir().expect("a folder");
    let models = home.path().join("models");
    let folder = home.path().join("three-labels");
    copy_folder(&checkpoint("sequence-three-labels"), &folder);
    let start = || {
        let arguments = [
            "--model",
            NAME,
            "--model",
            folder.to_str().expect("UTF-8"),
            "--log",
            "info",
        ];
        ServerProcess::start_with(&models, &arguments, |command| {
            with_hub(command, &hub, home.path())
        })
    };
    let server = start();
    let client = Client::builder().no_proxy().build().expect("a client");
    let ask = async |path: &str, model: &str| {
        let request = client.post(format!("http://{}{path}", server.address));
        let response = request.json(&json!({"text": "a small test", "model": model}));
        let response = response.send().await.expect("an answer");
        (
            response.status().as_u16(),
            response.text().await.expect("text"),
        )
    };
    let (status, answer) = ask("/discriminate", CHECKPOINT).await;
    let report = client.get(format!("http://{}/models/{CHECKPOINT}", server.address));
    let report = report.send().await.expect("an answer");
    assert_says(&report.text().await.expect("text"), &[NAME, &commit('a')]);
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = ask("/classify", "three-labels").await;
    assert_eq!(status, 200, "{answer}");
    drop(server);
    hub.seen();
    drop(start());
    assert_eq!(
        hub.seen(),
        [],
        "a start over the same repository asks nobody"
    );
}

/// A start that waits for the hub ends as soon as it receives SIGTERM.
#[cfg(unix)]
#[test]
fn sigterm_ends_a_start_that_still_pulls() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let home = tempfile::tempdir().expect("a folder");
    let models = home.path().join("models");
    let models = models.to_str().expect("UTF-8");
    let mut command = electra(&["serve", "--models", models, "--model", NAME]);
    command
        .env(
            "HF_ENDPOINT",
            format!("http://{}", silent.local_addr().expect("an address")),
        )
        .env("HF_HOME", home.path());
    let mut process = with_no_proxy(command).spawn().expect("a process");
    let _connection = silent.accept().expect("the program asks");
    let killed = Command::new("kill")
        .args(["-TERM", &process.id().to_string()])
        .status()
        .expect("kill");
    assert!(killed.success());
    assert_eq!(process.wait().expect("an end").code(), Some(0));
}
