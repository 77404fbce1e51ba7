//! The client of a request that came through trusted proxies, from `Forwarded` (RFC 7239) or `X-Forwarded-For`.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{FORWARDED, HeaderMap, HeaderName};

use super::trusted_proxies::TrustedProxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The rightmost address that is not a trusted proxy's: each proxy appends its peer, and what is left of the first one
/// that is not trusted is that one's word. If all are trusted, the leftmost.
///
/// `None` if there is none or it can't be read, and if the two headers differ: a proxy that writes one of them may pass
/// on the other one as its client wrote it.
pub fn client(headers: &HeaderMap, trusted: &TrustedProxies) -> Option<IpAddr> {
    let forwarded = furthest(headers, &FORWARDED, trusted, of_element).ok()?;
    let x_forwarded_for = furthest(headers, &X_FORWARDED_FOR, trusted, address).ok()?;
    match (forwarded, x_forwarded_for) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => one.or(other),
    }
}

/// Whether a request says that somebody else sent it.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED) || headers.contains_key(&X_FORWARDED_FOR)
}

/// An element that decides tells no address.
struct Unreadable;

/// `None` without such a header.
fn furthest(
    headers: &HeaderMap,
    name: &HeaderName,
    trusted: &TrustedProxies,
    read: impl Fn(&str) -> Option<IpAddr>,
) -> Result<Option<IpAddr>, Unreadable> {
    let mut furthest = None;
    // From the right: what a client wrote, whatever it is, is left of what the proxies added.
    for line in headers.get_all(name).iter().rev() {
        for element in line.as_bytes().rsplit(|byte| *byte == b',') {
            let element = str::from_utf8(element).map_err(|_| Unreadable)?;
            let address = read(element.trim()).ok_or(Unreadable)?;
            if !trusted.trust(Some(address)) {
                return Ok(Some(address));
            }
            furthest = Some(address);
        }
    }
    Ok(furthest)
}

/// The address of `for=192.0.2.60;proto=http;by=203.0.113.43`.
fn of_element(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let node = node.trim();
    let quoted = node
        .strip_prefix('"')
        .and_then(|node| node.strip_suffix('"'));
    address(quoted.unwrap_or(node))
}

/// An address, with or without a port or brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bracketed.unwrap_or(text).parse().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn found(lines: &[(&HeaderName, &str)]) -> Option<String> {
        let value = |line: &str| HeaderValue::from_bytes(line.as_bytes()).unwrap();
        let lines = lines.iter();
        let headers = lines.map(|(name, line)| ((*name).clone(), value(line)));
        let trusted = "10.0.0.0/8,2001:db8::/32".parse().unwrap();
        client(&headers.collect(), &trusted).map(|address| address.to_string())
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        for (line, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("198.51.100.9, 192.0.2.1, 10.0.0.1", Some("192.0.2.1")),
            ("garbage, 192.0.2.1", Some("192.0.2.1")),
            ("gärbage, 192.0.2.1", Some("192.0.2.1")),
            ("10.0.0.2, 10.0.0.1", Some("10.0.0.2")),
            ("192.0.2.1:4711", Some("192.0.2.1")),
            ("[2001:db9::1]:4711", Some("2001:db9::1")),
            ("2001:db9::1", Some("2001:db9::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1, garbage", None),
            ("192.0.2.1, garbage, 10.0.0.1", None),
            ("192.0.2.1,", None),
            ("", None),
        ] {
            let found = found(&[(&X_FORWARDED_FOR, line)]);
            assert_eq!(found.as_deref(), expected, "{line}");
        }
        for (line, expected) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            (r#"For="[2001:db9::1]:4711""#, Some("2001:db9::1")),
            ("for=192.0.2.1;proto=http;by=10.0.0.3", Some("192.0.2.1")),
            ("proto=http; for=192.0.2.1, for=10.0.0.1", Some("192.0.2.1")),
            (r#"for=", for=192.0.2.1"#, Some("192.0.2.1")),
            ("for=192.0.2.1, for=unknown", None),
            ("for=192.0.2.1, for=_hidden, for=10.0.0.1", None),
            ("proto=http", None),
        ] {
            let found = found(&[(&FORWARDED, line)]);
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn later_lines_are_further_right_and_headers_must_agree() {
        let lines = [
            (&X_FORWARDED_FOR, "198.51.100.9"),
            (&X_FORWARDED_FOR, "192.0.2.1"),
        ];
        assert_eq!(found(&lines).as_deref(), Some("192.0.2.1"));
        let agreed = [
            (&X_FORWARDED_FOR, "192.0.2.1"),
            (&FORWARDED, "for=192.0.2.1"),
        ];
        assert_eq!(found(&agreed).as_deref(), Some("192.0.2.1"));
        let forged = [
            (&X_FORWARDED_FOR, "192.0.2.1"),
            (&FORWARDED, "for=192.0.2.2"),
        ];
        assert_eq!(found(&forged), None);
        assert_eq!(found(&[]), None);
    }

    proptest! {
        #[test]
        fn what_a_client_writes_does_not_change_what_its_proxy_adds(written in "[ -~]{0,40}") {
            let line = format!("{written}, 192.0.2.1");
            prop_assert_eq!(found(&[(&X_FORWARDED_FOR, &line)]).unwrap(), "192.0.2.1");
            let line = format!("{written}, for=192.0.2.1");
            prop_assert_eq!(found(&[(&FORWARDED, &line)]).unwrap(), "192.0.2.1");
        }
    }
}
