//! Who sent a request: a key, else an address. Clients share a device fairly, whatever the number and size of their requests.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::http::Extensions;

/// The sender of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// This process: the command line and the benchmark.
    #[default]
    Local,
    /// Whoever holds a key of one name.
    Key(KeyId),
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address, with the others zero. A host or a site usually has all the rest, so it
    /// would otherwise be as many clients as it likes.
    V6Network(Ipv6Addr),
}

/// Where a request came from, as its connection tells.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    pub client: Client,
    /// Whether it is on this machine, and speaks for nobody else.
    pub is_local: bool,
}

impl Sender {
    /// That of a request with these extensions. A request of no connection is this process's.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }
}

impl Default for Sender {
    /// This process.
    fn default() -> Self {
        Self {
            client: Client::Local,
            is_local: true,
        }
    }
}

/// Identifies the name of a key. Never reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u32);

impl KeyId {
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => formatter.write_str("this process"),
            Self::Key(KeyId(number)) => write!(formatter, "key {number}"),
            Self::V4(address) => address.fmt(formatter),
            Self::V6Network(address) => write!(formatter, "{address}/64"),
        }
    }
}

impl From<SocketAddr> for Client {
    fn from(address: SocketAddr) -> Self {
        address.ip().into()
    }
}

impl From<IpAddr> for Client {
    /// An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
    fn from(address: IpAddr) -> Self {
        const NETWORK: u128 = !0 << 64;
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                Self::V6Network(Ipv6Addr::from_bits(address.to_bits() & NETWORK))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network_of_ipv6() {
        let client = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        let same = [
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2:ffff::"),
        ];
        for (one, other) in same {
            assert_eq!(client(one), client(other));
        }
        for (one, other) in [
            ("192.0.2.1", "192.0.2.2"),
            ("2001:db8:1:2::", "2001:db8:1:3::"),
        ] {
            assert_ne!(client(one), client(other));
        }
    }
}
