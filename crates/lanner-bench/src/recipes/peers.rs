//! Plain methods for a new device, which [`FewShot`](lanner_predict::latency::adapted::FewShot) must
//! beat.

use lanner_predict::encode::costs::AnalyticCosts;
use lanner_predict::encode::counts::{live_one_hot, one_hot, op_counts};
use lanner_predict::metrics::spearman;
use lanner_predict::regress::gp::{Component, Gp, GpOptions, HyperPrior, Kernel};
use lanner_predict::regress::linalg::Mat;
use lanner_predict::regress::ridge::Ridge;
use lanner_predict::{Pool, PredictError};

/// A plain method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Ridge on operation counts, both as in the text and live ones only.
    RidgeCounts,
    /// Ridge on the sources' log latencies and operation counts.
    RidgeSources,
    /// Ridge on the sources' log latencies, operation counts and one-hots of all choices: with
    /// thousands of measurements it shows the best that a device's noise allows.
    RidgeOneHots,
    /// A Gaussian process on groups of features, with hyper-parameters by marginal likelihood.
    GroupedGp,
    /// The source whose ranking of the measured networks is most similar.
    NearestSource,
}

impl Peer {
    pub const ALL: [(&'static str, Peer); 5] = [
        ("ridge-counts", Peer::RidgeCounts),
        ("ridge-sources", Peer::RidgeSources),
        ("ridge-one-hots", Peer::RidgeOneHots),
        ("grouped-gp", Peer::GroupedGp),
        ("nearest-source", Peer::NearestSource),
    ];
}

/// Returns the source whose latencies of `rows` rank most like these.
pub(super) fn nearest(
    sources: &[&[f64]],
    rows: &[usize],
    latencies: &[f64],
) -> Result<usize, PredictError> {
    let alike = |source: &[f64]| {
        let theirs: Vec<f64> = rows.iter().map(|&r| source[r]).collect();
        Some(spearman(&theirs, latencies)).filter(|v| v.is_finite()).unwrap_or(-1.0)
    };
    let alike: Vec<f64> = sources.iter().map(|s| alike(s)).collect();
    (0..sources.len()).max_by(|&a, &b| alike[a].total_cmp(&alike[b])).ok_or_else(|| {
        PredictError::TooFew { what: "nearest source, whose".into(), needed: 1, got: 0 }
    })
}

/// Features of a pool that the peers need.
pub struct PeerViews {
    counts: Mat,
    groups: Vec<Mat>,
    smooth: bool,
}

impl PeerViews {
    pub fn new(pool: &Pool) -> PeerViews {
        let (space, archs) = (&pool.space, &pool.archs);
        let counts = op_counts(space, archs);
        let half = counts.cols / 2;
        let part = |from: usize| Mat::from_fn(counts.rows, half, |i, j| counts[(i, from + j)]);
        let (raw, live) = (one_hot(space, archs), live_one_hot(space, archs));
        let cells = raw != live;
        let mut groups = vec![part(0)];
        if cells {
            groups.push(part(half));
        }
        if !cells {
            groups.push(AnalyticCosts::new(space, archs, false).log_size());
        }
        groups.push(raw);
        if cells {
            groups.push(live);
        }
        PeerViews { counts, groups, smooth: cells }
    }

    /// Predicts the pool rows `ask` from latencies of `rows`. Every source (one value a row of the
    /// pool) must be known at all of `rows`.
    pub fn fit_predict(
        &self,
        peer: Peer,
        sources: &[&[f64]],
        (rows, latencies): (&[usize], &[f64]),
        ask: &[usize],
    ) -> Result<Vec<f64>, PredictError> {
        if let Some(row) = latencies.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(PredictError::Latency { row, value: latencies[row] });
        }
        let y: Vec<f64> = latencies.iter().map(|v| v.ln()).collect();
        let known: Vec<usize> = rows.iter().chain(ask).copied().collect();
        let logs = Mat::from_fn(known.len(), sources.len(), |i, s| sources[s][known[i]].ln());
        let split = |x: &Mat| {
            let n = rows.len();
            let (head, tail): (Vec<usize>, Vec<usize>) = (0..x.rows).partition(|&i| i < n);
            (x.select(&head), x.select(&tail))
        };
        let exp = |v: Vec<f64>| v.iter().map(|v| v.exp()).collect();
        match peer {
            Peer::RidgeCounts | Peer::RidgeSources | Peer::RidgeOneHots => {
                let mut x = self.counts.select(&known);
                if peer == Peer::RidgeOneHots {
                    x = self.groups.iter().fold(x, |x, group| x.beside(&group.select(&known)));
                }
                if peer != Peer::RidgeCounts {
                    x = x.beside(&logs);
                }
                let (x, asked) = split(&x);
                Ok(exp(Ridge::fit(&x, &y)?.predict(&asked)))
            }
            Peer::NearestSource => {
                let nearest = sources[nearest(sources, rows, latencies)?];
                let shift = rows.iter().zip(&y).map(|(&r, y)| y - nearest[r].ln()).sum::<f64>();
                let factor = (shift / y.len() as f64).exp();
                Ok(ask.iter().map(|&r| factor * nearest[r]).collect())
            }
            Peer::GroupedGp => {
                let mut groups: Vec<Mat> = self.groups.iter().map(|g| g.select(&known)).collect();
                if !sources.is_empty() {
                    groups.push(logs.standardised_by(&(0..known.len()).collect::<Vec<_>>()));
                    let last = &groups[groups.len() - 1];
                    let mean = Mat::from_fn(known.len(), 1, |i, _| last.row(i).iter().sum());
                    groups.push(mean);
                }
                let all: Vec<usize> = (0..known.len()).collect();
                let component = |kernel, x: &Mat| Component {
                    kernel,
                    x: x.standardised_by(&all).into(),
                    amplitude: HyperPrior::new(0.3, 2.0),
                    length: HyperPrior::new(1.0, 0.5),
                };
                let mut components: Vec<Component> =
                    groups.iter().map(|g| component(Kernel::Linear, g)).collect();
                if self.smooth {
                    let joined = groups[1..].iter().fold(groups[0].clone(), |sum, g| sum.beside(g));
                    components.push(component(Kernel::Rbf, &joined));
                }
                let options =
                    GpOptions { noise: HyperPrior::new(0.05, 2.0), ..GpOptions::default() };
                let head: Vec<usize> = (0..rows.len()).collect();
                let tail: Vec<usize> = (rows.len()..known.len()).collect();
                let gp = Gp::fit(&components, &head, &y, &options, None)?;
                Ok(exp(gp.predict(&components, &tail, false).mean))
            }
        }
    }
}
