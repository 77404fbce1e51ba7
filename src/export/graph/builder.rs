//! Assembles nodes, constants and weights into an ONNX graph.

use crate::export::weights::Recipe;
use crate::numbers::signed;
use crate::onnx::{
    Attribute, AttributeType, DataType, Dimension, DimensionValue, Graph, MICROSOFT_DOMAIN, Node,
    OperatorSet, Shape, Tensor, TensorType, Type, ValueInfo,
};

/// A tensor of the graph, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphValue(String);

impl GraphValue {
    /// The empty name, which stands for an omitted optional input.
    #[must_use]
    pub fn absent() -> Self {
        Self(String::new())
    }

    /// A graph input, or a tensor made by a [`Recipe`].
    #[must_use]
    pub fn from_name(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

/// A graph under construction. Each node's name starts with the scope it is added in.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    /// Nodes in topological order.
    pub nodes: Vec<Node>,
    /// Small constants, kept in the graph itself, and tensors of another graph whose nodes were copied.
    pub constants: Vec<Tensor>,
    /// Recipes of the weights, which are kept in the data file.
    pub recipes: Vec<Recipe>,
    scope: String,
    /// Number of nodes added, including those of branches. It makes node names unique.
    added: usize,
}

/// One branch of an `If`. It may read values added before it.
#[derive(Debug)]
pub struct Branch {
    nodes: Vec<Node>,
    outputs: Vec<(GraphValue, DataType)>,
}

impl GraphBuilder {
    /// Starts a scope for the nodes added from here on, such as `encoder.layer.0`.
    pub fn enter(&mut self, scope: impl Into<String>) {
        self.scope = scope.into();
    }

    /// Adds an operator of the default domain with one output.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&GraphValue],
        attributes: Vec<Attribute>,
    ) -> GraphValue {
        self.add(operator, "", inputs, attributes, 1).remove(0)
    }

    /// Adds an operator of the `com.microsoft` domain with one output.
    pub fn microsoft(
        &mut self,
        operator: &str,
        inputs: &[&GraphValue],
        attributes: Vec<Attribute>,
    ) -> GraphValue {
        self.add(operator, MICROSOFT_DOMAIN, inputs, attributes, 1)
            .remove(0)
    }

    /// Adds an operator of the default domain with several outputs.
    pub fn nodes(
        &mut self,
        operator: &str,
        inputs: &[&GraphValue],
        attributes: Vec<Attribute>,
        outputs: usize,
    ) -> Vec<GraphValue> {
        self.add(operator, "", inputs, attributes, outputs)
    }

    /// Adds an operator of any domain with several outputs.
    pub fn add(
        &mut self,
        operator: &str,
        domain: &str,
        inputs: &[&GraphValue],
        attribute: Vec<Attribute>,
        outputs: usize,
    ) -> Vec<GraphValue> {
        let name = format!("{}/{operator}.{}", self.scope, self.added);
        self.added += 1;
        let outputs: Vec<GraphValue> = (0..outputs)
            .map(|index| GraphValue(format!("{name}:{index}")))
            .collect();
        self.nodes.push(Node {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: outputs.iter().map(|value| value.0.clone()).collect(),
            name,
            op_type: operator.to_owned(),
            attribute,
            domain: domain.to_owned(),
        });
        outputs
    }

    /// Adds a cast to another type.
    pub fn cast(&mut self, value: &GraphValue, data_type: DataType) -> GraphValue {
        let to = int("to", i64::from(i32::from(data_type)));
        self.node("Cast", &[value], vec![to])
    }

    /// Adds nodes to a branch rather than to the graph. The branch's outputs must be made in it.
    pub fn branch(&mut self, add: impl FnOnce(&mut Self) -> Vec<(GraphValue, DataType)>) -> Branch {
        let outside = std::mem::take(&mut self.nodes);
        let outputs = add(self);
        let nodes = std::mem::replace(&mut self.nodes, outside);
        Branch { nodes, outputs }
    }

    /// Adds an `If` over two branches with the same number of outputs, and returns its outputs.
    pub fn choose(
        &mut self,
        condition: &GraphValue,
        then: Branch,
        otherwise: Branch,
    ) -> Vec<GraphValue> {
        let count = then.outputs.len();
        let branches = vec![
            branch_attribute("then_branch", then),
            branch_attribute("else_branch", otherwise),
        ];
        self.add("If", "", &[condition], branches, count)
    }

    /// Renames a value to a graph output. No node may have read it under its old name.
    pub fn output(&mut self, value: &GraphValue, name: &str) {
        debug_assert!(
            self.nodes.iter().all(|node| !node.input.contains(&value.0)),
            "{value:?} is read elsewhere"
        );
        for output in self
            .nodes
            .iter_mut()
            .flat_map(|node| &mut node.output)
            .filter(|output| **output == value.0)
        {
            name.clone_into(output);
        }
    }

    /// Adds a constant list of integers.
    pub fn integers(&mut self, values: &[i64]) -> GraphValue {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(DataType::Int64, vec![signed(values.len())], bytes)
    }

    /// Adds a scalar integer constant.
    pub fn integer(&mut self, value: i64) -> GraphValue {
        self.constant(DataType::Int64, vec![], value.to_le_bytes().to_vec())
    }

    /// Adds a constant without elements: one of `shape`'s sizes is 0.
    pub fn none(&mut self, data_type: DataType, shape: &[i64]) -> GraphValue {
        self.constant(data_type, shape.to_vec(), vec![])
    }

    /// Adds a scalar float constant.
    pub fn float(&mut self, value: f32) -> GraphValue {
        self.constant(DataType::Float, vec![], value.to_le_bytes().to_vec())
    }

    /// Adds a scalar uint8 constant.
    pub fn byte(&mut self, value: u8) -> GraphValue {
        self.constant(DataType::Uint8, vec![], vec![value])
    }

    /// Adds a recipe, whose tensors are written to the data file.
    pub fn weights(&mut self, recipe: Recipe) {
        self.recipes.push(recipe);
    }

    fn constant(&mut self, data_type: DataType, dims: Vec<i64>, raw_data: Vec<u8>) -> GraphValue {
        if let Some(known) = self.constants.iter().find(|constant| {
            constant.data_type == i32::from(data_type)
                && constant.dims == dims
                && constant.raw_data == raw_data
        }) {
            return GraphValue(known.name.clone());
        }
        let taken = |name: &String| self.constants.iter().any(|constant| constant.name == *name);
        let mut name = format!("constant.{}", self.constants.len());
        while taken(&name) {
            name.push('\'');
        }
        self.constants.push(Tensor {
            name: name.clone(),
            dims,
            data_type: data_type.into(),
            raw_data,
            ..Tensor::default()
        });
        GraphValue(name)
    }
}

fn branch_attribute(name: &str, branch: Branch) -> Attribute {
    let output = branch.outputs.iter().map(|(value, data_type)| ValueInfo {
        name: value.0.clone(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: (*data_type).into(),
                shape: None,
            }),
        }),
    });
    Attribute {
        name: name.to_owned(),
        g: Some(Graph {
            name: name.to_owned(),
            output: output.collect(),
            node: branch.nodes,
            ..Graph::default()
        }),
        r#type: AttributeType::Graph.into(),
        ..Attribute::default()
    }
}

#[must_use]
pub fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: value,
        r#type: AttributeType::Int.into(),
        ..Attribute::default()
    }
}

#[must_use]
pub fn float(name: &str, value: f32) -> Attribute {
    Attribute {
        name: name.to_owned(),
        f: value,
        r#type: AttributeType::Float.into(),
        ..Attribute::default()
    }
}

#[must_use]
pub fn text(name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        s: value.as_bytes().to_vec(),
        r#type: AttributeType::String.into(),
        ..Attribute::default()
    }
}

/// A dimension of a graph's input or output.
#[derive(Clone, Copy, Debug)]
pub enum Size<'a> {
    Fixed(usize),
    /// Known only when the graph runs.
    Named(&'a str),
}

/// Declares a graph's input or output.
#[must_use]
pub fn declare(name: &str, data_type: DataType, shape: &[Size]) -> ValueInfo {
    let dim = shape
        .iter()
        .map(|size| Dimension {
            value: Some(match size {
                Size::Fixed(size) => DimensionValue::DimValue(signed(*size)),
                Size::Named(name) => DimensionValue::DimParam((*name).to_owned()),
            }),
        })
        .collect();
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: data_type.into(),
                shape: Some(Shape { dim }),
            }),
        }),
    }
}

/// Declares an operator set that a graph uses.
#[must_use]
pub fn operator_set(domain: &str, version: i64) -> OperatorSet {
    OperatorSet {
        domain: domain.to_owned(),
        version,
    }
}
