//! TLS of the program: HTTP and gRPC, clients with certificates, certificates that change, probes, and stops.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use electra_server::grpc::proto::electra::TagRequest;
use electra_server::grpc::proto::electra::electra_client::ElectraClient;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use self::certificates::{Authority, Signed};
use crate::harness::{ServerProcess, default_models, electra, eventually, repository, stderr};

#[path = "../../src/tls/testing.rs"]
mod certificates;

const BODY: &str = r#"{"text": "The fox jumps."}"#;

/// More than a stop takes on a busy machine, and less than any timeout of these tests.
const AT_ONCE: Duration = Duration::from_secs(15);

/// A server over TLS of one small model.
struct Served {
    authority: Authority,
    server: ServerProcess,
    /// Has its certificate and its key.
    folder: tempfile::TempDir,
    _models: tempfile::TempDir,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        let authority = Authority::new();
        let folder = tempfile::tempdir().expect("a folder");
        authority.sign().write(folder.path());
        Self::start_in(authority, folder, arguments)
    }

    fn start_in(authority: Authority, folder: tempfile::TempDir, arguments: &[&str]) -> Self {
        let models = repository(&["token-cased"]);
        let (certificate, key) = (
            path(folder.path(), "cert.pem"),
            path(folder.path(), "key.pem"),
        );
        let tls = ["--tls-certificate", &certificate, "--tls-key", &key];
        let server = ServerProcess::start(models.path(), &[&tls[..], arguments].concat());
        Self {
            authority,
            server,
            folder,
            _models: models,
        }
    }

    /// A client's connection to the HTTP port.
    async fn connect(&self, client: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
        connect(self.server.address, client).await
    }

    async fn shown(&self) -> CertificateDer<'static> {
        let stream = self.connect(&self.authority.client(&[], None)).await;
        let stream = stream.expect("a handshake");
        let shown = stream
            .get_ref()
            .1
            .peer_certificates()
            .expect("a certificate");
        shown[0].clone().into_owned()
    }

    async fn metrics(&self) -> String {
        let client = self.authority.client(&[], None);
        let address = self.server.admin.unwrap_or(self.server.address);
        let stream = connect(address, &client).await.expect("a handshake");
        let mut sender = http1(stream).await;
        let request = Request::get("/metrics").header("host", "a");
        let request = request.body(Full::default()).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        text(answer).await
    }
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("UTF-8").to_owned()
}

async fn connect(address: SocketAddr, client: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = "localhost".try_into().expect("a name");
    client.connect(name, stream).await
}

async fn http1(stream: TlsStream<TcpStream>) -> http1::SendRequest<Full<Bytes>> {
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.expect("a connection");
    tokio::spawn(connection);
    sender
}

fn post() -> Request<Full<Bytes>> {
    Request::post("https://localhost/tag")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::from(BODY))
        .expect("a request")
}

async fn text(response: Response<hyper::body::Incoming>) -> String {
    let body = response.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("UTF-8")
}

async fn channel(
    address: SocketAddr,
    client: TlsConnector,
) -> Result<Channel, tonic::transport::Error> {
    let connect = service_fn(move |_| {
        let client = client.clone();
        async move { connect(address, &client).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint.connect_with_connector(connect).await
}

async fn tag(channel: &Channel) -> Result<(), tonic::Status> {
    let request = TagRequest {
        text: vec!["The fox jumps.".to_owned()],
        ..TagRequest::default()
    };
    let answer = ElectraClient::new(channel.clone()).tag(request).await?;
    assert_eq!(answer.into_inner().results.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_listeners_speak_tls_and_clients_choose_the_protocol() {
    // The metrics are there alone then.
    let served = Served::start(&["--admin-http", "127.0.0.1:0"]);
    let client = |protocols: &[&str]| served.authority.client(protocols, None);
    let stream = served
        .connect(&client(&["http/1.1"]))
        .await
        .expect("a handshake");
    let answer = http1(stream)
        .await
        .send_request(post())
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let over_http1 = text(answer).await;

    let stream = served
        .connect(&client(&["h2", "http/1.1"]))
        .await
        .expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("a connection");
    tokio::spawn(connection);
    let mut request = post();
    request.headers_mut().remove("host");
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(
        (answer.status(), answer.version()),
        (StatusCode::OK, Version::HTTP_2)
    );
    assert_eq!(text(answer).await, over_http1);

    let channel = channel(served.server.grpc, client(&["h2"]))
        .await
        .expect("a connection");
    tag(&channel).await.expect("an answer");
    let refused = connect(served.server.grpc, &client(&["http/1.1"])).await;
    assert!(refused.is_err(), "gRPC needs HTTP/2");

    // Plain HTTP gets no answer.
    let mut plain = TcpStream::connect(served.server.address)
        .await
        .expect("a connection");
    plain
        .write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("it is read");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let metrics = served.metrics().await;
    for reason in ["not_tls", "incompatible"] {
        let line = format!("electra_tls_handshakes_failed_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_need_a_certificate_if_authorities_are_named_and_probes_have_one_too() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    authority.sign().write(folder.path());
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("a file");
    let ca = path(folder.path(), "ca.pem");
    let served = Served::start_in(authority, folder, &["--tls-client-ca", &ca]);
    let (known, unknown) = (served.authority.sign(), Authority::new().sign());

    let client = |identity| served.authority.client(&["h2"], identity);
    for identity in [None, Some(&unknown)] {
        // In TLS 1.3 a client learns of the refusal when it first reads.
        let refused = async {
            let mut stream = served.connect(&client(identity)).await?;
            stream.read_exact(&mut [0]).await
        };
        assert!(refused.await.is_err());
        let refused = async {
            let channel = channel(served.server.grpc, client(identity))
                .await
                .map_err(drop)?;
            tag(&channel).await.map_err(drop)
        };
        assert!(refused.await.is_err());
    }
    let stream = served
        .connect(&served.authority.client(&[], Some(&known)))
        .await;
    let answer = http1(stream.expect("a handshake"))
        .await
        .send_request(post())
        .await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    let channel = channel(served.server.grpc, client(Some(&known))).await;
    tag(&channel.expect("a connection"))
        .await
        .expect("an answer");

    let own = tempfile::tempdir().expect("a folder");
    known.write(own.path());
    let (cert, key) = (path(own.path(), "cert.pem"), path(own.path(), "key.pem"));
    let address = served.server.address.to_string();
    let probe = ["health", "--http", &address, "--tls", "--ca", &ca];
    let output = electra(&[&probe[..], &["--cert", &cert, "--key", &key]].concat()).output();
    let output = output.expect("an end");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = electra(&probe).output().expect("an end");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn probes_check_the_certificate_of_the_server() {
    let served = Served::start(&[]);
    let folder = served.folder.path();
    std::fs::write(folder.join("ca.pem"), served.authority.pem()).expect("a file");
    std::fs::write(folder.join("other.pem"), Authority::new().pem()).expect("a file");
    let (ca, other) = (path(folder, "ca.pem"), path(folder, "other.pem"));
    let address = served.server.address.to_string();
    let by_name = format!("localhost:{}", served.server.address.port());
    for (address, ca, more, code, part) in [
        (&address, &ca, &[][..], 0, ""),
        (&by_name, &ca, &[], 0, ""),
        (&address, &ca, &["--server-name", "localhost"], 0, ""),
        (
            &address,
            &ca,
            &["--server-name", "example.org"],
            1,
            "not valid for name",
        ),
        (&address, &other, &[], 1, "invalid peer certificate"),
        (&address, &path(folder, "no.pem"), &[], 1, "no.pem` of --ca"),
    ] {
        let probe = ["health", "--http", address, "--tls", "--ca", ca];
        let output = electra(&[&probe[..], more].concat())
            .output()
            .expect("an end");
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {message}");
        assert!(message.contains(part), "{message}");
    }
    for incomplete in [
        &["--tls"][..],
        &["--ca", &ca],
        &["--tls", "--ca", &ca, "--cert", &ca],
    ] {
        let output = electra(&[&["health"], incomplete].concat()).output();
        assert_eq!(
            output.expect("an end").status.code(),
            Some(2),
            "{incomplete:?}"
        );
    }
    // Without --tls, the server can't be asked.
    let output = electra(&["health", "--http", &address]).output();
    assert_eq!(output.expect("an end").status.code(), Some(1));
}

#[test]
fn files_that_can_not_be_used_stop_the_start_with_a_sentence() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    authority.sign().write(folder.path());
    std::fs::write(folder.path().join("other.pem"), authority.sign().key).expect("a file");
    let models = default_models();
    let serve = ["serve", "--models", models.to_str().expect("UTF-8")];
    let certificate = path(folder.path(), "cert.pem");
    for (key, cause) in [("other.pem", "does not belong"), ("no.pem", "No such file")] {
        let key = path(folder.path(), key);
        let tls = ["--tls-certificate", &certificate, "--tls-key", &key];
        let output = electra(&[&serve[..], &tls].concat())
            .output()
            .expect("an end");
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        for part in [&format!("`{key}` of tls_key "), cause] {
            assert!(message.contains(part), "{message}");
        }
    }
    let output = electra(&[&serve[..], &["--tls-key", "a.pem", "--workers", "0"]].concat());
    let output = { output }.output().expect("an end");
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    for part in ["--tls-key", "tls_certificate", "--workers"] {
        assert!(message.contains(part), "{message}");
    }
}

/// A folder with files that are replaced at once, as Kubernetes does it with secrets.
struct Mount {
    folder: PathBuf,
    versions: usize,
}

impl Mount {
    fn new(folder: &Path, first: &Signed) -> Self {
        let mut mount = Self {
            folder: folder.to_path_buf(),
            versions: 0,
        };
        mount.replace(first);
        for file in ["cert.pem", "key.pem"] {
            std::os::unix::fs::symlink(format!("..data/{file}"), folder.join(file))
                .expect("a link");
        }
        mount
    }

    fn replace(&mut self, signed: &Signed) {
        self.versions += 1;
        let version = format!("..{}", self.versions);
        let folder = self.folder.join(&version);
        std::fs::create_dir(&folder).expect("a folder");
        signed.write(&folder);
        let link = self.folder.join("..new");
        std::os::unix::fs::symlink(version, &link).expect("a link");
        std::fs::rename(link, self.folder.join("..data")).expect("a link");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a folder");
    let first = authority.sign();
    let mut mount = Mount::new(folder.path(), &first);
    let served = Served::start_in(authority, folder, &[]);
    assert_eq!(served.shown().await, first.der());
    let done = Arc::new(AtomicBool::new(false));
    let answered: Vec<Arc<AtomicUsize>> = (0..4).map(|_| Arc::default()).collect();
    let (http, grpc) = (served.server.address, served.server.grpc);
    let clients = answered
        .iter()
        .cloned()
        .enumerate()
        .map(|(number, answered)| {
            let done = Arc::clone(&done);
            let client = served.authority.client(&[], None);
            let over_http2 = served.authority.client(&["h2"], None);
            tokio::spawn(async move {
                let kept = connect(http, &client).await.expect("a handshake");
                let mut kept = http1(kept).await;
                let kept_channel = channel(grpc, over_http2.clone())
                    .await
                    .expect("a connection");
                while !done.load(Ordering::Relaxed) {
                    match number {
                        // Resumes sessions where it can.
                        0 => {
                            let stream = connect(http, &client).await.expect("a handshake");
                            let answer = http1(stream).await.send_request(post()).await;
                            assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
                        }
                        1 => {
                            let answer = kept.send_request(post()).await.expect("an answer");
                            assert_eq!(answer.status(), StatusCode::OK);
                            text(answer).await;
                        }
                        2 => {
                            let channel = channel(grpc, over_http2.clone()).await;
                            tag(&channel.expect("a connection"))
                                .await
                                .expect("an answer");
                        }
                        _ => tag(&kept_channel).await.expect("an answer"),
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
    let clients: Vec<_> = clients.collect();
    for _ in 0..3 {
        let next = served.authority.sign();
        mount.replace(&next);
        eventually("the new certificate is shown", async || {
            (served.shown().await == next.der()).then_some(())
        })
        .await;
        // Each client asks again, by the new certificate or on the connection that it has.
        for count in &answered {
            let before = count.load(Ordering::Relaxed);
            eventually("each client is answered", async || {
                let now = count.load(Ordering::Relaxed);
                let is_over = clients.iter().any(tokio::task::JoinHandle::is_finished);
                assert!(!is_over, "a client failed");
                (now > before + 1).then_some(())
            })
            .await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no request failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_do_not_hold_up_a_stop() {
    let mut served = Served::start(&["--drain-timeout-ms", "600000"]);
    let mut open = Vec::new();
    for address in [served.server.address, served.server.grpc] {
        // The beginning of a handshake's first record.
        for begin in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(begin).await.expect("it is read");
            open.push(stream);
        }
    }
    let client = served.authority.client(&[], None);
    let unused = served.connect(&client).await.expect("a handshake");
    let mut idle = http1(served.connect(&client).await.expect("a handshake")).await;
    let answer = idle.send_request(post()).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let start = Instant::now();
    served.server.terminate();
    assert_eq!(served.server.exit_code(), Some(0));
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    drop((open, unused, idle));
}
