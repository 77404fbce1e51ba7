//! CoNLL's columns: one word per line with its tag in the last column, and an empty line after each sentence.

use super::columns::ColumnOptions;
use super::data_error::DataError;
use super::tag_layout::{TagLayout, TagLine};

/// A sentence with one tag per word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedSentence {
    /// The first line of the sentence, counted from 1.
    pub line: usize,
    pub words: Vec<String>,
    /// One per word: `B-NP`, `I-NP`, `O`.
    pub tags: Vec<String>,
}

/// Parses the content of a file.
///
/// Columns are separated by tabs if every word's line has one, else by white space. Unless the options or a header say
/// otherwise, the word is in the first column, or in the second after word numbers, and the tag is in the last.
///
/// # Errors
/// For the first line that differs in form from the others, or if the options give a column by name.
pub fn read(text: &str, options: &ColumnOptions) -> Result<Vec<TaggedSentence>, DataError> {
    let layout = TagLayout::detect(text, options)?;
    let mut sentences: Vec<TaggedSentence> = Vec::new();
    let mut within = false;
    let mut width = layout.width.filter(|_| layout.tag_column.is_none());
    for (index, text) in text.lines().enumerate() {
        let line = TagLine::new(index, text, !within);
        if line.is_between() {
            within = false;
            // With one more column per predicate, as in CoNLL-2012, sentences differ in width.
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

/// Refuses numbers in place of words: they are sentence numbers, or word numbers from 0, of another program.
fn check_words(layout: &TagLayout<'_>, sentences: &[TaggedSentence]) -> Result<(), DataError> {
    let mut words = sentences.iter().flat_map(|sentence| &sentence.words);
    let is_number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
    match sentences.first() {
        Some(first) if layout.width > Some(2) && !layout.is_numbered && words.all(is_number) => {
            Err(DataError::at(
                first.line,
                format!(
                    "column {} contains only numbers; give the number of the column of words: --text-column 2",
                    layout.word_column + 1
                ),
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
