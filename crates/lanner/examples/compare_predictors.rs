//! Problem: which predictor fits a table of measurements best, before one of them leads a search?
//! Answered by cross-validation, on a CSV file of NAS-Bench-201 or, without one, on latencies that come with
//! Lanner.
//!
//! `cargo run --release -p lanner --example compare_predictors [TABLE.csv COLUMN]`

use lanner::data::{Table, built_in};
use lanner::predict::predictor::fitted::{FitSettings, MethodFeatures};
use lanner::predict::predictor::{Target, cross_validated};
use lanner::predict::{metrics, reference};
use lanner::space::Space;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let space = Space::NasBench201;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let table = match args.first() {
        Some(path) => Table::read(path, &space)?.0,
        None => built_in::table(&space)?,
    };
    let metric = args.get(1).unwrap_or(&table.names[0]);
    let target = if metric.ends_with("_ms") { Target::Latency } else { Target::Accuracy };

    // A hundred measured networks, and what the predictors see of them.
    let pool = reference(&space, &table.archs);
    let (rows, values): (Vec<usize>, Vec<f64>) = (table.archs.iter().zip(table.column(metric)?))
        .filter(|(_, value)| value.is_finite())
        .filter_map(|(arch, &value)| Some((pool.row_of(arch)?, value)))
        .take(100)
        .unzip();
    println!("{metric}: {} networks, five parts, each predicted from the others", rows.len());
    // Graph networks would take minutes.
    let methods = MethodFeatures::methods(&space, target).into_iter();
    for method in methods.filter(|name| !name.starts_with("gcn")) {
        let Some(features) = MethodFeatures::new(method, target, &pool) else { continue };
        let settings = FitSettings { method: method.into(), target, metric: metric.clone() };
        let data = (rows.as_slice(), values.as_slice());
        match cross_validated(&pool, &features, &settings, data, 5, 0, &mut |_, _| {}) {
            Ok((forecast, truth)) => {
                let spearman = metrics::spearman(&forecast.mean, &truth);
                let near = metrics::within_of_truth(&forecast.mean, &truth, 10.0);
                println!("{method}: rank correlation {spearman:.3}, {near:.2} within 10 %");
            }
            // Some need networks of a certain form.
            Err(e) => println!("{method}: {e}"),
        }
    }
    Ok(())
}
