//! An adapted predictor on disk: its pool, the smoothed sources and the measurements. Fitting takes
//! less than a second, so loading fits again.

use std::path::Path;

use lanner_space::Space;
use serde::{Deserialize, Serialize};

use super::features::DeviceFeatures;
use super::few_shot::FewShot;
use crate::predictor::file::{Array, Header, ModelFile, training_hash};
use crate::regress::linalg::Mat;
use crate::{Forecast, Pool, PredictError};

/// A predictor that `lanner adapt` made.
#[derive(Debug, Clone)]
pub struct AdaptedLatency {
    pub pool: Pool,
    /// The column that was learnt.
    pub metric: String,
    /// Names of the sources.
    pub sources: Vec<String>,
    /// What [`DeviceFeatures::smooth`] made of them, p × sources.
    pub functions: Mat,
    /// The measured rows of the pool and their latencies.
    pub rows: Vec<usize>,
    pub values: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct Settings {
    metric: String,
    sources: Vec<String>,
    pool: usize,
}

impl AdaptedLatency {
    /// The kind in the file's header.
    pub const KIND: &'static str = "adapted to a device";

    /// Latencies of rows of the pool, with 90 % intervals.
    pub fn predict(&self, rows: &[usize]) -> Result<Forecast, PredictError> {
        let prior = DeviceFeatures::new(&self.pool).with_sources(&self.functions);
        Ok(FewShot::fit(&prior, &self.rows, &self.values)?.predict(&prior, rows))
    }

    /// Writes the file.
    pub fn save(&self, path: &Path) -> Result<(), PredictError> {
        let space = &self.pool.space;
        let texts: Vec<String> =
            self.rows.iter().map(|&r| space.print(&self.pool.archs[r])).collect();
        let mut header = Header::new(Self::KIND, &space.identity(), "default", 0);
        header.training_hash =
            training_hash(texts.iter().map(String::as_str).zip(self.values.iter().copied()));
        header.settings = serde_json::json!(Settings {
            metric: self.metric.clone(),
            sources: self.sources.clone(),
            pool: self.pool.len(),
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
        file.save(path)
    }

    /// Reads a file that [`AdaptedLatency::save`] wrote for this space.
    pub fn load(path: &Path, space: &Space) -> Result<AdaptedLatency, PredictError> {
        let file = ModelFile::load(path, Self::KIND, &space.identity())?;
        let read = || -> Result<AdaptedLatency, PredictError> {
            let Settings { metric, sources, pool } = file.settings()?;
            let archs = file.archs(space, pool)?;
            let shape = [pool, sources.len()];
            let data = file.f64("functions", &shape)?.to_vec();
            let functions = Mat { rows: pool, cols: sources.len(), data };
            let count = file.tensors.get("rows").map_or(0, |a| a.shape().iter().product());
            let rows = file.f64("rows", &[count])?;
            let values = file.f64("values", &[count])?.to_vec();
            if rows.iter().any(|&r| !(r >= 0.0 && r < pool as f64)) {
                return Err(PredictError::Model {
                    why: "a measured row is not in the pool".into(),
                });
            }
            let rows = rows.iter().map(|&r| r as usize).collect();
            Ok(AdaptedLatency {
                pool: Pool::new(space.clone(), archs),
                metric,
                sources,
                functions,
                rows,
                values,
            })
        };
        read().map_err(|e| PredictError::ModelFile { path: path.into(), why: e.to_string() })
    }
}
