//! Sorts a request's input tensors: the names decide whether it sends texts, token ids or packed token ids.

use super::names::{self, CONTEXT, INPUT_IDS, POSITION_IDS, QUESTION, SEQUENCE_STARTS, TEXT};
use super::tensor::{Tensor, TensorData};
use crate::error::ServiceError;
use crate::quote::quoted;
use crate::suggest::suggestion;
use crate::task::Task;

/// A request's tensors, with distinct and known names.
#[derive(Debug)]
pub struct NamedTensors(Vec<Tensor>);

/// The inputs of a request, by kind.
#[derive(Debug)]
pub enum InferInputs {
    Text(NamedTensors),
    /// Rows of token ids.
    Raw(NamedTensors),
    /// Token ids of all sequences back to back, as the packed graph reads them.
    Packed(NamedTensors),
}

impl InferInputs {
    /// Sorts the inputs of a request to a model of this task.
    ///
    /// # Errors
    /// If a name is unknown, missing or duplicated, or if the names mix texts and token ids.
    pub fn sort(tensors: Vec<Tensor>, task: Task) -> Result<Self, ServiceError> {
        let known = names::inputs(task);
        let (mut texts, mut packed) = (None, false);
        for (index, tensor) in tensors.iter().enumerate() {
            let name = tensor.name();
            if tensors.iter().take(index).any(|other| other.name() == name) {
                return Err(refused(
                    "`inputs`",
                    format!("it has `{}` twice", quoted(name)),
                ));
            }
            let of_packed = [SEQUENCE_STARTS, POSITION_IDS].contains(&name);
            let found = known.iter().find(|known| known.name == name);
            packed |= of_packed;
            let is_text = match found {
                Some(found) => found.way == names::TensorKind::Text,
                None if of_packed => false,
                None => {
                    let names = known.iter().map(|known| known.name);
                    return Err(ServiceError::UnknownField {
                        place: "`inputs`".to_owned(),
                        field: name.to_owned(),
                        hint: suggestion(name, names),
                    });
                }
            };
            if texts.is_some_and(|texts| texts != is_text) {
                return Err(refused(
                    "`inputs`",
                    format!(
                        "`{}` is sent together with tensors of another kind; send either texts or token ids",
                        quoted(name)
                    ),
                ));
            }
            texts = Some(is_text);
        }
        let named = NamedTensors(tensors);
        let required: &[&str] = match (texts, packed) {
            (Some(false), true) => &[INPUT_IDS, SEQUENCE_STARTS],
            (Some(false), false) => &[INPUT_IDS],
            _ if task == Task::Qa => &[QUESTION, CONTEXT],
            _ => &[TEXT],
        };
        if let Some(missing) = required.iter().find(|name| named.get(name).is_none()) {
            return Err(ServiceError::MissingField {
                place: "`inputs`".to_owned(),
                field: (*missing).to_owned(),
            });
        }
        Ok(match (texts, packed) {
            (Some(false), true) => Self::Packed(named),
            (Some(false), false) => Self::Raw(named),
            _ => Self::Text(named),
        })
    }
}

impl NamedTensors {
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|tensor| tensor.name() == name)
    }

    /// Removes and returns a tensor.
    pub fn take(&mut self, name: &str) -> Option<Tensor> {
        let index = self.0.iter().position(|tensor| tensor.name() == name)?;
        Some(self.0.swap_remove(index))
    }

    /// The number of elements of a tensor. None if it is absent.
    pub fn elements(&self, name: &str) -> usize {
        self.get(name).map_or(0, |tensor| tensor.data().len())
    }

    /// Total size of all tensors in bytes.
    pub fn size(&self) -> usize {
        self.0.iter().map(|tensor| tensor.data().size()).sum()
    }
}

/// The elements of an INT64 or INT32 tensor.
///
/// # Errors
/// [`ServiceError::InvalidValue`] for any other datatype.
pub fn integers(tensor: Tensor) -> Result<Vec<i64>, ServiceError> {
    let place = place(tensor.name());
    match tensor.into_data() {
        TensorData::Int64(numbers) => Ok(numbers),
        TensorData::Int32(numbers) => Ok(numbers.into_iter().map(i64::from).collect()),
        other => Err(ServiceError::InvalidValue {
            place,
            reason: format!(
                "its datatype is {}, and it must be INT64 or INT32",
                other.datatype()
            ),
        }),
    }
}

/// How errors name a tensor.
pub fn place(name: &str) -> String {
    format!("The tensor `{}`", quoted(name))
}

/// The error for an invalid value at `place`.
pub fn refused(place: &str, reason: String) -> ServiceError {
    ServiceError::InvalidValue {
        place: place.to_owned(),
        reason,
    }
}
