//! Builds the embeddings of words, positions and token types, their LayerNorm, and the projection for an encoder of
//! another width.

use super::builder::{GraphBuilder, GraphValue, int};
use super::linear::{Activations, LayerNorm, LinearLayers};
use crate::export::data_file::Float;
use crate::export::weights::{LinearRecipe, Recipe};
use crate::model_config::ModelShape;

/// Adds the embeddings. The result is fp32, `[tokens, hidden_size]`.
pub fn build(graph: &mut GraphBuilder, linear: &LinearLayers, shape: &ModelShape) -> GraphValue {
    graph.enter("embeddings");
    let width = shape.embedding_size;
    let words = words(graph, linear, shape);
    let positions = table(
        graph,
        "electra.embeddings.position_embeddings",
        "position_ids",
        shape.max_position_embeddings,
        width,
        Float::Single,
    );
    let types = table(
        graph,
        "electra.embeddings.token_type_embeddings",
        "token_type_ids",
        shape.type_vocab_size,
        width,
        Float::Single,
    );
    let norm = LayerNorm {
        name: "electra.embeddings.LayerNorm".to_owned(),
        width,
        epsilon: shape.layer_norm_eps,
    };
    let places = graph.node("Add", &[&positions, &types], vec![]);
    let summed = graph.node("Add", &[&words, &places], vec![]);
    let normalized = norm.normalize(graph, &summed);
    if shape.embedding_size == shape.hidden_size {
        return normalized;
    }
    let projection = LinearRecipe::from_layer(
        "electra.embeddings_project".to_owned(),
        shape.embedding_size,
        shape.hidden_size,
    );
    let normalized = linear.narrow(graph, &normalized);
    let projected = linear.summand(graph, &normalized, projection, Activations::Signed);
    graph.node("Add", &[&projected.rows, &projected.bias], vec![])
}

fn words(graph: &mut GraphBuilder, linear: &LinearLayers, shape: &ModelShape) -> GraphValue {
    let name = "electra.embeddings.word_embeddings";
    let (rows, width) = (shape.vocab_size, shape.embedding_size);
    if let LinearLayers::Float(float) = linear {
        let words = table(graph, name, "input_ids", rows, width, *float);
        return linear.widen(graph, &words);
    }
    graph.weights(Recipe::QuantizedTable {
        name: name.to_owned(),
        rows,
        width,
    });
    let ids = GraphValue::from_name("input_ids");
    let bytes = graph.node(
        "Gather",
        &[&GraphValue::from_name(format!("{name}.weight")), &ids],
        vec![int("axis", 0)],
    );
    let scales = graph.node(
        "Gather",
        &[&GraphValue::from_name(format!("{name}.scale")), &ids],
        vec![int("axis", 0)],
    );
    graph.node("DequantizeLinear", &[&bytes, &scales], vec![int("axis", 0)])
}

fn table(
    graph: &mut GraphBuilder,
    name: &str,
    ids: &str,
    rows: usize,
    width: usize,
    float: Float,
) -> GraphValue {
    graph.weights(Recipe::Table {
        name: name.to_owned(),
        rows,
        width,
        float,
    });
    graph.node(
        "Gather",
        &[
            &GraphValue::from_name(format!("{name}.weight")),
            &GraphValue::from_name(ids),
        ],
        vec![int("axis", 0)],
    )
}
