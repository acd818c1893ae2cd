use std::{fmt, str::FromStr};

use crate::EvaluateError;

/// A zero-cost proxy. Definitions, modes and the weights' distribution are those of
/// NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS 2022), whose code is NASLib's.
///
/// L is the cross-entropy of a minibatch at initialisation; w are kernels of convolutions and
/// matrices of linear layers, one entry of a Σ over layers each; batch norms use the batch's
/// statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proxy {
    /// From J, the gradient of the sum of all outputs by each image: for each class c the sum s_c of
    /// log(|correlation| + 10⁻⁵) over pairs of its images; Σ |s_c|. Above 100 classes s_c is divided
    /// by the class's images, and the sum of |s_c − s_d| over ordered pairs by the number of classes
    /// (Lopes et al. 2021).
    EpeNas,
    /// Per channel of each layer's output a, g = ∂L/∂a: ½·mean over images of (Σ over pixels of a·g)²,
    /// times the weights of the channel (Turner et al. 2020).
    Fisher,
    /// Millions, in the convention of [`lanner_network::Cost::flops`], the published one.
    Flops,
    /// Σ ‖∂L/∂w‖₂ (Abdelfattah et al. 2021).
    GradNorm,
    /// −Σ w·(Hg), g = ∂L/∂w, H the Hessian (Wang et al. 2020).
    Grasp,
    /// From the eigenvalues v of the correlations of all images' J: −Σ log(v + k) + 1/(v + k),
    /// k = 10⁻⁵ (Mellor et al. 2021, first version).
    Jacov,
    /// Σ ‖w‖₂.
    L2Norm,
    /// log det K, K = how many ReLUs are in the same state (let a number through or not) for two images
    /// (Mellor et al. 2021).
    Nwot,
    /// Millions.
    Params,
    /// Σ w·∂L/∂w.
    Plain,
    /// Σ |w·∂L/∂w| (Lee et al. 2019).
    Snip,
    /// log Σ |w·∂R/∂w|, R the sum of outputs for an image of ones, all parameters made positive, batch
    /// norms left out (Tanaka et al. 2020).
    Synflow,
    /// With weights from N(0, 1), for images x and x + 0.01·x′ from N(0, 1): log of the mean over
    /// images of Σ |f − f′| before global pooling, plus over batch norms Σ log √(mean running
    /// variance) after both passes (Lin et al. 2021).
    Zen,
}

impl Proxy {
    /// All thirteen, by name.
    pub const ALL: [Proxy; 13] = [
        Proxy::EpeNas,
        Proxy::Fisher,
        Proxy::Flops,
        Proxy::GradNorm,
        Proxy::Grasp,
        Proxy::Jacov,
        Proxy::L2Norm,
        Proxy::Nwot,
        Proxy::Params,
        Proxy::Plain,
        Proxy::Snip,
        Proxy::Synflow,
        Proxy::Zen,
    ];

    /// The name in Suite-Zero's tables: `grad_norm`.
    pub fn name(self) -> &'static str {
        match self {
            Proxy::EpeNas => "epe_nas",
            Proxy::Fisher => "fisher",
            Proxy::Flops => "flops",
            Proxy::GradNorm => "grad_norm",
            Proxy::Grasp => "grasp",
            Proxy::Jacov => "jacov",
            Proxy::L2Norm => "l2_norm",
            Proxy::Nwot => "nwot",
            Proxy::Params => "params",
            Proxy::Plain => "plain",
            Proxy::Snip => "snip",
            Proxy::Synflow => "synflow",
            Proxy::Zen => "zen",
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

/// Why a network has no value of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absence {
    /// A sum came out infinite or NaN.
    NotFinite,
    /// Its logarithm is asked for, but the sum is 0: nothing flows from the input to the output.
    Zero,
    /// For some image the outputs do not depend on the image: correlations are not defined.
    NoGradient,
    /// The matrix is singular to rounding: two images have the same code.
    Singular,
    /// The network has no ReLU.
    NoRelu,
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
            Absence::NoRelu => "no ReLU",
            Absence::NoWeights => "no weights",
        })
    }
}

/// A value, or why there is none.
pub type Score = Result<f64, Absence>;

/// A sum as a value.
pub(super) fn finite(value: f64) -> Score {
    if value.is_finite() { Ok(value) } else { Err(Absence::NotFinite) }
}

/// The logarithm of a sum as a value.
pub(super) fn log(value: f64) -> Score {
    if value == 0.0 { Err(Absence::Zero) } else { finite(value.ln()) }
}
