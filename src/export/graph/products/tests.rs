//! Compares the products found in every kind of graph with counts by hand.

use serde_json::json;

use super::*;
use crate::export::Precision;
use crate::export::graph::fused::ByteProducts;
use crate::export::graph::{build, fuse};
use crate::export::head::Head;
use crate::model_config::ModelConfig;

/// The kind of graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exported,
    Fused(ByteProducts),
}

const KINDS: [(Precision, Kind); 7] = [
    (Precision::Fp32, Kind::Exported),
    (Precision::Fp16, Kind::Exported),
    (Precision::Int8, Kind::Exported),
    (Precision::Fp32, Kind::Fused(ByteProducts::Own)),
    (Precision::Fp32, Kind::Fused(ByteProducts::Runtime)),
    (Precision::Int8, Kind::Fused(ByteProducts::Own)),
    (Precision::Int8, Kind::Fused(ByteProducts::Runtime)),
];

fn shape() -> ModelShape {
    let json = json!({
        "vocab_size": 100, "embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 3,
        "num_attention_heads": 2, "intermediate_size": 64,
    });
    let config = ModelConfig::parse(json.to_string().as_bytes()).unwrap();
    config.shape().unwrap()
}

fn products(head: Head, precision: Precision, kind: Kind) -> Products {
    let (shape, data_file) = (shape(), "weights");
    let model = build(&shape, head, precision, data_file).model;
    match kind {
        Kind::Exported => Products::of(&model, &shape),
        Kind::Fused(byte_products) => {
            Products::of_fused(&fuse(&model, &shape, byte_products).unwrap(), &shape)
        }
    }
}

fn operators(model: &Model) -> Vec<&str> {
    let nodes = &model.graph.as_ref().unwrap().node;
    nodes.iter().map(|node| node.op_type.as_str()).collect()
}

fn count(operators: &[&str], operator: &str) -> usize {
    operators.iter().filter(|found| **found == operator).count()
}

/// Per row: queries, keys and values; then attention's output and two wide layers.
const ATTENDING: usize = 3 * 32 * 32;
const TRANSFORMING: usize = 32 * 32 + 2 * 32 * 64;
/// Per token: the projection and all three layers.
const ENCODER: usize = 16 * 32 + 3 * (ATTENDING + TRANSFORMING);

#[test]
fn work_is_counted_by_token_and_by_sequence() {
    let check = |head, by_token: usize, by_sequence: usize| {
        for (precision, kind) in KINDS {
            let found = products(head, precision, kind).linear_operations(7, 3);
            let wanted = 2 * (7 * by_token + 3 * by_sequence);
            let exact = (found - float(wanted)).abs() < 0.5;
            assert!(exact, "{head:?} {precision} {kind:?}");
        }
    };
    check(Head::Discriminator, ENCODER + 32 * 32 + 32, 0);
    check(Head::Token { labels: 5 }, ENCODER + 32 * 5, 0);
    check(Head::QuestionAnswering, ENCODER + 32 * 2, 0);
    // The last layer of a classifier computes first tokens only.
    let head = 32 * 32 + 32 * 4;
    let classifier = Head::Sequence { labels: 4 };
    check(classifier, ENCODER - TRANSFORMING, TRANSFORMING + head);
}

#[test]
fn attention_is_counted_in_all_layers() {
    let products = products(Head::Discriminator, Precision::Int8, Kind::Exported);
    let found = products.attention_operations(10);
    assert!((found - 3.0 * 4.0 * 32.0 * 100.0).abs() < 0.5, "{found}");
}

#[test]
fn the_linear_graph_holds_each_product_and_a_row_of_its_result() {
    for (precision, kind) in KINDS {
        let products = products(Head::Sequence { labels: 4 }, precision, kind);
        let model = products.linear_graph();
        let operators = operators(&model);
        // Four products per layer; around them the projection and the head's two, of which the last stays in fp32.
        let (in_layers, around) = (3 * 4, 3);
        let all = in_layers + around;
        let of_runtime = match precision {
            Precision::Int8 => "MatMulIntegerToFloat",
            _ => "MatMul",
        };
        let own = match (precision, kind) {
            (Precision::Int8, Kind::Fused(ByteProducts::Own)) => Some(INTEGER_LINEAR),
            (Precision::Fp32, Kind::Fused(_)) => Some(LINEAR),
            _ => None,
        };
        let named = own.map_or(0, |_| in_layers);
        assert_eq!(own.map_or(0, |own| count(&operators, own)), named);
        assert_eq!(products.named_weights().len(), named);
        let in_fp32 = usize::from(precision == Precision::Int8);
        assert_eq!(count(&operators, of_runtime), all - named - in_fp32);
        assert_eq!(count(&operators, "Slice"), all);
        assert_eq!(operators.len(), 2 * all);
        let graph = model.graph.unwrap();
        assert_eq!(graph.output.len(), all);
        let tensors = graph.initializer.iter().map(|tensor| &tensor.name);
        let distinct: HashSet<&String> = tensors.collect();
        assert_eq!(distinct.len(), graph.initializer.len());
        // Every input is fed, one of the model's weights, or computed before.
        let mut known: HashSet<&str> = graph
            .input
            .iter()
            .map(|input| input.name.as_str())
            .chain(graph.initializer.iter().map(|tensor| tensor.name.as_str()))
            .collect();
        for node in &graph.node {
            for input in node.input.iter().filter(|input| !input.is_empty()) {
                assert!(known.contains(input.as_str()), "{input}");
            }
            known.extend(node.output.iter().map(String::as_str));
        }
    }
}

#[test]
fn a_classifier_is_fed_rows_of_tokens_and_of_sequences() {
    let names = |head, precision| {
        let feeds = products(head, precision, Kind::Exported).feeds();
        let mut names: Vec<String> = feeds.iter().map(ProductFeed::name).collect();
        names.sort();
        names
    };
    assert_eq!(
        names(Head::Sequence { labels: 4 }, Precision::Int8),
        [
            "sequences.32.fp32",
            "sequences.32.uint8",
            "sequences.64.uint8",
            "tokens.16.uint8",
            "tokens.32.uint8",
            "tokens.64.uint8"
        ]
    );
    assert_eq!(
        names(Head::QuestionAnswering, Precision::Fp32),
        ["tokens.16.fp32", "tokens.32.fp32", "tokens.64.fp32"]
    );
    // The head's last layer stays in fp32.
    assert_eq!(
        names(Head::QuestionAnswering, Precision::Fp16),
        [
            "tokens.16.fp16",
            "tokens.32.fp16",
            "tokens.32.fp32",
            "tokens.64.fp16"
        ]
    );
}

#[test]
fn the_attention_graph_holds_two_products_a_layer() {
    let model = products(Head::Discriminator, Precision::Int8, Kind::Exported).attention_graph();
    let operators = operators(&model);
    assert_eq!(count(&operators, "MatMul"), 6);
    assert_eq!(count(&operators, "Slice"), 3);
    assert_eq!(operators.len(), 9);
    assert_eq!(model.graph.unwrap().output.len(), 3);
}
