//! Tests of loading, reloading and handshakes, without sockets.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::date_time_ymd;
use tokio::io::duplex;
use tokio::time::advance;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::{TlsConnector, rustls};

use super::testing::{Authority, Signed};
use super::*;
use crate::telemetry::metrics::HandshakeFailure;
use crate::testing::{HeldClock, eventually};

fn files(folder: &Path) -> TlsFiles {
    TlsFiles {
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        client_ca: None,
    }
}

fn folder_with(signed: &Signed) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    signed.write(folder.path());
    folder
}

/// What a handshake shows to the client, and how it ends for the server.
struct Handshake {
    certificate: Option<CertificateDer<'static>>,
    protocol: Option<Vec<u8>>,
    is_resumed: bool,
    server: Result<(), HandshakeFailure>,
}

async fn shake_hands(tls: &Tls, alpn: Alpn, client: &TlsConnector) -> Handshake {
    let (near, far) = duplex(1 << 16);
    let name = ServerName::try_from("localhost").unwrap();
    let client = async {
        let mut stream = client.connect(name, near).await.ok()?;
        // In TLS 1.3 the client is done before the server; only now it gets tickets, or is refused.
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await;
        Some(stream)
    };
    let server = async {
        let accepted = tls.accept(alpn, far).await;
        accepted.map(drop).map_err(|error| error.failure())
    };
    let (client, server) = tokio::join!(client, server);
    let session = client.as_ref().map(|stream| stream.get_ref().1);
    Handshake {
        certificate: session.map(|it| it.peer_certificates().unwrap()[0].clone().into_owned()),
        protocol: session.and_then(|it| Some(it.alpn_protocol()?.to_vec())),
        is_resumed: session.and_then(|it| it.handshake_kind())
            == Some(rustls::HandshakeKind::Resumed),
        server,
    }
}

#[test]
fn files_that_can_not_be_used_are_named_with_the_cause() {
    let authority = Authority::new();
    let (signed, other) = (authority.sign(), authority.sign());
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let noise = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    for (file, text, setting, cause) in [
        ("cert.pem", None, "tls_certificate", "No such file"),
        ("key.pem", None, "tls_key", "No such file"),
        ("ca.pem", None, "tls_client_ca", "No such file"),
        (
            "cert.pem",
            Some("nothing"),
            "tls_certificate",
            "no certificate in PEM",
        ),
        (
            "cert.pem",
            Some(&signed.key),
            "tls_certificate",
            "no certificate in PEM",
        ),
        ("cert.pem", Some(broken), "tls_certificate", "not PEM"),
        (
            "cert.pem",
            Some(noise),
            "tls_certificate",
            "first certificate can't be read",
        ),
        (
            "key.pem",
            Some(&signed.certificate),
            "tls_key",
            "no private key in PEM",
        ),
        ("key.pem", Some(encrypted), "tls_key", "encrypted"),
        (
            "key.pem",
            Some(&other.key),
            "tls_key",
            "does not belong to the certificate",
        ),
        ("ca.pem", Some(""), "tls_client_ca", "no certificate in PEM"),
        ("ca.pem", Some(noise), "tls_client_ca", "can't be used"),
    ] {
        let folder = folder_with(&signed);
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let files = TlsFiles {
            client_ca: Some(folder.path().join("ca.pem")),
            ..files(folder.path())
        };
        assert!(Tls::load(&files).is_ok());
        let path = folder.path().join(file);
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let error = Tls::load(&files).err().unwrap().to_string();
        for part in [&format!("`{}` of {setting} ", path.display()), cause] {
            assert!(error.contains(part), "{file}, {cause}: {error}");
        }
        assert!(error.ends_with('.'), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_refused_and_not_waited_for() {
    let folder = folder_with(&Authority::new().sign());
    let key = folder.path().join("key.pem");
    std::fs::remove_file(&key).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&key).status();
    assert!(made.unwrap().success());
    let error = Tls::load(&files(folder.path())).err().unwrap().to_string();
    assert!(error.contains("named pipe"), "{error}");
}

#[tokio::test]
async fn keys_may_be_in_pkcs8_or_sec1() {
    let authority = Authority::new();
    let signed = authority.sign();
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    // The key of an elliptic curve is the last part of its PKCS#8, but for an optional attribute.
    let der = pkcs8.secret_pkcs8_der();
    let start = der
        .windows(5)
        .position(|part| part == [0x02, 1, 1, 0x04, 0x20])
        .unwrap()
        - 2;
    let sec1 = pem_of("EC PRIVATE KEY", &der[start..]);
    for key in [signed.key.clone(), sec1] {
        let folder = folder_with(&signed);
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        let tls = Tls::load(&files(folder.path())).unwrap();
        let shown = shake_hands(&tls, Alpn::Http, &authority.client(&[], None)).await;
        assert_eq!(shown.certificate, Some(signed.der()));
    }
}

fn pem_of(label: &str, der: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

#[tokio::test]
async fn each_listener_offers_its_protocols() {
    let authority = Authority::new();
    let folder = folder_with(&authority.sign());
    let tls = Tls::load(&files(folder.path())).unwrap();
    for (alpn, offered, expected) in [
        (Alpn::Http, &["h2", "http/1.1"][..], Ok(Some("h2"))),
        (Alpn::Http, &["http/1.1", "h2"], Ok(Some("h2"))),
        (Alpn::Http, &["http/1.1"], Ok(Some("http/1.1"))),
        (Alpn::Http, &[], Ok(None)),
        (Alpn::Http2, &["http/1.1", "h2"], Ok(Some("h2"))),
        (Alpn::Http2, &[], Ok(None)),
        (
            Alpn::Http2,
            &["http/1.1"],
            Err(HandshakeFailure::Incompatible),
        ),
        (Alpn::Http, &["h3"], Err(HandshakeFailure::Incompatible)),
    ] {
        let shown = shake_hands(&tls, alpn, &authority.client(offered, None)).await;
        let found = shown.server.map(|()| shown.protocol);
        let expected = expected.map(|name| name.map(|name| name.as_bytes().to_vec()));
        assert_eq!(found, expected, "{alpn:?} {offered:?}");
    }
}

#[tokio::test]
async fn with_authorities_of_clients_a_certificate_of_theirs_is_required() {
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let folder = folder_with(&authority.sign());
    std::fs::write(folder.path().join("ca.pem"), of_clients.pem()).unwrap();
    let files = TlsFiles {
        client_ca: Some(folder.path().join("ca.pem")),
        ..files(folder.path())
    };
    let tls = Tls::load(&files).unwrap();
    let refused = Err(HandshakeFailure::ClientCertificate);
    let expired = of_clients.sign_with(|params| params.not_after = date_time_ymd(2020, 1, 1));
    for (identity, expected) in [
        (Some(of_clients.sign()), Ok(())),
        (Some(authority.sign()), refused),
        (Some(expired), refused),
        (None, refused),
    ] {
        let client = authority.client(&[], identity.as_ref());
        let shown = shake_hands(&tls, Alpn::Http, &client).await;
        assert_eq!(shown.server, expected);
    }
    // A client that does not trust the server.
    let stranger = of_clients.client(&[], None);
    let shown = shake_hands(&tls, Alpn::Http, &stranger).await;
    assert_eq!(shown.server, Err(HandshakeFailure::RefusedByClient));
}

/// Log lines, from the tests of one thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines_with(&self, wanted: &str) -> usize {
        let bytes = self.0.lock().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(wanted)).count()
    }
}

#[tokio::test(start_paused = true)]
async fn changed_files_are_used_by_new_handshakes_and_unusable_ones_are_not() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let clock = HeldClock::new();
    let authority = Authority::new();
    let first = authority.sign();
    let folder = folder_with(&first);
    let files = files(folder.path());
    let tls = Tls::load(&files).unwrap();
    let watching = tokio::spawn(tls.clone().watch());
    let client = authority.client(&[], None);
    let is_shown = async |signed: &Signed| {
        let shown = shake_hands(&tls, Alpn::Http, &client).await;
        assert_eq!(shown.server, Ok(()));
        shown.certificate == Some(signed.der())
    };
    let until_logged = async |what: &str, lines: usize| {
        eventually(what, async || {
            advance(Duration::from_secs(1)).await;
            log.lines_with(what) == lines
        })
        .await;
    };
    assert!(is_shown(&first).await);

    // The certificate comes first. It can't be used until its key is there too.
    let second = authority.sign_with(|params| params.not_after = date_time_ymd(2048, 2, 29));
    std::fs::write(&files.certificate, &second.certificate).unwrap();
    until_logged("does not belong to the certificate", 1).await;
    assert!(is_shown(&first).await);
    std::fs::write(&files.key, &second.key).unwrap();
    until_logged("TLS certificate reloaded", 1).await;
    assert!(is_shown(&second).await);
    assert_eq!(log.lines_with("2048-02-29T00:00:00Z"), 1);

    // Each unusable state is told once.
    std::fs::remove_file(&files.key).unwrap();
    until_logged("No such file", 1).await;
    for _ in 0..20 {
        advance(Duration::from_secs(1)).await;
        assert!(is_shown(&second).await);
    }
    assert_eq!(log.lines_with("No such file"), 1);
    std::fs::write(&files.key, "half a k").unwrap();
    until_logged("no private key in PEM", 1).await;
    assert!(is_shown(&second).await);
    std::fs::write(&files.key, &second.key).unwrap();
    until_logged("TLS certificate reloaded", 2).await;
    assert!(is_shown(&second).await);

    // One that has expired is used, since clocks may be wrong, and the log warns.
    let expired = authority.sign_with(|params| params.not_after = date_time_ymd(2020, 1, 1));
    expired.write(folder.path());
    until_logged("it has expired", 1).await;
    let shown = shake_hands(&tls, Alpn::Http, &client).await;
    assert_eq!(shown.server, Err(HandshakeFailure::RefusedByClient));
    watching.abort();
    drop(clock);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_link_that_leads_to_other_files_is_a_change() {
    let clock = HeldClock::new();
    let authority = Authority::new();
    let (first, second) = (authority.sign(), authority.sign());
    // As Kubernetes mounts secrets: a link per file, through a link to a folder that is replaced.
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    for (name, signed) in [("one", &first), ("two", &second)] {
        std::fs::create_dir(at(name)).unwrap();
        signed.write(&at(name));
    }
    std::os::unix::fs::symlink("one", at("..data")).unwrap();
    for file in ["cert.pem", "key.pem"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), at(file)).unwrap();
    }
    let tls = Tls::load(&files(mount.path())).unwrap();
    let watching = tokio::spawn(tls.clone().watch());
    let client = authority.client(&[], None);
    let shown = shake_hands(&tls, Alpn::Http, &client).await;
    assert_eq!(shown.certificate, Some(first.der()));
    std::os::unix::fs::symlink("two", at("..new")).unwrap();
    std::fs::rename(at("..new"), at("..data")).unwrap();
    eventually("the other certificate is shown", async || {
        advance(Duration::from_secs(1)).await;
        let shown = shake_hands(&tls, Alpn::Http, &client).await;
        shown.certificate == Some(second.der())
    })
    .await;
    watching.abort();
    drop(clock);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_resumed_and_not_across_a_change() {
    let clock = HeldClock::new();
    let authority = Authority::new();
    let folder = folder_with(&authority.sign());
    let tls = Tls::load(&files(folder.path())).unwrap();
    let watching = tokio::spawn(tls.clone().watch());
    let client = authority.client(&[], None);
    for is_resumed in [false, true] {
        let shown = shake_hands(&tls, Alpn::Http, &client).await;
        assert_eq!((shown.server, shown.is_resumed), (Ok(()), is_resumed));
    }
    // The client still has a ticket, and falls back to a full handshake.
    let second = authority.sign();
    second.write(folder.path());
    eventually("the other certificate is shown", async || {
        advance(Duration::from_secs(1)).await;
        let shown = shake_hands(&tls, Alpn::Http, &client).await;
        assert_eq!(shown.server, Ok(()));
        shown.certificate == Some(second.der()) && !shown.is_resumed
    })
    .await;
    watching.abort();
    drop(clock);
}
