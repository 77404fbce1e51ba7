//! Converts a checkpoint's tensors into the external data file of a graph, one recipe at a time.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use super::ExportError;
use super::checkpoint::Checkpoint;
use super::data_file::{ALIGNMENT, DataFile, Float, TensorError};
use super::quantize::{QuantizedRows, channel_sums, embedding_table, linear_weights};
use crate::onnx::{DataLocation, DataType, StringEntry, Tensor};

/// How to make related tensors of the graph from tensors of the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Recipe {
    /// An embedding table `[rows, width]`, as one tensor: `NAME.weight`.
    Table {
        /// The checkpoint's tensor, without `.weight`. The graph's tensor has the same name.
        name: String,
        rows: usize,
        width: usize,
        float: Float,
    },
    /// An embedding table in int8, with one scale per row: `NAME.weight` and `NAME.scale`.
    QuantizedTable {
        /// As in [`Recipe::Table`].
        name: String,
        rows: usize,
        width: usize,
    },
    /// A LayerNorm's gain and shift: `NAME.weight` and `NAME.bias`.
    LayerNorm {
        /// The checkpoint's tensors, without the suffix.
        name: String,
        width: usize,
    },
    /// A linear layer, `[inputs, outputs]`, transposed from PyTorch's layout: `NAME.weight` and `NAME.bias`.
    Linear {
        linear: LinearRecipe,
        weight: Float,
        bias: Float,
    },
    /// A linear layer in int8, with one scale per output channel: `NAME.weight`, `NAME.scale` and `NAME.bias`.
    QuantizedLinear {
        linear: LinearRecipe,
        /// A constant that is added to each activation before the product; the bias subtracts its effect.
        activation_shift: f32,
    },
}

/// A linear layer of the graph, made of one or several layers of the checkpoint that read the same activations.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRecipe {
    /// The layer's name in the graph.
    pub name: String,
    /// The checkpoint's layers, whose outputs are concatenated.
    pub layers: Vec<String>,
    /// Width of the activations.
    pub inputs: usize,
    /// Outputs of each of the checkpoint's layers.
    pub outputs: usize,
}

impl LinearRecipe {
    /// A single layer with the same name in the graph and in the checkpoint.
    #[must_use]
    pub fn from_layer(name: String, inputs: usize, outputs: usize) -> Self {
        Self {
            layers: vec![name.clone()],
            name,
            inputs,
            outputs,
        }
    }

    /// Outputs of all layers together.
    #[must_use]
    pub fn total_outputs(&self) -> usize {
        self.outputs * self.layers.len()
    }
}

impl Recipe {
    /// The checkpoint's tensors that the recipe reads, with their required shapes.
    #[must_use]
    pub fn sources(&self) -> Vec<(String, Vec<usize>)> {
        match self {
            Self::Table {
                name, rows, width, ..
            }
            | Self::QuantizedTable { name, rows, width } => {
                vec![(format!("{name}.weight"), vec![*rows, *width])]
            }
            Self::LayerNorm { name, width } => {
                vec![
                    (format!("{name}.weight"), vec![*width]),
                    (format!("{name}.bias"), vec![*width]),
                ]
            }
            Self::Linear { linear, .. } | Self::QuantizedLinear { linear, .. } => linear
                .layers
                .iter()
                .flat_map(|layer| {
                    [
                        (
                            format!("{layer}.weight"),
                            vec![linear.outputs, linear.inputs],
                        ),
                        (format!("{layer}.bias"), vec![linear.outputs]),
                    ]
                })
                .collect(),
        }
    }

    /// The graph's tensors that the recipe makes, in the order in which [`Recipe::write`] writes them.
    fn tensors(&self) -> Vec<(String, DataType, Vec<usize>)> {
        match self {
            Self::Table {
                name,
                rows,
                width,
                float,
            } => vec![(
                format!("{name}.weight"),
                float.data_type(),
                vec![*rows, *width],
            )],
            Self::QuantizedTable { name, rows, width } => vec![
                (
                    format!("{name}.weight"),
                    DataType::Int8,
                    vec![*rows, *width],
                ),
                (format!("{name}.scale"), DataType::Float, vec![*rows]),
            ],
            Self::LayerNorm { name, width } => vec![
                (format!("{name}.weight"), DataType::Float, vec![*width]),
                (format!("{name}.bias"), DataType::Float, vec![*width]),
            ],
            Self::Linear {
                linear,
                weight,
                bias,
            } => vec![
                (
                    format!("{}.weight", linear.name),
                    weight.data_type(),
                    vec![linear.inputs, linear.total_outputs()],
                ),
                (
                    format!("{}.bias", linear.name),
                    bias.data_type(),
                    vec![linear.total_outputs()],
                ),
            ],
            Self::QuantizedLinear { linear, .. } => vec![
                (
                    format!("{}.weight", linear.name),
                    DataType::Int8,
                    vec![linear.inputs, linear.total_outputs()],
                ),
                (
                    format!("{}.scale", linear.name),
                    DataType::Float,
                    vec![linear.total_outputs()],
                ),
                (
                    format!("{}.bias", linear.name),
                    DataType::Float,
                    vec![linear.total_outputs()],
                ),
            ],
        }
    }

    /// Reads the sources and writes the tensors. At most one layer's weights are in memory.
    fn write(
        &self,
        checkpoint: &mut Checkpoint,
        output: &mut DataFile<impl Write>,
    ) -> Result<(), TensorError> {
        match self {
            Self::Table { name, float, .. } => {
                let name = format!("{name}.weight");
                output.weights(&checkpoint.read(&name)?, *float, &name)
            }
            Self::QuantizedTable { name, width, .. } => {
                let table = embedding_table(&checkpoint.read(&format!("{name}.weight"))?, *width);
                output.bytes(&table.values)?;
                output.floats(&table.scales)
            }
            Self::LayerNorm { name, .. } => {
                output.floats(&checkpoint.read(&format!("{name}.weight"))?)?;
                output.floats(&checkpoint.read(&format!("{name}.bias"))?)
            }
            Self::Linear {
                linear,
                weight,
                bias,
            } => {
                let weights = read_layers(checkpoint, linear, "weight")?;
                let (name, inputs) = (format!("{}.weight", linear.name), linear.inputs);
                output.transposed_weights(&weights, inputs, *weight, &name)?;
                let biases = read_layers(checkpoint, linear, "bias")?;
                output.weights(&biases, *bias, &format!("{}.bias", linear.name))
            }
            Self::QuantizedLinear {
                linear,
                activation_shift,
            } => {
                let weights =
                    linear_weights(&read_layers(checkpoint, linear, "weight")?, linear.inputs);
                output.transposed_bytes(&weights.values, linear.inputs)?;
                output.floats(&weights.scales)?;
                let bias = read_layers(checkpoint, linear, "bias")?;
                output.floats(&without_shift(
                    bias,
                    &weights,
                    linear.inputs,
                    *activation_shift,
                ))
            }
        }
    }
}

/// Checks that the checkpoint has every tensor that the recipes read, each in its required shape.
///
/// # Errors
/// If any are missing or have another shape: lists them all, with the shapes found and required.
pub fn check(recipes: &[Recipe], checkpoint: &Checkpoint) -> Result<(), ExportError> {
    let mistakes: Vec<String> = recipes
        .iter()
        .flat_map(Recipe::sources)
        .filter_map(|(name, wanted)| match checkpoint.shape(&name) {
            None => Some(format!("`{name}` is missing; expected shape {wanted:?}")),
            Some(found) if found != wanted => {
                Some(format!("`{name}` has shape {found:?}; expected {wanted:?}"))
            }
            Some(_) => None,
        })
        .collect();
    if !mistakes.is_empty() {
        return Err(ExportError::Tensors { mistakes });
    }
    check_size(recipes, checkpoint)
}

/// Refuses tensors that are much larger than their files: those that share a storage, and those of pruned heads. So
/// memory, and the data file, stay within a small multiple of the checkpoint's size.
fn check_size(recipes: &[Recipe], checkpoint: &Checkpoint) -> Result<(), ExportError> {
    let numbers = recipes.iter().flat_map(Recipe::sources).map(|(_, shape)| {
        let sizes = shape.into_iter();
        sizes.fold(1, usize::saturating_mul)
    });
    let numbers = numbers.fold(0, usize::saturating_add) as u64;
    let bytes = checkpoint.bytes();
    if numbers <= bytes.saturating_mul(2) {
        return Ok(());
    }
    Err(ExportError::Inflated { numbers, bytes })
}

/// Buffers of old checkpoints, whose contents a model computes itself.
const BUFFERS: [&str; 2] = [
    "electra.embeddings.position_ids",
    "electra.embeddings.token_type_ids",
];

/// Names of the checkpoint's tensors that no recipe reads.
#[must_use]
pub fn unused(recipes: &[Recipe], checkpoint: &Checkpoint) -> Vec<String> {
    let read: HashSet<String> = recipes
        .iter()
        .flat_map(Recipe::sources)
        .map(|(name, _)| name)
        .collect();
    checkpoint
        .names()
        .filter(|name| !read.contains(*name) && !BUFFERS.contains(name))
        .chain(checkpoint.shadowed().iter().map(String::as_str))
        .map(str::to_owned)
        .collect()
}

/// The graph's constants that refer to the data file, in the order in which [`write`] writes their data.
#[must_use]
pub fn initializers(recipes: &[Recipe], data_file: &str) -> Vec<Tensor> {
    let mut offset = 0_u64;
    recipes
        .iter()
        .flat_map(Recipe::tensors)
        .map(|(name, data_type, shape)| {
            let length = (shape.iter().product::<usize>() * data_type.size()) as u64;
            let entry = |key: &str, value: String| StringEntry {
                key: key.to_owned(),
                value,
            };
            let tensor = Tensor {
                name,
                #[expect(
                    clippy::cast_possible_wrap,
                    reason = "sizes are bounded far below 2^63 where config.json is read"
                )]
                dims: shape.iter().map(|size| *size as i64).collect(),
                data_type: data_type.into(),
                data_location: DataLocation::External.into(),
                external_data: vec![
                    entry("location", data_file.to_owned()),
                    entry("offset", offset.to_string()),
                    entry("length", length.to_string()),
                ],
                ..Tensor::default()
            };
            offset = (offset + length).next_multiple_of(ALIGNMENT);
            tensor
        })
        .collect()
}

/// Writes the data of all recipes' tensors to a file.
///
/// # Errors
/// If a tensor can't be read or the file can't be written.
pub fn write(
    recipes: &[Recipe],
    checkpoint: &mut Checkpoint,
    path: &Path,
) -> Result<(), ExportError> {
    let failed = |error| ExportError::Write {
        path: path.to_path_buf(),
        error,
    };
    let file = std::fs::File::create(path).map_err(failed)?;
    let mut output = DataFile::new(io::BufWriter::with_capacity(1 << 20, file));
    for recipe in recipes {
        recipe
            .write(checkpoint, &mut output)
            .map_err(|error| match error {
                TensorError::Values(error) => error,
                TensorError::Write(error) => failed(error),
            })?;
    }
    output
        .into_inner()
        .into_inner()
        .map_err(|error| failed(error.into_error()))?
        .sync_all()
        .map_err(failed)
}

fn read_layers(
    checkpoint: &mut Checkpoint,
    linear: &LinearRecipe,
    suffix: &str,
) -> Result<Vec<f32>, TensorError> {
    let mut values = Vec::new();
    for layer in &linear.layers {
        let layer = checkpoint.read(&format!("{layer}.{suffix}"))?;
        if values.is_empty() {
            values = layer;
        } else {
            values.extend_from_slice(&layer);
        }
    }
    Ok(values)
}

/// Subtracts from the bias what the activations' shift adds: `shift` times the sum of each channel's weights.
fn without_shift(
    mut bias: Vec<f32>,
    weights: &QuantizedRows,
    inputs: usize,
    shift: f32,
) -> Vec<f32> {
    if shift != 0.0 {
        for (value, sum) in bias.iter_mut().zip(channel_sums(weights, inputs)) {
            *value -= shift * sum;
        }
    }
    bias
}
