//! The files that a server's TLS is made from, as the configuration names them, and their contents.

use std::path::{Path, PathBuf};

use super::error::TlsError;
use crate::files;

/// More than any chain, key or bundle of authorities has; Mozilla's list of all public ones is a quarter of it.
const MOST: u64 = 1 << 20;

/// The files that TLS needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by those of intermediate authorities.
    pub certificate: PathBuf,
    /// The key of the server's certificate.
    pub key: PathBuf,
    /// The authorities that sign the certificates of clients, which then have to show one.
    pub client_ca: Option<PathBuf>,
}

/// What the files held when they were read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    pub client_ca: Option<Vec<u8>>,
}

impl TlsFiles {
    /// Reads all files. Blocks.
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificate: read("tls_certificate", &self.certificate)?,
            key: read("tls_key", &self.key)?,
            client_ca: match &self.client_ca {
                Some(path) => Some(read("tls_client_ca", path)?),
                None => None,
            },
        })
    }
}

/// Reads a file that a setting or flag names. Blocks.
pub(super) fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    files::read(path, MOST).map_err(|error| TlsError::new(option, path, &error))
}
