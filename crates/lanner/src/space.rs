//! `lanner space`.

use lanner_space::{Space, View};
use std::collections::HashSet;

use crate::output::{Row, print_rows, usage};

#[derive(clap::Args)]
pub struct SpaceArgs {
    #[command(subcommand)]
    command: SpaceCommand,
}

#[derive(clap::Subcommand)]
enum SpaceCommand {
    /// Size, choices, number of distinct networks and an example
    #[command(after_help = "Example:\n  lanner space info nasbench201")]
    Info {
        /// Name of the space
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Spaces of at most this many architectures are looked through one by one.
const LISTED: u128 = 20_000;

pub fn run(args: SpaceArgs) -> anyhow::Result<()> {
    let SpaceCommand::Info { name, json } = args.command;
    let space = Space::by_name(&name).map_err(|e| usage(e.to_string()))?;
    let mut facts = vec![
        ("space", space.name().to_string()),
        ("architectures", space.size().to_string()),
        ("classes as published", space.distinct().to_string()),
    ];
    if space.size() <= LISTED {
        let graphs: HashSet<_> =
            space.iter().map(|a| space.graph(&a, View::Pruned).canonical()).collect();
        facts.push(("distinct pruned cells", graphs.len().to_string()));
    }
    facts.push(("operations", space.labels().join(", ")));
    if let Some(choices) = space.choices() {
        facts.push(("choices per position", format!("{choices:?}")));
    }
    let costs: Option<Vec<(f64, f64)>> = match space.size() <= LISTED {
        true => space.iter().map(|a| space.flops_and_params(&a)).collect(),
        false => None,
    };
    if let Some(costs) = costs {
        let low = |f: fn(&(f64, f64)) -> f64| costs.iter().map(f).fold(f64::INFINITY, f64::min);
        let high = |f: fn(&(f64, f64)) -> f64| costs.iter().map(f).fold(0.0, f64::max);
        facts.push(("flops (million)", format!("{:.2} to {:.2}", low(|c| c.0), high(|c| c.0))));
        facts
            .push(("parameters (million)", format!("{:.3} to {:.3}", low(|c| c.1), high(|c| c.1))));
    }
    facts.push(("first architecture", space.print(&space.at(0)?)));
    let rows: Vec<Row> = facts
        .iter()
        .map(|(fact, value)| Row::new().with("fact", *fact).with("value", value.as_str()))
        .collect();
    print_rows(&rows, json)
}
