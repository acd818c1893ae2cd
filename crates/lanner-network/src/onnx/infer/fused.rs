//! Operators that are several of ONNX's in one, by their names in [`microsoft`](crate::onnx::microsoft).

use super::{Answer, Call, Fact, products::product, show, wrong};

pub(super) fn shapes(call: &Call) -> Answer<Vec<Fact>> {
    let Fact { dims, kind, .. } = call.input(0)?;
    let kind = *kind;
    Ok(match call.op {
        "FusedMatMul" => {
            let (a, b) = factors(call)?;
            vec![Fact::new(product(&a, &b)?, kind)]
        }
        "FusedBlocks" => {
            let [inner, columns] = block_sizes(call)?;
            let Some((&last, rows)) = dims.split_last().filter(|(last, _)| **last == inner) else {
                return wrong(format!("a product of {} and {inner}×{columns}", show(dims)));
            };
            debug_assert_eq!(last, inner);
            vec![Fact::new([rows, &[columns]].concat(), kind)]
        }
        "FusedEmbedding" => {
            let Some(&width) = call.input(1)?.dims.last() else {
                return wrong("a table of embeddings of no dimensions");
            };
            let sum = Fact::new([dims.as_slice(), &[width]].concat(), 1);
            let lengths = Fact::new(dims.iter().take(1).copied().collect(), 6);
            vec![sum.clone(), lengths, sum]
        }
        "FusedSkipNorm" => {
            let outer = dims.len().saturating_sub(1);
            let one = Fact::new([&dims[..outer], &[1]].concat(), 1);
            let all = Fact::new(dims.clone(), kind);
            vec![all.clone(), one.clone(), one, all]
        }
        _ => {
            let Heads { batch, queries, keys, groups, of_key, of_value, heads, .. } = heads(call)?;
            let all = Fact::new(vec![batch, queries, heads.saturating_mul(of_value)], kind);
            let kept = |size| vec![batch, groups, keys, size];
            match call.op {
                "FusedProjectedAttention" => {
                    vec![all, Fact::new([&[2], &kept(of_key)[..]].concat(), kind)]
                }
                _ => vec![all, Fact::new(kept(of_key), kind), Fact::new(kept(of_value), kind)],
            }
        }
    })
}

/// Both factors of a product, of which the last two axes may be exchanged.
fn factors(call: &Call) -> Answer<(Vec<u64>, Vec<u64>)> {
    for name in ["transBatchA", "transBatchB"] {
        if call.node.int(name).unwrap_or(0) != 0 {
            return Err(super::Gap::Open(format!("{name} is not known")));
        }
    }
    let factor = |i: usize, name: &str| -> Answer<Vec<u64>> {
        let mut dims = call.input(i)?.dims.clone();
        let n = dims.len();
        if n > 1 && call.node.int(name).unwrap_or(0) != 0 {
            dims.swap(n - 1, n - 2);
        }
        Ok(dims)
    };
    Ok((factor(0, "transA")?, factor(1, "transB")?))
}

/// Rows and columns of weights that are stored in blocks of few bits.
fn block_sizes(call: &Call) -> Answer<[u64; 2]> {
    let size = |name: &str| match call.node.int(name).map(u64::try_from) {
        Some(Ok(n)) if n > 0 => Ok(n),
        _ => wrong(format!("it has no {name}")),
    };
    Ok([size("K")?, size("N")?])
}

/// Sizes of attention over several heads.
struct Heads {
    batch: u64,
    queries: u64,
    keys: u64,
    heads: u64,
    /// Heads of keys and values, which several of the queries may share.
    groups: u64,
    of_key: u64,
    of_value: u64,
    /// Products of the projections that are part of the operator.
    projections: u64,
}

fn heads(call: &Call) -> Answer<Heads> {
    let number = |name: &str| u64::try_from(call.node.int(name).unwrap_or(0)).unwrap_or(0);
    let heads = match number("num_heads") {
        0 => return wrong("it has no num_heads"),
        n => n,
    };
    let dims = |i: usize| call.given(i).map(|f| f.dims.as_slice());
    let strange = || {
        let all = (0..3).filter_map(dims).map(show).collect::<Vec<_>>().join(", ");
        super::Gap::Open(format!("attention of {all} is not known"))
    };
    if call.op == "FusedProjectedAttention" {
        let (Some(&[batch, queries, width]), Some(&[_, all])) = (dims(0), dims(1)) else {
            return Err(strange());
        };
        let sizes = call.node.ints("qkv_hidden_sizes").unwrap_or_default();
        let size = |i: usize| sizes.get(i).and_then(|&n| u64::try_from(n).ok()).unwrap_or(all / 3);
        let past = dims(2).and_then(|past| past.get(3)).copied().unwrap_or(0);
        return Ok(Heads {
            batch,
            queries,
            keys: queries.saturating_add(past),
            heads,
            groups: heads,
            of_key: each(size(0), heads)?,
            of_value: each(size(2), heads)?,
            projections: [queries, width, all].iter().fold(batch, |n, &m| n.saturating_mul(m)),
        });
    }
    let groups = match number("kv_num_heads") {
        0 => heads,
        n => n,
    };
    let past = dims(3).and_then(|past| past.get(2)).copied().unwrap_or(0);
    let (batch, queries, of_key, of_value, new) = match (dims(0), dims(1), dims(2)) {
        (Some(&[b, s, width]), Some(&[_, t, _]), Some(&[_, _, values])) => {
            (b, s, each(width, heads)?, each(values, groups)?, t)
        }
        // Keys of the encoder, heads first.
        (Some(&[b, s, width]), Some(&[_, _, t, _]), Some(&[_, _, _, of_value])) => {
            (b, s, each(width, heads)?, of_value, t)
        }
        // Queries, keys and values in one tensor.
        (Some(&[b, s, width]), None, None) => {
            let size = each(width, heads.saturating_add(groups.saturating_mul(2)))?;
            (b, s, size, size, s)
        }
        (Some(&[b, s, _, 3, size]), None, None) => (b, s, size, size, s),
        _ => return Err(strange()),
    };
    let keys = new.saturating_add(past);
    Ok(Heads { batch, queries, keys, heads, groups, of_key, of_value, projections: 0 })
}

/// Share of each head in `all` values.
fn each(all: u64, heads: u64) -> Answer<u64> {
    match all % heads.max(1) {
        0 => Ok(all / heads.max(1)),
        _ => wrong(format!("{all} values for {heads} heads, expected a multiple")),
    }
}

/// Products and the number of scores of an operator of this file; 0 where it has none.
pub(in crate::onnx) fn products(call: &Call, values: u64) -> Answer<[u64; 2]> {
    Ok(match call.op {
        "FusedMatMul" => {
            let inner = factors(call)?.0.last().copied().unwrap_or(1);
            [inner.saturating_mul(values), 0]
        }
        "FusedBlocks" => [block_sizes(call)?[0].saturating_mul(values), 0],
        "FusedAttention" | "FusedProjectedAttention" => {
            let of = heads(call)?;
            let scores = [of.batch, of.heads, of.queries, of.keys]
                .iter()
                .fold(1u64, |all, &n| all.saturating_mul(n));
            let each = of.of_key.saturating_add(of.of_value);
            [scores.saturating_mul(each).saturating_add(of.projections), scores]
        }
        _ => [0, 0],
    })
}
