//! Converts gold labels to a model's terms.

use super::data::DataError;
use super::data::columns::LabelledText;
use crate::quote::quoted;

/// Parses the labels as numbers, for regression.
///
/// # Errors
/// For the first label that is not a number.
pub fn numbers(texts: &[LabelledText]) -> Result<Vec<f64>, DataError> {
    texts
        .iter()
        .map(|text| match text.label.parse() {
            Ok(number) if f64::is_finite(number) => Ok(number),
            _ => Err(DataError {
                line: text.line,
                reason: format!(
                    "the label `{}` is not a number, but the model gives numbers{}",
                    quoted(&text.label),
                    of_quotes(&text.label)
                ),
            }),
        })
        .collect()
}

/// Converts the labels to indices into the model's labels: by name, ignoring case, or by number. `names` are the data's
/// names, in the order of the model's `labels`.
///
/// # Errors
/// For the first label that the model does not have.
pub fn labels(
    texts: &[LabelledText],
    labels: &[String],
    names: &[String],
) -> Result<Vec<usize>, DataError> {
    let index = |label: &str| {
        let exact = names.iter().position(|name| name == label);
        let alike = || {
            names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(label))
        };
        let number = || label.parse().ok().filter(|number| *number < labels.len());
        exact.or_else(alike).or_else(number)
    };
    texts
        .iter()
        .map(|text| {
            index(&text.label).ok_or_else(|| DataError {
                line: text.line,
                reason: format!(
                    "`{}` is not one of the model's labels ({}), nor the number of one. If the data has other names for them, give \
                     these in the model's order: --labels NAME,NAME{}",
                    quoted(&text.label),
                    labels.join(", "),
                    of_quotes(&text.label)
                ),
            })
        })
        .collect()
}

/// Advice for a label that kept its quotes while its text lost them.
fn of_quotes(label: &str) -> &'static str {
    if label.len() > 1 && label.starts_with('"') && label.ends_with('"') {
        ". To remove quotes around cells, use --quotes on"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(labels: &[&str]) -> Vec<LabelledText> {
        labels
            .iter()
            .enumerate()
            .map(|(index, label)| LabelledText {
                line: index + 2,
                text: String::new(),
                pair: None,
                label: (*label).to_owned(),
            })
            .collect()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn labels_go_by_name_or_number() {
        let check = |model: &[&str], data: &[&str], said: &[&str], expected: &[usize]| {
            let found = labels(&texts(said), &names(model), &names(data));
            assert_eq!(found.as_deref(), Ok(expected), "{said:?}");
        };
        let sentiment = ["negative", "positive"];
        check(
            &sentiment,
            &sentiment,
            &["1", "0", "positive", "Negative"],
            &[1, 0, 1, 0],
        );
        // A label whose name is a number is matched by name, at any index.
        check(&["1", "0"], &["1", "0"], &["1", "0"], &[0, 1]);
        check(
            &["LABEL_0", "LABEL_1"],
            &["no", "yes"],
            &["yes", "no", "0"],
            &[1, 0, 0],
        );
        let error = labels(
            &texts(&["1", "neutral"]),
            &names(&sentiment),
            &names(&sentiment),
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("line 3: `neutral`") && error.contains("--labels"),
            "{error}"
        );
        assert!(labels(&texts(&["2"]), &names(&sentiment), &names(&sentiment)).is_err());
    }

    #[test]
    fn a_label_in_quotes_is_told_of_them_and_a_long_one_is_cut() {
        let sentiment = names(&["negative", "positive"]);
        let refused = |label: &str| {
            [
                labels(&texts(&[label]), &sentiment, &sentiment).map(|_| ()),
                numbers(&texts(&[label])).map(|_| ()),
            ]
            .map(|result| result.unwrap_err().reason)
        };
        for error in refused("\"1\"") {
            assert!(
                error.contains("`\"1\"`") && error.contains("--quotes on"),
                "{error}"
            );
        }
        for error in refused("\"") {
            assert!(!error.contains("--quotes"), "{error}");
        }
        for error in refused(&"x".repeat(300_000)) {
            assert!(
                error.contains("x…`") && error.chars().count() < 400,
                "{error}"
            );
        }
    }

    #[test]
    fn numbers_are_finite() {
        assert_eq!(numbers(&texts(&["2.5", "-1"])), Ok(vec![2.5, -1.0]));
        for wrong in ["high", "NaN", "inf", ""] {
            assert!(
                numbers(&texts(&["1", wrong]))
                    .unwrap_err()
                    .to_string()
                    .starts_with("line 3")
            );
        }
    }
}
