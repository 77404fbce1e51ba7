//! The encoder's layers: attention, then the feed-forward network, each followed by a residual LayerNorm.

use super::builder::{GraphBuilder, Value, int};
use super::linear::{Activations, LayerNorm, LinearLayers, Product, add_and_normalize};
use super::packing::Packing;
use crate::export::config::{Activation, ModelConfig};
use crate::export::weights::LinearRecipe;

/// Adds all layers; rows are `[tokens, hidden_size]` before and after.
pub fn build(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    config: &ModelConfig,
    packing: &Packing,
    embedded: Value,
) -> Value {
    (0..config.num_hidden_layers).fold(embedded, |rows, index| {
        let layer = format!("electra.encoder.layer.{index}");
        graph.enter(format!("layer.{index}.attention"));
        let attended = attention(graph, linear, config, packing, &layer, &rows);
        graph.enter(format!("layer.{index}.feed_forward"));
        feed_forward(graph, linear, config, &layer, &attended)
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

fn attention(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    config: &ModelConfig,
    packing: &Packing,
    layer: &str,
    rows: &Value,
) -> Value {
    let width = config.hidden_size;
    let hidden = signed(width);
    let query_key_value = LinearRecipe {
        name: format!("{layer}.attention.self.query_key_value"),
        layers: ["query", "key", "value"]
            .map(|part| format!("{layer}.attention.self.{part}"))
            .to_vec(),
        inputs: width,
        outputs: width,
    };
    let product = linear.tokens(graph, rows, query_key_value, Activations::Signed);
    let view = packing.pad(graph, &product.rows);
    let parts = split_last(graph, &view, 3, hidden);
    let context = graph.microsoft(
        "MultiHeadAttention",
        &[
            &parts[0],
            &parts[1],
            &parts[2],
            &product.bias,
            &packing.key_mask,
        ],
        vec![int("num_heads", signed(config.num_attention_heads))],
    );
    let context = packing.unpad(graph, &context, hidden);
    let output = LinearRecipe::of_layer(format!("{layer}.attention.output.dense"), width, width);
    let output = linear.tokens(graph, &context, output, Activations::Signed);
    add_and_normalize(
        graph,
        &output,
        rows,
        &layer_norm(config, format!("{layer}.attention.output.LayerNorm")),
    )
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
    let intermediate = linear.tokens(graph, rows, intermediate, Activations::Signed);
    let activated = activate(graph, config.hidden_act, &intermediate);
    let output = LinearRecipe::of_layer(format!("{layer}.output.dense"), wide, width);
    let depth = config.hidden_act.depth();
    let output = linear.tokens(
        graph,
        &activated,
        output,
        Activations::AlmostPositive { depth },
    );
    add_and_normalize(
        graph,
        &output,
        rows,
        &layer_norm(config, format!("{layer}.output.LayerNorm")),
    )
}

/// `values`, split along the last axis into equal parts.
fn split_last(graph: &mut GraphBuilder, values: &Value, parts: usize, width: i64) -> Vec<Value> {
    let sizes = graph.integers(&vec![width; parts]);
    graph.nodes("Split", &[values, &sizes], vec![int("axis", -1)], parts)
}

fn layer_norm(config: &ModelConfig, name: String) -> LayerNorm {
    LayerNorm {
        name,
        width: config.hidden_size,
        epsilon: config.layer_norm_eps,
    }
}

/// Sizes are bounded by `ModelConfig`'s checks far below what a signed integer holds.
fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
