//! Choices of a chain: stages, layers, and the network around them.

use std::fmt;

/// Choices of a stage.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Stage {
    /// Possible numbers of layers, ascending.
    pub depth: Vec<u8>,
    /// Possible channels of all its layers.
    pub width: Vec<u16>,
    /// Stride of its first layer.
    pub stride: u8,
    /// Possible layers, for each of its layers.
    pub layers: Vec<Layer>,
    /// Whether all its layers are alike: one choice for all.
    pub tied: bool,
    /// How it begins with twice the resolution, if it does.
    pub up: Option<Up>,
    /// How it then joins the latest map of that resolution before it.
    pub skip: Option<Skip>,
}

/// Way to twice the resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Up {
    /// Each pixel becomes 2 × 2 (nearest neighbour).
    Resize,
    /// Transposed convolution of kernel 2 and stride 2, to the stage's width.
    Transposed,
}

/// Way to join an earlier map of the same resolution (Ronneberger et al. 2015, U-Net).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    Concat,
    /// The sum, the earlier map through a 1×1 convolution where channels differ.
    Add,
}

impl Up {
    /// Every way with its name in files.
    pub const ALL: [(&'static str, Up); 2] =
        [("resize", Up::Resize), ("transposed", Up::Transposed)];
}

impl Skip {
    /// Every way with its name in files.
    pub const ALL: [(&'static str, Skip); 2] = [("concat", Skip::Concat), ("add", Skip::Add)];
}

/// A layer; a size that its block does not have is 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer {
    pub block: Block,
    pub kernel: u8,
    pub expansion: u8,
    /// Whether channels are scaled by squeeze-and-excitation (Hu et al. 2018).
    pub squeeze: bool,
    pub activation: ChainActivation,
}

/// Function between the convolutions of a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChainActivation {
    #[default]
    Relu6,
    Relu,
    /// Howard et al. 2019, MobileNetV3.
    HardSwish,
}

impl ChainActivation {
    /// Every activation with its name in files and texts.
    pub const ALL: [(&'static str, ChainActivation); 3] = [
        ("relu6", ChainActivation::Relu6),
        ("relu", ChainActivation::Relu),
        ("hswish", ChainActivation::HardSwish),
    ];
}

/// Kind of layer, see [`crate::user`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Block {
    /// Inverted bottleneck.
    Mb,
    /// Depthwise separable convolution.
    Sep,
    Conv,
    Identity,
    /// Two convolutions and a shortcut (He et al. 2016, ResNet-18).
    Residual,
    /// Three convolutions, the middle one of fewer channels, and a shortcut (ResNet-50).
    Bottleneck,
}

/// The network around the stages.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainSkeleton {
    /// Channels of the image.
    pub channels: u16,
    /// Height of the image; 1 makes it a signal, whose convolutions have one axis.
    pub resolution: u16,
    /// Width of the image; 0 if it is the height.
    pub width: u32,
    /// Length of the output; 0 leaves pooling and linear layer out.
    pub classes: u32,
    /// Channels of the first convolution, 3×3.
    pub stem: u16,
    /// Stride of the first convolution, 1 or 2.
    pub stem_stride: u8,
    /// Channels of the last convolution, 1×1; 0 without one.
    pub head: u16,
    /// Whether there are outputs for each pixel of the last stage, by a 1×1 convolution instead of pooling and
    /// linear layer.
    pub dense: bool,
}

impl Block {
    /// Every block with its name in files and texts.
    pub const ALL: [(&'static str, Block); 6] = [
        ("mb", Block::Mb),
        ("sep", Block::Sep),
        ("conv", Block::Conv),
        ("identity", Block::Identity),
        ("residual", Block::Residual),
        ("bottleneck", Block::Bottleneck),
    ];

    pub fn has_kernel(self) -> bool {
        self != Block::Identity
    }

    pub fn has_expansion(self) -> bool {
        matches!(self, Block::Mb | Block::Bottleneck)
    }

    pub fn has_squeeze(self) -> bool {
        matches!(self, Block::Mb | Block::Residual | Block::Bottleneck)
    }

    pub fn name(self) -> &'static str {
        Block::ALL.iter().find(|b| b.1 == self).expect("every block is listed").0
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.block.name())?;
        if self.block.has_kernel() {
            write!(f, "_k{}", self.kernel)?;
        }
        if self.block.has_expansion() {
            write!(f, "_e{}", self.expansion)?;
        }
        if self.squeeze {
            f.write_str("_se")?;
        }
        match ChainActivation::ALL.iter().find(|a| a.1 == self.activation) {
            Some((name, other)) if *other != ChainActivation::default() => write!(f, "_{name}"),
            _ => Ok(()),
        }
    }
}

// Fingerprints of files are of the following texts. What came later is printed only where it is used, so that
// tables of older files are still known.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layer { block, kernel, expansion, squeeze, activation } = self;
        let mut text = f.debug_struct("Layer");
        text.field("block", block).field("kernel", kernel).field("expansion", expansion);
        if *squeeze {
            text.field("squeeze", squeeze);
        }
        if *activation != ChainActivation::default() {
            text.field("activation", activation);
        }
        text.finish()
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stage { depth, width, stride, layers, tied, up, skip } = self;
        let mut text = f.debug_struct("Stage");
        text.field("depth", depth).field("width", width).field("stride", stride);
        text.field("layers", layers);
        if *tied {
            text.field("tied", tied);
        }
        if let Some(up) = up {
            text.field("up", up);
        }
        if let Some(skip) = skip {
            text.field("skip", skip);
        }
        text.finish()
    }
}

impl fmt::Debug for ChainSkeleton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChainSkeleton { channels, resolution, width, classes, stem, stem_stride, head, dense } =
            self;
        let mut text = f.debug_struct("ChainSkeleton");
        text.field("resolution", resolution).field("classes", classes);
        text.field("stem", stem).field("head", head);
        if (*channels, *width) != (3, 0) {
            text.field("channels", channels).field("width", width);
        }
        if *stem_stride != 2 {
            text.field("stem_stride", stem_stride);
        }
        if *dense {
            text.field("dense", dense);
        }
        text.finish()
    }
}

impl ChainSkeleton {
    /// Tells whether the image is a signal: convolutions have one axis.
    pub fn is_signal(&self) -> bool {
        self.resolution == 1
    }

    /// Returns how often the image is halved before the stages.
    pub fn halvings(&self) -> i32 {
        i32::from(self.stem_stride == 2)
    }
}

impl Stage {
    /// Returns how often it halves its input; −1 if it doubles it.
    pub fn halvings(&self) -> i32 {
        i32::from(self.stride == 2) - i32::from(self.up.is_some())
    }

    /// Returns the largest number of layers.
    pub fn deepest(&self) -> usize {
        self.depth.iter().copied().max().unwrap_or(0).into()
    }

    /// Returns the number of codes: width, depth, layers.
    pub(super) fn codes(&self) -> usize {
        2 + if self.tied { 1 } else { self.deepest() }
    }

    /// Returns how many layers are chosen for a depth code.
    pub(super) fn chosen(&self, code: u8) -> usize {
        if self.tied { 1 } else { self.depth[usize::from(code)].into() }
    }

    /// Returns the number of choices of layers for a depth code.
    pub(super) fn of_depth(&self, code: usize) -> Option<u128> {
        (self.layers.len() as u128).checked_pow(self.chosen(code as u8) as u32)
    }

    pub(super) fn size(&self) -> Option<u128> {
        let all =
            (0..self.depth.len()).try_fold(0u128, |sum, d| sum.checked_add(self.of_depth(d)?));
        all?.checked_mul(self.width.len() as u128)
    }
}
