//! `lanner table` describes tables, and joins several into one.

use std::{collections::HashSet, io::Write, path::PathBuf};

use clap::{Args, Subcommand};
use lanner_data::{MetricKind, ReadReport, Table};
use lanner_space::{Space, View};
use serde_json::{Value, json};

use crate::out_file::{self, Kind};
use crate::output::{number, shown, usage};
use crate::selection::read_table;

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
    /// Replace the file of --out even if it is of another kind
    #[arg(long)]
    force: bool,
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
    let parts = args.tables.iter().map(|text| parts(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let inputs: Vec<&str> = parts.iter().map(|p| p.0).collect();
    out_file::check(&args.out, Kind::Table, &inputs, args.force)?;
    let mut all: Option<Table> = None;
    let mut comments = Vec::new();
    for (file, metric) in parts {
        let mut table = read_table(file, &space)?;
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

/// Splits FILE or NAME=FILE:METRIC into the file, and name and metric.
fn parts(text: &str) -> anyhow::Result<(&str, Option<(&str, &str)>)> {
    let Some((name, rest)) = text.split_once('=') else { return Ok((text, None)) };
    match rest.rsplit_once(':') {
        Some((file, metric)) => Ok((file, Some((name, metric)))),
        None => Err(usage(format!("'{text}': expected FILE or NAME=FILE:METRIC"))),
    }
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
        "notes": report.notes,
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
        let [min, median, max] = [c.min, c.median, c.max].map(number);
        let better = better(&c.name).unwrap_or("?").into();
        rows.push([
            shown(&c.name),
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
    report.notes.iter().for_each(|sentence| text += &format!("{sentence}\n"));
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

fn percent(share: f64) -> String {
    number((share * 1000.0).round() / 10.0)
}
