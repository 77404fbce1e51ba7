//! Decides about each request: what it needs, which key it has, and what that key has left.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::key_file::{self, KeyFileError, KeyLine};
use super::keys::{Key, Keys};
use super::limits::{KeyLimits, Permit};
use super::need::Need;
use super::options::AccessOptions;
use super::refusal::Refusal;
use super::requester::Requester;
use super::scope::Scopes;
use crate::client::Sender;
use crate::telemetry::metrics::{KeyMetrics, Metrics};

/// The name of the key in the environment.
const ENVIRONMENT_KEY: &str = "ELECTRA_API_KEY";

/// The listener that a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Public,
    /// The one for administration.
    Admin,
}

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub door: Door,
    pub sender: Sender,
}

/// What a request's `authorization` header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'a> {
    None,
    /// It is not `Bearer` and a key.
    NotBearer,
    Key(&'a [u8]),
}

impl<'a> Credentials<'a> {
    /// What a request's headers say.
    #[must_use]
    pub fn of(headers: &'a HeaderMap) -> Self {
        Self::read(headers.get(AUTHORIZATION).map(HeaderValue::as_bytes))
    }

    /// Reads the value of an `authorization` header (RFC 6750). The scheme's case does not matter.
    fn read(header: Option<&'a [u8]>) -> Self {
        const SCHEME: &[u8] = b"bearer ";
        let Some(value) = header else {
            return Self::None;
        };
        match value.split_at_checked(SCHEME.len()) {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case(SCHEME) => {
                Self::Key(key.trim_ascii())
            }
            _ => Self::NotBearer,
        }
    }
}

/// Decides about each request. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Shared>);

struct Shared {
    options: AccessOptions,
    keys: ArcSwap<Keys>,
    metrics: Metrics,
    /// Of requests without a valid key.
    without_key: KeyMetrics,
}

impl Guard {
    /// A guard with the keys of the environment and of the file, whose content is `file`.
    ///
    /// # Errors
    /// If that is no file of keys.
    pub fn new(
        options: AccessOptions,
        file: Option<&[u8]>,
        metrics: Metrics,
    ) -> Result<Self, KeyFileError> {
        let guard = Self::without_keys(options, metrics);
        guard.set_keys(file)?;
        Ok(guard)
    }

    /// A guard of a server on a developer's machine.
    #[cfg(any(test, feature = "fuzzing"))]
    #[must_use]
    pub fn open() -> Self {
        Self::without_keys(AccessOptions::default(), Metrics::new("test"))
    }

    fn without_keys(options: AccessOptions, metrics: Metrics) -> Self {
        let without_key = metrics.key("");
        for refusal in Refusal::WITHOUT_KEY {
            without_key.declare_denied(refusal.name());
        }
        Self(Arc::new(Shared {
            options,
            keys: ArcSwap::default(),
            metrics,
            without_key,
        }))
    }

    /// Whether requests need keys.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.0.options.has_keys()
    }

    /// How many keys are valid now.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.0.keys.load().len()
    }

    /// The file of keys, if there is one.
    #[must_use]
    pub fn key_file(&self) -> Option<&Path> {
        self.0.options.key_file.as_deref()
    }

    /// Whether administration has a listener of its own.
    #[must_use]
    pub fn is_administration_apart(&self) -> bool {
        self.0.options.is_administration_apart
    }

    /// Takes the keys of this file in place of those before. Returns how many are valid now.
    ///
    /// # Errors
    /// If it is no file of keys. The keys before stay valid.
    pub fn set_keys(&self, file: Option<&[u8]>) -> Result<usize, KeyFileError> {
        let environment = self.0.options.environment_key.map(|digest| KeyLine {
            name: ENVIRONMENT_KEY.to_owned(),
            scopes: Scopes::ALL,
            digest,
            limits: KeyLimits::default(),
        });
        let of_file = file.map(key_file::parse).transpose()?;
        let lines = environment.into_iter().chain(of_file.into_iter().flatten());
        let before = self.0.keys.load();
        let keys = before.replaced(lines.collect(), &self.0.metrics, Instant::now());
        let count = keys.len();
        self.0.keys.store(Arc::new(keys));
        Ok(count)
    }

    /// Whether a key is valid now.
    #[must_use]
    pub fn knows(&self, key: &[u8]) -> bool {
        self.0.keys.load().find(key).is_some()
    }

    /// Lets a request in, or says why not. It counts as in progress until its permit is dropped.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn admit(
        &self,
        need: Need,
        origin: Origin,
        credentials: Credentials<'_>,
    ) -> Result<(Requester, Option<Permit>), Refusal> {
        let options = &self.0.options;
        if need == Need::Nothing {
            return Ok((Requester::without_key(origin.sender.client), None));
        }
        let is_off = need == Need::Control && !options.model_control;
        if !options.has_keys() {
            if is_off {
                return Err(self.refuse(None, Refusal::ControlOff));
            }
            let is_near = origin.sender.is_local || origin.door == Door::Admin;
            if need == Need::Control && !is_near {
                return Err(self.refuse(None, Refusal::NotLocal));
            }
            self.0.without_key.admitted();
            return Ok((Requester::without_key(origin.sender.client), None));
        }
        let sent = match credentials {
            Credentials::None => return Err(self.refuse(None, Refusal::NoKey)),
            Credentials::NotBearer => return Err(self.refuse(None, Refusal::NotBearer)),
            Credentials::Key(sent) => sent,
        };
        let keys = self.0.keys.load();
        let Some(key) = keys.find(sent) else {
            return Err(self.refuse(None, Refusal::UnknownKey));
        };
        let mut needed = need.scopes(options.is_administration_apart).iter();
        if !needed.any(|scope| key.scopes.has(*scope)) {
            return Err(self.refuse(Some(key), Refusal::Scope(need)));
        }
        if is_off {
            return Err(self.refuse(Some(key), Refusal::ControlOff));
        }
        match key.account.usage.admit(&key.limits, Instant::now()) {
            Ok(permit) => {
                key.account.metrics.admitted();
                Ok((Requester::with_key(origin.sender.client, key), Some(permit)))
            }
            Err((limit, retry_after)) => {
                Err(self.refuse(Some(key), Refusal::Limited { limit, retry_after }))
            }
        }
    }

    /// Counts a refusal.
    fn refuse(&self, key: Option<&Key>, refusal: Refusal) -> Refusal {
        match key {
            Some(key) => key.account.metrics.denied(refusal.name()),
            None => self.0.without_key.denied(refusal.name()),
        }
        refusal
    }
}

#[cfg(test)]
mod tests;
