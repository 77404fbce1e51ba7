//! Suggests the known name that is closest to a mistyped one.

/// A sentence with the closest of `names`, or with all of them if none is close.
pub fn suggestion<'a>(typed: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(typed, names.clone()) {
        Some(name) => format!("Did you mean `{name}`?"),
        None => format!(
            "The names are `{}`.",
            names.collect::<Vec<_>>().join("`, `")
        ),
    }
}

/// The closest of `names`, if it is close enough to be the intended one.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    closest(typed, names)
        // At most a third of the letters may differ; more make a different word.
        .filter(|(distance, name)| distance * 3 <= name.chars().count().max(3))
        .map(|(_, name)| name)
}

/// The closest of `names`, if its distance from `typed` is below `edits`.
pub fn nearer<'a>(
    typed: &str,
    names: impl Iterator<Item = &'a str>,
    edits: usize,
) -> Option<&'a str> {
    closest(typed, names)
        .filter(|(distance, _)| *distance < edits)
        .map(|(_, name)| name)
}

/// The closest of `names`, with its distance from `typed`.
fn closest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<(usize, &'a str)> {
    names
        .map(|name| (distance(typed, name), name))
        .min_by_key(|(distance, _)| *distance)
}

/// Levenshtein distance: insertions, deletions and replacements of characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    // Longer than any name, and not worth the quadratic time.
    if left.len() > 64 {
        return left.len();
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_listed() {
        let names = ["threshold", "text", "level"].into_iter();
        assert_eq!(
            suggestion("treshold", names.clone()),
            "Did you mean `threshold`?"
        );
        assert_eq!(suggestion("texts", names.clone()), "Did you mean `text`?");
        assert_eq!(
            suggestion("inputs", names.clone()),
            "The names are `threshold`, `text`, `level`."
        );
        assert_eq!(
            suggestion(&"x".repeat(1000), names),
            "The names are `threshold`, `text`, `level`."
        );
    }

    #[test]
    fn distance_counts_edits() {
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("größe", "grosse", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
