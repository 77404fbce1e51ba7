//! Builds the packed graph from this server's own operators, for the CPU. They fuse several ONNX operators into one
//! pass and keep the encoder's weights once for all sessions. The server builds this graph when it loads an exported
//! graph, whose weights it uses.
//!
//! | operator | inputs | outputs |
//! |---|---|---|
//! | `Linear`, `IntegerLinear` | rows of floats; bytes and the scales of columns | product with the weights that an attribute names |
//! | `Quantize` | rows | bytes, scales |
//! | `Attention`, `QuantizedAttention` | queries, keys and values of all heads; bias; `sequence_starts`; scales | context of all tokens, or of first tokens alone |
//! | `Gelu`, `GeluTanh`, `Relu`, `Silu`, `Quantized…` | product, bias, scales | activated rows |
//! | `AddNormalize`, `QuantizedAddNormalize` | product, bias, rows to add, gain, shift, scales | normalized rows |
//!
//! Where ONNX Runtime multiplies bytes faster, its own operator replaces `IntegerLinear`. Scales are those of a
//! product's rows, and absent in fp32. The `Quantized…` operators output bytes and scales for the product that follows;
//! `QuantizedAddNormalize` outputs them after the rows.

use super::builder::{GraphBuilder, GraphValue, float, int, text};
use super::encoder::EncoderLayer;
use super::interface::OUTPUT;
use super::linear::{Activations, LayerNorm, LinearLayers, SIGNED_ZERO_POINT};
use super::{embeddings, heads, packing};
use crate::activation::Activation;
use crate::export::Precision;
use crate::export::data_file::Float;
use crate::export::head::Head;
use crate::export::weights::{LinearRecipe, Recipe};
use crate::model_config::ModelShape;
use crate::numbers::signed;
use crate::onnx::Attribute;

/// Domain of this server's operators.
pub const DOMAIN: &str = "electra";
/// Version of [`DOMAIN`].
pub const VERSION: i64 = 1;

/// Product of floats with weights.
pub const LINEAR: &str = "Linear";
/// Product of bytes with weights.
pub const INTEGER_LINEAR: &str = "IntegerLinear";
/// Quantization of rows to bytes.
pub const QUANTIZE: &str = "Quantize";
pub const ATTENTION: &str = "Attention";
/// Residual LayerNorm.
pub const ADD_NORMALIZE: &str = "AddNormalize";

/// Attribute: the name of the weights' tensor, which is not an input of the node.
pub const WEIGHTS: &str = "weights";
/// Attribute: subtracted from each byte.
pub const ZERO_POINT: &str = "zero_point";
/// Attribute: number of attention heads.
pub const NUM_HEADS: &str = "num_heads";
/// Attribute: 1 if only each sequence's first token is computed.
pub const FIRST_TOKENS: &str = "first_tokens";
/// Attribute: added to activations before they are quantized as unsigned values.
pub const SHIFT: &str = "shift";
/// Attribute: added to a LayerNorm's variance.
pub const EPSILON: &str = "epsilon";

/// The name of an operator's variant with quantized output.
#[must_use]
pub fn quantized(operator: &str) -> String {
    format!("Quantized{operator}")
}

#[must_use]
pub fn activation_operator(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "Gelu",
        Activation::GeluTanh => "GeluTanh",
        Activation::Relu => "Relu",
        Activation::Silu => "Silu",
    }
}

/// The implementation of int8 products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteProducts {
    /// This server's kernels.
    Own,
    /// ONNX Runtime's kernels.
    Runtime,
}

/// Builds the graph of a checkpoint. Its inputs, weights and output are those of [`super::build`].
#[must_use]
pub fn build(
    shape: &ModelShape,
    head: Head,
    precision: Precision,
    byte_products: ByteProducts,
) -> GraphBuilder {
    let mut graph = GraphBuilder::default();
    let linear = LinearLayers::new(&mut graph, precision);
    let embedded = embeddings::build(&mut graph, &linear, shape);
    let mut encoder = Encoder {
        starts: packing::starts(&mut graph),
        graph,
        shape,
        quantizes: precision == Precision::Int8,
        byte_products,
    };
    let rows = encoder.build(head, embedded);
    let Encoder {
        mut graph, starts, ..
    } = encoder;
    let logits = heads::build(&mut graph, &linear, shape, head, &starts, &rows);
    graph.output(&logits, OUTPUT);
    graph
}

struct Encoder<'a> {
    graph: GraphBuilder,
    shape: &'a ModelShape,
    /// `[sequences]`: the row of each sequence's first token.
    starts: GraphValue,
    quantizes: bool,
    byte_products: ByteProducts,
}

/// The left operand of a product.
enum ProductInput {
    Floats(GraphValue),
    Bytes {
        values: GraphValue,
        /// `[rows]`.
        scales: GraphValue,
        zero_point: u8,
    },
}

/// A product before its scales and bias are applied.
struct Product {
    rows: GraphValue,
    bias: GraphValue,
    /// Absent if rows have no scales.
    scales: GraphValue,
}

impl Encoder<'_> {
    fn build(&mut self, head: Head, embedded: GraphValue) -> GraphValue {
        let layers = self.shape.num_hidden_layers;
        self.graph.enter("encoder");
        let mut input = self.feed(&embedded);
        let mut rows = embedded;
        for index in 0..layers {
            let last = index + 1 == layers;
            let first_tokens = last && matches!(head, Head::Sequence { .. });
            self.graph.enter(format!("layer.{index}"));
            let layer = EncoderLayer::new(self.shape, index);
            let product = self.product(input, layer.query_key_value, Activations::Signed);
            let context = self.attend(&product, first_tokens);
            if first_tokens {
                let axis = vec![int("axis", 0)];
                rows = self.graph.node("Gather", &[&rows, &self.starts], axis);
            }
            let product = self.product(context, layer.attention_output, Activations::Signed);
            (rows, input) = self.add_and_normalize(&product, &rows, &layer.attention_norm, false);
            let product = self.product(input, layer.intermediate, Activations::Signed);
            let depth = self.shape.hidden_act.depth();
            let positive = Activations::AlmostPositive { depth };
            let activated = self.activate(&product, positive);
            let product = self.product(activated, layer.output, positive);
            (rows, input) = self.add_and_normalize(&product, &rows, &layer.output_norm, last);
        }
        rows
    }

    fn feed(&mut self, rows: &GraphValue) -> ProductInput {
        if !self.quantizes {
            return ProductInput::Floats(rows.clone());
        }
        let quantized = self.own(QUANTIZE, &[rows], vec![], 2);
        Self::bytes(quantized, Activations::Signed)
    }

    fn product(
        &mut self,
        input: ProductInput,
        linear: LinearRecipe,
        activations: Activations,
    ) -> Product {
        let part = |suffix: &str| format!("{}.{suffix}", linear.name);
        let (weight, scale, bias) = (part("weight"), part("scale"), part("bias"));
        let bias = GraphValue::from_name(bias);
        match input {
            ProductInput::Floats(rows) => {
                self.graph.weights(Recipe::Linear {
                    linear,
                    weight: Float::Single,
                    bias: Float::Single,
                });
                let attributes = vec![text(WEIGHTS, &weight)];
                Product {
                    rows: self.own(LINEAR, &[&rows], attributes, 1).remove(0),
                    bias,
                    scales: GraphValue::absent(),
                }
            }
            ProductInput::Bytes {
                values,
                scales,
                zero_point,
            } => {
                self.graph.weights(Recipe::QuantizedLinear {
                    linear,
                    activation_shift: activations.shift(),
                });
                Product {
                    rows: self.integer_product(
                        &values,
                        zero_point,
                        &weight,
                        &GraphValue::from_name(scale),
                    ),
                    bias,
                    scales,
                }
            }
        }
    }

    fn integer_product(
        &mut self,
        bytes: &GraphValue,
        zero_point: u8,
        weight: &str,
        scale: &GraphValue,
    ) -> GraphValue {
        match self.byte_products {
            ByteProducts::Own => {
                let attributes = vec![
                    text(WEIGHTS, weight),
                    int(ZERO_POINT, i64::from(zero_point)),
                ];
                self.own(INTEGER_LINEAR, &[bytes, scale], attributes, 1)
                    .remove(0)
            }
            ByteProducts::Runtime => {
                let (weight, one) = (GraphValue::from_name(weight), self.graph.float(1.0));
                let zero_point = match zero_point {
                    0 => GraphValue::absent(),
                    zero_point => self.graph.byte(zero_point),
                };
                let inputs = [bytes, &weight, &one, scale, &zero_point];
                self.graph
                    .microsoft("MatMulIntegerToFloat", &inputs, vec![])
            }
        }
    }

    fn attend(&mut self, product: &Product, first_tokens: bool) -> ProductInput {
        let starts = GraphValue::from_name("sequence_starts");
        let inputs = [&product.rows, &product.bias, &starts, &product.scales];
        let attributes = vec![
            int(NUM_HEADS, signed(self.shape.num_attention_heads)),
            int(FIRST_TOKENS, i64::from(first_tokens)),
        ];
        self.product_input(ATTENTION, &inputs, attributes, Activations::Signed)
    }

    fn activate(&mut self, product: &Product, positive: Activations) -> ProductInput {
        let operator = activation_operator(self.shape.hidden_act);
        let inputs = [&product.rows, &product.bias, &product.scales];
        let attributes = vec![float(SHIFT, positive.shift())];
        self.product_input(operator, &inputs, attributes, positive)
    }

    /// Returns the rows, and the input of the next product. After the last layer, and in fp32, both are the rows.
    fn add_and_normalize(
        &mut self,
        product: &Product,
        skip: &GraphValue,
        norm: &LayerNorm,
        last: bool,
    ) -> (GraphValue, ProductInput) {
        self.graph.weights(norm.recipe());
        let [gain, shift] = norm.parameters();
        let Product { rows, bias, scales } = product;
        let inputs = [rows, bias, skip, &gain, &shift, scales];
        let attributes = vec![float(EPSILON, norm.epsilon)];
        if last || !self.quantizes {
            let rows = self.own(ADD_NORMALIZE, &inputs, attributes, 1).remove(0);
            return (rows.clone(), ProductInput::Floats(rows));
        }
        let mut outputs = self.own(&quantized(ADD_NORMALIZE), &inputs, attributes, 3);
        let rows = outputs.remove(0);
        (rows, Self::bytes(outputs, Activations::Signed))
    }

    /// Adds an operator whose result is the input of a product.
    fn product_input(
        &mut self,
        operator: &str,
        inputs: &[&GraphValue],
        attributes: Vec<Attribute>,
        activations: Activations,
    ) -> ProductInput {
        if self.quantizes {
            let outputs = self.own(&quantized(operator), inputs, attributes, 2);
            Self::bytes(outputs, activations)
        } else {
            ProductInput::Floats(self.own(operator, inputs, attributes, 1).remove(0))
        }
    }

    fn bytes(values_and_scales: Vec<GraphValue>, activations: Activations) -> ProductInput {
        let mut outputs = values_and_scales.into_iter();
        let mut next = || outputs.next().unwrap_or_else(GraphValue::absent);
        ProductInput::Bytes {
            values: next(),
            scales: next(),
            zero_point: match activations {
                Activations::Signed => SIGNED_ZERO_POINT,
                Activations::AlmostPositive { .. } => 0,
            },
        }
    }

    fn own(
        &mut self,
        operator: &str,
        inputs: &[&GraphValue],
        attributes: Vec<Attribute>,
        outputs: usize,
    ) -> Vec<GraphValue> {
        self.graph
            .add(operator, DOMAIN, inputs, attributes, outputs)
    }
}
