//! Why somebody may not do something.

use std::time::Duration;

use super::limits::Limited;
use super::need::Need;

/// Why somebody may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A key is needed, and none was sent.
    NoKey,
    /// The header is not `Bearer` and a key.
    NotBearer,
    /// No such key.
    UnknownKey,
    /// The key was removed, or its scopes changed, during the call.
    Revoked,
    /// The key is not for this.
    Scope(Need),
    /// Loading and unloading are off.
    ControlOff,
    /// Without keys, only this machine and the listener for administration may do this.
    NotLocal,
    /// The key's limit is reached.
    Limited {
        limit: Limited,
        retry_after: Duration,
    },
}

impl Refusal {
    /// Those of requests without a valid key.
    pub(super) const WITHOUT_KEY: [Self; 5] = [
        Self::NoKey,
        Self::NotBearer,
        Self::UnknownKey,
        Self::ControlOff,
        Self::NotLocal,
    ];

    /// The label in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::NotBearer => "not_bearer",
            Self::UnknownKey => "unknown_key",
            Self::Revoked => "revoked",
            Self::Scope(_) => "scope",
            Self::ControlOff => "control_off",
            Self::NotLocal => "not_local",
            Self::Limited { limit, .. } => limit.name(),
        }
    }
}
