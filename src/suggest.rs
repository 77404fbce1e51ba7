//! Finds the name someone probably meant.

/// A sentence that names the nearest of the names, or all of them where none is near.
pub fn suggestion<'a>(typed: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(typed, names.clone()) {
        Some(name) => format!("Did you mean `{name}`?"),
        None => format!(
            "The names are `{}`.",
            names.collect::<Vec<_>>().join("`, `")
        ),
    }
}

/// The nearest of the names, if it is near enough to be meant.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    closest(typed, names)
        // A third of the letters may differ: more is another word.
        .filter(|(distance, name)| distance * 3 <= name.chars().count().max(3))
        .map(|(_, name)| name)
}

/// The nearest name within fewer than `limit` edits of the typed one.
pub fn nearer<'a>(
    typed: &str,
    names: impl Iterator<Item = &'a str>,
    edits: usize,
) -> Option<&'a str> {
    closest(typed, names)
        .filter(|(distance, _)| *distance < edits)
        .map(|(_, name)| name)
}

/// The name with the least distance to what was typed, and that distance.
fn closest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<(usize, &'a str)> {
    names
        .map(|name| (distance(typed, name), name))
        .min_by_key(|(distance, _)| *distance)
}

/// The Levenshtein distance, in characters.
fn distance(left: &str, right: &str) -> usize {
    // Longer than any name: far from all of them, and not worth the quadratic time.
    if left.len() > 64 {
        left.len()
    } else {
        strsim::levenshtein(left, right)
    }
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
