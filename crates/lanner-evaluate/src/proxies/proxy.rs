use std::{fmt, str::FromStr};

use crate::EvaluateError;

/// A zero-cost proxy. Definitions, modes and the distribution of weights are those of
/// NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS 2022), whose code is in NASLib.
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
    /// log det K, where K counts the ReLUs that are in the same state (pass a number or not) for two
    /// images (Mellor et al. 2021).
    Nwot,
    /// Parameters in millions.
    Params,
    /// Σ w·∂L/∂w.
    Plain,
    /// Σ |w·∂L/∂w| (Lee et al. 2019).
    Snip,
    /// log Σ |w·∂R/∂w|, where R is the sum of outputs for an image of ones, with absolute values of
    /// all parameters and without batch norms (Tanaka et al. 2020).
    Synflow,
    /// log of the mean over images of Σ |f − f′|, plus Σ log √(mean running variance) over batch norms
    /// after both passes (Lin et al. 2021). f and f′ are the features before global pooling of images
    /// x and x + 0.01·x′; weights, x and x′ are from N(0, 1).
    Zen,
}

impl Proxy {
    /// All thirteen proxies, sorted by name.
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

    /// Name in the tables of NAS-Bench-Suite-Zero, such as `grad_norm`.
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
