//! Certificates and keys in PEM, for servers and clients. Takes bytes, and returns reasons rather than file names.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::SigningKey;
use tokio_rustls::rustls::{RootCertStore, crypto};

/// The label of keys that need a passphrase, which nobody could type.
const ENCRYPTED: &[u8] = b"ENCRYPTED PRIVATE KEY";
/// The same in the older format: a header below the label of the key.
const ENCRYPTED_HEADER: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// The only provider of cryptography, which is never chosen by what the process has installed.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

/// All certificates, in order. There is at least one.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = certificates.map_err(malformed)?;
    if certificates.is_empty() {
        return Err("it has no certificate in PEM".to_owned());
    }
    Ok(certificates)
}

/// Authorities to trust. There is at least one.
pub fn roots(text: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(text)? {
        roots
            .add(certificate)
            .map_err(|error| format!("one of its certificates can't be used: {error}"))?;
    }
    Ok(roots)
}

/// The first key, in PKCS#8, PKCS#1 or SEC1.
pub fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let has = |wanted: &[u8]| text.windows(wanted.len()).any(|part| part == wanted);
    if has(ENCRYPTED) || has(ENCRYPTED_HEADER) {
        return Err("the key is encrypted; remove its passphrase".to_owned());
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => "it has no private key in PEM".to_owned(),
        error => malformed(error),
    })
}

/// The first key, ready to sign.
pub fn signing_key(text: &[u8], provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, String> {
    provider
        .key_provider
        .load_private_key(key(text)?)
        .map_err(|error| format!("its key is of no kind that can be used here: {error}"))
}

fn malformed(error: impl std::fmt::Display) -> String {
    format!("it is not PEM: {error}")
}
