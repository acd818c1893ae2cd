//! Convolutions and pooling in any number of dimensions.

use super::{Answer, Call, Fact, Gap, INT64, NOT_KNOWN, wrong};

/// Kernel, strides, dilations, padding and groups of a convolution or pooling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::onnx) struct Sliding {
    pub kernel: Vec<u64>,
    pub strides: Vec<u64>,
    pub dilations: Vec<u64>,
    /// Padding in front of each axis, and then behind each.
    pub pads: Vec<u64>,
    pub groups: u64,
}

/// Most of a size: products of two fit in 64 bits.
const MOST: i64 = 1 << 31;

fn numbers(call: &Call, name: &str, len: usize, default: u64, least: i64) -> Answer<Vec<u64>> {
    let Some(ints) = call.node.ints(name) else { return Ok(vec![default; len]) };
    if ints.len() != len {
        return wrong(format!("{name} has {} numbers, expected {len}", ints.len()));
    }
    let fits = |&n: &i64| match (least..MOST).contains(&n) {
        true => Ok(n as u64),
        false => wrong(format!("{name} has {n}, expected {least} or more")),
    };
    ints.iter().map(fits).collect()
}

impl Sliding {
    pub(in crate::onnx) fn of(call: &Call) -> Answer<Sliding> {
        let rank = call.rank(0)?;
        let axes = rank.checked_sub(2).filter(|&n| n > 0).ok_or_else(|| {
            Gap::Wrong(format!("an input of {rank} dimensions, expected batch, channels and more"))
        })?;
        let weights = match call.op {
            "QLinearConv" => Some(3),
            op if op.contains("Conv") => Some(1),
            _ => None,
        };
        let kernel = match weights {
            Some(i) => {
                let dims = &call.input(i)?.dims;
                if dims.len() != rank || dims.contains(&0) {
                    return wrong(format!(
                        "weights {} of an input of {rank} dimensions",
                        super::show(dims)
                    ));
                }
                dims[2..].to_vec()
            }
            None => match call.node.ints("kernel_shape") {
                Some(_) => numbers(call, "kernel_shape", axes, 1, 1)?,
                None => return wrong("it has no kernel_shape"),
            },
        };
        let groups = call.node.int("group").unwrap_or(1);
        Ok(Sliding {
            kernel,
            strides: numbers(call, "strides", axes, 1, 1)?,
            dilations: numbers(call, "dilations", axes, 1, 1)?,
            pads: numbers(call, "pads", 2 * axes, 0, 0)?,
            groups: u64::try_from(groups)
                .ok()
                .filter(|&g| g > 0)
                .ok_or_else(|| Gap::Wrong(format!("group is {groups}, expected 1 or more")))?,
        })
    }

    /// Number of windows along an axis of `n` values.
    fn windows(&self, call: &Call, i: usize, n: u64) -> Answer<u64> {
        let reach = self.dilations[i].saturating_mul(self.kernel[i] - 1).saturating_add(1);
        let stride = self.strides[i];
        let padding = match call.node.text("auto_pad").unwrap_or("NOTSET") {
            "SAME_UPPER" | "SAME_LOWER" => return Ok(n.div_ceil(stride)),
            "VALID" => 0,
            _ => self.pads[i] + self.pads[i + self.kernel.len()],
        };
        let Some(room) = n.saturating_add(padding).checked_sub(reach) else {
            return wrong(format!("a window over {reach} values does not fit {n} + {padding}"));
        };
        let whole = room / stride + 1;
        // A last window that begins in the padding behind is left out.
        let further = call.node.int("ceil_mode").unwrap_or(0) != 0
            && room % stride != 0
            && whole.saturating_mul(stride) < n + self.pads[i];
        Ok(whole + u64::from(further))
    }
}

pub(super) fn shapes(call: &Call) -> Answer<Vec<Fact>> {
    let input = call.input(0)?;
    let dims = &input.dims;
    let op = call.op;
    match op {
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            let dims = dims.iter().enumerate().map(|(i, &n)| if i < 2 { n } else { 1 }).collect();
            return Ok(vec![Fact::new(dims, input.kind)]);
        }
        "GridSample" => {
            let grid = &call.input(1)?.dims;
            if grid.len() != dims.len() || dims.len() < 3 {
                return wrong("input and grid differ in dimensions");
            }
            let mut out = dims[..2].to_vec();
            out.extend(&grid[1..grid.len() - 1]);
            return Ok(vec![Fact::new(out, input.kind)]);
        }
        "RoiAlign" => {
            let (Some(&rois), &[_, channels, ..]) = (call.input(1)?.dims.first(), &dims[..]) else {
                return wrong("it needs an image and regions");
            };
            let side = |name| call.node.int(name).unwrap_or(1).clamp(1, MOST) as u64;
            let out = vec![rois, channels, side("output_height"), side("output_width")];
            return Ok(vec![Fact::new(out, input.kind)]);
        }
        "MaxRoiPool" | "MaxUnpool" | "Col2Im" => {
            return Err(Gap::Open(NOT_KNOWN.into()));
        }
        _ => {}
    }
    let sliding = Sliding::of(call)?;
    let kind = if op == "ConvInteger" { 6 } else { input.kind };
    let mut out = vec![dims[0], dims[1]];
    if op.contains("Conv") {
        let weights = &call.input(if op == "QLinearConv" { 3 } else { 1 })?.dims;
        let per_group = if op == "ConvTranspose" {
            weights[0]
        } else {
            weights[1].saturating_mul(sliding.groups)
        };
        if per_group != dims[1] {
            return wrong(format!(
                "weights {} in {} groups do not fit {} channels",
                super::show(weights),
                sliding.groups,
                dims[1]
            ));
        }
        out[1] = match op {
            "ConvTranspose" => weights[1].saturating_mul(sliding.groups),
            _ => weights[0],
        };
    }
    for (i, &n) in dims[2..].iter().enumerate() {
        out.push(match op {
            "ConvTranspose" => transposed(call, &sliding, i, n)?,
            _ => sliding.windows(call, i, n)?,
        });
    }
    let mut facts = vec![Fact::new(out.clone(), kind)];
    if op == "MaxPool" {
        facts.push(Fact::new(out, INT64));
    }
    Ok(facts)
}

/// Length of an axis behind a transposed convolution.
fn transposed(call: &Call, sliding: &Sliding, i: usize, n: u64) -> Answer<u64> {
    let axes = sliding.kernel.len();
    if call.node.ints("output_shape").is_some() {
        return Ok(numbers(call, "output_shape", axes, 1, 1)?[i]);
    }
    let more = numbers(call, "output_padding", axes, 0, 0)?[i];
    let (stride, pads) = (sliding.strides[i], sliding.pads[i] + sliding.pads[i + axes]);
    let same = call.node.text("auto_pad").unwrap_or("NOTSET").starts_with("SAME");
    let reach = sliding.dilations[i].saturating_mul(sliding.kernel[i] - 1) + 1 + more;
    let full = n.saturating_sub(1).saturating_mul(stride).saturating_add(reach);
    match if same { Some(n.saturating_mul(stride)) } else { full.checked_sub(pads) } {
        Some(length) if length > 0 => Ok(length),
        _ => wrong(format!("padding {pads} leaves nothing of {full}")),
    }
}
