//! The `default` strategy: Bayesian optimisation with Gaussian processes on different features,
//! which starts among large networks and weakly favours size.

mod model;
mod start;

use lanner_nn::Rng;
use lanner_predict::encode::cells::log_flops;
use lanner_predict::{Pool, PredictError};
use rand::RngExt;

use super::baselines::draw;
use super::history::{History, Strategy, open_rows};
use super::state::{Reader, Writer};
use model::{Belief, Model, Targets};
use start::{far_off, spread};

/// Evaluations before the first model.
const START: usize = 10;
/// Part of the space among whose largest networks, and of that among whose best untrained ones, the
/// start is spread.
const START_PART: f64 = 0.5;
const PRIOR_START_PART: f64 = 0.1;
/// Evaluations for each model: `ROUND`, or the share `ROUND_PART` of those before if that is more.
const ROUND: usize = 4;
const ROUND_PART: f64 = 0.02;
/// Share of the rows that a round has at least where all of them will be evaluated, whatever is chosen.
const LEFT_PART: f64 = 0.125;
/// Scale of the exploration factors k of a round: the acquisition is mean + k · deviation.
const EXPLORATION: f64 = 0.6;
/// Growth of the scale with every evaluation that finds nothing better, as a fraction of the scale.
const IMPATIENCE: f64 = 0.05;
/// Largest scale, as a multiple of the initial one.
const MOST_IMPATIENT: f64 = 4.0;
/// After this many evaluations without an improvement, the last network of a round is one unlike
/// all before, from the upper part by mean + `EXPLORATION` · deviation.
const FRUITLESS: usize = 8;
const UPPER: f64 = 0.25;

/// Bayesian optimisation: starts with ten networks spread over the larger half of the space, then
/// runs rounds of four that maximise mean + k · standard deviation of four Gaussian processes, with
/// k from 0.08 to 1.25.
///
/// - **Start.** Most networks of a space hardly learn, so that ten networks drawn from all of it
///   tell much about the bad ones and little about the good. The larger half by FLOPs tells more
///   about the good ones.
/// - **Processes.** Three are those of [`AccuracyFeatures::diverse_components`]; the fourth sees
///   pairs of operations on edges. A single process is sometimes sure of the wrong region. Where
///   they disagree is worth a look, so their disagreement counts as deviation. For the first three,
///   networks that differ in one edge are nearly the same network. The fourth can learn from few
///   examples that an operation on one edge goes well with another one elsewhere; the best networks
///   may be such a small family.
/// - **Prior mean.** Larger networks tend to be better: the processes model the target's difference
///   from a line in log FLOPs. Its slope is small enough for a few trials to overrule it.
/// - **Untrained scores** ([`Strategy::prior`]), if there are any, stand for the size in the start and
///   in the prior mean, whose slope is then twice as large and moves with the trials: the processes have
///   a linear term in them. The start is from the best tenth.
/// - **Costs** that are counted on the user's own networks ([`Strategy::costs`]) are the sizes of these two points,
///   and one more feature each, in which the processes are linear.
/// - **Target.** −log(best − accuracy + κ) resolves the many networks just below the optimum, where
///   the search is decided, and ignores how bad the bad ones are.
/// - **Warm start.** Values known before ([`Strategy::warm_start`]), say from a shorter training or
///   another task, are not data of this search: each origin is one more feature, in which the
///   processes are linear, and this search's own trials teach its weight. Half of the start are the
///   rows with the best warm-start values.
/// - **Luck.** A search ends with its best training, not with the network that is best in the mean.
///   Trials that differ in dead choices only tell how much trainings of one network differ; that
///   counts as deviation of all networks. So a network is tried again, as another text, where
///   others promise less, and unknown regions are worth less where luck alone decides.
/// - **Rounds.** The factors k are the quantiles of an exponential distribution: most of a round is
///   exploitation, one guess is bold, and no round proposes the same network four times. They grow
///   up to fourfold while nothing better is found. Then the last network of a round is one unlike
///   all before, from the better quarter: deviations do not show what all processes overlook. After
///   250 trials, a round is a fiftieth of the trials so far, which changes the model as little as
///   four did before; where the budget suffices for all networks that are left, it is at least an
///   eighth of them.
///
/// [`AccuracyFeatures::diverse_components`]: lanner_predict::accuracy::AccuracyFeatures::diverse_components
pub struct DefaultSearch {
    rng: Rng,
    /// Whether the start is spread over networks of all sizes.
    of_all_sizes: bool,
    model: Option<Model>,
    /// Warm-start values, one list an origin with one value a row.
    warm_start: Vec<Vec<f64>>,
    /// Untrained scores, one a row; empty if there are none.
    prior: Vec<f64>,
    /// Costs that are known from elsewhere ([`Strategy::costs`]).
    costs: Vec<Vec<f64>>,
    /// Predictions of the rows that the last ask returned.
    beliefs: Vec<(f64, f64)>,
}

impl DefaultSearch {
    /// Makes a search over one pool; the seed decides the start.
    pub fn new(seed: u64) -> Self {
        DefaultSearch {
            rng: lanner_nn::rng(seed, "default search"),
            of_all_sizes: false,
            model: None,
            warm_start: Vec::new(),
            prior: Vec::new(),
            costs: Vec::new(),
            beliefs: Vec::new(),
        }
    }

    /// The same, but it starts with networks of all sizes: small ones are at one end of a front.
    pub fn of_all_sizes(seed: u64) -> Self {
        DefaultSearch { of_all_sizes: true, ..DefaultSearch::new(seed) }
    }
}

/// Number of random searches that [`DefaultSearch::by_chance`] draws.
const DRAWS: usize = 200;

impl DefaultSearch {
    fn new_model(&self, pool: &Pool) -> Model {
        let sizes = match self.costs.first() {
            Some(flops) => flops.clone(),
            None => log_flops(&pool.space, &pool.archs),
        };
        Model::new(pool, sizes, &self.warm_start, &self.costs).with_prior(&self.prior)
    }

    /// Predicts the best value of 1, 2, … `n` random networks of `rows` from the trials: the mean over
    /// many draws of the networks, and of their values from the model. `None` if there are too few
    /// trials.
    pub(crate) fn by_chance(
        &mut self,
        pool: &Pool,
        history: &History,
        rows: &[usize],
        n: usize,
    ) -> Option<Vec<f64>> {
        let mut model = self.new_model(pool);
        let beliefs = model.predict(history, rows).ok()?;
        let targets = Targets::of(&history.values());
        let mut sums = vec![0.0; n.min(rows.len())];
        for _ in 0..DRAWS {
            let mut all: Vec<usize> = (0..rows.len()).collect();
            let drawn = draw(&mut all, n, &mut self.rng);
            let values = drawn.into_iter().map(|j| {
                let Belief { mean, sd, .. } = beliefs[j];
                targets.value((mean + sd * normal(&mut self.rng), 0.0)).0
            });
            let mut best = f64::NEG_INFINITY;
            for (sum, value) in sums.iter_mut().zip(values) {
                best = best.max(value);
                *sum += best;
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= DRAWS as f64);
        sums.iter().all(|mean| mean.is_finite()).then_some(sums)
    }
}

/// Draws from N(0, 1), by Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    let [u, v]: [f64; 2] = rng.random();
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

impl Strategy for DefaultSearch {
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        self.beliefs.clear();
        let open = open_rows(pool, history, allowed);
        if open.is_empty() || n == 0 {
            return Vec::new();
        }
        let model = match self.model.take() {
            Some(model) => self.model.insert(model),
            None => {
                let model = self.new_model(pool);
                self.model.insert(model)
            }
        };
        if history.asked() >= START
            && let Ok(beliefs) = model.beliefs(history, &open)
        {
            let fruitless = fruitless(history);
            // The best training counts, so the noise of trainings belongs to the deviation.
            let beliefs: Vec<(f64, f64)> =
                beliefs.into_iter().map(|b| (b.mean, b.trained_sd)).collect();
            let is_all = n >= open.len();
            let left_part = if is_all { LEFT_PART * open.len() as f64 } else { 0.0 };
            let round = (ROUND_PART * history.asked() as f64).max(left_part) as usize;
            let round = round.max(ROUND).min(n).min(open.len());
            let mut rows: Vec<usize> = highest_by_quantile(&beliefs, exploration(fruitless), round)
                .into_iter()
                .map(|j| open[j])
                .collect();
            // Where all rows will be evaluated, none is overlooked.
            if fruitless >= FRUITLESS && !is_all {
                let last = rows.pop();
                let taken: Vec<usize> =
                    (0..pool.len()).filter(|r| history.is_taken(*r) || rows.contains(r)).collect();
                let mut upper = upper(&beliefs, &open);
                upper.retain(|r| !rows.contains(r));
                rows.extend(far_off(model.features(), &taken, &mut upper, &mut self.rng).or(last));
            }
            let scale = Targets::of(&history.values());
            self.beliefs = (rows.iter())
                .filter_map(|row| open.binary_search(row).ok())
                .map(|j| scale.value(beliefs[j]))
                .collect();
            return rows;
        }
        // This is the start, or nearly every evaluation failed and there is nothing to model yet.
        let missing = START.saturating_sub(history.asked()).max(1).min(n);
        let mut rows = model.promising(&open, missing / 2);
        let others = missing - rows.len();
        let taken = (0..pool.len()).filter(|r| history.is_taken(*r) || rows.contains(r)).collect();
        let open = open.into_iter().filter(|r| !rows.contains(r)).collect();
        let part = match (self.of_all_sizes, self.prior.is_empty()) {
            (true, _) => 1.0,
            (false, true) => START_PART,
            (false, false) => PRIOR_START_PART,
        };
        let largest = (model.sizes(), part);
        rows.extend(spread(model.features(), largest, taken, open, others, &mut self.rng));
        rows
    }

    fn warm_start(&mut self, _: &Pool, values: &[Vec<f64>]) {
        self.warm_start = values.to_vec();
        self.model = None;
    }

    fn prior(&mut self, _: &Pool, scores: &[f64]) {
        self.prior = scores.to_vec();
        self.model = None;
    }

    fn costs(&mut self, costs: &[Vec<f64>]) {
        self.costs = costs.to_vec();
        self.model = None;
    }

    fn beliefs(&self) -> &[(f64, f64)] {
        &self.beliefs
    }

    fn save(&self, _: &Pool) -> Vec<u8> {
        let mut state = Writer::default();
        state.rng(&self.rng);
        let hyper = self.model.as_ref().map(Model::hyper).unwrap_or_default();
        state.number(hyper.len());
        hyper.iter().for_each(|h| state.floats(h));
        state.finish()
    }

    fn restore(&mut self, pool: &Pool, state: &[u8]) -> Result<(), PredictError> {
        let mut state = Reader(state);
        state.rng(&mut self.rng)?;
        let members = state.number()?;
        let hyper = (0..members).map(|_| state.floats()).collect::<Result<Vec<_>, _>>()?;
        state.end()?;
        if !hyper.is_empty() {
            let mut model = self.model.take().unwrap_or_else(|| self.new_model(pool));
            model.set_hyper(hyper);
            self.model = Some(model);
        }
        Ok(())
    }
}

/// Scale (mean) of the factors k of a round.
fn exploration(fruitless: usize) -> f64 {
    EXPLORATION * (1.0 + IMPATIENCE * fruitless as f64).min(MOST_IMPATIENT)
}

/// Number of trials after the start that came after the best one.
fn fruitless(history: &History) -> usize {
    let best = history.best().map(|t| t.row);
    let at = history.trials.iter().position(|t| Some(t.row) == best).unwrap_or(0);
    history.trials.len().saturating_sub((at + 1).max(START))
}

/// Returns the upper part of `open` by mean + deviation.
fn upper(beliefs: &[(f64, f64)], open: &[usize]) -> Vec<usize> {
    let hopes: Vec<f64> = beliefs.iter().map(|(mean, sd)| mean + EXPLORATION * sd).collect();
    let mut sorted = hopes.clone();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let least = sorted[((1.0 - UPPER) * last as f64) as usize];
    open.iter().zip(hopes).filter(|(_, hope)| *hope >= least).map(|(&row, _)| row).collect()
}

/// Returns the positions of up to `n` predictions (mean and deviation): each has the highest mean + k
/// · deviation of those left. The k are quantiles of an exponential distribution with mean `scale`.
fn highest_by_quantile(beliefs: &[(f64, f64)], scale: f64, n: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut is_chosen = vec![false; beliefs.len()];
    for i in 0..n.min(beliefs.len()) {
        let k = -scale * (1.0 - (i as f64 + 0.5) / n as f64).ln();
        let hope = |j: usize| beliefs[j].0 + k * beliefs[j].1;
        let best = (0..beliefs.len())
            .filter(|&j| !is_chosen[j])
            .max_by(|&a, &b| hope(a).total_cmp(&hope(b)));
        best.into_iter().for_each(|j| is_chosen[j] = true);
        chosen.extend(best);
    }
    chosen
}

#[cfg(test)]
mod tests;
