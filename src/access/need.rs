//! What a route or method needs of who asks.

use super::scope::Scope;

/// What a route or method needs of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Health checks and public pages.
    Nothing,
    /// Asking models, and reading what they are.
    Infer,
    /// Reading the metrics.
    Metrics,
    /// Loading and unloading models.
    Control,
}

impl Need {
    /// Whether a listener for administration takes this off the public ones.
    #[must_use]
    pub fn is_administration(self) -> bool {
        matches!(self, Self::Metrics | Self::Control)
    }

    /// The scopes of which a key needs one.
    pub(super) fn scopes(self, is_administration_apart: bool) -> &'static [Scope] {
        match self {
            Self::Nothing => &Scope::ALL,
            Self::Infer => &[Scope::Infer],
            Self::Metrics if is_administration_apart => &[Scope::Metrics],
            Self::Metrics => &[Scope::Metrics, Scope::Infer],
            Self::Control => &[Scope::Admin],
        }
    }
}
