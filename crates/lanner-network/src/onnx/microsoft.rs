//! Operators of the domain `com.microsoft`, which ONNX Runtime's optimiser and quantiser write, as those of ONNX
//! that compute the same, after the runtime's `ContribOperators.md`.

/// An operator's name, under which shapes and work are known, and the places of its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plain {
    pub op: &'static str,
    pub inputs: Vec<usize>,
}

/// Domain of the operators.
pub(super) const DOMAIN: &str = "com.microsoft";

/// Returns what an operator with `count` inputs is, if it is known. Names that ONNX lacks begin with `Fused`.
pub(super) fn plain(op: &str, count: usize) -> Option<Plain> {
    let (op, inputs): (_, &[usize]) = match op {
        "FusedConv" => ("Conv", &[0, 1, 2]),
        "FusedGemm" => ("Gemm", &[0, 1, 2]),
        "QGemm" => ("Gemm", &[0, 3, 6]),
        "FusedMatMul" | "TransposeMatMul" => ("FusedMatMul", &[0, 1]),
        "DynamicQuantizeMatMul" | "MatMulIntegerToFloat" => ("MatMul", &[0, 1]),
        "MatMulNBits" => ("FusedBlocks", &[0, 1]),
        "DynamicQuantizeLSTM" => ("LSTM", &[0, 1, 2]),
        "Attention" => ("FusedProjectedAttention", &[0, 1, 4]),
        "QAttention" => ("FusedProjectedAttention", &[0, 1, 8]),
        "MultiHeadAttention" => ("FusedAttention", &[0, 1, 2, 6]),
        "GroupQueryAttention" => ("FusedAttention", &[0, 1, 2, 3]),
        "Gelu" | "FastGelu" | "QuickGelu" | "BiasGelu" => ("Gelu", &[0]),
        "QLinearSigmoid" => ("Sigmoid", &[0]),
        "QLinearLeakyRelu" => ("LeakyRelu", &[0]),
        "QLinearSoftmax" => ("Softmax", &[0]),
        "QLinearAdd" => ("Add", &[0, 3]),
        "QLinearMul" => ("Mul", &[0, 3]),
        "QLinearGlobalAveragePool" => ("GlobalAveragePool", &[0]),
        "QLinearAveragePool" => ("AveragePool", &[0]),
        "QLinearReduceMean" => ("ReduceMean", &[0]),
        "QLinearConcat" => {
            return Some(Plain { op: "Concat", inputs: (2..count).step_by(3).collect() });
        }
        "QuantizeLinear" => ("QuantizeLinear", &[0, 1, 2]),
        "DequantizeLinear" => ("DequantizeLinear", &[0, 1, 2]),
        "SimplifiedLayerNormalization" => ("RMSNormalization", &[0, 1]),
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => ("FusedSkipNorm", &[0]),
        "EmbedLayerNormalization" => ("FusedEmbedding", &[0, 2]),
        "RotaryEmbedding" => ("RotaryEmbedding", &[0]),
        _ => return None,
    };
    Some(Plain { op, inputs: inputs.to_vec() })
}
