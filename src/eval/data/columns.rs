//! Tab-separated columns with a text, or a pair of them, and a label: GLUE's files, and others by their columns' names.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::str::FromStr;

use super::DataError;

/// A text or a pair of texts, and what was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledText {
    /// Where it stands in the file, counted from 1.
    pub line: usize,
    /// The text, or the first of a pair.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// A label's name or number, or a number for regression.
    pub label: String,
}

/// Which columns to read; those not given are recognised by the names that GLUE's files and others have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnOptions {
    /// The column of the text.
    pub text: Option<Column>,
    /// The column of a pair's second text.
    pub pair: Option<Column>,
    /// The column of the label.
    pub label: Option<Column>,
    /// The first line holds a text and not the columns' names.
    pub no_header: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// By its name in the first line.
    Name(String),
    /// By its number from the left, counted from 1.
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

/// Names of a text's column and of a second text's beside it, the more telling ones first: of MNLI, RTE and STS-B; QQP;
/// MRPC; QNLI; and what other files call them.
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

/// Names of a label's column: of MNLI; most; QQP; MRPC; STS-B.
const LABEL_COLUMNS: [&str; 6] = [
    "gold_label",
    "label",
    "is_duplicate",
    "Quality",
    "score",
    "similarity",
];

/// A label on which a file's annotators did not agree, in SNLI and MNLI: such lines are not scored.
const NO_LABEL: &str = "-";

/// Where the columns are, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    text: usize,
    pair: Option<usize>,
    label: usize,
    /// Lines before the first text.
    header: usize,
}

/// CoLA has no header: source, label, the linguists' mark, sentence.
const COLA: Places = Places {
    text: 3,
    pair: None,
    label: 1,
    header: 0,
};

/// Reads a file's text. Quotes mean nothing special, as in GLUE's files.
///
/// # Errors
/// Where the columns are not recognised, or the first line that lacks one of them.
pub fn read(text: &str, options: &ColumnOptions) -> Result<Vec<LabelledText>, DataError> {
    let Some(first) = text.lines().next() else {
        return Ok(Vec::new());
    };
    let places = places(&cells(first), options).map_err(|reason| DataError::at(1, reason))?;
    let mut texts = Vec::new();
    for (index, line) in text.lines().enumerate().skip(places.header) {
        if line.trim().is_empty() {
            continue;
        }
        let cells = cells(line);
        let cell = |place: usize| {
            cells
                .get(place)
                .map(|cell| (*cell).to_owned())
                .ok_or_else(|| {
                    let columns = cells.len();
                    let wanted = place + 1;
                    DataError::at(
                        index + 1,
                        format!("it has {columns} of the columns, and number {wanted} is wanted; columns are separated by tabs"),
                    )
                })
        };
        let label = cell(places.label)?.trim().to_owned();
        if label == NO_LABEL {
            continue;
        }
        texts.push(LabelledText {
            line: index + 1,
            text: cell(places.text)?,
            pair: places.pair.map(cell).transpose()?,
            label,
        });
    }
    Ok(texts)
}

fn cells(line: &str) -> Vec<&str> {
    line.split('\t').collect()
}

/// Finds the columns by the options and by the first line.
fn places(first: &[&str], options: &ColumnOptions) -> Result<Places, String> {
    let named = |name: &str| {
        first
            .iter()
            .position(|cell| cell.trim().eq_ignore_ascii_case(name))
    };
    let place = |column: &Column| match column {
        Column::Number(number) => Ok(number.get() - 1),
        Column::Name(name) if options.no_header => Err(format!(
            "there is no header to find the column `{name}` in; give its number"
        )),
        Column::Name(name) => named(name).ok_or_else(|| {
            format!(
                "there is no column `{name}`; the columns are: {}",
                first.join(", ")
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
    if options == &ColumnOptions::default() && is_cola(first) {
        return Ok(COLA);
    }
    if options.no_header {
        return Err(
            "without a header the columns are given by number: --text-column 1 --label-column 2"
                .to_owned(),
        );
    }
    let unknown = |what: &str, flag: &str| {
        format!(
            "no column is known to hold the {what}; name it by {flag}, or give numbers with --no-header. The columns, \
             separated by tabs, are: {}",
            first.join(", ")
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

fn is_cola(first: &[&str]) -> bool {
    matches!(first, [_, "0" | "1", "" | "*", _])
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
