//! CoNLL's columns: a word a line, its tag in the last column, an empty line after a sentence.

use super::DataError;
use super::columns::{Column, ColumnOptions};

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

/// What stands between documents instead of a sentence.
const DOCUMENT_START: &str = "-DOCSTART-";

/// Reads a file's text. Columns are separated by white space; the word is in the first and the tag in the last, if the
/// options do not say otherwise.
///
/// # Errors
/// The first line without both columns, or options that name a column.
pub fn read(text: &str, options: &ColumnOptions) -> Result<Vec<TaggedSentence>, DataError> {
    let number = |column: &Option<Column>| match column {
        None => Ok(None),
        Some(Column::Number(number)) => Ok(Some(number.get() - 1)),
        Some(Column::Name(name)) => Err(DataError::at(
            1,
            format!("columns of words and tags have no names; give the number of `{name}`, as 1"),
        )),
    };
    let (word_column, tag_column) = (number(&options.text)?, number(&options.label)?);
    let mut sentences: Vec<TaggedSentence> = Vec::new();
    let mut within = false;
    for (index, line) in text.lines().enumerate() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if columns.first().is_none_or(|first| *first == DOCUMENT_START) {
            within = false;
            continue;
        }
        let last = columns.len() - 1;
        let word = columns.get(word_column.unwrap_or(0));
        let tag = columns.get(tag_column.unwrap_or(last));
        let (Some(word), Some(tag), true) = (word, tag, last > 0) else {
            return Err(DataError::at(
                index + 1,
                format!(
                    "it has {} column{}; a line has a word and its tag, separated by white space, or is empty between \
                     sentences",
                    columns.len(),
                    if last == 0 { "" } else { "s" }
                ),
            ));
        };
        match sentences.last_mut() {
            Some(sentence) if within => {
                sentence.words.push((*word).to_owned());
                sentence.tags.push((*tag).to_owned());
            }
            _ => sentences.push(TaggedSentence {
                line: index + 1,
                words: vec![(*word).to_owned()],
                tags: vec![(*tag).to_owned()],
            }),
        }
        within = true;
    }
    Ok(sentences)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, options: &ColumnOptions) -> Vec<(usize, String, String)> {
        read(text, options)
            .unwrap()
            .into_iter()
            .map(|sentence| {
                (
                    sentence.line,
                    sentence.words.join(" "),
                    sentence.tags.join(" "),
                )
            })
            .collect()
    }

    #[test]
    fn sentences_end_at_empty_lines_and_documents() {
        let text = "-DOCSTART- -X- O O\n\nHe PRP B-NP\nran VBD B-VP\n \nYes\tUH\tO\n-DOCSTART- -X- O\nNo UH O";
        assert_eq!(
            words(text, &ColumnOptions::default()),
            [
                (3, "He ran".to_owned(), "B-NP B-VP".to_owned()),
                (6, "Yes".to_owned(), "O".to_owned()),
                (8, "No".to_owned(), "O".to_owned())
            ]
        );
        let options = ColumnOptions {
            text: Some("1".parse().unwrap()),
            label: Some("2".parse().unwrap()),
            ..ColumnOptions::default()
        };
        assert_eq!(words(text, &options)[0].2, "PRP VBD");
    }

    #[test]
    fn a_line_without_both_columns_is_named() {
        let error = read("He B-NP\nran\n", &ColumnOptions::default()).unwrap_err();
        assert!(
            error.to_string().starts_with("line 2: it has 1 column;"),
            "{error}"
        );
        let options = ColumnOptions {
            label: Some("4".parse().unwrap()),
            ..ColumnOptions::default()
        };
        assert!(
            read("He PRP B-NP\n", &options)
                .unwrap_err()
                .reason
                .contains("3 columns")
        );
        let named = ColumnOptions {
            label: Some("tag".parse().unwrap()),
            ..ColumnOptions::default()
        };
        assert!(
            read("He B-NP\n", &named)
                .unwrap_err()
                .reason
                .contains("`tag`")
        );
    }
}
