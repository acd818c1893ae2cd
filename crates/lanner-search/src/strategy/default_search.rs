//! The `default` strategy: Bayesian optimisation with Gaussian processes that see different things,
//! from a start among large networks and with a weak belief in size.

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
/// Evaluations a model: so many, or this part of those before if that is more.
const ROUND: usize = 4;
const ROUND_PART: f64 = 0.02;
/// Scale of the exploration factors k of a round: the acquisition is mean + k · deviation.
const EXPLORATION: f64 = 0.6;
/// What part of itself the scale grows by with every evaluation that brings nothing better.
const IMPATIENCE: f64 = 0.05;
/// The most that the scale grows to, in units of itself.
const MOST_IMPATIENT: f64 = 4.0;
/// After this many evaluations that brought nothing better, the last network of a round is one unlike
/// all before, of those in the upper part by mean + `EXPLORATION` · deviation.
const FRUITLESS: usize = 8;
const UPPER: f64 = 0.25;

/// Bayesian optimisation: ten networks that are spread over the larger half of the space, then
/// rounds of four that maximise mean + k · standard deviation of four Gaussian processes, with k
/// from 0.08 to 1.25.
///
/// - **Start.** Most of a space hardly learns, and ten networks drawn from all of it say much about
///   the bad and little about the good. The larger half by FLOPs says more of what matters.
/// - **Processes.** Three are those of [`AccuracyFeatures::diverse_components`], the fourth sees pairs
///   of operations on edges. One alone is now and then sure of the wrong region; where they disagree
///   is worth a look, so their disagreement counts as deviation. For the first three, networks that
///   differ in one edge are nearly the same network; the fourth can learn from few examples that
///   one operation on one edge goes well with another elsewhere, where the best networks may be
///   a small family apart.
/// - **Prior mean.** Larger networks tend to be better: the processes model what the target differs
///   from a line in log FLOPs, whose slope is small enough for a few trials to overrule.
/// - **Target.** −log(best − accuracy + κ): it resolves the crowd below the optimum, where the search
///   is decided, and does not care how bad bad networks are.
/// - **Earlier values** ([`Strategy::warm_start`]), say of a shorter training or of another task, are not
///   data of this search: each origin is one more feature, in which the processes are linear, and how much
///   it weighs they learn from this search's own trials. Half of the start are what earlier values
///   promise most of.
/// - **Luck.** A search ends with its best training, not with the network that is best in the mean. How
///   much trainings of one network differ is told by trials that differ in dead choices alone; that
///   counts as deviation of all. So a network is tried again, under another text, where others promise
///   less, and what is unknown is worth less where luck alone decides.
/// - **Rounds.** The factors k are the quantiles of an exponential distribution, so that a round has
///   mostly exploitation and one bold guess, and no round proposes four times the same. They grow
///   while nothing better is found, up to four times, and then the last of a round is a network unlike
///   all before in the better quarter: deviations say little of what all processes overlook. After
///   250 trials rounds are a fiftieth of what was tried, which changes beliefs as little as four did before.
///
/// [`AccuracyFeatures::diverse_components`]: lanner_predict::accuracy::AccuracyFeatures::diverse_components
pub struct DefaultSearch {
    rng: Rng,
    model: Option<Model>,
    /// Of each origin of earlier values, one a row.
    earlier: Vec<Vec<f64>>,
    /// Of what the last ask gave.
    beliefs: Vec<(f64, f64)>,
}

impl DefaultSearch {
    /// A search over one pool; the seed decides the start.
    pub fn new(seed: u64) -> Self {
        DefaultSearch {
            rng: lanner_nn::rng(seed, "default search"),
            model: None,
            earlier: Vec::new(),
            beliefs: Vec::new(),
        }
    }
}

/// Times that a random search is drawn for [`DefaultSearch::by_chance`].
const DRAWS: usize = 200;

impl DefaultSearch {
    /// What the best of `n` random networks of `rows` is expected to reach, by what the trials say: the
    /// mean over many draws of the networks and of their values from what is believed of them. Nothing
    /// if there are too few trials.
    pub(crate) fn by_chance(
        &mut self,
        pool: &Pool,
        history: &History,
        rows: &[usize],
        n: usize,
    ) -> Option<f64> {
        let sizes = log_flops(&pool.space, &pool.archs);
        let mut model = Model::new(pool, sizes, &self.earlier);
        let beliefs = model.beliefs(history, rows).ok()?;
        let targets = Targets::of(&history.values());
        let mut sum = 0.0;
        for _ in 0..DRAWS {
            let mut all: Vec<usize> = (0..rows.len()).collect();
            let drawn = draw(&mut all, n, &mut self.rng);
            let values = drawn.into_iter().map(|j| {
                let Belief { mean, sd, .. } = beliefs[j];
                targets.value((mean + sd * normal(&mut self.rng), 0.0)).0
            });
            sum += values.fold(f64::NEG_INFINITY, f64::max);
        }
        Some(sum / DRAWS as f64).filter(|mean| mean.is_finite())
    }
}

/// From N(0, 1), by Box and Muller.
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
        let model = self.model.get_or_insert_with(|| {
            Model::new(pool, log_flops(&pool.space, &pool.archs), &self.earlier)
        });
        if history.asked() >= START
            && let Ok(beliefs) = model.beliefs(history, &open)
        {
            let fruitless = fruitless(history);
            // What counts is the best training, so the noise of trainings is hope as well.
            let beliefs: Vec<(f64, f64)> =
                beliefs.into_iter().map(|b| (b.mean, b.trained_sd)).collect();
            let round = (ROUND_PART * history.asked() as f64) as usize;
            let round = round.max(ROUND).min(n).min(open.len());
            let mut rows: Vec<usize> = choose(&beliefs, exploration(fruitless), round)
                .into_iter()
                .map(|j| open[j])
                .collect();
            if fruitless >= FRUITLESS {
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
        // The start, or nearly every evaluation failed and there is nothing to model yet.
        let missing = START.saturating_sub(history.asked()).max(1).min(n);
        let mut rows = model.promising(&open, missing / 2);
        let others = missing - rows.len();
        let taken = (0..pool.len()).filter(|r| history.is_taken(*r) || rows.contains(r)).collect();
        let open = open.into_iter().filter(|r| !rows.contains(r)).collect();
        rows.extend(spread(model.features(), model.sizes(), taken, open, others, &mut self.rng));
        rows
    }

    fn warm_start(&mut self, _: &Pool, earlier: &[Vec<f64>]) {
        self.earlier = earlier.to_vec();
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
            let sizes = log_flops(&pool.space, &pool.archs);
            let earlier = &self.earlier;
            let model = self.model.get_or_insert_with(|| Model::new(pool, sizes, earlier));
            model.set_hyper(hyper);
        }
        Ok(())
    }
}

/// The mean of the factors k of a round.
fn exploration(fruitless: usize) -> f64 {
    EXPLORATION * (1.0 + IMPATIENCE * fruitless as f64).min(MOST_IMPATIENT)
}

/// How many trials after the start came after the best one.
fn fruitless(history: &History) -> usize {
    let best = history.best().map(|t| t.row);
    let at = history.trials.iter().position(|t| Some(t.row) == best).unwrap_or(0);
    history.trials.len().saturating_sub((at + 1).max(START))
}

/// The upper part of `open` by mean + deviation.
fn upper(beliefs: &[(f64, f64)], open: &[usize]) -> Vec<usize> {
    let hopes: Vec<f64> = beliefs.iter().map(|(mean, sd)| mean + EXPLORATION * sd).collect();
    let mut sorted = hopes.clone();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let least = sorted[((1.0 - UPPER) * last as f64) as usize];
    open.iter().zip(hopes).filter(|(_, hope)| *hope >= least).map(|(&row, _)| row).collect()
}

/// Positions of up to `n` beliefs (mean and deviation), each the highest mean + k · deviation of those
/// left, k the quantiles of an exponential distribution with mean `scale`.
fn choose(beliefs: &[(f64, f64)], scale: f64, n: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for i in 0..n.min(beliefs.len()) {
        let k = -scale * (1.0 - (i as f64 + 0.5) / n as f64).ln();
        let hope = |j: usize| beliefs[j].0 + k * beliefs[j].1;
        let best = (0..beliefs.len())
            .filter(|j| !chosen.contains(j))
            .max_by(|&a, &b| hope(a).total_cmp(&hope(b)));
        chosen.extend(best);
    }
    chosen
}

#[cfg(test)]
mod tests;
