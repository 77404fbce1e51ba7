//! Text that people hand in, as files or on standard input: UTF-8, with or without a byte order mark.

use std::io::{self, ErrorKind};
use std::path::Path;

use thiserror::Error;

/// What editors and spreadsheets put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodingError {
    /// What Windows calls Unicode: every other byte of it can look like text.
    #[error("it is encoded as UTF-16; convert it to UTF-8, as `iconv -f UTF-16 -t UTF-8` does")]
    Utf16,
    /// Latin-1, a compressed file, and so on.
    #[error(
        "its line {line} is not UTF-8; convert it, as `iconv -f ENCODING -t UTF-8` does, or give another file"
    )]
    NotUtf8 {
        /// Counted from 1.
        line: usize,
    },
}

impl From<EncodingError> for io::Error {
    fn from(error: EncodingError) -> Self {
        Self::new(ErrorKind::InvalidData, error)
    }
}

/// Reads a file of text; a byte order mark is no part of it.
///
/// # Errors
/// Where it can't be read or is not UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    let text = without_mark(&bytes)?;
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = String::from_utf8_lossy(&text[..error.valid_up_to()]);
            let line = before.matches('\n').count() + 1;
            Err(EncodingError::NotUtf8 { line }.into())
        }
    }
}

/// The start of a file or stream without its byte order mark.
///
/// # Errors
/// Where it is the start of UTF-16, by its mark or by first letters of which each has a half that is zero.
pub fn without_mark(start: &[u8]) -> Result<&[u8], EncodingError> {
    match start {
        [0xff, 0xfe, ..]
        | [0xfe, 0xff, ..]
        | [0, 1..=0xff, 0, 1..=0xff, ..]
        | [1..=0xff, 0, 1..=0xff, 0, ..] => Err(EncodingError::Utf16),
        _ => Ok(start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_mark_at_the_start_is_no_part_of_the_text() {
        for (bytes, text) in [
            ("\u{feff}é\n", "é\n"),
            ("é\u{feff}", "é\u{feff}"),
            ("\u{feff}\u{feff}a", "\u{feff}a"),
            ("\u{feff}", ""),
            ("", ""),
            ("a", "a"),
            ("a\0b", "a\0b"),
        ] {
            assert_eq!(read_bytes(bytes.as_bytes()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn other_encodings_are_told_apart() {
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        for bytes in [
            utf16("\u{feff}über", u16::to_le_bytes),
            utf16("\u{feff}über", u16::to_be_bytes),
            utf16("{\"text\"", u16::to_le_bytes),
            utf16("{\"text\"", u16::to_be_bytes),
        ] {
            let error = read_bytes(&bytes).unwrap_err();
            assert!(error.contains("UTF-16"), "{error}");
        }
        let error = read_bytes(b"a\nb\ncaf\xe9\n").unwrap_err();
        assert!(error.contains("line 3 is not UTF-8"), "{error}");
    }
}
