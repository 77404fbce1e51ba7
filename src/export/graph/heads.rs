//! Builds the four heads, from the encoder's rows to logits.

use super::builder::{GraphBuilder, GraphValue};
use super::encoder::activate;
use super::linear::{Activations, LinearLayers};
use crate::activation::Activation;
use crate::export::head::Head;
use crate::export::weights::LinearRecipe;
use crate::model_config::ModelShape;

/// Adds the head over the encoder's fp32 rows: one per token, or for the sequence head one per sequence. The result has
/// `width` columns. `starts` has one element per sequence.
pub fn build(
    graph: &mut GraphBuilder,
    linear: &LinearLayers,
    shape: &ModelShape,
    head: Head,
    starts: &GraphValue,
    encoded: &GraphValue,
) -> GraphValue {
    graph.enter("head");
    let hidden = shape.hidden_size;
    let last = |name: &str| LinearRecipe::from_layer(name.to_owned(), hidden, head.width());
    match head {
        Head::Discriminator => {
            let dense = LinearRecipe::from_layer(
                "discriminator_predictions.dense".to_owned(),
                hidden,
                hidden,
            );
            let encoded = linear.narrow(graph, encoded);
            let dense = linear.product(graph, &encoded, dense, Activations::Signed);
            let activated = activate(graph, shape.hidden_act, &dense);
            let activated = linear.widen(graph, &activated);
            LinearLayers::exact(
                graph,
                &activated,
                last("discriminator_predictions.dense_prediction"),
            )
        }
        Head::Sequence { .. } => {
            let dense = LinearRecipe::from_layer("classifier.dense".to_owned(), hidden, hidden);
            let linear = linear.for_sequences(graph, starts);
            let encoded = linear.narrow(graph, encoded);
            let dense = linear.product(graph, &encoded, dense, Activations::Signed);
            // transformers' ElectraClassificationHead always applies gelu, regardless of `hidden_act`.
            let activated = activate(graph, Activation::Gelu, &dense);
            let activated = linear.widen(graph, &activated);
            LinearLayers::exact(graph, &activated, last("classifier.out_proj"))
        }
        Head::Token { .. } => LinearLayers::exact(graph, encoded, last("classifier")),
        Head::QuestionAnswering => LinearLayers::exact(graph, encoded, last("qa_outputs")),
    }
}
