//! Reads text that users supply, as files or on standard input: UTF-8, with or without a byte order mark.

use std::io::{self, ErrorKind};
use std::path::Path;

use thiserror::Error;

/// Editors and spreadsheets put this before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The reason why bytes are not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodingError {
    /// Another kind of file, recognised by its first bytes.
    #[error("it is {}", .0.advice())]
    Binary(FileKind),
    /// Windows calls it Unicode; every other byte of it can look like text.
    #[error("it is encoded as UTF-16; convert it to UTF-8, as `iconv -f UTF-16 -t UTF-8` does")]
    Utf16,
    /// Another encoding, such as Latin-1.
    #[error(
        "its line {line} is not UTF-8; convert it, as `iconv -f ENCODING -t UTF-8` does, or give another file"
    )]
    NotUtf8 {
        /// Counted from 1.
        line: usize,
    },
}

/// Kinds of files that users supply by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A data set's table.
    Parquet,
    /// An archive or a spreadsheet.
    Zip,
    Gzip,
    Zstd,
}

impl FileKind {
    fn of(start: &[u8]) -> Option<Self> {
        match start {
            // A text may begin with these letters, but in Parquet no text character follows them.
            [b'P', b'A', b'R', b'1', next, ..] if *next >= 0x80 || is_control(*next) => {
                Some(Self::Parquet)
            }
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The kind of file, and what to do.
    fn advice(self) -> &'static str {
        match self {
            Self::Parquet => "a Parquet file, not text; save its table as TSV or CSV",
            Self::Zip => {
                "a zip archive, as .xlsx spreadsheets are, not text; unpack it, or save the spreadsheet as TSV or CSV"
            }
            Self::Gzip => "compressed with gzip; unpack it, as `gunzip` does",
            Self::Zstd => "compressed with zstd; unpack it, as `unzstd` does",
        }
    }
}

/// Whether a byte is a control character that does not occur in text.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !byte.is_ascii_whitespace()
}

impl From<EncodingError> for io::Error {
    fn from(error: EncodingError) -> Self {
        Self::new(ErrorKind::InvalidData, error)
    }
}

/// Reads a text file without its byte order mark.
///
/// # Errors
/// If the file can't be read or is not UTF-8.
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

/// Strips the byte order mark from the start of a file or stream.
///
/// # Errors
/// If the bytes are those of another kind of file, or UTF-16. UTF-16 is recognised by its mark, or by first letters
/// with a zero byte each.
pub fn without_mark(start: &[u8]) -> Result<&[u8], EncodingError> {
    if let Some(kind) = FileKind::of(start) {
        return Err(EncodingError::Binary(kind));
    }
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
    fn other_kinds_of_files_are_named() {
        for (bytes, named) in [
            (&b"PAR1\x15\x04\x15\x10"[..], "a Parquet file"),
            (b"PAR1\xff\xfe", "a Parquet file"),
            (b"PK\x03\x04\x14\0\x06\0", ".xlsx"),
            (b"\x1f\x8b\x08\0", "compressed with gzip; unpack it"),
            (b"\x28\xb5\x2f\xfd\x04", "compressed with zstd; unpack it"),
        ] {
            let error = read_bytes(bytes).unwrap_err();
            assert!(error.contains(named), "{error}");
            assert!(without_mark(bytes).is_err());
        }
        for text in [
            "PAR1",
            "PAR1 is a gene",
            "PAR1\tO\n",
            "PAR1\r\n",
            "PK",
            "(a",
        ] {
            assert_eq!(read_bytes(text.as_bytes()).as_deref(), Ok(text));
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
