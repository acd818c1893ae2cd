//! The options that say which network an architecture stands for.

use lanner_network::{Nasbench201, Network, View};
use lanner_space::{Architecture, Space};

#[derive(clap::Args)]
pub struct SkeletonArgs {
    #[arg(long, default_value = "nasbench201")]
    pub space: String,
    /// Channels of the first stage
    #[arg(long, default_value_t = Nasbench201::default().channels)]
    channels: usize,
    /// Cells in each stage
    #[arg(long, default_value_t = Nasbench201::default().cells)]
    cells: usize,
    /// Height and width of the image, pixels
    #[arg(long, default_value_t = Nasbench201::default().resolution)]
    resolution: usize,
    #[arg(long, default_value_t = Nasbench201::default().classes)]
    classes: usize,
}

impl SkeletonArgs {
    pub fn skeleton(&self, space: &Space) -> anyhow::Result<Nasbench201> {
        match space {
            Space::NasBench201 => {
                let &SkeletonArgs { channels, cells, resolution, classes, .. } = self;
                Ok(Nasbench201 { channels, cells, resolution, classes })
            }
            _ => anyhow::bail!("--space {space} has no skeleton yet, expected nasbench201"),
        }
    }

    pub fn build(&self, space: &Space, arch: &Architecture, view: View) -> anyhow::Result<Network> {
        match space {
            // The file has the skeleton.
            Space::User(_) => Ok(lanner_network::build_user(space, arch, view)?),
            _ => Ok(self.skeleton(space)?.build(arch, view)?),
        }
    }
}

/// The network of an architecture with the skeleton of its space's publication or file.
pub fn published(space: &Space, arch: &Architecture, view: View) -> anyhow::Result<Network> {
    match space {
        Space::User(_) => Ok(lanner_network::build_user(space, arch, view)?),
        Space::NasBench201 => Ok(Nasbench201::default().build(arch, view)?),
        _ => anyhow::bail!("{space} has no skeleton yet"),
    }
}
