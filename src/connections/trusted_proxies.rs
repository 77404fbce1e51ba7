//! The proxies that are believed when they say who their client is.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

/// Networks, and maybe Unix sockets, whose peers are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

/// A text that names no proxies.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a network; give addresses or networks such as 10.0.0.0/8, unix, or none")]
pub struct NotAProxy(pub String);

impl TrustedProxies {
    /// Whether a peer is one of them. A peer without an address is one of a Unix socket.
    #[must_use]
    pub fn trust(&self, peer: Option<IpAddr>) -> bool {
        match peer.map(|address| address.to_canonical()) {
            Some(address) => self.networks.iter().any(|net| net.contains(&address)),
            None => self.unix,
        }
    }
}

impl FromStr for TrustedProxies {
    type Err = NotAProxy;

    /// A list separated by commas: addresses, networks, `unix`. `none` is the empty list.
    fn from_str(text: &str) -> Result<Self, NotAProxy> {
        let mut proxies = Self::default();
        if text == "none" {
            return Ok(proxies);
        }
        for name in text.split(',').map(str::trim) {
            if name == "unix" {
                proxies.unix = true;
                continue;
            }
            let address = name.parse().map(|address: IpAddr| address.to_canonical());
            let network = address.map(IpNet::from).or_else(|_| name.parse());
            let network = network.map_err(|_| NotAProxy(name.to_owned()))?;
            proxies.networks.push(network);
        }
        Ok(proxies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_addresses_networks_and_unix_sockets() {
        let proxies: TrustedProxies = "10.0.0.0/8, 192.0.2.7,2001:db8::/32".parse().unwrap();
        for (address, expected) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.1.2.3", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(proxies.trust(Some(address)), expected, "{address}");
        }
        assert!(!proxies.trust(None));
        assert!("unix".parse::<TrustedProxies>().unwrap().trust(None));
        assert_eq!("none".parse(), Ok(TrustedProxies::default()));
        for wrong in ["10.0.0.0/33", "proxy", "", "10.0.0.1,,"] {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong}");
        }
    }
}
