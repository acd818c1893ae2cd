//! Published devices of a space.

use std::sync::OnceLock;

use crate::recipes::multi_predict::devices::Inputs;
use crate::recipes::peers::PeerViews;
use crate::recipes::{help, multi_predict::devices, nasflat};
use lanner_data::Table;
use lanner_network::Skeleton;
use lanner_predict::Pool;
use lanner_predict::encode::operations::{self, Counted};
use lanner_predict::latency::adapted::DeviceFeatures;
use lanner_predict::regress::linalg::Mat;
use lanner_space::{Architecture, Space};

use crate::Common;
use crate::output::usage;
use crate::tables::Measured;

/// A space with its devices, and with features that are computed once.
pub(crate) struct World {
    pub(crate) measured: Measured,
    pub(crate) features: DeviceFeatures,
    pub(crate) peers: PeerViews,
    /// Smoothed devices in the order of the columns, computed when first needed.
    functions: Vec<Option<Mat>>,
    /// Inputs of multi-predict, made when first needed.
    joint: Option<Inputs>,
    /// Operations of the measured networks, by view, counted when first needed.
    counted: OnceLock<Vec<Vec<Counted>>>,
}

impl World {
    /// The published devices of nasbench201, fbnet or mobilenetv3.
    pub(crate) fn new(common: &Common, space: &Space) -> anyhow::Result<World> {
        let cells = ["nasbench201/latency_help.csv", "nasbench201/latency_latbench.csv"];
        let measured = if *space == Space::NasBench201 {
            Measured::read(common, &cells)?
        } else {
            let path = common.file(match *space == Space::Fbnet {
                true => "fbnet/latency_and_proxies.csv",
                false => "mobilenetv3/latency_help.csv",
            })?;
            let (table, _) = Table::read(path, space)?;
            let columns = table.names.into_iter().zip(table.columns).collect();
            Measured { pool: Pool::new(space.clone(), table.archs), columns }
        };
        let features = DeviceFeatures::new(&measured.pool);
        let peers = PeerViews::new(&measured.pool);
        let functions = vec![None; measured.columns.len()];
        Ok(World { measured, features, peers, functions, joint: None, counted: OnceLock::new() })
    }

    pub(crate) fn place(&self, device: &str) -> anyhow::Result<usize> {
        let name = self.measured.column(device)?.0.to_string();
        Ok(self.measured.columns.iter().position(|c| c.0 == name).unwrap_or(0))
    }

    /// Returns the operations of all networks, in the space's features.
    pub(crate) fn counted(&self) -> anyhow::Result<&[Vec<Counted>]> {
        if let Some(counted) = self.counted.get() {
            return Ok(counted);
        }
        let pool = &self.measured.pool;
        let published = Skeleton::of(&pool.space)?;
        let skeleton = match pool.space == Space::Fbnet {
            // HW-NAS-Bench's skeleton for CIFAR-100.
            true => Skeleton { channels: 1504, resolution: 32, classes: 100, ..published },
            false => published,
        };
        let counted = (operations::views(&pool.space).iter())
            .map(|&view| operations::count(&skeleton, &pool.archs, view))
            .collect::<Result<_, _>>()?;
        Ok(self.counted.get_or_init(|| counted))
    }

    /// Returns the smoothed columns of Lanner's own table.
    pub(super) fn built_in(&self) -> anyhow::Result<Mat> {
        let pool = &self.measured.pool;
        let table = lanner_data::built_in::table(&pool.space).map_err(|e| usage(e.to_string()))?;
        let mut columns = vec![vec![f64::NAN; pool.len()]; table.columns.len()];
        for (i, row) in
            table.archs.iter().enumerate().filter_map(|(i, a)| Some((i, pool.row_of(a)?)))
        {
            columns.iter_mut().zip(&table.columns).for_each(|(to, from)| to[row] = from[i]);
        }
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        Ok(self.features.smooth(&columns)?)
    }

    /// Returns the smoothed functions of these columns side by side.
    pub(crate) fn functions(&mut self, places: &[usize]) -> anyhow::Result<Mat> {
        // All columns together, since devices with the same architectures share the expensive part.
        let missing: Vec<usize> =
            places.iter().copied().filter(|&p| self.functions[p].is_none()).collect();
        let columns: Vec<&[f64]> =
            missing.iter().map(|&p| self.measured.columns[p].1.as_slice()).collect();
        if !missing.is_empty() {
            let made = self.features.smooth(&columns)?;
            for (j, &p) in missing.iter().enumerate() {
                let one = Mat::from_fn(made.rows, 1, |i, _| made[(i, j)]);
                self.functions[p] = Some(one);
            }
        }
        let of: Vec<&Mat> = places.iter().filter_map(|&p| self.functions[p].as_ref()).collect();
        Ok(Mat::from_fn(self.measured.pool.len(), of.len(), |i, j| of[j][(i, 0)]))
    }

    /// Returns a column's latencies by its smoothed function.
    pub(super) fn noiseless(&mut self, place: usize) -> anyhow::Result<Vec<f64>> {
        let function = self.functions(&[place])?.data;
        let values = &self.measured.columns[place].1;
        let measured: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_finite()).collect();
        let mean = |of: &dyn Fn(usize) -> f64| {
            measured.iter().map(|&i| of(i)).sum::<f64>() / measured.len() as f64
        };
        let (x0, y0) = (mean(&|i| function[i]), mean(&|i| values[i].ln()));
        let across = mean(&|i| (function[i] - x0) * (values[i].ln() - y0));
        let slope = across / mean(&|i| (function[i] - x0).powi(2));
        Ok(function.iter().map(|x| (y0 + slope * (x - x0)).exp()).collect())
    }

    /// Pre-trains the recipe `multi-predict` on these columns by the first seed.
    pub(super) fn multi_predict(
        &mut self,
        common: &Common,
        sources: &[usize],
        progress: impl FnMut(),
    ) -> anyhow::Result<devices::PreTrained> {
        let inputs = match self.joint.take() {
            Some(made) => made,
            None => Inputs::new(&self.measured.pool, &self.proxies(common)?),
        };
        let inputs = self.joint.insert(inputs);
        let columns = self.measured.values(sources);
        let threads = rayon::current_num_threads();
        Ok(devices::PreTrained::new(inputs, &columns, common.seed, threads, progress)?)
    }

    /// Pre-trains the recipe `nasflat` as [`World::multi_predict`].
    pub(super) fn nasflat(
        &self,
        common: &Common,
        sources: &[usize],
        progress: impl FnMut(),
    ) -> anyhow::Result<nasflat::PreTrained> {
        let columns = self.measured.values(sources);
        let threads = rayon::current_num_threads();
        let (pool, proxies) = (&self.measured.pool, self.proxies(common)?);
        let seed = common.seed;
        Ok(nasflat::PreTrained::new(pool, &proxies, &columns, seed, threads, progress)?)
    }

    /// Pre-trains the recipe `help` as [`World::multi_predict`].
    pub(super) fn help(
        &self,
        common: &Common,
        sources: &[usize],
        progress: impl FnMut(),
    ) -> anyhow::Result<help::PreTrained> {
        let columns = self.measured.values(sources);
        let pool = &self.measured.pool;
        Ok(help::PreTrained::new(pool, self.references(), &columns, common.seed, progress)?)
    }

    /// Returns the rows of HELP's reference architectures.
    pub(super) fn references(&self) -> &'static [usize] {
        let space = &self.measured.pool.space;
        help::REFERENCES.iter().find(|r| r.0 == *space).map_or(&[], |r| &r.1)
    }

    /// Reads columns of zero-cost proxies over the pool. For NAS-Bench-201 only the 9,445
    /// architectures without dead operations were published. Any other one gets the values of the
    /// architecture that is left when its dead operations are none, except for FLOPs and parameters,
    /// which count them.
    fn proxies(&self, common: &Common) -> anyhow::Result<Vec<(String, Vec<f64>)>> {
        let pool = &self.measured.pool;
        if pool.space != Space::NasBench201 {
            let named = |(name, values): &(String, Vec<f64>)| {
                Some((name.strip_prefix("zcp_")?.to_string(), values.clone()))
            };
            return Ok(self.measured.columns.iter().filter_map(named).collect());
        }
        let published = Measured::read(common, &["nasbench201/proxies_cifar10.csv"])?;
        let living: Vec<Option<usize>> = (pool.archs.iter())
            .map(|arch| {
                let codes = arch.codes().iter().zip(pool.space.live(arch));
                let codes: Vec<u8> = codes.map(|(&code, live)| code * u8::from(live)).collect();
                pool.row_of(&Architecture::new(codes))
            })
            .collect();
        let costs: Vec<Option<(f64, f64)>> =
            pool.archs.iter().map(|arch| pool.space.flops_and_params(arch)).collect();
        let column = |(name, values): (String, Vec<f64>)| {
            let of = |row: usize| match (name.as_str(), costs[row]) {
                ("flops", Some((flops, _))) => flops,
                ("params", Some((_, params))) => params,
                _ => living[row].map_or(f64::NAN, |twin| values[twin]),
            };
            let values = (0..pool.len()).map(of).collect();
            (name, values)
        };
        Ok(published.columns.into_iter().map(column).collect())
    }
}
