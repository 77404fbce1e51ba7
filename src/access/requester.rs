//! Who sent a request, as far as the server knows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::keys::Key;
use super::refusal::Refusal;
use super::scope::Scope;
use crate::client::Client;

/// Who sent a request: an address, or a key.
#[derive(Clone, Debug, Default)]
pub struct Requester {
    /// Where it is.
    address: Client,
    key: Option<Arc<Key>>,
}

impl Requester {
    /// Somebody without a key.
    #[must_use]
    pub fn without_key(address: Client) -> Self {
        Self { address, key: None }
    }

    pub(super) fn with_key(address: Client, key: &Arc<Key>) -> Self {
        Self {
            address,
            key: Some(Arc::clone(key)),
        }
    }

    /// What its requests count towards, in turns and bounds.
    #[must_use]
    pub fn client(&self) -> Client {
        match &self.key {
            Some(key) => Client::Key(key.account.id),
            None => self.address,
        }
    }

    /// Where it is, for the log.
    #[must_use]
    pub fn address(&self) -> Client {
        self.address
    }

    /// Whether its key is still valid, in a call that goes on for long.
    ///
    /// # Errors
    /// [`Refusal::Revoked`]
    pub fn check(&self) -> Result<(), Refusal> {
        match &self.key {
            Some(key) if key.is_revoked.load(Ordering::Relaxed) => {
                key.account.metrics.denied(Refusal::Revoked.name());
                Err(Refusal::Revoked)
            }
            _ => Ok(()),
        }
    }

    /// The name of its key, for the log.
    #[must_use]
    pub fn key_name(&self) -> Option<&str> {
        self.key.as_ref().map(|key| &*key.name)
    }

    /// Whether it is an administrator: this process, or whose key says so. Without keys there is none.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        match &self.key {
            Some(key) => key.scopes.has(Scope::Admin),
            None => self.address == Client::Local,
        }
    }

    /// How long until its key's limits let another request of a stream begin. `None` for now.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        let key = self.key.as_ref()?;
        key.account.usage.wait(&key.limits, Instant::now())
    }

    /// Charges a request of a stream, other than the first, with which the stream was let in.
    pub fn charge_request(&self) {
        if let Some(key) = &self.key {
            key.account
                .usage
                .charge_request(&key.limits, Instant::now());
            key.account.metrics.admitted();
        }
    }

    /// Charges the tokens of a request to its key.
    pub fn charge(&self, tokens: usize) {
        if let Some(key) = &self.key {
            key.account
                .usage
                .charge(&key.limits, tokens, Instant::now());
        }
    }
}
