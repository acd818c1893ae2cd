//! Reads published tables as columns over a pool.

use std::path::{Path, PathBuf};

use lanner_data::Table;
use lanner_predict::Pool;
use lanner_predict::accuracy::untrained::{RANK, for_pool, of_table};
use lanner_space::Space;
use rand::RngExt;

use super::Common;
use crate::output::usage;

/// The networks of a table, or a whole space, with named columns over them; NaN where nothing was
/// measured.
pub struct Measured {
    pub pool: Pool,
    pub columns: Vec<(String, Vec<f64>)>,
}

/// Tables of accuracies in the folder of published data, and the metrics that benches report.
const TABLES: [(&str, &str, &[&str]); 6] = [
    ("nasbench201", "nasbench201/accuracy.csv", &["c10_test_200", "c100_test_200"]),
    ("transbench101-micro", "transbench101/micro.csv", &TASKS),
    ("transbench101-macro", "transbench101/macro.csv", &TASKS),
    ("nasbench101", "nasbench101/accuracy_and_proxies_500.csv", &["val_accuracy"]),
    ("darts", "darts/accuracy_1000.csv", &["cifar10_val_accuracy"]),
    ("nasbench301", "nasbench301/accuracy_surrogate_and_proxies.csv", &["val_accuracy"]),
];

/// Tasks in TransNAS-Bench-101's tables.
const TASKS: [&str; 5] =
    ["val_class_scene", "val_class_object", "val_jigsaw", "val_segmentsemantic", "val_autoencoder"];

/// The table of accuracies for a bench.
#[derive(clap::Args, Clone)]
pub struct Accuracies {
    /// nasbench201, transbench101-micro, transbench101-macro, nasbench101, darts, nasbench301 (values
    /// of its surrogate, in the space darts), or with --table any space
    #[arg(long, default_value = "nasbench201")]
    pub space: String,
    /// A table of accuracies instead of the published one
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
}

impl Accuracies {
    /// Reads the table, and returns it with the metrics to report by default. For NAS-Bench-201 the
    /// pool is the whole space in its official order, for any other space the table's networks.
    pub fn read(&self, common: &Common) -> anyhow::Result<(Measured, &'static [&'static str])> {
        let known = TABLES.iter().find(|t| t.0 == self.space);
        let path = match (&self.table, known) {
            (Some(path), _) => path.clone(),
            (None, Some(known)) => common.file(known.1)?,
            (None, None) => {
                let names: Vec<&str> = TABLES.iter().map(|t| t.0).collect();
                return Err(usage(format!(
                    "no published accuracies of '{}', give a --table; there are: {}",
                    self.space,
                    names.join(", ")
                )));
            }
        };
        let metrics = if self.table.is_some() { &[][..] } else { known.map_or(&[][..], |t| t.2) };
        if self.is_nasbench201() {
            return Ok((Measured::read_paths(&[path])?, metrics));
        }
        let name = if self.space == "nasbench301" { "darts" } else { &self.space };
        let space = Space::by_name(name).map_err(|e| usage(e.to_string()))?;
        let (table, _) = Table::read(&path, &space)?;
        let columns = table.names.into_iter().zip(table.columns).collect();
        Ok((Measured { pool: Pool::new(space, table.archs), columns }, metrics))
    }

    pub fn is_nasbench201(&self) -> bool {
        self.space == "nasbench201"
    }
}

impl Measured {
    /// Reads published tables of NAS-Bench-201, and puts their columns side by side in the official
    /// order.
    pub fn read(common: &Common, files: &[&str]) -> anyhow::Result<Measured> {
        let paths: Vec<PathBuf> =
            files.iter().map(|file| common.file(file)).collect::<Result<_, _>>()?;
        Measured::read_paths(&paths)
    }

    /// Reads any files as [`Measured::read`].
    pub fn read_paths(paths: &[PathBuf]) -> anyhow::Result<Measured> {
        let pool = Pool::whole(Space::NasBench201);
        let mut columns = Vec::new();
        for path in paths {
            let (table, _) = Table::read(path, &pool.space)?;
            let rows: Vec<Option<usize>> = table.archs.iter().map(|a| pool.row_of(a)).collect();
            for (name, values) in table.names.iter().zip(&table.columns) {
                let mut column = vec![f64::NAN; pool.len()];
                for (row, value) in rows.iter().zip(values) {
                    if let Some(row) = row {
                        column[*row] = *value;
                    }
                }
                columns.push((name.clone(), column));
            }
        }
        Ok(Measured { pool, columns })
    }

    /// Returns the values of the columns at these places.
    pub fn values(&self, places: &[usize]) -> Vec<&[f64]> {
        places.iter().map(|&p| self.columns[p].1.as_slice()).collect()
    }

    /// Returns the column with a name, or whose name without its unit ends with it.
    pub fn column(&self, name: &str) -> anyhow::Result<(&str, &[f64])> {
        let found =
            self.columns.iter().find(|(n, _)| n == name || n.trim_end_matches("_ms") == name);
        found.map(|(n, v)| (n.as_str(), v.as_slice())).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|(n, _)| n.as_str()).collect();
            usage(format!("no column '{name}'; there are: {}", names.join(", ")))
        })
    }
}

/// Reads a table of `lanner proxies`, and returns the `rank` of each network of a pool among its
/// networks, predicted for those that it lacks.
pub fn untrained(path: &Path, pool: &Pool) -> anyhow::Result<Vec<f64>> {
    let table = Table::read(path, &pool.space)?.0;
    let known = of_table(&table, RANK).map_err(|e| usage(format!("{}: {e}", path.display())))?;
    Ok(for_pool(pool, &known)?)
}

/// Returns the rows with a value, shuffled by the seed.
pub fn shuffled(values: &[f64], seed: u64) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_finite()).collect();
    let mut rng = lanner_nn::rng(seed, "train and test split");
    for i in (1..rows.len()).rev() {
        rows.swap(i, rng.random_range(0..=i));
    }
    rows
}
