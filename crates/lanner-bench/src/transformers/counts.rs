//! Features of the plain baseline: what one counts in a transformer without a thought.

use std::collections::BTreeMap;

use lanner_predict::regress::linalg::Mat;
use lanner_space::{Architecture, Space};
use rayon::prelude::*;
use serde_json::Value;

/// Each parameter of the network, or the sum over its layers; products of two of these; counts of each value that
/// a layer chooses; multiply-accumulates and parameters, and the logarithms of both (the last columns).
pub(super) fn of(space: &Space, archs: &[Architecture]) -> Mat {
    let all: Vec<(Vec<f64>, BTreeMap<String, f64>)> =
        archs.par_iter().map(|arch| counted(space, arch)).collect();
    let names: Vec<&String> = {
        let mut names: Vec<&String> = all.iter().flat_map(|(_, counts)| counts.keys()).collect();
        names.sort();
        names.dedup();
        names
    };
    let row = |(i, (sums, counts)): (usize, &(Vec<f64>, BTreeMap<String, f64>))| {
        let mut row = sums.clone();
        for a in 0..sums.len() {
            row.extend((a..sums.len()).map(|b| sums[a] * sums[b]));
        }
        row.extend(names.iter().map(|name| counts.get(*name).copied().unwrap_or(0.0)));
        let (macs, params) = space.flops_and_params(&archs[i]).unwrap_or((1.0, 1.0));
        row.extend([macs, params, macs.ln(), params.ln()]);
        row
    };
    let rows: Vec<Vec<f64>> = all.iter().enumerate().map(row).collect();
    let cols = rows.first().map_or(0, Vec::len);
    Mat { rows: rows.len(), cols, data: rows.concat() }
}

fn counted(space: &Space, arch: &Architecture) -> (Vec<f64>, BTreeMap<String, f64>) {
    let text: Value = serde_json::from_str(&space.print(arch)).unwrap_or_default();
    let (mut sums, mut counts) = (Vec::new(), BTreeMap::new());
    let number =
        |value: &Value| value.as_f64().unwrap_or(f64::from(u8::from(value == &Value::Bool(true))));
    for (name, value) in text.as_object().into_iter().flatten() {
        match value {
            Value::Array(layers) => {
                sums.push(layers.iter().map(number).sum());
                for layer in layers {
                    *counts.entry(format!("{name} {layer}")).or_insert(0.0) += 1.0;
                }
            }
            value => sums.push(number(value)),
        }
    }
    (sums, counts)
}
