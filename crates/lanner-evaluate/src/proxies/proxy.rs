use std::{fmt, str::FromStr};

use crate::EvaluateError;

/// A zero-cost proxy. Definitions of the thirteen of NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS
/// 2022), modes and the distribution of weights are those of its code in NASLib; of the others, those of
/// their papers but for what is said.
///
/// L is the cross-entropy of a minibatch at initialisation. w is the kernel of a convolution or the
/// matrix of a linear layer, and Σ sums over these layers. Batch norms use the batch's statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proxy {
    /// Σ |s_c| over classes c, where s_c is the sum of log(|correlation| + 10⁻⁵) over pairs of images
    /// of the class, and correlations are those of J, the gradient of the sum of all outputs by each
    /// image. Above 100 classes, s_c is divided by the number of the class's images, and the proxy is
    /// the sum of |s_c − s_d| over ordered pairs divided by the number of classes (Lopes et al. 2021).
    EpeNas,
    /// Sum over all channels of layer outputs a, with g = ∂L/∂a, of ½·mean over images of (Σ over
    /// pixels of a·g)² times the number of the channel's weights (Turner et al. 2020).
    Fisher,
    /// Σ over blocks of the skeleton but the head of the entropy −Σ p·log(p + 10⁻⁸), where p are the
    /// eigenvalues, divided by their sum, of the covariance between channels of the block's output over
    /// images and pixels (AZ-NAS, Lee & Ham 2024; its complexity is `Flops`).
    Expressivity,
    /// FLOPs in millions, by the published convention, [`lanner_network::Cost::flops`].
    Flops,
    /// Σ ‖∂L/∂w‖₂ (Abdelfattah et al. 2021).
    GradNorm,
    /// −Σ w·(Hg), g = ∂L/∂w, H the Hessian (Wang et al. 2020).
    Grasp,
    /// −Σ log(v + k) + 1/(v + k) over the eigenvalues v of the correlations of J between images (see
    /// `EpeNas`), k = 10⁻⁵ (Mellor et al. 2021, first version).
    Jacov,
    /// Σ ‖w‖₂.
    L2Norm,
    /// `LswagGradients` times `SwapLayers` (L-SWAG, Casarin et al., CVPR 2025, of all layers, where the
    /// paper takes those in which the deviations of gradients are largest in a benchmark).
    Lswag,
    /// Σ over layers of log Σ 1 / deviation(|g|) over weights, with the two gradients g of `Zico` (the term
    /// of gradients of L-SWAG). Weights whose gradients are of equal size are left out.
    LswagGradients,
    /// Σ over convolutions of the smallest eigenvalue of the correlations between output channels over
    /// the pixels of the first image (MeCo, Jiang et al. 2023). It is 0 where there are more channels
    /// than pixels.
    Meco,
    /// log det K, where K counts the ReLUs that are in the same state (pass a number or not) for two
    /// images (Mellor et al. 2021).
    Nwot,
    /// Parameters in millions.
    Params,
    /// Σ w·∂L/∂w.
    Plain,
    /// The least rise of the entropy of `Expressivity` from a block to the next (AZ-NAS).
    Progressivity,
    /// Σ |w·∂L/∂w| (Lee et al. 2019).
    Snip,
    /// Number of different patterns of ReLUs, where a pattern is the states of one ReLU for the first 16
    /// images: passes a number or not (SWAP, Peng et al., ICLR 2024, without its factor for size). There
    /// are at most 65,536, which large networks reach: take small ones, or `SwapLayers`.
    Swap,
    /// `Swap` of the first cell behind the stem alone, which sees the image itself: convolutions of the
    /// image pass its channels on, as random ones would make patterns whatever the cell. The mean over 8
    /// initialisations. The figures published for DARTS are those of one cell on the image.
    SwapCell,
    /// Σ over layers of ReLUs of the number of different patterns in the layer, see `Swap` (the layer-wise
    /// term of L-SWAG, Casarin et al., CVPR 2025).
    SwapLayers,
    /// log Σ |w·∂R/∂w|, where R is the sum of outputs for an image of ones, with absolute values of
    /// all parameters and without batch norms (Tanaka et al. 2020).
    Synflow,
    /// Mean over blocks of 2 − σ − 1/(σ + 10⁻⁶), where σ is the largest singular value of the mean over
    /// images and pixels of gᵢ·gₒᵀ: gₒ is a random gradient of −1 and 1 behind the block, gᵢ what comes of
    /// it before the block, with pixels gathered into channels where the block halves the resolution
    /// (AZ-NAS). Where a block reads several earlier ones, as in DARTS, gradients before a block are sums
    /// over all its readers.
    Trainability,
    /// Number of convolutions and linear layers, plus the entropy −Σ p·log p of the deciles, divided by
    /// their sum, of the spectrum of the empirical Fisher information (VKDNW, Tybl & Neumann, CVPR 2025).
    /// Parameters are here the gains of all channels of these layers, whose gradients are those of
    /// `Fisher`: the published code takes one weight a layer, and the expectation over classes.
    Vkdnw,
    /// log of the mean over images of Σ |f − f′|, plus Σ log √(mean running variance) over batch norms
    /// after both passes (Lin et al. 2021). f and f′ are the features before global pooling of images
    /// x and x + 0.01·x′; weights, x and x′ are from N(0, 1).
    Zen,
    /// Σ over layers of log Σ mean(|g|) / deviation(g) over weights, where g are the gradients of the loss
    /// of the first and of the second half of the images, normalised together (ZiCo, Li et al. 2023, whose
    /// minibatches are normalised apart). Weights whose gradients do not differ are left out.
    Zico,
}

impl Proxy {
    /// All proxies, sorted by name.
    pub const ALL: [Proxy; 24] = [
        Proxy::EpeNas,
        Proxy::Expressivity,
        Proxy::Fisher,
        Proxy::Flops,
        Proxy::GradNorm,
        Proxy::Grasp,
        Proxy::Jacov,
        Proxy::L2Norm,
        Proxy::Lswag,
        Proxy::LswagGradients,
        Proxy::Meco,
        Proxy::Nwot,
        Proxy::Params,
        Proxy::Plain,
        Proxy::Progressivity,
        Proxy::Snip,
        Proxy::Swap,
        Proxy::SwapCell,
        Proxy::SwapLayers,
        Proxy::Synflow,
        Proxy::Trainability,
        Proxy::Vkdnw,
        Proxy::Zen,
        Proxy::Zico,
    ];

    /// Name in tables, such as `grad_norm`.
    pub fn name(self) -> &'static str {
        match self {
            Proxy::EpeNas => "epe_nas",
            Proxy::Expressivity => "expressivity",
            Proxy::Fisher => "fisher",
            Proxy::Flops => "flops",
            Proxy::GradNorm => "grad_norm",
            Proxy::Grasp => "grasp",
            Proxy::Jacov => "jacov",
            Proxy::L2Norm => "l2_norm",
            Proxy::Lswag => "lswag",
            Proxy::LswagGradients => "lswag_gradients",
            Proxy::Meco => "meco",
            Proxy::Nwot => "nwot",
            Proxy::Params => "params",
            Proxy::Plain => "plain",
            Proxy::Progressivity => "progressivity",
            Proxy::Snip => "snip",
            Proxy::Swap => "swap",
            Proxy::SwapCell => "swap_cell",
            Proxy::SwapLayers => "swap_layers",
            Proxy::Synflow => "synflow",
            Proxy::Trainability => "trainability",
            Proxy::Vkdnw => "vkdnw",
            Proxy::Zen => "zen",
            Proxy::Zico => "zico",
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Proxy {
    type Err = EvaluateError;

    fn from_str(text: &str) -> Result<Proxy, EvaluateError> {
        Proxy::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| EvaluateError::Value {
            name: "proxy",
            value: text.into(),
            expected: Proxy::ALL.map(Proxy::name).join(", "),
        })
    }
}

/// Reason why a network has no value of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absence {
    /// The sum is infinite or NaN.
    NotFinite,
    /// The proxy is the logarithm of a sum that is 0: nothing flows from the input to the output.
    Zero,
    /// The outputs do not depend on some image, so that correlations are not defined.
    NoGradient,
    /// The matrix is singular to rounding: two images have the same states.
    Singular,
    /// A block passes its input on as it is.
    Identity,
    /// The network has no ReLU.
    NoRelu,
    /// The network has too few blocks to compare.
    OneBlock,
    /// The network has no convolution and no linear layer.
    NoWeights,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Absence::NotFinite => "not finite",
            Absence::Zero => "log of 0",
            Absence::NoGradient => "outputs do not depend on the image",
            Absence::Singular => "singular matrix",
            Absence::Identity => "a block that changes nothing",
            Absence::NoRelu => "no ReLU",
            Absence::OneBlock => "too few blocks",
            Absence::NoWeights => "no weights",
        })
    }
}

/// A value, or the reason why there is none.
pub type Score = Result<f64, Absence>;

/// Makes a score of a sum.
pub(super) fn finite(value: f64) -> Score {
    if value.is_finite() { Ok(value) } else { Err(Absence::NotFinite) }
}

/// Makes a score of the logarithm of a sum.
pub(super) fn log(value: f64) -> Score {
    if value == 0.0 { Err(Absence::Zero) } else { finite(value.ln()) }
}
