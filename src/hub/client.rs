//! Talks to the hub over HTTP: the token goes to the hub's own origin only, and transient failures are retried.

use std::time::Duration;
use std::{fmt, io};

use serde::Deserialize;
use ureq::http::{Response, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::cache::ETag;
use super::name::{Commit, ModelName, ModelReference};
use super::refusal::{refusal, text};
use super::url::{UrlOrigin, joined, quoted};
use super::{HubError, HubSettings, retry};

const MAX_REDIRECTS: usize = 10;
/// The header that names the content on a response that redirects to it.
const LINKED_ETAG: &str = "x-linked-etag";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A download may take as long as it needs, but must not stall for longer than this.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Client {
    agent: Agent,
    settings: HubSettings,
    pause: Pause,
}

/// Waits between two attempts.
pub type Pause = Box<dyn Fn(Duration) + Send + Sync>;

/// A revision of a model as the hub lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub commit: Commit,
    /// All files, as paths in the repository.
    pub files: Vec<String>,
}

/// A file's metadata on the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub etag: ETag,
    /// Bytes of its content, if the hub says.
    pub size: Option<u64>,
}

/// How far a request follows redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redirects {
    /// To the end.
    All,
    /// Stops at the first response that names the content or redirects away from the hub. The hub's own response says
    /// more about a file than the storage host's.
    UntilKnown,
}

/// A request that may be redirected.
#[derive(Clone, Copy, Debug)]
struct Request<'r> {
    url: &'r str,
    head: bool,
    range_from: Option<u64>,
    redirects: Redirects,
}

/// Why one attempt failed.
enum RequestFailure {
    /// Worth a retry.
    Passing(Trouble),
    /// A retry would fail too.
    Final(HubError),
}

/// A transient failure, and the host that it happened at.
struct Trouble {
    host: UrlOrigin,
    kind: TroubleKind,
    retry_after: Option<Duration>,
}

enum TroubleKind {
    Network(String),
    Status(u16),
}

impl Trouble {
    fn of_network(url: &str, error: &ureq::Error) -> RequestFailure {
        RequestFailure::Passing(Self {
            host: UrlOrigin::of(url),
            kind: TroubleKind::Network(error.to_string()),
            retry_after: None,
        })
    }

    /// The error to report after the last attempt.
    fn given_up(self, attempts: u32) -> HubError {
        let endpoint = self.host.to_string();
        let asked = self.retry_after.filter(|asked| *asked > retry::MAX_WAIT);
        match self.kind {
            TroubleKind::Network(reason) => HubError::Unreachable { endpoint, reason },
            TroubleKind::Status(status) => HubError::Busy {
                endpoint,
                status,
                attempts,
                asked_seconds: asked.map(|asked| asked.as_secs()),
            },
        }
    }
}

impl fmt::Display for TroubleKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(reason) => formatter.write_str(reason),
            Self::Status(status) => write!(formatter, "status {status}"),
        }
    }
}

impl Client {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// If the file of certificates that the environment names can't be read.
    pub fn new(settings: HubSettings, pause: Pause) -> Result<Self, HubError> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .user_agent(concat!("electra/", env!("CARGO_PKG_VERSION")))
            // With compression, a body's length would differ from the file's.
            .accept_encoding("identity");
        if let Some(roots) = certificates(&settings)? {
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self {
            agent: config.build().into(),
            settings,
            pause,
        })
    }

    #[must_use]
    pub fn settings(&self) -> &HubSettings {
        &self.settings
    }

    #[must_use]
    pub fn file_url(&self, name: &ModelName, commit: &Commit, file: &str) -> String {
        format!(
            "{}/{name}/resolve/{commit}/{}",
            self.settings.endpoint,
            quoted(file)
        )
    }

    /// A revision's commit and files.
    ///
    /// # Errors
    /// If the hub can't be reached, refuses, has no such revision, or sends a response that can't be parsed.
    pub fn listing(&self, reference: &ModelReference) -> Result<Listing, HubError> {
        #[derive(Deserialize)]
        struct Info {
            sha: String,
            siblings: Vec<Sibling>,
        }
        #[derive(Deserialize)]
        struct Sibling {
            rfilename: String,
        }
        let ModelReference { name, revision } = reference;
        let url = format!(
            "{}/api/models/{name}/revision/{}",
            self.settings.endpoint,
            quoted(revision)
        );
        let request = Request {
            url: &url,
            head: false,
            range_from: None,
            redirects: Redirects::All,
        };
        let answer = |reason: String| HubError::Answer {
            url: url.clone(),
            reason,
        };
        let text = self.retried(|| {
            let mut response = self.exchange(request, reference)?;
            let text = response.body_mut().read_to_string();
            text.map_err(|error| Trouble::of_network(&url, &error))
        })?;
        let info: Info = serde_json::from_str(&text)
            .map_err(|error| answer(format!("it is not a description of a model ({error})")))?;
        let commit = Commit::parse(&info.sha)
            .ok_or_else(|| answer(format!("`{}` is not a commit", info.sha)))?;
        let files = info
            .siblings
            .into_iter()
            .map(|sibling| sibling.rfilename)
            .collect();
        Ok(Listing { commit, files })
    }

    /// A file's metadata, without its content.
    ///
    /// # Errors
    /// As for [`Self::listing`].
    pub fn metadata(&self, reference: &ModelReference, url: &str) -> Result<Metadata, HubError> {
        let request = Request {
            url,
            head: true,
            range_from: None,
            redirects: Redirects::UntilKnown,
        };
        let response = self.retried(|| self.exchange(request, reference))?;
        let headers = response.headers();
        let etag = text(headers, LINKED_ETAG).or_else(|| text(headers, "etag"));
        let etag = etag
            .and_then(ETag::of_header)
            .ok_or_else(|| HubError::Answer {
                url: url.to_owned(),
                reason: "it has no ETag that names the file's content".to_owned(),
            })?;
        // On a redirect, Content-Length is the length of the redirect's own body.
        let size = text(headers, "x-linked-size").or_else(|| {
            let length = text(headers, "content-length");
            length.filter(|_| response.status().is_success())
        });
        Ok(Metadata {
            etag,
            size: size.and_then(|size| size.trim().parse().ok()),
        })
    }

    /// Starts downloading a file's content at the given byte.
    ///
    /// # Errors
    /// As for [`Self::listing`].
    pub fn content(
        &self,
        reference: &ModelReference,
        url: &str,
        from: u64,
    ) -> Result<Response<Body>, HubError> {
        let request = Request {
            url,
            head: false,
            range_from: (from > 0).then_some(from),
            redirects: Redirects::All,
        };
        self.retried(|| self.exchange(request, reference))
    }

    /// Waits before the next attempt, after `failures` failures in a row. Returns false if it is time to give up.
    pub fn wait(&self, failures: u32, retry_after: Option<Duration>, reason: &str) -> bool {
        let Some(wait) = retry::wait(failures, retry_after) else {
            return false;
        };
        let seconds = wait.as_secs_f64();
        tracing::warn!(reason, seconds, "retrying the hub");
        (self.pause)(wait);
        true
    }

    fn retried<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, RequestFailure>,
    ) -> Result<T, HubError> {
        let mut failures = 0;
        loop {
            let trouble = match attempt() {
                Ok(value) => return Ok(value),
                Err(RequestFailure::Final(error)) => return Err(error),
                Err(RequestFailure::Passing(trouble)) => trouble,
            };
            failures += 1;
            if !self.wait(failures, trouble.retry_after, &trouble.kind.to_string()) {
                return Err(trouble.given_up(failures));
            }
        }
    }

    /// Sends a request and follows redirects.
    fn exchange(
        &self,
        request: Request<'_>,
        reference: &ModelReference,
    ) -> Result<Response<Body>, RequestFailure> {
        let nonsense = |url: &str, reason: &str| {
            RequestFailure::Final(HubError::Answer {
                url: url.to_owned(),
                reason: reason.to_owned(),
            })
        };
        let hub = UrlOrigin::of(&self.settings.endpoint);
        let mut url = request.url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let within_hub = UrlOrigin::of(&url) == hub;
            let response = self.send(&url, &request, within_hub)?;
            let status = response.status();
            let location = text(response.headers(), "location");
            if !status.is_redirection() || location.is_none() {
                return self.judged(response, &url, within_hub, reference);
            }
            let next = location.and_then(|location| joined(&url, location));
            let next =
                next.ok_or_else(|| nonsense(&url, "it redirects without a valid address"))?;
            if url.starts_with("https://") && !next.starts_with("https://") {
                return Err(nonsense(
                    &url,
                    "it redirects from https to an address without",
                ));
            }
            let is_answer =
                response.headers().contains_key(LINKED_ETAG) || UrlOrigin::of(&next) != hub;
            if request.redirects == Redirects::UntilKnown && is_answer {
                return Ok(response);
            }
            url = next;
        }
        Err(nonsense(request.url, "it redirects too often"))
    }

    fn send(
        &self,
        url: &str,
        request: &Request<'_>,
        within_hub: bool,
    ) -> Result<Response<Body>, RequestFailure> {
        let mut builder = if request.head {
            self.agent.head(url)
        } else {
            self.agent.get(url)
        };
        if let Some(token) = self.settings.token.as_ref().filter(|_| within_hub) {
            builder = builder.header(header::AUTHORIZATION, token.authorization());
        }
        if let Some(from) = request.range_from {
            builder = builder.header(header::RANGE, format!("bytes={from}-"));
        }
        let untrusted = |reason: &dyn fmt::Display| {
            RequestFailure::Final(HubError::Untrusted {
                endpoint: UrlOrigin::of(url).to_string(),
                reason: reason.to_string(),
            })
        };
        builder.call().map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                RequestFailure::Final(HubError::Answer {
                    url: url.to_owned(),
                    reason: error.to_string(),
                })
            }
            // An invalid certificate stays invalid, so this is not retried.
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                untrusted(&error)
            }
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => untrusted(&error),
            passing => Trouble::of_network(url, &passing),
        })
    }

    fn judged(
        &self,
        response: Response<Body>,
        url: &str,
        within_hub: bool,
        reference: &ModelReference,
    ) -> Result<Response<Body>, RequestFailure> {
        let status = response.status().as_u16();
        // 416 (range not satisfiable) is left to the caller, who asked for the range.
        if response.status().is_success() || status == 416 {
            return Ok(response);
        }
        if retry::is_passing(status) {
            let retry_after = text(response.headers(), "retry-after");
            let seconds = retry_after.and_then(|text| text.trim().parse().ok());
            return Err(RequestFailure::Passing(Trouble {
                host: UrlOrigin::of(url),
                kind: TroubleKind::Status(status),
                retry_after: seconds.map(Duration::from_secs),
            }));
        }
        Err(RequestFailure::Final(if within_hub {
            refusal(&self.settings, reference, status, response.headers())
        } else {
            HubError::Answer {
                url: UrlOrigin::of(url).to_string(),
                reason: format!(
                    "the hub redirects there for a file of {}, and it answers {status}",
                    reference.name
                ),
            }
        }))
    }
}

fn certificates(settings: &HubSettings) -> Result<Option<RootCerts>, HubError> {
    let Some(path) = &settings.certificates else {
        return Ok(None);
    };
    let unusable = |reason: String| HubError::Environment {
        variable: "SSL_CERT_FILE",
        value: path.display().to_string(),
        reason,
    };
    let pem =
        std::fs::read(path).map_err(|error| unusable(format!("it can't be read: {error}")))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(unusable("it has no certificate in PEM format".to_owned()));
    }
    Ok(Some(RootCerts::new_with_certs(&certificates)))
}
