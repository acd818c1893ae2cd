use serde::Serialize;

use crate::Shape;

/// Operation of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// The image; always layer 0, and no other layer.
    Input,
    /// Two-dimensional convolution (cross-correlation, as everywhere in deep learning).
    Conv(Conv),
    /// Batch normalisation at inference: (x − mean) / √(variance + ε) · scale + shift, by channel.
    BatchNorm { epsilon: f32 },
    /// Computes max(x, 0).
    Relu,
    /// Computes min(max(x, 0), 6).
    Relu6,
    /// Computes x · min(max(x + 3, 0), 6) / 6 (Howard et al. 2019, MobileNetV3).
    HardSwish,
    /// Computes 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// Computes min(max(x + 3, 0), 6) / 6 (Howard et al. 2019, MobileNetV3).
    HardSigmoid,
    /// Takes the greatest value under the window; padding never wins.
    MaxPool(Pool),
    /// Takes the mean under the window. Padding counts as zeros, or not at all.
    AvgPool { pool: Pool, count_include_pad: bool },
    /// Takes the mean of each channel; the output is a vector.
    GlobalAvgPool,
    /// Adds one or more inputs of the same shape; an input may be listed several times.
    Add,
    /// Multiplies one or more inputs; a vector scales the channels of the others.
    Mul,
    /// Concatenates the channels of the inputs.
    Concat,
    /// Yields zeros of the input's shape: the operation `none`, which PyTorch computes as x · 0.
    Zero,
    /// Multiplies a vector by a matrix.
    Linear { out_features: usize, bias: bool },
    /// Transposes the channels, seen as groups × rest (Zhang et al. 2018, ShuffleNet).
    ChannelShuffle { groups: usize },
    /// Takes the first `channels` channels.
    Slice { channels: usize },
    /// Moves the image up and to the left by one pixel and fills with zeros, so that a convolution of
    /// stride 2 reads the pixels that another leaves out.
    Shift,
    /// Doubles height and width: each pixel becomes 2 × 2, or 1 × 2 in a `flat` one, as of a signal. lanner-nn
    /// does not run it.
    Upsample { flat: bool },
    /// Doubles height and width by a transposed convolution of kernel 2 and stride 2 without bias, of the width only
    /// in a `flat` one. lanner-nn does not run it.
    UpConv { out_channels: usize, flat: bool },
}

/// A convolution with a square kernel, or along the width only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Conv {
    pub out_channels: usize,
    /// Side of the kernel, in pixels.
    pub kernel: usize,
    pub stride: usize,
    /// Zeros added at each of the four sides, in pixels.
    pub padding: usize,
    /// Distance between the kernel's taps; 1 for an ordinary convolution.
    pub dilation: usize,
    /// Number of groups of input and output channels; each group is convolved by itself.
    pub groups: usize,
    pub bias: bool,
    /// Whether the kernel is 1 × `kernel`, as that of a signal: stride, padding and dilation are those of the
    /// width. lanner-nn does not run such kernels.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub flat: bool,
}

impl Conv {
    /// A convolution with stride 1, padding that keeps the resolution for an odd kernel, no groups and
    /// no bias.
    pub fn same(out_channels: usize, kernel: usize) -> Conv {
        let padding = kernel / 2;
        let (stride, dilation, groups) = (1, 1, 1);
        Conv { out_channels, kernel, stride, padding, dilation, groups, bias: false, flat: false }
    }

    /// Height and width of the kernel.
    pub fn window(&self) -> [usize; 2] {
        [if self.flat { 1 } else { self.kernel }, self.kernel]
    }

    /// Shape of the kernel: output channels × input channels of a group × height × width.
    pub fn kernel_shape(&self, in_channels: usize) -> [usize; 4] {
        let [height, width] = self.window();
        [self.out_channels, in_channels / self.groups.max(1), height, width]
    }
}

/// A square pooling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Side of the window, in pixels.
    pub kernel: usize,
    pub stride: usize,
    /// Padding at each of the four sides, in pixels; at most half the window.
    pub padding: usize,
}

impl Op {
    /// Name of the operation, as in the JSON output.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Conv(_) => "conv",
            Op::BatchNorm { .. } => "batch_norm",
            Op::Relu => "relu",
            Op::Relu6 => "relu6",
            Op::HardSwish => "hard_swish",
            Op::Sigmoid => "sigmoid",
            Op::HardSigmoid => "hard_sigmoid",
            Op::MaxPool(_) => "max_pool",
            Op::AvgPool { .. } => "avg_pool",
            Op::GlobalAvgPool => "global_avg_pool",
            Op::Add => "add",
            Op::Mul => "mul",
            Op::Concat => "concat",
            Op::Zero => "zero",
            Op::Linear { .. } => "linear",
            Op::ChannelShuffle { .. } => "channel_shuffle",
            Op::Slice { .. } => "slice",
            Op::Shift => "shift",
            Op::Upsample { .. } => "upsample",
            Op::UpConv { .. } => "up_conv",
        }
    }

    /// Describes the operation with its sizes: `conv 3×3/2 dilation 2`.
    pub fn describe(&self) -> String {
        let window = |name: &str, kernel: usize, stride: usize| match stride {
            1 => format!("{name} {kernel}×{kernel}"),
            _ => format!("{name} {kernel}×{kernel}/{stride}"),
        };
        match self {
            Op::Conv(c) => {
                let mut text = match (c.flat, c.stride) {
                    (true, 1) => format!("conv 1×{}", c.kernel),
                    (true, stride) => format!("conv 1×{}/{stride}", c.kernel),
                    (false, _) => window("conv", c.kernel, c.stride),
                };
                if c.dilation > 1 {
                    text += &format!(" dilation {}", c.dilation);
                }
                if c.groups > 1 {
                    text += &format!(" groups {}", c.groups);
                }
                text
            }
            Op::MaxPool(p) => window("max_pool", p.kernel, p.stride),
            Op::AvgPool { pool: p, .. } => window("avg_pool", p.kernel, p.stride),
            Op::ChannelShuffle { groups } => format!("channel_shuffle {groups}"),
            Op::Slice { channels } => format!("slice {channels}"),
            Op::Upsample { flat } | Op::UpConv { flat, .. } => {
                format!("{} {}×2", self.name(), if *flat { 1 } else { 2 })
            }
            _ => self.name().to_string(),
        }
    }

    /// Infers the shape of the output; the error says what was expected of the inputs.
    pub(crate) fn infer(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let arity = match self {
            Op::Input => 0,
            Op::Add | Op::Mul | Op::Concat => inputs.len().max(1),
            _ => 1,
        };
        if inputs.len() != arity {
            return Err(format!("{} inputs, expected {arity}", inputs.len()));
        }
        let Some(&first) = inputs.first() else {
            return Err("the input's shape is given, not inferred".into());
        };
        match *self {
            Op::Input => Err("only layer 0 is the input".into()),
            Op::Conv(c) => c.infer(first),
            Op::MaxPool(p) | Op::AvgPool { pool: p, .. } => {
                if p.padding * 2 > p.kernel {
                    return Err(format!(
                        "padding {} is over half the window {}",
                        p.padding, p.kernel
                    ));
                }
                let side = |n| windows(n, p.kernel, p.stride, p.padding, 1);
                Ok(Shape::new(first.channels, side(first.height)?, side(first.width)?))
            }
            Op::GlobalAvgPool => Ok(Shape::vector(first.channels)),
            Op::Add => match inputs.iter().find(|s| **s != first) {
                Some(other) => Err(format!("{other} differs from {first}, expected equal shapes")),
                None => Ok(first),
            },
            Op::Mul => {
                let full = inputs.iter().copied().find(|s| !s.is_vector()).unwrap_or(first);
                let fits =
                    |s: &&Shape| s.channels == full.channels && (s.is_vector() || **s == full);
                match inputs.iter().find(|s| !fits(s)) {
                    Some(other) => Err(format!(
                        "{other} does not fit {full}, expected that shape or {} channels",
                        full.channels
                    )),
                    None => Ok(full),
                }
            }
            Op::Concat => {
                let same = |s: &&Shape| (s.height, s.width) == (first.height, first.width);
                match inputs.iter().find(|s| !same(s)) {
                    Some(other) => {
                        Err(format!("{other} differs from {first} in more than channels"))
                    }
                    None => {
                        let channels = inputs.iter().map(|s| s.channels).sum();
                        Ok(Shape::new(channels, first.height, first.width))
                    }
                }
            }
            Op::Linear { out_features, .. } => match (first.is_vector(), out_features) {
                (false, _) => Err(format!("{first} is not a vector, expected height and width 1")),
                (_, 0) => Err("0 output features, expected 1 or more".into()),
                _ => Ok(Shape::vector(out_features)),
            },
            Op::ChannelShuffle { groups } => match groups {
                0 => Err("0 groups, expected 1 or more".into()),
                g if !first.channels.is_multiple_of(g) => {
                    Err(format!("{} channels are not a multiple of {g} groups", first.channels))
                }
                _ => Ok(first),
            },
            Op::Slice { channels } => match channels {
                0 => Err("0 channels, expected 1 or more".into()),
                n if n > first.channels => {
                    Err(format!("{n} channels of {first}, expected at most as many as it has"))
                }
                n => Ok(Shape::new(n, first.height, first.width)),
            },
            Op::Upsample { flat } => doubled(first, first.channels, flat),
            Op::UpConv { out_channels, flat } => doubled(first, out_channels, flat),
            _ => Ok(first),
        }
    }
}

impl Conv {
    fn infer(&self, input: Shape) -> Result<Shape, String> {
        let Conv { out_channels: out, groups, .. } = *self;
        if out == 0 {
            return Err("0 output channels, expected 1 or more".into());
        }
        if groups == 0 || !input.channels.is_multiple_of(groups) || !out.is_multiple_of(groups) {
            return Err(format!(
                "{} input and {out} output channels are not multiples of {groups} groups",
                input.channels
            ));
        }
        let side = |n| windows(n, self.kernel, self.stride, self.padding, self.dilation);
        let height = if self.flat { input.height } else { side(input.height)? };
        Ok(Shape::new(out, height, side(input.width)?))
    }
}

/// Shape of an image of twice the resolution.
fn doubled(shape: Shape, channels: usize, flat: bool) -> Result<Shape, String> {
    if channels == 0 {
        return Err("0 output channels, expected 1 or more".into());
    }
    let twice = |n: usize| n.checked_mul(2).ok_or(format!("{n} pixels cannot be doubled"));
    let height = if flat { shape.height } else { twice(shape.height)? };
    Ok(Shape::new(channels, height, twice(shape.width)?))
}

/// Number of windows that fit: ⌊(n + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1. This is
/// PyTorch's formula, and ONNX's with `ceil_mode` 0.
fn windows(
    n: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Result<usize, String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(format!(
            "kernel {kernel}, stride {stride}, dilation {dilation}: expected 1 or more each"
        ));
    }
    let reach = dilation * (kernel - 1) + 1;
    match (n + 2 * padding).checked_sub(reach) {
        Some(room) => Ok(room / stride + 1),
        None => Err(format!("a window over {reach} pixels does not fit {n} + 2 × {padding}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Op {
        Op::Conv(Conv { stride, padding, dilation, ..Conv::same(8, kernel) })
    }

    #[test]
    fn windows_are_those_that_can_be_placed() {
        for n in 1..20 {
            for (k, s, p, d) in
                [(1, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 2, 2), (5, 3, 2, 1)]
            {
                let placed =
                    (0..n + 2 * p).step_by(s).filter(|x| x + d * (k - 1) < n + 2 * p).count();
                match conv(k, s, p, d).infer(&[Shape::new(4, n, n)]) {
                    Ok(shape) => assert_eq!(shape, Shape::new(8, placed, placed)),
                    Err(_) => assert_eq!(placed, 0),
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let (a, b) = (Shape::new(4, 8, 8), Shape::new(6, 8, 8));
        for (op, inputs, why) in [
            (Op::Add, vec![a, b], "6×8×8 differs from 4×8×8"),
            (Op::Mul, vec![a, Shape::vector(3)], "3 does not fit 4×8×8"),
            (Op::Concat, vec![a, Shape::new(4, 4, 4)], "4×4×4 differs"),
            (Op::Linear { out_features: 10, bias: true }, vec![a], "4×8×8 is not a vector"),
            (Op::ChannelShuffle { groups: 3 }, vec![a], "4 channels are not a multiple of 3"),
            (Op::Slice { channels: 5 }, vec![a], "5 channels of 4×8×8, expected at most"),
            (conv(3, 0, 1, 1), vec![a], "stride 0"),
            (conv(11, 1, 1, 1), vec![a], "does not fit 8 + 2 × 1"),
            (Op::Relu, vec![a, a], "2 inputs, expected 1"),
            (Op::Add, vec![], "0 inputs, expected 1"),
        ] {
            let message = op.infer(&inputs).unwrap_err();
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn several_inputs_join() {
        let (a, b) = (Shape::new(4, 8, 8), Shape::new(6, 8, 8));
        assert_eq!(Op::Concat.infer(&[a, b, a]).unwrap(), Shape::new(14, 8, 8));
        assert_eq!(Op::Mul.infer(&[Shape::vector(4), a]).unwrap(), a);
        assert_eq!(Op::Add.infer(&[a, a, a]).unwrap(), a);
    }
}
