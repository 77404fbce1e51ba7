//! When a certificate expires, from its encoding (X.509, RFC 5280, section 4.1). Only what leads there is read.

use std::fmt;
use std::time::{Duration, SystemTime};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// The explicit tag of the version, which certificates of version 1 lack.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The last moment at which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    year: u64,
    /// Month, day, hour, minute, second.
    rest: [u64; 5],
}

impl Expiry {
    /// Reads it from a certificate in DER. `None` if the encoding is not as expected.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let mut certificate = Reader(Reader(certificate).value(SEQUENCE)?);
        let mut fields = Reader(certificate.value(SEQUENCE)?);
        if fields.tag() == Some(VERSION) {
            fields.value(VERSION)?;
        }
        fields.value(INTEGER)?;
        // The algorithm of the signature, and the issuer.
        fields.value(SEQUENCE)?;
        fields.value(SEQUENCE)?;
        let mut validity = Reader(fields.value(SEQUENCE)?);
        let not_before = validity.tag()?;
        validity.value(not_before)?;
        match validity.tag()? {
            UTC_TIME => {
                let (year, rest) = digits(validity.value(UTC_TIME)?, 2)?;
                let century = if year < 50 { 2000 } else { 1900 };
                Self::new(century + year, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = digits(validity.value(GENERALIZED_TIME)?, 4)?;
                Self::new(year, rest)
            }
            _ => None,
        }
    }

    fn new(year: u64, rest: [u64; 5]) -> Option<Self> {
        let [month, day, hour, minute, second] = rest;
        let is_date = year >= 1970 && (1..=12).contains(&month) && (1..=31).contains(&day);
        (is_date && hour < 24 && minute < 60 && second <= 60).then_some(Self { year, rest })
    }

    pub fn time(&self) -> SystemTime {
        let [month, day, hour, minute, second] = self.rest;
        // Years begin in March here, so that the day of a leap year is the last one.
        let (year, month) = match month {
            3.. => (self.year, month - 3),
            _ => (self.year - 1, month + 9),
        };
        let days_of_years = 365 * year + year / 4 - year / 100 + year / 400;
        let days_of_months = (153 * month + 2) / 5;
        // From the first of March of the year 0 to the beginning of 1970.
        let days = days_of_years + days_of_months + day - 1 - 719_468;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let year = self.year;
        let [month, day, hour, minute, second] = self.rest;
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// The numbers of `YYMMDDhhmmssZ`, with a year of so many digits.
fn digits(text: &[u8], of_year: usize) -> Option<(u64, [u64; 5])> {
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = digits.split_at_checked(of_year)?;
    let (pairs, []) = rest.as_chunks::<2>() else {
        return None;
    };
    let numbers: Option<Vec<u64>> = pairs.iter().map(|pair| number(pair)).collect();
    Some((number(year)?, numbers?.try_into().ok()?))
}

fn number(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads values in DER one after another.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The tag of the next value.
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, if it has this tag.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            // The number of bytes that tell the length.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
                let add = |length, byte: &u8| length << 8 | usize::from(*byte);
                (bytes.iter().fold(0, add), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*found == tag).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_last_moment_is_read_in_both_of_its_encodings() {
        // From 2050 on the encoding has four digits for the year.
        for (year, month, day, seconds) in [
            (2026, 11, 27, 1_795_737_600),
            (2028, 2, 29, 1_835_395_200),
            (2049, 12, 31, 2_524_521_600),
            (2051, 1, 1, 2_556_144_000),
        ] {
            let expiry = Expiry::of(&certificate(year, month, day)).unwrap();
            assert_eq!(
                expiry.to_string(),
                format!("{year}-{month:02}-{day:02}T00:00:00Z")
            );
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(expiry.time(), time);
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_gives_some_date_or_none(
            place in 0..200_usize, byte: u8, length in 0..400_usize
        ) {
            let mut bytes = certificate(2030, 1, 1);
            bytes[place] = byte;
            bytes.truncate(length);
            if let Some(expiry) = Expiry::of(&bytes) {
                expiry.time();
            }
        }
    }
}
