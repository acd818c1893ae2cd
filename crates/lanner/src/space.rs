//! `lanner space` lists spaces, describes them, draws architectures and explains their texts.

use std::collections::HashSet;
use std::io::Write;

use clap::{Args, Subcommand};
use lanner_network::{Counts, Skeleton};
use lanner_space::family::parameters::{Domain, Node};
use lanner_space::{Architecture, Limits, SMALL_SPACE, Space, View};
use serde_json::{Map, Value, json};

use crate::output::{self, Row, print_rows, usage};
use lanner::say;

/// List search spaces, describe them, draw architectures from them, and check texts
#[derive(Args)]
pub struct SpaceArgs {
    #[command(subcommand)]
    command: SpaceCommand,
}

#[derive(Subcommand)]
enum SpaceCommand {
    List(ListArgs),
    Info(InfoArgs),
    Sample(SampleArgs),
    Check(CheckArgs),
}

/// List every space with a name, and its size
#[derive(Args)]
#[command(after_help = "Example:\n  lanner space list --json | jq '.rows[].space'")]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show a space's size, choices, number of distinct networks and an example
#[derive(Args)]
#[command(after_help = "Examples:
  lanner space info nasbench201
  lanner space info --space darts --json")]
struct InfoArgs {
    #[command(flatten)]
    space: SpaceName,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Draw random architectures, each at most once, and print one a line
#[derive(Args)]
#[command(after_help = "Examples:
  lanner space sample darts -n 3
  lanner space sample fbnet -n 100 --seed 7 > archs.txt
  lanner space sample nasbench101 -n 1000000 --json | jq .[0]")]
struct SampleArgs {
    #[command(flatten)]
    space: SpaceName,
    /// Number of architectures
    #[arg(short = 'n', long, default_value_t = 10)]
    count: u64,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON, with the index of each
    #[arg(long)]
    json: bool,
}

/// Check a space, or explain architectures of it
///
/// Without architectures, prints the size of the space, draws a random sample, checks that every text
/// reads back, and prints what the networks cost and how many are within the limits of the space's
/// file. With architectures, prints the codes, the index, the canonical form, the dead choices and the
/// costs of each.
#[derive(Args)]
#[command(after_help = "Examples:
  lanner space check examples/microcontroller.toml
  lanner space check transbench101-micro 64-41414-1_02_333
  lanner space check nasbench101 \\
  '{\"matrix\":[[0,1,1],[0,0,1],[0,0,0]],\"ops\":[\"input\",\"maxpool3x3\",\"output\"]}'")]
struct CheckArgs {
    /// The space: a name or a .toml file
    space: String,
    /// Architectures, as the space writes them
    #[arg(value_name = "ARCH", allow_negative_numbers = true)]
    archs: Vec<String>,
    /// Number of architectures to draw
    #[arg(long, default_value_t = 200)]
    sample: usize,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct SpaceName {
    /// Name of the space, or a .toml file
    name: Option<String>,
    /// Another way to give the name
    #[arg(long)]
    space: Option<String>,
}

impl SpaceName {
    fn space(self) -> anyhow::Result<Space> {
        let name = self.name.or(self.space).unwrap_or_default();
        Space::by_name(&name).map_err(|e| usage(e.to_string()))
    }
}

pub fn run(args: SpaceArgs) -> anyhow::Result<()> {
    match args.command {
        SpaceCommand::List(args) => list(&args),
        SpaceCommand::Info(args) => info(args),
        SpaceCommand::Sample(args) => sample(args),
        SpaceCommand::Check(args) => check(&args),
    }
}

/// Converts a number to JSON; beyond 2^53, where JSON numbers are no longer exact, to a text.
fn number(n: u128) -> Value {
    match u64::try_from(n) {
        Ok(n) if n <= 1 << 53 => n.into(),
        _ => n.to_string().into(),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let rows: Vec<Row> = Space::ALL
        .iter()
        .map(|space| {
            let row = Row::new().with("space", space.name());
            match space.is_counted() {
                true => row
                    .with("architectures", number(space.size()))
                    .with("distinct", number(space.distinct())),
                false => row.with("architectures", count(space)).with("distinct", count(space)),
            }
        })
        .collect();
    print_rows(&rows, args.json)
}

fn info(args: InfoArgs) -> anyhow::Result<()> {
    let space = args.space.space()?;
    let mut facts = vec![("space", space.name().to_string()), ("architectures", count(&space))];
    if let Some(parameters) = space.parameters() {
        let first = space.sample(&mut lanner_nn::rng(0, "example of a space"));
        let all = parameters.nodes().iter().map(|node| ("parameter", describe(node)));
        facts.extend(all);
        facts.push(("an architecture", space.print(&first)));
        if let Some((flops, params)) = space.flops_and_params(&first) {
            facts.push(("its multiply-accumulates (million)", output::number(flops)));
            facts.push(("its parameters (million)", output::number(params)));
        }
        return print_rows(&rows(&facts), args.json);
    }
    if space.toml().is_none() {
        facts.push(("classes as published", space.distinct().to_string()));
    }
    if space.size() <= SMALL_SPACE {
        let graphs: HashSet<_> =
            space.iter().map(|a| space.graph(&a, View::Pruned).canonical()).collect();
        facts.push(("distinct pruned cells", graphs.len().to_string()));
    }
    facts.push(("operations", space.labels().join(", ")));
    let choices = space.positions();
    facts.push(match space.choices() {
        Some(_) => ("choices per position", format!("{choices:?}")),
        None => ("choices per position, not independent", format!("{choices:?}")),
    });
    let costs: Option<Vec<(f64, f64)>> = match space.size() <= SMALL_SPACE {
        true => space.iter().map(|a| space.flops_and_params(&a)).collect(),
        false => None,
    };
    if let Some(costs) = costs {
        let low = |f: fn(&(f64, f64)) -> f64| costs.iter().map(f).fold(f64::INFINITY, f64::min);
        let high = |f: fn(&(f64, f64)) -> f64| costs.iter().map(f).fold(0.0, f64::max);
        let range = |low, high| format!("{} to {}", output::number(low), output::number(high));
        facts.push(("flops (million)", range(low(|c| c.0), high(|c| c.0))));
        facts.push(("parameters (million)", range(low(|c| c.1), high(|c| c.1))));
    }
    facts.push(("first architecture", space.print(&space.at(0)?)));
    print_rows(&rows(&facts), args.json)
}

fn rows(facts: &[(&str, String)]) -> Vec<Row> {
    let row = |(fact, value): &(&str, String)| {
        Row::new().with("fact", *fact).with("value", value.as_str())
    };
    facts.iter().map(row).collect()
}

/// Says how many architectures a space has.
pub fn count(space: &Space) -> String {
    match space.is_counted() {
        true => space.size().to_string(),
        false => "uncounted".into(),
    }
}

/// Describes a parameter in words.
fn describe(node: &Node) -> String {
    let inside = match &node.domain {
        Domain::Repeat { group, most, .. } => {
            let group: Vec<String> = group.iter().map(describe).collect();
            format!("up to {most} groups of ({})", group.join("; "))
        }
        domain => domain.to_string(),
    };
    let condition = if node.is_conditional() { ", under a condition" } else { "" };
    let outside = if node.network { "" } else { ", not of the network" };
    format!("{}: {inside}{condition}{outside}", node.name)
}

fn sample(args: SampleArgs) -> anyhow::Result<()> {
    let space = args.space.space()?;
    if args.count == 0 {
        return Err(usage("--count is 0, expected at least 1"));
    }
    let mut generator = lanner_nn::rng(args.seed, "sample of a space");
    let archs = space.shuffled(&mut generator).take(args.count.try_into().unwrap_or(usize::MAX));
    // Writes each one as it is drawn: there may be millions.
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut drawn = 0;
    for arch in archs {
        let text = space.print(&arch);
        if args.json {
            let index = space.index_of(&arch).map(number);
            let before = if drawn == 0 { "[" } else { ",\n " };
            write!(out, "{before}{}", json!({ "arch": text, "index": index }))?;
        } else {
            writeln!(out, "{text}")?;
        }
        drawn += 1;
    }
    if args.json {
        writeln!(out, "]")?;
    }
    out.flush()?;
    if drawn < args.count {
        say!("note: {space} has no more than {drawn} distinct architectures");
    }
    Ok(())
}

fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let space = Space::by_name(&args.space).map_err(|e| usage(e.to_string()))?;
    if args.archs.is_empty() {
        return check_space(args, &space);
    }
    let facts = args
        .archs
        .iter()
        .map(|text| Ok(facts(&space, &space.parse(text).map_err(|e| usage(e.to_string()))?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if args.json {
        let all: Vec<Value> = facts.into_iter().map(Value::Object).collect();
        writeln!(std::io::stdout(), "{}", Value::Array(all))?;
        return Ok(());
    }
    for (i, facts) in facts.into_iter().enumerate() {
        if i > 0 {
            writeln!(std::io::stdout())?;
        }
        print_facts(facts)?;
    }
    Ok(())
}

fn print_facts(facts: Map<String, Value>) -> anyhow::Result<()> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let row =
        |(fact, value): (String, Value)| Row::new().with("fact", fact).with("value", text(value));
    print_rows(&facts.into_iter().map(row).collect::<Vec<_>>(), false)
}

/// Draws architectures, checks them, and prints a summary of the space and their costs.
fn check_space(args: &CheckArgs, space: &Space) -> anyhow::Result<()> {
    if args.sample == 0 {
        return Err(usage("--sample is 0, expected at least 1"));
    }
    let mut generator = lanner_nn::rng(args.seed, "check of a space");
    let archs: Vec<Architecture> = space.shuffled(&mut generator).take(args.sample).collect();
    // A space of parameters has no networks.
    let skeleton = Skeleton::of(space).ok();
    let mut costs = Vec::new();
    for arch in &archs {
        let text = space.print(arch);
        space.check(arch)?;
        anyhow::ensure!(space.parse(&text)? == *arch, "{space}: '{text}' does not read back");
        if let Some(skeleton) = &skeleton {
            costs.push(skeleton.counts(arch, View::Pruned)?);
        }
    }
    let mut facts = Map::new();
    facts.insert("space".into(), space.name().into());
    match space.is_counted() {
        true => facts.insert("architectures".into(), number(space.size())),
        false => facts.insert("architectures".into(), count(space).into()),
    };
    match space.parameters() {
        Some(parameters) => {
            facts.insert("parameters".into(), parameters.nodes().len().into());
        }
        None => {
            facts.insert("positions".into(), space.positions().len().into());
            facts.insert("operations".into(), space.labels().join(", ").into());
        }
    }
    facts.insert("drawn".into(), archs.len().into());
    let mut range = |name: &str, of: fn(&Counts) -> u64| {
        let (low, high) = (costs.iter().map(of).min(), costs.iter().map(of).max());
        if let (Some(low), Some(high)) = (low, high) {
            let value =
                if args.json { json!([low, high]) } else { format!("{low} to {high}").into() };
            facts.insert(name.into(), value);
        }
    };
    range("flops", |c| c.flops);
    range("params", |c| c.params);
    range("memory_bytes", |c| c.peak_bytes);
    if space.toml().is_some() && skeleton.is_some() {
        let within = |limit: Option<u64>, cost: u64| limit.is_none_or(|limit| cost <= limit);
        let limits = space.limits();
        let all = |c: &&Counts| {
            within(limits.flops, c.flops)
                && within(limits.params, c.params)
                && within(limits.memory_bytes, c.peak_bytes)
        };
        let within = costs.iter().filter(all).count();
        facts.insert("within all limits".into(), within.into());
        if within == 0 {
            say!("note: none of {} is within the limits: {}", costs.len(), reasons(limits, &costs));
        }
    }
    if let Some(first) = archs.first() {
        facts.insert("an architecture".into(), space.print(first).into());
    }
    match args.json {
        true => Ok(writeln!(std::io::stdout(), "{}", Value::Object(facts))?),
        false => print_facts(facts),
    }
}

/// Says which limits none of the costs is within; if there is none, that only all limits together
/// exclude every network.
fn reasons(limits: Limits, costs: &[Counts]) -> String {
    type Of = fn(&Counts) -> u64;
    let all: [(&str, Option<u64>, Of); 3] = [
        ("flops", limits.flops, |c| c.flops),
        ("params", limits.params, |c| c.params),
        ("memory_bytes", limits.memory_bytes, |c| c.peak_bytes),
    ];
    let missed = all.iter().filter_map(|(name, limit, of)| {
        let (limit, least) = ((*limit)?, costs.iter().map(of).min()?);
        (least > limit).then(|| format!("{name} <= {limit}, the least is {least}"))
    });
    let missed: Vec<String> = missed.collect();
    match missed.is_empty() {
        true => "each alone is kept by some, all together by none".into(),
        false => missed.join("; "),
    }
}

fn facts(space: &Space, arch: &Architecture) -> Map<String, Value> {
    let mut facts = Map::new();
    facts.insert("arch".into(), space.print(arch).into());
    facts.insert("codes".into(), json!(arch.codes()));
    facts.insert("index".into(), space.index_of(arch).map_or(Value::Null, number));
    facts.insert("canonical".into(), space.print(&space.canonical(arch)).into());
    let counts = Skeleton::of(space).and_then(|skeleton| skeleton.counts(arch, View::Pruned));
    let mut costs = Map::new();
    if let Ok(cost) = counts {
        costs.insert("flops".into(), cost.flops.into());
        if space.parameters().is_some() {
            costs.insert("multiply-accumulates".into(), cost.macs.into());
        }
        costs.insert("params".into(), cost.params.into());
        costs.insert("memory_bytes".into(), cost.peak_bytes.into());
    } else if let Some((flops, params)) = space.flops_and_params(arch) {
        // Averages of transformers are no network.
        costs.insert("multiply-accumulates".into(), json!((1e6 * flops).round()));
        costs.insert("params".into(), json!((1e6 * params).round()));
    }
    if space.parameters().is_some() {
        facts.extend(costs);
        return facts;
    }
    let (live, chosen) = (space.live(arch), space.aligned(arch));
    let dead: Vec<usize> = (0..live.len()).filter(|&i| chosen[i].is_some() && !live[i]).collect();
    facts.insert("dead positions".into(), json!(dead));
    let pruned = space.graph(arch, View::Pruned);
    facts.insert("nodes of the pruned graph".into(), pruned.len().into());
    facts.extend(costs);
    for (name, value) in space.details(arch) {
        facts.insert(name.into(), value.into());
    }
    facts
}
