//! The options for the network around an architecture's cells: width, repeats, input and output.

use std::path::Path;

use lanner::say;
use lanner_network::{Network, Skeleton, View};
use lanner_space::{Architecture, Space};

use crate::output::usage;

#[derive(clap::Args)]
pub struct SkeletonArgs {
    /// The search space: a name or a .toml file
    #[arg(long, default_value = "nasbench201")]
    pub space: String,
    /// The width that all others follow from: of nasbench201's first stage, else of the stem
    /// [default: as published]
    #[arg(long)]
    channels: Option<usize>,
    /// Number of cells: in each stage, for darts in all [default: as published]
    #[arg(long)]
    cells: Option<usize>,
    /// Height and width of the input image, pixels [default: as published]
    #[arg(long)]
    pub resolution: Option<usize>,
    /// Number of classes, the length of the output [default: as published]
    #[arg(long)]
    pub classes: Option<usize>,
}

impl SkeletonArgs {
    pub fn skeleton(&self, space: &Space) -> anyhow::Result<Skeleton> {
        let published = Skeleton::of(space)?;
        Ok(Skeleton {
            channels: self.channels.unwrap_or(published.channels),
            cells: self.cells.unwrap_or(published.cells),
            resolution: self.resolution.unwrap_or(published.resolution),
            classes: self.classes.unwrap_or(published.classes),
            ..published
        })
    }

    pub fn build(&self, space: &Space, arch: &Architecture, view: View) -> anyhow::Result<Network> {
        Ok(self.skeleton(space)?.build(arch, view)?)
    }
}

/// Returns the space with the networks on which a table's metric was measured, by its `skeleton` comment: a
/// latency predictor counts their costs. Notes where they are not the published ones.
pub fn measured(table: &Path, metric: &str, space: &Space) -> anyhow::Result<Space> {
    if space.parameters().is_some() {
        return Ok(space.clone());
    }
    for comment in lanner_data::comments(table)? {
        // In a joined table, the name of the metric stands before the word.
        let comment =
            comment.strip_prefix(metric).map_or(&*comment, |c| c.trim_start_matches([':', ' ']));
        let Some(words) = comment.strip_prefix("skeleton: ") else { continue };
        let skeleton = Skeleton::parse(space, words)
            .map_err(|e| usage(format!("{}, in its comments: {e}", table.display())))?;
        let sized = skeleton.sized_space();
        if sized.sizes() != space.sizes() {
            let (table, published) = (table.display(), Skeleton::of(space)?.describe());
            say!(
                "lanner: costs are counted on networks of {words}, on which {table} was measured (published: \
                 {published})"
            );
        }
        return Ok(sized);
    }
    Ok(space.clone())
}
