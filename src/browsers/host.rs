//! The host that a request names, with its port.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap};
use hyper::{Uri, http};

/// A name or an address, without brackets and the root's dot, and maybe a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    pub name: &'a str,
    pub port: Option<u16>,
}

/// All hosts that a request names: in its address, as HTTP/2 and requests to proxies do, and in the header `host`.
/// Servers differ in which of them counts, so each has to be allowed. A value that is not text is empty, and so no
/// host.
pub fn named_hosts<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> impl Iterator<Item = &'r str> {
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let headers = headers.get_all(HOST).into_iter();
    authority
        .into_iter()
        .chain(headers.map(|value| value.to_str().unwrap_or_default()))
}

impl<'a> Host<'a> {
    /// Reads `NAME[:PORT]`, where an IPv6 address is in brackets.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, rest) = rest.split_once(']')?;
                let port = match rest {
                    "" => None,
                    _ => Some(rest.strip_prefix(':')?),
                };
                (name, port)
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_name = |byte: u8| byte.is_ascii_graphic() && !b"@/\\?#[]".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let port = match port {
            // RFC 3986 allows an empty port.
            None | Some("") => None,
            Some(port) => Some(port.parse().ok()?),
        };
        Some(Self { name, port })
    }

    /// Whether it is this machine's own name or address, which no other site can have.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let address = self.name.parse::<IpAddr>();
        address.map_or_else(
            |_| self.is_named("localhost"),
            |address| address.to_canonical().is_loopback(),
        )
    }

    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_localhost_and_loopback_addresses() {
        let is_loopback = |text: &str| Host::parse(text).unwrap().is_loopback();
        for own in [
            "localhost",
            "LOCALHOST.:80",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:80",
        ] {
            assert!(is_loopback(own), "{own}");
        }
        for other in [
            "evil.example:8080",
            "10.0.0.1",
            "localhost.evil.example",
            "[2001:db8::1]",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_with_a_port() {
        for (text, expected) in [
            ("example.com", Some(("example.com", None))),
            ("example.com.:80", Some(("example.com", Some(80)))),
            ("10.0.0.1:8080", Some(("10.0.0.1", Some(8080)))),
            ("[::1]", Some(("::1", None))),
            ("[::1]:443", Some(("::1", Some(443)))),
            ("a:", Some(("a", None))),
            ("", None),
            (".", None),
            (":80", None),
            ("a:b", None),
            ("a:70000", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]80", None),
            ("user@a", None),
            ("a/b", None),
            ("a b", None),
            ("h\u{f6}st", None),
        ] {
            let host = Host::parse(text);
            assert_eq!(host.map(|host| (host.name, host.port)), expected, "{text}");
        }
    }

    #[test]
    fn each_host_that_a_request_names_counts() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, "a".parse().unwrap());
        headers.append(HOST, "b:1".parse().unwrap());
        headers.append(HOST, http::HeaderValue::from_bytes(b"\xff").unwrap());
        let named = |uri: &'static str| {
            let uri = Uri::from_static(uri);
            let hosts = named_hosts(&uri, &headers).map(str::to_owned);
            hosts.collect::<Vec<_>>()
        };
        assert_eq!(named("/path"), ["a", "b:1", ""]);
        assert_eq!(named("http://c:80/path"), ["c:80", "a", "b:1", ""]);
    }
}
