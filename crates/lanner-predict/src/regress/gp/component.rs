//! Terms of a covariance, and options of a fit.

use std::sync::Arc;

use super::kernel::Kernel;
use crate::regress::linalg::Mat;

/// A normal distribution of the logarithm of a hyper-parameter; its mean is the start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HyperPrior {
    /// The hyper-parameter's median.
    pub median: f64,
    /// Standard deviation of its natural logarithm.
    pub spread: f64,
}

impl HyperPrior {
    /// A prior around `median` whose logarithm has standard deviation `spread`.
    pub const fn new(median: f64, spread: f64) -> Self {
        HyperPrior { median, spread }
    }
}

/// One term of the covariance.
#[derive(Debug, Clone)]
pub struct Component {
    pub kernel: Kernel,
    /// Features of the pool, p × d, which several terms may share.
    pub x: Arc<Mat>,
    /// Variance that the term explains, in units of the target's variance.
    pub amplitude: HyperPrior,
    /// Length scale ℓ, see [`Kernel`]; not used by linear and polynomial terms.
    pub length: HyperPrior,
}

/// Options of [`Gp::fit`](super::Gp::fit).
#[derive(Debug, Clone, Copy)]
pub struct GpOptions {
    /// Variance of the white noise, in units of the target's variance.
    pub noise: HyperPrior,
    /// Most steps of the search for hyper-parameters; 0 keeps the start.
    pub iterations: usize,
    /// Hyper-parameters are fitted to at most this many of the rows (the first ones).
    pub hyper_rows: usize,
    /// Degrees of freedom of Student-t noise, fitted by expectation maximisation until the weights
    /// settle: outliers get one below 1 and then hardly bend the mean. `None` is normal noise.
    pub student: Option<f64>,
}

impl Default for GpOptions {
    fn default() -> Self {
        GpOptions {
            noise: HyperPrior::new(0.05, 2.0),
            iterations: 60,
            hyper_rows: 600,
            student: None,
        }
    }
}
