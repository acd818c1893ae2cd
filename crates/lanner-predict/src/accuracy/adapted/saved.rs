//! A predictor adapted to a task, made of tables, and its file: the tables. Fitting takes seconds, so
//! loading fits again.

use std::sync::Arc;

use lanner_data::Table;
use lanner_space::{Architecture, Space};
use serde::{Deserialize, Serialize};

use super::{AdaptedAccuracy, Inputs, PROXIES, Source, TaskFeatures, TaskPrior};
use crate::accuracy::untrained::{UntrainedScores, said};
use crate::metrics::leave_one_out;
use crate::predictor::file::{Array, Header, ModelFile, training_hash};
use crate::predictor::{Predictor, Target};
use crate::{Forecast, Pool, PredictError, reference};

/// The networks of a task: some or all have a value of the metric, of which more is better. Columns
/// named as [`PROXIES`] are zero-cost proxies, any others are left out.
#[derive(Debug, Clone)]
pub struct TaskTable {
    /// Name in error messages.
    name: String,
    metric: String,
    table: Table,
}

impl TaskTable {
    pub fn new(name: &str, table: &Table, metric: &str) -> Result<TaskTable, PredictError> {
        let refused =
            |e: lanner_data::DataError| PredictError::Model { why: format!("{name}: {e}") };
        let mut names = vec![metric.to_owned()];
        let mut columns = vec![table.column(metric).map_err(refused)?.to_vec()];
        for (proxy, values) in table.names.iter().zip(&table.columns) {
            if PROXIES.contains(&proxy.as_str()) && proxy != metric {
                names.push(proxy.clone());
                columns.push(values.clone());
            }
        }
        let table = Table::new(table.space.clone(), table.archs.clone(), names, columns);
        let table = table.map_err(refused)?;
        Ok(TaskTable { name: name.into(), metric: metric.into(), table })
    }

    fn values(&self) -> &[f64] {
        &self.table.columns[0]
    }

    /// The rows with a value of the metric.
    fn trained(&self) -> Vec<usize> {
        (0..self.table.len()).filter(|&row| self.is_trained(row)).collect()
    }

    fn is_trained(&self, row: usize) -> bool {
        self.values()[row].is_finite()
    }

    fn has_proxies(&self, row: usize) -> bool {
        self.table.columns[1..].iter().any(|c| c[row].is_finite())
    }

    /// The networks of these rows, and their proxies.
    fn pool(&self, rows: &[usize]) -> (Pool, Vec<(String, Vec<f64>)>) {
        let Table { space, archs, names, columns, .. } = &self.table;
        let archs = rows.iter().map(|&r| archs[r].clone()).collect();
        let pick = |values: &Vec<f64>| rows.iter().map(|&r| values[r]).collect();
        let proxies = names.iter().cloned().zip(columns.iter().map(pick)).skip(1).collect();
        (Pool::new(space.clone(), archs), proxies)
    }

    fn error(&self, error: PredictError) -> PredictError {
        PredictError::Model { why: format!("{}, column '{}': {error}", self.name, self.metric) }
    }
}

/// A predictor of a task's metric for any network of its space, from a few trained networks and tables
/// of other tasks, of the same space or of others. A network with proxies in the target's table is
/// predicted from them and its graph, any other from its graph alone.
pub struct TaskPredictor {
    target: TaskTable,
    sources: Vec<TaskTable>,
    untrained: Option<Arc<UntrainedScores>>,
    trained: Vec<Architecture>,
    /// The fit to features with proxies, if there are proxies.
    proxies: Option<Fit>,
    graphs: Fit,
}

/// A fit to a pool.
struct Fit {
    features: TaskFeatures,
    prior: TaskPrior,
    model: AdaptedAccuracy,
    /// The trained networks among the pool's, and their values.
    rows: Vec<usize>,
    values: Vec<f64>,
}

impl Fit {
    fn new(
        target: &TaskTable,
        sources: &[TaskTable],
        untrained: Option<&Arc<UntrainedScores>>,
        with_proxies: bool,
    ) -> Result<Fit, PredictError> {
        let TaskTable { table, .. } = target;
        let (pool, columns) = match with_proxies {
            true => {
                let rows: Vec<usize> = (0..table.len())
                    .filter(|&i| target.has_proxies(i) || target.is_trained(i))
                    .collect();
                target.pool(&rows)
            }
            false => (reference(&table.space, &table.archs), Vec::new()),
        };
        let features = TaskFeatures::new(&pool, &columns)?;
        let sources: Vec<Source> = (sources.iter())
            .map(|source| {
                let rows = source.trained();
                let (pool, columns) = source.pool(&rows);
                let columns = if with_proxies { &columns[..] } else { &[] };
                let values: Vec<f64> = rows.iter().map(|&r| source.values()[r]).collect();
                let rows: Vec<usize> = (0..rows.len()).collect();
                let trained = TaskFeatures::new(&pool, columns)?;
                Source::new(&trained, &rows, &values, &features, Inputs::Both)
                    .map_err(|e| source.error(e))
            })
            .collect::<Result<_, _>>()?;
        let prior = match untrained {
            None => features.prior(&sources, Inputs::Both),
            Some(scores) => features.prior_with_untrained(&sources, Inputs::Both, scores),
        };
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for i in target.trained() {
            rows.extend(features.pool.row_of(&table.archs[i]));
            values.push(target.values()[i]);
        }
        let model = AdaptedAccuracy::fit(&prior, &rows, &values).map_err(|e| target.error(e))?;
        Ok(Fit { features, prior, model, rows, values })
    }

    fn predict(&self, archs: &[Architecture]) -> Forecast {
        let rows: Option<Vec<usize>> = archs.iter().map(|a| self.features.pool.row_of(a)).collect();
        match rows {
            Some(rows) => self.model.predict(&self.prior, &rows),
            None => self.model.predict_others(&self.prior, &self.features.of(archs, &[])),
        }
    }
}

impl TaskPredictor {
    /// The kind in the file's header.
    pub(crate) const KIND: &str = "adapted to a task";

    /// Fits the trained networks of `target`, at least five, beside `sources`, in each of which at least
    /// twenty are trained, and a prior: some networks of the target's space with an untrained score such as
    /// [`rank`](crate::accuracy::untrained::rank), none or at least five.
    pub fn fit(
        target: TaskTable,
        sources: Vec<TaskTable>,
        prior: Vec<(Architecture, f64)>,
    ) -> Result<TaskPredictor, PredictError> {
        let scores = match prior.is_empty() {
            true => None,
            false => Some(UntrainedScores::new(&target.table.space, &prior)?),
        };
        TaskPredictor::fit_beside(target, sources, scores.map(Arc::new))
    }

    fn fit_beside(
        target: TaskTable,
        sources: Vec<TaskTable>,
        untrained: Option<Arc<UntrainedScores>>,
    ) -> Result<TaskPredictor, PredictError> {
        let trained = target.trained().iter().map(|&i| target.table.archs[i].clone()).collect();
        // Proxies of the trained networks alone tell nothing of the others.
        let helps = |i| target.has_proxies(i) && !target.is_trained(i);
        let with_proxies = (0..target.table.len()).any(helps);
        let fit = |with_proxies| Fit::new(&target, &sources, untrained.as_ref(), with_proxies);
        let proxies = with_proxies.then(|| fit(true)).transpose()?;
        let graphs = fit(false)?;
        Ok(TaskPredictor { target, sources, untrained, trained, proxies, graphs })
    }

    /// The number of networks that are predicted from proxies too.
    pub fn with_proxies(&self) -> usize {
        self.proxies.as_ref().map_or(0, |fit| fit.features.len())
    }

    /// The values of trained networks, and each predicted from all others; see [`leave_one_out`].
    pub fn left_out(&self) -> (&[f64], Option<Forecast>) {
        let Fit { prior, rows, values, .. } = self.proxies.as_ref().unwrap_or(&self.graphs);
        let forecast = leave_one_out(rows, values, |rows, values, asked| {
            Ok(AdaptedAccuracy::fit(prior, rows, values)?.predict(prior, &[asked]))
        });
        (values, forecast)
    }

    /// Reads what [`Predictor::to_file`] wrote.
    pub(crate) fn read(file: &ModelFile, _: &Space) -> Result<Box<dyn Predictor>, PredictError> {
        let TaskSettings { target, sources } = file.settings()?;
        let sources = sources.iter().enumerate();
        let sources = sources.map(|(i, s)| TaskTable::read(file, &format!("source{i} "), s));
        let sources = sources.collect::<Result<_, _>>()?;
        let target = TaskTable::read(file, "", &target)?;
        let untrained = UntrainedScores::read(file, &target.table.space)?.map(Arc::new);
        Ok(Box::new(TaskPredictor::fit_beside(target, sources, untrained)?))
    }
}

impl Predictor for TaskPredictor {
    fn space(&self) -> &Space {
        &self.target.table.space
    }

    fn metric(&self) -> &str {
        &self.target.metric
    }

    fn target(&self) -> Target {
        Target::Accuracy
    }

    fn predict(&self, archs: &[Architecture]) -> Forecast {
        let Some(proxies) = &self.proxies else { return self.graphs.predict(archs) };
        let known = |i: &usize| proxies.features.pool.row_of(&archs[*i]).is_some();
        let (known, others): (Vec<usize>, Vec<usize>) = (0..archs.len()).partition(known);
        let nothing = || vec![f64::NAN; archs.len()];
        let mut all = Forecast { mean: nothing(), low: nothing(), high: nothing() };
        for (fit, places) in [(proxies, known), (&self.graphs, others)] {
            let asked: Vec<Architecture> = places.iter().map(|&i| archs[i].clone()).collect();
            let forecast = fit.predict(&asked);
            for (k, &i) in places.iter().enumerate() {
                all.mean[i] = forecast.mean[k];
                (all.low[i], all.high[i]) = (forecast.low[k], forecast.high[k]);
            }
        }
        all
    }

    fn measured(&self) -> &[Architecture] {
        &self.trained
    }

    fn describe(&self) -> String {
        let (metric, known, sources) = (self.metric(), self.trained.len(), self.sources.len());
        let prior = said(self.untrained.as_deref());
        format!("{metric} from {known} trained networks; other tasks: {sources}{prior}")
    }

    fn to_file(&self) -> ModelFile {
        let space = self.space();
        let mut file = ModelFile::new(Header::new(Self::KIND, &space.identity(), "default", 0));
        let texts: Vec<String> = self.trained.iter().map(|a| space.print(a)).collect();
        let values = &self.graphs.values;
        file.header.training_hash =
            training_hash(texts.iter().map(String::as_str).zip(values.iter().copied()));
        let sources = self.sources.iter().enumerate();
        let sources = sources.map(|(i, s)| s.store(&mut file, &format!("source{i} "))).collect();
        if let Some(scores) = &self.untrained {
            scores.store(space, &mut file);
        }
        let settings = TaskSettings { target: self.target.store(&mut file, ""), sources };
        file.header.space_toml = settings.target.space_toml.clone();
        file.header.settings = serde_json::json!(settings);
        file
    }
}

#[derive(Serialize, Deserialize)]
struct TaskSettings {
    target: Stored,
    sources: Vec<Stored>,
}

/// A table in a file's settings.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    /// The metric, then proxies.
    columns: Vec<String>,
    rows: usize,
    space: String,
    space_toml: String,
}

impl TaskTable {
    /// Adds arrays whose names begin with `prefix`.
    fn store(&self, file: &mut ModelFile, prefix: &str) -> Stored {
        let Table { space, archs, names, columns, .. } = &self.table;
        file.insert_archs(&format!("{prefix}codes"), space, archs);
        let shape = vec![names.len(), archs.len()];
        let data = columns.concat();
        file.tensors.insert(format!("{prefix}values"), Array::F64 { shape, data });
        Stored {
            name: self.name.clone(),
            columns: names.clone(),
            rows: archs.len(),
            space: space.identity(),
            space_toml: space.toml().unwrap_or_default().into(),
        }
    }

    fn read(file: &ModelFile, prefix: &str, stored: &Stored) -> Result<TaskTable, PredictError> {
        let Stored { name, columns, rows, space, space_toml } = stored;
        let bad = |why: String| PredictError::Model { why: format!("the table {name}: {why}") };
        let mut header = Header::new("", space, "", 0);
        header.space_toml.clone_from(space_toml);
        let space = header.known_space().ok_or_else(|| bad(format!("unknown space '{space}'")))?;
        let archs = file.archs_of(&format!("{prefix}codes"), &space, *rows)?;
        let values = file.f64_or_missing(&format!("{prefix}values"), &[columns.len(), *rows])?;
        let metric = columns.first().ok_or_else(|| bad("no column".into()))?.clone();
        let values = values.chunks((*rows).max(1)).map(<[f64]>::to_vec).collect();
        let table = Table::new(space, archs, columns.clone(), values)?;
        Ok(TaskTable { name: name.clone(), metric, table })
    }
}
