use lanner_space::{Architecture, Sizes, Space, View};

use crate::{
    Builder, Cost, Nasbench201, Network, NetworkError, Shape, TensorGraph, TensorNetwork, counter,
    darts, fbnet, mobilenetv3, nasbench_macro, nasbench101, nasbench201, natsbench_size,
    transbench101, transformer, user,
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
/// | natsbench-size | 64, the largest width; the others follow it | – | 32, 10 |
/// | hw-gpt, hat | – | – | –, the vocabulary |
/// | autoformer, pit | – | – | 224, 1000 |
/// | a file's transformer | – | – | the side of its square image, by the file |
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
    /// Stands for the network of a space of parameters, which [`Skeleton::build`] refuses: a program makes it.
    pub fn none(space: &Space) -> Skeleton {
        Skeleton { space: space.clone(), channels: 0, cells: 0, resolution: 0, classes: 0 }
    }

    /// The published skeleton of a space.
    pub fn of(space: &Space) -> Result<Skeleton, NetworkError> {
        widest(space)?;
        let Sizes { channels, cells, resolution, classes } = space.sizes();
        Ok(Skeleton { space: space.clone(), channels, cells, resolution, classes })
    }

    /// Whether networks of a space are built here. Those of parameters are made by a program, and averages over
    /// several networks are none.
    pub fn is_known(space: &Space) -> bool {
        space.parameters().is_none() || transformer::stages(space).is_some()
    }

    /// The same for a space whose networks are of layers, which Lanner trains.
    ///
    /// # Errors
    /// [`NetworkError::Transformer`] says how transformers are trained.
    pub fn trained(space: &Space) -> Result<Skeleton, NetworkError> {
        builder(space)?;
        Skeleton::of(space)
    }

    /// The published one with as few cells as still tell architectures apart, for images of `resolution`
    /// pixels a side and `classes` classes: what a search trains by default.
    pub fn small(
        space: &Space,
        resolution: usize,
        classes: usize,
    ) -> Result<Skeleton, NetworkError> {
        let published = Skeleton::trained(space)?.with_cells(space.few_cells().searched);
        Ok(Skeleton { resolution, classes, ..published })
    }

    /// The same with at most `most` cells.
    pub fn with_cells(self, most: usize) -> Skeleton {
        Skeleton { cells: most.min(self.cells), ..self }
    }

    /// The sizes in words: `16 channels, 5 cells, 32 pixels, 10 classes`.
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

    /// Reads the words of [`Skeleton::describe`]; sizes without words are those of the space.
    ///
    /// # Errors
    /// The words are others, a size is named twice, or no network has it.
    pub fn parse(space: &Space, words: &str) -> Result<Skeleton, NetworkError> {
        let wrong = || NetworkError::Value {
            name: "skeleton",
            value: words.into(),
            expected: "words like '16 channels, 5 cells, 32 pixels, 10 classes'".into(),
        };
        let mut skeleton = Skeleton::of(space)?;
        let mut seen = Vec::new();
        for part in words.split(", ") {
            let (number, what) = part.split_once(' ').ok_or_else(wrong)?;
            let size = match what {
                "channels" => &mut skeleton.channels,
                "cells" => &mut skeleton.cells,
                "pixels" => &mut skeleton.resolution,
                "classes" => &mut skeleton.classes,
                _ => return Err(wrong()),
            };
            *size = number.parse().map_err(|_| wrong())?;
            if seen.contains(&what) {
                return Err(wrong());
            }
            seen.push(what);
        }
        skeleton.check()?;
        Ok(skeleton)
    }

    /// The space with networks of these sizes, see [`Space::sized`].
    pub fn sized_space(&self) -> Space {
        let Skeleton { channels, cells, resolution, classes, .. } = *self;
        self.space.sized(Sizes { channels, cells, resolution, classes })
    }

    /// Refuses sizes that no network of the space has.
    pub fn check(&self) -> Result<(), NetworkError> {
        let channels = widest(&self.space)?;
        let Sizes { cells, resolution, .. } = self.space.sizes();
        // Tokens, signals and images that are no squares are not resized.
        let is_fixed = self.is_transformer() && resolution == 0
            || self.space.chain().is_some_and(|chain| chain.skeleton.width > 0);
        let pixels = if is_fixed { 0 } else { 4096 };
        let classes = self.space.sizes().classes.min(1);
        for (name, value, least, most) in [
            ("channels", self.channels, channels.min(1), channels),
            ("cells", self.cells, usize::from(cells > 0), if cells > 0 { 100 } else { 0 }),
            ("resolution", self.resolution, usize::from(resolution > 0), pixels),
            ("classes", self.classes, classes, 100_000),
        ] {
            if !(least..=most).contains(&value) {
                let expected = match (name, most) {
                    ("resolution", 0) => format!(
                        "0: the input of {} is fixed (a program of yours trains its networks: \
                         lanner search --evaluate command:…)",
                        self.space
                    ),
                    (_, 0) => format!("0: every block of {} is a choice", self.space),
                    _ => format!("{least} to {most}"),
                };
                return Err(NetworkError::Value { name, value: value.to_string(), expected });
            }
        }
        let multiple = self.space.chain().and_then(|chain| chain.multiple());
        match multiple.filter(|n| self.resolution > 0 && !self.resolution.is_multiple_of(*n)) {
            Some(n) => Err(NetworkError::Value {
                name: "resolution",
                value: self.resolution.to_string(),
                expected: format!("a multiple of {n}: stages halve it, and others double it again"),
            }),
            None => Ok(()),
        }
    }

    /// Builds the network of an architecture.
    ///
    /// The pruned view leaves out layers that lead nowhere, in any space; spaces with `none` have most
    /// of them. A cell whose output no path reaches yields zeros, see [`Nasbench201::build`].
    pub fn build(&self, arch: &Architecture, view: View) -> Result<Network, NetworkError> {
        let (_, build) = builder(&self.space)?;
        self.check()?;
        let space = &self.space;
        // A network depends on the order of a cell, its name does not.
        let name = match space.check(arch) {
            Ok(()) => arch.clone(),
            Err(e) => {
                space.check_unordered(arch).map_err(|_| e)?;
                space.canonical(arch)
            }
        };
        let resolution = match self.resolution {
            0 => space.resolution(arch).unwrap_or(0),
            _ => self.resolution,
        };
        let image = match space.chain().map(|chain| chain.skeleton) {
            Some(s) if s.width > 0 => {
                Shape::new(s.channels.into(), s.resolution.into(), s.width as usize)
            }
            Some(s) => Shape::new(s.channels.into(), resolution, resolution),
            None => Shape::new(3, resolution, resolution),
        };
        let mut net = Builder::new(space.print(&name), image)?;
        build(self, &mut net, arch, view)?;
        Ok(match view {
            View::Raw => net.finish(),
            View::Pruned => net.finish().without_dead_layers(),
        })
    }

    /// Builds the network of a transformer.
    ///
    /// # Errors
    /// [`NetworkError::Layers`] if the networks of the space are of layers: [`Skeleton::build`] makes these.
    pub fn tensors(&self, arch: &Architecture) -> Result<TensorNetwork, NetworkError> {
        self.check()?;
        match transformer::stages(&self.space) {
            Some(stages) => {
                self.space.check(arch)?;
                let (bias, chosen) = stages.chosen(arch);
                transformer::build(self, stages, self.space.print(arch), bias, &chosen)
            }
            None => Err(NetworkError::Layers { space: self.space.to_string() }),
        }
    }

    /// Returns operations, shapes and costs of an architecture's network, in any space that has networks.
    pub fn graph(&self, arch: &Architecture, view: View) -> Result<TensorGraph, NetworkError> {
        match transformer::stages(&self.space) {
            Some(_) => Ok(self.tensors(arch)?.into_graph()),
            None => TensorNetwork::of(&self.build(arch, view)?),
        }
    }

    /// Counts the cost of an architecture's network for one input, in any space that has networks. For many
    /// architectures, a [`Counter`](crate::Counter) is faster.
    pub fn counts(&self, arch: &Architecture, view: View) -> Result<Counts, NetworkError> {
        if self.is_transformer() {
            return Ok(counter::of(self.tensors(arch)?));
        }
        let Cost { flops, macs, params, peak_bytes, .. } = Cost::of(&self.build(arch, view)?);
        Ok(Counts { flops, macs, params, peak_bytes })
    }

    /// Whether networks are transformers, which [`Skeleton::tensors`] builds.
    pub fn is_transformer(&self) -> bool {
        transformer::stages(&self.space).is_some()
    }

    /// The edges of a cell that are built.
    fn live(&self, arch: &Architecture, view: View) -> Vec<bool> {
        match view {
            View::Raw => vec![true; arch.codes().len()],
            View::Pruned => self.space.live(arch),
        }
    }
}

/// Costs of a network of any kind, for one input; see [`Cost`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub flops: u64,
    pub macs: u64,
    pub params: u64,
    /// Peak memory of activations as 32-bit floats, in bytes.
    pub peak_bytes: u64,
}

/// Adds everything after the image.
type Build = fn(&Skeleton, &mut Builder, &Architecture, View) -> Result<(), NetworkError>;

/// The most channels.
const WIDEST: usize = 8192;

/// The published networks that are not those of a family: name of the space, the most channels, and
/// the layers. A new one is a line here.
const PUBLISHED: [(&str, usize, Build); 9] = [
    ("nasbench101", WIDEST, |s, net, arch, _| nasbench101::build(s, net, arch.codes())),
    ("nasbench201", 1024, |s, net, arch, view| {
        nasbench201::build(s, net, arch.codes(), &s.live(arch, view))
    }),
    ("darts", WIDEST, |s, net, arch, view| darts::build(s, net, arch.codes(), view)),
    ("transbench101-micro", WIDEST, |s, net, arch, view| {
        transbench101::build_micro(s, net, arch.codes(), &s.live(arch, view))
    }),
    ("transbench101-macro", WIDEST, |s, net, arch, _| {
        transbench101::build_macro(s, net, arch.codes())
    }),
    ("fbnet", WIDEST, |s, net, arch, _| fbnet::build(s, net, arch.codes())),
    ("mobilenetv3", WIDEST, |s, net, arch, _| mobilenetv3::build(s, net, arch.codes())),
    ("nas-bench-macro", WIDEST, |s, net, arch, _| nasbench_macro::build(s, net, arch.codes())),
    ("natsbench-size", WIDEST, |s, net, arch, _| natsbench_size::build(s, net, arch.codes())),
];

/// The most channels that a space's networks may be told to have; 0 if these are a choice.
fn widest(space: &Space) -> Result<usize, NetworkError> {
    match transformer::stages(space) {
        Some(_) => Ok(0),
        None => Ok(builder(space)?.0),
    }
}

/// The most channels and the layers of a space's networks: as published, else those of its family.
fn builder(space: &Space) -> Result<(usize, Build), NetworkError> {
    if let Some(&(_, most, build)) = PUBLISHED.iter().find(|p| p.0 == space.name()) {
        return Ok((most, build));
    }
    if space.cell().is_some() || space.chain().is_some() {
        return Ok((WIDEST, |s, net, arch, view| user::build(s, net, arch, &s.live(arch, view))));
    }
    if transformer::stages(space).is_some() {
        return Err(NetworkError::Transformer { space: space.to_string() });
    }
    if space.parameters().is_some() {
        return Err(NetworkError::NoNetwork { space: space.to_string() });
    }
    Err(NetworkError::Value {
        name: "space",
        value: space.to_string(),
        expected: "one with a published network, of cells or of a chain".into(),
    })
}

impl From<Nasbench201> for Skeleton {
    fn from(n: Nasbench201) -> Skeleton {
        let Nasbench201 { channels, cells, resolution, classes } = n;
        Skeleton { space: Space::NasBench201, channels, cells, resolution, classes }
    }
}
