//! What a server's handshakes need, from the contents of its files. Does no I/O.

use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ALL_VERSIONS, Error, InconsistentKeys, ServerConfig};

use super::error::TlsError;
use super::expiry::Expiry;
use super::files::{Contents, TlsFiles};
use super::pem;

/// The protocols that a listener offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2, then HTTP/1.1.
    Http,
    /// HTTP/2 only.
    Http2,
}

/// A usable configuration.
pub(super) struct Loaded {
    http: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
    /// `None` if the certificate does not tell in a way that can be read.
    pub expiry: Option<Expiry>,
}

impl Loaded {
    /// `files` name the contents in errors.
    pub fn new(contents: &Contents, files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = pem::provider();
        let of_certificate =
            |reason: String| TlsError::new("tls_certificate", &files.certificate, &reason);
        let of_key = |reason: String| TlsError::new("tls_key", &files.key, &reason);
        let chain = pem::certificates(&contents.certificate).map_err(of_certificate)?;
        let expiry = Expiry::of(&chain[0]);
        let key = pem::signing_key(&contents.key, &provider).map_err(of_key)?;
        let certified = certified(chain, key).map_err(|unusable| match unusable {
            Unusable::Certificate(error) => {
                of_certificate(format!("its first certificate can't be read: {error}"))
            }
            Unusable::Key => {
                let certificate = files.certificate.display();
                of_key(format!(
                    "the key does not belong to the certificate of `{certificate}`"
                ))
            }
        })?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(ALL_VERSIONS)
            .map_err(|error| of_certificate(error.to_string()))?;
        let builder = match (&contents.client_ca, &files.client_ca) {
            (Some(text), Some(path)) => {
                let unusable = |reason: String| TlsError::new("tls_client_ca", path, &reason);
                let roots = Arc::new(pem::roots(text).map_err(unusable)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| unusable(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut http2 = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        http2.alpn_protocols = vec![b"h2".to_vec()];
        let mut http = http2.clone();
        http.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(Self {
            http: Arc::new(http),
            http2: Arc::new(http2),
            expiry,
        })
    }

    /// Sessions are resumed within one configuration. If it is replaced, clients do full handshakes again, so none
    /// keeps a session that the new authorities would not allow.
    pub fn config(&self, alpn: Alpn) -> Arc<ServerConfig> {
        Arc::clone(match alpn {
            Alpn::Http => &self.http,
            Alpn::Http2 => &self.http2,
        })
    }
}

enum Unusable {
    Certificate(Error),
    Key,
}

/// Joins a chain and the key of its first certificate.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn tokio_rustls::rustls::sign::SigningKey>,
) -> Result<CertifiedKey, Unusable> {
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Some keys do not tell their public part.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(Unusable::Key),
        Err(error) => Err(Unusable::Certificate(error)),
    }
}
