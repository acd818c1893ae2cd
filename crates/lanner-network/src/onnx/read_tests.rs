use prost::Message;

use super::{ReadOptions, read};
use crate::{TensorGraph, TensorOp};

// Messages with the fields that hostile and unusual files have.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opsets: Vec<Opset>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    weights: Vec<Weights>,
    #[prost(message, repeated, tag = "11")]
    inputs: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    outputs: Vec<Value>,
    #[prost(message, repeated, tag = "13")]
    types: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    outputs: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op: String,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
    #[prost(string, tag = "7")]
    domain: String,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, optional, tag = "3")]
    int: Option<i64>,
    #[prost(string, optional, tag = "4")]
    text: Option<String>,
    #[prost(message, optional, tag = "6")]
    graph: Option<Graph>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Weights {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(int64, repeated, tag = "7")]
    ints: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(int32, tag = "14")]
    external: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    of: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor: Option<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dims: Vec<Dim>,
}

#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, optional, tag = "1")]
    size: Option<i64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

/// A tensor with dimensions as `2 3 height`.
fn value(name: &str, dims: &str) -> Value {
    let dim = |text: &str| match text.parse() {
        Ok(size) => Dim { size: Some(size), name: None },
        Err(_) => Dim { size: None, name: Some(text.into()) },
    };
    let shape = Some(Shape { dims: dims.split_whitespace().map(dim).collect() });
    Value { name: name.into(), of: Some(Type { tensor: Some(Tensor { kind: 1, shape }) }) }
}

/// A node as `Add a b -> c`.
fn node(text: &str) -> Node {
    let (left, right) = text.split_once("->").unwrap();
    let mut left = left.split_whitespace().map(|n| if n == "_" { "" } else { n }.to_string());
    let op = left.next().unwrap();
    let outputs = right.split_whitespace().map(String::from).collect();
    Node { name: format!("the {op}"), op, inputs: left.collect(), outputs, ..Node::default() }
}

fn with(node: Node, name: &str, ints: &[i64]) -> Node {
    let int = if let [one] = ints { Some(*one) } else { None };
    let ints = if int.is_some() { vec![] } else { ints.to_vec() };
    let attribute = Attribute { name: name.into(), int, ints, ..Attribute::default() };
    let attributes = node.attributes.iter().cloned().chain([attribute]).collect();
    Node { attributes, ..node }
}

fn sizes(name: &str, ints: &[i64]) -> Weights {
    let dims = vec![ints.len() as i64];
    Weights { dims, kind: 7, ints: ints.to_vec(), name: name.into(), external: 0 }
}

fn weights(name: &str, dims: &[i64]) -> Weights {
    Weights { dims: dims.to_vec(), kind: 1, name: name.into(), external: 1, ..Weights::default() }
}

fn model(inputs: &[Value], weights: Vec<Weights>, nodes: Vec<Node>) -> Model {
    let graph = Graph { nodes, weights, inputs: inputs.to_vec(), ..Graph::default() };
    Model { graph: Some(graph), opsets: vec![Opset { domain: "".into(), version: 18 }] }
}

fn graph(model: &Model) -> TensorGraph {
    read(&model.encode_to_vec(), &ReadOptions::default()).unwrap()
}

fn refused(model: &Model) -> String {
    read(&model.encode_to_vec(), &ReadOptions::default()).unwrap_err().to_string()
}

fn shape(graph: &TensorGraph, name: &str) -> Vec<u64> {
    graph.tensors.iter().find(|t| t.name == name).unwrap().dims.clone()
}

/// The chain that PyTorch writes for `x.view(x.shape[0], -1, x.shape[3])`.
#[test]
fn sizes_are_computed_where_shapes_depend_on_them() {
    let nodes = vec![
        node("Shape x -> s"),
        node("Gather s zero -> b"),
        node("Gather s last -> w"),
        node("Concat b minus w -> to"),
        node("Reshape x to -> y"),
    ];
    let mut nodes = nodes;
    nodes[3] = with(nodes[3].clone(), "axis", &[0]);
    let constants = vec![sizes("zero", &[0]), sizes("last", &[-1]), sizes("minus", &[-1])];
    let all = graph(&model(&[value("x", "batch 4 5 6")], constants, nodes));
    assert_eq!(shape(&all, "y"), [1, 20, 6]);
    // A value that can be computed beforehand is no operation.
    assert_eq!(all.nodes.iter().map(|n| n.op.as_str()).collect::<Vec<_>>(), ["Reshape"]);
    assert_eq!(all.nodes[0].kind, TensorOp::View);
}

/// Paddings as TensorFlow's "same", at least 0: a clip without a largest value, or without a smallest.
#[test]
fn paddings_are_clipped() {
    let constants =
        vec![sizes("p", &[0, 0, -3, 2, 0, 0, 1, 9]), sizes("zero", &[0]), sizes("six", &[6])];
    let nodes = vec![node("Clip p zero _ -> a"), node("Clip a _ six -> b"), node("Pad x b -> y")];
    let all = graph(&model(&[value("x", "1 4 5 6")], constants, nodes));
    assert_eq!(shape(&all, "y"), [1, 4, 6, 14]);
    let unknown = vec![weights("most", &[1]), sizes("p", &[0; 8])];
    let nodes = vec![node("Clip p _ most -> b"), node("Pad x b -> y")];
    let told = refused(&model(&[value("x", "1 4 5 6")], unknown, nodes));
    assert!(told.contains("depends on the numbers of"), "{told}");
}

/// Standardised weights of a normaliser-free network: the norm of constants by their own statistics.
#[test]
fn norms_may_tell_their_statistics() {
    let constants = vec![weights("w", &[8, 4, 3, 3]), weights("s", &[4])];
    let nodes =
        vec![node("BatchNormalization w s s s s -> v mean variance"), node("Conv x v -> y")];
    let all = graph(&model(&[value("x", "1 4 5 6")], constants, nodes));
    assert_eq!(shape(&all, "y"), [1, 8, 3, 4]);
    assert_eq!(all.cost().products, 8 * 4 * 9 * 12);
}

#[test]
fn open_dimensions_get_sizes() {
    let open = model(
        &[value("x", "n 3 height 8")],
        vec![weights("w", &[16, 3, 3, 3])],
        vec![node("Conv x w -> y")],
    );
    let why = refused(&open);
    assert!(why.contains("input 'x'") && why.contains("--dim height=224"), "{why}");
    let dims = vec![("height".into(), 10)];
    let options = ReadOptions { batch: Some(2), dims };
    let all = read(&open.encode_to_vec(), &options).unwrap();
    assert_eq!(shape(&all, "y"), [2, 16, 8, 6]);
    assert_eq!(all.cost().products, 2 * 16 * 8 * 6 * 27);
    assert_eq!((all.cost().params, all.cost().weight_bytes), (432, 1728));
    let fixed = model(&[value("x", "1 3 9 8")], vec![], vec![node("Relu x -> y")]);
    let why = read(&fixed.encode_to_vec(), &options).unwrap_err().to_string();
    assert!(why.contains("fixed to 1"), "{why}");
}

/// Numbers of windows by trying all places, for padding of both kinds.
#[test]
fn windows_are_those_that_can_be_placed() {
    for (n, k, s, d, before, behind, ceil) in [
        (7, 3, 2, 1, 1, 0, 0),
        (8, 3, 2, 1, 0, 1, 1),
        (8, 2, 3, 2, 1, 1, 0),
        (9, 3, 3, 1, 0, 0, 1),
        (5, 2, 2, 1, 0, 0, 1),
        (6, 3, 2, 1, 1, 1, 1),
    ] {
        let mut pool = with(node("MaxPool x -> y"), "kernel_shape", &[k, k]);
        pool = with(pool, "strides", &[s, s]);
        pool = with(pool, "dilations", &[d, d]);
        pool = with(with(pool, "pads", &[before, before, behind, behind]), "ceil_mode", &[ceil]);
        let all = graph(&model(&[value("x", &format!("1 2 {n} {n}"))], vec![], vec![pool]));
        let whole = |x: i64| x + d * (k - 1) < n + before + behind;
        let mut placed = (0..).step_by(s as usize).take_while(|&x| whole(x)).count() as u64;
        // Rounded up, a window may hang over the end, if it begins within image or front padding.
        let next = placed as i64 * s;
        let hangs = next - s + d * (k - 1) + 1 < n + before + behind;
        placed += u64::from(ceil == 1 && hangs && next < n + before);
        assert_eq!(shape(&all, "y"), [1, 2, placed, placed], "{n} {k} {s} {d}");
    }
}

#[test]
fn attention_and_products_are_counted() {
    let mut attention = with(node("Attention q k v -> y"), "q_num_heads", &[4]);
    attention = with(attention, "kv_num_heads", &[2]);
    let inputs = [value("q", "2 10 64"), value("k", "2 12 32"), value("v", "2 12 32")];
    let all = graph(&model(&inputs, vec![], vec![attention]));
    assert_eq!(shape(&all, "y"), [2, 10, 64]);
    // Two products for each of 2 × 4 heads: 10 × 12 scores of 16, and 10 × 16 values of 12.
    assert_eq!(all.cost().products, 2 * 4 * 2 * 10 * 12 * 16);
    let mut einsum = node("Einsum a b -> y");
    let equation = Attribute {
        name: "equation".into(),
        text: Some("...ij, ...jk -> ...ik".into()),
        ..Attribute::default()
    };
    einsum.attributes.push(equation);
    let all = graph(&model(&[value("a", "7 2 3 4"), value("b", "7 2 4 5")], vec![], vec![einsum]));
    assert_eq!((shape(&all, "y"), all.cost().products), (vec![7, 2, 3, 5], 7 * 2 * 3 * 4 * 5));
}

#[test]
fn nodes_may_stand_in_any_order() {
    let nodes = vec![node("Add a b -> y"), node("Relu x -> a"), node("Exp a -> b")];
    let all = graph(&model(&[value("x", "2 3")], vec![], nodes));
    assert_eq!(all.nodes.iter().map(|n| n.op.as_str()).collect::<String>(), "ReluExpAdd");
    assert_eq!(all.cost().depth, 3);
}

#[test]
fn what_cannot_be_read_says_where_and_why() {
    let x = [value("x", "2 3")];
    let one = |n: Node| model(&x, vec![], vec![n]);
    let mut branch = node("If x -> y");
    let body = Some(Graph::default());
    branch.attributes.push(Attribute { graph: body, name: "then".into(), ..Default::default() });
    let custom = Node { domain: "mine".into(), ..node("Frob x -> y") };
    let mut old = one(node("Relu x -> y"));
    old.opsets[0].version = 9;
    let mut none = one(node("Relu x -> y"));
    none.opsets.clear();
    let mut shapeless = one(node("Relu x -> y"));
    shapeless.graph.as_mut().unwrap().inputs[0].of = None;
    for (model, words) in [
        (one(branch), ["'the If' (If)", "control flow"]),
        (one(custom), ["'the Frob' (Frob)", "domain 'mine'"]),
        (one(node("Frob x -> y")), ["'the Frob' (Frob)", "infer_shapes"]),
        (old, ["opset 9", "version_converter"]),
        (none, ["opset", "file"]),
        (shapeless, ["input 'x'", "no shape"]),
        (one(node("Relu z -> y")), ["'the Relu' (Relu)", "nothing yields its input 'z'"]),
        (one(node("MatMul x x -> y")), ["'the MatMul' (MatMul)", "2×3 and 2×3"]),
        (one(node("NonZero x -> y")), ["'the NonZero' (NonZero)", "numbers of 'x'"]),
        (
            model(&x, vec![], vec![node("Add x b -> a"), node("Relu a -> b")]),
            ["'the Add' (Add)", "cycle"],
        ),
        (
            model(&x, vec![], vec![node("Relu x -> a"), node("Exp x -> a")]),
            ["'the Exp' (Exp)", "another node yields 'a'"],
        ),
        (model(&[value("x", "2 -3")], vec![], vec![]), ["input 'x'", "dimension 1 is -3"]),
        (model(&[value("x", "2 0")], vec![], vec![]), ["input 'x'", "dimension 1 is 0"]),
        (
            model(&x, vec![sizes("s", &[-2, 4])], vec![node("Reshape x s -> y")]),
            ["'the Reshape' (Reshape)", "dimension is -2"],
        ),
        (
            model(&x, vec![sizes("s", &[1 << 40, 1 << 40])], vec![node("Expand x s -> y")]),
            ["'the Expand' (Expand)", "fit"],
        ),
        (
            model(
                &[value("x", "1 1")],
                vec![sizes("s", &[1 << 40, 1 << 40])],
                vec![node("Expand x s -> y")],
            ),
            ["'the Expand' (Expand)", "too large"],
        ),
        (
            model(&x, vec![weights("w", &[4, -1])], vec![node("MatMul x w -> y")]),
            ["weights 'w'", "dimension -1"],
        ),
    ] {
        let why = refused(&model);
        assert!(words.iter().all(|word| why.contains(word)), "{why}: {words:?}");
    }
}

/// An operator of others with a shape in the file is a copy, and named.
#[test]
fn unknown_operators_are_kept() {
    let frob = Node { domain: "mine".into(), ..node("Frob x -> a") };
    let mut model = model(&[value("x", "n 3")], vec![], vec![frob, node("Relu a -> y")]);
    model.graph.as_mut().unwrap().types.push(value("a", "n 5"));
    let all = graph(&model);
    assert_eq!(shape(&all, "y"), [1, 5]);
    let cost = all.cost();
    assert_eq!((cost.understood, cost.unknown), (0.5, vec!["mine.Frob".to_string()]));
}

/// Neither a part of a file nor one with a changed byte may end the program.
#[test]
fn damaged_files_are_refused_or_read() {
    let mut conv = with(node("Conv x w -> a"), "pads", &[1, 1, 1, 1]);
    conv = with(conv, "group", &[1]);
    let constants = vec![weights("w", &[4, 3, 3, 3]), sizes("to", &[0, -1])];
    let nodes = vec![conv, node("Relu a -> b"), node("Reshape b to -> y")];
    let whole = model(&[value("x", "n 3 8 8")], constants, nodes).encode_to_vec();
    assert!(read(&whole, &ReadOptions::default()).is_ok());
    for end in 0..whole.len() {
        let _ = read(&whole[..end], &ReadOptions::default());
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[end] = byte;
            let _ = read(&changed, &ReadOptions::default());
        }
    }
    for rubbish in [&b"rubbish"[..], b"", &[0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
        assert!(read(rubbish, &ReadOptions::default()).is_err());
    }
}

#[path = "microsoft_tests.rs"]
mod microsoft_tests;
