//! The parts of URLs that redirects need: origins, and resolving `Location`.

use std::fmt;

/// Scheme, host and port. A token is sent to one origin only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlOrigin(String);

impl UrlOrigin {
    /// An address's origin, in lower case and without the scheme's default port.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let after_scheme = url.find("://").map_or(0, |at| at + 3);
        let (scheme, rest) = url.split_at_checked(after_scheme).unwrap_or(("", url));
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match scheme {
            "https://" => host.strip_suffix(":443").unwrap_or(host),
            "http://" => host.strip_suffix(":80").unwrap_or(host),
            _ => host,
        };
        Self(format!("{scheme}{host}").to_ascii_lowercase())
    }
}

impl fmt::Display for UrlOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Resolves a `Location` header against an address. `None` if the result is not an http or https address.
#[must_use]
pub fn joined(url: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    let scheme_end = url.find("://")?;
    if location.starts_with("//") {
        return Some(format!("{}:{location}", url.get(..scheme_end)?));
    }
    let is_elsewhere = location
        .split(['/', '?'])
        .next()
        .is_some_and(|first| first.contains(':'));
    if location.is_empty() || is_elsewhere {
        return None;
    }
    let host_start = scheme_end + 3;
    let path_start = url
        .get(host_start..)?
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| host_start + at);
    let origin = url.get(..path_start)?;
    if location.starts_with('/') {
        return Some(format!("{origin}{location}"));
    }
    let path = url
        .get(path_start..)?
        .split(['?', '#'])
        .next()
        .unwrap_or_default();
    let folder = path
        .rfind('/')
        .and_then(|at| path.get(..=at))
        .unwrap_or("/");
    Some(format!("{origin}{folder}{location}"))
}

/// Percent-encodes a text as one segment of a path: everything except unreserved characters, slashes included.
///
/// `hf-hub` offers its repository addresses only along with its transfers, and in a revision it encodes only slashes.
#[must_use]
pub fn quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(quoted, "%{byte:02X}");
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_without_default_ports_and_case() {
        let same = |left: &str, right: &str| UrlOrigin::of(left) == UrlOrigin::of(right);
        assert!(same("https://Hub.co/a/b", "https://hub.co:443?x"));
        assert!(same("http://hub.co:80", "http://hub.co/"));
        assert!(!same("https://hub.co", "http://hub.co"));
        assert!(!same("https://hub.co", "https://hub.co:8443"));
        assert!(!same("https://hub.co", "https://hub.co.evil.com"));
        assert!(!same("https://hub.co", "https://hub.co@evil.com"));
    }

    #[test]
    fn locations_lead_from_where_they_were_found() {
        let from = "https://hub.co/a/resolve/main/f.bin?download=1";
        for (location, expected) in [
            (
                "https://cdn.co/x?sig=1#part",
                Some("https://cdn.co/x?sig=1"),
            ),
            ("//cdn.co/x", Some("https://cdn.co/x")),
            ("/api/x?y", Some("https://hub.co/api/x?y")),
            ("g.bin", Some("https://hub.co/a/resolve/main/g.bin")),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(joined(from, location).as_deref(), expected, "{location}");
        }
        assert_eq!(
            joined("http://hub.co", "x").as_deref(),
            Some("http://hub.co/x")
        );
    }

    #[test]
    fn a_segment_of_a_path_holds_no_slash() {
        assert_eq!(quoted("refs/pr/1 ü"), "refs%2Fpr%2F1%20%C3%BC");
        assert_eq!(
            quoted("model-00001-of-00002.safetensors"),
            "model-00001-of-00002.safetensors"
        );
    }
}
