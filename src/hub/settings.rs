//! The hub's settings, from the environment variables of Python's `huggingface_hub`.

use std::fmt;
use std::path::{Path, PathBuf};

use hf_hub::Cache;

use super::HubError;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

#[derive(Clone, Debug)]
pub struct HubSettings {
    /// The hub's base address, without a trailing slash.
    pub endpoint: String,
    pub token: Option<Token>,
    /// The file where a login stores its token. Error messages name it.
    pub token_file: PathBuf,
    /// The folder that holds the `models--org--name` folders.
    pub cache: PathBuf,
    /// Whether only the cache may be used.
    pub offline: bool,
    /// A file of certificates to trust in place of the built-in ones.
    pub certificates: Option<PathBuf>,
}

/// A secret. Its `Debug` output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Trims the text. `None` if nothing is left.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl HubSettings {
    /// Reads the environment through the given look-up. If the environment holds no token, reads the token's file.
    ///
    /// `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HOME`, `HF_HUB_CACHE`,
    /// `HF_HUB_OFFLINE`, their older spellings, and `SSL_CERT_FILE` (or `REQUESTS_CA_BUNDLE`). A variable that is set
    /// but empty counts as not set.
    ///
    /// # Errors
    /// If the endpoint is not a valid address, or there is neither a home folder nor a variable in its place.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, HubError> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| given(name));
        let is_on = |names: &[&str]| {
            first(names).is_some_and(|value| {
                matches!(
                    value.trim().to_ascii_uppercase().as_str(),
                    "1" | "ON" | "YES" | "TRUE"
                )
            })
        };
        let user = given("HOME").or_else(|| given("USERPROFILE"));
        let path = |text: String| match (text.strip_prefix("~/"), &user) {
            (Some(rest), Some(user)) => Path::new(user).join(rest),
            _ => PathBuf::from(text),
        };
        // `Cache::from_env` reads HF_HOME only, accepts it even if empty, and panics without a home folder.
        let home = given("HF_HOME").map(path).or_else(|| {
            let cache = given("XDG_CACHE_HOME").map(path);
            let cache = cache.or_else(|| Some(Path::new(user.as_ref()?).join(".cache")));
            Some(cache?.join("huggingface"))
        });
        let usual = home.map(|home| Cache::new(home.join("hub")));
        let cache = first(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).map(path);
        let cache = cache.or_else(|| Some(usual.as_ref()?.path().clone()));
        // If only the cache is moved, the token stays in the home folder. The crate looks for it beside the cache
        // instead.
        let named_token = given("HF_TOKEN_PATH").map(path);
        let token = first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
            .or_else(|| match &named_token {
                _ if is_on(&["HF_HUB_DISABLE_IMPLICIT_TOKEN"]) => None,
                Some(file) => std::fs::read_to_string(file).ok(),
                None => usual.as_ref()?.token(),
            })
            .and_then(|text| Token::new(&text));
        let token_file = named_token.or_else(|| Some(usual.as_ref()?.token_path()));
        Ok(Self {
            endpoint: endpoint(given("HF_ENDPOINT"))?,
            token,
            token_file: token_file.unwrap_or_default(),
            cache: cache.ok_or(HubError::NoHome)?,
            offline: is_on(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]),
            certificates: first(&["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"]).map(path),
        })
    }
}

fn endpoint(given: Option<String>) -> Result<String, HubError> {
    let Some(given) = given else {
        return Ok(DEFAULT_ENDPOINT.to_owned());
    };
    let address = given.trim().trim_end_matches('/');
    let host = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['?', '#', '@', ' ']) => {
            Ok(address.to_owned())
        }
        _ => Err(HubError::Environment {
            variable: "HF_ENDPOINT",
            value: given,
            reason: format!("give an address such as {DEFAULT_ENDPOINT}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Result<HubSettings, HubError> {
        HubSettings::from_environment(|name| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        for (environment, cache) in [
            (vec![("HOME", "/h")], "/h/.cache/huggingface/hub"),
            (
                vec![("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                "/x/huggingface/hub",
            ),
            (vec![("HOME", "/h"), ("HF_HOME", "/f")], "/f/hub"),
            (vec![("HOME", "/h"), ("HF_HOME", "~/f")], "/h/f/hub"),
            (
                vec![("HF_HOME", "/f"), ("HUGGINGFACE_HUB_CACHE", "/c")],
                "/c",
            ),
            (
                vec![("HUGGINGFACE_HUB_CACHE", "/c"), ("HF_HUB_CACHE", "/d")],
                "/d",
            ),
        ] {
            assert_eq!(
                settings(&environment).unwrap().cache,
                Path::new(cache),
                "{environment:?}"
            );
        }
        assert!(matches!(settings(&[]), Err(HubError::NoHome)));
    }

    #[test]
    fn a_token_is_taken_from_the_environment_or_a_login() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "from-login\n").unwrap();
        let home = home.path().to_str().unwrap();
        let token = |more: &[(&str, &str)]| {
            settings(&[&[("HF_HOME", home)], more].concat())
                .unwrap()
                .token
        };
        assert_eq!(token(&[]), Token::new("from-login"));
        assert_eq!(token(&[("HF_TOKEN", "mine")]), Token::new("mine"));
        assert_eq!(token(&[("HF_TOKEN", " ")]), Token::new("from-login"));
        assert_eq!(token(&[("HF_HUB_CACHE", "/c")]), Token::new("from-login"));
        assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        assert_eq!(token(&[("HF_TOKEN_PATH", "/no/such/file")]), None);
        assert!(!format!("{:?}", token(&[])).contains("login"));
    }

    #[test]
    fn offline_and_endpoint_are_read_as_python_reads_them() {
        let read =
            |environment: &[(&str, &str)]| settings(&[&[("HF_HOME", "/f")], environment].concat());
        for (value, offline) in [
            ("1", true),
            ("true", true),
            ("YES", true),
            ("0", false),
            ("", false),
        ] {
            assert_eq!(
                read(&[("HF_HUB_OFFLINE", value)]).unwrap().offline,
                offline,
                "{value}"
            );
        }
        assert_eq!(read(&[]).unwrap().endpoint, "https://huggingface.co");
        assert_eq!(
            read(&[("HF_ENDPOINT", "http://mirror:80/hub/")])
                .unwrap()
                .endpoint,
            "http://mirror:80/hub"
        );
        for wrong in ["huggingface.co", "ftp://x", "https://", "https://user@host"] {
            let error = read(&[("HF_ENDPOINT", wrong)]).unwrap_err().to_string();
            assert!(
                error.contains("HF_ENDPOINT") && error.contains(wrong),
                "{error}"
            );
        }
    }
}
