//! The hosts that a server answers for, as its setting lists them.
//!
//! A page whose name its owner points at this server's address (DNS rebinding) is of the same origin for a browser. Only
//! the host that it names gives it away.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use super::host::Host;

/// Any host, or those of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Option<Vec<Entry>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    names: Names,
    /// Any port if `None`.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    One(String),
    /// All names below a domain, which has its leading dot.
    Below(String),
    Network(IpNet),
}

/// A text that names no hosts.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a host; give names such as electra.example.com or *.example.com, each with a port or without, \
     addresses, networks such as 10.0.0.0/8, or none"
)]
pub struct NotAHost(pub String);

impl AllowedHosts {
    /// Whether all hosts that a request names are allowed. A request that names none is refused if there is a list.
    pub fn allow<'r>(&self, named: impl IntoIterator<Item = &'r str>) -> bool {
        let Some(entries) = &self.0 else {
            return true;
        };
        let is_allowed = |host: &str| {
            Host::parse(host).is_some_and(|host| entries.iter().any(|entry| entry.holds(&host)))
        };
        let mut named = named.into_iter().peekable();
        named.peek().is_some() && named.all(is_allowed)
    }
}

impl Entry {
    fn holds(&self, host: &Host<'_>) -> bool {
        if self.port.is_some() && self.port != host.port {
            return false;
        }
        match &self.names {
            Names::One(name) => host.is_named(name),
            Names::Below(domain) => {
                let start = host.name.len().checked_sub(domain.len());
                start.is_some_and(|start| {
                    start > 0
                        && host
                            .name
                            .get(start..)
                            .is_some_and(|end| end.eq_ignore_ascii_case(domain))
                })
            }
            Names::Network(network) => {
                let address = host.name.parse::<IpAddr>();
                address.is_ok_and(|address| network.contains(&address.to_canonical()))
            }
        }
    }
}

impl FromStr for AllowedHosts {
    type Err = NotAHost;

    /// A list separated by commas. `none` means that there is no list.
    fn from_str(text: &str) -> Result<Self, NotAHost> {
        if text == "none" {
            return Ok(Self(None));
        }
        let entries = text.split(',').map(|entry| entry.trim().parse());
        Ok(Self(Some(entries.collect::<Result<_, _>>()?)))
    }
}

impl FromStr for Entry {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let wrong = || NotAHost(text.to_owned());
        let network = |network| Entry {
            names: Names::Network(network),
            port: None,
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(network(address.to_canonical().into()));
        }
        if let Ok(found) = text.parse() {
            return Ok(network(found));
        }
        let (below, host) = match text.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, text),
        };
        let Host { name, port } = Host::parse(host).ok_or_else(wrong)?;
        let names = match name.parse::<IpAddr>() {
            _ if name.contains('*') => return Err(wrong()),
            Ok(_) if below => return Err(wrong()),
            Ok(address) => Names::Network(address.to_canonical().into()),
            Err(_) if below => Names::Below(format!(".{name}")),
            Err(_) => Names::One(name.to_owned()),
        };
        Ok(Entry { names, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(list: &str, named: &[&str]) -> bool {
        let hosts = list.parse::<AllowedHosts>().unwrap();
        hosts.allow(named.iter().copied())
    }

    #[test]
    fn hosts_of_the_list_are_allowed_on_any_port_unless_it_names_one() {
        for (list, host, expected) in [
            ("none", "anything", true),
            ("a.example", "a.example", true),
            ("a.example", "A.Example.:8080", true),
            ("a.example", "b.a.example", false),
            ("a.example", "xa.example", false),
            ("a.example:8080", "a.example:8080", true),
            ("a.example:8080", "a.example", false),
            ("a.example:8080", "a.example:80", false),
            ("*.a.example", "b.a.example:1", true),
            ("*.a.example", "c.B.A.example", true),
            ("*.a.example", "a.example", false),
            ("*.a.example", ".a.example", false),
            ("*.a.example", "xa.example", false),
            ("*.a.example", "\u{f6}a.example", false),
            ("10.0.0.0/8", "10.1.2.3:8080", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "10.evil.example", false),
            ("127.0.0.1", "127.0.0.1:9", true),
            ("127.0.0.1:8", "127.0.0.1:9", false),
            ("::1", "[::1]:9", true),
            ("[::1]:9", "[::1]:9", true),
            ("a, b ,c", "c", true),
            ("a,b", "c", false),
            ("a", "user@a", false),
            ("a", "", false),
        ] {
            assert_eq!(allow(list, &[host]), expected, "{list}: {host}");
        }
    }

    #[test]
    fn every_host_that_a_request_names_must_be_allowed() {
        assert!(allow("a,b", &["a", "b:1"]));
        assert!(!allow("a", &["a", "b"]));
        assert!(!allow("a", &["b", "a"]));
        assert!(!allow("a", &[]));
        assert!(allow("none", &[]));
    }

    #[test]
    fn what_is_no_host_is_refused_by_name() {
        for wrong in [
            "",
            "*",
            "a.*.b",
            "a,,b",
            "https://a",
            "*.10.0.0.1",
            "a b",
            "a:b",
        ] {
            let error = wrong.parse::<AllowedHosts>().unwrap_err();
            assert!(wrong.contains(&error.0), "{error}");
        }
    }
}
