//! Lengths of a load's sequences: named and uniform distributions. Pure: takes a random number, returns a length.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

/// Intervals between the quantiles of a table.
const STEPS: usize = 20;

/// Token counts of the 872 sentences in SST-2's validation set: the minimum, every 5% quantile, and the maximum. Uses
/// the uncased vocabulary of BERT and ELECTRA, and includes special tokens. The mean is 25.5.
const SST2: [usize; STEPS + 1] = [
    4, 10, 12, 14, 16, 18, 19, 20, 22, 23, 25, 26, 27, 29, 31, 32, 35, 37, 40, 44, 60,
];

/// The same for 265 questions with their paragraphs, from 12 articles of the English part of `XQuAD`, which is a part
/// of SQuAD's validation set. The mean is 172.8.
const SQUAD: [usize; STEPS + 1] = [
    106, 113, 120, 124, 128, 134, 139, 142, 145, 150, 152, 158, 165, 179, 186, 196, 207, 220, 250,
    311, 367,
];

/// The distribution of sequence lengths in tokens, special tokens included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// Single sentences of film reviews, as in SST-2.
    Sst2,
    /// Questions with the paragraphs that answer them, as in SQuAD.
    Squad,
    /// All lengths of a range, with equal probability.
    Uniform {
        /// The minimum, at most `longest`.
        shortest: usize,
        /// The maximum.
        longest: usize,
    },
}

impl Default for Lengths {
    fn default() -> Self {
        Self::Uniform {
            shortest: 5,
            longest: 128,
        }
    }
}

impl Lengths {
    pub fn draw(self, random: &mut Rng) -> usize {
        match self {
            Self::Sst2 => between_quantiles(&SST2, random),
            Self::Squad => between_quantiles(&SQUAD, random),
            Self::Uniform { shortest, longest } => random.usize(shortest..=longest),
        }
    }

    /// The shortest and the longest length that can be drawn.
    #[must_use]
    pub fn bounds(self) -> (usize, usize) {
        match self {
            Self::Sst2 => (SST2[0], SST2[STEPS]),
            Self::Squad => (SQUAD[0], SQUAD[STEPS]),
            Self::Uniform { shortest, longest } => (shortest, longest),
        }
    }
}

/// Picks an interval between neighbouring quantiles, each equally likely, then a length from it, uniformly.
fn between_quantiles(quantiles: &[usize; STEPS + 1], random: &mut Rng) -> usize {
    let step = random.usize(..STEPS);
    random.usize(quantiles[step]..=quantiles[step + 1])
}

impl FromStr for Lengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a distribution of lengths; give sst2, squad, or uniform:A-B with the \
                 minimum and maximum tokens of a sequence, such as uniform:5-128"
            )
        };
        match text {
            "sst2" => return Ok(Self::Sst2),
            "squad" => return Ok(Self::Squad),
            _ => {}
        }
        let range = text.strip_prefix("uniform:").ok_or_else(wrong)?;
        let (shortest, longest) = range.split_once('-').ok_or_else(wrong)?;
        let shortest = shortest.parse().map_err(|_| wrong())?;
        let longest = longest.parse().map_err(|_| wrong())?;
        if shortest > longest {
            return Err(format!(
                "`{text}` is an empty range; write the smaller number first"
            ));
        }
        Ok(Self::Uniform { shortest, longest })
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sst2 => formatter.write_str("sst2"),
            Self::Squad => formatter.write_str("squad"),
            Self::Uniform { shortest, longest } => {
                write!(formatter, "uniform:{shortest}-{longest}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u32 = 20_000;

    fn check(lengths: Lengths, mean: f64) {
        let mut random = Rng::with_seed(3);
        let (shortest, longest) = lengths.bounds();
        let mut sum = 0;
        for _ in 0..DRAWS {
            let length = lengths.draw(&mut random);
            assert!(
                (shortest..=longest).contains(&length),
                "{lengths}: {length}"
            );
            sum += u32::try_from(length).unwrap();
        }
        let found = f64::from(sum) / f64::from(DRAWS);
        assert!((found / mean - 1.0).abs() < 0.02, "{lengths}: {found}");
    }

    #[test]
    fn lengths_are_within_bounds_and_have_the_mean_of_their_source() {
        check(Lengths::Sst2, 25.5);
        check(Lengths::Squad, 172.8);
        check(Lengths::default(), 66.5);
        let always = Lengths::Uniform {
            shortest: 7,
            longest: 7,
        };
        check(always, 7.0);
    }

    #[test]
    fn names_are_read_and_written() {
        for name in ["sst2", "squad", "uniform:5-128", "uniform:9-9"] {
            assert_eq!(name.parse::<Lengths>().unwrap().to_string(), name);
        }
        for wrong in [
            "",
            "sst",
            "uniform",
            "uniform:5",
            "uniform:a-b",
            "uniform:-1-5",
        ] {
            let error = wrong.parse::<Lengths>().unwrap_err();
            assert!(error.contains("uniform:A-B"), "{error}");
        }
        let error = "uniform:9-8".parse::<Lengths>().unwrap_err();
        assert!(error.contains("smaller number first"), "{error}");
    }
}
