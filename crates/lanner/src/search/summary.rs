//! Prints the short table that a search ends with.

use lanner_search::run::{Choice, Found, Run};
use lanner_search::study::{State, Study, Trial};
use lanner_search::{Job, LATENCY};
use serde_json::Value;

use crate::output::{Row, number, print_rows, print_rows_with};

/// Prints the result. `about` is the content of best.json; `kept` tells whether the study's folder
/// stays.
pub fn print(
    run: &Run,
    found: &Found,
    about: &Value,
    kept: bool,
    as_json: bool,
) -> anyhow::Result<()> {
    if found.best.is_none() {
        return Ok(());
    }
    let (study, job) = (run.study(), run.study().job());
    let counts = study.counts()?;
    let (measured, looked_up) = study.measured_and_looked_up()?;
    let mut rows = Vec::new();
    for choice in &found.comparison.rows {
        let mut row = chosen(choice, job);
        for metric in job.limits.iter().map(|limit| &limit.metric) {
            if row.get(metric).is_none()
                && let Some(value) = looked_up_or_measured(study, choice, metric)?
            {
                row = row.with(metric, value);
            }
        }
        if rows.is_empty() {
            for limit in &job.limits {
                row = row.with(&format!("limit_{}", limit.metric), limit.value());
            }
            row = row
                .with("evaluations", counts.done + counts.failed)
                .with("failed", counts.failed)
                .with("over_a_limit", run.over_a_limit()?)
                .with("measurements", measured)
                .with("looked_up", looked_up)
                .with("seconds", found.seconds);
        }
        if let Some(arch) = &choice.arch {
            row = row.with("best", arch.as_str());
        }
        if let Some(how) = &choice.how {
            row = row.with("how", how.as_str());
        }
        rows.push(row);
    }
    let has_front = found.front.is_some();
    if as_json {
        let more = ["front", "hypervolume", "reference"].into_iter().filter(|_| has_front);
        return print_rows_with(&rows, more.map(|name| (name, about[name].clone())).collect());
    }
    print_short(&rows, job)?;
    print_certainty(run, found)?;
    if has_front {
        println!();
        let points = about["front"].as_array().map_or(&[][..], Vec::as_slice);
        let row = |point: &Value| Row::from(point.as_object().cloned().unwrap_or_default());
        print_rows(&points.iter().map(row).collect::<Vec<_>>(), false)?;
        let text = |v: &Value| number(v.as_f64().unwrap_or(f64::NAN));
        let reference = about["reference"].as_object().into_iter().flatten();
        let worst: Vec<String> = reference.map(|(m, v)| format!("{m} {}", text(v))).collect();
        let (area, worst) = (text(&about["hypervolume"]), worst.join(", "));
        println!("\nhypervolume {area} from the worst values of all evaluated networks ({worst})");
    } else if kept {
        let is_trained = about["trained_weights"] == true;
        let weights = if is_trained { "best.onnx, best.json" } else { "best.json" };
        println!("\nin {}: {weights}, report.html, study.db", run.folder().display());
    }
    Ok(())
}

/// Prints the choices as a table that fits a terminal, and below it the costs of the search and how
/// each choice was found.
fn print_short(rows: &[Row], job: &Job) -> anyhow::Result<()> {
    let below =
        ["evaluations", "failed", "over_a_limit", "measurements", "looked_up", "seconds", "how"];
    let is_below = |name: &str| below.contains(&name) || name.starts_with("limit_");
    let table: Vec<Row> = rows.iter().map(|row| row.without(is_below)).collect();
    print_rows(&table, false)?;
    let of = |name: &str| rows.iter().find_map(|row| row.get(name)).unwrap_or_default();
    let (evaluations, failed) = (of("evaluations"), of("failed"));
    let over = of("over_a_limit");
    let known = match (of("measurements"), of("looked_up")) {
        (measured, 0.0) => format!("{measured} measurements"),
        (0.0, looked_up) => format!("{looked_up} values looked up"),
        (measured, looked_up) => format!("{measured} measurements, {looked_up} values looked up"),
    };
    let limits: String = job.limits.iter().map(|l| format!("within {l}; ")).collect();
    let networks = if over == 1.0 { "network" } else { "networks" };
    println!(
        "\n{limits}{evaluations} evaluations ({failed} failed), {known}, {over} {networks} over a \
         limit, {:.1} s",
        of("seconds")
    );
    for row in rows {
        if let (Some(choice), Some(how)) = (row.text("choice"), row.text("how")) {
            println!("{choice}: {how}");
        }
    }
    Ok(())
}

/// Prints how sure it is that the latency is within its limit.
fn print_certainty(run: &Run, found: &Found) -> anyhow::Result<()> {
    let study = run.study();
    let (Some((_, Some(latency))), Some(limit)) = (&found.best, study.job().limit_of(LATENCY))
    else {
        return Ok(());
    };
    if latency.se <= 0.0 {
        return Ok(());
    }
    let drift = study.drift(LATENCY)?;
    println!(
        "within the limit with a probability of at least .95: standard error {:.1} %, drift of the \
         machine {:.1} % ({} measurements of one network)",
        100.0 * latency.se / latency.ms,
        100.0 * drift.deviation,
        drift.measurements
    );
    let trials = study.trials()?.into_iter().filter(|t| t.state == State::Infeasible);
    let below = |t: &Trial| t.metrics.get(LATENCY).is_some_and(|ms| *ms <= limit);
    match trials.filter(below).count() {
        0 => {}
        unsure => {
            println!("{unsure} of the networks over a limit were measured below it, but not surely")
        }
    }
    Ok(())
}

/// Returns the last value of a limited metric of a choice.
fn looked_up_or_measured(
    study: &Study,
    choice: &Choice,
    metric: &str,
) -> anyhow::Result<Option<f64>> {
    let Some(arch) = &choice.arch else { return Ok(None) };
    let known = study.measurements_of(&study.space().parse(arch)?)?;
    Ok(known.iter().rfind(|m| m.metric == metric && !m.comparison).map(|m| m.value))
}

/// Makes the row of a choice, the objectives first.
fn chosen(choice: &Choice, job: &Job) -> Row {
    let mut row = Row::new().with("choice", choice.choice.as_str());
    let objectives = job.objectives.iter().map(|o| &o.metric);
    for name in objectives.chain(choice.metrics.keys()) {
        if let Some(value) = choice.metrics.get(name) {
            row = row.with(name, *value);
        }
    }
    if let Some(latency) = choice.latency {
        row = row.with(LATENCY, latency.ms);
        // A single value has no error.
        if latency.se > 0.0 {
            row = row.with("latency_ms_se", latency.se);
        }
    }
    choice.predicted_ms.into_iter().fold(row, |row, ms| row.with("predicted_ms", ms))
}
