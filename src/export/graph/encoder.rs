//! Builds the encoder's layers: attention and the feed-forward network, each followed by a residual LayerNorm.

use super::attention;
use super::builder::{GraphBuilder, GraphValue};
use super::linear::{Activations, LayerNorm, LinearLayers, Product, add_and_normalize};
use super::packing::Packing;
use crate::activation::Activation;
use crate::export::head::Head;
use crate::export::weights::LinearRecipe;
use crate::model_config::ModelShape;

/// Adds all layers over fp32 rows, `[tokens, hidden_size]`. The result is fp32, with the rows that the head reads: one
/// per token, or for the sequence head one per sequence, that of its first token. The last layer then computes only
/// these rows.
pub fn build(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    shape: &ModelShape,
    head: Head,
    packing: &Packing,
    embedded: GraphValue,
) -> GraphValue {
    (0..shape.num_hidden_layers).fold(embedded, |rows, index| {
        let layer = EncoderLayer::new(shape, index);
        graph.enter(format!("layer.{index}.attention"));
        let context = attend(graph, linear, shape, packing, &layer, &rows);
        let last = index + 1 == shape.num_hidden_layers;
        if last && matches!(head, Head::Sequence { .. }) {
            let linear = linear.for_sequences(graph, &packing.starts);
            let context = packing.first_tokens(graph, &context);
            let rows = packing.first_tokens(graph, &rows);
            transform(graph, &linear, shape, layer, &context, &rows, index)
        } else {
            transform(graph, linear, shape, layer, &context, &rows, index)
        }
    })
}

/// Applies an activation to a product after adding its bias.
pub fn activate(graph: &mut GraphBuilder, activation: Activation, product: &Product) -> GraphValue {
    let Product { rows, bias } = product;
    match activation {
        Activation::Gelu => graph.microsoft("BiasGelu", &[rows, bias], vec![]),
        Activation::GeluTanh => graph.microsoft("FastGelu", &[rows, bias], vec![]),
        Activation::Relu => {
            let biased = graph.node("Add", &[rows, bias], vec![]);
            graph.node("Relu", &[&biased], vec![])
        }
        Activation::Silu => {
            let biased = graph.node("Add", &[rows, bias], vec![]);
            let gate = graph.node("Sigmoid", &[&biased], vec![]);
            graph.node("Mul", &[&biased, &gate], vec![])
        }
    }
}

/// The attention block.
fn attend(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    shape: &ModelShape,
    packing: &Packing,
    layer: &EncoderLayer,
    rows: &GraphValue,
) -> GraphValue {
    let rows = linear.narrow(graph, rows);
    let query_key_value = layer.query_key_value.clone();
    let product = linear.product(graph, &rows, query_key_value, Activations::Signed);
    attention::build(graph, shape, packing, &product, linear.float())
}

/// The rest of a layer, which processes each row independently.
fn transform(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    shape: &ModelShape,
    layer: EncoderLayer,
    context: &GraphValue,
    rows: &GraphValue,
    index: usize,
) -> GraphValue {
    let output = linear.summand(graph, context, layer.attention_output, Activations::Signed);
    let attended = add_and_normalize(graph, &output, rows, &layer.attention_norm);
    graph.enter(format!("layer.{index}.feed_forward"));
    let narrowed = linear.narrow(graph, &attended);
    let intermediate = linear.product(graph, &narrowed, layer.intermediate, Activations::Signed);
    let activated = activate(graph, shape.hidden_act, &intermediate);
    let depth = shape.hidden_act.depth();
    let positive = Activations::AlmostPositive { depth };
    let output = linear.summand(graph, &activated, layer.output, positive);
    add_and_normalize(graph, &output, &attended, &layer.output_norm)
}

/// The weights of an encoder layer.
#[derive(Debug)]
pub struct EncoderLayer {
    /// Queries, keys and values, concatenated.
    pub query_key_value: LinearRecipe,
    /// The projection of attention's output.
    pub attention_output: LinearRecipe,
    /// The LayerNorm after attention.
    pub attention_norm: LayerNorm,
    /// The first feed-forward layer.
    pub intermediate: LinearRecipe,
    /// The second feed-forward layer.
    pub output: LinearRecipe,
    /// The LayerNorm after the feed-forward network.
    pub output_norm: LayerNorm,
}

impl EncoderLayer {
    /// The weights of layer `index`.
    #[must_use]
    pub fn new(shape: &ModelShape, index: usize) -> Self {
        let layer = format!("electra.encoder.layer.{index}");
        let (width, wide) = (shape.hidden_size, shape.intermediate_size);
        let linear = |name: &str, inputs, outputs| {
            LinearRecipe::from_layer(format!("{layer}.{name}"), inputs, outputs)
        };
        let norm = |name: &str| LayerNorm {
            name: format!("{layer}.{name}"),
            width,
            epsilon: shape.layer_norm_eps,
        };
        Self {
            query_key_value: LinearRecipe {
                name: format!("{layer}.attention.self.query_key_value"),
                layers: ["query", "key", "value"]
                    .map(|part| format!("{layer}.attention.self.{part}"))
                    .to_vec(),
                inputs: width,
                outputs: width,
            },
            attention_output: linear("attention.output.dense", width, width),
            attention_norm: norm("attention.output.LayerNorm"),
            intermediate: linear("intermediate.dense", width, wide),
            output: linear("output.dense", wide, width),
            output_norm: norm("output.LayerNorm"),
        }
    }
}
