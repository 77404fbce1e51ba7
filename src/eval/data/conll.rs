//! CoNLL's columns: a word a line, its tag in the last column, an empty line after a sentence.

use super::columns::ColumnOptions;
use super::data_error::DataError;
use super::tag_layout::{Line, TagLayout};

/// A sentence with a tag a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedSentence {
    /// Where it starts in the file, counted from 1.
    pub line: usize,
    /// Its words.
    pub words: Vec<String>,
    /// As many tags: `B-NP`, `I-NP`, `O`.
    pub tags: Vec<String>,
}

/// Reads a file's text. Columns are separated by tabs where every word's line has one, else by white space; the word is in
/// the first, or the second after the words' numbers, and the tag in the last, if neither the options nor a header say
/// otherwise.
///
/// # Errors
/// The first line that is not as the others are, or options that name a column.
pub fn read(text: &str, options: &ColumnOptions) -> Result<Vec<TaggedSentence>, DataError> {
    let layout = TagLayout::detect(text, options)?;
    let mut sentences: Vec<TaggedSentence> = Vec::new();
    let mut within = false;
    let mut width = layout.width.filter(|_| layout.tag_column.is_none());
    for (index, text) in text.lines().enumerate() {
        let line = Line::new(index, text, !within);
        if line.is_between() {
            within = false;
            // With a column more for each predicate, as in CoNLL-2012, sentences are of different widths.
            if layout.tag_column.is_some() {
                width = None;
            }
            continue;
        }
        if layout.header == Some(line.number) || layout.is_comment(&line)? {
            continue;
        }
        let columns = layout.columns(text);
        if layout.is_beside_words(&columns) {
            continue;
        }
        layout.check_width(&line, columns.len(), &mut width)?;
        let (word, tag) = layout.word_and_tag(&line, &columns)?;
        match sentences.last_mut() {
            Some(sentence) if within => {
                sentence.words.push(word.to_owned());
                sentence.tags.push(tag.to_owned());
            }
            _ => sentences.push(TaggedSentence {
                line: line.number,
                words: vec![word.to_owned()],
                tags: vec![tag.to_owned()],
            }),
        }
        within = true;
    }
    if options.text.is_none() {
        check_words(&layout, &sentences)?;
    }
    Ok(sentences)
}

/// Numbers instead of words are what another program counted by: sentences, or words from 0.
fn check_words(layout: &TagLayout<'_>, sentences: &[TaggedSentence]) -> Result<(), DataError> {
    let mut words = sentences.iter().flat_map(|sentence| &sentence.words);
    let is_number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
    match sentences.first() {
        Some(first) if layout.width > Some(2) && !layout.is_numbered && words.all(is_number) => {
            Err(DataError::at(
                first.line,
                format!(
                    "column {} holds nothing but numbers; give the number of the column of words: --text-column 2",
                    layout.word_column + 1
                ),
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "conll_tests.rs"]
mod tests;
