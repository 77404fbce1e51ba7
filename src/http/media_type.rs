//! The media type of a request's body.

use axum::http::HeaderValue;
use mime::{APPLICATION, APPLICATION_OCTET_STREAM, APPLICATION_WWW_FORM_URLENCODED, JSON, Mime};

/// A body's media type, as far as routes distinguish them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// No `content-type`, or an empty one.
    Undeclared,
    /// `application/x-www-form-urlencoded`, which curl declares for any data.
    Form,
    /// `application/json`, or any `application/*+json`.
    Json,
    /// `application/octet-stream`.
    Binary,
    /// Any other media type, or an invalid value.
    Other,
}

impl MediaType {
    /// Reads a `content-type` header. Its parameters are ignored, because JSON is always UTF-8.
    pub fn from_header(content_type: Option<&HeaderValue>) -> Self {
        let value = content_type.map_or(&b""[..], HeaderValue::as_bytes);
        // Parameters are cut off unparsed. `mime` refuses a space before the semicolon, which HTTP allows, and
        // malformed parameters, which do not matter here.
        let essence = value.split(|&byte| byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        if essence.is_empty() {
            return Self::Undeclared;
        }
        let parsed = str::from_utf8(essence).ok().map(str::parse::<Mime>);
        let Some(Ok(media_type)) = parsed else {
            return Self::Other;
        };
        let format = media_type.suffix().unwrap_or(media_type.subtype());
        if media_type.type_() == APPLICATION && format == JSON {
            Self::Json
        } else if media_type == APPLICATION_WWW_FORM_URLENCODED {
            Self::Form
        } else if media_type == APPLICATION_OCTET_STREAM {
            Self::Binary
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: MediaType, values: &[&'static str]) {
        for value in values {
            let header = HeaderValue::from_static(value);
            assert_eq!(MediaType::from_header(Some(&header)), expected, "{value}");
        }
    }

    #[test]
    fn json_may_have_parameters_a_suffix_and_any_case() {
        check(
            MediaType::Json,
            &[
                "application/json",
                "Application/JSON",
                " application/json ",
                "application/json; charset=utf-8",
                "application/json ; charset=utf-8",
                "application/json;charset=\"utf-8\"",
                "application/vnd.api+json",
                "application/ld+cbor+json; profile=x",
            ],
        );
    }

    #[test]
    fn malformed_parameters_are_ignored() {
        check(
            MediaType::Json,
            &[
                "application/json;",
                "application/json; charset",
                "application/json; charset=",
                "application/json; charset=utf-8, text/plain",
            ],
        );
        let bytes = HeaderValue::from_bytes(b"application/json; charset=\xff").unwrap();
        assert_eq!(MediaType::from_header(Some(&bytes)), MediaType::Json);
    }

    #[test]
    fn forms_and_binary_data_are_recognised() {
        check(
            MediaType::Form,
            &[
                "application/x-www-form-urlencoded",
                "Application/X-WWW-Form-URLencoded; charset=utf-8",
            ],
        );
        check(
            MediaType::Binary,
            &["application/octet-stream", "application/octet-stream; a=b"],
        );
    }

    #[test]
    fn absent_and_empty_are_undeclared() {
        assert_eq!(MediaType::from_header(None), MediaType::Undeclared);
        check(MediaType::Undeclared, &["", " ", "; charset=utf-8"]);
    }

    #[test]
    fn other_and_malformed_media_types_are_other() {
        check(
            MediaType::Other,
            &[
                "text/plain",
                "text/json",
                "text/vnd.api+json",
                "json",
                "*/*",
                "application/",
                "application/jsonp",
                "application/json+xml",
                "application/x json",
                "application/json, text/plain",
                "multipart/form-data; boundary=a",
            ],
        );
        let bytes = HeaderValue::from_bytes(b"application/\xffjson").unwrap();
        assert_eq!(MediaType::from_header(Some(&bytes)), MediaType::Other);
    }
}
