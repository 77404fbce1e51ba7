//! Interprets the hub's error responses, as `huggingface_hub`'s `hf_raise_for_status` does.

use ureq::http::HeaderMap;

use super::name::ModelReference;
use super::{HubError, HubSettings};

/// Maps a status and its headers to an error.
pub fn refusal(
    settings: &HubSettings,
    reference: &ModelReference,
    status: u16,
    headers: &HeaderMap,
) -> HubError {
    let endpoint = settings.endpoint.clone();
    let name = reference.name.to_string();
    let with_token = settings.token.is_some();
    let message = text(headers, "x-error-message").unwrap_or_default();
    let message = message.trim_end_matches('.');
    match (text(headers, "x-error-code"), status) {
        (Some("GatedRepo"), _) => HubError::Gated {
            endpoint,
            name,
            with_token,
        },
        (Some("RevisionNotFound"), _) => HubError::RevisionNotFound {
            endpoint,
            name,
            revision: reference.revision.clone(),
        },
        (_, 401) if with_token && message.contains("Invalid") => HubError::TokenRefused {
            endpoint,
            token_file: settings.token_file.clone(),
        },
        // Without a token, the hub does not reveal whether the model exists.
        (Some("RepoNotFound"), _) | (_, 401) | (None, 404) => HubError::ModelNotFound {
            endpoint,
            name,
            with_token,
        },
        (_, 403) => HubError::Forbidden {
            endpoint,
            name,
            reason: if message.is_empty() {
                "403 Forbidden".to_owned()
            } else {
                message.to_owned()
            },
        },
        (code, _) => HubError::Answer {
            url: format!("{endpoint}/{name}"),
            reason: format!("{status} {} {message}", code.unwrap_or_default())
                .trim_end()
                .to_owned(),
        },
    }
}

/// A header's value, if it is text.
pub fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::super::Token;
    use super::*;

    fn said(status: u16, code: &'static str, message: &'static str, token: bool) -> String {
        let environment = |name: &str| match name {
            "HF_HOME" => Some("/no/such/folder".to_owned()),
            _ => None,
        };
        let mut settings = HubSettings::from_environment(environment).unwrap();
        settings.token = Token::new("secret").filter(|_| token);
        let mut headers = HeaderMap::new();
        if !code.is_empty() {
            headers.insert("x-error-code", HeaderValue::from_static(code));
        }
        headers.insert("x-error-message", HeaderValue::from_static(message));
        refusal(&settings, &"org/name@v1".parse().unwrap(), status, &headers).to_string()
    }

    #[test]
    fn every_refusal_has_its_way_out() {
        for (status, code, message, token, expected) in [
            (
                401,
                "RepoNotFound",
                "Invalid username or password.",
                false,
                "does not exist, or it is private",
            ),
            (
                401,
                "",
                "Invalid credentials in Authorization header",
                true,
                "does not accept the token",
            ),
            (
                401,
                "RepoNotFound",
                "Repository not found",
                true,
                "that your token may see",
            ),
            (
                404,
                "RepoNotFound",
                "Repository not found",
                true,
                "that your token may see",
            ),
            (404, "", "", false, "does not exist, or it is private"),
            (
                404,
                "RevisionNotFound",
                "Invalid rev id: v1",
                false,
                "no revision `v1`",
            ),
            (
                401,
                "GatedRepo",
                "Access is restricted",
                false,
                "set HF_TOKEN to a token of the account",
            ),
            (
                403,
                "GatedRepo",
                "Access is restricted",
                true,
                "wait until its authors grant access",
            ),
            (
                403,
                "",
                "Access to this resource is disabled.",
                true,
                "refuses access to org/name: Access to this resource is disabled. Check",
            ),
            (403, "", "", true, "403 Forbidden"),
            (
                404,
                "EntryNotFound",
                "Entry not found",
                true,
                "404 EntryNotFound Entry not found. If HF_ENDPOINT",
            ),
            (418, "", "", false, "be from the hub: 418. If HF_ENDPOINT"),
        ] {
            let said = said(status, code, message, token);
            assert!(said.contains(expected), "{status} {code}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
