//! Builds linear layers in fp32, fp16 and int8. The bias is returned rather than added: the operator that follows adds
//! it without an extra pass.
//!
//! In int8, weights have one scale per output channel, and activations one scale per token, computed from that token
//! alone. So a token's result does not depend on its batch. The integer product is exact. It is scaled by the channels'
//! scales as it is converted to floats, then by the token's.
//!
//! In fp16, products, their activations and attention use 16-bit floats. Residual sums and their LayerNorm stay in 32
//! bits. In 16 bits, rounding errors there would propagate through all layers, an epsilon of 1e-12 would be 0, and
//! squares could overflow.

use super::builder::{GraphBuilder, GraphValue, float, int};
use crate::export::Precision;
use crate::export::data_file::Float;
use crate::export::weights::{LinearRecipe, Recipe};
use crate::onnx::DataType;

/// The range of a linear layer's activations, as known before the layer runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activations {
    /// Both signs. Quantized to 128 ± 127 by the largest magnitude.
    Signed,
    /// Never below `-depth`, which is small, as for gelu's outputs. Quantized over all 255 steps, from there up to the
    /// largest.
    AlmostPositive {
        /// Magnitude of the least value; 0 if none is negative.
        depth: f32,
    },
}

impl Activations {
    /// Added to activations to make them positive. It is 0 if none is negative, and for signed activations.
    #[must_use]
    pub fn shift(self) -> f32 {
        match self {
            Self::AlmostPositive { depth } if depth > 0.0 => depth.max(LEAST_SHIFT),
            Self::AlmostPositive { .. } | Self::Signed => 0.0,
        }
    }
}

/// The byte that stands for 0 in signed activations.
pub const SIGNED_ZERO_POINT: u8 = 128;

/// The smallest shift of almost positive activations. The scale divides the shift into a whole number of quantization
/// steps, so a shift much larger than a step keeps the step close to the finest possible. Activations up to 254 times
/// this are in range.
const LEAST_SHIFT: f32 = 0.5;

/// A product before its bias is added.
#[derive(Debug)]
pub struct Product {
    /// `[rows, outputs]`.
    pub rows: GraphValue,
    /// `[outputs]`.
    pub bias: GraphValue,
}

/// Adds linear layers in one precision.
#[derive(Debug)]
pub enum LinearLayers {
    /// Products of floats: see [`Precision::Fp32`] and [`Precision::Fp16`].
    Float(Float),
    /// See [`Precision::Int8`].
    Int8 {
        /// `[rows]` bytes, all [`SIGNED_ZERO_POINT`].
        zero_points: GraphValue,
    },
}

impl LinearLayers {
    /// Adds the nodes that all layers share.
    pub fn new(graph: &mut GraphBuilder, precision: Precision) -> Self {
        match precision {
            Precision::Fp32 => Self::Float(Float::Single),
            Precision::Fp16 => Self::Float(Float::Half),
            Precision::Int8 => {
                graph.enter("zero_points");
                let zero_points = signed_zero_points(graph, &GraphValue::from_name("input_ids"));
                Self::Int8 { zero_points }
            }
        }
    }

    /// The same layers for one row per sequence in place of one per token. `starts` has one element per sequence.
    pub fn for_sequences(&self, graph: &mut GraphBuilder, starts: &GraphValue) -> Self {
        match self {
            Self::Float(float) => Self::Float(*float),
            Self::Int8 { .. } => Self::Int8 {
                zero_points: signed_zero_points(graph, starts),
            },
        }
    }

    /// Multiplies activations with a layer's weights.
    pub fn product(
        &self,
        graph: &mut GraphBuilder,
        rows: &GraphValue,
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

    /// Like [`Self::product`], but for a result that is added to others and not multiplied again. It and its bias are
    /// fp32 in every precision.
    pub fn summand(
        &self,
        graph: &mut GraphBuilder,
        rows: &GraphValue,
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

    /// Casts fp32 rows to the type that products take.
    pub fn narrow(&self, graph: &mut GraphBuilder, rows: &GraphValue) -> GraphValue {
        match self.float() {
            Float::Single => rows.clone(),
            Float::Half => graph.cast(rows, DataType::Float16),
        }
    }

    /// Casts the type that products return to fp32.
    pub fn widen(&self, graph: &mut GraphBuilder, rows: &GraphValue) -> GraphValue {
        match self.float() {
            Float::Single => rows.clone(),
            Float::Half => graph.cast(rows, DataType::Float),
        }
    }

    /// The float type that products take and return.
    #[must_use]
    pub fn float(&self) -> Float {
        match self {
            Self::Float(float) => *float,
            Self::Int8 { .. } => Float::Single,
        }
    }

    /// An fp32 product in every precision, with its bias added. For a head's last layer, whose few columns make the
    /// precision nearly free.
    pub fn exact(graph: &mut GraphBuilder, rows: &GraphValue, linear: LinearRecipe) -> GraphValue {
        let product = float_product(graph, rows, linear, Float::Single, Float::Single);
        graph.node("Add", &[&product.rows, &product.bias], vec![])
    }
}

fn float_product(
    graph: &mut GraphBuilder,
    rows: &GraphValue,
    linear: LinearRecipe,
    weight: Float,
    bias: Float,
) -> Product {
    let part = |suffix: &str| GraphValue::from_name(format!("{}.{suffix}", linear.name));
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
    rows: &GraphValue,
    zero_points: &GraphValue,
    linear: LinearRecipe,
    activations: Activations,
) -> Product {
    let activation_shift = activations.shift();
    let quantized = match activations {
        Activations::Signed => quantize_signed(graph, rows, zero_points),
        Activations::AlmostPositive { depth: 0.0 } => quantize_positive(graph, rows),
        Activations::AlmostPositive { .. } => quantize_shifted(graph, rows, activation_shift),
    };
    let part = |suffix: &str| GraphValue::from_name(format!("{}.{suffix}", linear.name));
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

/// Activations in uint8.
struct QuantizedActivations {
    /// `[rows, width]` bytes.
    values: GraphValue,
    /// `[rows, 1]`.
    scales: GraphValue,
    /// Subtracted by the product from each byte; absent if it is 0.
    zero_point: GraphValue,
}

/// A row of zeros has scale 0 and arbitrary bytes, which that scale turns back into zeros.
fn quantize_signed(
    graph: &mut GraphBuilder,
    rows: &GraphValue,
    zero_points: &GraphValue,
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

fn quantize_positive(graph: &mut GraphBuilder, rows: &GraphValue) -> QuantizedActivations {
    let largest = row_maximum(graph, rows);
    let step = graph.float(1.0 / 255.0);
    let scales = graph.node("Mul", &[&largest, &step], vec![]);
    let scale_list = as_list(graph, &scales);
    let values = graph.node("QuantizeLinear", &[rows, &scale_list], vec![int("axis", 0)]);
    QuantizedActivations {
        values,
        scales,
        zero_point: GraphValue::absent(),
    }
}

/// Quantizes `rows + shift`. Each row's scale divides the shift into a whole number of steps, which is the row's zero
/// point. So the shift adds the same constant to every token's product, and the bias subtracts it.
fn quantize_shifted(
    graph: &mut GraphBuilder,
    rows: &GraphValue,
    shift: f32,
) -> QuantizedActivations {
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
        zero_point: GraphValue::absent(),
    }
}

fn signed_zero_points(graph: &mut GraphBuilder, like: &GraphValue) -> GraphValue {
    let shape = graph.node("Shape", &[like], vec![]);
    let zero_point = graph.byte(SIGNED_ZERO_POINT);
    graph.node("Expand", &[&zero_point, &shape], vec![])
}

/// The maximum of each row, `[tokens, 1]`.
fn row_maximum(graph: &mut GraphBuilder, rows: &GraphValue) -> GraphValue {
    let last_axis = graph.integers(&[-1]);
    graph.node("ReduceMax", &[rows, &last_axis], vec![int("keepdims", 1)])
}

/// Reshapes a `[tokens, 1]` column to `[tokens]`.
fn as_list(graph: &mut GraphBuilder, column: &GraphValue) -> GraphValue {
    let flat = graph.integers(&[-1]);
    graph.node("Reshape", &[column, &flat], vec![])
}

/// `LayerNorm(rows + bias + skip)`, all fp32. ONNX Runtime's `SkipLayerNormalization` does the same in one pass on the
/// CPU, but takes six times as long because its sums are not vectorised.
pub fn add_and_normalize(
    graph: &mut GraphBuilder,
    product: &Product,
    skip: &GraphValue,
    norm: &LayerNorm,
) -> GraphValue {
    let rows = graph.node("Add", &[&product.rows, &product.bias], vec![]);
    let rows = graph.node("Add", &[&rows, skip], vec![]);
    norm.normalize(graph, &rows)
}

#[derive(Debug)]
pub struct LayerNorm {
    /// Name of its tensors, without the suffix.
    pub name: String,
    /// Width of the normalized rows.
    pub width: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

impl LayerNorm {
    /// The recipe of its tensors.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        Recipe::LayerNorm {
            name: self.name.clone(),
            width: self.width,
        }
    }

    /// Its gain and shift.
    #[must_use]
    pub fn parameters(&self) -> [GraphValue; 2] {
        ["weight", "bias"].map(|suffix| GraphValue::from_name(format!("{}.{suffix}", self.name)))
    }

    /// Adds the normalization of fp32 rows.
    pub fn normalize(&self, graph: &mut GraphBuilder, rows: &GraphValue) -> GraphValue {
        graph.weights(self.recipe());
        let [gain, shift] = self.parameters();
        graph.node(
            "LayerNormalization",
            &[rows, &gain, &shift],
            vec![float("epsilon", self.epsilon)],
        )
    }
}
