//! A request's priority, and the weight that it stands for.

use thiserror::Error;

/// A request's priority, from 1 (highest) to 5 (lowest). The default is 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

/// A priority outside 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("priority {0} is out of range: use a number from 1 (highest) to 5 (lowest)")]
pub struct InvalidPriority(pub u8);

impl Priority {
    pub const HIGHEST: Self = Self(1);
    pub const LOWEST: Self = Self(5);

    /// The priority as a number, 1 (highest) to 5 (lowest).
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// How much a request gets of what requests compete for: 4, 2, 1, 1/2 or 1/4. A request of the lowest priority gets
    /// a sixteenth of one of the highest, so it is slow, but never starves.
    #[must_use]
    pub fn weight(self) -> f64 {
        2_f64.powi(i32::from(Self::default().0) - i32::from(self.0))
    }
}

/// Who may send a priority other than the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PriorityAccess {
    #[default]
    Any,
    /// Whoever has a key of the scope `admin`. Without keys that is nobody.
    Admin,
}

impl Default for Priority {
    fn default() -> Self {
        Self(3)
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidPriority;

    fn try_from(number: u8) -> Result<Self, InvalidPriority> {
        if (Self::HIGHEST.0..=Self::LOWEST.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidPriority(number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_one_to_five() {
        for number in 0..=u8::MAX {
            match Priority::try_from(number) {
                Ok(priority) => assert_eq!((1..=5).contains(&number), priority.get() == number),
                Err(error) => {
                    assert!(!(1..=5).contains(&number));
                    assert!(error.to_string().contains("1 (highest) to 5 (lowest)"));
                }
            }
        }
        assert_eq!(Priority::default().get(), 3);
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "powers of two are exact")]
    fn weights_halve_from_one_to_the_next() {
        for (number, weight) in [(1, 4.0), (2, 2.0), (3, 1.0), (4, 0.5), (5, 0.25)] {
            assert_eq!(Priority::try_from(number).map(Priority::weight), Ok(weight));
        }
    }
}
