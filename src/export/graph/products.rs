//! The matrix products of an exported graph: how much work they are, and graphs that hold nothing else.
//!
//! The time of the products alone is the least that the whole graph can take on a machine, with the same kernels.

use std::collections::{HashMap, HashSet};

use super::builder::{GraphBuilder, Size, Value, declare};
use super::{INPUTS, operator_set};
use crate::export::config::ModelConfig;
use crate::numbers::float;
use crate::onnx::{
    DataType, Graph, IR_VERSION, MICROSOFT_DOMAIN, Model, Node, OPSET, Tensor, ValueInfo,
};

/// The matrix products of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Products {
    linear: Vec<Linear>,
    attention: Attention,
}

/// The product of some rows with a layer's weights.
#[derive(Clone, Debug, PartialEq)]
struct Linear {
    /// As it stands in the model's graph.
    node: Node,
    /// What it reads beside its rows.
    initializers: Vec<Tensor>,
    feed: Feed,
    outputs: usize,
}

/// Attention's products: of queries with keys, and of their scores with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attention {
    layers: usize,
    heads: usize,
    head_size: usize,
}

/// Rows that a graph of products is fed instead of computing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Feed {
    /// How many there are.
    pub rows: Rows,
    /// Elements of a row.
    pub width: usize,
    /// What an element is.
    pub element: Element,
}

/// What a linear layer multiplies by its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// A quantized activation: an unsigned byte.
    Byte,
    /// A 16-bit float.
    Half,
    /// A 32-bit float.
    Single,
}

impl Element {
    fn data_type(self) -> DataType {
        match self {
            Self::Byte => DataType::Uint8,
            Self::Half => DataType::Float16,
            Self::Single => DataType::Float,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Byte => "uint8",
            Self::Half => "fp16",
            Self::Single => "fp32",
        }
    }

    /// What the products of such elements are: those of bytes become floats as they are scaled.
    fn product(self) -> DataType {
        match self {
            Self::Half => DataType::Float16,
            Self::Byte | Self::Single => DataType::Float,
        }
    }
}

impl Feed {
    /// The name of the graph's input.
    #[must_use]
    pub fn name(&self) -> String {
        let rows = self.rows.name();
        format!("{rows}.{}.{}", self.width, self.element.name())
    }

    fn declaration(&self) -> ValueInfo {
        let shape = [Size::Named(self.rows.name()), Size::Fixed(self.width)];
        declare(&self.name(), self.element.data_type(), &shape)
    }
}

/// What a row of a linear layer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// A token.
    Tokens,
    /// A sequence, as from the last layer of a classifier on.
    Sequences,
}

impl Rows {
    fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Sequences => "sequences",
        }
    }
}

/// Inputs of [`Products::attention_graph`], in order: `[sequences * heads, length, head_size]`, the keys transposed.
pub const ATTENTION_INPUTS: [&str; 3] = ["query", "key", "value"];

impl Products {
    /// Finds the products of an exported graph and of the checkpoint's shape, as config.json tells it.
    #[must_use]
    pub fn of(model: &Model, config: &ModelConfig) -> Self {
        let linear = model.graph.as_ref().map(linear_products);
        Self {
            linear: linear.unwrap_or_default(),
            attention: Attention {
                layers: config.num_hidden_layers,
                heads: config.num_attention_heads,
                head_size: config.hidden_size / config.num_attention_heads,
            },
        }
    }

    /// Floating-point or integer operations of the linear products, where a multiplication with its addition is two.
    #[must_use]
    pub fn linear_operations(&self, tokens: usize, sequences: usize) -> f64 {
        let operations = |linear: &Linear| {
            let rows = match linear.feed.rows {
                Rows::Tokens => tokens,
                Rows::Sequences => sequences,
            };
            2.0 * float(rows) * float(linear.feed.width) * float(linear.outputs)
        };
        self.linear.iter().map(operations).sum()
    }

    /// The same of attention's products over one sequence of so many tokens.
    #[must_use]
    pub fn attention_operations(&self, length: usize) -> f64 {
        let Attention {
            layers,
            heads,
            head_size,
        } = self.attention;
        4.0 * float(layers) * float(heads * head_size) * float(length) * float(length)
    }

    /// Number of attention heads.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.attention.heads
    }

    /// Width of one attention head.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.attention.head_size
    }

    /// What [`Self::linear_graph`] is fed, each once.
    #[must_use]
    pub fn feeds(&self) -> Vec<Feed> {
        let mut seen = HashSet::new();
        let feeds = self.linear.iter().map(|linear| linear.feed);
        feeds.filter(|feed| seen.insert(*feed)).collect()
    }

    /// The linear products alone: the operators and weights of the model, on rows that are fed. Weights lie where the
    /// model's graph has them.
    ///
    /// Of each product the graph gives one row, so that it is computed and its memory is free for the next, as in the
    /// model: were all rows given, a tenth of the time would be spent on fresh memory.
    #[must_use]
    pub fn linear_graph(&self) -> Model {
        let mut graph = GraphBuilder::default();
        let mut outputs = Vec::new();
        for (index, linear) in self.linear.iter().enumerate() {
            let mut node = linear.node.clone();
            node.input[0] = linear.feed.name();
            let product = Value::named(node.output[0].clone());
            graph.nodes.push(node);
            let name = format!("product.{index}");
            first_row(&mut graph, &product, &name);
            let shape = [Size::Fixed(1), Size::Fixed(linear.outputs)];
            outputs.push(declare(&name, linear.feed.element.product(), &shape));
        }
        let mut initializer = graph.constants;
        let mut seen = HashSet::new();
        for tensor in self.linear.iter().flat_map(|linear| &linear.initializers) {
            if seen.insert(&tensor.name) {
                initializer.push(tensor.clone());
            }
        }
        let input = self.feeds().iter().map(Feed::declaration).collect();
        model(graph.nodes, initializer, input, outputs)
    }

    /// Attention's products alone, in all layers, of one batch of sequences of equal length. All layers read the same
    /// inputs: run it unoptimized, or they are computed once.
    #[must_use]
    pub fn attention_graph(&self) -> Model {
        let mut graph = GraphBuilder::default();
        let inputs = ATTENTION_INPUTS.map(Value::named);
        let mut outputs = Vec::new();
        for layer in 0..self.attention.layers {
            graph.enter(format!("layer.{layer}"));
            let scores = graph.node("MatMul", &[&inputs[0], &inputs[1]], vec![]);
            let context = graph.node("MatMul", &[&scores, &inputs[2]], vec![]);
            let name = format!("context.{layer}");
            first_row(&mut graph, &context, &name);
            let size = Size::Fixed(self.attention.head_size);
            let shape = [Size::Fixed(1), Size::Named("length"), size];
            outputs.push(declare(&name, DataType::Float, &shape));
        }
        let (batch, length) = (Size::Named("batch"), Size::Named("length"));
        let size = Size::Fixed(self.attention.head_size);
        let shapes = [
            [batch, length, size],
            [batch, size, length],
            [batch, length, size],
        ];
        let input = ATTENTION_INPUTS
            .iter()
            .zip(shapes)
            .map(|(name, shape)| declare(name, DataType::Float, &shape))
            .collect();
        model(graph.nodes, graph.constants, input, outputs)
    }
}

/// The products of rows with weights. Those of two computed tensors are attention's.
fn linear_products(graph: &Graph) -> Vec<Linear> {
    let initializers: HashMap<&str, &Tensor> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect();
    let by_sequence = values_by_sequence(&graph.node);
    let linear = |node: &Node| {
        if !matches!(node.op_type.as_str(), "MatMul" | "MatMulIntegerToFloat") {
            return None;
        }
        let weights = initializers.get(node.input.get(1)?.as_str())?;
        let element = match weights.data_type() {
            DataType::Int8 => Element::Byte,
            DataType::Float16 => Element::Half,
            _ => Element::Single,
        };
        let [inputs, outputs] = weights.dims.as_slice() else {
            return None;
        };
        let rows = if by_sequence.contains(node.input[0].as_str()) {
            Rows::Sequences
        } else {
            Rows::Tokens
        };
        Some(Linear {
            node: node.clone(),
            initializers: node.input[1..]
                .iter()
                .filter_map(|name| initializers.get(name.as_str()).copied().cloned())
                .collect(),
            feed: Feed {
                rows,
                width: usize::try_from(*inputs).ok()?,
                element,
            },
            outputs: usize::try_from(*outputs).ok()?,
        })
    };
    graph.node.iter().filter_map(linear).collect()
}

/// The values that have a row a sequence: what is gathered at the sequences' starts, and all that is made of it.
fn values_by_sequence(nodes: &[Node]) -> HashSet<&str> {
    let boundaries = INPUTS[3];
    let starts: HashSet<&str> = nodes
        .iter()
        .filter(|node| {
            node.op_type == "Slice" && node.input.iter().any(|input| input == boundaries)
        })
        .flat_map(|node| node.output.iter().map(String::as_str))
        .collect();
    let mut found = HashSet::new();
    for node in nodes {
        let gathered = node.op_type == "Gather"
            && node
                .input
                .get(1)
                .is_some_and(|index| starts.contains(index.as_str()));
        if gathered
            || node
                .input
                .iter()
                .any(|input| found.contains(input.as_str()))
        {
            found.extend(node.output.iter().map(String::as_str));
        }
    }
    found
}

/// The first of the rows as an output of the graph.
fn first_row(graph: &mut GraphBuilder, rows: &Value, name: &str) {
    let (zero, one) = (graph.integers(&[0]), graph.integers(&[1]));
    let row = graph.node("Slice", &[rows, &zero, &one, &zero], vec![]);
    graph.output(&row, name);
}

fn model(
    node: Vec<Node>,
    initializer: Vec<Tensor>,
    input: Vec<ValueInfo>,
    output: Vec<ValueInfo>,
) -> Model {
    Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(Graph {
            node,
            name: "products".to_owned(),
            initializer,
            input,
            output,
        }),
        opset_import: vec![operator_set("", OPSET), operator_set(MICROSOFT_DOMAIN, 1)],
        metadata_props: vec![],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::export::Precision;
    use crate::export::graph::build;
    use crate::export::head::Head;

    fn config() -> ModelConfig {
        let json = json!({
            "vocab_size": 100, "embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 3,
            "num_attention_heads": 2, "intermediate_size": 64,
        });
        serde_json::from_value(json).unwrap()
    }

    fn products(head: Head, precision: Precision) -> Products {
        Products::of(
            &build(&config(), head, precision, "weights").model,
            &config(),
        )
    }

    fn operators(model: &Model) -> Vec<&str> {
        let nodes = &model.graph.as_ref().unwrap().node;
        nodes.iter().map(|node| node.op_type.as_str()).collect()
    }

    fn count(operators: &[&str], operator: &str) -> usize {
        operators.iter().filter(|found| **found == operator).count()
    }

    /// Of one row: queries, keys and values; then attention's output and two wide layers.
    const ATTENDING: usize = 3 * 32 * 32;
    const TRANSFORMING: usize = 32 * 32 + 2 * 32 * 64;
    /// Of one token: the projection and all three layers.
    const ENCODER: usize = 16 * 32 + 3 * (ATTENDING + TRANSFORMING);

    #[test]
    fn work_is_counted_by_token_and_by_sequence() {
        let check = |head, by_token: usize, by_sequence: usize| {
            for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
                let found = products(head, precision).linear_operations(7, 3);
                let wanted = 2 * (7 * by_token + 3 * by_sequence);
                assert!((found - float(wanted)).abs() < 0.5, "{head:?} {precision}");
            }
        };
        check(Head::Discriminator, ENCODER + 32 * 32 + 32, 0);
        check(Head::Token { labels: 5 }, ENCODER + 32 * 5, 0);
        check(Head::QuestionAnswering, ENCODER + 32 * 2, 0);
        // The last layer of a classifier transforms first tokens only.
        let head = 32 * 32 + 32 * 4;
        let classifier = Head::Sequence { labels: 4 };
        check(classifier, ENCODER - TRANSFORMING, TRANSFORMING + head);
    }

    #[test]
    fn attention_is_counted_in_all_layers() {
        let found = products(Head::Discriminator, Precision::Int8).attention_operations(10);
        assert!((found - 3.0 * 4.0 * 32.0 * 100.0).abs() < 0.5, "{found}");
    }

    #[test]
    fn the_linear_graph_holds_each_product_and_a_row_of_its_result() {
        for (precision, of_encoder) in [
            (Precision::Fp32, "MatMul"),
            (Precision::Fp16, "MatMul"),
            (Precision::Int8, "MatMulIntegerToFloat"),
        ] {
            let model = products(Head::Sequence { labels: 4 }, precision).linear_graph();
            let operators = operators(&model);
            // The projection, four products a layer, and the two of the head, whose last stays in fp32.
            let all = 1 + 3 * 4 + 2;
            let in_fp32 = usize::from(precision == Precision::Int8);
            assert_eq!(count(&operators, of_encoder), all - in_fp32);
            assert_eq!(count(&operators, "Slice"), all);
            assert_eq!(operators.len(), 2 * all);
            let graph = model.graph.unwrap();
            assert_eq!(graph.output.len(), all);
            // All that is read is fed, or one of the model's weights, or computed before.
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
            let feeds = products(head, precision).feeds();
            let mut names: Vec<String> = feeds.iter().map(Feed::name).collect();
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
        let model = products(Head::Discriminator, Precision::Int8).attention_graph();
        let operators = operators(&model);
        assert_eq!(count(&operators, "MatMul"), 6);
        assert_eq!(count(&operators, "Slice"), 3);
        assert_eq!(operators.len(), 9);
        assert_eq!(model.graph.unwrap().output.len(), 3);
    }
}
