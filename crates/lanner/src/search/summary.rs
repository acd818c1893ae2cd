//! What a search hands over: best.onnx, best.json and a short table.

use std::collections::BTreeMap;

use lanner_data::images::Statistics;
use lanner_network::write_file;
use lanner_search::study::{Settings, Trial};
use serde_json::json;

use super::{
    choices::BySize, driver::Search, evaluator::Evaluator, front::Front, job::LATENCY,
    latency::Latency,
};
use crate::output::{Row, print_rows, print_rows_with};

/// What a search came to.
pub struct Found {
    pub best: Option<(Trial, Option<Latency>)>,
    pub front: Option<Front>,
    pub by_size: Option<BySize>,
    /// What random search is expected to reach, and how that is known.
    pub by_chance: Option<(f64, String)>,
    pub seconds: f64,
    /// Whether the study's folder is there afterwards.
    pub kept: bool,
}

pub fn write(search: &Search, found: Found, as_json: bool) -> anyhow::Result<()> {
    let Search { study, folder, skeleton, .. } = search;
    let settings = study.settings();
    let counts = study.counts()?;
    let measurements = study.measurements()?.iter().filter(|m| m.metric == LATENCY).count();
    let Some((trial, latency)) = found.best else {
        if counts.all() == 0 {
            let limits = settings.limits.iter().map(|l| format!("{} <= {}", l.metric, l.at_most));
            let mut limits: Vec<String> = limits.collect();
            let own = study.space().limits().named().into_iter();
            limits.extend(own.map(|(name, most)| format!("{name} <= {most} of the space's file")));
            let limits = limits.join(", ");
            anyhow::bail!("no network is likely to be within the limits ({limits}); raise one");
        }
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
    let mut row = metrics(Row::new().with("choice", "the search"), settings, &trial.metrics);
    row = measured(row, latency);
    if let (Some(_), Some((median, _))) = (latency, trial.predicted.get(LATENCY)) {
        row = row.with("predicted_ms", *median);
    }
    for limit in &settings.limits {
        row = row.with(&format!("limit_{}", limit.metric), limit.at_most);
    }
    row = row
        .with("evaluations", counts.done + counts.failed)
        .with("failed", counts.failed)
        .with("over_a_limit", counts.infeasible)
        .with("measurements", measurements)
        .with("seconds", found.seconds)
        .with("best", trial.arch.as_str());
    let mut rows = vec![row];
    if let Some(size) = found.by_size {
        let row = metrics(Row::new().with("choice", "most FLOPs"), settings, &size.metrics);
        rows.push(measured(row, size.latency).with("best", size.arch).with("how", size.how));
    }
    if let Some((value, how)) = found.by_chance {
        let row = Row::new().with("choice", "random search");
        rows.push(row.with(&settings.objectives[0].metric, value).with("how", how));
    }
    let mut about = json!({
        "arch": trial.arch,
        "skeleton": skeleton.describe(),
        "metrics": trial.metrics,
        "latency_ms": latency.map(|l| l.ms),
        "latency_ms_se": latency.map(|l| l.se),
        "limits": settings.limits,
        "trial": trial.id,
        "seed": trial.seed,
        "trained_weights": trained,
    });
    if let Evaluator::Train { data, job } = &search.evaluator {
        let chance = 100.0 / data.classes().len() as f64;
        if let Some(accuracy) = trial.metrics.get("val_accuracy").filter(|a| **a < 2.0 * chance) {
            eprintln!(
                "lanner: a validation accuracy of {accuracy:.1} % is hardly better than chance \
                 ({chance:.1} %): with more --epochs the networks would differ by more than luck"
            );
        }
        // What an image must go through before the network: (pixel / 255 - mean) / std.
        let Statistics { mean, std } = data.statistics();
        about["input"] = json!({
            "dataset": job.dataset, "mean": mean, "std": std, "classes": data.classes(),
        });
    }
    let mut more = Vec::new();
    if let Some(front) = &found.front {
        let points: Vec<Row> = front.points.iter().map(|p| point(p, settings)).collect();
        let names = settings.objectives.iter().map(|o| o.metric.as_str());
        let reference: BTreeMap<&str, f64> = names.zip(front.reference).collect();
        about["front"] = json!(points.iter().map(Row::values).collect::<Vec<_>>());
        about["hypervolume"] = json!(front.hypervolume);
        about["reference"] = json!(reference);
        if !as_json {
            print_short(&rows, settings)?;
            println!();
            print_rows(&points, false)?;
            let of: Vec<String> = reference.iter().map(|(m, v)| format!("{m} {v:.4}")).collect();
            let (area, of) = (front.hypervolume, of.join(", "));
            println!("\nhypervolume {area:.4} from the worst of all that were evaluated ({of})");
        }
        more = vec![
            ("front", about["front"].clone()),
            ("hypervolume", about["hypervolume"].clone()),
            ("reference", about["reference"].clone()),
        ];
    }
    write_file(&folder.join("best.json"), serde_json::to_string_pretty(&about)?.as_bytes())?;
    if as_json {
        return print_rows_with(&rows, more);
    }
    if more.is_empty() {
        print_short(&rows, settings)?;
    }
    if found.kept {
        let weights = if trained { "best.onnx, best.json" } else { "best.json" };
        println!("\nin {}: {weights}, report.html, study.db", folder.display());
    }
    Ok(())
}

/// The choices as a table that fits a terminal, and below it what they cost and how they are known.
fn print_short(rows: &[Row], settings: &Settings) -> anyhow::Result<()> {
    let below = ["evaluations", "failed", "over_a_limit", "measurements", "seconds", "how"];
    let is_below = |name: &str| below.contains(&name) || name.starts_with("limit_");
    let table: Vec<Row> = rows.iter().map(|row| row.without(is_below)).collect();
    print_rows(&table, false)?;
    let number = |name: &str| rows.iter().find_map(|row| row.get(name)).unwrap_or_default();
    let (evaluations, failed) = (number("evaluations"), number("failed"));
    let (over, measurements) = (number("over_a_limit"), number("measurements"));
    let limits: String =
        settings.limits.iter().map(|l| format!("within {} <= {}; ", l.metric, l.at_most)).collect();
    println!(
        "\n{limits}{evaluations} evaluations ({failed} failed), {measurements} latencies measured, \
         {over} networks over a limit, {:.1} s",
        number("seconds")
    );
    for row in rows {
        if let (Some(choice), Some(how)) = (row.text("choice"), row.text("how")) {
            println!("{choice}: {how}");
        }
    }
    Ok(())
}

/// The objectives, and the accuracies of a training.
fn metrics(mut row: Row, settings: &Settings, metrics: &BTreeMap<String, f64>) -> Row {
    let objectives = settings.objectives.iter().map(|o| o.metric.as_str());
    for name in objectives.chain(["val_accuracy", "test_accuracy"]) {
        if let Some(value) = metrics.get(name) {
            row = row.with(name, *value);
        }
    }
    row
}

fn measured(row: Row, latency: Option<Latency>) -> Row {
    match latency {
        Some(latency) => row.with(LATENCY, latency.ms).with("latency_ms_se", latency.se),
        None => row,
    }
}

fn point(point: &super::front::Point, settings: &Settings) -> Row {
    let mut row = Row::new().with("trial", point.trial.id);
    for (objective, value) in settings.objectives.iter().zip(point.values) {
        row = row.with(&objective.metric, value);
    }
    if let Some(latency) = point.latency {
        row = row.with(LATENCY, latency.ms).with("latency_ms_se", latency.se);
    }
    row.with("arch", point.trial.arch.as_str())
}
