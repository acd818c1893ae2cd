//! Matrix products, attention and recurrent layers.

use super::{Answer, Call, Fact, broadcast, show, wrong};

pub(super) fn shapes(call: &Call) -> Answer<Vec<Fact>> {
    let kind = call.input(0)?.kind;
    Ok(match call.op {
        "Gemm" => {
            let flag = |name: &str| call.node.int(name).unwrap_or(0) != 0;
            let (a, b) = (&call.input(0)?.dims, &call.input(1)?.dims);
            let (&[a0, a1], &[b0, b1]) = (&a[..], &b[..]) else {
                return wrong(format!("{} and {} are not two matrices", show(a), show(b)));
            };
            let (rows, inner) = if flag("transA") { (a1, a0) } else { (a0, a1) };
            let (other, columns) = if flag("transB") { (b1, b0) } else { (b0, b1) };
            if inner != other {
                return wrong(format!("a product of {rows}×{inner} and {other}×{columns}"));
            }
            vec![Fact::new(vec![rows, columns], kind)]
        }
        "MatMul" => vec![Fact::new(product(&call.input(0)?.dims, &call.input(1)?.dims)?, kind)],
        "MatMulInteger" => {
            vec![Fact::new(product(&call.input(0)?.dims, &call.input(1)?.dims)?, 6)]
        }
        "QLinearMatMul" => {
            vec![Fact::new(product(&call.input(0)?.dims, &call.input(3)?.dims)?, kind)]
        }
        "Einsum" => {
            let terms = Einsum::of(call)?;
            vec![Fact::new(terms.output(), kind)]
        }
        "Attention" => attention(call, kind)?,
        _ => recurrent(call, kind)?,
    })
}

/// Shape of a matrix product as NumPy's `matmul`.
pub(super) fn product(a: &[u64], b: &[u64]) -> Answer<Vec<u64>> {
    let wide = |v: &[u64], front: bool| match (v, front) {
        (&[n], true) => vec![1, n],
        (&[n], false) => vec![n, 1],
        _ => v.to_vec(),
    };
    let (x, y) = (wide(a, true), wide(b, false));
    let ([batch_a @ .., rows, inner], [batch_b @ .., other, columns]) = (&x[..], &y[..]) else {
        return wrong(format!("a product of {} and {}", show(a), show(b)));
    };
    if inner != other {
        return wrong(format!("a product of {} and {}", show(a), show(b)));
    }
    let mut dims = broadcast(batch_a, batch_b)?;
    dims.extend((a.len() > 1).then_some(rows));
    dims.extend((b.len() > 1).then_some(columns));
    Ok(dims)
}

/// An equation over named axes.
pub(in crate::onnx) struct Einsum {
    /// Names of axes and their lengths.
    axes: Vec<(char, u64)>,
    output: Vec<char>,
}

/// Stands for axes under an ellipsis, counted from the last.
fn hidden(i: usize) -> char {
    char::from_u32(0xe000 + i as u32).unwrap_or('\u{e000}')
}

impl Einsum {
    pub(in crate::onnx) fn of(call: &Call) -> Answer<Einsum> {
        let text: String = call.node.text("equation").unwrap_or_default().split(' ').collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left.to_string(), Some(right.to_string())),
            None => (text, None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != call.inputs.len() {
            let inputs = call.inputs.len();
            return wrong(format!("equation '{left}' has {} terms, {inputs} inputs", terms.len()));
        }
        let (mut axes, mut most) = (Vec::<(char, u64)>::new(), 0);
        for (i, term) in terms.iter().enumerate() {
            let dims = &call.input(i)?.dims;
            let named = term.replace("...", "").chars().count();
            let under = dims.len().saturating_sub(named);
            let names = expand(term, under);
            if names.len() != dims.len() {
                return wrong(format!("'{term}' does not fit {}", show(dims)));
            }
            most = most.max(if term.contains("...") { under } else { 0 });
            for (name, &n) in names.into_iter().zip(dims) {
                match axes.iter_mut().find(|a| a.0 == name) {
                    Some(known) if known.1 == n || n == 1 => {}
                    Some(known) if known.1 == 1 => known.1 = n,
                    Some(known) => {
                        return wrong(format!("axis '{name}' is {} and {n} long", known.1));
                    }
                    None => axes.push((name, n)),
                }
            }
        }
        let output = match right {
            Some(right) => expand(&right, most),
            None => {
                let once = |c: &char| left.chars().filter(|l| l == c).count() == 1;
                let mut named: Vec<char> =
                    axes.iter().map(|a| a.0).filter(|c| c.is_alphabetic() && once(c)).collect();
                named.sort_unstable();
                (0..most).rev().map(hidden).chain(named).collect()
            }
        };
        if let Some(name) = output.iter().find(|c| !axes.iter().any(|a| a.0 == **c)) {
            return wrong(format!("axis '{name}' of the output is in no input"));
        }
        Ok(Einsum { axes, output })
    }

    fn output(&self) -> Vec<u64> {
        let length = |c: &char| self.axes.iter().find(|a| a.0 == *c).map_or(1, |a| a.1);
        self.output.iter().map(length).collect()
    }

    /// Number of products: one for each place of all axes.
    pub(in crate::onnx) fn products(&self) -> u64 {
        self.axes.iter().fold(1, |all, a| all.saturating_mul(a.1))
    }
}

/// Names of the axes of a term, with `under` of them under an ellipsis.
fn expand(term: &str, under: usize) -> Vec<char> {
    match term.split_once("...") {
        Some((front, back)) => {
            front.chars().chain((0..under).rev().map(hidden)).chain(back.chars()).collect()
        }
        None => term.chars().collect(),
    }
}

/// Sizes of an `Attention` of opset 23: batch, heads, queries, keys, size of a key and of a value.
pub(in crate::onnx) fn attention_sizes(call: &Call) -> Answer<[u64; 6]> {
    let [q, k, v] = [0, 1, 2].map(|i| call.input(i).map(|f| f.dims.clone()));
    let (q, k, v) = (q?, k?, v?);
    let past = match call.given(4) {
        Some(past) => past.dims.get(2).copied().unwrap_or(0),
        None => 0,
    };
    match (&q[..], &k[..], &v[..]) {
        (&[b, h, s, d], &[_, _, t, _], &[_, _, _, e]) => Ok([b, h, s, t + past, d, e]),
        (&[b, s, qs], &[_, t, _], &[_, _, vs]) => {
            let heads = |name: &str| u64::try_from(call.node.int(name).unwrap_or(0)).unwrap_or(0);
            let (h, g) = (heads("q_num_heads"), heads("kv_num_heads"));
            if h == 0 || g == 0 {
                return wrong("three dimensions, and no q_num_heads or kv_num_heads");
            }
            Ok([b, h, s, t + past, qs / h, vs / g])
        }
        _ => wrong(format!("attention of {}, {} and {}", show(&q), show(&k), show(&v))),
    }
}

fn attention(call: &Call, kind: i32) -> Answer<Vec<Fact>> {
    let [b, h, s, t, d, e] = attention_sizes(call)?;
    let out = match call.rank(0)? {
        3 => vec![b, s, h.saturating_mul(e)],
        _ => vec![b, h, s, e],
    };
    let groups = match call.rank(1)? {
        3 => call.node.int("kv_num_heads").unwrap_or(1).max(1) as u64,
        _ => call.input(1)?.dims[1],
    };
    let scores = Fact::new(vec![b, h, s, t], kind);
    let kept = [d, e].map(|size| Fact::new(vec![b, groups, t, size], kind));
    let [key, value] = kept;
    Ok(vec![Fact::new(out, kind), key, value, scores])
}

/// Sizes of a recurrent layer: steps, batch, directions, inputs and hidden values.
pub(in crate::onnx) fn recurrent_sizes(call: &Call) -> Answer<[u64; 5]> {
    let (x, r) = (&call.input(0)?.dims, &call.input(2)?.dims);
    let (&[first, second, inputs], &[directions, rows, columns]) = (&x[..], &r[..]) else {
        return wrong(format!("an input {} and weights {}", show(x), show(r)));
    };
    // Quantised weights are stored the other way round.
    let hidden = if call.node.op == "DynamicQuantizeLSTM" { rows } else { columns };
    let batch_first = call.node.int("layout").unwrap_or(0) != 0;
    let (steps, batch) = if batch_first { (second, first) } else { (first, second) };
    Ok([steps, batch, directions, inputs, hidden])
}

fn recurrent(call: &Call, kind: i32) -> Answer<Vec<Fact>> {
    let [steps, batch, directions, _, hidden] = recurrent_sizes(call)?;
    let (all, last) = match call.node.int("layout").unwrap_or(0) {
        0 => (vec![steps, directions, batch, hidden], vec![directions, batch, hidden]),
        _ => (vec![batch, steps, directions, hidden], vec![batch, directions, hidden]),
    };
    let last = Fact::new(last, kind);
    Ok(vec![Fact::new(all, kind), last.clone(), last])
}
