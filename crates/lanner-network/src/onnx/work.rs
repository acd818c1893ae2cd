//! Kind and costs of an operator whose shapes are known. The conventions are those of
//! [`Cost`](crate::Cost).

use super::infer::{
    Answer, Call, Einsum, Fact, Sliding, attention_sizes, fused_products, recurrent_sizes,
};
use crate::TensorOp;

/// Work of an operator in one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Work {
    /// Multiply-accumulates without biases.
    pub products: u64,
    pub macs: u64,
    pub flops: u64,
}

/// Work of products with `bias` additions, which count as FLOPs where `counts`.
fn products(products: u64, bias: u64, counts: bool) -> Work {
    let macs = products.saturating_add(bias);
    Work { products, macs, flops: if counts { macs } else { products } }
}

/// Returns the kind of a known operator.
pub(super) fn kind(call: &Call) -> TensorOp {
    let constant = |i: usize| call.inputs.get(i).copied().flatten().is_some_and(|f| f.constant);
    match call.op {
        op if op.contains("Conv") => TensorOp::Conv,
        "Gemm" | "MatMul" | "MatMulInteger" | "QLinearMatMul" | "Einsum" => {
            let right = if call.op == "QLinearMatMul" { 3 } else { 1 };
            match constant(right) || constant(0) {
                true => TensorOp::Linear,
                false => TensorOp::MatMul,
            }
        }
        "FusedMatMul" => match constant(1) || constant(0) {
            true => TensorOp::Linear,
            false => TensorOp::MatMul,
        },
        "FusedBlocks" => TensorOp::Linear,
        "Attention" | "FusedAttention" | "FusedProjectedAttention" => TensorOp::Attention,
        "FusedSkipNorm" | "FusedEmbedding" => TensorOp::Norm,
        "LSTM" | "GRU" | "RNN" => TensorOp::Recurrent,
        op if op.ends_with("Pool") || op == "RoiAlign" => TensorOp::Pool,
        op if op.starts_with("Reduce") => TensorOp::Reduce,
        "ArgMax" | "ArgMin" | "TopK" | "CumSum" => TensorOp::Reduce,
        op if op.ends_with("Normalization") || op == "LRN" => TensorOp::Norm,
        "Softmax" | "LogSoftmax" | "Hardmax" => TensorOp::Softmax,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" => TensorOp::View,
        "Transpose" | "Concat" | "Split" | "Slice" | "Pad" | "Gather" | "GatherElements"
        | "GatherND" | "Expand" | "Tile" | "Resize" | "Upsample" | "DepthToSpace"
        | "SpaceToDepth" | "Trilu" | "ScatterElements" | "ScatterND" | "Scatter"
        | "ReverseSequence" | "GridSample" | "OneHot" | "TensorScatter" | "EyeLike"
        | "ConstantOfShape" => TensorOp::Move,
        _ if call.inputs.iter().flatten().filter(|f| f.len() > 1).count() > 1 => {
            TensorOp::Arithmetic
        }
        "Add" | "Sub" | "Mul" | "Div" | "Where" | "Min" | "Max" | "Sum" | "Mean" | "PRelu"
        | "RotaryEmbedding" => TensorOp::Arithmetic,
        _ => TensorOp::Activation,
    }
}

/// Counts the work of a known operator.
pub(super) fn work(call: &Call, outputs: &[Fact]) -> Answer<Work> {
    let values = outputs.first().map_or(0, Fact::len);
    let given = |i: usize| call.inputs.get(i).copied().flatten();
    let dims = |i: usize| given(i).map(|f| f.dims.as_slice()).unwrap_or_default();
    let elementwise = |each: u64| Work { flops: each.saturating_mul(values), ..Work::default() };
    Ok(match call.op {
        "Conv" | "ConvInteger" | "QLinearConv" | "DeformConv" => {
            let (weights, bias) = match call.op {
                "QLinearConv" => (3, given(8).is_some()),
                "DeformConv" => (1, given(3).is_some()),
                "Conv" => (1, given(2).is_some()),
                _ => (1, false),
            };
            let kernel = super::infer::len(dims(weights).get(1..).unwrap_or_default());
            products(kernel.saturating_mul(values), if bias { values } else { 0 }, true)
        }
        "ConvTranspose" => {
            let kernel = super::infer::len(dims(1).get(1..).unwrap_or_default());
            let bias = if given(2).is_some() { values } else { 0 };
            products(kernel.saturating_mul(super::infer::len(dims(0))), bias, true)
        }
        "Gemm" => {
            let transposed = call.node.int("transB").unwrap_or(0) != 0;
            let inner = dims(1).get(usize::from(transposed)).copied().unwrap_or(1);
            let bias = if given(2).is_some() { values } else { 0 };
            products(inner.saturating_mul(values), bias, false)
        }
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
            let inner = dims(0).last().copied().unwrap_or(1);
            products(inner.saturating_mul(values), 0, true)
        }
        "Einsum" => {
            let terms = Einsum::of(call)?.products();
            let summed = call.inputs.len() > 1 && terms > values;
            if summed { products(terms, 0, true) } else { Work::default() }
        }
        "Attention" => {
            let [batch, heads, queries, keys, key, value] = attention_sizes(call)?;
            let scores =
                [batch, heads, queries, keys].iter().fold(1u64, |a, &n| a.saturating_mul(n));
            let all = scores.saturating_mul(key.saturating_add(value));
            // The softmax of the scores, as if it were an operator of its own.
            Work { flops: all.saturating_add(scores), ..products(all, 0, true) }
        }
        "FusedMatMul" | "FusedBlocks" | "FusedAttention" | "FusedProjectedAttention" => {
            let [all, scores] = fused_products(call, values)?;
            Work { flops: all.saturating_add(scores), ..products(all, 0, true) }
        }
        // The sum and the norm.
        "FusedSkipNorm" => elementwise(2),
        "LSTM" | "GRU" | "RNN" => {
            let [steps, batch, directions, inputs, hidden] = recurrent_sizes(call)?;
            let gates = match call.op {
                "LSTM" => 4,
                "GRU" => 3,
                _ => 1,
            };
            let each = inputs.saturating_add(hidden).saturating_mul(hidden).saturating_mul(gates);
            let times = steps.saturating_mul(batch).saturating_mul(directions);
            products(each.saturating_mul(times), 0, true)
        }
        "BatchNormalization"
        | "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "RMSNormalization" => elementwise(2),
        "Relu" | "LeakyRelu" | "PRelu" | "Elu" | "Selu" | "Celu" | "Gelu" | "Mish" | "Clip"
        | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Swish" | "Tanh" | "Erf" | "Softplus"
        | "Softsign" | "Softmax" | "LogSoftmax" | "Exp" | "Log" | "Sqrt" => elementwise(1),
        "MaxPool" | "AveragePool" | "LpPool" => {
            let area = super::infer::len(&Sliding::of(call)?.kernel);
            // A window of one pixel computes nothing.
            if area > 1 { elementwise(area) } else { Work::default() }
        }
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let area = dims(0).iter().skip(2).fold(1u64, |all, &n| all.saturating_mul(n + 1));
            elementwise(area)
        }
        _ => Work::default(),
    })
}
