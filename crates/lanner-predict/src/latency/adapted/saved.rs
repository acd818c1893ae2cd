//! A predictor adapted to a device, and its file: the pool, the smoothed sources and the measurements.
//! Fitting takes less than a second, so loading fits again.
//!
//! Architectures outside the pool are encoded and scaled as those of the pool are; the sources' functions go
//! on there, since they are linear in features whose weights the pool tells.

use std::sync::OnceLock;

use lanner_space::{Architecture, Space};
use serde::{Deserialize, Serialize};

use super::carried::Carried;
use super::features::DeviceFeatures;
use super::few_shot::FewShot;
use super::prior::DevicePrior;
use crate::metrics::leave_one_out;
use crate::predictor::file::{Array, Header, ModelFile, training_hash};
use crate::predictor::{Predictor, Target};
use crate::regress::linalg::Mat;
use crate::{Forecast, Pool, PredictError};

/// A latency predictor of few measurements of a device, beside tables of others.
pub struct AdaptedLatency {
    pool: Pool,
    metric: String,
    /// Latencies, or rates: what is predicted. The values here are latencies in any case.
    target: Target,
    /// Names of the sources.
    sources: Vec<String>,
    /// Functions that [`DeviceFeatures::smooth`] made of them, p × sources.
    functions: Mat,
    /// The measured rows of the pool, their architectures and latencies.
    rows: Vec<usize>,
    measured: Vec<Architecture>,
    values: Vec<f64>,
    features: DeviceFeatures,
    /// Knowledge from another space, with a weight for each of the sources.
    carried: Option<Carried>,
    prior: DevicePrior,
    model: FewShot,
    /// The functions' weights, made when first architectures outside the pool are predicted; `None` if
    /// there are none.
    weights: OnceLock<Option<Mat>>,
}

#[derive(Serialize, Deserialize)]
struct Settings {
    metric: String,
    sources: Vec<String>,
    pool: usize,
    #[serde(default)]
    carried: Option<Carried>,
    /// Whether the metric is a rate, the reciprocal of the values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rate: bool,
}

impl AdaptedLatency {
    /// The kind in the file's header.
    pub(crate) const KIND: &str = "adapted to a device";

    /// Fits latencies (any unit, positive) of the pool's `rows`, beside `functions` that
    /// [`DeviceFeatures::smooth`] made of the sources of these names (p × sources), and beside what was
    /// carried over from another space by some or all of them.
    pub fn fit(
        pool: Pool,
        features: DeviceFeatures,
        metric: &str,
        (sources, functions): (Vec<String>, Mat),
        carried: Option<Carried>,
        (rows, values): (Vec<usize>, Vec<f64>),
    ) -> Result<AdaptedLatency, PredictError> {
        let mut prior = features.with_sources(&functions);
        if let Some(carried) = &carried {
            prior = prior.with_carried(&carried.guesses(&features, &functions)?);
        }
        let model = FewShot::fit(&prior, &rows, &values)?;
        let measured = rows.iter().map(|&r| pool.archs[r].clone()).collect();
        let metric = metric.to_owned();
        Ok(AdaptedLatency {
            pool,
            metric,
            target: Target::Latency,
            sources,
            functions,
            rows,
            measured,
            values,
            features,
            carried,
            prior,
            model,
            weights: OnceLock::new(),
        })
    }

    /// Predicts rates, the reciprocals of the latencies that were fitted, if that is the target.
    pub(crate) fn of_target(self, target: Target) -> AdaptedLatency {
        AdaptedLatency { target, ..self }
    }

    /// Names of the sources.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The measured values, and each predicted from all others; see [`leave_one_out`].
    pub fn left_out(&self) -> (Vec<f64>, Option<Forecast>) {
        let AdaptedLatency { prior, rows, values, target, .. } = self;
        let forecast = leave_one_out(rows, values, |rows, values, asked| {
            Ok(FewShot::fit(prior, rows, values)?.predict(prior, &[asked]))
        });
        let measured = values.iter().map(|v| target.turned(*v)).collect();
        (measured, forecast.map(|forecast| target.forecast(forecast)))
    }

    /// A forecast of latencies, whatever the target.
    fn latencies(&self, archs: &[Architecture]) -> Forecast {
        let rows: Vec<Option<usize>> = archs.iter().map(|a| self.pool.row_of(a)).collect();
        let inside: Vec<usize> = rows.iter().flatten().copied().collect();
        let known = self.model.predict(&self.prior, &inside);
        if inside.len() == archs.len() {
            return known;
        }
        let unknown = rows.iter().zip(archs).filter(|(row, _)| row.is_none());
        let outside: Vec<Architecture> = unknown.map(|(_, arch)| arch.clone()).collect();
        let others = self.predict_others(&outside);
        let merge = |known: Vec<f64>, others: Vec<f64>| {
            let (mut known, mut others) = (known.into_iter(), others.into_iter());
            let next =
                |row: &Option<usize>| if row.is_some() { known.next() } else { others.next() };
            rows.iter().filter_map(next).collect()
        };
        Forecast {
            mean: merge(known.mean, others.mean),
            low: merge(known.low, others.low),
            high: merge(known.high, others.high),
        }
    }

    /// A forecast of architectures outside the pool.
    fn predict_others(&self, archs: &[Architecture]) -> Forecast {
        let AdaptedLatency { features, functions, carried, prior, .. } = self;
        let weights = self.weights.get_or_init(|| features.weights(functions).ok());
        let others = weights.as_ref().and_then(|weights| {
            features.prior_of_others(prior, (functions, weights), carried.as_ref(), archs).ok()
        });
        match others {
            Some(others) => self.model.predict_others(prior, &others),
            None => {
                let unknown = || vec![f64::NAN; archs.len()];
                Forecast { mean: unknown(), low: unknown(), high: unknown() }
            }
        }
    }

    /// Reads what [`Predictor::to_file`] wrote for this space.
    pub(crate) fn read(
        file: &ModelFile,
        space: &Space,
    ) -> Result<Box<dyn Predictor>, PredictError> {
        let Settings { metric, sources, pool, carried, rate } = file.settings()?;
        let archs = file.archs(space, pool)?;
        let shape = [pool, sources.len()];
        let data = file.f64("functions", &shape)?.to_vec();
        let functions = Mat { rows: pool, cols: sources.len(), data };
        let count = file.tensors.get("rows").map_or(0, |a| a.shape().iter().product());
        let rows = file.f64("rows", &[count])?;
        let values = file.f64("values", &[count])?.to_vec();
        if rows.iter().any(|&r| !(r >= 0.0 && r < pool as f64)) {
            return Err(PredictError::Model { why: "a measured row is not in the pool".into() });
        }
        let rows = rows.iter().map(|&r| r as usize).collect();
        let pool = Pool::new(space.clone(), archs);
        let features = DeviceFeatures::new(&pool);
        let (sources, data) = ((sources, functions), (rows, values));
        let adapted = AdaptedLatency::fit(pool, features, &metric, sources, carried, data)?;
        Ok(Box::new(adapted.of_target(if rate { Target::Rate } else { Target::Latency })))
    }
}

impl Predictor for AdaptedLatency {
    fn space(&self) -> &Space {
        &self.pool.space
    }

    fn metric(&self) -> &str {
        &self.metric
    }

    fn target(&self) -> Target {
        self.target
    }

    fn predict(&self, archs: &[Architecture]) -> Forecast {
        self.target.forecast(self.latencies(archs))
    }

    fn measured(&self) -> &[Architecture] {
        &self.measured
    }

    fn candidates(&self) -> Option<&[Architecture]> {
        Some(&self.pool.archs)
    }

    fn describe(&self) -> String {
        let (metric, known, sources) = (&self.metric, self.rows.len(), self.sources.len());
        format!("{metric} from {known} measurements and {sources} other devices")
    }

    fn to_file(&self) -> ModelFile {
        let space = &self.pool.space;
        let texts: Vec<String> = self.measured.iter().map(|a| space.print(a)).collect();
        let mut header = Header::new(Self::KIND, &space.identity(), "default", 0);
        header.training_hash =
            training_hash(texts.iter().map(String::as_str).zip(self.values.iter().copied()));
        header.settings = serde_json::json!(Settings {
            metric: self.metric.clone(),
            sources: self.sources.clone(),
            pool: self.pool.len(),
            carried: self.carried.clone(),
            rate: self.target == Target::Rate,
        });
        let mut file = ModelFile::new(header);
        file.set_archs(space, &self.pool.archs);
        let rows = self.rows.iter().map(|&r| r as f64).collect();
        let functions = &self.functions;
        let shape = vec![functions.rows, functions.cols];
        for (name, array) in [
            ("functions", Array::F64 { shape, data: functions.data.clone() }),
            ("rows", Array::f64(rows)),
            ("values", Array::f64(self.values.clone())),
        ] {
            file.tensors.insert(name.into(), array);
        }
        file
    }
}
