//! Rows of cells: splits lines at a separator, where a cell may be quoted.
//!
//! This parser is our own because existing crates guess at the meaning of a badly quoted cell. Here, whether all cells
//! are well quoted decides whether quotes are syntax at all.

use std::borrow::Cow;

use super::data_error::DataError;

/// Lines searched for quotes before deciding whether quotes are syntax or text.
const LINES_LOOKED_AT: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'t> {
    /// The first line of the row, counted from 1.
    pub line: usize,
    pub cells: Vec<Cow<'t, str>>,
    quoted: QuotedCell,
}

/// Which cells of a row are quoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct QuotedCell {
    /// At least one cell.
    any: bool,
    /// Every cell.
    all: bool,
    /// A cell contains a quote, within one line and within one column of the unquoted reading.
    doubled: bool,
}

impl Row<'_> {
    /// Whether the row holds only white space.
    pub fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.trim().is_empty())
    }

    /// Whether a cell of a row read without quoting would be well quoted: it begins and ends with a quote, and quotes
    /// within it are doubled.
    pub fn has_quoted_cell(&self) -> bool {
        self.cells.iter().any(|cell| {
            let between = cell
                .strip_prefix('"')
                .and_then(|cell| cell.strip_suffix('"'));
            between.is_some_and(|between| !between.replace("\"\"", "").contains('"'))
        })
    }
}

/// Iterates over the rows of a text, up to the first badly quoted one.
#[derive(Clone, Debug)]
pub struct Rows<'t> {
    rest: &'t str,
    line: usize,
    separator: char,
    quotes: bool,
}

impl<'t> Rows<'t> {
    /// Splits a text at line ends and separators. `quotes` says whether a quote at a cell's start opens a quoted cell.
    pub fn new(text: &'t str, separator: char, quotes: bool) -> Self {
        Self {
            rest: text,
            line: 1,
            separator,
            quotes,
        }
    }

    /// Consumes a cell, and tells whether it was quoted.
    fn cell(&mut self) -> Result<(Cow<'t, str>, bool), DataError> {
        match self.rest.strip_prefix('"') {
            Some(rest) if self.quotes => Ok((self.quoted_cell(rest)?, true)),
            _ => {
                let end = self.rest.find([self.separator, '\n']);
                let (cell, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                let is_last = !rest.starts_with(self.separator);
                let cell = if is_last {
                    cell.strip_suffix('\r').unwrap_or(cell)
                } else {
                    cell
                };
                Ok((Cow::Borrowed(cell), false))
            }
        }
    }

    /// Consumes a cell after its opening quote, up to the closing one.
    fn quoted_cell(&mut self, text: &'t str) -> Result<Cow<'t, str>, DataError> {
        let wrong = |reason: &str| {
            DataError::at(
                self.line,
                format!(
                    "{reason}; a quote within a quoted cell is doubled, and with --quotes off quotes are letters"
                ),
            )
        };
        let mut from = 0;
        let end = loop {
            let Some(quote) = text[from..].find('"') else {
                return Err(wrong("the quote before a cell is not closed"));
            };
            let quote = from + quote;
            if !text[quote + 1..].starts_with('"') {
                break quote;
            }
            from = quote + 2;
        };
        let rest = &text[end + 1..];
        let ends = rest.is_empty()
            || rest.starts_with([self.separator, '\n'])
            || rest.starts_with("\r\n")
            || rest == "\r";
        if !ends {
            return Err(wrong("something follows the quote after a cell"));
        }
        self.rest = rest.strip_prefix('\r').unwrap_or(rest);
        let cell = &text[..end];
        Ok(if cell.contains('"') {
            Cow::Owned(cell.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(cell)
        })
    }

    fn row(&mut self) -> Result<Row<'t>, DataError> {
        let (before, line) = (self.rest, self.line);
        let mut cells = Vec::new();
        let mut quoted = QuotedCell {
            all: true,
            ..QuotedCell::default()
        };
        loop {
            let (cell, in_quotes) = self.cell()?;
            quoted.any |= in_quotes;
            quoted.all &= in_quotes;
            quoted.doubled |=
                in_quotes && cell.contains('"') && !cell.contains([self.separator, '\n']);
            cells.push(cell);
            match self.rest.strip_prefix(self.separator) {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        self.rest = self.rest.strip_prefix('\n').unwrap_or(self.rest);
        let row = &before[..before.len() - self.rest.len()];
        self.line += row.matches('\n').count();
        Ok(Row {
            line,
            cells,
            quoted,
        })
    }
}

impl<'t> Iterator for Rows<'t> {
    type Item = Result<Row<'t>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let row = self.row();
        if row.is_err() {
            self.rest = "";
        }
        Some(row)
    }
}

/// Whether quotes in a text are syntax, as pandas and spreadsheets write them, or letters, as in GLUE's files.
///
/// They are syntax if every cell that begins with a quote is well quoted and all rows then have as many cells as the
/// first. This must not be chance, so one of the following must hold too: the whole header is quoted, a cell contains a
/// doubled quote, or the rows differ in width when read without quoting. In a file where quotes are letters, a quote
/// that opens in one line may well close in another.
pub fn are_quotes(text: &str, separator: char) -> bool {
    let mut width = None;
    let (mut any, mut certain) = (false, false);
    let mut end = usize::MAX;
    for row in Rows::new(text, separator, true) {
        let Ok(row) = row else {
            return false;
        };
        // If the first lines contain a quote, they decide.
        if row.line > LINES_LOOKED_AT && any {
            end = row.line;
            break;
        }
        if row.is_blank() {
            continue;
        }
        certain |= row.quoted.doubled || (width.is_none() && row.quoted.all);
        any |= row.quoted.any;
        if *width.get_or_insert(row.cells.len()) != row.cells.len() {
            return false;
        }
    }
    let mut lines = Rows::new(text, separator, false)
        .filter_map(Result::ok)
        .take_while(|row| row.line < end)
        .filter(|row| !row.is_blank());
    certain || (any && lines.any(|row| Some(row.cells.len()) != width))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, separator: char, quotes: bool) -> Vec<(usize, Vec<String>)> {
        let cells = |row: Row<'_>| row.cells.into_iter().map(Cow::into_owned).collect();
        Rows::new(text, separator, quotes)
            .map(|row| row.unwrap_or_else(|error| panic!("{text}: {error}")))
            .map(|row| (row.line, cells(row)))
            .collect()
    }

    fn row(line: usize, cells: &[&str]) -> (usize, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn quotes_hold_a_cell_together_or_are_letters() {
        let text = "a\tb\r\n\"say \"\"no\"\"\tor\nnot\"\t1\r\n\n\"\"\tx \"y\"\r\n";
        assert_eq!(
            rows(text, '\t', true),
            [
                row(1, &["a", "b"]),
                row(2, &["say \"no\"\tor\nnot", "1"]),
                row(4, &[""]),
                row(5, &["", "x \"y\""])
            ]
        );
        assert_eq!(
            rows("\"a\"\"\t,\n1", ',', false),
            [row(1, &["\"a\"\"\t", ""]), row(2, &["1"])]
        );
        assert_eq!(rows("\"a, b\",c", ',', true), [row(1, &["a, b", "c"])]);
        assert_eq!(rows("a\r", ',', true), [row(1, &["a"])]);
        assert_eq!(rows("a,\"b\"\r", ',', true), [row(1, &["a", "b"])]);
        assert_eq!(rows("", ',', true), []);
    }

    #[test]
    fn a_cell_that_would_be_well_quoted_is_found() {
        for (text, expected) in [
            ("\"a\",1", true),
            ("1,\"\"", true),
            ("\"a \"\"b\"\"\",1", true),
            ("\"a\" b,1", false),
            ("\"a\" or \"b\",1", false),
            ("\"\"a\"\" b,1", false),
            ("\",1", false),
            ("a,1", false),
        ] {
            let row = Rows::new(text, ',', false).next().unwrap().unwrap();
            assert_eq!(row.has_quoted_cell(), expected, "{text}");
        }
    }

    #[test]
    fn a_badly_quoted_cell_ends_the_rows_with_its_line() {
        for (text, reason) in [
            ("a\tb\n\"x\" y\t1\nc\td\n", "something follows"),
            ("a\tb\n\"x\t1\nc\td\n", "not closed"),
        ] {
            let found: Vec<_> = Rows::new(text, '\t', true).collect();
            assert_eq!(found.len(), 2);
            let error = found[1].as_ref().unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.reason.contains(reason), "{error}");
        }
    }

    #[test]
    fn quotes_are_what_makes_all_rows_right() {
        let check =
            |text: &str, expected: bool| assert_eq!(are_quotes(text, '\t'), expected, "{text}");
        // As pandas writes them: quoting where needed, everywhere, or around texts.
        check("text\tlabel\n\"He said \"\"no\"\" and left\"\t1\n", true);
        check("text\tlabel\n\"a\tb\"\t1\n", true);
        check("text\tlabel\n\"a\nb\"\t1\n", true);
        check("\"text\"\t\"label\"\n\"a\"\t1\n", true);
        check("\"text\"\t\"label\"\n\"a\" b\t1\n", false);
        // As in GLUE's files.
        check("text\tlabel\n\"fine\" it is\t1\n", false);
        check("text\tlabel\n\"fine\"\t1\n", false);
        check("text\tlabel\na \"\"fine\"\" film\t1\n", false);
        check("text\tlabel\n\"\"fine\"\" film\t1\n", false);
        check(
            "text\tlabel\n\"a \"\"b\"\"\"\t1\n\"so\" he said\t0\n",
            false,
        );
        check("text\tlabel\n\"open\t1\nb\t0\nclosed\"\t1\n", false);
        check("text\tlabel\n\"the \"\"open\t1\nclosed\"\t1\n", false);
        check("text\tlabel\nplain\t1\n", false);
        check("", false);
    }

    #[test]
    fn the_first_lines_decide_or_the_first_quote_after_them() {
        let plain = "plain\t1\n".repeat(300);
        let quoted = "\"a \"\"b\"\"\"\t1\n";
        let check = |text: &str, expected: bool| assert_eq!(are_quotes(text, '\t'), expected);
        check(&format!("{plain}{quoted}"), true);
        check(&format!("{quoted}{plain}\"so\" he said\t1\n"), true);
        check(&format!("\"fine\"\t1\n{plain}{quoted}"), false);
    }
}
