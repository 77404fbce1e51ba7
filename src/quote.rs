//! Limits the parts of a request that an error may quote: names, keys and values of enumerations, truncated; never a
//! text.

use std::fmt;

/// Maximum number of characters of a request that an error quotes.
pub const MOST_CHARACTERS: usize = 100;

/// Displays at most [`MOST_CHARACTERS`] of a name, followed by `…` if it is longer.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(&'a str);

/// Quotes part of a request. Every error that quotes a client's input does so through this function.
#[must_use]
pub fn quoted(sent: &str) -> Quoted<'_> {
    Quoted(sent)
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => write!(formatter, "{}…", &self.0[..end]),
            None => formatter.write_str(self.0),
        }
    }
}

/// Quotes a list of numbers, such as a tensor's shape, truncated like a name.
#[must_use]
pub fn quoted_numbers(sent: &[i64]) -> String {
    let first = &sent[..sent.len().min(MOST_CHARACTERS)];
    quoted(&format!("{first:?}")).to_string()
}

/// Truncates what a library's message quotes, from the first backtick to the last.
#[must_use]
pub fn cut_quotation(sentence: &str) -> String {
    let parts = sentence.split_once('`').and_then(|(before, rest)| {
        let (quotation, after) = rest.rsplit_once('`')?;
        Some((before, quotation, after))
    });
    match parts {
        Some((before, quotation, after)) => format!("{before}`{}`{after}", quoted(quotation)),
        None => sentence.to_owned(),
    }
}

/// Removes quoted strings from serde's messages, because they may be texts. Numbers and names are truncated.
#[must_use]
pub fn without_texts(reason: &str) -> String {
    let (found, expected) = match reason.rsplit_once(", expected ") {
        Some((found, expected)) => (found, Some(expected)),
        None => (reason, None),
    };
    let found = match found.split_once(": string \"") {
        Some((kind, _)) if kind.starts_with("invalid ") => format!("{kind}: a string"),
        _ => cut_quotation(found),
    };
    match expected {
        // serde's message for an enum; this project's are all strings.
        Some("string or map") => format!("{found}, expected a string"),
        Some(expected) => format!("{found}, expected {expected}"),
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(quoted("threshold").to_string(), "threshold");
        let longest = "é".repeat(MOST_CHARACTERS);
        assert_eq!(quoted(&longest).to_string(), longest);
        assert_eq!(
            quoted(&format!("{longest}é")).to_string(),
            format!("{longest}…")
        );
    }

    #[test]
    fn long_lists_of_numbers_are_cut() {
        assert_eq!(quoted_numbers(&[2, -1]), "[2, -1]");
        let cut = quoted_numbers(&[1; 1000]);
        assert!(cut.starts_with("[1, 1, ") && cut.ends_with('…'), "{cut}");
        assert_eq!(cut.chars().count(), MOST_CHARACTERS + 1);
    }

    #[test]
    fn quotations_in_sentences_are_cut() {
        let sentence = |name: &str| format!("`{name}` isn't supported");
        let long = "a`b".repeat(50);
        assert_eq!(
            cut_quotation(&sentence(&long)),
            sentence(&format!("{}…", &long[..MOST_CHARACTERS]))
        );
        assert_eq!(cut_quotation(&sentence("br")), sentence("br"));
        assert_eq!(cut_quotation("one ` alone"), "one ` alone");
    }
}
