//! Conversion of the options that several tasks share: proto3 numbers to the service's types.

use crate::error::ServiceError;
use crate::fields::{Count, Threshold};
use crate::grpc::proto::electra as proto;
use crate::text::OffsetEncoding;

pub fn offsets(number: i32) -> Result<Option<OffsetEncoding>, ServiceError> {
    Ok(match named("offsets", number)? {
        proto::Offsets::Unspecified => None,
        proto::Offsets::Codepoint => Some(OffsetEncoding::Codepoint),
        proto::Offsets::Utf8 => Some(OffsetEncoding::Utf8),
        proto::Offsets::Utf16 => Some(OffsetEncoding::Utf16),
    })
}

/// Converts an enum's number. proto3 passes numbers that the server's schema does not define; ignoring them would hide
/// mistakes.
pub fn named<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E, ServiceError> {
    E::try_from(number).map_err(|_| {
        invalid(
            field,
            format!("this server does not know its value {number}"),
        )
    })
}

/// Converts a count, which must be at least `MINIMUM`.
pub fn count<const MINIMUM: usize>(
    field: &str,
    number: Option<u32>,
) -> Result<Option<Count<MINIMUM>>, ServiceError> {
    let counted = |number: u32| {
        let count = usize::try_from(number).ok().and_then(Count::new);
        count.ok_or_else(|| {
            invalid(
                field,
                format!("it is {number}, and must be a whole number of at least {MINIMUM}"),
            )
        })
    };
    number.map(counted).transpose()
}

/// A number from 0 to 1.
pub fn threshold(field: &str, number: Option<f32>) -> Result<Option<Threshold>, ServiceError> {
    let checked = |number: f32| {
        let reason = || format!("it is {number}, and must be a number from 0 to 1");
        Threshold::new(f64::from(number)).ok_or_else(|| invalid(field, reason()))
    };
    number.map(checked).transpose()
}

/// The error of a field with an invalid value.
pub fn invalid(field: &str, reason: String) -> ServiceError {
    ServiceError::InvalidValue {
        place: format!("`{field}`"),
        reason,
    }
}

/// Widens an offset or another size. It fits on every machine that can hold the text.
pub fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_name_are_refused() {
        assert_eq!(offsets(0), Ok(None));
        assert_eq!(offsets(3), Ok(Some(OffsetEncoding::Utf16)));
        for unknown in [4, -1] {
            let error = offsets(unknown).unwrap_err();
            assert_eq!(error.code(), "invalid_value");
            assert!(
                error.to_string().starts_with("`offsets` can't be used"),
                "{error}"
            );
        }
    }

    #[test]
    fn counts_start_at_their_minimum() {
        assert_eq!(count::<1>("top_k", None), Ok(None));
        assert_eq!(
            count::<1>("top_k", Some(7)).unwrap().map(Count::get),
            Some(7)
        );
        assert_eq!(
            count::<0>("stride", Some(0)).unwrap().map(Count::get),
            Some(0)
        );
        assert_eq!(
            count::<1>("top_k", Some(0)).unwrap_err().code(),
            "invalid_value"
        );
    }
}
