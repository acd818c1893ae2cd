//! Numbers of small constant tensors: sizes that the exporters compute within the graph.

use super::{Answer, BOOL, Call, Fact, axis, len, views, wrong};

/// Most numbers that are kept of a tensor: sizes have a handful, positions some hundred.
pub(in crate::onnx) const MOST_VALUES: usize = 1024;

/// A part of an axis: every `step`-th of `count` values.
pub(super) struct Part {
    pub axis: usize,
    pub start: i64,
    pub step: i64,
    pub count: u64,
}

/// Reads the parts that a `Slice` takes.
pub(super) fn slices(call: &Call, dims: &[u64]) -> Answer<Vec<Part>> {
    let all = |name: &str, i| call.ints(name, i);
    let (Some(starts), Some(ends)) = (all("starts", 1)?, all("ends", 2)?) else {
        return wrong("it has no starts or ends");
    };
    let axes = match all("axes", 3)? {
        Some(axes) => axes.iter().map(|&a| axis(a, dims.len())).collect::<Answer<Vec<_>>>()?,
        None => (0..starts.len()).collect(),
    };
    let steps = all("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || starts.len() > dims.len() {
        return wrong("starts, ends, axes and steps differ in length");
    }
    let mut parts = Vec::with_capacity(starts.len());
    for (i, &axis) in axes.iter().enumerate() {
        let (n, step) = (dims[axis] as i64, steps[i]);
        if step == 0 {
            return wrong("a step is 0");
        }
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let place = |at: i64, low: i64| {
            (if at < 0 { at.saturating_add(n) } else { at }).clamp(low, high.max(low))
        };
        let (start, end) = (place(starts[i], low.max(0)), place(ends[i], low));
        let room = if step > 0 { end - start } else { start - end };
        let count = if room <= 0 { 0 } else { (room as u64).div_ceil(step.unsigned_abs()) };
        parts.push(Part { axis, start, step, count });
    }
    Ok(parts)
}

/// Computes the numbers of an output whose inputs are constant; `None` where they are not needed.
pub(super) fn fold(call: &Call, output: &Fact) -> Option<Vec<f64>> {
    if output.len() > MOST_VALUES as u64 {
        return None;
    }
    if output.len() == 0 {
        return Some(Vec::new());
    }
    let value = |i: usize| call.given(i)?.values.as_deref();
    let dims = |i: usize| Some(call.given(i)?.dims.as_slice());
    match call.op {
        "Cast" | "CastLike" => {
            let whole = !matches!(output.kind, 1 | 10 | 11 | 16);
            let cast = |&v: &f64| match output.kind {
                BOOL => f64::from(u8::from(v != 0.0)),
                _ if whole => v.trunc(),
                _ => v,
            };
            Some(value(0)?.iter().map(cast).collect())
        }
        "Where" => {
            let [c, x, y] =
                [spread(call, 0, output)?, spread(call, 1, output)?, spread(call, 2, output)?];
            Some((0..c.len()).map(|i| if c[i] != 0.0 { x[i] } else { y[i] }).collect())
        }
        "Clip" => {
            let bound = |i: usize, none: f64| match call.given(i) {
                None => Some(none),
                Some(fact) => fact.values.as_ref()?.first().copied(),
            };
            let (least, most) = (bound(1, f64::NEG_INFINITY)?, bound(2, f64::INFINITY)?);
            Some(value(0)?.iter().map(|v| v.max(least).min(most)).collect())
        }
        "Expand" => spread(call, 0, output),
        "Concat" => concat(call, output),
        "Gather" => {
            let (data, at, from) = (value(0)?, value(1)?, dims(0)?);
            let axis = call.axis(0, from.len(), false).ok()?;
            let (n, behind) = (from[axis] as usize, len(&from[axis + 1..]) as usize);
            let mut taken = Vec::new();
            for front in 0..len(&from[..axis]) as usize {
                for &i in at {
                    let i = if i < 0.0 { i + n as f64 } else { i } as usize;
                    let start = (front * n).checked_add(i)?.checked_mul(behind)?;
                    taken.extend(data.get(start..start.checked_add(behind)?)?);
                }
            }
            Some(taken)
        }
        "Slice" => {
            let (data, from) = (value(0)?, dims(0)?);
            let parts = slices(call, from).ok()?;
            picked(&output.dims, |index| {
                let mut at: Vec<i64> = index.iter().map(|&i| i as i64).collect();
                parts.iter().for_each(|p| at[p.axis] = p.start + p.step * at[p.axis]);
                let place = at.iter().zip(from).fold(0, |all, (&i, &n)| all * n as i64 + i);
                data.get(usize::try_from(place).ok()?).copied()
            })
        }
        "Transpose" => {
            let (data, from) = (value(0)?, dims(0)?);
            let order = views::order(call, from.len()).ok()?;
            picked(&output.dims, |index| {
                let mut at = vec![0; from.len()];
                order.iter().zip(index).for_each(|(&axis, &i)| at[axis] = i);
                data.get(place(&at, from)).copied()
            })
        }
        op if op.starts_with("Reduce") => {
            // Over everything only: a product of sizes.
            if output.len() != 1 || value(0)?.is_empty() {
                return None;
            }
            let all = value(0)?.iter().copied();
            Some(vec![match op {
                "ReduceProd" => all.product(),
                "ReduceSum" => all.sum(),
                "ReduceMax" => all.fold(f64::NEG_INFINITY, f64::max),
                "ReduceMin" => all.fold(f64::INFINITY, f64::min),
                _ => return None,
            }])
        }
        op => match call.inputs.len() {
            1 => {
                let of = unary(op)?;
                Some(value(0)?.iter().map(|&v| of(v)).collect())
            }
            2 => {
                let of = binary(op, call.given(0)?.kind)?;
                let (a, b) = (spread(call, 0, output)?, spread(call, 1, output)?);
                a.iter().zip(&b).map(|(&a, &b)| of(a, b)).collect()
            }
            _ => None,
        },
    }
}

fn unary(op: &str) -> Option<fn(f64) -> f64> {
    Some(match op {
        "Neg" => |v| -v,
        "Abs" => f64::abs,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Round" => f64::round_ties_even,
        "Sqrt" => f64::sqrt,
        "Not" => |v| truth(v == 0.0),
        _ => return None,
    })
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

type Binary = fn(f64, f64) -> Option<f64>;

fn binary(op: &str, kind: i32) -> Option<Binary> {
    let floats = matches!(kind, 1 | 10 | 11 | 16);
    Some(match op {
        "Add" => |a, b| Some(a + b),
        "Sub" => |a, b| Some(a - b),
        "Mul" => |a, b| Some(a * b),
        "Div" if floats => |a, b| Some(a / b),
        "Div" => |a, b| (b != 0.0).then(|| (a / b).trunc()),
        "Mod" => |a, b| (b != 0.0).then(|| a - b * (a / b).floor()),
        "Pow" => |a, b| Some(a.powf(b)),
        "Max" => |a, b| Some(a.max(b)),
        "Min" => |a, b| Some(a.min(b)),
        "Equal" => |a, b| Some(truth(a == b)),
        "Less" => |a, b| Some(truth(a < b)),
        "LessOrEqual" => |a, b| Some(truth(a <= b)),
        "Greater" => |a, b| Some(truth(a > b)),
        "GreaterOrEqual" => |a, b| Some(truth(a >= b)),
        "And" => |a, b| Some(truth(a != 0.0 && b != 0.0)),
        "Or" => |a, b| Some(truth(a != 0.0 || b != 0.0)),
        _ => return None,
    })
}

/// Numbers of an input, broadcast to the output's shape.
fn spread(call: &Call, i: usize, output: &Fact) -> Option<Vec<f64>> {
    let fact = call.given(i)?;
    let (values, from) = (fact.values.as_deref()?, &fact.dims);
    let skip = output.dims.len().checked_sub(from.len())?;
    picked(&output.dims, |index| {
        let at: Vec<u64> =
            index[skip..].iter().zip(from).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
        values.get(place(&at, from)).copied()
    })
}

/// Offset of an index in a tensor.
fn place(index: &[u64], dims: &[u64]) -> usize {
    index.iter().zip(dims).fold(0, |all, (&i, &n)| all * n as usize + i as usize)
}

/// Computes each number of a tensor from its index.
fn picked(dims: &[u64], mut of: impl FnMut(&[u64]) -> Option<f64>) -> Option<Vec<f64>> {
    let mut index = vec![0; dims.len()];
    let mut values = Vec::with_capacity(len(dims) as usize);
    for _ in 0..len(dims) {
        values.push(of(&index)?);
        for (i, &n) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    Some(values)
}

fn concat(call: &Call, output: &Fact) -> Option<Vec<f64>> {
    let at = axis(call.node.int("axis")?, output.dims.len()).ok()?;
    let mut all = Vec::new();
    for front in 0..len(&output.dims[..at]) as usize {
        for fact in call.inputs.iter().copied() {
            let (values, dims) = (fact?.values.as_deref()?, &fact?.dims);
            let each = len(&dims[at..]) as usize;
            all.extend(values.get(front * each..(front + 1) * each)?);
        }
    }
    Some(all)
}
