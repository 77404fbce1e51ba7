//! Hub names of two parts in paths: `/models/ORG/NAME` means `/models/ORG%2FNAME`.

use axum::http::uri::PathAndQuery;
use axum::http::{Request, Uri};

use super::HttpState;

/// Path prefixes that a model's name follows.
const PREFIXES: [&str; 3] = ["/models/", "/v2/models/", "/v2/repository/models/"];

/// Path segments that may follow a model's name.
const FOLLOWING: [&str; 9] = [
    "config", "health", "info", "infer", "load", "ready", "stats", "unload", "versions",
];

/// Joins a two-part name into one path segment, if a model has that name or the path has no other meaning. The router
/// and its errors then treat it like any other name.
pub fn joined<B>(state: &HttpState, mut request: Request<B>) -> Request<B> {
    let registry = state.service.registry();
    let is_model = |name: &str| registry.find(name).is_some();
    if let Some(uri) = joined_uri(request.uri(), is_model) {
        *request.uri_mut() = uri;
    }
    request
}

fn joined_uri(uri: &Uri, is_model: impl Fn(&str) -> bool) -> Option<Uri> {
    let path = joined_path(uri.path(), is_model)?;
    let path = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path).ok()?);
    Uri::from_parts(parts).ok()
}

fn joined_path(path: &str, is_model: impl Fn(&str) -> bool) -> Option<String> {
    let mut prefixes = PREFIXES.iter();
    let (prefix, rest) = prefixes.find_map(|prefix| Some((prefix, path.strip_prefix(prefix)?)))?;
    let (organization, after) = rest.split_once('/')?;
    let (name, tail) = after.split_at(after.find('/').unwrap_or(after.len()));
    // Most paths are one model's name and one of these segments; a single look-up settles them.
    let follows = FOLLOWING.contains(&name);
    if follows && is_model(organization) {
        return None;
    }
    let both = &rest[..rest.len() - tail.len()];
    // If the first part is a model, the rest is a misspelt route: the error is then about the route.
    let is_name = is_model(both) || !(follows || is_model(organization));
    (!name.is_empty() && is_name).then(|| format!("{prefix}{organization}%2F{name}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_model_becomes_one_segment() {
        let is_model = |name: &str| ["org/name", "org/name@2", "qa", "qa/info"].contains(&name);
        for (uri, expected) in [
            ("/models/org/name", Some("/models/org%2Fname")),
            ("/models/org/name@2", Some("/models/org%2Fname@2")),
            ("/models/org/name/", Some("/models/org%2Fname/")),
            (
                "/models/org/name/health?a=b",
                Some("/models/org%2Fname/health?a=b"),
            ),
            (
                "/v2/models/org/name/versions/1/infer",
                Some("/v2/models/org%2Fname/versions/1/infer"),
            ),
            (
                "/v2/repository/models/org/name/load",
                Some("/v2/repository/models/org%2Fname/load"),
            ),
            (
                "http://host/models/org/name",
                Some("http://host/models/org%2Fname"),
            ),
            ("/models/org/other", Some("/models/org%2Fother")),
            (
                "/v2/models/org/other/infer",
                Some("/v2/models/org%2Fother/infer"),
            ),
            ("/models/other/health", None),
            ("/v2/models/other/versions/1/infer", None),
            ("/models/qa/helth", None),
            ("/models/qa/info", None),
            ("/models/org%2Fname", None),
            ("/models/org", None),
            ("/models/org/", None),
            ("/v2/models/stats", None),
            ("/other/org/name", None),
            ("*", None),
        ] {
            let found = joined_uri(&uri.parse().unwrap(), is_model);
            assert_eq!(
                found.map(|uri| uri.to_string()).as_deref(),
                expected,
                "{uri}"
            );
        }
    }
}
