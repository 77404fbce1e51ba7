//! Finds the matrix products of an exported graph, counts their operations, and builds graphs of nothing else.
//!
//! The time of the products alone is the lower bound for the whole graph on a machine, with the same kernels.

use std::collections::{HashMap, HashSet};

use super::builder::{GraphBuilder, GraphValue, Size, declare, operator_set};
use super::fused::{self, FIRST_TOKENS, INTEGER_LINEAR, LINEAR, WEIGHTS};
use super::fusion::FusedGraph;
use super::interface::INPUTS;
use crate::model_config::ModelShape;
use crate::numbers::float;
use crate::onnx::{
    Attribute, DataType, Graph, IR_VERSION, MICROSOFT_DOMAIN, Model, Node, OPSET, Tensor, ValueInfo,
};

/// The matrix products of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Products {
    linear: Vec<Linear>,
    attention: Attention,
}

/// A product of rows with a layer's weights.
#[derive(Clone, Debug, PartialEq)]
struct Linear {
    /// The node in the model's graph.
    node: Node,
    /// The node's inputs other than its rows.
    initializers: Vec<Tensor>,
    /// The weights that the node refers to by name, if they are not an input.
    named_weights: Option<Tensor>,
    feed: ProductFeed,
    outputs: usize,
}

/// Attention's products: of queries with keys, and of scores with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attention {
    layers: usize,
    heads: usize,
    head_size: usize,
}

/// An input of a graph of products, in place of rows that the model computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProductFeed {
    /// The number of rows.
    pub rows: Rows,
    /// Width of a row.
    pub width: usize,
    pub element: Element,
}

/// Type of a linear layer's activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// A quantized activation, uint8.
    Byte,
    Half,
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

    /// Type of the products: those of bytes are scaled to floats.
    fn product(self) -> DataType {
        match self {
            Self::Half => DataType::Float16,
            Self::Byte | Self::Single => DataType::Float,
        }
    }
}

impl ProductFeed {
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

/// The meaning of a linear layer's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    Tokens,
    /// Sequences: in a classifier, from the last layer on.
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

/// Inputs of [`Products::attention_graph`], in order: `[sequences * heads, length, head_size]`, with transposed keys.
pub const ATTENTION_INPUTS: [&str; 3] = ["query", "key", "value"];

impl Products {
    /// Finds the products of an exported graph; `shape` is that of the checkpoint, from shape.json.
    #[must_use]
    pub fn of(model: &Model, shape: &ModelShape) -> Self {
        Self::find(model, &[], shape)
    }

    /// Finds the products of a fused graph. They are then measured with this server's own operators.
    #[must_use]
    pub fn of_fused(fused: &FusedGraph, shape: &ModelShape) -> Self {
        Self::find(&fused.model, &fused.linear_weights, shape)
    }

    fn find(model: &Model, linear_weights: &[Tensor], shape: &ModelShape) -> Self {
        let graph = model.graph.as_ref();
        let linear = graph.map(|graph| linear_products(graph, linear_weights));
        Self {
            linear: linear.unwrap_or_default(),
            attention: Attention {
                layers: shape.num_hidden_layers,
                heads: shape.num_attention_heads,
                head_size: shape.hidden_size / shape.num_attention_heads,
            },
        }
    }

    /// Floating-point or integer operations of the linear products; a multiplication with its addition counts as two.
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

    /// Operations of attention's products over one sequence of `length` tokens; a multiplication with its addition
    /// counts as two.
    #[must_use]
    pub fn attention_operations(&self, length: usize) -> f64 {
        let Attention {
            layers,
            heads,
            head_size,
        } = self.attention;
        4.0 * float(layers) * float(heads * head_size) * float(length) * float(length)
    }

    #[must_use]
    pub fn heads(&self) -> usize {
        self.attention.heads
    }

    #[must_use]
    pub fn head_size(&self) -> usize {
        self.attention.head_size
    }

    /// Inputs of [`Self::linear_graph`], without duplicates.
    #[must_use]
    pub fn feeds(&self) -> Vec<ProductFeed> {
        let mut seen = HashSet::new();
        let feeds = self.linear.iter().map(|linear| linear.feed);
        feeds.filter(|feed| seen.insert(*feed)).collect()
    }

    /// Builds a graph of the linear products alone: the model's operators and weights, on rows that are fed as inputs.
    /// Weights are where the model's graph has them.
    ///
    /// The graph outputs one row per product. So each product is computed and its memory reused for the next, as in the
    /// model. If all rows were outputs, a tenth of the time would be spent on fresh memory.
    #[must_use]
    pub fn linear_graph(&self) -> Model {
        let mut graph = GraphBuilder::default();
        let mut seen = HashSet::new();
        for tensor in self.linear.iter().flat_map(|linear| &linear.initializers) {
            if seen.insert(&tensor.name) {
                graph.constants.push(tensor.clone());
            }
        }
        let mut outputs = Vec::new();
        for (index, linear) in self.linear.iter().enumerate() {
            let mut node = linear.node.clone();
            node.input[0] = linear.feed.name();
            let product = GraphValue::from_name(node.output[0].clone());
            graph.nodes.push(node);
            let name = format!("product.{index}");
            first_row(&mut graph, &product, &name);
            let shape = [Size::Fixed(1), Size::Fixed(linear.outputs)];
            outputs.push(declare(&name, linear.feed.element.product(), &shape));
        }
        let input = self.feeds().iter().map(ProductFeed::declaration).collect();
        model(graph.nodes, graph.constants, input, outputs)
    }

    /// The weights that nodes of [`Self::linear_graph`] refer to by name and do not have as inputs.
    #[must_use]
    pub fn named_weights(&self) -> Vec<Tensor> {
        let weights = self.linear.iter().map(|linear| &linear.named_weights);
        weights.flatten().cloned().collect()
    }

    /// Builds a graph of attention's products alone, in all layers, for one batch of sequences of equal length. All
    /// layers read the same inputs, so run it unoptimized: an optimizer would compute them once.
    #[must_use]
    pub fn attention_graph(&self) -> Model {
        let mut graph = GraphBuilder::default();
        let inputs = ATTENTION_INPUTS.map(GraphValue::from_name);
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

/// Products of rows with weights. Products of two computed tensors belong to attention.
fn linear_products(graph: &Graph, linear_weights: &[Tensor]) -> Vec<Linear> {
    let initializers = by_name(&graph.initializer);
    let linear_weights = by_name(linear_weights);
    let by_sequence = values_by_sequence(&graph.node);
    let linear = |node: &Node| {
        let (weights, named) = match node.op_type.as_str() {
            "MatMul" | "MatMulIntegerToFloat" => {
                (initializers.get(node.input.get(1)?.as_str())?, false)
            }
            LINEAR | INTEGER_LINEAR => {
                let mut attributes = node.attribute.iter();
                let name = &attributes.find(|attribute| attribute.name == WEIGHTS)?.s;
                (linear_weights.get(std::str::from_utf8(name).ok()?)?, true)
            }
            _ => return None,
        };
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
            named_weights: named.then(|| (*weights).clone()),
            feed: ProductFeed {
                rows,
                width: usize::try_from(*inputs).ok()?,
                element,
            },
            outputs: usize::try_from(*outputs).ok()?,
        })
    };
    graph.node.iter().filter_map(linear).collect()
}

fn by_name(tensors: &[Tensor]) -> HashMap<&str, &Tensor> {
    let named = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    named.collect()
}

/// The values with one row per sequence: those gathered at the sequences' starts or of first tokens only, and
/// everything computed from them.
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
        let of_first_tokens =
            |attribute: &Attribute| attribute.name == FIRST_TOKENS && attribute.i != 0;
        if gathered
            || node.attribute.iter().any(of_first_tokens)
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

/// Makes the first row a graph output.
fn first_row(graph: &mut GraphBuilder, rows: &GraphValue, name: &str) {
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
        opset_import: vec![
            operator_set("", OPSET),
            operator_set(MICROSOFT_DOMAIN, 1),
            operator_set(fused::DOMAIN, fused::VERSION),
        ],
        metadata_props: vec![],
    }
}

#[cfg(test)]
mod tests;
