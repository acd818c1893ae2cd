//! What a search hands over: best.onnx, best.json and a short table.

use lanner_data::images::Statistics;
use lanner_network::write_file;
use lanner_search::study::Trial;
use serde_json::json;

use super::{driver::Search, evaluator::Evaluator, job::LATENCY, latency::Latency};
use crate::output::{Row, print_rows};

pub fn write(
    search: &Search,
    best: Option<(Trial, Option<Latency>)>,
    seconds: f64,
    as_json: bool,
) -> anyhow::Result<()> {
    let Search { study, folder, skeleton, .. } = search;
    let counts = study.counts()?;
    let measurements = study.measurements()?.iter().filter(|m| m.metric == LATENCY).count();
    let Some((trial, latency)) = best else {
        let failed = study.trials()?.into_iter().find_map(|t| t.note);
        let failed = failed.map(|why| format!("; the first failure: {why}")).unwrap_or_default();
        anyhow::bail!(
            "no network was evaluated within the limits: {} evaluated, {} failed, {} over a limit{failed}",
            counts.done,
            counts.failed,
            counts.infeasible
        );
    };
    let network = folder.join("networks").join(format!("{}.onnx", trial.id));
    let trained = network.exists();
    if trained {
        write_file(&folder.join("best.onnx"), &std::fs::read(&network)?)?;
    }
    let mut row = Row::new();
    for (name, value) in &trial.metrics {
        let shown = ["val_accuracy", "test_accuracy"].contains(&name.as_str());
        if shown || study.settings().objectives.iter().any(|o| o.metric == *name) {
            row = row.with(name, *value);
        }
    }
    if let Some(latency) = latency {
        row = row.with(LATENCY, latency.ms).with("latency_ms_se", latency.se);
        if let Some((median, _)) = trial.predicted.get(LATENCY) {
            row = row.with("predicted_ms", *median);
        }
    }
    for limit in &study.settings().limits {
        row = row.with(&format!("limit_{}", limit.metric), limit.at_most);
    }
    row = row
        .with("evaluations", counts.done + counts.failed)
        .with("failed", counts.failed)
        .with("over_a_limit", counts.infeasible)
        .with("measurements", measurements)
        .with("seconds", seconds)
        .with("best", trial.arch.as_str());
    let mut about = json!({
        "arch": trial.arch,
        "skeleton": skeleton.describe(),
        "metrics": trial.metrics,
        "latency_ms": latency.map(|l| l.ms),
        "latency_ms_se": latency.map(|l| l.se),
        "limits": study.settings().limits,
        "trial": trial.id,
        "seed": trial.seed,
        "trained_weights": trained,
    });
    if let Evaluator::Train { data, job } = &search.evaluator {
        // What an image must go through before the network: (pixel / 255 - mean) / std.
        let Statistics { mean, std } = data.statistics();
        about["input"] = json!({
            "dataset": job.dataset, "mean": mean, "std": std, "classes": data.classes(),
        });
    }
    write_file(&folder.join("best.json"), serde_json::to_string_pretty(&about)?.as_bytes())?;
    print_rows(&[row], as_json)
}
