//! Predictors: fitted to values, adapted with the help of other tables, read from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanner::data::{MetricKind, Table, built_in};
use lanner::predict::accuracy::adapted::{TaskPredictor, TaskTable};
use lanner::predict::accuracy::untrained::{RANK, UntrainedScores, of_table};
use lanner::predict::latency::adapted::{AdaptedLatency, DeviceTable};
use lanner::predict::predictor::fitted::{FitSettings, Fitted, MethodFeatures};
use lanner::predict::predictor::ranking::{Ranked, Ranking};
use lanner::predict::predictor::{self, Predictor as Trait, Target};
use lanner::predict::{Forecast, Pool, PredictError, all_or_some, reference};
use lanner::search::TableColumn;
use lanner::space::{Architecture, Space as InnerSpace};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::arrow::{numbers, texts};
use crate::error::{InputError, OrException};
use crate::space::Space;

/// Largest size of spaces that an adapted predictor holds as a whole, and sample of larger ones, as in
/// `lanner adapt`.
const WHOLE: u128 = 200_000;
const SAMPLE: usize = 10_000;

/// Text, median and 90 % interval of a network.
type RankedNetwork = (String, f64, Option<(f64, f64)>);

/// A predictor of one metric in one space.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Predictor(Box<dyn Trait>);

#[pymethods]
impl Predictor {
    /// Fits a method to values of architectures. `kind` is latency, rate, accuracy or error, by default what
    /// the metric's name tells; for the last two, `prior` is a `TABLE[:COLUMN]` of untrained scores, by default of `rank`.
    #[staticmethod]
    fn fit(
        py: Python,
        space: &Space,
        archs: &Bound<PyAny>,
        values: &Bound<PyAny>,
        kind: Option<&str>,
        method: &str,
        metric: &str,
        prior: Option<String>,
        seed: u64,
    ) -> PyResult<Predictor> {
        let target = target(kind, metric)?;
        let prior = prior.map(|source| untrained(&source, &space.0, target)).transpose()?;
        let table = table(&space.0, metric, texts(archs)?, numbers(values)?)?;
        let fitted = py.detach(|| -> Result<_, PredictError> {
            let pool = reference(&table.space, &table.archs);
            let Some(features) = MethodFeatures::new(method, target, &pool) else {
                return Ok(None);
            };
            let features = match &prior {
                Some(known) => {
                    let scores = UntrainedScores::new(&table.space, known)?;
                    features.with_prior(&pool, Arc::new(scores))?
                }
                None => features,
            };
            let known = table.archs.iter().zip(&table.columns[0]).filter(|x| x.1.is_finite());
            let known = known.filter_map(|(arch, value)| Some((pool.row_of(arch)?, *value)));
            let (rows, values): (Vec<usize>, Vec<f64>) = known.unzip();
            let settings = FitSettings { method: method.into(), target, metric: metric.into() };
            Fitted::fit(&pool, &features, settings, (&rows, &values), seed).map(Some)
        });
        match fitted.or_exception()? {
            Some(fitted) => Ok(Predictor(Box::new(fitted))),
            None => {
                let known = MethodFeatures::methods(&space.0, target).join(", ");
                let why = format!("no method '{method}' of {}; there are: {known}", target.words());
                Err(InputError::new_err(why))
            }
        }
    }

    /// Adapts to few values with the help of tables of other devices or tasks in the same space:
    /// `TABLE[:COLUMN]`, or `built-in`. `kind` is latency, rate or accuracy, by default what the metric's
    /// name tells. For accuracies, `prior` is a
    /// `TABLE[:COLUMN]` of untrained scores, by default of `rank`.
    #[staticmethod]
    fn adapt(
        py: Python,
        space: &Space,
        archs: &Bound<PyAny>,
        values: &Bound<PyAny>,
        kind: Option<&str>,
        metric: &str,
        sources: Vec<String>,
        prior: Option<String>,
        seed: u64,
    ) -> PyResult<Predictor> {
        let target = target(kind, metric)?;
        if target == Target::Error {
            return Err(InputError::new_err(format!(
                "{metric} is an error, of which less is better: give the values with the other sign, as kind \
                 accuracy, or use Predictor.fit"
            )));
        }
        let table = table(&space.0, metric, texts(archs)?, numbers(values)?)?;
        let prior = prior.map(|source| untrained(&source, &space.0, target)).transpose()?;
        let prior = prior.unwrap_or_default();
        let read = sources.iter().map(|source| read(source, &space.0));
        let sources = read.collect::<PyResult<Vec<(String, Table, Option<String>)>>>()?;
        let adapted = py.detach(|| -> Result<Box<dyn Trait>, PredictError> {
            match target {
                Target::Latency | Target::Rate => {
                    let own = DeviceTable::of_target("the values", &table, metric, target)?;
                    let others = sources
                        .iter()
                        .map(|(name, t, column)| match column {
                            Some(column) => DeviceTable::named(name, t, column),
                            None => DeviceTable::new(name, t, None),
                        })
                        .collect::<Result<Vec<_>, _>>()?;
                    let pool = pool(&table, &sources, seed);
                    Ok(Box::new(AdaptedLatency::from_tables(pool, &own, &others, None)?))
                }
                Target::Accuracy | Target::Error => {
                    let own = TaskTable::new("the values", &table, metric)?;
                    let others = sources
                        .iter()
                        .map(|(name, t, column)| {
                            TaskTable::new(name, t, column.as_deref().unwrap_or(metric))
                        })
                        .collect::<Result<Vec<_>, _>>()?;
                    Ok(Box::new(TaskPredictor::fit(own, others, prior)?))
                }
            }
        });
        adapted.or_exception().map(Predictor)
    }

    /// Reads the file of any predictor; `space` is needed if the file does not describe it.
    #[staticmethod]
    fn load(py: Python, path: PathBuf, space: Option<&Space>) -> PyResult<Predictor> {
        let loaded = py.detach(|| match space {
            Some(space) => predictor::load_for(&path, &space.0),
            None => predictor::load(&path),
        });
        loaded.or_exception().map(Predictor)
    }

    /// Reads the content of a predictor's file, for a space whose description it may lack.
    #[staticmethod]
    fn of_bytes(py: Python, content: &[u8], space: &Space) -> PyResult<Predictor> {
        let name = Path::new("in a pickle");
        let read = py.detach(|| predictor::from_bytes(content, name, Some(&space.0)));
        read.or_exception().map(Predictor)
    }

    /// The content of its file.
    fn to_bytes(&self, py: Python) -> PyResult<Vec<u8>> {
        py.detach(|| self.0.to_file().to_bytes()).or_exception()
    }

    fn save(&self, py: Python, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.0.save(&path)).or_exception()
    }

    /// Predicts medians and the bounds of 90 % intervals, as 64-bit floats of this machine; these are empty
    /// where there are none.
    fn predict<'py>(
        &self,
        py: Python<'py>,
        archs: &Bound<'py, PyAny>,
    ) -> PyResult<[Bound<'py, PyByteArray>; 3]> {
        let space = self.0.space();
        let texts = texts(archs)?;
        let forecast = py.detach(|| {
            let archs = parsed(space, &texts)?;
            if archs.is_empty() {
                return Ok(Forecast::default());
            }
            let ranking = Ranking::new(&*self.0, &Ranked::List(archs), 1, true, &mut |_, _| ());
            Ok::<_, PyErr>(ranking.or_exception()?.all.unwrap_or_default().1)
        })?;
        let bytes = |values: Vec<f64>| {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
            PyByteArray::new(py, &bytes)
        };
        Ok([forecast.mean, forecast.low, forecast.high].map(bytes))
    }

    /// Ranks the space, or a random sample of it: texts, medians, and intervals where there are any.
    fn rank(
        &self,
        py: Python,
        top: usize,
        sample: Option<u64>,
        seed: u64,
    ) -> PyResult<Vec<RankedNetwork>> {
        let space = self.0.space();
        let ranked = match sample {
            Some(count) => Ranked::sample(space, count, seed).or_exception()?,
            None => Ranked::all(&*self.0).ok_or_else(|| {
                let why = format!("{space} is too large to rank as a whole: give sample=");
                InputError::new_err(why)
            })?,
        };
        let ranking = py.detach(|| Ranking::new(&*self.0, &ranked, top, false, &mut |_, _| ()));
        let best = ranking.or_exception()?.best;
        Ok(best.into_iter().map(|p| (space.print(&p.arch), p.mean, p.interval)).collect())
    }

    #[getter]
    fn metric(&self) -> &str {
        self.0.metric()
    }

    /// Name and content of the space.
    fn space(&self) -> Space {
        Space(self.0.space().clone())
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Tells as what a metric is learnt: as `kind` says, or its name.
fn target(kind: Option<&str>, metric: &str) -> PyResult<Target> {
    let expected =
        "latency (or another cost, less is better), rate, accuracy (more is better) or error";
    match kind {
        Some("latency") => Ok(Target::Latency),
        Some("accuracy") => Ok(Target::Accuracy),
        Some("error") => Ok(Target::Error),
        Some("rate") => Ok(Target::Rate),
        Some(other) => {
            Err(InputError::new_err(format!("kind is '{other}', expected {expected}")))
        }
        None => MetricKind::of(metric).map(Target::of).ok_or_else(|| {
            InputError::new_err(format!(
                "{metric}: the name does not tell whether less or more is better; give kind=, {expected}"
            ))
        }),
    }
}

fn parsed(space: &InnerSpace, archs: &[String]) -> PyResult<Vec<Architecture>> {
    archs.iter().map(|text| space.parse(text).or_exception()).collect()
}

/// Makes a table of one column.
fn table(
    space: &InnerSpace,
    metric: &str,
    archs: Vec<String>,
    values: Vec<f64>,
) -> PyResult<Table> {
    if archs.len() != values.len() {
        let why = format!("{} architectures, but {} values", archs.len(), values.len());
        return Err(InputError::new_err(why));
    }
    let archs = parsed(space, &archs)?;
    Table::new(space.clone(), archs, vec![metric.into()], vec![values]).or_exception()
}

fn read(source: &str, space: &InnerSpace) -> PyResult<(String, Table, Option<String>)> {
    if source == built_in::NAME {
        return Ok((source.into(), built_in::table(space).or_exception()?, None));
    }
    let TableColumn { file, column } = TableColumn::parse(source);
    let (table, _) = Table::read(&file, space).or_exception()?;
    Ok((file.display().to_string(), table, column))
}

/// Reads untrained scores, `TABLE[:COLUMN]`, for predictions of accuracies.
fn untrained(
    source: &str,
    space: &InnerSpace,
    target: Target,
) -> PyResult<Vec<(Architecture, f64)>> {
    if target.is_relative() {
        return Err(InputError::new_err("prior is for accuracies, not latencies"));
    }
    let (name, table, column) = read(source, space)?;
    let scores = of_table(&table, column.as_deref().unwrap_or(RANK));
    scores.map_err(|e| InputError::new_err(format!("prior: {name}: {e}")))
}

/// The architectures that an adapted predictor holds features of.
fn pool(target: &Table, sources: &[(String, Table, Option<String>)], seed: u64) -> Pool {
    let space = &target.space;
    let mut rng = lanner::nn::rng(seed, "sample to predict");
    let some = all_or_some(space, WHOLE, SAMPLE, &mut rng);
    let mut seen = std::collections::HashSet::new();
    let tables = sources.iter().map(|s| &s.1).chain([target]).flat_map(|t| &t.archs);
    let all = some.iter().chain(tables).filter(|a| seen.insert(*a)).cloned();
    Pool::new(space.clone(), all.collect())
}
