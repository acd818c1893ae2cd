//! Writes the final files of a run: `best.onnx` and `best.json`.

use std::collections::BTreeMap;

use lanner_data::write_file;
use serde_json::{Value, json};

use super::rounds::clear;
use super::{Found, Point, Run};
use crate::SearchError;
use crate::job::LATENCY;

impl Run {
    /// Writes `best.json` and, if networks were trained here or a command left them, `best.onnx`, which
    /// is always the network of `best.json`. Returns the content of `best.json`; `None` if nothing was
    /// found, and then there is neither file.
    pub fn hand_over(&self, found: &Found) -> Result<Option<Value>, SearchError> {
        let [onnx, about_it] = ["best.onnx", "best.json"].map(|name| self.folder.join(name));
        clear(&onnx)?;
        let Some((trial, latency)) = &found.best else {
            clear(&about_it)?;
            return Ok(None);
        };
        let (job, space) = (self.study.job(), self.study.space());
        let network = self.folder.join("networks").join(format!("{}.onnx", trial.id));
        let io = |path: &std::path::Path| {
            let path = path.to_path_buf();
            |source| SearchError::Io { path, source }
        };
        // A program may have left nothing, or a folder.
        let is_trained = network.is_file();
        let mut about = json!({
            "arch": space.print(&trial.arch),
            "skeleton": self.skeleton.describe(),
            "metrics": trial.metrics,
            "latency_ms": latency.map(|l| l.ms),
            // A single value has no error.
            "latency_ms_se": latency.map(|l| l.se).filter(|se| *se > 0.0),
            "limits": job.limits,
            "device": self.study.device()?.into_iter().collect::<BTreeMap<_, _>>(),
            "trial": trial.id,
            "seed": trial.seed,
            "trained_weights": is_trained,
        });
        if latency.is_some_and(|l| l.se > 0.0) {
            // The limit is kept with a probability of .95, given the standard error and this.
            let drift = self.study.drift(LATENCY)?;
            about["drift"] =
                json!({ "deviation": drift.deviation, "measurements": drift.measurements });
        }
        if let Some(images) = self.evaluator.images() {
            // The network takes images as (pixel / 255 − mean) / std.
            about["input"] = json!({
                "dataset": images.dataset,
                "mean": images.statistics.mean,
                "std": images.statistics.std,
                "classes": images.classes,
            });
        }
        if let Some(front) = &found.front {
            let names = job.objectives.iter().map(|o| o.metric.as_str());
            let reference: BTreeMap<&str, f64> =
                names.zip(front.reference.iter().copied()).collect();
            about["front"] = front.points.iter().map(|p| self.point(p)).collect();
            about["hypervolume"] = json!(front.hypervolume);
            about["reference"] = json!(reference);
        }
        let text = serde_json::to_string_pretty(&about)
            .map_err(|e| SearchError::Settings { why: e.to_string() })?;
        write_file(about_it, text.as_bytes())?;
        if is_trained {
            let bytes = std::fs::read(&network).map_err(io(&network))?;
            write_file(onnx, &bytes)?;
        }
        Ok(Some(about))
    }

    /// Says why nothing was found: no network meets the limits, or no trial was good.
    pub fn why_nothing(&self) -> Result<String, SearchError> {
        let study = &self.study;
        let counts = study.counts()?;
        if counts.all() == 0 {
            let mut limits: Vec<String> =
                study.job().limits.iter().map(|l| l.to_string()).collect();
            let own = study.space().limits().named().into_iter();
            limits.extend(own.map(|(name, most)| format!("{name} <= {most} of the space's file")));
            let limits = limits.join(", ");
            return Ok(format!(
                "no network is likely to be within the limits ({limits}); raise one"
            ));
        }
        let failed = study.trials()?.into_iter().find_map(|t| t.note);
        let failed = failed.map(|why| format!("; the first failure: {why}")).unwrap_or_default();
        let (done, over) = (counts.done + counts.failed, self.over_a_limit()?);
        let nearest = self.nearest()?.map(|text| format!("; {text}")).unwrap_or_default();
        Ok(format!(
            "no network was evaluated within the limits: {done} evaluated, {} failed, {over} over a \
             limit{nearest}{failed}",
            counts.failed
        ))
    }

    /// Counts the networks over a limit, before or after their evaluation.
    pub fn over_a_limit(&self) -> Result<usize, SearchError> {
        Ok(self.study.counts()?.infeasible + self.study.done_over_a_limit()?)
    }

    /// Describes the trial that exceeds the limits least, relative to them.
    fn nearest(&self) -> Result<Option<String>, SearchError> {
        let limits = &self.study.job().limits;
        let mut nearest: Option<(f64, String)> = None;
        self.study.for_each_trial(|trial| {
            let known = limits.iter().filter_map(|l| Some((l, *trial.metrics.get(&l.metric)?)));
            let excess = known.clone().map(|(l, v)| match l.holds(v) {
                true => f64::NEG_INFINITY,
                false => (v - l.value()).abs() / l.value().abs().max(f64::MIN_POSITIVE),
            });
            let excess = excess.fold(f64::NEG_INFINITY, f64::max);
            if excess.is_finite() && nearest.as_ref().is_none_or(|n| excess < n.0) {
                let values: Vec<String> = known.map(|(l, v)| format!("{} {v}", l.metric)).collect();
                let arch = self.study.space().print(&trial.arch);
                let text = format!("the nearest has {}: {arch}", values.join(", "));
                nearest = Some((excess, text));
            }
            Ok::<_, SearchError>(())
        })?;
        Ok(nearest.map(|n| n.1))
    }

    /// Describes a point of the front.
    fn point(&self, point: &Point) -> Value {
        let mut fields = json!({ "trial": point.trial.id });
        for (objective, value) in self.study.job().objectives.iter().zip(&point.values) {
            fields[objective.metric.as_str()] = json!(value);
        }
        if let Some(latency) = point.latency {
            fields[LATENCY] = json!(latency.ms);
            fields["latency_ms_se"] = json!(Some(latency.se).filter(|se| *se > 0.0));
        }
        fields["arch"] = json!(self.study.space().print(&point.trial.arch));
        fields
    }
}
