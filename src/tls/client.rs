//! TLS of a client, for probes of a server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, StreamOwned};

use super::error::TlsError;
use super::files::read;
use super::pem;

/// The files that a client names, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsClientFiles {
    /// The authorities that may have signed the server's certificate.
    pub ca: PathBuf,
    /// The client's certificate and its key, if the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why a client can't begin.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    File(#[from] TlsError),
    #[error("`{0}` is neither a host's name nor an address.")]
    Name(String),
    #[error("TLS can't be used: {0}.")]
    Tls(#[from] tokio_rustls::rustls::Error),
}

/// A connection to the server of this name or address. The handshake is done with the first write, whose error says
/// why the server is not trusted.
///
/// # Errors
/// Which file or name can't be used, and why.
pub fn connect(
    files: &TlsClientFiles,
    name: &str,
    stream: TcpStream,
) -> Result<impl Read + Write, ClientError> {
    let server =
        ServerName::try_from(name.to_owned()).map_err(|_| ClientError::Name(name.to_owned()))?;
    let ca = read("--ca", &files.ca)?;
    let roots = pem::roots(&ca).map_err(|reason| TlsError::new("--ca", &files.ca, &reason))?;
    let builder = ClientConfig::builder_with_provider(pem::provider())
        .with_protocol_versions(ALL_VERSIONS)?
        .with_root_certificates(roots);
    let config = match &files.identity {
        Some((certificate, key)) => {
            let chain = pem::certificates(&read("--cert", certificate)?)
                .map_err(|reason| TlsError::new("--cert", certificate, &reason))?;
            let der = pem::key(&read("--key", key)?)
                .map_err(|reason| TlsError::new("--key", key, &reason))?;
            builder
                .with_client_auth_cert(chain, der)
                .map_err(|error| TlsError::new("--key", key, &error))?
        }
        None => builder.with_no_client_auth(),
    };
    let connection = ClientConnection::new(Arc::new(config), server)?;
    Ok(StreamOwned::new(connection, stream))
}
