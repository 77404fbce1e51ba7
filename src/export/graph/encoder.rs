//! The encoder's layers: attention, then the feed-forward network, each followed by a residual LayerNorm.

use super::attention;
use super::builder::{GraphBuilder, Value};
use super::linear::{Activations, LayerNorm, LinearLayers, Product, add_and_normalize};
use super::packing::Packing;
use crate::export::config::{Activation, ModelConfig};
use crate::export::head::Head;
use crate::export::weights::LinearRecipe;

/// Adds all layers, over rows of `[tokens, hidden_size]`: 32-bit floats, as is the result. It has the rows that the head reads: one a token, or for
/// the sequence head one a sequence, that of its first token; the last layer then computes no others.
pub fn build(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    config: &ModelConfig,
    head: Head,
    packing: &Packing,
    embedded: Value,
) -> Value {
    (0..config.num_hidden_layers).fold(embedded, |rows, index| {
        let layer = format!("electra.encoder.layer.{index}");
        graph.enter(format!("layer.{index}.attention"));
        let context = attend(graph, linear, config, packing, &layer, &rows);
        let last = index + 1 == config.num_hidden_layers;
        if last && matches!(head, Head::Sequence { .. }) {
            let linear = linear.of_sequences(graph, packing);
            let context = packing.first_tokens(graph, &context);
            let rows = packing.first_tokens(graph, &rows);
            transform(graph, &linear, config, &layer, &context, &rows, index)
        } else {
            transform(graph, linear, config, &layer, &context, &rows, index)
        }
    })
}

/// Applies an activation to a product, its bias added first.
pub fn activate(graph: &mut GraphBuilder, activation: Activation, product: &Product) -> Value {
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

/// What each token gathers from its sequence.
fn attend(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    config: &ModelConfig,
    packing: &Packing,
    layer: &str,
    rows: &Value,
) -> Value {
    let query_key_value = LinearRecipe {
        name: format!("{layer}.attention.self.query_key_value"),
        layers: ["query", "key", "value"]
            .map(|part| format!("{layer}.attention.self.{part}"))
            .to_vec(),
        inputs: config.hidden_size,
        outputs: config.hidden_size,
    };
    let rows = linear.narrowed(graph, rows);
    let product = linear.product(graph, &rows, query_key_value, Activations::Signed);
    attention::build(graph, config, packing, &product, linear.float())
}

/// The rest of a layer, which sees each row on its own.
fn transform(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    config: &ModelConfig,
    layer: &str,
    context: &Value,
    rows: &Value,
    index: usize,
) -> Value {
    let width = config.hidden_size;
    let output = LinearRecipe::of_layer(format!("{layer}.attention.output.dense"), width, width);
    let output = linear.summand(graph, context, output, Activations::Signed);
    let norm = layer_norm(config, format!("{layer}.attention.output.LayerNorm"));
    let attended = add_and_normalize(graph, &output, rows, &norm);
    graph.enter(format!("layer.{index}.feed_forward"));
    feed_forward(graph, linear, config, layer, &attended)
}

fn feed_forward(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    config: &ModelConfig,
    layer: &str,
    rows: &Value,
) -> Value {
    let (width, wide) = (config.hidden_size, config.intermediate_size);
    let intermediate = LinearRecipe::of_layer(format!("{layer}.intermediate.dense"), width, wide);
    let narrowed = linear.narrowed(graph, rows);
    let intermediate = linear.product(graph, &narrowed, intermediate, Activations::Signed);
    let activated = activate(graph, config.hidden_act, &intermediate);
    let output = LinearRecipe::of_layer(format!("{layer}.output.dense"), wide, width);
    let depth = config.hidden_act.depth();
    let output = linear.summand(
        graph,
        &activated,
        output,
        Activations::AlmostPositive { depth },
    );
    let norm = layer_norm(config, format!("{layer}.output.LayerNorm"));
    add_and_normalize(graph, &output, rows, &norm)
}

fn layer_norm(config: &ModelConfig, name: String) -> LayerNorm {
    LayerNorm {
        name,
        width: config.hidden_size,
        epsilon: config.layer_norm_eps,
    }
}
