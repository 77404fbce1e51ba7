//! Bytes taken from the budget.

use hyper::body::Bytes;

use super::{ClientBytes, Full};

/// Bytes that a client has taken from the budget, given back on drop.
#[derive(Debug)]
pub struct Hold {
    client: ClientBytes,
    bytes: usize,
}

impl Hold {
    /// `bytes` were taken from the budget before.
    pub(super) fn of(client: ClientBytes, bytes: usize) -> Self {
        Self { client, bytes }
    }

    /// Whose it is, to take more.
    #[must_use]
    pub fn client(&self) -> &ClientBytes {
        &self.client
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Full`] if the client may not take as many. The hold stays as it is.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes > 0 {
            self.client.take(bytes)?;
            self.bytes += bytes;
        }
        Ok(())
    }

    /// Gives back all but `bytes`, if it holds more.
    pub fn shrink_to(&mut self, bytes: usize) {
        let rest = self.bytes.saturating_sub(bytes);
        self.bytes -= rest;
        self.client.give(rest);
    }

    /// Takes or gives back what `bytes` needs.
    ///
    /// # Errors
    /// [`Full`] if the client may not have as many. The hold stays as it is.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        self.grow(bytes.saturating_sub(self.bytes))?;
        self.shrink_to(bytes);
        Ok(())
    }

    /// Moves `bytes`, or all if it holds fewer, into a hold of their own.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self::of(self.client.clone(), bytes)
    }

    /// Adds another hold of the same client.
    pub fn merge(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Ties the hold to the bytes it was taken for: it ends with the last slice of them, which the transport drops
    /// once the slice is sent.
    #[must_use]
    pub fn keep(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Kept { bytes, _hold: self })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.client.give(self.bytes);
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
