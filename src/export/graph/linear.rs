//! Linear layers in fp32, fp16 and int8. The bias is handed back rather than added: the operator that follows adds it in a
//! pass that it makes anyway.
//!
//! In int8 the weights have one scale an output channel and the activations one scale a token, taken from that token
//! alone, so that a token's result does not depend on what shares its batch. A product of integers is exact; it is
//! scaled by the channels' scales as it is converted to floats, then by the token's.
//!
//! In fp16 the products, their activations and attention are of 16-bit floats. What layers add up, and the LayerNorm of
//! it, stays in 32 bits: there a rounding would be carried on through all layers, an epsilon of 1e-12 would be 0, and
//! squares could overflow.

use super::builder::{GraphBuilder, Value, float, int};
use crate::export::Precision;
use crate::export::data_file::Float;
use crate::export::weights::{LinearRecipe, Recipe};
use crate::onnx::DataType;

/// What is known of a linear layer's activations before it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activations {
    /// Of both signs. Quantized to 128 ± 127 by the largest magnitude.
    Signed,
    /// Never below the negative of this small depth, as gelu's are: quantized from there up to the largest, over all 255
    /// steps.
    AlmostPositive {
        /// The magnitude of the least value; 0 where none is negative.
        depth: f32,
    },
}

impl Activations {
    /// What they are raised by to become positive; 0 where none is negative, and where the sign is kept.
    #[must_use]
    pub fn shift(self) -> f32 {
        match self {
            Self::AlmostPositive { depth } if depth > 0.0 => depth.max(LEAST_SHIFT),
            Self::AlmostPositive { .. } | Self::Signed => 0.0,
        }
    }
}

/// The zero of signed activations in an unsigned byte.
pub const SIGNED_ZERO_POINT: u8 = 128;

/// What almost-positive activations are raised by, at least: a whole number of quantization steps makes up the shift, so
/// one that is much larger than a step keeps the step close to the finest possible. Activations up to 254 times this are
/// in range.
const LEAST_SHIFT: f32 = 0.5;

/// A product that still lacks its bias.
#[derive(Debug)]
pub struct Product {
    /// `[rows, outputs]`.
    pub rows: Value,
    /// `[outputs]`, to be added.
    pub bias: Value,
}

/// Adds linear layers in one precision.
#[derive(Debug)]
pub enum LinearLayers {
    /// Products of floats: see [`Precision::Fp32`] and [`Precision::Fp16`].
    Float(Float),
    /// See [`Precision::Int8`].
    Int8 {
        /// One byte a row, all [`SIGNED_ZERO_POINT`].
        zero_points: Value,
    },
}

impl LinearLayers {
    /// Prepares what the layers share.
    pub fn new(graph: &mut GraphBuilder, precision: Precision) -> Self {
        match precision {
            Precision::Fp32 => Self::Float(Float::Single),
            Precision::Fp16 => Self::Float(Float::Half),
            Precision::Int8 => {
                graph.enter("zero_points");
                let zero_points = signed_zero_points(graph, &Value::from_name("input_ids"));
                Self::Int8 { zero_points }
            }
        }
    }

    /// The same layers, for one row a sequence rather than one a token; `starts` has as many elements.
    pub fn for_sequences(&self, graph: &mut GraphBuilder, starts: &Value) -> Self {
        match self {
            Self::Float(float) => Self::Float(*float),
            Self::Int8 { .. } => Self::Int8 {
                zero_points: signed_zero_points(graph, starts),
            },
        }
    }

    /// The product of activations with a layer's weights.
    pub fn product(
        &self,
        graph: &mut GraphBuilder,
        rows: &Value,
        linear: LinearRecipe,
        activations: Activations,
    ) -> Product {
        match self {
            Self::Float(float) => float_product(graph, rows, linear, *float, *float),
            Self::Int8 { zero_points } => {
                int8_product(graph, rows, zero_points, linear, activations)
            }
        }
    }

    /// A product that is added to others, not multiplied again: it and its bias are 32-bit floats in every precision.
    pub fn summand(
        &self,
        graph: &mut GraphBuilder,
        rows: &Value,
        linear: LinearRecipe,
        activations: Activations,
    ) -> Product {
        match self {
            Self::Float(Float::Half) => {
                let product = float_product(graph, rows, linear, Float::Half, Float::Single);
                Product {
                    rows: self.widen(graph, &product.rows),
                    bias: product.bias,
                }
            }
            _ => self.product(graph, rows, linear, activations),
        }
    }

    /// 32-bit floats as the products take them.
    pub fn narrow(&self, graph: &mut GraphBuilder, rows: &Value) -> Value {
        match self.float() {
            Float::Single => rows.clone(),
            Float::Half => graph.cast(rows, DataType::Float16),
        }
    }

    /// What the products give as 32-bit floats.
    pub fn widen(&self, graph: &mut GraphBuilder, rows: &Value) -> Value {
        match self.float() {
            Float::Single => rows.clone(),
            Float::Half => graph.cast(rows, DataType::Float),
        }
    }

    /// The floats that products take and give.
    #[must_use]
    pub fn float(&self) -> Float {
        match self {
            Self::Float(float) => *float,
            Self::Int8 { .. } => Float::Single,
        }
    }

    /// A product of 32-bit floats whatever the precision, with its bias: for the few columns of a head's last layer, where
    /// precision costs next to nothing.
    pub fn exact(graph: &mut GraphBuilder, rows: &Value, linear: LinearRecipe) -> Value {
        let product = float_product(graph, rows, linear, Float::Single, Float::Single);
        graph.node("Add", &[&product.rows, &product.bias], vec![])
    }
}

fn float_product(
    graph: &mut GraphBuilder,
    rows: &Value,
    linear: LinearRecipe,
    weight: Float,
    bias: Float,
) -> Product {
    let part = |suffix: &str| Value::from_name(format!("{}.{suffix}", linear.name));
    let (weights, biases) = (part("weight"), part("bias"));
    graph.weights(Recipe::Linear {
        linear,
        weight,
        bias,
    });
    Product {
        rows: graph.node("MatMul", &[rows, &weights], vec![]),
        bias: biases,
    }
}

fn int8_product(
    graph: &mut GraphBuilder,
    rows: &Value,
    zero_points: &Value,
    linear: LinearRecipe,
    activations: Activations,
) -> Product {
    let activation_shift = activations.shift();
    let quantized = match activations {
        Activations::Signed => quantize_signed(graph, rows, zero_points),
        Activations::AlmostPositive { depth: 0.0 } => quantize_positive(graph, rows),
        Activations::AlmostPositive { .. } => quantize_shifted(graph, rows, activation_shift),
    };
    let part = |suffix: &str| Value::from_name(format!("{}.{suffix}", linear.name));
    let (weight, scale, bias) = (part("weight"), part("scale"), part("bias"));
    graph.weights(Recipe::QuantizedLinear {
        linear,
        activation_shift,
    });
    let one = graph.float(1.0);
    let product = graph.microsoft(
        "MatMulIntegerToFloat",
        &[
            &quantized.values,
            &weight,
            &one,
            &scale,
            &quantized.zero_point,
        ],
        vec![],
    );
    Product {
        rows: graph.node("Mul", &[&product, &quantized.scales], vec![]),
        bias,
    }
}

/// Activations as unsigned bytes.
struct QuantizedActivations {
    /// `[rows, width]` bytes.
    values: Value,
    /// `[rows, 1]`.
    scales: Value,
    /// What the product takes off each byte; absent for none.
    zero_point: Value,
}

/// A row of zeros has the scale 0: whatever its bytes are, scaling by it gives zeros again.
fn quantize_signed(
    graph: &mut GraphBuilder,
    rows: &Value,
    zero_points: &Value,
) -> QuantizedActivations {
    let magnitudes = graph.node("Abs", &[rows], vec![]);
    let largest = row_maximum(graph, &magnitudes);
    let step = graph.float(1.0 / 127.0);
    let scales = graph.node("Mul", &[&largest, &step], vec![]);
    let scale_list = as_list(graph, &scales);
    let values = graph.node(
        "QuantizeLinear",
        &[rows, &scale_list, zero_points],
        vec![int("axis", 0)],
    );
    QuantizedActivations {
        values,
        scales,
        zero_point: graph.byte(SIGNED_ZERO_POINT),
    }
}

fn quantize_positive(graph: &mut GraphBuilder, rows: &Value) -> QuantizedActivations {
    let largest = row_maximum(graph, rows);
    let step = graph.float(1.0 / 255.0);
    let scales = graph.node("Mul", &[&largest, &step], vec![]);
    let scale_list = as_list(graph, &scales);
    let values = graph.node("QuantizeLinear", &[rows, &scale_list], vec![int("axis", 0)]);
    QuantizedActivations {
        values,
        scales,
        zero_point: Value::absent(),
    }
}

/// Quantizes `rows + shift`, where each row's scale divides the shift into a whole number of steps: its zero point. The
/// shift then adds the same constant to every token's product, and the bias takes it off.
fn quantize_shifted(graph: &mut GraphBuilder, rows: &Value, shift: f32) -> QuantizedActivations {
    let largest = row_maximum(graph, rows);
    let shift = graph.float(shift);
    let range = graph.node("Add", &[&largest, &shift], vec![]);
    let steps = graph.float(255.0);
    let finest = graph.node("Div", &[&range, &steps], vec![]);
    let ratio = graph.node("Div", &[&shift, &finest], vec![]);
    let whole = graph.node("Floor", &[&ratio], vec![]);
    let one = graph.float(1.0);
    let zero_points = graph.node("Clip", &[&whole, &one, &steps], vec![]);
    let scales = graph.node("Div", &[&shift, &zero_points], vec![]);
    let scale_list = as_list(graph, &scales);
    let zero_point_list = as_list(graph, &zero_points);
    let bytes = graph.cast(&zero_point_list, DataType::Uint8);
    let values = graph.node(
        "QuantizeLinear",
        &[rows, &scale_list, &bytes],
        vec![int("axis", 0)],
    );
    QuantizedActivations {
        values,
        scales,
        zero_point: Value::absent(),
    }
}

fn signed_zero_points(graph: &mut GraphBuilder, like: &Value) -> Value {
    let shape = graph.node("Shape", &[like], vec![]);
    let zero_point = graph.byte(SIGNED_ZERO_POINT);
    graph.node("Expand", &[&zero_point, &shape], vec![])
}

/// The greatest value of each row, `[tokens, 1]`.
fn row_maximum(graph: &mut GraphBuilder, rows: &Value) -> Value {
    let last_axis = graph.integers(&[-1]);
    graph.node("ReduceMax", &[rows, &last_axis], vec![int("keepdims", 1)])
}

/// A `[tokens, 1]` column as `[tokens]`.
fn as_list(graph: &mut GraphBuilder, column: &Value) -> Value {
    let flat = graph.integers(&[-1]);
    graph.node("Reshape", &[column, &flat], vec![])
}

/// `LayerNorm(rows + bias + skip)`, all of them 32-bit floats. ONNX Runtime's `SkipLayerNormalization` does the same in one
/// pass on the CPU, but takes six times as long: its sums are not vectorised.
pub fn add_and_normalize(
    graph: &mut GraphBuilder,
    product: &Product,
    skip: &Value,
    norm: &LayerNorm,
) -> Value {
    let rows = graph.node("Add", &[&product.rows, &product.bias], vec![]);
    let rows = graph.node("Add", &[&rows, skip], vec![]);
    norm.normalize(graph, &rows)
}

/// A LayerNorm of the checkpoint.
#[derive(Debug)]
pub struct LayerNorm {
    /// The name of its tensors, without the suffix.
    pub name: String,
    /// The width of what it normalizes.
    pub width: usize,
    /// What is added to the variance.
    pub epsilon: f32,
}

impl LayerNorm {
    /// How its tensors are made.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        Recipe::LayerNorm {
            name: self.name.clone(),
            width: self.width,
        }
    }

    /// Its gain and its shift.
    #[must_use]
    pub fn parameters(&self) -> [Value; 2] {
        ["weight", "bias"].map(|suffix| Value::from_name(format!("{}.{suffix}", self.name)))
    }

    /// Normalizes rows of 32-bit floats.
    pub fn normalize(&self, graph: &mut GraphBuilder, rows: &Value) -> Value {
        graph.weights(self.recipe());
        let [gain, shift] = self.parameters();
        graph.node(
            "LayerNormalization",
            &[rows, &gain, &shift],
            vec![float("epsilon", self.epsilon)],
        )
    }
}
