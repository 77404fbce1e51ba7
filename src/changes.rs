//! Decides when changed files of the configuration are to be loaded. Pure.

/// What was seen of files: loaded last, and at the last poll.
#[derive(Clone, Debug)]
pub struct Changes<S> {
    tried: S,
    before: S,
}

impl<S: Clone + PartialEq> Changes<S> {
    /// `loaded` is what the current configuration was made from.
    pub fn new(loaded: S) -> Self {
        Self {
            tried: loaded.clone(),
            before: loaded,
        }
    }

    /// Takes what a poll saw. Returns whether to load it: once, after it is unchanged across two polls. So a
    /// file is not loaded while it is written, nor a certificate before its key is written too.
    pub fn settle(&mut self, now: &S) -> bool {
        let is_new = *now == self.before && *now != self.tried;
        if is_new {
            self.tried = now.clone();
        }
        self.before = now.clone();
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_rests_is_loaded_once() {
        let mut changes = Changes::new('a');
        // Each poll, and whether it is loaded then.
        for (seen, expected) in [
            ('a', false),
            ('b', false),
            ('c', false),
            ('c', true),
            ('c', false),
            ('d', false),
            ('c', false),
            ('c', false),
            ('a', false),
            ('a', true),
        ] {
            assert_eq!(changes.settle(&seen), expected, "{seen}");
        }
    }
}
