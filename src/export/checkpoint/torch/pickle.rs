//! Interprets a pickle as data, with a small virtual machine for the instructions that `torch.save` writes.
//!
//! Nothing is executed or imported. Names are looked up in [`globals`] and kept as symbols; calls are recorded with
//! their arguments for the caller to interpret. Each instruction creates at most one value, values refer to each other
//! by number, and both instructions and values are counted. So time and memory are bounded by the pickle's length and
//! by [`MAX_INSTRUCTIONS`], whatever sizes the pickle claims, and nested values do not recurse.
//!
//! The reference is Python's `Lib/pickletools.py`.

use std::collections::HashMap;

use super::globals::{self, Global};
use crate::export::checkpoint::weights_error::WeightsError;

/// Limit on a pickle, in bytes. An ELECTRA model's has about ten thousand.
pub(super) const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// Limit on a pickle's instructions. A state dict has about thirty per tensor, and the largest ELECTRA model 400
/// tensors.
const MAX_INSTRUCTIONS: usize = 1 << 18;

/// Index of a compound value.
type ObjectId = usize;

/// A value on the machine's stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PickleValue<'a> {
    None,
    Boolean(bool),
    Integer(i64),
    /// An integer of more than 64 bits: little-endian, two's complement.
    LongInteger(&'a [u8]),
    Text(&'a str),
    Global(Global),
    Object(ObjectId),
    /// A float or bytes, which say nothing about a checkpoint.
    Other,
}

/// A compound value.
#[derive(Debug)]
enum Object<'a> {
    Tuple(Vec<PickleValue<'a>>),
    List(Vec<PickleValue<'a>>),
    Dictionary(Vec<(PickleValue<'a>, PickleValue<'a>)>),
    /// A function or class, and the tuple of its arguments.
    Call(Global, ObjectId),
    /// A reference to an object outside of the pickle, by the tuple that identifies it.
    Persistent(ObjectId),
}

/// A parsed pickle.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: PickleValue<'a>,
    /// Length in bytes; other bytes may follow.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the start of `bytes`.
    ///
    /// # Errors
    /// If the pickle is malformed, exceeds a limit, or needs anything that no checkpoint needs.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, PickleError> {
        let mut machine = Machine {
            input: PickleInput::new(bytes),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Vec::new(),
        };
        for _ in 0..MAX_INSTRUCTIONS {
            if let Some(root) = machine.step()? {
                return Ok(Self {
                    objects: machine.objects,
                    root,
                    length: machine.input.taken(),
                });
            }
        }
        Err(PickleError::TooLong)
    }

    /// The value of the whole pickle.
    pub(super) fn root(&self) -> PickleValue<'a> {
        self.root
    }

    pub(super) fn tuple(&self, value: PickleValue<'a>) -> Option<&[PickleValue<'a>]> {
        match self.object(value)? {
            Object::Tuple(values) => Some(values),
            _ => None,
        }
    }

    pub(super) fn list(&self, value: PickleValue<'a>) -> Option<&[PickleValue<'a>]> {
        match self.object(value)? {
            Object::List(values) => Some(values),
            _ => None,
        }
    }

    pub(super) fn dictionary(
        &self,
        value: PickleValue<'a>,
    ) -> Option<&[(PickleValue<'a>, PickleValue<'a>)]> {
        match self.object(value)? {
            Object::Dictionary(entries) => Some(entries),
            _ => None,
        }
    }

    /// A call's function and arguments; `None` for other values.
    pub(super) fn call(&self, value: PickleValue<'a>) -> Option<(Global, &[PickleValue<'a>])> {
        match self.object(value)? {
            Object::Call(function, arguments) => {
                Some((*function, self.tuple(PickleValue::Object(*arguments))?))
            }
            _ => None,
        }
    }

    /// The tuple that identifies an object outside of the pickle; `None` for other values.
    pub(super) fn persistent(&self, value: PickleValue<'a>) -> Option<&[PickleValue<'a>]> {
        match self.object(value)? {
            Object::Persistent(name) => self.tuple(PickleValue::Object(*name)),
            _ => None,
        }
    }

    /// All references to objects outside of the pickle, in order of occurrence.
    pub(super) fn all_persistent(&self) -> impl Iterator<Item = &[PickleValue<'a>]> {
        (0..self.objects.len()).filter_map(|id| self.persistent(PickleValue::Object(id)))
    }

    fn object(&self, value: PickleValue<'a>) -> Option<&Object<'a>> {
        match value {
            PickleValue::Object(id) => self.objects.get(id),
            _ => None,
        }
    }
}

/// The reason why a pickle is refused; nothing in it was executed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PickleError {
    /// A name that is not in the table.
    #[error(
        "it refers to `{name}`, which no checkpoint needs; nothing was executed. Save the weights alone, by \
         save_pretrained or torch.save(model.state_dict(), …)"
    )]
    Foreign { name: String },
    #[error("its pickle has the instruction {0:?}, which torch.save does not write")]
    UnknownInstruction(char),
    #[error("its pickle has more than {MAX_INSTRUCTIONS} instructions, far more than weights need")]
    TooLong,
    #[error("its pickle is damaged: {0}")]
    Damaged(&'static str),
}

impl PickleError {
    fn foreign(module: &str, name: &str) -> Self {
        // Truncated, because a name can be as long as the file.
        let name: String = format!("{module}.{name}").chars().take(200).collect();
        Self::Foreign {
            name: name.escape_debug().to_string(),
        }
    }
}

impl From<PickleError> for WeightsError {
    fn from(error: PickleError) -> Self {
        Self::Invalid(error.to_string())
    }
}

const UNDERFLOW: PickleError = PickleError::Damaged("it takes a value where the stack has none");

struct Machine<'a> {
    input: PickleInput<'a>,
    stack: Vec<PickleValue<'a>>,
    /// Stack heights at the marks.
    marks: Vec<usize>,
    memo: HashMap<usize, PickleValue<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    /// Executes one instruction; the last one returns the pickle's value.
    #[expect(
        clippy::too_many_lines,
        reason = "a table with one line an instruction"
    )]
    fn step(&mut self) -> Result<Option<PickleValue<'a>>, PickleError> {
        let instruction = self.input.byte()?;
        match instruction {
            // Frames and protocol numbers help a reader to buffer; this one needs neither.
            0x80 => {
                self.input.take(1)?;
            }
            0x95 => {
                self.input.take(8)?;
            }
            b'.' => return self.pop().map(Some),

            b'N' => self.stack.push(PickleValue::None),
            0x88 => self.stack.push(PickleValue::Boolean(true)),
            0x89 => self.stack.push(PickleValue::Boolean(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.input.array()?);
                self.stack.push(PickleValue::Integer(number.into()));
            }
            b'K' => {
                let number = self.input.byte()?;
                self.stack.push(PickleValue::Integer(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.input.array()?);
                self.stack.push(PickleValue::Integer(number.into()));
            }
            0x8a => {
                let bytes = self.input.counted::<1>()?;
                self.stack.push(integer(bytes));
            }
            0x8b => {
                let bytes = self.input.counted::<4>()?;
                self.stack.push(integer(bytes));
            }
            b'G' => {
                self.input.take(8)?;
                self.stack.push(PickleValue::Other);
            }
            // Strings of Python 3, and those of Python 2, where names are ASCII.
            b'X' | b'T' => self.text::<4>()?,
            0x8c | b'U' => self.text::<1>()?,
            0x8d => self.text::<8>()?,
            b'C' => self.bytes::<1>()?,
            b'B' => self.bytes::<4>()?,
            0x8e => self.bytes::<8>()?,

            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_to_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b')' => self.push_object(Object::Tuple(Vec::new())),
            0x85 => self.push_tuple(1)?,
            0x86 => self.push_tuple(2)?,
            0x87 => self.push_tuple(3)?,
            b't' => {
                let values = self.pop_to_mark()?;
                self.push_object(Object::Tuple(values));
            }
            b']' => self.push_object(Object::List(Vec::new())),
            b'l' => {
                let values = self.pop_to_mark()?;
                self.push_object(Object::List(values));
            }
            b'a' => {
                let value = self.pop()?;
                self.top_list()?.push(value);
            }
            b'e' => {
                let mut values = self.pop_to_mark()?;
                self.top_list()?.append(&mut values);
            }
            b'}' => self.push_object(Object::Dictionary(Vec::new())),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.top_dictionary()?.push((key, value));
            }
            b'u' => {
                let values = self.pop_to_mark()?;
                let (pairs, []) = values.as_chunks() else {
                    return Err(PickleError::Damaged("it sets a key without a value"));
                };
                let pairs = pairs.iter().map(|[key, value]| (*key, *value));
                self.top_dictionary()?.extend(pairs);
            }

            b'q' => {
                let index = self.input.byte()?.into();
                self.remember(index)?;
            }
            b'r' => {
                let index = self.input.length::<4>()?;
                self.remember(index)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let index = self.input.byte()?.into();
                self.recall(index)?;
            }
            b'j' => {
                let index = self.input.length::<4>()?;
                self.recall(index)?;
            }

            // `i` creates an instance of a class at once: it is refused, and the error names the class.
            b'c' | b'i' => {
                let module = self.input.line()?;
                let name = self.input.line()?;
                if instruction == b'i' {
                    return Err(PickleError::foreign(module, name));
                }
                self.push_global(module, name)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (PickleValue::Text(name), PickleValue::Text(module)) => {
                    self.push_global(module, name)?;
                }
                _ => {
                    return Err(PickleError::Damaged(
                        "it refers to something by a name that is not a text",
                    ));
                }
            },
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                self.note_call(function, arguments)?;
            }
            b'b' => {
                // Drops a dict's attributes, which hold the versions of a model's modules.
                self.pop()?;
                self.top_dictionary()?;
            }
            b'Q' => match self.pop()? {
                PickleValue::Object(name) if self.is_tuple(name) => {
                    self.push_object(Object::Persistent(name));
                }
                _ => {
                    return Err(PickleError::Damaged(
                        "it refers to a storage by something other than a tuple",
                    ));
                }
            },
            other => return Err(PickleError::UnknownInstruction(other.into())),
        }
        Ok(None)
    }

    fn text<const N: usize>(&mut self) -> Result<(), PickleError> {
        let bytes = self.input.counted::<N>()?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| PickleError::Damaged("it has a text that is not UTF-8"))?;
        self.stack.push(PickleValue::Text(text));
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<(), PickleError> {
        self.input.counted::<N>()?;
        self.stack.push(PickleValue::Other);
        Ok(())
    }

    fn push_object(&mut self, object: Object<'a>) {
        self.stack.push(PickleValue::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn push_tuple(&mut self, length: usize) -> Result<(), PickleError> {
        let start = self.stack.len().checked_sub(length);
        let start = start
            .filter(|start| *start >= self.floor())
            .ok_or(UNDERFLOW)?;
        let values = self.stack.split_off(start);
        self.push_object(Object::Tuple(values));
        Ok(())
    }

    fn push_global(&mut self, module: &str, name: &str) -> Result<(), PickleError> {
        let global =
            globals::find(module, name).ok_or_else(|| PickleError::foreign(module, name))?;
        self.stack.push(PickleValue::Global(global));
        Ok(())
    }

    fn note_call(
        &mut self,
        function: PickleValue<'a>,
        arguments: PickleValue<'a>,
    ) -> Result<(), PickleError> {
        let (PickleValue::Global(function), PickleValue::Object(arguments)) = (function, arguments)
        else {
            return Err(PickleError::Damaged(
                "it calls something other than a function",
            ));
        };
        let Some(Object::Tuple(values)) = self.objects.get(arguments) else {
            return Err(PickleError::Damaged(
                "it calls a function without a tuple of arguments",
            ));
        };
        self.push_object(if function == Global::OrderedDict && values.is_empty() {
            Object::Dictionary(Vec::new())
        } else {
            Object::Call(function, arguments)
        });
        Ok(())
    }

    fn is_tuple(&self, object: ObjectId) -> bool {
        matches!(self.objects.get(object), Some(Object::Tuple(_)))
    }

    fn remember(&mut self, index: usize) -> Result<(), PickleError> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Result<(), PickleError> {
        let value = self.memo.get(&index);
        let value = value.ok_or(PickleError::Damaged(
            "it reads a memo entry that it has not written",
        ))?;
        self.stack.push(*value);
        Ok(())
    }

    /// The stack height of the innermost mark; values below it can't be popped until the mark is.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default()
    }

    fn pop(&mut self) -> Result<PickleValue<'a>, PickleError> {
        if self.stack.len() <= self.floor() {
            return Err(UNDERFLOW);
        }
        self.stack.pop().ok_or(UNDERFLOW)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<PickleValue<'a>>, PickleError> {
        let mark = self.marks.pop().ok_or(UNDERFLOW)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn top(&self) -> Result<PickleValue<'a>, PickleError> {
        if self.stack.len() <= self.floor() {
            return Err(UNDERFLOW);
        }
        self.stack.last().copied().ok_or(UNDERFLOW)
    }

    fn top_object(&mut self) -> Result<Option<&mut Object<'a>>, PickleError> {
        Ok(match self.top()? {
            PickleValue::Object(id) => self.objects.get_mut(id),
            _ => None,
        })
    }

    fn top_list(&mut self) -> Result<&mut Vec<PickleValue<'a>>, PickleError> {
        match self.top_object()? {
            Some(Object::List(values)) => Ok(values),
            _ => Err(PickleError::Damaged(
                "it appends to something other than a list",
            )),
        }
    }

    fn top_dictionary(
        &mut self,
    ) -> Result<&mut Vec<(PickleValue<'a>, PickleValue<'a>)>, PickleError> {
        match self.top_object()? {
            Some(Object::Dictionary(entries)) => Ok(entries),
            _ => Err(PickleError::Damaged(
                "it changes something other than a dict or an OrderedDict",
            )),
        }
    }
}

/// The unread bytes of a pickle.
struct PickleInput<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> PickleInput<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Number of bytes read.
    fn taken(&self) -> usize {
        self.at
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(PickleError::Damaged("it ends within an instruction"))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| PickleError::Damaged("it ends within an instruction"))
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        self.array().map(|[byte]| byte)
    }

    /// Reads a length of `N` bytes; one beyond this machine's address range becomes the largest.
    fn length<const N: usize>(&mut self) -> Result<usize, PickleError> {
        let mut bytes = [0; 8];
        for (byte, taken) in bytes.iter_mut().zip(self.array::<N>()?) {
            *byte = taken;
        }
        Ok(usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX))
    }

    /// Reads a length of `N` bytes, then as many bytes.
    fn counted<const N: usize>(&mut self) -> Result<&'a [u8], PickleError> {
        let length = self.length::<N>()?;
        self.take(length)
    }

    fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(length.ok_or(PickleError::Damaged("it ends within a name"))?)?;
        self.take(1)?;
        std::str::from_utf8(line)
            .map_err(|_| PickleError::Damaged("it has a name that is not UTF-8"))
    }
}

/// An integer of any length: little-endian, two's complement; 0 if it has no bytes.
fn integer(bytes: &[u8]) -> PickleValue<'_> {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut extended = [if negative { 0xff } else { 0 }; 8];
    if bytes.len() > extended.len() {
        return PickleValue::LongInteger(bytes);
    }
    for (byte, given) in extended.iter_mut().zip(bytes) {
        *byte = *given;
    }
    PickleValue::Integer(i64::from_le_bytes(extended))
}

#[cfg(test)]
mod tests;
