//! Published tables as columns over the whole space.

use std::path::PathBuf;

use lanner_data::Table;
use lanner_predict::Pool;
use lanner_space::Space;
use rand::RngExt;

use super::Common;
use crate::output::usage;

/// The whole space and named columns over it, NaN where nothing was measured.
pub struct Measured {
    pub pool: Pool,
    pub columns: Vec<(String, Vec<f64>)>,
}

impl Measured {
    /// Reads tables of NAS-Bench-201 and puts their columns side by side in the official order.
    pub fn read(common: &Common, files: &[&str]) -> anyhow::Result<Measured> {
        let paths: Vec<PathBuf> =
            files.iter().map(|file| common.file(file)).collect::<Result<_, _>>()?;
        Measured::read_paths(&paths)
    }

    /// The same of any files.
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

    /// The column of that name, or whose name ends with it but for the unit.
    pub fn column(&self, name: &str) -> anyhow::Result<(&str, &[f64])> {
        let found =
            self.columns.iter().find(|(n, _)| n == name || n.trim_end_matches("_ms") == name);
        found.map(|(n, v)| (n.as_str(), v.as_slice())).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|(n, _)| n.as_str()).collect();
            usage(format!("no column '{name}'; there are: {}", names.join(", ")))
        })
    }
}

/// The rows with a value, shuffled by the seed.
pub fn shuffled(values: &[f64], seed: u64) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_finite()).collect();
    let mut rng = lanner_nn::rng(seed, "train and test split");
    for i in (1..rows.len()).rev() {
        rows.swap(i, rng.random_range(0..=i));
    }
    rows
}
