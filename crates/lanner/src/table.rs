//! `lanner table` describes tables, and joins several into one.

use std::{collections::HashSet, io::Write, path::PathBuf};

use clap::{Args, Subcommand};
use lanner_data::{MetricKind, ReadReport, Table};
use lanner_space::{Space, View};
use serde_json::{Value, json};

use crate::output::usage;

/// Look at tables of measured architectures
#[derive(Args)]
pub struct TableArgs {
    #[command(subcommand)]
    command: TableCommand,
}

#[derive(Subcommand)]
enum TableCommand {
    Describe(DescribeArgs),
    Join(JoinArgs),
}

/// Show the rows, columns and gaps of a table, and how much of the search space it covers
#[derive(Args)]
#[command(after_help = "Examples:
  lanner table describe latency.csv
  lanner table describe latency.csv --json | jq '.columns[].median'")]
struct DescribeArgs {
    /// A .csv or .parquet table, with architectures in a column arch, arch_str, architecture, ops,
    /// genotype, idx or index
    file: PathBuf,
    /// The search space of the architectures
    #[arg(long, default_value = "nasbench201")]
    space: String,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// Put the metrics of several tables side by side, one architecture a row
#[derive(Args)]
#[command(after_help = "\
Comment lines (#) at the top of the files are kept, with the metric's name in front.

Examples:
  lanner table join phone_ms=phone.csv:latency_ms \\
    board_ms=board.csv:latency_ms --out both.csv
  lanner table join rten_ms=rten.csv:latency_ms --unique --out small.csv
  lanner table join accuracy.csv phone_ms=phone.csv:latency_ms --out all.csv")]
struct JoinArgs {
    /// FILE for all metrics of a table, NAME=FILE:METRIC for one metric under the name NAME
    #[arg(required = true, value_name = "TABLE")]
    tables: Vec<String>,
    /// The table to write, .csv or .parquet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Of networks that compute the same (isomorphic pruned cells), keep only the first
    #[arg(long)]
    unique: bool,
    /// The search space of the architectures
    #[arg(long, default_value = "nasbench201")]
    space: String,
}

pub fn run(args: TableArgs) -> anyhow::Result<()> {
    match args.command {
        TableCommand::Describe(args) => describe(&args),
        TableCommand::Join(args) => join(&args),
    }
}

fn describe(args: &DescribeArgs) -> anyhow::Result<()> {
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    let (table, report) = Table::read(&args.file, &space)?;
    let text = match args.json {
        true => format!("{}\n", as_json(&table, &report)),
        false => as_text(&table, &report),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn join(args: &JoinArgs) -> anyhow::Result<()> {
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    Table::check_writable(&args.out)?;
    let mut all: Option<Table> = None;
    let mut comments = Vec::new();
    for text in &args.tables {
        let (file, metric) = match text.split_once('=') {
            None => (text.as_str(), None),
            Some((name, rest)) => match rest.rsplit_once(':') {
                Some((file, metric)) => (file, Some((name, metric))),
                None => {
                    return Err(usage(format!("'{text}': expected FILE or NAME=FILE:METRIC")));
                }
            },
        };
        let mut table = Table::read(file, &space)?.0;
        let mut file_comments = lanner_data::comments(file)?;
        if let Some((name, metric)) = metric {
            let column = table.column(metric)?.to_vec();
            table = Table::new(space.clone(), table.archs, vec![name.into()], vec![column])?;
            file_comments.iter_mut().for_each(|comment| *comment = format!("{name}: {comment}"));
        }
        comments.extend(file_comments);
        all = Some(match all {
            Some(all) => all.join(&table)?,
            None => table,
        });
    }
    let Some(mut all) = all else { return Ok(()) };
    if args.unique {
        let mut seen = HashSet::new();
        let first: Vec<usize> = (0..all.len())
            .filter(|&r| match space.parameters() {
                // A table has no architecture twice.
                Some(_) => true,
                None => seen.insert(space.graph(&all.archs[r], View::Pruned).canonical()),
            })
            .collect();
        all = all.select(&first)?;
    }
    all.write_commented(&args.out, &comments)?;
    let (rows, metrics) = (all.len(), all.names.len());
    writeln!(std::io::stdout(), "{rows} architectures, {metrics} metrics")?;
    Ok(())
}

fn coverage(table: &Table) -> f64 {
    table.len() as f64 / table.space.size() as f64
}

fn as_json(table: &Table, report: &ReadReport) -> Value {
    // JSON has no NaN: a column without values has no minimum.
    let number = |x: f64| if x.is_nan() { Value::Null } else { json!(x) };
    let columns: Vec<Value> = table
        .describe()
        .into_iter()
        .map(|c| {
            json!({
                "name": c.name, "better": better(&c.name), "present": c.present, "missing": c.missing, "distinct": c.distinct,
                "min": number(c.min), "median": number(c.median), "max": number(c.max),
            })
        })
        .collect();
    json!({
        "space": table.space.name(),
        "space_size": table.space.is_counted().then(|| table.space.size() as f64),
        "coverage": coverage(table),
        "rows": table.len(),
        "rows_in_file": report.rows,
        "duplicates": report.merged,
        "missing": report.missing,
        "arch_column": report.arch_column,
        "skipped_columns": report.skipped,
        "columns": columns,
    })
}

/// Returns which values of a metric are better, as far as its name tells.
fn better(metric: &str) -> Option<&'static str> {
    MetricKind::of(metric).map(|kind| if kind.is_maximised() { "more" } else { "less" })
}

fn as_text(table: &Table, report: &ReadReport) -> String {
    let mut text = format!(
        "{} architectures of {}{}, from column '{}'\n",
        table.len(),
        table.space,
        match table.space.is_counted() {
            true => format!(" ({} % of its {})", percent(coverage(table)), table.space.size()),
            false => String::new(),
        },
        report.arch_column
    );
    text += &format!("{} columns, {} missing values\n", table.names.len(), report.missing);
    if report.merged > 0 {
        text += &format!("{} repeated rows, merged\n", report.merged);
    }
    if !report.skipped.is_empty() {
        text += &format!("skipped, not metrics: {}\n", report.skipped.join(", "));
    }
    let head = ["column", "better", "missing", "distinct", "min", "median", "max"];
    let head = head.map(String::from);
    let mut rows = vec![head];
    for c in table.describe() {
        let [min, median, max] = [c.min, c.median, c.max].map(short);
        let better = better(&c.name).unwrap_or("?").into();
        rows.push([
            c.name,
            better,
            c.missing.to_string(),
            c.distinct.to_string(),
            min,
            median,
            max,
        ]);
    }
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    text.push('\n');
    for row in &rows {
        let mut line = format!("{:<w$}", row[0], w = widths[0]);
        for (cell, w) in row.iter().zip(widths).skip(1) {
            line += &format!("  {cell:>w$}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Formats a number with six significant digits, as published tables do.
fn short(x: f64) -> String {
    match x.abs() {
        _ if x.is_nan() => "-".into(),
        0.0 => "0".into(),
        size if (1e-4..1e7).contains(&size) => {
            let decimals = (5 - size.log10().floor() as i32).max(0) as usize;
            let text = format!("{x:.decimals$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').into(),
                false => text,
            }
        }
        _ => format!("{x:.5e}"),
    }
}

fn percent(share: f64) -> String {
    short((share * 1000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_but_whole() {
        for (x, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (15.17923, "15.1792"),
            (-0.5, "-0.5"),
            (123456.7, "123457"),
            (100000.0, "100000"),
            (3.4028e31, "3.40280e31"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(short(x), text);
        }
    }
}
