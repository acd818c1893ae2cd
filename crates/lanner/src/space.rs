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

pub fn run(args: SpaceArgs) -> anyhow::Result<()> {
    let SpaceCommand::Info { name, json } = args.command;
    let space = Space::by_name(&name).map_err(|e| usage(e.to_string()))?;
    let classes: HashSet<String> = space.iter().map(|a| space.canonical(&a)).collect();
    let graphs: HashSet<_> =
        space.iter().map(|a| space.graph(&a, View::Pruned).canonical()).collect();
    let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (0f64, 0f64));
    for arch in space.iter() {
        let (flops, params) = space.flops_and_params(&arch);
        low = (low.0.min(flops), low.1.min(params));
        high = (high.0.max(flops), high.1.max(params));
    }
    let facts = [
        ("space", space.name().to_string()),
        ("architectures", space.size().to_string()),
        ("classes as published", classes.len().to_string()),
        ("distinct pruned cells", graphs.len().to_string()),
        ("operations", space.labels().join(", ")),
        ("choices per position", format!("{:?}", space.choices())),
        ("flops (million)", format!("{:.2} to {:.2}", low.0, high.0)),
        ("parameters (million)", format!("{:.3} to {:.3}", low.1, high.1)),
        ("first architecture", space.print(&space.at(0)?)),
    ];
    let rows: Vec<Row> = facts
        .iter()
        .map(|(fact, value)| Row::new().with("fact", *fact).with("value", value.as_str()))
        .collect();
    print_rows(&rows, json)
}
