//! A predictor of a device from tables, of its own space and of another one.

use std::collections::HashSet;

use lanner_data::{MetricKind, Table, quantity, tells_latency};
use lanner_space::Architecture;

use super::{AdaptedLatency, Bridge, Carried, DeviceFeatures};
use crate::predictor::Target;
use crate::regress::linalg::Mat;
use crate::{Pool, PredictError};

/// Source spaces of at most this many architectures are seen whole, of others those in tables.
const WHOLE: u128 = 200_000;
/// The widest ratio of latencies of one space on one device.
const WIDEST: f64 = 1e6;

/// A table of latencies, a device in each column. Rates, such as images a second, are held as the latencies
/// whose reciprocals they are.
#[derive(Debug, Clone)]
pub struct DeviceTable {
    /// Name in error messages.
    name: String,
    table: Table,
    /// Kind of the values as they were given: latencies or rates.
    target: Target,
}

/// Tables of another space that a device was measured in.
#[derive(Debug, Clone, Copy)]
pub struct OtherSpace<'a> {
    /// Tables with the device's column and columns of other devices, named as in the device's new
    /// space.
    pub tables: &'a [DeviceTable],
    /// The name of the device's column there.
    pub device: &'a str,
}

impl DeviceTable {
    /// One column of latencies, or all that are latencies or rates by the second, as their names say
    /// ([`tells_latency`]).
    pub fn new(
        name: &str,
        table: &Table,
        column: Option<&str>,
    ) -> Result<DeviceTable, PredictError> {
        if let Some(column) = column {
            return DeviceTable::of_target(name, table, column, Target::Latency);
        }
        DeviceTable::of(name, table, tells_latency, is_rate)?.ok_or_else(|| {
            let why = format!("{name}: no column is named as a latency, such as pixel_ms");
            PredictError::Model { why }
        })
    }

    /// One column, of rates if its name says so.
    pub fn named(name: &str, table: &Table, column: &str) -> Result<DeviceTable, PredictError> {
        let target = if is_rate(column) { Target::Rate } else { Target::Latency };
        DeviceTable::of_target(name, table, column, target)
    }

    /// One column, of rates or latencies as `target` says.
    pub fn of_target(
        name: &str,
        table: &Table,
        column: &str,
        target: Target,
    ) -> Result<DeviceTable, PredictError> {
        let wrong = |why: String| PredictError::Model { why: format!("{name}: {why}") };
        table.column(column).map_err(|e| wrong(e.to_string()))?;
        let known = DeviceTable::of(name, table, |n| n == column, |_| target == Target::Rate)?;
        known.ok_or_else(|| wrong(format!("no column '{column}'")))
    }

    /// The columns that are `taken`, some of them of rates; `None` if there is none.
    fn of(
        name: &str,
        table: &Table,
        taken: impl Fn(&str) -> bool,
        is_rate: impl Fn(&str) -> bool,
    ) -> Result<Option<DeviceTable>, PredictError> {
        let mut target = Target::Latency;
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        let all = table.names.iter().zip(&table.columns);
        for (column, values) in all.filter(|(column, _)| taken(column)) {
            let is_wrong = |v: &f64| *v <= 0.0 || v.recip().is_infinite();
            if let Some(row) = values.iter().position(is_wrong) {
                let (arch, value) = (table.space.print(&table.archs[row]), values[row]);
                let why = format!("column '{column}' at {arch}: {value} is not more than 0");
                return Err(PredictError::Model { why: format!("{name}: {why}") });
            }
            if is_rate(column) {
                target = Target::Rate;
                columns.push(values.iter().map(|v| v.recip()).collect());
            } else {
                columns.push(values.clone());
            }
            names.push(column.clone());
        }
        if names.is_empty() {
            return Ok(None);
        }
        let table = Table::new(table.space.clone(), table.archs.clone(), names, columns)?;
        Ok(Some(DeviceTable { name: name.into(), table, target }))
    }

    /// All columns that measure what `metric` does by their names, such as energies; the latencies if that name does
    /// not tell.
    pub fn of_quantity(
        name: &str,
        table: &Table,
        metric: &str,
    ) -> Result<DeviceTable, PredictError> {
        let Some(wanted) = quantity(metric).filter(|q| *q != "time") else {
            return DeviceTable::new(name, table, None);
        };
        DeviceTable::of(name, table, |n| quantity(n) == Some(wanted), is_rate)?.ok_or_else(|| {
            let why = format!("{name}: no column is named as {wanted}, as '{metric}' is");
            PredictError::Model { why }
        })
    }

    /// The names of its devices, as [`AdaptedLatency::sources`] has them.
    pub fn devices(&self) -> impl Iterator<Item = String> {
        self.table.names.iter().map(|column| source_name(column, &self.name))
    }
}

/// Tells whether a metric is a rate by its name.
fn is_rate(metric: &str) -> bool {
    MetricKind::of(metric) == Some(MetricKind::Rate)
}

fn source_name(column: &str, file: &str) -> String {
    format!("{column} of {file}")
}

/// Latencies of devices over a pool, NaN where none was measured.
struct Devices<'a> {
    /// The column, and the table's name.
    names: Vec<(&'a str, &'a str)>,
    columns: Vec<Vec<f64>>,
}

impl AdaptedLatency {
    /// Fits the first column of `target` beside the devices of other tables of its space and, if the device
    /// was measured in another space, what these measurements tell. `pool` are the architectures to
    /// predict, with those of `target` among them. A device on which all networks are equally fast tells
    /// nothing, and is left out.
    pub fn from_tables(
        pool: Pool,
        target: &DeviceTable,
        sources: &[DeviceTable],
        elsewhere: Option<OtherSpace>,
    ) -> Result<AdaptedLatency, PredictError> {
        let (metric, column) = (target.table.names[0].as_str(), &target.table.columns[0]);
        let wrong = |why: String| PredictError::Model {
            why: format!("{} column '{metric}': {why}", target.name),
        };
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for (arch, &value) in target.table.archs.iter().zip(column) {
            if let (Some(row), true) = (pool.row_of(arch), value.is_finite()) {
                rows.push(row);
                values.push(value);
            }
        }
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        if most > WIDEST * least {
            return Err(wrong(format!("latencies from {least} to {most} are not of one unit")));
        }
        let features = DeviceFeatures::new(&pool);
        let (devices, functions) = Devices::new(&pool, sources).varying(&features)?;
        let carried = elsewhere.map(|other| devices.carried(metric, other)).transpose()?;
        let names = devices.names.iter().map(|(name, file)| source_name(name, file)).collect();
        AdaptedLatency::fit(pool, features, metric, (names, functions), carried, (rows, values))
            .map(|adapted| adapted.of_target(target.target))
            .map_err(|e| wrong(e.to_string()))
    }
}

impl<'a> Devices<'a> {
    fn new(pool: &Pool, tables: &'a [DeviceTable]) -> Devices<'a> {
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        for DeviceTable { name: file, table, .. } in tables {
            for (name, values) in table.names.iter().zip(&table.columns) {
                let mut column = vec![f64::NAN; pool.len()];
                for (arch, &value) in table.archs.iter().zip(values) {
                    if let Some(row) = pool.row_of(arch) {
                        column[row] = value;
                    }
                }
                names.push((name.as_str(), file.as_str()));
                columns.push(column);
            }
        }
        Devices { names, columns }
    }

    /// Leaves out devices on which all networks are equally fast.
    fn without_constant(mut self) -> Self {
        let varies = |column: &Vec<f64>| {
            let mut known = column.iter().filter(|v| v.is_finite());
            let first = known.next();
            first.is_none_or(|first| known.any(|v| v != first))
        };
        let keep: Vec<bool> = self.columns.iter().map(varies).collect();
        self.keep(&keep);
        self
    }

    fn keep(&mut self, keep: &[bool]) {
        let mut kept = keep.iter();
        self.names.retain(|_| kept.next() == Some(&true));
        let mut kept = keep.iter();
        self.columns.retain(|_| kept.next() == Some(&true));
    }

    /// Leaves out devices without a smooth function that varies, and returns the functions of the others.
    fn varying(self, features: &DeviceFeatures) -> Result<(Self, Mat), PredictError> {
        let mut devices = self.without_constant();
        loop {
            let all: Vec<usize> = (0..devices.names.len()).collect();
            let functions = devices.smooth(features, &all)?;
            if functions.cols == all.len() {
                return Ok((devices, functions));
            }
            let varies = |place: &usize| Ok(devices.smooth(features, &[*place])?.cols == 1);
            let keep = all.iter().map(varies).collect::<Result<Vec<bool>, PredictError>>()?;
            devices.keep(&keep);
        }
    }

    /// The place of the column of that name, of which there must not be two.
    fn place(&self, name: &str) -> Result<Option<usize>, PredictError> {
        let mut found = (0..self.names.len()).filter(|&i| self.names[i].0 == name);
        match (found.next(), found.next()) {
            (Some(a), Some(b)) => {
                let (a, b) = (self.names[a].1, self.names[b].1);
                let why = format!("'{name}' is a column of {a} and of {b}: take one of the two");
                Err(PredictError::Model { why })
            }
            (one, _) => Ok(one),
        }
    }

    /// Smooth functions of the devices at these places.
    fn smooth(&self, features: &DeviceFeatures, places: &[usize]) -> Result<Mat, PredictError> {
        let columns: Vec<&[f64]> = places.iter().map(|&p| self.columns[p].as_slice()).collect();
        features.smooth(&columns).map_err(|e| {
            let name = |&p: &usize| format!("{} of {}", self.names[p].0, self.names[p].1);
            let names = places.iter().map(name).collect::<Vec<_>>().join(", ");
            PredictError::Model { why: format!("the sources {names}: {e}") }
        })
    }

    /// Carries over the device's latencies from another space, by the devices that were measured in
    /// both.
    fn carried(&self, metric: &str, other: OtherSpace) -> Result<Carried, PredictError> {
        let OtherSpace { tables, device } = other;
        let wrong = |why: String| Err(PredictError::Model { why });
        let Some(space) = tables.first().map(|t| t.table.space.clone()) else {
            return wrong("no table of the other space".into());
        };
        let mut seen = HashSet::new();
        let archs: Vec<Architecture> = match space.size() <= WHOLE {
            true => space.iter().collect(),
            false => {
                let all = tables.iter().flat_map(|t| &t.table.archs);
                all.filter(|a| seen.insert((*a).clone())).cloned().collect()
            }
        };
        let pool = Pool::new(space, archs);
        let there = Devices::new(&pool, tables);
        let Some(own) = there.place(device)? else {
            let known: Vec<&str> = there.names.iter().map(|n| n.0).collect();
            let known = known.join(", ");
            return wrong(format!(
                "the tables of {} have no column '{device}', the device's own; there are: {known}",
                pool.space
            ));
        };
        let column = there.columns[own].iter().copied().enumerate();
        let (rows, values): (Vec<usize>, Vec<f64>) = column.filter(|v| v.1.is_finite()).unzip();
        let file = there.names[own].1;
        let there = Devices::new(&pool, tables).without_constant();
        // Of each device here, the place there.
        let mut places = Vec::new();
        for (name, _) in &self.names {
            let own = [metric, device].contains(name);
            places.push(if own { None } else { there.place(name)? });
        }
        let shared: Vec<usize> = places.iter().flatten().copied().collect();
        if shared.len() < 2 {
            return wrong(format!(
                "the tables of both spaces share {} other devices, columns of one name; transfer from {} \
                 needs 2",
                shared.len(),
                pool.space
            ));
        }
        let features = DeviceFeatures::new(&pool);
        let functions = there.smooth(&features, &shared)?;
        match Bridge::new(&features, &functions)?.carry(&rows, &values) {
            Ok(carried) => Ok(carried.among(&places)),
            Err(e) => wrong(format!("{file} column '{device}': {e}")),
        }
    }
}
