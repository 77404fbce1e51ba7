//! TLS of a running server: handshakes by the newest usable files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::error::TlsError;
use super::files::{Contents, TlsFiles};
use super::handshake::HandshakeError;
use super::server::{Alpn, Loaded};
use crate::changes::Changes;

/// The time between polls of the files. The contents are compared, so links may be swapped and clocks be wrong.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The bytes of responses that a connection holds encrypted, or about to be, besides those that the socket has taken.
const SEND_BUFFER: usize = 32 << 10;

/// TLS for all listeners. Clones share the configuration.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: TlsFiles,
    /// What the first configuration was made from.
    contents: Contents,
    /// Locked once per handshake, to copy it, and to replace it.
    current: Mutex<Arc<Loaded>>,
}

impl Tls {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// Which file can't be used, and why.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let contents = files.read()?;
        let loaded = Loaded::new(&contents, files)?;
        tell("TLS certificate loaded", files, &loaded);
        Ok(Self(Arc::new(Shared {
            files: files.clone(),
            contents,
            current: Mutex::new(Arc::new(loaded)),
        })))
    }

    /// Performs a server's handshake on a new connection.
    ///
    /// # Errors
    /// If the peer closes, or does not do as TLS and the configuration require.
    pub async fn accept<S>(&self, alpn: Alpn, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.current().config(alpn);
        let accept = TlsAcceptor::from(config).accept_with(stream, |session| {
            session.set_buffer_limit(Some(SEND_BUFFER));
        });
        Ok(accept.await?)
    }

    /// Loads the files again whenever they change, for new connections. If the new ones can't be used, the log says
    /// why, and the old configuration stays. Never returns.
    pub async fn watch(self) {
        let Shared {
            files,
            contents,
            current,
        } = &*self.0;
        let mut changes = Changes::new(Ok(contents.clone()));
        loop {
            sleep(POLL_INTERVAL).await;
            let to_read = files.clone();
            // It fails only if the runtime ends, which drops this too.
            let Ok(seen) = tokio::task::spawn_blocking(move || to_read.read()).await else {
                continue;
            };
            if !changes.settle(&seen) {
                continue;
            }
            let loaded = seen.and_then(|contents| Loaded::new(&contents, files));
            match loaded {
                Ok(loaded) => {
                    tell("TLS certificate reloaded", files, &loaded);
                    *current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
                }
                Err(error) => tracing::error!(
                    %error,
                    "changed TLS files can't be used: new connections get the certificate loaded before"
                ),
            }
        }
    }

    fn current(&self) -> Arc<Loaded> {
        let current = self.0.current.lock();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }
}

/// Logs that a certificate is in use, and until when it is valid.
fn tell(event: &'static str, files: &TlsFiles, loaded: &Loaded) {
    let certificate = files.certificate.display();
    match &loaded.expiry {
        Some(expiry) if expiry.time() < SystemTime::now() => {
            tracing::warn!(%certificate, expired = %expiry, "{event}: it has expired");
        }
        Some(expiry) => tracing::info!(%certificate, expires = %expiry, "{event}"),
        None => tracing::info!(%certificate, "{event}"),
    }
}
