//! Detects the layout of a CoNLL file: its separator, the columns of words and tags, and the lines that are neither.

use std::collections::HashSet;

use super::columns::{Column, ColumnOptions, Separator};
use super::data_error::DataError;
use crate::quote::quoted;

/// Marks the start of a document, in place of a sentence.
const DOCUMENT_START: &str = "-DOCSTART-";

/// Common names of the column of words.
const WORD_NAMES: [&str; 6] = ["word", "words", "token", "tokens", "form", "text"];

/// Common names of the column of tags.
const TAG_NAMES: [&str; 16] = [
    "tag",
    "tags",
    "label",
    "labels",
    "ner",
    "ner_tag",
    "ner_tags",
    "pos",
    "pos_tag",
    "pos_tags",
    "chunk",
    "chunk_tag",
    "chunk_tags",
    "entity",
    "iob",
    "bio",
];

/// The layout of a file.
pub struct TagLayout<'t> {
    separator: Separator,
    /// Counted from 0, as is the tag's column.
    pub word_column: usize,
    /// The last column if `None`.
    pub tag_column: Option<usize>,
    /// The first column numbers the words of a sentence.
    pub is_numbered: bool,
    /// The line of the header.
    pub header: Option<usize>,
    comments: Option<bool>,
    /// The number of columns in the first line that is not a comment.
    pub width: Option<usize>,
    /// The tags of all lines that are not comments.
    tags: HashSet<&'t str>,
}

impl<'t> TagLayout<'t> {
    /// Detects what the options leave open, from the lines that are certainly words.
    pub fn detect(text: &'t str, options: &ColumnOptions) -> Result<Self, DataError> {
        let numbers = ColumnNumbers::from_options(options)?;
        let (header, named) = match header(text, options.separator, numbers) {
            Some((line, column)) => (Some(line), Some(column)),
            None => (None, None),
        };
        let words = certain_words(text, options.comments, header);
        let separator = options.separator.unwrap_or_else(|| {
            let have_tabs = if words.is_empty() {
                text.lines().all(|line| line.contains('\t'))
            } else {
                words.iter().all(|line| line.text.contains('\t'))
            };
            if have_tabs {
                Separator::Tab
            } else {
                Separator::Spaces
            }
        });
        let said = numbers.word.or(named);
        let is_numbered = said != Some(0) && are_numbered(&words, separator);
        let mut layout = Self {
            separator,
            word_column: said.unwrap_or(usize::from(is_numbered)),
            tag_column: numbers.tag,
            is_numbered,
            header,
            comments: options.comments,
            width: None,
            tags: HashSet::new(),
        };
        let is_word = |line: &&TagLine<'_>| {
            !line.text.starts_with('#') && !layout.is_beside_words(&layout.columns(line.text))
        };
        let certain = words.iter().find(is_word);
        let certain = certain.or(words.first());
        layout.width = certain.map(|line| layout.columns(line.text).len());
        for line in words {
            let columns = layout.columns(line.text);
            layout.tags.extend(layout.tag(&columns));
        }
        Ok(layout)
    }

    pub fn columns<'l>(&self, line: &'l str) -> Vec<&'l str> {
        cut(line, self.separator)
    }

    fn tag<'l>(&self, columns: &[&'l str]) -> Option<&'l str> {
        let numbers = ColumnNumbers {
            word: Some(self.word_column),
            tag: self.tag_column,
        };
        numbers.tag_of(columns)
    }

    /// Whether lines may have any number of columns. With tabs and the number of the tag's column, no line can be split
    /// wrongly.
    fn has_any_width(&self) -> bool {
        self.tag_column.is_some() && self.separator != Separator::Spaces
    }

    /// Whether a line is a multiword token or an empty node.
    pub fn is_beside_words(&self, columns: &[&str]) -> bool {
        let first = columns.first();
        self.is_numbered && first.is_some_and(|cell| is_beside_words(cell))
    }

    /// Whether a line at a sentence's start is a comment: `# text = …`, `# id … domain=en`. A word may begin with `#`
    /// too, but then its line has the form of the others.
    pub fn is_comment(&self, line: &TagLine<'_>) -> Result<bool, DataError> {
        if !line.starts || !line.text.starts_with('#') {
            return Ok(false);
        }
        if let Some(are_comments) = self.comments {
            return Ok(are_comments);
        }
        let holds_value = line.text.contains(" = ");
        let Some(width) = self.width else {
            return Ok(holds_value);
        };
        let columns = self.columns(line.text);
        // If words are numbered, no word's line begins with `#`.
        if self.is_numbered || holds_value || columns.len() < width {
            return Ok(true);
        }
        let Some(tag) = self.tag(&columns) else {
            return Ok(true);
        };
        let fits = columns.len() == width || self.has_any_width();
        if fits && self.tags.contains(tag) {
            return Ok(false);
        }
        if columns.last().is_some_and(|last| last.contains('=')) {
            return Ok(true);
        }
        let unlike = if fits {
            format!(
                "its tag would be `{}`, which no other line has",
                quoted(tag)
            )
        } else {
            format!(
                "it has {} columns where other lines have {width}",
                columns.len()
            )
        };
        Err(line.wrong(format!(
            "it begins with `#`, but {unlike}; use --comments on if such lines are comments, or --comments off \
             if they are words"
        )))
    }

    /// Refuses a line that has a column more or fewer than the others, since it is unclear which one. `width` is that
    /// of the lines before.
    pub fn check_width(
        &self,
        line: &TagLine<'_>,
        found: usize,
        width: &mut Option<usize>,
    ) -> Result<(), DataError> {
        if self.has_any_width() {
            return Ok(());
        }
        let wanted = *width.get_or_insert(found);
        if found == wanted || found < 2 {
            return Ok(());
        }
        let columns = self.separator.plural();
        let comment = if line.starts && line.text.starts_with('#') {
            "; if it is a comment, use --comments on"
        } else {
            ""
        };
        Err(line.wrong(format!(
            "it has {found} columns, but the lines of other words have {wanted}; columns are separated by {columns} here, \
             which --separator changes{comment}"
        )))
    }

    /// The word and its tag, from a line's cells.
    pub fn word_and_tag<'l>(
        &self,
        line: &TagLine<'_>,
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

#[derive(Clone, Copy)]
pub struct TagLine<'t> {
    pub number: usize,
    pub text: &'t str,
    /// No word of its sentence comes before it.
    pub starts: bool,
}

impl<'t> TagLine<'t> {
    /// `index` is counted from 0.
    pub fn new(index: usize, text: &'t str, starts: bool) -> Self {
        Self {
            number: index + 1,
            text,
            starts,
        }
    }

    /// Whether the line separates sentences.
    pub fn is_between(&self) -> bool {
        let first = self.text.split_whitespace().next();
        first.is_none_or(|first| first == DOCUMENT_START)
    }

    fn wrong(&self, reason: String) -> DataError {
        DataError::at(self.number, reason)
    }
}

/// The lines of words that can't be comments: within a sentence, or without `#`. The header is not included.
fn certain_words(text: &str, comments: Option<bool>, header: Option<usize>) -> Vec<TagLine<'_>> {
    let mut words = Vec::new();
    let mut within = false;
    for (index, text) in text.lines().enumerate() {
        let line = TagLine::new(index, text, !within);
        if line.is_between() {
            within = false;
        } else if header != Some(line.number)
            && (within || comments == Some(false) || !text.starts_with('#'))
        {
            within = true;
            words.push(line);
        }
    }
    words
}

/// Splits a line into its columns, without trailing empty ones.
fn cut(line: &str, separator: Separator) -> Vec<&str> {
    let cells = |separator: char| -> Vec<&str> {
        let cells = line.split(separator);
        cells.map(str::trim_ascii).collect()
    };
    let mut columns = match separator {
        Separator::Tab => cells('\t'),
        Separator::Character(separator) => cells(separator),
        // A no-break space is part of a word.
        Separator::Spaces => line.split_ascii_whitespace().collect(),
    };
    while columns.last().is_some_and(|column| column.is_empty()) {
        columns.pop();
    }
    columns
}

/// The columns of words and tags, if the options give them.
#[derive(Clone, Copy)]
struct ColumnNumbers {
    word: Option<usize>,
    /// The last column if `None`.
    tag: Option<usize>,
}

impl ColumnNumbers {
    fn from_options(options: &ColumnOptions) -> Result<Self, DataError> {
        let number = |column: &Option<Column>| match column {
            None => Ok(None),
            Some(Column::Number(number)) => Ok(Some(number.get() - 1)),
            Some(Column::Name(name)) => Err(DataError::at(
                1,
                format!(
                    "columns of words and tags have no names; give the number of `{}`, such as 1",
                    quoted(name)
                ),
            )),
        };
        Ok(Self {
            word: number(&options.text)?,
            tag: number(&options.label)?,
        })
    }

    /// The tag's cell, if the line has one that is not the word's.
    fn tag_of<'l>(self, columns: &[&'l str]) -> Option<&'l str> {
        match self.tag {
            Some(column) => columns.get(column).copied(),
            None => columns.get(1..)?.last().copied(),
        }
    }

    /// If these cells are a header, returns its column of words. A header names the tag's column too.
    fn named_by(self, cells: &[&str]) -> Option<usize> {
        let is_one_of = |cell: &str, names: &[&str]| {
            names
                .iter()
                .any(|name| cell.trim_matches('"').eq_ignore_ascii_case(name))
        };
        if !is_one_of(self.tag_of(cells)?, &TAG_NAMES) {
            return None;
        }
        let is_word = |column: &usize| {
            cells
                .get(*column)
                .is_some_and(|cell| is_one_of(cell, &WORD_NAMES))
        };
        match self.word {
            Some(column) => Some(column).filter(is_word),
            None => (0..cells.len()).find(is_word),
        }
    }
}

/// Whether the first cell of a line does not number a word: the range of a multiword token, `2-3`, or an empty node,
/// `3.1`.
fn is_beside_words(cell: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = cell.split_once('-').or_else(|| cell.split_once('.'));
    parts.is_some_and(|(from, to)| is_number(from) && is_number(to))
}

/// Whether the first column counts the words of each sentence from 1, as in CoNLL-U, with a word and its tag after it.
fn are_numbered(lines: &[TagLine<'_>], separator: Separator) -> bool {
    let mut next = 1;
    let mut any = false;
    for line in lines {
        if line.starts {
            next = 1;
        }
        let cells = cut(line.text, separator);
        match cells.first() {
            Some(cell) if is_beside_words(cell) => {}
            Some(cell) if cell.parse() == Ok(next) && cells.len() > 2 => {
                next += 1;
                any = true;
            }
            _ => return false,
        }
    }
    any
}

/// If the first line is a header, returns its line and its column of words.
fn header(
    text: &str,
    separator: Option<Separator>,
    numbers: ColumnNumbers,
) -> Option<(usize, usize)> {
    let lines = text.lines().enumerate();
    let lines = lines.map(|(index, text)| TagLine::new(index, text, true));
    let mut of_words = lines.filter(|line| !line.is_between() && !line.text.starts_with('#'));
    let first = of_words.next()?;
    let separator = separator.unwrap_or(if first.text.contains('\t') {
        Separator::Tab
    } else {
        Separator::Spaces
    });
    let column = numbers.named_by(&cut(first.text, separator))?;
    Some((first.number, column))
}
