//! Checksums that the hub sends as `ETag`.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// The expected checksum of a file. The hub's `ETag` is the SHA-256 of a file in large file storage, and git's blob
/// hash for any other file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256 of the content.
    Sha256(String),
    /// SHA-1 of git's blob header and the content.
    GitBlob(String),
}

impl Checksum {
    /// Parses an `ETag` as a checksum. `None` if it is not one: some mirrors send other `ETag`s.
    #[must_use]
    pub fn of_etag(etag: &str) -> Option<Self> {
        let etag = etag.to_ascii_lowercase();
        if !etag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        match etag.len() {
            64 => Some(Self::Sha256(etag)),
            40 => Some(Self::GitBlob(etag)),
            _ => None,
        }
    }

    /// The checksum in lower-case hexadecimal.
    #[must_use]
    pub fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitBlob(digits) => digits,
        }
    }

    /// Computes the same kind of checksum over a file on disk.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn of_file(&self, path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        match self {
            Self::Sha256(_) => hash(Context::new(&SHA256), &mut file).map(Self::Sha256),
            Self::GitBlob(_) => {
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {}\0", file.metadata()?.len()).as_bytes());
                hash(context, &mut file).map(Self::GitBlob)
            }
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digits) => write!(formatter, "SHA-256 {digits}"),
            Self::GitBlob(digits) => write!(formatter, "git blob {digits}"),
        }
    }
}

fn hash(mut state: Context, content: &mut impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => state.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut digits = String::new();
    for byte in state.finish().as_ref() {
        // Writing to a string can't fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n' | sha256sum` and `printf 'hello\n' | git hash-object --stdin`.
    const SHA256_OF_HELLO: &str =
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    const BLOB_OF_HELLO: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    #[test]
    fn etags_are_checksums_of_two_kinds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello\n").unwrap();
        for etag in [SHA256_OF_HELLO, BLOB_OF_HELLO] {
            let expected = Checksum::of_etag(&etag.to_uppercase()).unwrap();
            assert_eq!(expected.of_file(file.path()).unwrap(), expected);
            assert_eq!(expected.digits(), etag);
        }
        std::fs::write(file.path(), "hellO\n").unwrap();
        for etag in [SHA256_OF_HELLO, BLOB_OF_HELLO] {
            let expected = Checksum::of_etag(etag).unwrap();
            assert_ne!(expected.of_file(file.path()).unwrap(), expected);
        }
        for other in ["", "abc", "5d8c72a5edda8d6a-1a2b", &"g".repeat(40)] {
            assert_eq!(Checksum::of_etag(other), None);
        }
    }
}
