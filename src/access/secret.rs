//! Keys themselves: made once, and known to the server by their SHA-256 alone.

use std::fmt::{self, Debug, Display};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

/// What every key that this program makes begins with, so that scanners for leaked secrets find it.
const PREFIX: &str = "electra_";
/// The random bytes of a key.
const RANDOM: usize = 32;
/// The bytes of a SHA-256.
const LENGTH: usize = 32;
/// What a digest in text begins with.
const ALGORITHM: &str = "sha256:";

/// The SHA-256 of a key's bytes as they are sent. Keys are random, so one plain hash keeps them secret: there is nothing
/// to guess that a slower one would protect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; LENGTH]);

impl Digest {
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let mut bytes = [0; LENGTH];
        bytes.copy_from_slice(digest(&SHA256, key).as_ref());
        Self(bytes)
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ALGORITHM)?.as_bytes();
        if digits.len() != 2 * LENGTH {
            return None;
        }
        let mut bytes = [0; LENGTH];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            let both = 16 * value(pair[0])? + value(pair[1])?;
            *byte = u8::try_from(both).ok()?;
        }
        Some(Self(bytes))
    }

    /// Whether both are equal, in a time that does not tell where they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(ALGORITHM)?;
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, formatter)
    }
}

/// A key that was just made. It is shown once and kept nowhere.
pub struct NewKey(String);

impl NewKey {
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; RANDOM];
        SystemRandom::new().fill(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_sha256sum() {
        // `printf abc | sha256sum`
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(Digest::parse(abc), Some(Digest::of(b"abc")));
        let upper = abc.to_uppercase().replace("SHA256", "sha256");
        assert_eq!(Digest::parse(&upper), Some(Digest::of(b"abc")));
        for wrong in [
            &abc[7..],
            &abc[..70],
            &format!("{abc}0"),
            &abc.replace("ba", "bg"),
            "sha256:",
        ] {
            assert_eq!(Digest::parse(wrong), None, "{wrong}");
        }
        assert!(Digest::of(b"abc").matches(&Digest::of(b"abc")));
        assert!(!Digest::of(b"abc").matches(&Digest::of(b"abd")));
    }

    #[test]
    fn a_new_key_is_long_and_never_made_twice() {
        let (one, other) = (NewKey::random().unwrap(), NewKey::random().unwrap());
        assert_eq!(one.reveal().len(), PREFIX.len() + 43);
        assert!(one.reveal().starts_with(PREFIX));
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.digest(), Digest::of(one.reveal().as_bytes()));
    }
}
