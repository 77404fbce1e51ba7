//! Accepts connections and serves each until it closes, in either protocol. One that its peer neither uses nor lets go
//! of is closed, and there are at most so many.

mod activity;
mod admission;
mod connection;
mod drain;
mod files;
mod forwarded;
mod maybe_tls;
mod places;
mod proxy_protocol;
mod record;
mod request_body;
mod requests;
mod response_body;
mod server;
mod transport;
mod trusted_proxies;

#[cfg(test)]
mod tests;

pub use admission::{ConnectionOptions, Connections, HealthOnly};
pub use request_body::RequestBody;
pub use server::{Protocol, serve};
pub use trusted_proxies::{NotAProxy, TrustedProxies};
