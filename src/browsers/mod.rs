//! Which requests of web pages are taken: the hosts and origins that they may name. Pure.

mod allowed_hosts;
mod allowed_origins;
mod cross_site;
mod host;

pub use allowed_hosts::{AllowedHosts, NotAHost};
pub use allowed_origins::{AllowedOrigins, NotAnOrigin};
pub use cross_site::Provenance;
pub use host::{Host, named_hosts};

/// What the configuration says about browsers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrowserPolicy {
    pub allowed_hosts: AllowedHosts,
    pub cors_allow_origins: AllowedOrigins,
}
