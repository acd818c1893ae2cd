//! Writes a model operation by operation. Weights have sizes; their numbers are drawn when it is encoded.

use std::collections::HashSet;

use super::export::{IR_VERSION, OPSET, int, ints};
use super::messages::{
    Attribute, DATA_FLOAT, DATA_INT64, Dimension, Graph, Model, Node, OperatorSet, TENSOR, Tensor,
    TensorShape, TensorType, Type, ValueInfo,
};
use super::{OUTPUT, ReadOptions};
use crate::tensor_network::{Draw, TensorNetwork};
use crate::{NetworkError, TensorGraph};

/// A model that is being written. Methods that add an operation return the name of its output.
#[derive(Default)]
pub(crate) struct Draft {
    nodes: Vec<Node>,
    weights: Vec<Tensor>,
    draws: Vec<Draw>,
    inputs: Vec<ValueInfo>,
    /// Names of the constants.
    constants: HashSet<String>,
    tables: Vec<Table>,
}

/// Value of a table's cell: row, column, number of columns.
type Value = fn(usize, usize, usize) -> f32;

/// Constant table that is computed when the model is encoded.
#[derive(Clone)]
pub(crate) struct Table {
    node: usize,
    rows: usize,
    columns: usize,
    value: Value,
}

impl Table {
    /// Writes the numbers into the model's node.
    pub fn fill(&self, nodes: &mut [Node]) {
        let node = nodes.get_mut(self.node).into_iter();
        for tensor in node.flat_map(|n| &mut n.attribute).filter_map(|a| a.t.as_mut()) {
            let cells = (0..self.rows).flat_map(|r| (0..self.columns).map(move |c| (r, c)));
            let bytes = cells.flat_map(|(r, c)| (self.value)(r, c, self.columns).to_le_bytes());
            tensor.raw_data = bytes.collect();
        }
    }
}

/// Type of the elements of an input.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Element {
    Float,
    /// Numbers of tokens.
    Token,
}

impl Draft {
    /// Adds an input of the network; `dims` are those of one input, without the batch.
    pub fn input(&mut self, name: &str, element: Element, dims: &[usize]) -> String {
        let number = |&n: &usize| Dimension { dim_value: Some(n as i64), dim_param: None };
        let dim = [1].iter().chain(dims).map(number).collect();
        let elem_type = if element == Element::Token { DATA_INT64 } else { DATA_FLOAT };
        let tensor = TensorType { elem_type, shape: Some(TensorShape { dim }) };
        let of = Some(Type { tensor_type: Some(tensor) });
        self.inputs.push(ValueInfo { name: name.into(), r#type: of });
        name.into()
    }

    /// Adds an operation.
    pub fn op(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attribute: Vec<Attribute>,
    ) -> String {
        let output = format!("{name}:0");
        self.nodes.push(Node {
            input: inputs.iter().map(|i| i.to_string()).collect(),
            output: vec![output.clone()],
            name: name.into(),
            op_type: op.into(),
            attribute,
        });
        output
    }

    /// Adds a weight.
    pub fn weight(&mut self, name: &str, dims: &[usize], draw: Draw) -> String {
        let dims = dims.iter().map(|&d| d as i64).collect();
        let tensor = Tensor { dims, data_type: DATA_FLOAT, name: name.into(), raw_data: vec![] };
        self.weights.push(tensor);
        self.draws.push(draw);
        name.into()
    }

    /// Adds a constant that is no weight: numbers of the program.
    fn constant(
        &mut self,
        name: &str,
        dims: &[usize],
        data_type: i32,
        raw_data: Vec<u8>,
    ) -> String {
        if !self.constants.insert(name.into()) {
            return format!("{name}:0");
        }
        let dims = dims.iter().map(|&d| d as i64).collect();
        let tensor = Tensor { dims, data_type, name: String::new(), raw_data };
        let value = Attribute {
            name: "value".into(),
            t: Some(tensor),
            kind: TENSOR,
            ..Attribute::default()
        };
        self.op("Constant", name, &[], vec![value])
    }

    /// Adds constant floats; of one name, they are stored once.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, dims, DATA_FLOAT, bytes)
    }

    /// Adds a constant table of `rows` × `columns`; of one name, it is stored once. Like weights, it has
    /// numbers only when the model is encoded: a search counts thousands of networks.
    pub fn table(&mut self, name: &str, [rows, columns]: [usize; 2], value: Value) -> String {
        let node = self.nodes.len();
        let output = self.constant(name, &[rows, columns], DATA_FLOAT, vec![]);
        if self.nodes.len() > node {
            self.tables.push(Table { node, rows, columns, value });
        }
        output
    }

    /// Adds a constant list of integers; of one name, it is stored once.
    pub fn sizes(&mut self, name: &str, values: &[usize]) -> String {
        let bytes = values.iter().flat_map(|&v| (v as i64).to_le_bytes()).collect();
        self.constant(name, &[values.len()], DATA_INT64, bytes)
    }

    /// Multiplies the last axis by a matrix.
    pub fn linear(
        &mut self,
        place: &str,
        x: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
    ) -> String {
        let draw = Draw::He { inputs };
        let weight = self.weight(&format!("{place}.weight"), &[inputs, outputs], draw);
        let y = self.op("MatMul", place, &[x, &weight], vec![]);
        match bias {
            true => {
                let bias = self.weight(&format!("{place}.bias"), &[outputs], Draw::Zeros);
                self.op("Add", &format!("{place}.sum"), &[&y, &bias], vec![])
            }
            false => y,
        }
    }

    /// Norms the last axis (Ba et al. 2016).
    pub fn layer_norm(&mut self, place: &str, x: &str, width: usize) -> String {
        let scale = self.weight(&format!("{place}.weight"), &[width], Draw::Ones);
        let shift = self.weight(&format!("{place}.bias"), &[width], Draw::Zeros);
        self.op("LayerNormalization", place, &[x, &scale, &shift], vec![axis(-1)])
    }

    /// Takes the places from `first` to before `end` of an axis.
    pub fn slice(&mut self, name: &str, x: &str, at: usize, first: usize, end: usize) -> String {
        let parts = [first, end, at].map(|n| self.sizes(&format!("size.{n}"), &[n]));
        self.op("Slice", name, &[x, &parts[0], &parts[1], &parts[2]], vec![])
    }

    /// Reshapes to `dims` behind the batch.
    pub fn reshape(&mut self, name: &str, x: &str, dims: &[usize]) -> String {
        // 0 keeps the batch.
        let all: Vec<usize> = [0].iter().chain(dims).copied().collect();
        let words: Vec<String> = all.iter().map(usize::to_string).collect();
        let dims = self.sizes(&format!("shape.{}", words.join("x")), &all);
        self.op("Reshape", name, &[x, &dims], vec![])
    }

    pub fn transpose(&mut self, name: &str, x: &str, order: &[usize]) -> String {
        self.op("Transpose", name, &[x], vec![ints("perm", order)])
    }

    /// Ends the model with its output, and infers all shapes.
    pub fn finish(mut self, name: String, output: &str) -> Result<TensorNetwork, NetworkError> {
        for node in &mut self.nodes {
            let names = node.input.iter_mut().chain(&mut node.output);
            names.filter(|n| *n == output).for_each(|n| *n = OUTPUT.into());
        }
        let element = TensorType { elem_type: DATA_FLOAT, shape: None };
        let of = Some(Type { tensor_type: Some(element) });
        let graph = Graph {
            node: self.nodes,
            name,
            initializer: self.weights,
            input: self.inputs,
            output: vec![ValueInfo { name: OUTPUT.into(), r#type: of }],
        };
        let model = Model {
            ir_version: IR_VERSION,
            producer_name: "lanner".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(graph),
            opset_import: vec![OperatorSet { domain: Some(String::new()), version: OPSET }],
        };
        TensorNetwork::new(model, self.draws, self.tables)
    }
}

/// The attribute of an axis, also one that is counted from the last.
pub(crate) fn axis(at: i64) -> Attribute {
    Attribute { i: Some(at), ..int("axis", 0) }
}

/// Infers shapes and costs of a model without numbers of weights, for one input.
pub(crate) fn graph_of(model: &Model) -> Result<TensorGraph, NetworkError> {
    super::read(&prost::Message::encode_to_vec(model), &ReadOptions::default())
}
