//! Tables of a text or a pair of texts with a label, separated by tabs or commas. Reads GLUE's files, and others by
//! their column names.

use std::borrow::Cow;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::str::FromStr;

use super::cells::{Row, Rows, are_quotes};
use super::data_error::DataError;
use crate::quote::{MOST_CHARACTERS, quoted};

/// A text or a pair of texts, with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledText {
    /// Counted from 1.
    pub line: usize,
    /// The text, or the first of a pair.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// The name or the number of a label, or a number for regression.
    pub label: String,
}

/// Which columns to read. Those not given are recognised by the column names of GLUE's files and other common ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnOptions {
    pub text: Option<Column>,
    /// The column of a pair's second text.
    pub pair: Option<Column>,
    pub label: Option<Column>,
    /// The first line is data, not a header.
    pub no_header: bool,
    /// Detected if `None`.
    pub separator: Option<Separator>,
    /// Whether quotes enclose a text or belong to it. Detected if `None`.
    pub quotes: Option<bool>,
    /// Whether a line that begins with `#` is a comment, where a sentence could start. Detected if `None`.
    pub comments: Option<bool>,
    /// The file's name ends in `.csv`.
    pub is_csv: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    Tab,
    /// Any number of spaces and tabs.
    Spaces,
    /// Another character, such as a comma.
    Character(char),
}

impl FromStr for Separator {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut characters = text.chars();
        match (text, characters.next(), characters.next()) {
            ("tab" | "\\t" | "\t", ..) => Ok(Self::Tab),
            ("space" | "spaces" | "whitespace" | " ", ..) => Ok(Self::Spaces),
            ("comma", ..) => Ok(Self::Character(',')),
            (_, Some(separator), None)
                if !separator.is_alphanumeric() && !matches!(separator, '"' | '\n' | '\r') =>
            {
                Ok(Self::Character(separator))
            }
            _ => Err("give tab, space, or a character such as , or ;"),
        }
    }
}

impl Separator {
    fn of(separator: char) -> Self {
        match separator {
            '\t' => Self::Tab,
            other => Self::Character(other),
        }
    }

    /// The plural of its name, for use in a sentence.
    #[must_use]
    pub fn plural(self) -> Cow<'static, str> {
        match self {
            Self::Tab => "tabs".into(),
            Self::Spaces => "white space".into(),
            Self::Character(',') => "commas".into(),
            Self::Character(separator) => format!("`{separator}`").into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// By its name in the header.
    Name(String),
    /// By its number, counted from 1 at the left.
    Number(NonZeroUsize),
}

impl FromStr for Column {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text
            .parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Number))
    }
}

/// Names of the text's column and of a second text's column. More specific names come first: MNLI, RTE and STS-B; QQP;
/// MRPC; QNLI; other files.
const TEXT_COLUMNS: [(&str, Option<&str>); 12] = [
    ("sentence1", Some("sentence2")),
    ("question1", Some("question2")),
    ("#1 String", Some("#2 String")),
    ("question", Some("sentence")),
    ("premise", Some("hypothesis")),
    ("query", Some("passage")),
    ("text", Some("text_pair")),
    ("sentence", None),
    ("text", None),
    ("content", None),
    ("review", None),
    ("question", None),
];

/// Names of the label's column: MNLI; most files; QQP; MRPC; STS-B.
const LABEL_COLUMNS: [&str; 6] = [
    "gold_label",
    "label",
    "is_duplicate",
    "Quality",
    "score",
    "similarity",
];

/// The label of lines on which the annotators of SNLI and MNLI did not agree. Such lines are not scored.
const NO_LABEL: &str = "-";

/// Indices of the columns, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    text: usize,
    pair: Option<usize>,
    label: usize,
    /// Lines before the first text.
    header: usize,
}

/// CoLA has no header. Its columns are source, label, the linguists' mark, and sentence.
const COLA: Places = Places {
    text: 3,
    pair: None,
    label: 1,
    header: 0,
};

/// Separators tried for files without tabs.
const OTHER_SEPARATORS: [char; 2] = [',', ';'];

/// The most column names that an error shows.
const NAMES_SHOWN: usize = 20;

/// A cell with more words than this is a text, not a name.
const WORDS_OF_A_NAME: usize = 4;

/// Parses the content of a file.
///
/// # Errors
/// If the columns are not recognised, or for the first row that lacks one of them, has more cells than the header, or
/// is badly quoted.
pub fn read(text: &str, options: &ColumnOptions) -> Result<Vec<LabelledText>, DataError> {
    let separator = separator(text, options)?;
    let quotes = options
        .quotes
        .unwrap_or_else(|| separator != '\t' || are_quotes(text, separator));
    let rows = Rows::new(text, separator, quotes);
    let Some(first) = rows.clone().next().transpose()? else {
        return Ok(Vec::new());
    };
    let between = Separator::of(separator).plural();
    let places =
        places(&first.cells, options, &between).map_err(|reason| DataError::at(1, reason))?;
    // Without a header, the first line defines the columns. With tabs, further columns may follow and are ignored.
    let width = (places.header > 0 || separator != '\t').then_some(first.cells.len());
    let mut is_unsure = options.quotes.is_none() && !quotes;
    if is_unsure && first.has_quoted_cell() {
        warn_of_quotes(&first);
        is_unsure = false;
    }
    let mut texts = Vec::new();
    for row in rows.skip(places.header) {
        let row = row?;
        if is_unsure && row.has_quoted_cell() {
            warn_of_quotes(&row);
            is_unsure = false;
        }
        if row.is_blank() {
            continue;
        }
        check_width(&row, width, &between)?;
        let cell = |place: usize| {
            let cell = row.cells.get(place).map(|cell| cell.clone().into_owned());
            cell.ok_or_else(|| {
                let (columns, wanted) = (row.cells.len(), place + 1);
                DataError::at(
                    row.line,
                    format!(
                        "it has {columns} cells, but column {wanted} is needed; columns are separated by {between}"
                    ),
                )
            })
        };
        let label = cell(places.label)?.trim().to_owned();
        if label == NO_LABEL {
            continue;
        }
        texts.push(LabelledText {
            line: row.line,
            text: cell(places.text)?,
            pair: places.pair.map(cell).transpose()?,
            label,
        });
    }
    Ok(texts)
}

/// Warns if quotes that are kept as text look like syntax.
fn warn_of_quotes(row: &Row<'_>) {
    tracing::warn!(
        line = row.line,
        "quotes around a text are kept as part of it; --quotes on removes them, --quotes off keeps them without this warning"
    );
}

/// Refuses a row with more cells than columns: its text contains the separator, so the rest of the text would be lost.
fn check_width(row: &Row<'_>, width: Option<usize>, between: &str) -> Result<(), DataError> {
    let columns = width.unwrap_or(row.cells.len());
    let mut beyond = row.cells.iter().skip(columns);
    if beyond.all(|cell| cell.trim().is_empty()) {
        return Ok(());
    }
    Err(DataError::at(
        row.line,
        format!(
            "it has {} columns, but the first line has {columns}; columns are separated by {between}, and a text that contains \
             one must be quoted",
            row.cells.len(),
        ),
    ))
}

/// Returns the separator of the options. Otherwise a tab if the first line has one, else the character that splits that
/// line into known column names. If none does: a semicolon or comma for CSV files, a tab for others.
fn separator(text: &str, options: &ColumnOptions) -> Result<char, DataError> {
    match options.separator {
        Some(Separator::Tab) => return Ok('\t'),
        Some(Separator::Character(separator)) => return Ok(separator),
        Some(Separator::Spaces) => {
            return Err(DataError::at(
                1,
                "texts contain spaces, so spaces can't separate them from labels; give a tab or another character",
            ));
        }
        None => {}
    }
    let first = text.lines().next().unwrap_or_default();
    if first.contains('\t') {
        return Ok('\t');
    }
    let fits = |separator: &char| {
        let Some(Ok(row)) = Rows::new(text, *separator, true).next() else {
            return false;
        };
        let width = row.cells.len();
        let has = |place: usize| place < width;
        !options.no_header
            && places(&row.cells, options, "")
                .is_ok_and(|found| has(found.text) && has(found.label) && width > 1)
    };
    let found = OTHER_SEPARATORS.into_iter().find(fits);
    Ok(found.unwrap_or_else(|| {
        let count = |separator: &char| first.matches(*separator).count();
        if !options.is_csv {
            '\t'
        } else if count(&';') > count(&',') {
            ';'
        } else {
            ','
        }
    }))
}

/// Finds the columns from the options and the first line.
fn places(
    first: &[Cow<'_, str>],
    options: &ColumnOptions,
    between: &str,
) -> Result<Places, String> {
    let named = |name: &str| {
        first
            .iter()
            .position(|cell| cell.trim().eq_ignore_ascii_case(name))
    };
    let place = |column: &Column| match column {
        Column::Number(number) => Ok(number.get() - 1),
        Column::Name(name) if options.no_header => Err(format!(
            "there is no header to find the column `{}` in; give its number",
            quoted(name)
        )),
        Column::Name(name) => named(name).ok_or_else(|| {
            format!(
                "there is no column `{}`; the first line has {}: {}",
                quoted(name),
                columns_of(first),
                names(first)
            )
        }),
    };
    let (text, pair, label) = (
        options.text.as_ref().map(place).transpose()?,
        options.pair.as_ref().map(place).transpose()?,
        options.label.as_ref().map(place).transpose()?,
    );
    let header = usize::from(!options.no_header);
    if let (Some(text), Some(label)) = (text, label) {
        return Ok(Places {
            text,
            pair,
            label,
            header,
        });
    }
    let is_said = options.no_header || options.text.is_some() || options.label.is_some();
    if !is_said && is_cola(first) {
        return Ok(COLA);
    }
    if options.no_header {
        return Err(
            "without a header, give the columns by number: --text-column 1 --label-column 2"
                .to_owned(),
        );
    }
    let unknown = |what: &str, flag: &str| {
        format!(
            "no known column has the {what}; name it with {flag}, or give numbers with --no-header. The first line has \
             {}, separated by {between}: {}",
            columns_of(first),
            names(first)
        )
    };
    let found_label = LABEL_COLUMNS.iter().find_map(|name| named(name));
    let label = label
        .or(found_label)
        .ok_or_else(|| unknown("label", "--label-column"))?;
    if let Some(text) = text {
        return Ok(Places {
            text,
            pair,
            label,
            header,
        });
    }
    let found = TEXT_COLUMNS.iter().find_map(|(text, second)| {
        let text = named(text)?;
        match second {
            Some(second) => Some((text, Some(named(second)?))),
            None => Some((text, None)),
        }
    });
    let (text, found_pair) = found.ok_or_else(|| unknown("text", "--text-column"))?;
    Ok(Places {
        text,
        pair: pair.or(found_pair),
        label,
        header,
    })
}

fn columns_of(first: &[Cow<'_, str>]) -> String {
    match first.len() {
        1 => "1 column".to_owned(),
        count => format!("{count} columns"),
    }
}

/// Lists column names for an error. A first line that is not a header holds data, which is not shown.
fn names(first: &[Cow<'_, str>]) -> String {
    let shown = first.iter().take(NAMES_SHOWN).map(|cell| {
        let characters = cell.chars().count();
        if characters > MOST_CHARACTERS || cell.split_whitespace().count() > WORDS_OF_A_NAME {
            Cow::Owned(format!("a text of {characters} characters"))
        } else {
            Cow::Borrowed(&**cell)
        }
    });
    let mut names = shown.collect::<Vec<_>>().join(", ");
    if first.len() > NAMES_SHOWN {
        names.push_str(", …");
    }
    names
}

fn is_cola(first: &[Cow<'_, str>]) -> bool {
    let [_, label, mark, _] = first else {
        return false;
    };
    matches!(&**label, "0" | "1") && matches!(&**mark, "" | "*")
}

#[cfg(test)]
mod tests;
