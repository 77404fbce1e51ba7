//! From a checkpoint's tensors to the external data file beside the graph, one recipe at a time.

use std::io::{self, Read, Write};
use std::path::Path;

use half::f16;

use super::checkpoint::Checkpoint;
use super::quantize::{QuantizedRows, channel_sums, embedding_table, linear_weights};
use super::{ExportError, Precision};
use crate::onnx::{DataLocation, DataType, StringEntry, Tensor};

/// Tensors start at multiples of this many bytes in the data file, as wide vector loads like it.
const ALIGNMENT: u64 = 64;

/// The floats that weights are kept in, and that a graph hands from one operator to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// 32 bits.
    Single,
    /// 16 bits, IEEE's, up to 65,504.
    Half,
}

impl Float {
    /// As ONNX names it.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Single => DataType::Float,
            Self::Half => DataType::Float16,
        }
    }
}

/// How the tensors of the graph that belong together are made from tensors of the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Recipe {
    /// A table `[rows, width]` of which rows are looked up: one tensor, `NAME.weight`.
    Table {
        /// The checkpoint's tensor, without `.weight`; the graph's tensor has the same name.
        name: String,
        /// Number of rows.
        rows: usize,
        /// Width of a row.
        width: usize,
        /// Its floats.
        float: Float,
    },
    /// The same table in int8 with one scale a row: `NAME.weight` and `NAME.scale`.
    QuantizedTable {
        /// As in [`Recipe::Table`].
        name: String,
        /// Number of rows.
        rows: usize,
        /// Width of a row.
        width: usize,
    },
    /// LayerNorm's gain and shift: `NAME.weight` and `NAME.bias`.
    LayerNorm {
        /// The checkpoint's tensors, without the suffix.
        name: String,
        /// Their length.
        width: usize,
    },
    /// A product with `[inputs, outputs]`, transposed from PyTorch's layout: `NAME.weight` and `NAME.bias`.
    Linear {
        /// What to multiply by.
        linear: LinearRecipe,
        /// The weights' floats.
        weight: Float,
        /// The bias's floats.
        bias: Float,
    },
    /// The same in int8, one scale an output channel: `NAME.weight`, `NAME.scale` and `NAME.bias`.
    QuantizedLinear {
        /// What to multiply by.
        linear: LinearRecipe,
        /// The activations arrive with this constant added to each of them; the bias takes it off again.
        activation_shift: f32,
    },
}

/// One linear layer of the graph, made of one or several layers of the checkpoint that read the same activations.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRecipe {
    /// Name of the layer in the graph.
    pub name: String,
    /// The checkpoint's layers, whose outputs stand side by side.
    pub layers: Vec<String>,
    /// Width of the activations.
    pub inputs: usize,
    /// Outputs of each of the checkpoint's layers.
    pub outputs: usize,
}

impl LinearRecipe {
    /// A single layer, named in the graph as in the checkpoint.
    #[must_use]
    pub fn of_layer(name: String, inputs: usize, outputs: usize) -> Self {
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
    /// The checkpoint's tensors that the recipe reads, with the shapes they must have.
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
        output: &mut AlignedWriter<impl Write>,
    ) -> Result<(), RecipeError> {
        match self {
            Self::Table { name, float, .. } => {
                let name = format!("{name}.weight");
                output.weights(&checkpoint.read(&name)?, *float, &name)
            }
            Self::QuantizedTable { name, width, .. } => {
                let table = embedding_table(&checkpoint.read(&format!("{name}.weight"))?, *width);
                output.tensor(|writer| write_values(writer, &table.values, i8::to_le_bytes))?;
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
                match weight {
                    Float::Single => output.tensor(|writer| {
                        write_transposed(writer, &weights, inputs, f32::to_le_bytes)
                    }),
                    Float::Half => {
                        let weights = halves(&weights, &name)?;
                        output.tensor(|writer| {
                            write_transposed(writer, &weights, inputs, f16::to_le_bytes)
                        })
                    }
                }?;
                let biases = read_layers(checkpoint, linear, "bias")?;
                output.weights(&biases, *bias, &format!("{}.bias", linear.name))
            }
            Self::QuantizedLinear {
                linear,
                activation_shift,
            } => {
                let weights =
                    linear_weights(&read_layers(checkpoint, linear, "weight")?, linear.inputs);
                output.tensor(|writer| {
                    write_transposed(writer, &weights.values, linear.inputs, i8::to_le_bytes)
                })?;
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

/// What went wrong while a recipe was followed: on the checkpoint's side or on the data file's.
enum RecipeError {
    Read(ExportError),
    Write(io::Error),
}

impl From<ExportError> for RecipeError {
    fn from(error: ExportError) -> Self {
        Self::Read(error)
    }
}

impl From<io::Error> for RecipeError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Checks that the checkpoint has every tensor that the recipes read, each in its shape.
///
/// # Errors
/// All tensors that are missing or of another shape, with the shape found and the shape wanted.
pub fn check(recipes: &[Recipe], checkpoint: &Checkpoint) -> Result<(), ExportError> {
    let mistakes: Vec<String> = recipes
        .iter()
        .flat_map(Recipe::sources)
        .filter_map(|(name, wanted)| match checkpoint.shape(&name) {
            None => Some(format!("`{name}` is missing; wanted shape {wanted:?}")),
            Some(found) if found != wanted => {
                Some(format!("`{name}` has shape {found:?}; wanted {wanted:?}"))
            }
            Some(_) => None,
        })
        .collect();
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(ExportError::Tensors { mistakes })
    }
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
                    reason = "sizes are bounded far below 2^63 by ModelConfig::check"
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
/// Where a tensor can't be read or the file can't be written.
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
    let mut output = AlignedWriter {
        writer: io::BufWriter::with_capacity(1 << 20, file),
        written: 0,
    };
    for recipe in recipes {
        recipe
            .write(checkpoint, &mut output)
            .map_err(|error| match error {
                RecipeError::Read(error) => error,
                RecipeError::Write(error) => failed(error),
            })?;
    }
    output
        .writer
        .into_inner()
        .map_err(|error| failed(error.into_error()))?
        .sync_all()
        .map_err(failed)
}

fn read_layers(
    checkpoint: &mut Checkpoint,
    linear: &LinearRecipe,
    suffix: &str,
) -> Result<Vec<f32>, RecipeError> {
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

/// The bias that takes off what the shift of the activations adds: `shift` times each channel's sum of weights.
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

/// Rounds weights to 16 bits. One that is too large for them would become infinite.
fn halves(values: &[f32], name: &str) -> Result<Vec<f16>, ExportError> {
    let largest = f16::MAX.to_f32();
    if let Some(value) = values.iter().find(|value| value.abs() > largest) {
        return Err(ExportError::Precision {
            precision: Precision::Fp16,
            reason: format!(
                "`{name}` holds {value}, and fp16 ends at {largest}; export it in fp32"
            ),
        });
    }
    Ok(values.iter().copied().map(f16::from_f32).collect())
}

fn write_values<T: Copy, const N: usize>(
    writer: &mut impl Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<u64> {
    let mut buffer = Vec::with_capacity(CHUNK * N);
    for chunk in values.chunks(CHUNK) {
        buffer.clear();
        buffer.extend(chunk.iter().flat_map(|value| bytes(*value)));
        writer.write_all(&buffer)?;
    }
    Ok((values.len() * N) as u64)
}

/// Writes `[outputs][inputs]` as `[inputs][outputs]`, row by row.
fn write_transposed<T: Copy, const N: usize>(
    writer: &mut impl Write,
    matrix: &[T],
    inputs: usize,
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<u64> {
    let mut row = Vec::with_capacity(matrix.len() / inputs * N);
    for input in 0..inputs {
        row.clear();
        for value in matrix.iter().skip(input).step_by(inputs) {
            row.extend_from_slice(&bytes(*value));
        }
        writer.write_all(&row)?;
    }
    Ok((matrix.len() * N) as u64)
}

const CHUNK: usize = 1 << 16;

struct AlignedWriter<W> {
    writer: W,
    written: u64,
}

impl<W: Write> AlignedWriter<W> {
    /// Pads to the next tensor's start and lets `content` write it and say how many bytes it took.
    fn tensor(
        &mut self,
        content: impl FnOnce(&mut W) -> io::Result<u64>,
    ) -> Result<(), RecipeError> {
        let start = self.written.next_multiple_of(ALIGNMENT);
        io::copy(
            &mut io::repeat(0).take(start - self.written),
            &mut self.writer,
        )?;
        self.written = start + content(&mut self.writer)?;
        Ok(())
    }

    /// Writes values in one type of floats; `name` is that of their tensor.
    fn weights(&mut self, values: &[f32], float: Float, name: &str) -> Result<(), RecipeError> {
        match float {
            Float::Single => self.floats(values),
            Float::Half => {
                let values = halves(values, name)?;
                self.tensor(|writer| write_values(writer, &values, f16::to_le_bytes))
            }
        }
    }

    fn floats(&mut self, values: &[f32]) -> Result<(), RecipeError> {
        self.tensor(|writer| write_values(writer, values, f32::to_le_bytes))
    }
}
