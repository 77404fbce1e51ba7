//! Whether a request comes from a page of another site that may not send it.
//!
//! Browsers say where a request comes from in `sec-fetch-site` (Fetch Metadata), but only to HTTPS and to this machine;
//! for other requests that are not a plain GET they send `origin`. Other clients send neither, and pages can set neither.

use super::allowed_origins::AllowedOrigins;
use super::host::Host;

/// What a request says about where it comes from. A header that is not text is the empty string.
#[derive(Clone, Copy, Debug, Default)]
pub struct Provenance<'r> {
    pub is_get: bool,
    /// The host that the request names.
    pub host: Option<&'r str>,
    pub origin: Option<&'r str>,
    /// `sec-fetch-site`
    pub site: Option<&'r str>,
    /// `sec-fetch-mode`
    pub mode: Option<&'r str>,
    /// `sec-fetch-dest`
    pub destination: Option<&'r str>,
}

impl Provenance<'_> {
    /// Whether a page of another site sends the request, and its origin is not in `allowed`.
    #[must_use]
    pub fn is_refused(&self, allowed: &AllowedOrigins) -> bool {
        let is_foreign = match self.site {
            Some("same-origin" | "none") => false,
            Some("same-site" | "cross-site") => true,
            _ => self.origin.is_some_and(|origin| !self.is_own(origin)),
        };
        if !is_foreign {
            return false;
        }
        if self.mode == Some("navigate") {
            // A link may lead here. A form may not: it sends without asking first, and nobody reads the answer.
            return !(self.is_get && self.destination.is_none_or(|kind| kind == "document"));
        }
        match self.origin {
            Some(origin) => !allowed.allow(origin),
            // Of an image or a script, the origin is not said.
            None => *allowed != AllowedOrigins::Any,
        }
    }

    /// Whether an origin is the one that the request goes to. Whether by TLS is not compared, because a proxy may have
    /// ended it.
    fn is_own(&self, origin: &str) -> bool {
        let (implied, named) = match origin.split_once("://") {
            Some(("http", named)) => (80, named),
            Some(("https", named)) => (443, named),
            _ => return false,
        };
        let hosts = Host::parse(named).zip(self.host.and_then(Host::parse));
        hosts.is_some_and(|(theirs, ours)| {
            theirs.is_named(ours.name)
                && theirs.port.unwrap_or(implied) == ours.port.unwrap_or(implied)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "https://app.example";

    fn post() -> Provenance<'static> {
        Provenance {
            host: Some("electra.example:8080"),
            ..Provenance::default()
        }
    }

    fn get() -> Provenance<'static> {
        Provenance {
            is_get: true,
            ..post()
        }
    }

    fn check(refused: bool, what: &str, provenance: Provenance<'_>) {
        let allowed = LISTED.parse().unwrap();
        assert_eq!(provenance.is_refused(&allowed), refused, "{what}");
    }

    #[test]
    fn clients_that_say_nothing_are_taken() {
        check(false, "curl", post());
        check(false, "curl", get());
    }

    #[test]
    fn browsers_that_name_the_site_are_believed() {
        let from = |site: &'static str, origin: Option<&'static str>| Provenance {
            site: Some(site),
            mode: Some("cors"),
            origin,
            ..post()
        };
        let evil = Some("https://evil.example");
        check(false, "own page", from("same-origin", evil));
        check(false, "user", from("none", None));
        check(true, "another site", from("cross-site", evil));
        check(true, "another site", from("cross-site", None));
        check(true, "sandboxed", from("cross-site", Some("null")));
        check(true, "a sister", from("same-site", evil));
        check(false, "listed", from("cross-site", Some(LISTED)));
        check(false, "listed", from("same-site", Some(LISTED)));
        // What the server does not know is as if it were not there.
        check(true, "unknown", from("", evil));
        check(false, "unknown", from("far-away", None));
        // An image says no origin.
        let image = Provenance {
            is_get: true,
            mode: Some("no-cors"),
            ..from("cross-site", None)
        };
        check(true, "an image", image);
        assert!(!image.is_refused(&AllowedOrigins::Any));
    }

    #[test]
    fn links_may_lead_here_and_forms_may_not() {
        let navigation = |is_get, destination| Provenance {
            is_get,
            site: Some("cross-site"),
            mode: Some("navigate"),
            destination,
            ..post()
        };
        check(false, "a link", navigation(true, Some("document")));
        check(false, "a link", navigation(true, None));
        check(true, "a frame", navigation(true, Some("iframe")));
        check(true, "a form", navigation(false, Some("document")));
        // Not even one of a listed origin.
        let listed = Provenance {
            origin: Some(LISTED),
            ..navigation(false, Some("document"))
        };
        check(true, "a listed form", listed);
        assert!(listed.is_refused(&AllowedOrigins::Any));
    }

    #[test]
    fn without_the_site_the_origin_decides() {
        for (host, origin, refused) in [
            ("electra.example:8080", "http://electra.example:8080", false),
            ("electra.example:8080", "http://Electra.Example:8080", false),
            ("electra.example", "https://electra.example", false),
            ("electra.example", "http://electra.example", false),
            ("electra.example:443", "https://electra.example", false),
            ("electra.example:80", "https://electra.example", true),
            ("[::1]:8080", "http://[::1]:8080", false),
            ("electra.example:8080", "http://electra.example:3000", true),
            ("electra.example:8080", "http://electra.example", true),
            (
                "electra.example",
                "https://electra.example.evil.example",
                true,
            ),
            ("electra.example", "https://evil.example", true),
            ("electra.example", LISTED, false),
            ("electra.example", "null", true),
            ("electra.example", "", true),
            ("electra.example", "ftp://electra.example", true),
            ("", "https://electra.example", true),
        ] {
            let sent = Provenance {
                host: Some(host),
                origin: Some(origin),
                ..post()
            };
            check(refused, &format!("{origin} to {host}"), sent);
        }
        let nowhere = Provenance {
            host: None,
            origin: Some("https://a"),
            ..post()
        };
        check(true, "no host", nowhere);
    }
}
