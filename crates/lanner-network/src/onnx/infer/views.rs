//! Operators that move, take or lay out values, and those that make constants.

use super::values::{MOST_VALUES, slices};
use super::{Answer, Call, Fact, Gap, INT64, NOT_KNOWN, axis, broadcast, len, show, wrong};

/// Reads sizes that may not be negative.
pub(super) fn sizes(ints: &[i64]) -> Answer<Vec<u64>> {
    let size = |&n: &i64| match u64::try_from(n) {
        Ok(n) => Ok(n),
        Err(_) => wrong(format!("a dimension is {n}, expected 0 or more")),
    };
    ints.iter().map(size).collect()
}

fn ints(values: &[f64]) -> Vec<i64> {
    values.iter().map(|&v| v as i64).collect()
}

pub(super) fn shapes(call: &Call) -> Answer<Vec<Fact>> {
    let one = match call.op {
        "Constant" => constant(call)?,
        "ConstantOfShape" => constant_of_shape(call)?,
        "Range" => range(call)?,
        "Shape" => shape(call)?,
        "Size" => {
            let n = call.input(0)?.len() as f64;
            Fact { dims: vec![], ..Fact::vector(vec![n]) }
        }
        "NonZero" => non_zero(call)?,
        "OneHot" => one_hot(call)?,
        "Reshape" => moved(call, reshape(call)?)?,
        "Flatten" => {
            let dims = &call.input(0)?.dims;
            let at = call.axis(1, dims.len(), true)?;
            moved(call, vec![len(&dims[..at]), len(&dims[at..])])?
        }
        "Squeeze" => moved(call, squeeze(call)?)?,
        "Unsqueeze" => moved(call, unsqueeze(call)?)?,
        "Transpose" => {
            let dims = &call.input(0)?.dims;
            let order = order(call, dims.len())?;
            same(call, order.iter().map(|&i| dims[i]).collect())?
        }
        "Concat" => concat(call)?,
        "Split" => return split(call),
        "Slice" => {
            let dims = call.input(0)?.dims.clone();
            let mut out = dims.clone();
            for s in slices(call, &dims)? {
                out[s.axis] = s.count;
            }
            same(call, out)?
        }
        "Pad" => pad(call)?,
        "Gather" => {
            let (data, at) = (call.input(0)?, call.input(1)?);
            let axis = call.axis(0, data.dims.len(), false)?;
            let mut dims = data.dims[..axis].to_vec();
            dims.extend(&at.dims);
            dims.extend(&data.dims[axis + 1..]);
            same(call, dims)?
        }
        "GatherElements" => same(call, call.input(1)?.dims.clone())?,
        "GatherND" => gather_nd(call)?,
        "Expand" => {
            let to = sizes(&ints(call.values(1)?))?;
            same(call, broadcast(&call.input(0)?.dims, &to)?)?
        }
        "Tile" => {
            let (dims, by) = (&call.input(0)?.dims, sizes(&ints(call.values(1)?))?);
            if dims.len() != by.len() {
                return wrong(format!("{} repeats of {}", by.len(), show(dims)));
            }
            same(call, dims.iter().zip(by).map(|(n, by)| n.saturating_mul(by)).collect())?
        }
        "Resize" | "Upsample" => resize(call)?,
        "DepthToSpace" | "SpaceToDepth" => depth_and_space(call)?,
        "TopK" => {
            let mut dims = call.input(0)?.dims.clone();
            let axis = call.axis(-1, dims.len(), false)?;
            let k = call.values(1)?.first().map_or(0, |&k| k as i64);
            dims[axis] = sizes(&[k])?[0];
            return Ok(vec![same(call, dims.clone())?, Fact::new(dims, INT64)]);
        }
        _ => return Err(Gap::Open(NOT_KNOWN.into())),
    };
    Ok(vec![one])
}

/// An output of the first input's type.
fn same(call: &Call, dims: Vec<u64>) -> Answer<Fact> {
    Ok(Fact::new(dims, call.input(0)?.kind))
}

/// The first input with other dimensions.
fn moved(call: &Call, dims: Vec<u64>) -> Answer<Fact> {
    let input = call.input(0)?;
    if len(&dims) != input.len() {
        return wrong(format!("{} does not become {}", show(&input.dims), show(&dims)));
    }
    Ok(Fact { values: input.values.clone(), ..Fact::new(dims, input.kind) })
}

fn constant(call: &Call) -> Answer<Fact> {
    let node = call.node;
    if let Some(tensor) = node.attribute("value").and_then(|a| a.tensor) {
        let dims = tensor.dims().map_err(Gap::Wrong)?;
        let values = tensor.values(MOST_VALUES).map_err(Gap::Wrong)?;
        return Ok(Fact { values, constant: true, ..Fact::new(dims, tensor.kind) });
    }
    let scalar = |value: f64, kind| Fact { values: Some(vec![value]), ..Fact::new(vec![], kind) };
    let list = |values: Vec<f64>, kind| {
        let dims = vec![values.len() as u64];
        let values = (values.len() <= MOST_VALUES).then_some(values);
        Fact { values, constant: true, ..Fact::new(dims, kind) }
    };
    let of = |name: &str| node.attribute(name);
    if let Some(i) = of("value_int").and_then(|a| a.int) {
        return Ok(scalar(i as f64, INT64));
    }
    if let Some(f) = of("value_float").and_then(|a| a.float) {
        return Ok(scalar(f.into(), 1));
    }
    if let Some(a) = of("value_ints") {
        return Ok(list(a.ints.iter().map(|&i| i as f64).collect(), INT64));
    }
    if let Some(a) = of("value_floats") {
        return Ok(list(a.floats.iter().map(|&f| f.into()).collect(), 1));
    }
    wrong("a constant without a tensor or number")
}

fn constant_of_shape(call: &Call) -> Answer<Fact> {
    let dims = sizes(&ints(call.values(0)?))?;
    let (kind, value) = match call.node.attribute("value").and_then(|a| a.tensor) {
        Some(tensor) => (tensor.kind, tensor.values(1).map_err(Gap::Wrong)?),
        None => (1, Some(vec![0.0])),
    };
    let n = len(&dims);
    let few = n <= MOST_VALUES as u64;
    let values = value.filter(|v| v.len() == 1 && few).map(|v| vec![v[0]; n as usize]);
    Ok(Fact { values, ..Fact::new(dims, kind) })
}

fn range(call: &Call) -> Answer<Fact> {
    let [start, limit, delta] = [0, 1, 2].map(|i| call.values(i).map(|v| v.first().copied()));
    let (Some(start), Some(limit), Some(delta)) = (start?, limit?, delta?) else {
        return wrong("an empty start, limit or delta");
    };
    if delta == 0.0 {
        return wrong("delta is 0");
    }
    let n = ((limit - start) / delta).ceil().max(0.0);
    let few = n <= MOST_VALUES as f64;
    let values = few.then(|| (0..n as usize).map(|i| start + i as f64 * delta).collect());
    Ok(Fact { values, ..Fact::new(vec![n as u64], call.input(0)?.kind) })
}

fn shape(call: &Call) -> Answer<Fact> {
    let dims = &call.input(0)?.dims;
    let rank = dims.len() as i64;
    let place = |name: &str, default: i64| {
        let at = call.node.int(name).unwrap_or(default);
        (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize
    };
    let (start, end) = (place("start", 0), place("end", rank));
    let part = dims.get(start..end).unwrap_or_default();
    Ok(Fact::vector(part.iter().map(|&n| n as f64).collect()))
}

fn non_zero(call: &Call) -> Answer<Fact> {
    let (dims, values) = (&call.input(0)?.dims, call.values(0)?);
    let places: Vec<usize> = (0..values.len()).filter(|&i| values[i] != 0.0).collect();
    let mut found = Vec::new();
    for axis in 0..dims.len() {
        let behind = len(&dims[axis + 1..]).max(1) as usize;
        let n = dims[axis].max(1) as usize;
        found.extend(places.iter().map(|&p| (p / behind % n) as f64));
    }
    let values = (found.len() <= MOST_VALUES).then_some(found);
    Ok(Fact { values, ..Fact::new(vec![dims.len() as u64, places.len() as u64], INT64) })
}

fn one_hot(call: &Call) -> Answer<Fact> {
    let mut dims = call.input(0)?.dims.clone();
    let at = call.axis(-1, dims.len(), true)?;
    let depth = call.values(1)?.first().map_or(0, |&d| d as i64);
    dims.insert(at, sizes(&[depth])?[0]);
    Ok(Fact::new(dims, call.input(2)?.kind))
}

fn reshape(call: &Call) -> Answer<Vec<u64>> {
    let dims = &call.input(0)?.dims;
    let to = ints(call.values(1)?);
    let zeros = call.node.int("allowzero").unwrap_or(0) != 0;
    let (mut out, mut open) = (Vec::with_capacity(to.len()), None);
    for (i, &n) in to.iter().enumerate() {
        out.push(match (n, dims.get(i)) {
            (-1, _) if open.is_some() => return wrong("two dimensions are -1"),
            (-1, _) => {
                open = Some(i);
                1
            }
            (0, Some(&kept)) if !zeros => kept,
            (0, None) if !zeros => return wrong(format!("no dimension {i} of {}", show(dims))),
            (n, _) => sizes(&[n])?[0],
        });
    }
    if let Some(i) = open {
        let (all, others) = (len(dims), len(&out));
        if others == 0 || !all.is_multiple_of(others) {
            return wrong(format!("{} does not become {to:?}", show(dims)));
        }
        out[i] = all / others;
    }
    Ok(out)
}

fn squeeze(call: &Call) -> Answer<Vec<u64>> {
    let dims = &call.input(0)?.dims;
    let axes = match call.ints("axes", 1)? {
        Some(axes) => axes.iter().map(|&a| axis(a, dims.len())).collect::<Answer<Vec<_>>>()?,
        None => (0..dims.len()).filter(|&i| dims[i] == 1).collect(),
    };
    if let Some(&i) = axes.iter().find(|&&i| dims[i] != 1) {
        return wrong(format!("axis {i} of {} is not 1 long", show(dims)));
    }
    Ok(dims.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, &n)| n).collect())
}

fn unsqueeze(call: &Call) -> Answer<Vec<u64>> {
    let mut dims = call.input(0)?.dims.clone();
    let axes = call.ints("axes", 1)?.unwrap_or_default();
    let rank = dims.len() + axes.len();
    let mut places = axes.iter().map(|&a| axis(a, rank)).collect::<Answer<Vec<_>>>()?;
    places.sort_unstable();
    for at in places {
        if at > dims.len() {
            return wrong(format!("axes {axes:?} of {}", show(&dims)));
        }
        dims.insert(at, 1);
    }
    Ok(dims)
}

/// Axes of the input in the order of the output.
pub(super) fn order(call: &Call, rank: usize) -> Answer<Vec<usize>> {
    let Some(perm) = call.node.ints("perm") else { return Ok((0..rank).rev().collect()) };
    let order = perm.iter().map(|&a| axis(a, rank)).collect::<Answer<Vec<_>>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    match sorted.iter().copied().eq(0..rank) {
        true => Ok(order),
        false => wrong(format!("perm {perm:?} of a tensor of {rank} dimensions")),
    }
}

fn concat(call: &Call) -> Answer<Fact> {
    let first = call.input(0)?;
    let Some(stated) = call.node.int("axis") else { return wrong("it has no axis") };
    let at = axis(stated, first.dims.len())?;
    let mut dims = first.dims.clone();
    for i in 1..call.inputs.len() {
        let other = &call.input(i)?.dims;
        let fits = other.len() == dims.len()
            && other.iter().zip(&dims).enumerate().all(|(j, (a, b))| j == at || a == b);
        if !fits {
            return wrong(format!("{} beside {}", show(other), show(&first.dims)));
        }
        dims[at] = dims[at].saturating_add(other[at]);
    }
    same(call, dims)
}

fn split(call: &Call) -> Answer<Vec<Fact>> {
    let input = call.input(0)?;
    let at = call.axis(0, input.dims.len(), false)?;
    let n = input.dims[at];
    let parts = match call.ints("split", 1)? {
        Some(parts) => sizes(&parts)?,
        None => {
            let stated = call.node.int("num_outputs").and_then(|n| u64::try_from(n).ok());
            let parts = stated.unwrap_or(call.node.outputs.len() as u64);
            if parts == 0 || parts > call.node.outputs.len() as u64 {
                return wrong(format!("{parts} parts"));
            }
            let each = n.div_ceil(parts);
            (0..parts).map(|i| each.min(n.saturating_sub(i * each))).collect()
        }
    };
    if parts.iter().fold(0u64, |all, &p| all.saturating_add(p)) != n {
        return wrong(format!("parts {parts:?} of an axis of {n}"));
    }
    let mut from = 0;
    let mut facts = Vec::with_capacity(parts.len());
    for part in parts {
        let mut dims = input.dims.clone();
        dims[at] = part;
        // Vectors may be sizes, so their values are followed.
        let values = input.values.as_ref().filter(|_| input.dims.len() == 1);
        let values = values.map(|v| v[from as usize..(from + part) as usize].to_vec());
        from += part;
        facts.push(Fact { values, ..Fact::new(dims, input.kind) });
    }
    Ok(facts)
}

fn pad(call: &Call) -> Answer<Fact> {
    let mut dims = call.input(0)?.dims.clone();
    let Some(pads) = call.ints("pads", 1)? else { return wrong("it has no pads") };
    let axes = match call.given(3) {
        Some(_) => {
            let axes = ints(call.values(3)?);
            axes.iter().map(|&a| axis(a, dims.len())).collect::<Answer<Vec<_>>>()?
        }
        None => (0..dims.len()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return wrong(format!("{} pads of {} axes", pads.len(), axes.len()));
    }
    for (i, &at) in axes.iter().enumerate() {
        let sum = i128::from(dims[at]) + i128::from(pads[i]) + i128::from(pads[i + axes.len()]);
        match u64::try_from(sum) {
            Ok(n) => dims[at] = n,
            Err(_) => return wrong(format!("axis {at} would be {sum} long")),
        }
    }
    same(call, dims)
}

fn gather_nd(call: &Call) -> Answer<Fact> {
    let (data, at) = (&call.input(0)?.dims, &call.input(1)?.dims);
    let batch = usize::try_from(call.node.int("batch_dims").unwrap_or(0)).unwrap_or(0);
    let Some((&depth, front)) = at.split_last() else { return wrong("indices are a scalar") };
    let Some(rest) = usize::try_from(depth).ok().and_then(|d| data.get(batch.checked_add(d)?..))
    else {
        return wrong(format!("indices {} of {}", show(at), show(data)));
    };
    let mut dims = front.to_vec();
    dims.extend(rest);
    same(call, dims)
}

fn resize(call: &Call) -> Answer<Fact> {
    let dims = &call.input(0)?.dims;
    let (scales, sizes_at) = if call.op == "Upsample" { (1, 9) } else { (2, 3) };
    let axes = match call.node.ints("axes") {
        Some(axes) => axes.iter().map(|&a| axis(a, dims.len())).collect::<Answer<Vec<_>>>()?,
        None => (0..dims.len()).collect(),
    };
    let mut out = dims.clone();
    if call.given(sizes_at).is_some_and(|s| s.len() > 0) {
        let to = sizes(&ints(call.values(sizes_at)?))?;
        if to.len() != axes.len() {
            return wrong(format!("{} sizes of {} axes", to.len(), axes.len()));
        }
        let policy = call.node.text("keep_aspect_ratio_policy").unwrap_or("stretch");
        let ratios = axes.iter().zip(&to).map(|(&a, &n)| n as f64 / dims[a].max(1) as f64);
        let common = match policy {
            "not_larger" => Some(ratios.fold(f64::INFINITY, f64::min)),
            "not_smaller" => Some(ratios.fold(0.0, f64::max)),
            _ => None,
        };
        for (&a, n) in axes.iter().zip(to) {
            out[a] = common.map_or(n, |c| (c * dims[a] as f64).round() as u64);
        }
        return same(call, out);
    }
    let by = call.values(scales)?;
    if by.len() != axes.len() {
        return wrong(format!("{} scales of {} axes", by.len(), axes.len()));
    }
    for (&a, &by) in axes.iter().zip(by) {
        if !(by > 0.0 && by.is_finite()) {
            return wrong(format!("a scale is {by}, expected a number above 0"));
        }
        out[a] = (dims[a] as f64 * by).floor() as u64;
    }
    same(call, out)
}

fn depth_and_space(call: &Call) -> Answer<Fact> {
    let dims = &call.input(0)?.dims;
    let block = call.node.int("blocksize").unwrap_or(0);
    let (&[n, c, h, w], true) = (&dims[..], (1..1 << 16).contains(&block)) else {
        return wrong(format!("blocks of {block} of {}", show(dims)));
    };
    let b = block as u64;
    let out = match call.op {
        "DepthToSpace" if c.is_multiple_of(b * b) => {
            vec![n, c / (b * b), h.saturating_mul(b), w.saturating_mul(b)]
        }
        "SpaceToDepth" if h.is_multiple_of(b) && w.is_multiple_of(b) => {
            vec![n, c.saturating_mul(b * b), h / b, w / b]
        }
        _ => return wrong(format!("blocks of {block} do not fit {}", show(dims))),
    };
    same(call, out)
}
