//! The devices that were measured on a space.

use lanner_data::Table;
use lanner_predict::Pool;
use lanner_predict::linalg::Mat;
use lanner_predict::transfer::Views;
use lanner_space::Space;

use super::Common;
use super::tables::Measured;

/// A space with its devices, and what is made of it once.
pub struct Devices {
    pub measured: Measured,
    pub views: Views,
    /// Smoothed devices, in the order of the columns; made when first asked for.
    functions: Vec<Option<Mat>>,
}

impl Devices {
    /// HELP's and LatBench's devices on NAS-Bench-201, or HELP's on FBNet.
    pub fn new(common: &Common, fbnet: bool) -> anyhow::Result<Devices> {
        let measured = if fbnet {
            let path = common.file("fbnet/latency_and_proxies.csv")?;
            let (table, _) = Table::read(path, &Space::Fbnet)?;
            let columns = table.names.into_iter().zip(table.columns).collect();
            Measured { pool: Pool::new(Space::Fbnet, table.archs), columns }
        } else {
            Measured::read(
                common,
                &["nasbench201/latency_help.csv", "nasbench201/latency_latbench.csv"],
            )?
        };
        let views = Views::new(&measured.pool);
        let functions = vec![None; measured.columns.len()];
        Ok(Devices { measured, views, functions })
    }

    /// The number of a column.
    pub fn place(&self, device: &str) -> anyhow::Result<usize> {
        let name = self.measured.column(device)?.0.to_string();
        Ok(self.measured.columns.iter().position(|c| c.0 == name).unwrap_or(0))
    }

    /// The smoothed functions of these columns side by side.
    pub fn functions(&mut self, places: &[usize]) -> anyhow::Result<Mat> {
        // Together: devices with the same architectures share the expensive part.
        let missing: Vec<usize> =
            places.iter().copied().filter(|&p| self.functions[p].is_none()).collect();
        let columns: Vec<&[f64]> =
            missing.iter().map(|&p| self.measured.columns[p].1.as_slice()).collect();
        if !missing.is_empty() {
            let made = self.views.smooth(&columns)?;
            for (j, &p) in missing.iter().enumerate() {
                let one = Mat::from_fn(made.rows, 1, |i, _| made[(i, j)]);
                self.functions[p] = Some(one);
            }
        }
        let of: Vec<&Mat> = places.iter().filter_map(|&p| self.functions[p].as_ref()).collect();
        Ok(Mat::from_fn(self.measured.pool.len(), of.len(), |i, j| of[j][(i, 0)]))
    }
}
