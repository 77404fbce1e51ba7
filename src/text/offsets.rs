//! Converts byte offsets to the client's unit: code points (Python), UTF-8 bytes (Rust, Go) or UTF-16 units
//! (JavaScript, Java).

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The unit of `start` and `end`: Unicode code points (as in Python), UTF-8 bytes, or UTF-16 code units (as in
/// JavaScript, Java and C#).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "lowercase")]
pub enum OffsetEncoding {
    /// Unicode code points, as in Python's slices.
    #[default]
    Codepoint,
    /// UTF-8 bytes.
    Utf8,
    /// UTF-16 code units, as in slices of JavaScript, Java and C#.
    Utf16,
}

/// Converts byte offsets into one text to another unit, in constant time per offset.
#[derive(Debug)]
pub struct OffsetMap<'t> {
    text: &'t [u8],
    units: Units,
}

#[derive(Debug)]
enum Units {
    /// Every byte is one unit: offsets are in bytes, or the text is ASCII.
    Bytes,
    /// `units_before[block]` is the number of units before byte `block * BLOCK`.
    Counted {
        width: fn(u8) -> usize,
        units_before: Vec<usize>,
    },
}

/// Bytes between two stored counts: few enough to count quickly, many enough for a small table.
const BLOCK: usize = 64;

impl<'t> OffsetMap<'t> {
    /// A map for `text`. Reads the text once, unless offsets are in bytes.
    #[must_use]
    pub fn new(text: &'t str, encoding: OffsetEncoding) -> Self {
        let width: Option<fn(u8) -> usize> = match encoding {
            OffsetEncoding::Utf8 => None,
            _ if text.is_ascii() => None,
            OffsetEncoding::Codepoint => Some(codepoints),
            OffsetEncoding::Utf16 => Some(utf16_units),
        };
        let text = text.as_bytes();
        let units = width.map_or(Units::Bytes, |width| Units::Counted {
            width,
            units_before: counts(text, width),
        });
        Self { text, units }
    }

    /// Converts a byte range to the map's unit. `bytes` must be on character boundaries of the text; offsets beyond the
    /// text count as its end.
    #[must_use]
    pub fn convert(&self, bytes: Range<usize>) -> Range<usize> {
        self.position(bytes.start)..self.position(bytes.end)
    }

    fn position(&self, byte: usize) -> usize {
        let byte = byte.min(self.text.len());
        match &self.units {
            Units::Bytes => byte,
            Units::Counted {
                width,
                units_before,
            } => {
                let block = byte / BLOCK;
                let rest = &self.text[block * BLOCK..byte];
                units_before[block] + rest.iter().map(|&byte| width(byte)).sum::<usize>()
            }
        }
    }
}

/// The number of units before each block of the text, with one entry more than there are full blocks.
fn counts(text: &[u8], width: fn(u8) -> usize) -> Vec<usize> {
    let mut before = 0;
    let mut counts = Vec::with_capacity(text.len() / BLOCK + 1);
    counts.push(before);
    for block in text.chunks_exact(BLOCK) {
        before += block.iter().map(|&byte| width(byte)).sum::<usize>();
        counts.push(before);
    }
    counts
}

/// Number of code points that start at this byte: 0 for a continuation byte, `10xxxxxx`.
fn codepoints(byte: u8) -> usize {
    usize::from(byte & 0b1100_0000 != 0b1000_0000)
}

/// UTF-16 units of the code point that starts at this byte: two beyond the basic plane, where UTF-8 starts with
/// `11110xxx`.
fn utf16_units(byte: u8) -> usize {
    codepoints(byte) + usize::from(byte >= 0b1111_0000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Compares every character boundary of `text` with a count from the start.
    fn check(text: &str) {
        let boundaries: Vec<usize> = text
            .char_indices()
            .map(|(byte, _)| byte)
            .chain([text.len()])
            .collect();
        let expected = |encoding, byte: usize| match encoding {
            OffsetEncoding::Codepoint => text[..byte].chars().count(),
            OffsetEncoding::Utf8 => byte,
            OffsetEncoding::Utf16 => text[..byte].encode_utf16().count(),
        };
        for encoding in [
            OffsetEncoding::Codepoint,
            OffsetEncoding::Utf8,
            OffsetEncoding::Utf16,
        ] {
            let map = OffsetMap::new(text, encoding);
            for &byte in &boundaries {
                assert_eq!(
                    map.convert(byte..text.len()),
                    expected(encoding, byte)..expected(encoding, text.len()),
                    "{text:?} {encoding:?} at byte {byte}"
                );
            }
        }
    }

    #[test]
    fn counts_every_width() {
        check("");
        check("plain");
        check("e\u{301} é ß 東京 שלום \u{0} 👨‍👩‍👧‍👦 𝓍");
        check(&"a".repeat(BLOCK));
        check(&format!("{}é", "a".repeat(BLOCK - 1)));
        check(&"é".repeat(BLOCK));
        check(&"😀".repeat(3 * BLOCK));
    }

    #[test]
    fn beyond_the_text_is_its_end() {
        assert_eq!(
            OffsetMap::new("é", OffsetEncoding::Codepoint).convert(0..9),
            0..1
        );
        assert_eq!(
            OffsetMap::new("ab", OffsetEncoding::Utf16).convert(1..9),
            1..2
        );
    }

    #[test]
    fn names_as_the_interface_spells_them() {
        for (name, encoding) in [
            ("\"codepoint\"", OffsetEncoding::Codepoint),
            ("\"utf8\"", OffsetEncoding::Utf8),
            ("\"utf16\"", OffsetEncoding::Utf16),
        ] {
            assert_eq!(
                serde_json::from_str::<OffsetEncoding>(name).unwrap(),
                encoding
            );
        }
        assert_eq!(OffsetEncoding::default(), OffsetEncoding::Codepoint);
    }

    proptest! {
        #[test]
        fn agrees_with_a_count_from_the_start(text in any::<String>(), repeats in 1_usize..8) {
            check(&text.repeat(repeats));
        }
    }
}
