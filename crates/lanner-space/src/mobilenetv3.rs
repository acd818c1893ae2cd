//! The MobileNetV3 space of Once-for-All (Cai et al., "Once-for-All: Train One Network and
//! Specialize it for Efficient Deployment", ICLR 2020): five stages of two to four inverted
//! bottlenecks, each with its kernel and expansion, and the resolution of the image. See
//! [`ElasticStages`] for codes and texts.

use crate::definition::{Definition, Sizes};
use crate::family::ElasticStages;

/// The name on the command line.
pub const NAME: &str = "mobilenetv3";

pub(crate) fn definition() -> Definition {
    let sizes = Sizes { channels: 1280, cells: 0, resolution: 0, classes: 1000 };
    Definition::new(NAME, ElasticStages, sizes)
}
