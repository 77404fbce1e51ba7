//! TLS: from the files of the configuration to handshakes, and again when the files change.

mod acceptor;
mod client;
mod error;
mod expiry;
mod files;
mod handshake;
mod pem;
mod server;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use acceptor::Tls;
pub use client::{ClientError, TlsClientFiles, connect};
pub use error::TlsError;
pub use files::TlsFiles;
pub use handshake::HandshakeError;
pub use server::Alpn;
pub use tokio_rustls::server::TlsStream;
