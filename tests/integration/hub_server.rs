//! A hub on loopback: repositories with the routes, redirects, headers and refusals of the real one, and a second host
//! in place of its content network.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::{Bytes, Frame};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::json;

/// The only token that the hub accepts. It calls all others invalid.
pub const TOKEN: &str = "hf_goodtoken";

/// A hub that answers until the process ends.
pub struct HubServer {
    address: SocketAddr,
    hub: Shared,
}

type Shared = Arc<Mutex<Contents>>;

#[derive(Default)]
struct Contents {
    repositories: HashMap<String, Repository>,
    faults: Vec<Fault>,
    seen: Vec<Seen>,
    content_network: String,
}

#[derive(Clone, Default)]
pub struct Repository {
    /// Branches and tags, each with its commit.
    pub references: BTreeMap<String, String>,
    /// The files of each commit.
    pub commits: BTreeMap<String, BTreeMap<String, Bytes>>,
    pub access: Access,
}

/// Who may read a repository.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    #[default]
    Public,
    /// Only with the token.
    Private,
    /// Nobody: the terms were not accepted.
    Gated,
}

/// A request as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// Prefixed with `cdn:` if the other host received it.
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    /// Bytes of content sent in response.
    pub sent: usize,
}

/// A failure of the next requests to paths that contain `path`.
#[derive(Clone)]
pub struct Fault {
    pub path: &'static str,
    pub times: usize,
    pub kind: FaultKind,
}

#[derive(Clone)]
pub enum FaultKind {
    /// Another status replaces the response.
    Status(u16, Option<&'static str>),
    /// The connection ends after this many bytes of content.
    Cut(usize),
    /// The first byte of the content is wrong.
    Corrupt,
    /// The content is one byte too long.
    Longer,
    /// The whole file is sent, and the requested range is ignored.
    IgnoreRange,
}

/// A commit hash of 40 equal digits.
pub fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

impl Repository {
    /// A repository with a folder's files in the commit of `main`.
    pub fn of_folder(folder: &Path) -> Self {
        let mut repository = Self::default();
        let mut files =
            BTreeMap::from([("README.md".to_owned(), Bytes::from_static(b"# A model\n"))]);
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_str().expect("UTF-8");
            files.insert(
                name.to_owned(),
                std::fs::read(&path).expect("a file").into(),
            );
        }
        repository.push('a', files);
        repository
    }

    /// Moves `main` to a new commit.
    pub fn push(&mut self, digit: char, files: BTreeMap<String, Bytes>) {
        self.commits.insert(commit(digit), files);
        self.references.insert("main".to_owned(), commit(digit));
    }

    fn commit(&self, revision: &str) -> Option<&str> {
        let (commit, _) = self.commits.get_key_value(
            self.references
                .get(revision)
                .map_or(revision, String::as_str),
        )?;
        Some(commit)
    }
}

impl HubServer {
    /// Starts a hub with these repositories.
    pub fn start(repositories: &[(&str, Repository)]) -> Self {
        let repositories = repositories
            .iter()
            .map(|(name, repository)| ((*name).to_owned(), repository.clone()));
        let hub: Shared = Arc::new(Mutex::new(Contents {
            repositories: repositories.collect(),
            ..Contents::default()
        }));
        let (send, receive) = std::sync::mpsc::channel();
        let shared = Arc::clone(&hub);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let router = Router::new()
                    .fallback(answer_hub)
                    .with_state(Arc::clone(&shared));
                let network = Router::new()
                    .fallback(answer_network)
                    .with_state(Arc::clone(&shared));
                let bind = || tokio::net::TcpListener::bind("127.0.0.1:0");
                let (listener, other) =
                    (bind().await.expect("a port"), bind().await.expect("a port"));
                let address = other.local_addr().expect("an address");
                lock(&shared).content_network = format!("http://{address}");
                send.send(listener.local_addr().expect("an address"))
                    .expect("the test waits");
                let _ = tokio::join!(
                    axum::serve(listener, router).into_future(),
                    axum::serve(other, network).into_future()
                );
            });
        });
        let address = receive.recv().expect("the hub starts");
        Self { address, hub }
    }

    /// The value for `HF_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes the next `times` matching requests fail.
    pub fn fault(&self, path: &'static str, times: usize, kind: FaultKind) {
        lock(&self.hub).faults.push(Fault { path, times, kind });
    }

    /// Makes the hub send content itself, as mirrors do.
    pub fn serve_content_alone(&self) {
        lock(&self.hub).content_network = self.endpoint();
    }

    /// Changes a repository.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Repository)) {
        change(
            lock(&self.hub)
                .repositories
                .get_mut(name)
                .expect("a repository"),
        );
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.hub).seen)
    }
}

fn lock(hub: &Shared) -> MutexGuard<'_, Contents> {
    hub.lock().expect("no handler panicked")
}

/// The relevant parts of a request.
struct Asked {
    method: Method,
    path: String,
    headers: HeaderMap,
}

impl Asked {
    fn of(request: &Request, prefix: &str) -> Self {
        Self {
            method: request.method().clone(),
            path: format!("{prefix}{}", request.uri().path()),
            headers: request.headers().clone(),
        }
    }

    fn header(&self, name: header::HeaderName) -> Option<String> {
        Some(self.headers.get(name)?.to_str().expect("ASCII").to_owned())
    }
}

impl Contents {
    /// Records the request, and takes the failure meant for it.
    fn meet(&mut self, asked: &Asked) -> Option<FaultKind> {
        self.seen.push(Seen {
            method: asked.method.to_string(),
            path: asked.path.clone(),
            range: asked.header(header::RANGE),
            authorization: asked.header(header::AUTHORIZATION),
            sent: 0,
        });
        let is_met = |fault: &&mut Fault| fault.times > 0 && asked.path.contains(fault.path);
        // Only content can be cut or changed.
        let content =
            |kind: &FaultKind| matches!(kind, FaultKind::Status(..)) || asked.method == Method::GET;
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| is_met(fault) && content(&fault.kind))?;
        fault.times -= 1;
        Some(fault.kind.clone())
    }
}

async fn answer_hub(State(hub): State<Shared>, request: Request) -> Response<Body> {
    if request.uri().path().starts_with("/blobs/") {
        return answer_network(State(hub), request).await;
    }
    let asked = Asked::of(&request, "");
    let mut state = lock(&hub);
    let fault = state.meet(&asked);
    if let Some(FaultKind::Status(status, retry_after)) = fault {
        return status_alone(status, retry_after);
    }
    let path = asked.path.trim_start_matches('/').to_owned();
    if let Some(rest) = path.strip_prefix("api/resolve-cache/models/") {
        let (name, rest) = split_name(rest, "/").expect("a name");
        let (commit, file) = rest.split_once('/').expect("a file");
        let content = state.repositories[&name].commits[commit][file].clone();
        return content_answer(&mut state, &asked, &content, fault.as_ref());
    }
    let (name, revision, file) = if let Some(rest) = path.strip_prefix("api/models/") {
        let (name, revision) = split_name(rest, "/revision/").expect("a revision");
        (name, revision, None)
    } else {
        let (name, rest) = split_name(&path, "/resolve/").expect("a file");
        let (revision, file) = rest.split_once('/').expect("a file");
        (name, revision.to_owned(), Some(file.to_owned()))
    };
    let revision = revision.replace("%2F", "/");
    let token = asked.header(header::AUTHORIZATION);
    if token
        .as_ref()
        .is_some_and(|token| *token != format!("Bearer {TOKEN}"))
    {
        return refusal(401, None, "Invalid credentials in Authorization header");
    }
    let repository = match state.repositories.get(&name) {
        Some(repository) if repository.access != Access::Private || token.is_some() => repository,
        _ if token.is_some() => return refusal(404, Some("RepoNotFound"), "Repository not found"),
        _ => return refusal(401, Some("RepoNotFound"), "Invalid username or password."),
    };
    if repository.access == Access::Gated && file.is_some() {
        let status = if token.is_some() { 403 } else { 401 };
        return refusal(
            status,
            Some("GatedRepo"),
            "Access to the model is restricted",
        );
    }
    let Some(commit) = repository.commit(&revision).map(str::to_owned) else {
        return refusal(
            404,
            Some("RevisionNotFound"),
            &format!("Invalid rev id: {revision}"),
        );
    };
    let files = &repository.commits[&commit];
    let Some(file) = file else {
        let siblings: Vec<_> = files
            .keys()
            .map(|name| json!({"rfilename": name}))
            .collect();
        let info = json!({"id": name, "sha": commit, "siblings": siblings});
        return Response::new(Body::from(info.to_string()));
    };
    let Some(content) = files.get(&file) else {
        return refusal(404, Some("EntryNotFound"), "Entry not found");
    };
    let is_large = Path::new(&file)
        .extension()
        .is_some_and(|extension| extension == "safetensors" || extension == "bin");
    let (status, location, etag) = if is_large {
        let etag = sha256(content);
        (
            302,
            format!("{}/blobs/{etag}?signature=1", state.content_network),
            etag,
        )
    } else {
        (
            307,
            format!("/api/resolve-cache/models/{name}/{commit}/{file}"),
            git_blob(content),
        )
    };
    let mut answer = Response::builder()
        .status(status)
        .header("location", location)
        .header("etag", "\"of-this-page\"")
        .header("x-repo-commit", &commit);
    if is_large {
        answer = answer
            .header("x-linked-etag", format!("\"{etag}\""))
            .header("x-linked-size", content.len());
    }
    answer
        .body(Body::from("Found. Redirecting"))
        .expect("an answer")
}

/// Answers as the hub's content network: refuses requests with a token, since its URLs are signed.
async fn answer_network(State(hub): State<Shared>, request: Request) -> Response<Body> {
    let asked = Asked::of(&request, "cdn:");
    let mut state = lock(&hub);
    let fault = state.meet(&asked);
    if let Some(FaultKind::Status(status, retry_after)) = fault {
        return status_alone(status, retry_after);
    }
    if asked.header(header::AUTHORIZATION).is_some() || request.uri().query() != Some("signature=1")
    {
        return status_alone(400, None);
    }
    let wanted = asked.path.trim_start_matches("cdn:/blobs/");
    let contents = state
        .repositories
        .values()
        .flat_map(|repository| repository.commits.values());
    let mut contents = contents.flat_map(BTreeMap::values);
    let content = contents
        .find(|content| sha256(content) == wanted)
        .expect("a blob")
        .clone();
    content_answer(&mut state, &asked, &content, fault.as_ref())
}

fn content_answer(
    state: &mut Contents,
    asked: &Asked,
    content: &Bytes,
    fault: Option<&FaultKind>,
) -> Response<Body> {
    let range = asked
        .header(header::RANGE)
        .filter(|_| !matches!(fault, Some(FaultKind::IgnoreRange)));
    let start = range.map(|range| {
        let start = range
            .strip_prefix("bytes=")
            .and_then(|range| range.strip_suffix('-'));
        start
            .expect("an open range")
            .parse::<usize>()
            .expect("a number")
    });
    if start.is_some_and(|start| start >= content.len()) {
        return status_alone(416, None);
    }
    let mut part = content.slice(start.unwrap_or(0)..);
    if matches!(fault, Some(FaultKind::Corrupt)) {
        let mut changed = part.to_vec();
        changed[0] ^= 1;
        part = changed.into();
    }
    if matches!(fault, Some(FaultKind::Longer)) {
        part = [&part[..], b"x"].concat().into();
    }
    let mut answer = Response::builder()
        .header("etag", format!("W/\"{}\"", git_blob(content)))
        .header("content-length", part.len());
    if let Some(start) = start {
        let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
        answer = answer.status(206).header("content-range", range);
    }
    let body = match fault {
        _ if asked.method == Method::HEAD => Body::empty(),
        Some(FaultKind::Cut(bytes)) => {
            part.truncate(*bytes);
            Body::new(Cut {
                content: Some(part.clone()),
                is_flushed: false,
            })
        }
        _ => Body::from(part.clone()),
    };
    let seen = state.seen.last_mut().expect("this request");
    seen.sent = if asked.method == Method::HEAD {
        0
    } else {
        part.len()
    };
    answer.body(body).expect("an answer")
}

/// Sends its content and then fails, which closes the connection.
struct Cut {
    content: Option<Bytes>,
    is_flushed: bool,
}

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(content) = self.content.take() {
            return Poll::Ready(Some(Ok(Frame::data(content))));
        }
        if !self.is_flushed {
            // Returning pending flushes the content sent so far.
            self.is_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}

fn status_alone(status: u16, retry_after: Option<&'static str>) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    if let Some(seconds) = retry_after {
        answer
            .headers_mut()
            .insert("retry-after", HeaderValue::from_static(seconds));
    }
    answer
}

fn refusal(status: u16, code: Option<&str>, message: &str) -> Response<Body> {
    let mut answer = Response::builder()
        .status(status)
        .header("x-error-message", message);
    if let Some(code) = code {
        answer = answer.header("x-error-code", code);
    }
    answer
        .body(Body::from(message.to_owned()))
        .expect("an answer")
}

/// Splits `org/name/…` or `name/…` at the first separator after the name.
fn split_name(path: &str, separator: &str) -> Option<(String, String)> {
    if separator != "/" {
        let (name, rest) = path.split_once(separator)?;
        return Some((name.to_owned(), rest.to_owned()));
    }
    let mut parts = path.splitn(3, '/');
    let name = format!("{}/{}", parts.next()?, parts.next()?);
    Some((name, parts.next()?.to_owned()))
}

fn sha256(content: &[u8]) -> String {
    hexadecimal(digest(&SHA256, content).as_ref())
}

fn git_blob(content: &[u8]) -> String {
    let header = format!("blob {}\0", content.len());
    let whole = [header.as_bytes(), content].concat();
    hexadecimal(digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole).as_ref())
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
