//! One search over a table, in memory.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use lanner_data::Table;
use lanner_predict::{Pool, cell_features::log_flops};
use lanner_report::Baseline;
use lanner_search::History;
use lanner_search::constrained::likely_within;
use lanner_space::Space;

use super::{SearchArgs, columns::file_and_column, job::LATENCY};
use crate::bench::search::strategy;
use crate::output::{Row, print_rows, progress, usage};

/// A limit and what is known of each row's latency.
struct Limit {
    limit: f64,
    /// NaN where the table has none.
    latency: Vec<f64>,
    measured: Vec<usize>,
}

/// Whether what is asked for is within what is done here.
pub fn is_enough_for(args: &SearchArgs) -> bool {
    let simple = match (&args.limit[..], &args.latency_table[..]) {
        ([], []) => true,
        ([limit], [table]) => limit.starts_with(LATENCY) && file_and_column(table).1.is_some(),
        _ => false,
    };
    simple && args.pareto.is_none() && args.warm_start.is_empty()
}

pub fn run(args: &SearchArgs) -> anyhow::Result<()> {
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    let file = args
        .evaluate
        .strip_prefix("table:")
        .ok_or_else(|| usage(format!("--evaluate '{}': expected table:FILE", args.evaluate)))?;
    let (table, _) = Table::read(PathBuf::from(file), &space)?;
    let metric = args.metric.as_deref().ok_or_else(|| usage("--evaluate table: needs --metric"))?;
    let sign = if args.minimise { -1.0 } else { 1.0 };
    let values = table.column(metric).map_err(|e| usage(e.to_string()))?.to_vec();
    let budget = args.budget.unwrap_or(60);
    let pool = Pool::new(space.clone(), table.archs.clone());
    let mut limit = limit(args, &pool)?;
    let mut strategy = strategy(&args.strategy, args.recipe, "binary", budget, args.seed)?;
    let mut allowed = match &mut limit {
        Some(limit) => Some(limit.first_mask(args, &pool)?),
        None => None,
    };

    let start = Instant::now();
    let bar = progress(budget as u64, "search");
    let mut history = History::default();
    let mut rows = Vec::new();
    let mut trained = 0;
    while trained < budget {
        let asked = strategy.ask(&pool, &history, allowed.as_deref(), budget - trained);
        if asked.is_empty() {
            break;
        }
        for row in asked {
            let feasible = match &mut limit {
                None => true,
                Some(limit) => limit.measure(row),
            };
            // A network over the limit is not trained and costs no budget, only a measurement.
            trained += usize::from(feasible);
            let value = if feasible { Some(values[row]).filter(|v| v.is_finite()) } else { None };
            history.tell(row, value.map(|v| sign * v));
            let mut line = Row::new().with("trial", history.asked());
            if let Some(value) = value {
                line = line.with(metric, value);
            }
            if let Some(limit) = &limit {
                line = line.with("latency_ms", limit.latency[row]).with("feasible", feasible);
            }
            rows.push(line.with("arch", space.print(&pool.archs[row])));
            bar.tell(trained as u64, budget as u64);
        }
        if let (Some(limit), Some(allowed)) = (&limit, &mut allowed) {
            *allowed = limit.mask(&pool)?;
        }
    }
    bar.clear();
    let best = strategy.recommend(&pool, &history);
    if !args.json {
        print_rows(&rows, false)?;
    }
    let Some(best) = best else {
        anyhow::bail!(
            "no network was evaluated{}",
            if limit.is_some() { " within the limit" } else { "" }
        );
    };
    // What one would have had by size, and by chance.
    let within = |row: usize| limit.as_ref().is_none_or(|l| l.latency[row] <= l.limit);
    let known = |&row: &usize| values[row].is_finite() && within(row);
    let sizes = log_flops(&space, &pool.archs);
    let largest =
        (0..pool.len()).filter(known).reduce(|a, b| if sizes[b] > sizes[a] { b } else { a });
    let all: Vec<f64> = (0..pool.len()).filter(known).map(|r| values[r]).collect();
    let chance = Baseline::expected("", &all, !args.minimise, trained);
    let mut last = Row::new()
        .with("best", sign * best.value)
        .with("metric", metric)
        .with("strategy", args.strategy.as_str())
        .with("trainings", trained)
        .with("seconds", start.elapsed().as_secs_f64());
    if let Some(limit) = &limit {
        last = last
            .with("latency_ms", limit.latency[best.row])
            .with("measurements", limit.measured.len());
    }
    if let Some(row) = largest {
        last = last.with("most_flops", values[row]);
    }
    if let Some((_, value)) = chance.and_then(|c| c.curve.last().copied()) {
        last = last.with("random_expected", value);
    }
    last = last.with("arch", space.print(&pool.archs[best.row]));
    if args.json {
        rows.push(last);
        return print_rows(&rows, true);
    }
    println!();
    print_rows(&[last], false)
}

fn limit(args: &SearchArgs, pool: &Pool) -> anyhow::Result<Option<Limit>> {
    let ([text], [source]) = (&args.limit[..], &args.latency_table[..]) else { return Ok(None) };
    let number = text.strip_prefix("latency_ms<=").and_then(|n| n.trim().parse::<f64>().ok());
    let limit = number
        .filter(|n| n.is_finite() && *n > 0.0)
        .ok_or_else(|| usage(format!("--limit '{text}': expected latency_ms<=NUMBER")))?;
    let (file, column) = source
        .rsplit_once(':')
        .ok_or_else(|| usage(format!("--latency-table '{source}': expected FILE:COLUMN")))?;
    let (table, _) = Table::read(PathBuf::from(file), &pool.space)?;
    let values = table.column(column).map_err(|e| usage(e.to_string()))?;
    let mut latency = vec![f64::NAN; pool.len()];
    for (arch, value) in table.archs.iter().zip(values) {
        if let Some(row) = pool.row_of(arch) {
            latency[row] = *value;
        }
    }
    if latency.iter().all(|v| v.is_nan()) {
        anyhow::bail!("{file} has no latency of any network of the evaluated table");
    }
    Ok(Some(Limit { limit, latency, measured: Vec::new() }))
}

impl Limit {
    /// Measures a few random networks; then those that are likely within the limit are allowed.
    fn first_mask(&mut self, args: &SearchArgs, pool: &Pool) -> anyhow::Result<Vec<bool>> {
        use rand::seq::IteratorRandom;
        let mut rng = lanner_nn::rng(args.seed, "latency samples");
        let known = (0..pool.len()).filter(|&r| self.latency[r].is_finite());
        self.measured = known.sample(&mut rng, args.latency_samples.max(5));
        self.mask(pool)
    }

    fn mask(&self, pool: &Pool) -> anyhow::Result<Vec<bool>> {
        let y: Vec<f64> = self.measured.iter().map(|&r| self.latency[r]).collect();
        let mut mask = likely_within(pool, &self.measured, &y, self.limit, 0.5)
            .context("predicting latencies")?;
        for (row, ok) in mask.iter_mut().enumerate() {
            *ok &= self.latency[row].is_finite();
        }
        for &row in &self.measured {
            mask[row] = self.latency[row] <= self.limit;
        }
        Ok(mask)
    }

    /// Looks the latency up; whether it is within the limit.
    fn measure(&mut self, row: usize) -> bool {
        if !self.measured.contains(&row) {
            self.measured.push(row);
        }
        self.latency[row] <= self.limit
    }
}
