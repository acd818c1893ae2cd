//! Features of the plain baseline: what one counts in a transformer without a thought.

use std::collections::BTreeMap;

use lanner_predict::regress::linalg::Mat;
use lanner_space::{Architecture, Space};
use rayon::prelude::*;
use serde_json::Value;

/// Each parameter of the network, or the sum over its layers; products of two of these; counts of each value that
/// a layer chooses; multiply-accumulates and parameters, and the logarithms of both (the last columns).
pub(super) fn of(space: &Space, archs: &[Architecture]) -> Mat {
    Counts::new(space, archs).of(space, archs)
}

/// The values that layers choose in some networks, by which all are counted.
pub(super) struct Counts {
    names: Vec<String>,
}

impl Counts {
    pub fn new(space: &Space, archs: &[Architecture]) -> Counts {
        let all: Vec<BTreeMap<String, f64>> =
            archs.par_iter().map(|arch| counted(space, arch).1).collect();
        let mut names: Vec<String> = all.into_iter().flat_map(BTreeMap::into_keys).collect();
        names.sort();
        names.dedup();
        Counts { names }
    }

    /// The features of networks, a row each.
    pub fn of(&self, space: &Space, archs: &[Architecture]) -> Mat {
        let row = |arch: &Architecture| {
            let (mut row, counts) = counted(space, arch);
            let sums = row.clone();
            for a in 0..sums.len() {
                row.extend((a..sums.len()).map(|b| sums[a] * sums[b]));
            }
            row.extend(self.names.iter().map(|name| counts.get(name).copied().unwrap_or(0.0)));
            let (macs, params) = space.flops_and_params(arch).unwrap_or((1.0, 1.0));
            row.extend([macs, params, macs.ln(), params.ln()]);
            row
        };
        let rows: Vec<Vec<f64>> = archs.par_iter().map(row).collect();
        let cols = rows.first().map_or(0, Vec::len);
        Mat { rows: rows.len(), cols, data: rows.concat() }
    }
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
