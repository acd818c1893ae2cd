//! Published methods to compare Lanner's own predictors with: `help`, `nasflat` and `multi-predict` by
//! their authors' recipes, and plain methods ([`peers`]).

pub mod help;
mod mlp;
pub mod multi_predict;
pub mod nasflat;
pub mod peers;
mod pre_training;

/// The thirteen proxies of NAS-Bench-Suite-Zero, which the papers' recipes take.
pub const SUITE_ZERO: [&str; 13] = [
    "epe_nas",
    "fisher",
    "flops",
    "grad_norm",
    "grasp",
    "jacov",
    "l2_norm",
    "nwot",
    "params",
    "plain",
    "snip",
    "synflow",
    "zen",
];
