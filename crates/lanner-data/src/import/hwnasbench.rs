//! Reads HW-NAS-Bench (Li et al., ICLR 2021): `HW-NAS-Bench-v1_0.pickle`, a dict of search spaces, of data
//! sets, of lists with one value for each architecture in official order.
//!
//! Facts from the authors' README and `hw_nas_bench_api.py`: latencies are milliseconds, energies
//! millijoules, and the network is that of NAS-Bench-201 with the data set's classes. −1 stands for what was not
//! measured. For FBNet the file has tables of operations, no networks.

use std::path::Path;

use lanner_space::Space;

use super::Progress;
use crate::{
    DataError, Table,
    error::shown,
    pickle::{Item, Limits},
    pickle_file::load,
};

/// Sizes of the networks, which are not needed and are most of the file.
const UNWANTED: [&str; 1] = ["config"];
const MISSING: f64 = -1.0;

/// Reads the columns of all data sets, named `<data set>_<metric>`, or of one without that prefix.
pub(super) fn read(
    path: &Path,
    space: &Space,
    dataset: Option<&str>,
    progress: &Progress<'_>,
    notes: &mut Vec<String>,
) -> Result<Table, DataError> {
    let wrong = |why: String| DataError::file(path, why);
    if *space != Space::NasBench201 {
        return Err(wrong(format!(
            "HW-NAS-Bench has values of networks in the space nasbench201 only, not in {space}"
        )));
    }
    let limits = Limits { skip: &UNWANTED, ..Limits::default() };
    let pickle = load(path, limits, progress)?;
    let sets = pickle.root().get("nasbench201").and_then(Item::dict);
    let sets = sets
        .ok_or_else(|| wrong("a dict with 'nasbench201', a dict of data sets, expected".into()))?;
    let sets: Vec<(&str, Item<'_>)> =
        sets.filter_map(|(name, metrics)| Some((name.str()?, metrics))).collect();
    let chosen = |name: &str| dataset.is_none_or(|d| d == name);
    if !sets.iter().any(|(name, _)| chosen(name)) {
        let names: Vec<&str> = sets.iter().map(|s| s.0).take(12).collect();
        let dataset = dataset.unwrap_or_default();
        return Err(wrong(format!("no data set '{dataset}'; there are: {}", names.join(", "))));
    }
    let (mut names, mut columns) = (Vec::new(), Vec::new());
    for (set, metrics) in sets.into_iter().filter(|(name, _)| chosen(name)) {
        let metrics = metrics.dict().ok_or_else(|| {
            wrong(format!("'{}' is {}, expected a dict of metrics", shown(set), metrics.kind()))
        })?;
        for (key, values) in metrics {
            let Some(metric) = key.str().filter(|name| !UNWANTED.contains(name)) else { continue };
            let name = match dataset {
                Some(_) => with_unit(metric),
                None => format!("{set}_{}", with_unit(metric)),
            };
            let column = read_column(values, space, metric)
                .map_err(|why| wrong(format!("'{}' of {}: {why}", shown(metric), shown(set))))?;
            let missing = column.iter().filter(|v| v.is_nan()).count();
            if missing > 0 {
                notes.push(format!("column '{name}': {missing} values of −1 left out"));
            }
            names.push(name);
            columns.push(column);
        }
    }
    Table::new(space.clone(), space.list()?, names, columns).map_err(|e| wrong(e.to_string()))
}

/// Adds the unit to the name of a latency or an energy.
fn with_unit(metric: &str) -> String {
    match metric.rsplit_once('_') {
        Some((device, "latency")) => format!("{device}_ms"),
        Some((_, "energy")) => format!("{metric}_mJ"),
        _ => metric.into(),
    }
}

fn read_column(values: Item<'_>, space: &Space, metric: &str) -> Result<Vec<f64>, String> {
    let each = || values.list()?.map(Item::number).collect();
    let Some(values): Option<Vec<f64>> = values.numbers().or_else(each) else {
        return Err(format!("{}, expected a list of numbers", values.kind()));
    };
    let size = space.size();
    if values.len() as u128 != size {
        return Err(format!("{} values, expected {size}, one an architecture", values.len()));
    }
    let spent = metric.ends_with("_latency") || metric.ends_with("_energy");
    let value = |(i, v): (usize, f64)| match v {
        MISSING => Ok(f64::NAN),
        _ if !v.is_finite() => Err(format!("value {i} is {v}, expected a finite number")),
        _ if spent && v <= 0.0 => Err(format!("value {i} is {v}, expected more than 0, or -1")),
        _ => Ok(v),
    };
    values.into_iter().enumerate().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Imported, read_where};
    use super::*;

    /// A pickle of protocol 2 with the texts and numbers of `metrics`.
    fn pickle(metrics: &[(&str, Vec<f64>)]) -> Vec<u8> {
        let mut out = b"\x80\x02".to_vec();
        let text = |out: &mut Vec<u8>, text: &str| {
            out.push(b'X');
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        };
        for key in ["nasbench201", "cifar10"] {
            out.extend(b"}");
            text(&mut out, key);
        }
        out.extend(b"}(");
        for (name, values) in metrics {
            text(&mut out, name);
            out.extend(b"](");
            for v in values {
                out.push(b'G');
                out.extend(v.to_be_bytes());
            }
            out.push(b'e');
        }
        out.extend(b"uss.");
        out
    }

    fn import(metrics: &[(&str, Vec<f64>)], dataset: Option<&str>) -> Result<Imported, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("HW-NAS-Bench-v1_0.pickle");
        std::fs::write(&file, pickle(metrics)).unwrap();
        let only = dataset.map(|d| ("dataset", d));
        read_where(Format::HwNasBench, &[file], &Space::NasBench201, only, &|_, _| {})
    }

    #[test]
    fn values_are_in_official_order_and_minus_one_is_missing() {
        let ms: Vec<f64> = (0..15_625).map(|i| 1.0 + f64::from(i)).collect();
        let mut energy = ms.clone();
        energy[3] = -1.0;
        let metrics = [("edgegpu_latency", ms), ("eyeriss_energy", energy), ("config", vec![1.0])];
        let Imported { table, notes } = import(&metrics, None).unwrap();
        assert_eq!(table.names, ["cifar10_edgegpu_ms", "cifar10_eyeriss_energy_mJ"]);
        let at = |index| Space::NasBench201.at(index).unwrap();
        assert_eq!(table.value("cifar10_edgegpu_ms", &at(77)).unwrap(), Some(78.0));
        assert_eq!(table.value("cifar10_eyeriss_energy_mJ", &at(3)).unwrap(), None);
        assert_eq!(notes, ["column 'cifar10_eyeriss_energy_mJ': 1 values of −1 left out"]);
        let one = import(&metrics, Some("cifar10")).unwrap().table;
        assert_eq!(one.names, ["edgegpu_ms", "eyeriss_energy_mJ"]);
    }

    #[test]
    fn what_is_not_the_file_is_told() {
        let told = |metrics: &[(&str, Vec<f64>)], dataset| {
            import(metrics, dataset).unwrap_err().to_string()
        };
        let short = told(&[("fpga_latency", vec![1.0])], None);
        assert!(short.contains("'fpga_latency' of cifar10: 1 values, expected 15625"), "{short}");
        let zero = told(&[("fpga_latency", vec![0.0; 15_625])], None);
        assert!(zero.contains("value 0 is 0, expected more than 0, or -1"), "{zero}");
        let other = told(&[("fpga_latency", vec![1.0; 15_625])], Some("svhn"));
        assert!(other.contains("no data set 'svhn'; there are: cifar10"), "{other}");
    }
}
