//! The arguments of a pickle's instructions: numbers, and bytes behind their length.

use super::pickle::{PickleError, Value};

/// The bytes of a pickle that are still to be read.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were read.
    pub(super) fn taken(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(PickleError::Damaged("it ends within an instruction"))?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| PickleError::Damaged("it ends within an instruction"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, PickleError> {
        self.array().map(|[byte]| byte)
    }

    /// A length of `N` bytes; one beyond this machine's memory is as good as the largest.
    pub(super) fn length<const N: usize>(&mut self) -> Result<usize, PickleError> {
        let mut bytes = [0; 8];
        for (byte, taken) in bytes.iter_mut().zip(self.array::<N>()?) {
            *byte = taken;
        }
        Ok(usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX))
    }

    /// Bytes behind a length of `N` bytes.
    pub(super) fn counted<const N: usize>(&mut self) -> Result<&'a [u8], PickleError> {
        let length = self.length::<N>()?;
        self.take(length)
    }

    pub(super) fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(length.ok_or(PickleError::Damaged("it ends within a name"))?)?;
        self.take(1)?;
        std::str::from_utf8(line)
            .map_err(|_| PickleError::Damaged("it has a name that is no UTF-8"))
    }
}

/// An integer of any length: little-endian, two's complement, none of it where it is 0.
pub(super) fn integer(bytes: &[u8]) -> Value<'_> {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut extended = [if negative { 0xff } else { 0 }; 8];
    if bytes.len() > extended.len() {
        return Value::LongInteger(bytes);
    }
    for (byte, given) in extended.iter_mut().zip(bytes) {
        *byte = *given;
    }
    Value::Integer(i64::from_le_bytes(extended))
}
