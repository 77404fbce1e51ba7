//! CoNLL's columns: a word a line, its tag in the last column, an empty line after a sentence.

use std::collections::HashSet;

use super::DataError;
use super::columns::{Column, ColumnOptions, Separator};

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

/// Reads a file's text. Columns are separated by tabs where every word's line has one, else by white space; the word is in
/// the first and the tag in the last, if the options do not say otherwise.
///
/// # Errors
/// The first line that is not as the others are, or options that name a column.
pub fn read(text: &str, options: &ColumnOptions) -> Result<Vec<TaggedSentence>, DataError> {
    let layout = Layout::of(text, options)?;
    let mut sentences: Vec<TaggedSentence> = Vec::new();
    let mut within = false;
    let mut width = None;
    for (index, text) in text.lines().enumerate() {
        let line = Line {
            number: index + 1,
            text,
        };
        if line.is_between() {
            within = false;
            // With a column more for each predicate, as in CoNLL-2012, sentences are of different widths.
            if layout.tag_column.is_some() {
                width = None;
            }
            continue;
        }
        if !within && layout.is_comment(&line)? {
            continue;
        }
        let columns = layout.columns(text);
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
    Ok(sentences)
}

#[derive(Clone, Copy)]
struct Line<'t> {
    number: usize,
    text: &'t str,
}

impl Line<'_> {
    /// Whether it stands between sentences.
    fn is_between(&self) -> bool {
        let first = self.text.split_whitespace().next();
        first.is_none_or(|first| first == DOCUMENT_START)
    }

    fn wrong(&self, reason: String) -> DataError {
        DataError::at(self.number, reason)
    }
}

/// The lines of words that can't be comments: within a sentence, or without `#`.
fn certain_words(text: &str, comments: Option<bool>) -> Vec<&str> {
    let mut words = Vec::new();
    let mut within = false;
    for text in text.lines() {
        if (Line { number: 0, text }).is_between() {
            within = false;
        } else if within || comments == Some(false) || !text.starts_with('#') {
            within = true;
            words.push(text);
        }
    }
    words
}

/// How a file has its columns.
struct Layout<'t> {
    separator: Separator,
    word_column: usize,
    /// The last if `None`.
    tag_column: Option<usize>,
    comments: Option<bool>,
    /// Columns of the first line that is no comment.
    width: Option<usize>,
    /// The tags of lines that are no comments.
    tags: HashSet<&'t str>,
}

impl<'t> Layout<'t> {
    fn of(text: &'t str, options: &ColumnOptions) -> Result<Self, DataError> {
        let number = |column: &Option<Column>| match column {
            None => Ok(None),
            Some(Column::Number(number)) => Ok(Some(number.get() - 1)),
            Some(Column::Name(name)) => Err(DataError::at(
                1,
                format!(
                    "columns of words and tags have no names; give the number of `{name}`, as 1"
                ),
            )),
        };
        let words = certain_words(text, options.comments);
        let separator = options.separator.unwrap_or_else(|| {
            let has_tab = |line: &str| line.contains('\t');
            let have_tabs = if words.is_empty() {
                text.lines().all(has_tab)
            } else {
                words.iter().copied().all(has_tab)
            };
            if have_tabs {
                Separator::Tab
            } else {
                Separator::Spaces
            }
        });
        let mut layout = Self {
            separator,
            word_column: number(&options.text)?.unwrap_or(0),
            tag_column: number(&options.label)?,
            comments: options.comments,
            width: None,
            tags: HashSet::new(),
        };
        for line in words {
            let columns = layout.columns(line);
            layout.width.get_or_insert(columns.len());
            layout.tags.extend(layout.tag(&columns));
        }
        Ok(layout)
    }

    /// A line's columns, without empty ones at its end.
    fn columns<'l>(&self, line: &'l str) -> Vec<&'l str> {
        let cut = |separator: char| -> Vec<&'l str> {
            let cells = line.split(separator);
            cells.map(str::trim_ascii).collect()
        };
        let mut columns = match self.separator {
            Separator::Tab => cut('\t'),
            Separator::Character(separator) => cut(separator),
            // A no-break space is part of a word.
            Separator::Spaces => line.split_ascii_whitespace().collect(),
        };
        while columns.last().is_some_and(|column| column.is_empty()) {
            columns.pop();
        }
        columns
    }

    /// The tag's column of a line, if it has one beside the word's.
    fn tag<'l>(&self, columns: &[&'l str]) -> Option<&'l str> {
        match self.tag_column {
            Some(column) => columns.get(column).copied(),
            None => columns.get(1..)?.last().copied(),
        }
    }

    /// Whether a line at a sentence's start is a comment: `# text = …`, `# id … domain=en`. A word may begin with `#` as
    /// well, and then its line is like the others.
    fn is_comment(&self, line: &Line<'_>) -> Result<bool, DataError> {
        if !line.text.starts_with('#') {
            return Ok(false);
        }
        let Some(width) = self.width else {
            return Ok(self.comments.unwrap_or(line.text.contains(" = ")));
        };
        if let Some(are_comments) = self.comments {
            return Ok(are_comments);
        }
        let columns = self.columns(line.text);
        if line.text.contains(" = ") || columns.len() < width {
            return Ok(true);
        }
        match self.tag(&columns) {
            Some(tag) if self.tags.contains(tag) => Ok(false),
            Some(tag) if columns.len() == width && !tag.contains('=') => Err(line.wrong(format!(
                "it begins with `#`, and its tag would be `{tag}`, which no other line has; say by --comments on that such \
                 lines are comments, or by --comments off that they are words"
            ))),
            _ => Ok(true),
        }
    }

    /// A line of another width than those before it has a column too many or too few, and no one knows which. `width` is
    /// that of the lines before.
    fn check_width(
        &self,
        line: &Line<'_>,
        found: usize,
        width: &mut Option<usize>,
    ) -> Result<(), DataError> {
        // With tabs and the tag's column by its number, nothing can be cut wrongly.
        if self.tag_column.is_some() && self.separator != Separator::Spaces {
            return Ok(());
        }
        let wanted = *width.get_or_insert(found);
        if found == wanted || found < 2 {
            return Ok(());
        }
        let columns = self.separator.plural();
        Err(line.wrong(format!(
            "it has {found} columns, and lines before it have {wanted}; columns are separated by {columns} here, which \
             --separator changes"
        )))
    }

    fn word_and_tag<'l>(
        &self,
        line: &Line<'_>,
        columns: &[&'l str],
    ) -> Result<(&'l str, &'l str), DataError> {
        let word = columns.get(self.word_column).copied();
        match (word, self.tag(columns), columns.len()) {
            (Some(""), Some(_), _) => Err(line.wrong("its word is empty".to_owned())),
            (Some(_), Some(""), _) => Err(line.wrong("its tag is empty".to_owned())),
            (Some(word), Some(tag), 2..) => Ok((word, tag)),
            (_, _, count) => Err(line.wrong(format!(
                "it has {count} column{}; a line has a word and its tag, separated by {}, or is empty between sentences",
                if count == 1 { "" } else { "s" },
                self.separator.plural(),
            ))),
        }
    }
}

#[cfg(test)]
#[path = "conll_tests.rs"]
mod tests;
