//! Why a handshake failed, in the few kinds that the metrics have.

use std::io::{self, ErrorKind};

use thiserror::Error;
use tokio_rustls::rustls::{Error as RustlsError, InvalidMessage};

use crate::telemetry::metrics::HandshakeFailure;

/// A handshake that failed.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct HandshakeError(#[from] io::Error);

impl HandshakeError {
    #[must_use]
    pub fn failure(&self) -> HandshakeFailure {
        let inner = self.0.get_ref();
        let Some(error) = inner.and_then(|error| error.downcast_ref::<RustlsError>()) else {
            return match self.0.kind() {
                ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe => HandshakeFailure::Closed,
                _ => HandshakeFailure::Other,
            };
        };
        match error {
            RustlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
                HandshakeFailure::NotTls
            }
            RustlsError::NoCertificatesPresented | RustlsError::InvalidCertificate(_) => {
                HandshakeFailure::ClientCertificate
            }
            RustlsError::AlertReceived(_) => HandshakeFailure::RefusedByClient,
            RustlsError::PeerIncompatible(_) | RustlsError::NoApplicationProtocol => {
                HandshakeFailure::Incompatible
            }
            _ => HandshakeFailure::Other,
        }
    }
}
