//! Shapes of what an operator yields, after the specification of ONNX (opsets 11 to 24), and the numbers
//! of small tensors, on which shapes behind them depend.

mod fused;
mod products;
mod values;
mod views;
mod windows;

pub(super) use fused::products as fused_products;
pub(super) use products::{Einsum, attention_sizes, recurrent_sizes};
pub(super) use values::MOST_VALUES;
pub(super) use windows::Sliding;

use super::parse::{MOST_RANK, Node};

/// Knowledge about a tensor before the network runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Fact {
    pub dims: Vec<u64>,
    /// Element type, a `TensorProto.DataType`.
    pub kind: i32,
    /// Its numbers, if it is small and does not depend on the network's input.
    pub values: Option<Vec<f64>>,
    /// Whether it does not depend on the network's input.
    pub constant: bool,
}

impl Fact {
    pub fn new(dims: Vec<u64>, kind: i32) -> Fact {
        Fact { dims, kind, ..Fact::default() }
    }

    pub fn len(&self) -> u64 {
        len(&self.dims)
    }

    fn vector(values: Vec<f64>) -> Fact {
        let dims = vec![values.len() as u64];
        Fact { values: Some(values), ..Fact::new(dims, INT64) }
    }
}

pub(super) fn len(dims: &[u64]) -> u64 {
    dims.iter().fold(1, |all, &n| all.saturating_mul(n))
}

const INT64: i32 = 7;
const BOOL: i32 = 9;

/// Why there is no answer.
#[derive(Debug, PartialEq)]
pub(super) enum Gap {
    /// The operator is not known, or the shape depends on what the network computes: it must stand in
    /// the file.
    Open(String),
    /// The inputs do not fit the operator.
    Wrong(String),
}

pub(super) type Answer<T> = Result<T, Gap>;

/// Said of an operator that is not known.
pub(super) const NOT_KNOWN: &str = "this operator is not known";

fn wrong<T>(why: impl Into<String>) -> Answer<T> {
    Err(Gap::Wrong(why.into()))
}

/// An operator and its inputs.
pub(super) struct Call<'a> {
    /// Name of the operator among those of ONNX, whatever the node calls it.
    pub op: &'a str,
    pub node: &'a Node<'a>,
    pub inputs: &'a [Option<&'a Fact>],
}

impl<'a> Call<'a> {
    fn given(&self, i: usize) -> Option<&'a Fact> {
        self.inputs.get(i).copied().flatten()
    }

    fn input(&self, i: usize) -> Answer<&'a Fact> {
        self.given(i).ok_or_else(|| Gap::Wrong(format!("input {} is not given", i + 1)))
    }

    fn rank(&self, i: usize) -> Answer<usize> {
        Ok(self.input(i)?.dims.len())
    }

    /// Numbers of an input.
    fn values(&self, i: usize) -> Answer<&'a [f64]> {
        self.input(i)?.values.as_deref().ok_or_else(|| {
            let name = self.node.inputs.get(i).copied().unwrap_or_default();
            Gap::Open(format!("the shape depends on the numbers of '{name}'"))
        })
    }

    /// Integers of an attribute, or of an input as in later opsets.
    fn ints(&self, name: &str, i: usize) -> Answer<Option<Vec<i64>>> {
        if let Some(attribute) = self.node.attribute(name) {
            return Ok(Some(attribute.ints.clone()));
        }
        match self.given(i) {
            Some(_) => Ok(Some(self.values(i)?.iter().map(|&v| v as i64).collect())),
            None => Ok(None),
        }
    }

    /// The attribute `axis`, counted from the front; `rank` may be counted too where `end`.
    fn axis(&self, default: i64, rank: usize, end: bool) -> Answer<usize> {
        axis(self.node.int("axis").unwrap_or(default), rank + usize::from(end))
    }
}

/// Counts an axis from the front.
fn axis(axis: i64, rank: usize) -> Answer<usize> {
    let from_front = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(from_front) {
        Ok(a) if a < rank => Ok(a),
        _ => wrong(format!("axis {axis} of a tensor of {rank} dimensions")),
    }
}

/// Shape of element-wise arithmetic: dimensions are equal or 1, from the last.
fn broadcast(a: &[u64], b: &[u64]) -> Answer<Vec<u64>> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let skip = long.len() - short.len();
    let mut dims = long.to_vec();
    for (d, &s) in dims[skip..].iter_mut().zip(short) {
        match (*d, s) {
            (x, y) if x == y || y == 1 => {}
            (1, y) => *d = y,
            _ => return wrong(format!("{} and {} do not fit each other", show(a), show(b))),
        }
    }
    Ok(dims)
}

/// Writes dimensions as `1×3×224×224`, and those of a single number as `scalar`.
pub fn show(dims: &[u64]) -> String {
    match dims {
        [] => "scalar".into(),
        _ => dims.iter().map(u64::to_string).collect::<Vec<_>>().join("×"),
    }
}

/// Infers the outputs of an operator, as many as can be.
pub(super) fn infer(call: &Call) -> Answer<Vec<Fact>> {
    let mut outputs = shapes(call)?;
    let constant = call.inputs.iter().flatten().all(|f| f.constant) && !is_random(call.op);
    for fact in &mut outputs {
        if fact.dims.len() > MOST_RANK {
            return wrong(format!("the output has more than {MOST_RANK} dimensions"));
        }
        if fact.len() >= 1 << 50 {
            return wrong(format!("the output is {}, too large for any machine", show(&fact.dims)));
        }
        fact.constant = constant || fact.values.is_some();
    }
    if let ([only], true) = (outputs.as_mut_slice(), constant)
        && only.values.is_none()
    {
        only.values = values::fold(call, only);
    }
    Ok(outputs)
}

fn is_random(op: &str) -> bool {
    op.starts_with("Random") || matches!(op, "Bernoulli" | "Multinomial")
}

fn shapes(call: &Call) -> Answer<Vec<Fact>> {
    let one = |fact: Fact| Ok(vec![fact]);
    Ok(match call.op {
        "Relu"
        | "LeakyRelu"
        | "ThresholdedRelu"
        | "Elu"
        | "Selu"
        | "Celu"
        | "Gelu"
        | "Mish"
        | "Clip"
        | "Sigmoid"
        | "HardSigmoid"
        | "HardSwish"
        | "Swish"
        | "Tanh"
        | "Erf"
        | "Softplus"
        | "Softsign"
        | "Softmax"
        | "LogSoftmax"
        | "Hardmax"
        | "Exp"
        | "Log"
        | "Sqrt"
        | "Reciprocal"
        | "Neg"
        | "Abs"
        | "Ceil"
        | "Floor"
        | "Round"
        | "Sign"
        | "Sin"
        | "Cos"
        | "Tan"
        | "Asin"
        | "Acos"
        | "Atan"
        | "Sinh"
        | "Cosh"
        | "Asinh"
        | "Acosh"
        | "Atanh"
        | "Not"
        | "BitwiseNot"
        | "Identity"
        | "CumSum"
        | "Trilu"
        | "Shrink"
        | "LRN"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "ScatterElements"
        | "ScatterND"
        | "Scatter"
        | "ReverseSequence"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "RMSNormalization"
        | "RotaryEmbedding"
        | "Bernoulli"
        | "TensorScatter" => {
            let input = call.input(0)?;
            let keep = if call.op == "Identity" { input.values.clone() } else { None };
            return one(Fact { values: keep, ..Fact::new(input.dims.clone(), input.kind) });
        }
        // With statistics of each channel, if it normalises by its own.
        "BatchNormalization" => {
            let Fact { dims, kind, .. } = call.input(0)?;
            let mut all = vec![Fact::new(dims.clone(), *kind)];
            let of_channels = Fact::new(dims.get(1).copied().into_iter().collect(), *kind);
            all.resize(call.node.outputs.len().clamp(1, 5), of_channels);
            all
        }
        "Dropout" => {
            let Fact { dims, kind, .. } = call.input(0)?;
            vec![Fact::new(dims.clone(), *kind), Fact::new(dims.clone(), BOOL)]
        }
        "LayerNormalization" => {
            let Fact { dims, kind, .. } = call.input(0)?;
            let at = call.axis(-1, dims.len(), false)?;
            let ones = dims.iter().enumerate().map(|(i, &n)| if i < at { n } else { 1 }).collect();
            let mean = Fact::new(ones, 1);
            vec![Fact::new(dims.clone(), *kind), mean.clone(), mean]
        }
        "IsNaN" | "IsInf" => return one(Fact::new(call.input(0)?.dims.clone(), BOOL)),
        "Cast" | "CastLike" | "EyeLike" | "RandomNormalLike" | "RandomUniformLike"
        | "QuantizeLinear" | "DequantizeLinear" => return one(cast(call)?),
        "DynamicQuantizeLinear" => {
            let x = call.input(0)?;
            vec![Fact::new(x.dims.clone(), 2), Fact::new(vec![], 1), Fact::new(vec![], 2)]
        }
        "RandomNormal" | "RandomUniform" => {
            let dims = call.node.ints("shape").unwrap_or(&[]);
            return one(Fact::new(views::sizes(dims)?, 1));
        }
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Min" | "Max" | "Mean" | "Sum" | "And"
        | "Or" | "Xor" | "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual"
        | "BitShift" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "Where" | "PRelu" => {
            let mut dims = call.input(0)?.dims.clone();
            for i in 1..call.inputs.len() {
                dims = broadcast(&dims, &call.input(i)?.dims)?;
            }
            let kind = match call.op {
                "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" => BOOL,
                "Where" => call.input(1)?.kind,
                _ => call.input(0)?.kind,
            };
            return one(Fact::new(dims, kind));
        }
        "Conv" | "ConvInteger" | "QLinearConv" | "DeformConv" | "ConvTranspose" | "MaxPool"
        | "AveragePool" | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool"
        | "GridSample" | "RoiAlign" | "MaxRoiPool" | "MaxUnpool" | "Col2Im" => {
            return windows::shapes(call);
        }
        "Gemm" | "MatMul" | "MatMulInteger" | "QLinearMatMul" | "Einsum" | "Attention" | "LSTM"
        | "GRU" | "RNN" => return products::shapes(call),
        op if op.starts_with("Fused") => return fused::shapes(call),
        op if op.starts_with("Reduce") || matches!(op, "ArgMax" | "ArgMin") => {
            return one(reduced(call)?);
        }
        _ => return views::shapes(call),
    })
}

/// An output of another type, of the first input's shape.
fn cast(call: &Call) -> Answer<Fact> {
    let input = call.input(0)?;
    let kind = match call.op {
        "CastLike" => call.input(1)?.kind,
        "QuantizeLinear" => match (call.node.int("output_dtype").unwrap_or(0), call.given(2)) {
            (0, Some(zero)) => zero.kind,
            (0, None) => 2,
            (stated, _) => stated as i32,
        },
        "DequantizeLinear" => call.input(1)?.kind,
        "Cast" => call.node.int("to").unwrap_or(1) as i32,
        _ => call.node.int("dtype").map_or(input.kind, |kind| kind as i32),
    };
    Ok(Fact::new(input.dims.clone(), kind))
}

/// A sum, mean, … over axes; over all if none are given.
fn reduced(call: &Call) -> Answer<Fact> {
    let Fact { dims, kind, .. } = call.input(0)?;
    let arg = call.op.starts_with("Arg");
    let keep = call.node.int("keepdims").unwrap_or(1) != 0;
    let axes = match arg {
        true => Some(vec![call.node.int("axis").unwrap_or(0)]),
        false => call.ints("axes", 1)?.filter(|axes| !axes.is_empty()),
    };
    let kind = if arg { INT64 } else { *kind };
    let axes = match axes {
        Some(axes) => axes.iter().map(|&a| axis(a, dims.len())).collect::<Answer<Vec<_>>>()?,
        None if call.node.int("noop_with_empty_axes").unwrap_or(0) != 0 => vec![],
        None => (0..dims.len()).collect(),
    };
    let left = dims.iter().enumerate().filter_map(|(i, &n)| match (axes.contains(&i), keep) {
        (false, _) => Some(n),
        (true, true) => Some(1),
        (true, false) => None,
    });
    Ok(Fact::new(left.collect(), kind))
}
