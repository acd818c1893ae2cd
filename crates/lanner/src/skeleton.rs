//! The options that say which network an architecture stands for.

use std::path::Path;

use lanner_network::{Network, Skeleton, View};
use lanner_space::{Architecture, Space};

#[derive(clap::Args)]
pub struct SkeletonArgs {
    #[arg(long, default_value = "nasbench201")]
    pub space: String,
    /// A width that others follow from: nasbench201's first stage, stems [default: as published]
    #[arg(long)]
    channels: Option<usize>,
    /// How often cells are repeated: a stage, in all for darts [default: as published]
    #[arg(long)]
    cells: Option<usize>,
    /// Height and width of the image, pixels [default: as published]
    #[arg(long)]
    pub resolution: Option<usize>,
    /// Length of the output [default: as published]
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

/// The network of an architecture with the skeleton of its space's publication or file.
pub fn published(space: &Space, arch: &Architecture, view: View) -> anyhow::Result<Network> {
    Ok(Skeleton::of(space)?.build(arch, view)?)
}

/// Says so where a table's header has another skeleton than the published one, whose costs predictors of
/// latencies go by: `lanner measure` takes any.
pub fn note_other(table: &Path, space: &Space) -> anyhow::Result<()> {
    let published = Skeleton::of(space)?.describe();
    for comment in lanner_data::comments(table)? {
        // A joined table has a metric's name in front.
        let Some((_, own)) = comment.split_once("skeleton: ") else { continue };
        if own != published {
            eprintln!(
                "note: {} was measured on networks of {own}; what the predictor knows of costs is of the \
                 published ones, {published}",
                table.display()
            );
        }
    }
    Ok(())
}
