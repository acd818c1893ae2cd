use lanner_space::{Architecture, Space, View};

use crate::{
    Builder, Nasbench201, Network, NetworkError, Shape, darts, fbnet, mobilenetv3, nasbench_macro,
    nasbench101, transbench101, user,
};

/// Sizes of a network that an architecture does not choose, for any space.
///
/// ```
/// use lanner_network::{Cost, Skeleton, View};
/// use lanner_space::Space;
///
/// let space = Space::by_name("fbnet")?;
/// let arch = space.parse("7818488874147327324245")?;
/// let published = Skeleton::of(&space)?;
/// assert_eq!((published.resolution, published.classes), (224, 1000));
/// // The sizes of HW-NAS-Bench for CIFAR-100.
/// let small = Skeleton { channels: 1504, resolution: 32, classes: 100, ..published };
/// assert_eq!(Cost::of(&small.build(&arch, View::Raw)?).params, 1_790_500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | space | `channels` | `cells` | resolution, classes |
/// |---|---|---|---|
/// | nasbench101 | 128, of the stem | 3 a stack | 32, 10 |
/// | nasbench201 | 16, of the first stage | 5 a stage | 32, 10 |
/// | darts | 36, of the first cells' operations (32: NAS-Bench-301) | 20 in all (8: NAS-Bench-301) | 32, 10 |
/// | transbench101-micro, -macro | 64, of the stem | 2 a module | 256, 75 (objects) |
/// | fbnet | 1984, of the last convolution | – | 224, 1000 |
/// | mobilenetv3 | 1280, of the last layer; all widths follow it (1536: width 1.2) | – | –, 1000 |
/// | nas-bench-macro | 32, of the stem | – | 32, 10 |
/// | a file's cells | of the first stage, by the file | a stage, by the file | by the file |
/// | a file's chain | of the stem, by the file | – | by the file |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skeleton {
    pub space: Space,
    /// A width that others follow from; the table says which.
    pub channels: usize,
    /// Number of repetitions of cells; 0 if the architecture chooses every block.
    pub cells: usize,
    /// Height and width of the image, in pixels. 0 if the architecture chooses it; another number then
    /// overrides that choice.
    pub resolution: usize,
    /// Length of the output.
    pub classes: usize,
}

impl Skeleton {
    /// The published skeleton of a space.
    pub fn of(space: &Space) -> Result<Skeleton, NetworkError> {
        let [channels, cells, resolution, classes] = published(space)?;
        Ok(Skeleton { space: space.clone(), channels, cells, resolution, classes })
    }

    /// Describes the sizes in words: `16 channels, 5 cells, 32 pixels, 10 classes`.
    pub fn describe(&self) -> String {
        let sizes = [
            (self.channels, "channels"),
            (self.cells, "cells"),
            (self.resolution, "pixels"),
            (self.classes, "classes"),
        ];
        let words = sizes.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        words.collect::<Vec<_>>().join(", ")
    }

    fn check(&self) -> Result<(), NetworkError> {
        let [_, cells, resolution, _] = published(&self.space)?;
        for (name, value, least, most) in [
            ("channels", self.channels, 1, 8192),
            ("cells", self.cells, usize::from(cells > 0), if cells > 0 { 100 } else { 0 }),
            ("resolution", self.resolution, usize::from(resolution > 0), 4096),
            ("classes", self.classes, 1, 100_000),
        ] {
            if !(least..=most).contains(&value) {
                let expected = match (name, most) {
                    (_, 0) => format!("0: every block of {} is a choice", self.space),
                    _ => format!("{least} to {most}"),
                };
                return Err(NetworkError::Value { name, value: value.to_string(), expected });
            }
        }
        Ok(())
    }

    /// Builds the network of an architecture.
    ///
    /// The pruned view leaves out layers that lead nowhere, in any space; spaces with `none` have most
    /// of them. A cell whose output no path reaches yields zeros, see [`Nasbench201::build`].
    pub fn build(&self, arch: &Architecture, view: View) -> Result<Network, NetworkError> {
        let &Skeleton { channels, cells, resolution, classes, .. } = self;
        if self.space == Space::NasBench201 {
            return Nasbench201 { channels, cells, resolution, classes }.build(arch, view);
        }
        self.check()?;
        let codes = arch.codes();
        let mut name = arch.clone();
        match self.space {
            Space::NasBench101 if nasbench101::is_cell(codes) => name = self.space.canonical(arch),
            _ => self.space.check(arch)?,
        }
        let resolution = match resolution {
            0 => lanner_space::mobilenetv3::resolution(codes[0]),
            _ => resolution,
        };
        let image = Shape::new(3, resolution, resolution);
        let mut net = Builder::new(self.space.print(&name), image)?;
        match &self.space {
            Space::NasBench101 => nasbench101::build(self, &mut net, codes)?,
            Space::Darts => darts::build(self, &mut net, codes, view)?,
            Space::TransBench101Micro => {
                let live = match view {
                    View::Raw => vec![true; codes.len()],
                    View::Pruned => self.space.live(arch),
                };
                transbench101::build_micro(self, &mut net, codes, &live)?;
            }
            Space::TransBench101Macro => transbench101::build_macro(self, &mut net, codes)?,
            Space::Fbnet => fbnet::build(self, &mut net, codes)?,
            Space::MobileNetV3 => mobilenetv3::build(self, &mut net, codes)?,
            Space::User(user) => {
                let live = match view {
                    View::Raw => vec![true; codes.len()],
                    View::Pruned => self.space.live(arch),
                };
                user::build(self, user, &mut net, arch, &live)?;
            }
            _ => nasbench_macro::build(self, &mut net, codes)?,
        }
        Ok(match view {
            View::Raw => net.finish(),
            View::Pruned => net.finish().without_dead_layers(),
        })
    }
}

/// Published channels, cells, resolution and classes of a space; 0 if it has no such size.
fn published(space: &Space) -> Result<[usize; 4], NetworkError> {
    Ok(match space {
        Space::NasBench101 => [128, 3, 32, 10],
        Space::NasBench201 => [16, 5, 32, 10],
        Space::Darts => [36, 20, 32, 10],
        Space::TransBench101Micro | Space::TransBench101Macro => [64, 2, 256, 75],
        Space::Fbnet => [1984, 0, 224, 1000],
        Space::MobileNetV3 => [1280, 0, 0, 1000],
        Space::NasBenchMacro => [32, 0, 32, 10],
        Space::User(user) => user::published(user),
        _ => {
            return Err(NetworkError::Value {
                name: "space",
                value: space.to_string(),
                expected: "one with a published network".into(),
            });
        }
    })
}

impl From<Nasbench201> for Skeleton {
    fn from(n: Nasbench201) -> Skeleton {
        let Nasbench201 { channels, cells, resolution, classes } = n;
        Skeleton { space: Space::NasBench201, channels, cells, resolution, classes }
    }
}
