//! The parts of an ONNX file that shapes and costs depend on, in place: numbers of weights stay where
//! they are, and external data is never opened.

use std::collections::HashMap;

use super::wire::{Fields, Value};

/// Limits against hostile files. The largest models that PyTorch exports have some ten thousand nodes.
const MOST_NODES: usize = 200_000;
const MOST_NAMES: usize = 2_000_000;
pub(super) const MOST_RANK: usize = 32;
/// Most numbers of an attribute; those of a normaliser of text may have many.
const MOST_NUMBERS: usize = 100_000;
/// Protocol Buffers do not allow more.
pub(super) const MOST_BYTES: usize = 2 << 30;

/// `ModelProto`.
#[derive(Default)]
pub(super) struct Model<'a> {
    pub graph: Option<Graph<'a>>,
    /// Version of the standard operators, the domain `` or `ai.onnx`.
    pub opset: Option<i64>,
    /// Domain and name of functions that the file defines.
    pub functions: Vec<(&'a str, &'a str)>,
}

/// `GraphProto`.
#[derive(Default)]
pub(super) struct Graph<'a> {
    pub name: &'a str,
    pub nodes: Vec<Node<'a>>,
    pub weights: Vec<Tensor<'a>>,
    pub inputs: Vec<ValueInfo<'a>>,
    pub outputs: Vec<ValueInfo<'a>>,
    /// Types of tensors within, by name, not yet read.
    pub types: HashMap<&'a str, &'a [u8]>,
}

/// `NodeProto`.
#[derive(Default)]
pub(super) struct Node<'a> {
    pub name: &'a str,
    pub op: &'a str,
    pub domain: &'a str,
    /// An empty name stands for an input that is not given.
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub attributes: Vec<Attribute<'a>>,
}

/// `AttributeProto`.
#[derive(Default)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub float: Option<f32>,
    pub int: Option<i64>,
    pub text: Option<&'a [u8]>,
    pub tensor: Option<Tensor<'a>>,
    pub floats: Vec<f32>,
    pub ints: Vec<i64>,
    /// Whether it holds a graph, the body of a branch or loop.
    pub is_graph: bool,
}

/// `TensorProto` without its numbers, which are read where they are few.
#[derive(Default, Clone, Copy)]
pub(super) struct Tensor<'a> {
    pub name: &'a str,
    pub kind: i32,
    body: &'a [u8],
}

/// `ValueInfoProto`: name and the `TypeProto`, not yet read.
#[derive(Clone, Copy)]
pub(super) struct ValueInfo<'a> {
    pub name: &'a str,
    pub of: &'a [u8],
}

/// A dimension as the file states it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Dim<'a> {
    Fixed(i64),
    /// Named, or without any statement (an empty name).
    Open(&'a str),
}

impl<'a> Model<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Model<'a>, String> {
        if bytes.len() > MOST_BYTES {
            return Err(format!("{} bytes, expected at most {MOST_BYTES}", bytes.len()));
        }
        let mut model = Model::default();
        let mut names = 0;
        for field in Fields(bytes) {
            match field? {
                (7, v) => {
                    model.graph.get_or_insert_default().parse(v.bytes()?, &mut names)?;
                }
                (8, v) => {
                    let (mut domain, mut version) = ("", 0);
                    for field in Fields(v.bytes()?) {
                        match field? {
                            (1, v) => domain = v.text()?,
                            (2, v) => version = v.int()?,
                            _ => {}
                        }
                    }
                    if is_standard(domain) {
                        model.opset = Some(version);
                    }
                }
                (25, v) => {
                    let (mut name, mut domain) = ("", "");
                    for field in Fields(v.bytes()?) {
                        match field? {
                            (1, v) => name = v.text()?,
                            (10, v) => domain = v.text()?,
                            _ => {}
                        }
                    }
                    model.functions.push((domain, name));
                    count(&mut names)?;
                }
                _ => {}
            }
        }
        Ok(model)
    }
}

/// Whether operators of the domain are those of ONNX itself.
pub(super) fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn count(names: &mut usize) -> Result<(), String> {
    *names += 1;
    match *names > MOST_NAMES {
        true => Err(format!("more than {MOST_NAMES} names")),
        false => Ok(()),
    }
}

impl<'a> Graph<'a> {
    fn parse(&mut self, bytes: &'a [u8], names: &mut usize) -> Result<(), String> {
        for field in Fields(bytes) {
            let (number, value) = field?;
            if matches!(number, 1 | 5 | 11 | 12 | 13) {
                count(names)?;
            }
            match number {
                1 if self.nodes.len() == MOST_NODES => {
                    return Err(format!("more than {MOST_NODES} nodes"));
                }
                1 => self.nodes.push(Node::parse(value.bytes()?, names)?),
                2 => self.name = value.text()?,
                5 => self.weights.push(Tensor::parse(value.bytes()?)?),
                11 => self.inputs.push(ValueInfo::parse(value.bytes()?)?),
                12 => self.outputs.push(ValueInfo::parse(value.bytes()?)?),
                13 => {
                    let info = ValueInfo::parse(value.bytes()?)?;
                    self.types.insert(info.name, info.of);
                }
                15 => return Err("sparse weights are not read: store them as dense ones".into()),
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Node<'a> {
    fn parse(bytes: &'a [u8], names: &mut usize) -> Result<Node<'a>, String> {
        let mut node = Node::default();
        for field in Fields(bytes) {
            let (number, value) = field?;
            if matches!(number, 1 | 2 | 5) {
                count(names)?;
            }
            match number {
                1 => node.inputs.push(value.text()?),
                2 => node.outputs.push(value.text()?),
                3 => node.name = value.text()?,
                4 => node.op = value.text()?,
                5 => node.attributes.push(Attribute::parse(value.bytes()?)?),
                7 => node.domain = value.text()?,
                _ => {}
            }
        }
        Ok(node)
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|a| a.name == name)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.int
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice()).filter(|ints| !ints.is_empty())
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.attribute(name)?.text?).ok()
    }
}

impl<'a> Attribute<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Attribute<'a>, String> {
        let mut attribute = Attribute::default();
        for field in Fields(bytes) {
            match field? {
                (1, v) => attribute.name = v.text()?,
                (2, Value::Fixed32(bits)) => attribute.float = Some(f32::from_bits(bits)),
                (3, v) => attribute.int = Some(v.int()?),
                (4, v) => attribute.text = Some(v.bytes()?),
                (5, v) => attribute.tensor = Some(Tensor::parse(v.bytes()?)?),
                (6 | 11, _) => attribute.is_graph = true,
                (7, v) => v.floats(&mut attribute.floats, MOST_NUMBERS)?,
                (8, v) => v.ints(&mut attribute.ints, MOST_NUMBERS)?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl<'a> Tensor<'a> {
    fn parse(body: &'a [u8]) -> Result<Tensor<'a>, String> {
        let mut tensor = Tensor { body, ..Tensor::default() };
        for field in Fields(body) {
            match field? {
                (2, v) => tensor.kind = v.int()? as i32,
                (8, v) => tensor.name = v.text()?,
                _ => {}
            }
        }
        Ok(tensor)
    }

    pub fn dims(&self) -> Result<Vec<u64>, String> {
        let mut dims = Vec::new();
        for field in Fields(self.body) {
            if let (1, v) = field? {
                v.ints(&mut dims, MOST_RANK)?;
            }
        }
        let known = |&n: &i64| {
            u64::try_from(n).map_err(|_| format!("weights '{}' have dimension {n}", self.name))
        };
        dims.iter().map(known).collect()
    }

    /// Reads the numbers if they are in the file, of a common type, and `most` or fewer.
    pub fn values(&self, most: usize) -> Result<Option<Vec<f64>>, String> {
        let len = self.dims()?.iter().fold(1u64, |all, &n| all.saturating_mul(n));
        if len > most as u64 {
            return Ok(None);
        }
        let (mut values, mut ints, mut floats) = (Vec::new(), Vec::new(), Vec::new());
        for field in Fields(self.body) {
            match field? {
                (4, v) => v.floats(&mut floats, most)?,
                (5 | 7 | 11, v) => v.ints(&mut ints, most)?,
                (9, v) => match numbers(v.bytes()?, self.kind, most) {
                    Some(numbers) => values.extend(numbers),
                    None => return Ok(None),
                },
                (10, Value::Bytes(bytes)) => {
                    values.extend(numbers(bytes, 11, most).unwrap_or_default())
                }
                (14, v) if v.int()? == 1 => return Ok(None),
                _ => {}
            }
        }
        // Halves stand as bit patterns in the field for integers.
        if matches!(self.kind, 10 | 16) && !ints.is_empty() {
            return Ok(None);
        }
        values.extend(floats.iter().map(|&f| f64::from(f)));
        values.extend(ints.iter().map(|&i| i as f64));
        Ok((values.len() as u64 == len).then_some(values))
    }
}

/// Numbers of `raw_data`, little-endian.
fn numbers(bytes: &[u8], kind: i32, most: usize) -> Option<Vec<f64>> {
    fn of<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|&b| number(b)).collect()
    }
    if bytes.len() > 8 * most {
        return None;
    }
    Some(match kind {
        1 => of(bytes, |b| f32::from_le_bytes(b).into()),
        2 | 9 => of(bytes, |[b]| b.into()),
        3 => of(bytes, |[b]| (b as i8).into()),
        4 => of(bytes, |b| u16::from_le_bytes(b).into()),
        5 => of(bytes, |b| i16::from_le_bytes(b).into()),
        6 => of(bytes, |b| i32::from_le_bytes(b).into()),
        7 => of(bytes, |b| i64::from_le_bytes(b) as f64),
        11 => of(bytes, f64::from_le_bytes),
        12 => of(bytes, |b| u32::from_le_bytes(b).into()),
        13 => of(bytes, |b| u64::from_le_bytes(b) as f64),
        _ => return None,
    })
}

impl<'a> ValueInfo<'a> {
    fn parse(bytes: &'a [u8]) -> Result<ValueInfo<'a>, String> {
        let mut info = ValueInfo { name: "", of: &[] };
        for field in Fields(bytes) {
            match field? {
                (1, v) => info.name = v.text()?,
                (2, v) => info.of = v.bytes()?,
                _ => {}
            }
        }
        Ok(info)
    }
}

/// Reads a `TypeProto`: element type and dimensions, `None` where the rank is not stated.
pub(super) fn tensor_type(bytes: &[u8]) -> Result<(i32, Option<Vec<Dim<'_>>>), String> {
    let (mut kind, mut dims) = (0, None);
    for field in Fields(bytes) {
        let tensor = match field? {
            (1, v) => v,
            // The denotation says in words what the numbers mean.
            (6, _) => continue,
            _ => return Err("it is no tensor (but a sequence, map or optional)".into()),
        };
        for field in Fields(tensor.bytes()?) {
            match field? {
                (1, v) => kind = v.int()? as i32,
                (2, v) => dims = Some(shape(v.bytes()?)?),
                _ => {}
            }
        }
    }
    Ok((kind, dims))
}

fn shape(bytes: &[u8]) -> Result<Vec<Dim<'_>>, String> {
    let mut dims = Vec::new();
    for field in Fields(bytes) {
        let (1, dim) = field? else { continue };
        let mut is = Dim::Open("");
        for field in Fields(dim.bytes()?) {
            match field? {
                (1, v) => is = Dim::Fixed(v.int()?),
                (2, v) => is = Dim::Open(v.text()?),
                _ => {}
            }
        }
        dims.push(is);
        if dims.len() > MOST_RANK {
            return Err(format!("it has more than {MOST_RANK} dimensions"));
        }
    }
    Ok(dims)
}
