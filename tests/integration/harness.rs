//! Shared by all tests: exported models, servers on port 0, and a client.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use electra_server::access::AccessOptions;
use electra_server::app::{self, Listeners};
use electra_server::batch::PriorityAccess;
use electra_server::browsers::BrowserPolicy;
use electra_server::config::Config;
use electra_server::connections::ConnectionOptions;
use electra_server::convert::{ExportOptions, ExportRequest, export};
use electra_server::engine::Device;
use electra_server::export::{Precision, PrecisionChoice};
use electra_server::limits::{Limits, Timeouts};
use electra_server::telemetry::tracing::{LogFormat, LogOptions};
use futures_util::stream;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// How long a test waits before it fails: models may be loaded meanwhile, beside other tests and on few cores.
const DEADLINE: Duration = Duration::from_mins(2);

/// Polls until there is something, and returns that. Panics after [`DEADLINE`], naming what it waited for. Polls again as
/// soon as an answer is there, rather than after a while.
pub async fn eventually<T>(what: &str, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let polls = async {
        loop {
            if let Some(found) = poll().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, polls).await;
    found.unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain until {what}"))
}

/// The project's folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The default models, as committed.
pub fn default_models() -> PathBuf {
    project().join("models")
}

/// A small checkpoint of `tests/golden`.
pub fn checkpoint(name: &str) -> PathBuf {
    project().join("tests/golden/checkpoints").join(name)
}

/// A model folder of `tests/golden`, as another exporter writes it.
pub fn other_graph(name: &str) -> PathBuf {
    project().join("tests/golden/graphs").join(name)
}

/// A golden file of `tests/golden`.
pub fn golden(path: &str) -> Value {
    let path = project().join("tests/golden").join(path);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn checkpoints() -> Vec<String> {
    file_names(&project().join("tests/golden/checkpoints"))
}

/// The names of a folder's entries, sorted.
#[track_caller]
pub fn file_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

/// A request for an export that is accepted even if it changes decisions.
pub fn export_request(checkpoint: &Path, output: &Path, precision: Precision) -> ExportRequest {
    ExportRequest {
        checkpoint: checkpoint.to_path_buf(),
        output: output.to_path_buf(),
        options: ExportOptions {
            precision: precision.into(),
            device: Device::Cpu,
            accept_changed_decisions: true,
            ..ExportOptions::default()
        },
    }
}

/// The export of a small checkpoint, made once per process and precision.
pub fn exported(name: &str, precision: Precision) -> PathBuf {
    static EXPORTED: OnceLock<Mutex<HashMap<(String, Precision), PathBuf>>> = OnceLock::new();
    let mut exported = EXPORTED
        .get_or_init(Mutex::default)
        .lock()
        .expect("no export panicked");
    exported
        .entry((name.to_owned(), precision))
        .or_insert_with(|| {
            let output = scratch().join(format!("{name}-{precision}"));
            let request = export_request(&checkpoint(name), &output, precision);
            export(&request).unwrap_or_else(|error| panic!("{name}: {error}"));
            output
        })
        .clone()
}

/// A folder for this run's files, in `target`.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<tempfile::TempDir> = OnceLock::new();
    SCRATCH
        .get_or_init(|| {
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder")
        })
        .path()
}

/// A model repository of small checkpoints, each under its own name.
pub fn repository(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        copy_folder(&exported(name, Precision::Fp32), &folder.path().join(name));
    }
    folder
}

/// Copies a folder recursively.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let copy = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &copy);
        } else {
            std::fs::copy(entry.path(), copy).expect("a copy");
        }
    }
}

/// A configuration for tests over a model repository.
pub fn config(models: &Path) -> Config {
    Config {
        models: models.to_path_buf(),
        model: Vec::new(),
        http: "127.0.0.1:0".to_owned(),
        grpc: Some("127.0.0.1:0".to_owned()),
        admin_http: None,
        device: Device::Cpu,
        onnxruntime_library: None,
        workers: NonZeroUsize::new(2).expect("2"),
        queue_capacity: NonZeroUsize::new(65536).expect("65536"),
        max_queue: Duration::from_secs(1),
        batch_tokens: NonZeroUsize::new(512),
        precision: PrecisionChoice::Auto,
        load_timeout: Duration::from_mins(5),
        watch_interval: None,
        limits: Limits::default(),
        max_inflight_bytes: NonZeroUsize::new(128 << 20).expect("128 MiB"),
        timeouts: Timeouts::default(),
        connections: ConnectionOptions::default(),
        access: AccessOptions {
            model_control: true,
            ..AccessOptions::default()
        },
        tls: None,
        browsers: BrowserPolicy::default(),
        priorities: PriorityAccess::Any,
        log: LogOptions {
            format: LogFormat::Text,
            filter: "warn".to_owned(),
        },
    }
}

async fn bind(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).await.expect("a free port");
    let address = listener.local_addr();
    (listener, address.expect("a bound socket has an address"))
}

async fn bind_if(address: Option<&str>) -> (Option<TcpListener>, Option<SocketAddr>) {
    match address {
        Some(address) => {
            let (listener, address) = bind(address).await;
            (Some(listener), Some(address))
        }
        None => (None, None),
    }
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    /// Its gRPC address, if gRPC is on.
    pub grpc: Option<SocketAddr>,
    /// The address of its listener for administration, if it has one.
    pub admin: Option<SocketAddr>,
    pub client: Client,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<Result<(), app::RunError>>>,
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub async fn start(config: Config) -> Self {
        let server = Self::start_unready(config).await;
        server.wait_until_ready().await;
        server
    }

    /// Starts a server without waiting for its models.
    pub async fn start_unready(config: Config) -> Self {
        let app = app::build(&config).expect("the server can start");
        let (http, address) = bind(&config.http).await;
        let (grpc, grpc_address) = bind_if(config.grpc.as_deref()).await;
        let (admin, admin_address) = bind_if(config.admin_http.as_deref()).await;
        let listeners = Listeners { http, grpc, admin };
        let (stop, stopped) = oneshot::channel::<()>();
        let signal = stream::once(async {
            let _ = stopped.await;
        });
        let running = tokio::spawn(app.run(listeners, signal));
        let client = Client::builder().no_proxy().build().expect("a client");
        Self {
            address,
            grpc: grpc_address,
            admin: admin_address,
            client,
            stop: Some(stop),
            running: Some(running),
        }
    }

    /// Waits until every model is loaded.
    pub async fn wait_until_ready(&self) {
        eventually("the server is ready", async || {
            let response = self.get("/health/ready").send().await.expect("an answer");
            if response.status() == StatusCode::OK {
                return Some(());
            }
            let reason: Value = response.json().await.expect("JSON");
            assert!(
                !reason.to_string().contains("could not be loaded"),
                "{reason}"
            );
            None
        })
        .await;
    }

    /// A gRPC connection.
    pub async fn grpc_channel(&self) -> Channel {
        let address = self.grpc.expect("gRPC is on");
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        endpoint.connect().await.expect("a connection")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(self.url(path)).json(body)
    }

    /// Posts a body, and returns the answer, which must be a 200.
    pub async fn ask(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(self.post(path, body)).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}: {answer}");
        answer
    }

    /// Sends a request and returns the status and the JSON body.
    pub async fn send(&self, request: RequestBuilder) -> (StatusCode, Value) {
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{status}: `{text}` is no JSON: {error}"));
        (status, body)
    }

    /// Sends a request that must be refused with this status and code.
    pub async fn refused(&self, request: RequestBuilder, status: u16, code: &str) -> Value {
        let (found, error) = self.send(request).await;
        assert_eq!(
            (found.as_u16(), error["code"].as_str()),
            (status, Some(code)),
            "{error}"
        );
        error
    }

    /// The metrics, as Prometheus scrapes them.
    pub async fn metrics(&self) -> String {
        let response = self.get("/metrics").send().await.expect("an answer");
        response.text().await.expect("text")
    }

    /// Tells the server to stop, as SIGTERM does.
    pub fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits until the server has ended.
    pub async fn ended(mut self) -> Result<(), app::RunError> {
        self.begin_stop();
        self.running
            .take()
            .expect("a server ends once")
            .await
            .expect("the server does not panic")
    }
}

/// A server with the default models, shared by all tests. It runs on threads of its own until the process ends.
pub fn default_server() -> Server {
    static ADDRESSES: OnceLock<Addresses> = OnceLock::new();
    Server::at(*ADDRESSES.get_or_init(|| run_forever(config(&default_models()))))
}

/// As [`default_server`], with every small checkpoint in fp32.
pub fn small_server() -> Server {
    static ADDRESSES: OnceLock<Addresses> = OnceLock::new();
    let addresses = *ADDRESSES.get_or_init(|| {
        let names = checkpoints();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let repository = Box::leak(Box::new(repository(&names)));
        run_forever(config(repository.path()))
    });
    Server::at(addresses)
}

impl Server {
    /// A client of a running server.
    pub fn at(addresses: impl Into<Addresses>) -> Self {
        let addresses = addresses.into();
        // A connection belongs to the runtime of the test that opened it, so each test has its own client.
        let client = Client::builder().no_proxy().build().expect("a client");
        Self {
            address: addresses.http,
            grpc: addresses.grpc,
            admin: None,
            client,
            stop: None,
            running: None,
        }
    }
}

/// The addresses of a server.
#[derive(Clone, Copy)]
pub struct Addresses {
    pub http: SocketAddr,
    pub grpc: Option<SocketAddr>,
}

impl From<SocketAddr> for Addresses {
    fn from(http: SocketAddr) -> Self {
        Self { http, grpc: None }
    }
}

/// Starts a server on threads of its own, which runs until the process ends.
pub fn run_forever(config: Config) -> Addresses {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let server = Server::start(config).await;
            let addresses = Addresses {
                http: server.address,
                grpc: server.grpc,
            };
            send.send(addresses).expect("the test waits");
            std::future::pending::<()>().await;
        });
    });
    receive.recv().expect("the server starts")
}

/// The head and the body of an answer by HTTP/1 that has a length, once all of it has arrived.
pub fn whole_answer(bytes: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.split_once("content-length: ").expect("a length").1;
    let length = length.lines().next().expect("a line");
    let is_whole = body.len() == length.parse::<usize>().expect("a number");
    is_whole.then(|| (head.to_owned(), body.to_owned()))
}

/// A command that runs the program.
pub fn electra(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_electra"));
    command
        .args(arguments)
        .current_dir(project())
        .env_remove("ELECTRA_MODELS")
        .stdin(Stdio::null());
    command
}

/// Runs a program to its end, with this on its standard input.
pub fn with_input(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut pipe = child.stdin.take().expect("a pipe");
    // Writes while reading, since both pipes may fill up.
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pipe.write_all(input.as_bytes()).expect("the program reads");
        });
        child.wait_with_output().expect("an end")
    })
}

/// The JSON lines in a program's output.
pub fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// `electra serve` as a child process on port 0, with its models loaded. Killed on drop.
pub struct ServerProcess {
    pub process: Child,
    pub address: SocketAddr,
    pub grpc: SocketAddr,
    /// The address of its listener for administration, if `--admin-http` is given.
    pub admin: Option<SocketAddr>,
}

impl ServerProcess {
    /// Starts the program, and reads its log until the models are loaded.
    pub fn start(models: &Path, arguments: &[&str]) -> Self {
        Self::start_with(models, arguments, |command| command)
    }

    /// As [`Self::start`], in a changed environment.
    pub fn start_with(
        models: &Path,
        arguments: &[&str],
        change: impl FnOnce(Command) -> Command,
    ) -> Self {
        let (started, log) = Self::spawn(models, arguments, change);
        // Said once loading is done.
        log.line_with("default model");
        started
    }

    /// As [`Self::start`]. The log that follows comes too.
    pub fn start_logged(models: &Path, arguments: &[&str]) -> (Self, Log) {
        let (started, log) = Self::spawn(models, arguments, |command| command);
        log.line_with("default model");
        (started, log)
    }

    /// As [`Self::start`], without waiting for its models.
    pub fn start_unready(models: &Path, arguments: &[&str]) -> Self {
        Self::spawn(models, arguments, |command| command).0
    }

    fn spawn(
        models: &Path,
        arguments: &[&str],
        change: impl FnOnce(Command) -> Command,
    ) -> (Self, Log) {
        let models = models.to_str().expect("UTF-8");
        let own_ports = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
        let always = [&["serve", "--models", models], own_ports.as_slice()].concat();
        let mut process = change(electra(&[&always[..], arguments].concat()))
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let log = Log::follow(process.stderr.take().expect("a pipe"));
        // Kills the process where its log is not as expected.
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut started = Self {
            process,
            address: unbound,
            grpc: unbound,
            admin: None,
        };
        started.address = log.listening("listening for HTTP");
        started.grpc = log.listening("listening for gRPC");
        let has_admin = arguments.contains(&"--admin-http");
        started.admin = has_admin.then(|| log.listening("listening for administration"));
        (started, log)
    }

    /// Sends SIGTERM.
    #[cfg(unix)]
    pub fn terminate(&self) {
        let killed = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status();
        assert!(killed.expect("kill").success());
    }

    /// Waits until the process has ended, and returns its exit code.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.process.wait().expect("an end").code()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The log of a running program. A thread reads it to its end, because a program whose pipe is full stands still.
pub struct Log(mpsc::Receiver<String>);

impl Log {
    fn follow(pipe: impl Read + Send + 'static) -> Self {
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                // Nobody waits for a line any more once the receiver is gone.
                let _ = send.send(line.expect("UTF-8"));
            }
        });
        Self(lines)
    }

    /// All lines that are left, once the program has ended.
    pub fn rest(self) -> Vec<String> {
        self.0.into_iter().collect()
    }

    /// The next line that has these words.
    fn line_with(&self, wanted: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left) {
                Ok(line) if line.contains(wanted) => return line,
                Ok(_) => (),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("waited {DEADLINE:?} in vain until the log has `{wanted}`")
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    panic!("the log ends before `{wanted}`")
                }
            }
        }
    }

    /// The address that the next line with these words names.
    fn listening(&self, wanted: &str) -> SocketAddr {
        let line = self.line_with(wanted);
        let port = line.split("127.0.0.1:").nth(1).expect("an address");
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")))
    }
}

/// A program's standard error output.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub fn assert_close(found: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!(
        (found - wanted).abs() <= tolerance,
        "{what}: {found} instead of {wanted} ± {tolerance}"
    );
}
