//! Which way a request asks, told by the names of its tensors.

use super::names::{self, CONTEXT, INPUT_IDS, POSITION_IDS, QUESTION, SEQUENCE_STARTS, TEXT};
use super::tensor::{Tensor, TensorData};
use crate::error::ServiceError;
use crate::quote::quoted;
use crate::suggest::suggestion;
use crate::task::Task;

/// A request's tensors, each of a name of its own that the task and the way know.
#[derive(Debug)]
pub struct NamedTensors(Vec<Tensor>);

/// The inputs of a request by the way it asks.
#[derive(Debug)]
pub enum InferInputs {
    /// Texts.
    Text(NamedTensors),
    /// Rows of token ids.
    Raw(NamedTensors),
    /// Token ids of all sequences one after another, as the packed graph takes them.
    Packed(NamedTensors),
}

impl InferInputs {
    /// Sorts out what a request to a model of this task is.
    ///
    /// # Errors
    /// Names that are unknown, missing, there twice, or of different ways.
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
                Some(found) => found.way == names::Way::Text,
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
                        "`{}` stands beside tensors of another kind; send either texts or token ids",
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
    /// A tensor by its name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|tensor| tensor.name() == name)
    }

    /// Takes a tensor by its name.
    pub fn take(&mut self, name: &str) -> Option<Tensor> {
        let index = self.0.iter().position(|tensor| tensor.name() == name)?;
        Some(self.0.swap_remove(index))
    }

    /// Bytes of all tensors together.
    pub fn size(&self) -> usize {
        self.0.iter().map(|tensor| tensor.data().size()).sum()
    }
}

/// Whole numbers of a tensor of INT64 or INT32.
///
/// # Errors
/// [`ServiceError::InvalidValue`] for any other type.
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

/// How an error names a tensor.
pub fn place(name: &str) -> String {
    format!("The tensor `{}`", quoted(name))
}

/// An error about a place.
pub fn refused(place: &str, reason: String) -> ServiceError {
    ServiceError::InvalidValue {
        place: place.to_owned(),
        reason,
    }
}
