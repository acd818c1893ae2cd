//! Drawing and JSON of networks over tensors.

use serde_json::{Value, json};

use crate::diagram::short;
use crate::onnx::show;
use crate::{Diagram, Edge, Node, NodeKind, TensorGraph, TensorNode, TensorOp};

impl TensorGraph {
    /// Numbers of the nodes that read each tensor, in order.
    pub fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![Vec::new(); self.tensors.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for &t in &node.inputs {
                if readers[t].last() != Some(&i) {
                    readers[t].push(i);
                }
            }
        }
        readers
    }

    /// Number of the node that yields each tensor; none yields inputs and constants.
    pub fn makers(&self) -> Vec<Option<usize>> {
        let mut makers = vec![None; self.tensors.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            node.outputs.iter().for_each(|&t| makers[t] = Some(i));
        }
        makers
    }

    /// Tensors that a node reads and that depend on the input, each once.
    pub(crate) fn read_by(&self, node: &TensorNode) -> Vec<usize> {
        let mut read: Vec<usize> =
            node.inputs.iter().copied().filter(|&t| !self.tensors[t].constant).collect();
        read.sort_unstable();
        read.dedup();
        read
    }

    /// For each node, the first one of its chain: views and functions of a single tensor that nothing
    /// else reads belong to the node before.
    fn chains(&self) -> Vec<usize> {
        let (readers, makers) = (self.readers(), self.makers());
        let mut first: Vec<usize> = (0..self.nodes.len()).collect();
        for (i, node) in self.nodes.iter().enumerate() {
            let light = matches!(
                node.kind,
                TensorOp::View | TensorOp::Activation | TensorOp::Norm | TensorOp::Softmax
            ) || node.kind == TensorOp::Arithmetic;
            if let ([only], true) = (&self.read_by(node)[..], light)
                && readers[*only].len() == 1
                && !self.outputs.contains(only)
                && let Some(before) = makers[*only]
            {
                first[i] = first[before];
            }
        }
        first
    }

    /// Draws the operations with the shapes of their outputs. What only works on the values of the
    /// operation before is written into its box.
    pub fn diagram(&self) -> Diagram {
        let chains = self.chains();
        let mut diagram = Diagram { title: self.name.clone(), nodes: vec![], edges: vec![] };
        // Boxes of inputs and nodes; the last output of each box.
        let mut boxes = vec![None; self.tensors.len()];
        let mut box_of = vec![0; self.nodes.len()];
        for &t in &self.inputs {
            boxes[t] = Some(diagram.nodes.len());
            let tensor = &self.tensors[t];
            let lines = vec![tensor.name.clone(), show(&tensor.dims)];
            diagram.nodes.push(Node { lines, kind: NodeKind::End });
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let shape =
                node.outputs.first().map_or(String::new(), |&t| show(&self.tensors[t].dims));
            if chains[i] == i {
                box_of[i] = diagram.nodes.len();
                let kind = match node.kind {
                    TensorOp::Conv
                    | TensorOp::Linear
                    | TensorOp::MatMul
                    | TensorOp::Attention
                    | TensorOp::Recurrent => NodeKind::Conv,
                    TensorOp::Pool | TensorOp::Reduce => NodeKind::Pool,
                    TensorOp::Unknown => NodeKind::Dead,
                    _ => NodeKind::Light,
                };
                diagram.nodes.push(Node { lines: vec![node.describe(), shape], kind });
                for t in self.read_by(node) {
                    if let Some(from) = boxes[t] {
                        diagram.edges.push(Edge { from, to: box_of[i], dead: false });
                    }
                }
            } else {
                box_of[i] = box_of[chains[i]];
                let lines = &mut diagram.nodes[box_of[i]].lines;
                let last = lines.len() - 1;
                lines[last] = shape;
                // Four operations in words; of more, only the shape changes.
                match lines.len() {
                    2..=4 => lines.insert(last, node.describe()),
                    5 => lines.insert(last, "…".into()),
                    _ => {}
                }
            }
            node.outputs.iter().for_each(|&t| boxes[t] = Some(box_of[i]));
        }
        for &t in &self.outputs {
            if let Some(from) = boxes[t] {
                let to = diagram.nodes.len();
                let lines = vec![self.tensors[t].name.clone(), show(&self.tensors[t].dims)];
                diagram.nodes.push(Node { lines, kind: NodeKind::End });
                diagram.edges.push(Edge { from, to, dead: false });
            }
        }
        diagram
    }

    /// Converts the network and its costs to JSON: `{"name", "inputs", "outputs", "cost", "layers": […]}`.
    pub fn json(&self) -> Value {
        let named = |tensors: &[usize]| -> Vec<Value> {
            let one =
                |&t: &usize| json!({ "name": self.tensors[t].name, "shape": self.tensors[t].dims });
            tensors.iter().map(one).collect()
        };
        let layers: Vec<Value> = self
            .nodes
            .iter()
            .map(|node| {
                let names = |of: &[usize]| -> Vec<&str> {
                    of.iter().map(|&t| self.tensors[t].name.as_str()).collect()
                };
                let shapes = |of: &[usize]| -> Vec<&[u64]> {
                    of.iter().map(|&t| self.tensors[t].dims.as_slice()).collect()
                };
                let mut value = json!({
                    "name": node.name, "op": node.op, "kind": node.kind,
                    "inputs": names(&node.inputs), "input_shapes": shapes(&node.inputs),
                    "outputs": names(&node.outputs), "shapes": shapes(&node.outputs),
                    "flops": node.flops, "macs": node.macs, "weights": node.weights,
                });
                if !node.kernel.is_empty() {
                    value["kernel"] = json!(node.kernel);
                    value["strides"] = json!(node.strides);
                    value["groups"] = json!(node.groups);
                }
                value
            })
            .collect();
        json!({
            "name": self.name,
            "inputs": named(&self.inputs),
            "outputs": named(&self.outputs),
            "cost": self.cost(),
            "layers": layers,
        })
    }
}

impl TensorNode {
    /// Describes the operation with its sizes: `Conv 3×3/2 groups 32`.
    pub fn describe(&self) -> String {
        let mut text = self.op.clone();
        if !self.kernel.is_empty() {
            text += &format!(" {}", show(&self.kernel));
            if self.strides.iter().any(|&s| s > 1) {
                let all = self.strides.iter().all(|s| *s == self.strides[0]);
                text += &format!(
                    "/{}",
                    show(&self.strides[..if all { 1 } else { self.strides.len() }])
                );
            }
        }
        if self.groups > 1 {
            text += &format!(" groups {}", self.groups);
        }
        if self.products > 1_000_000 {
            text += &format!(" · {} MACs", short(self.products));
        }
        text
    }
}
