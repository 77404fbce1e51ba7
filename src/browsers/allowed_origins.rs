//! The origins of other sites whose pages may send requests, as the setting lists them.

use std::str::FromStr;

use thiserror::Error;

/// No origins, those of a list, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    #[default]
    None,
    /// As browsers write them: in lower case, without the port that the scheme implies.
    List(Vec<String>),
    Any,
}

/// A text that names no origins.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not an origin; give SCHEME://HOST[:PORT] as browsers send it, such as https://app.example.com, or * for \
     all, or none"
)]
pub struct NotAnOrigin(pub String);

impl AllowedOrigins {
    /// Whether pages of an origin, as the header `origin` has it, may send requests.
    #[must_use]
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::None => false,
            Self::List(origins) => origins.iter().any(|allowed| allowed == origin),
            Self::Any => true,
        }
    }
}

impl FromStr for AllowedOrigins {
    type Err = NotAnOrigin;

    /// A list separated by commas, `*` or `none`.
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        match text {
            "none" => Ok(Self::None),
            "*" => Ok(Self::Any),
            _ => {
                let origins = text.split(',').map(|origin| origin_of(origin.trim()));
                Ok(Self::List(origins.collect::<Result<_, _>>()?))
            }
        }
    }
}

/// An origin as browsers write it.
fn origin_of(text: &str) -> Result<String, NotAnOrigin> {
    let origin = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let implied = match origin.split_once("://") {
        Some(("http", _)) => ":80",
        Some(("https", _)) => ":443",
        // Extensions and apps have schemes of their own.
        Some((scheme, _)) if !scheme.is_empty() => "\0",
        _ => return Err(NotAnOrigin(text.to_owned())),
    };
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    if super::host::Host::parse(host).is_none() || host.contains('*') {
        return Err(NotAnOrigin(text.to_owned()));
    }
    Ok(origin.strip_suffix(implied).unwrap_or(&origin).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_of_the_list_are_allowed() {
        for (list, origin, expected) in [
            ("none", "https://a.example", false),
            ("*", "https://a.example", true),
            ("*", "null", true),
            ("https://a.example", "https://a.example", true),
            ("https://A.Example:443/", "https://a.example", true),
            ("http://a:80", "http://a", true),
            ("http://a:443", "http://a:443", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example", "https://a.example.evil.example", false),
            ("https://a.example", "null", false),
            ("http://localhost:3000, http://b", "http://b", true),
            ("chrome-extension://abc", "chrome-extension://abc", true),
            ("http://[::1]:3000", "http://[::1]:3000", true),
        ] {
            let origins: AllowedOrigins = list.parse().unwrap();
            assert_eq!(origins.allow(origin), expected, "{list}: {origin}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_by_name() {
        for wrong in [
            "",
            "a.example",
            "https://",
            "://a",
            "https://a/path",
            "https://*.a.example",
            "null",
            "https://a,*",
            "https://user@a",
        ] {
            let error = wrong.parse::<AllowedOrigins>().unwrap_err();
            assert!(wrong.contains(&error.0), "{error}");
        }
    }
}
