//! The options for the network around an architecture's cells: width, repeats, input and output.

use std::path::Path;

use lanner::say;
use lanner_network::{Network, Skeleton, View};
use lanner_space::{Architecture, Space};

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

/// Builds the network of an architecture, with the skeleton of its space's publication or file.
pub fn published(space: &Space, arch: &Architecture, view: View) -> anyhow::Result<Network> {
    Ok(Skeleton::of(space)?.build(arch, view)?)
}

/// Notes where a table was measured on another skeleton than the published one: latency predictors use
/// the costs of the published one, while `lanner measure` takes any.
pub fn note_other(table: &Path, space: &Space) -> anyhow::Result<()> {
    if space.parameters().is_some() {
        return Ok(());
    }
    let published = Skeleton::of(space)?.describe();
    for comment in lanner_data::comments(table)? {
        // In a joined table, the name of a metric stands before the word.
        let Some((_, own)) = comment.split_once("skeleton: ") else { continue };
        if own != published {
            say!(
                "note: {} was measured on networks of {own}; the predictor uses the costs of the published \
                 ones, {published}",
                table.display()
            );
        }
    }
    Ok(())
}
