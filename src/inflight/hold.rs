//! Bytes taken from the budget.

use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::{Full, InflightBytes};

/// Bytes taken from a budget, given back on drop.
#[derive(Debug)]
pub struct Hold {
    budget: InflightBytes,
    /// `None` while it holds nothing.
    permit: Option<OwnedSemaphorePermit>,
}

impl Hold {
    pub(super) fn new(budget: InflightBytes) -> Self {
        Self::of_permit(budget, None)
    }

    pub(super) fn of_permit(budget: InflightBytes, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { budget, permit }
    }

    #[must_use]
    pub fn budget(&self) -> &InflightBytes {
        &self.budget
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        let permit = self.permit.as_ref();
        permit.map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Full`] if fewer are left. The hold stays as it is.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes == 0 {
            return Ok(());
        }
        let free = Arc::clone(&self.budget.free);
        // The semaphore counts a hold in 32 bits.
        let fits = self.bytes().checked_add(bytes);
        let fits = fits.is_some_and(|sum| u32::try_from(sum).is_ok());
        let taken = u32::try_from(bytes)
            .ok()
            .filter(|_| fits)
            .and_then(|bytes| free.try_acquire_many_owned(bytes).ok());
        match (taken, &mut self.permit) {
            (None, _) => Err(self.budget.refuse()),
            (Some(taken), Some(permit)) => {
                permit.merge(taken);
                Ok(())
            }
            (Some(taken), permit @ None) => {
                *permit = Some(taken);
                Ok(())
            }
        }
    }

    /// Gives back all but `bytes`, if it holds more.
    pub fn shrink_to(&mut self, bytes: usize) {
        let rest = self.bytes().saturating_sub(bytes);
        drop(self.split(rest));
    }

    /// Takes or gives back what `bytes` needs.
    ///
    /// # Errors
    /// [`Full`] if it needs more than is left. The hold stays as it is.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        self.grow(bytes.saturating_sub(self.bytes()))?;
        self.shrink_to(bytes);
        Ok(())
    }

    /// Moves `bytes`, or all if it holds fewer, into a hold of their own.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes());
        let permit = match &mut self.permit {
            Some(permit) if bytes > 0 => permit.split(bytes),
            _ => None,
        };
        Self::of_permit(self.budget.clone(), permit)
    }

    /// Adds another hold of the same budget.
    pub fn merge(&mut self, mut other: Self) {
        match (&mut self.permit, other.permit.take()) {
            (Some(permit), Some(other)) => permit.merge(other),
            (permit @ None, other) => *permit = other,
            (Some(_), None) => {}
        }
    }

    /// Ties the hold to the bytes it was taken for: it ends with the last slice of them, which the transport drops
    /// once the slice is sent.
    #[must_use]
    pub fn keep(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Kept { bytes, _hold: self })
    }
}

struct Kept<B> {
    bytes: B,
    _hold: Hold,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Kept<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}
