//! The two-phase search of BRP-NAS (Dudziak et al., NeurIPS 2020).
//!
//! Phase 1 spends T trainings by iterative selection (see [`Selection`]), and fits the ranker after
//! each round. The networks of a binary ranker keep their weights from round to round; Thurstone's
//! model, the default ranker, has none. Phase 2 trains the highest-ranked other architectures in
//! order, without fitting again.

use lanner_nn::{Rng, rng, subseed};
use lanner_predict::accuracy::relation::{self, Prepared, Relation};
use lanner_predict::general::gcn::{self, GcnPredictor, Samples};
use lanner_predict::predictor::file::ModelFile;
use lanner_predict::regress::gcn::Shared;
use lanner_predict::select::iterative::Selection;
use lanner_predict::{Pool, PredictError};
use lanner_space::Architecture;

use super::history::{History, Strategy};
use super::state::{Reader, Writer};

/// Predictor that ranks the candidates.
#[derive(Debug, Clone)]
pub enum Ranker {
    /// The binary relation predictor.
    Binary(relation::RelationRecipe),
    /// A GCN that predicts the accuracy of one architecture.
    Unary(gcn::GcnRecipe),
}

/// The strategy and its state.
pub struct BrpNas {
    pub selection: Selection,
    ranker: Ranker,
    seed: u64,
    threads: usize,
    rng: Rng,
    iteration: usize,
    fitted: Option<Fitted>,
    /// The pool encoded for the binary ranker.
    prepared: Option<Prepared>,
    /// The pool encoded for the unary ranker.
    graphs: Option<Shared>,
    /// Phase 2: all rows in the order of training.
    ranking: Option<Vec<usize>>,
    /// Scores that are known before any training, one a row of the pool.
    proxies: Option<Vec<f64>>,
}

enum Fitted {
    Binary(Relation),
    Unary(GcnPredictor),
}

impl BrpNas {
    /// Makes a search; `selection.budget` is T.
    pub fn new(selection: Selection, ranker: Ranker, seed: u64, threads: usize) -> BrpNas {
        BrpNas {
            selection,
            ranker,
            seed,
            threads,
            rng: rng(seed, "brp-nas"),
            iteration: 0,
            fitted: None,
            prepared: None,
            graphs: None,
            ranking: None,
            proxies: None,
        }
    }

    /// Adds zero-cost warm-up (Abdelfattah et al., ICLR 2021): the ranker first learns to order
    /// architectures by `scores`, one a row of the pool, and chooses round 0 instead of chance. A
    /// ranker of networks carries what it learned into the later rounds.
    pub fn warmed_up_by(mut self, scores: Vec<f64>) -> BrpNas {
        self.proxies = Some(scores);
        self
    }

    fn fit(&mut self, pool: &Pool, rows: &[usize], values: &[f64]) -> Result<(), PredictError> {
        let archs: Vec<Architecture> = rows.iter().map(|&r| pool.archs[r].clone()).collect();
        let samples = Samples { architectures: &archs, targets: values };
        let seed = subseed(self.seed, &format!("brp-nas round {}", self.iteration));
        let go_on = &mut |_| std::ops::ControlFlow::Continue(());
        let fitted = match &self.ranker {
            Ranker::Binary(recipe) => {
                let recipe = recipe.at_iteration(
                    self.iteration.saturating_sub(1).min(self.selection.iterations - 1),
                    self.selection.iterations,
                );
                let start = match &self.fitted {
                    Some(Fitted::Binary(r)) => Some(r),
                    _ => None,
                };
                Fitted::Binary(relation::fit(
                    &pool.space,
                    samples,
                    &recipe,
                    start,
                    seed,
                    self.threads,
                    go_on,
                )?)
            }
            Ranker::Unary(recipe) => Fitted::Unary(gcn::fit(
                &pool.space,
                samples,
                None,
                recipe,
                None,
                seed,
                self.threads,
                go_on,
            )?),
        };
        self.fitted = Some(fitted);
        Ok(())
    }

    /// Scores the whole pool by the last fit.
    fn scores(&mut self, pool: &Pool) -> Vec<f64> {
        match &self.fitted {
            None => Vec::new(),
            Some(Fitted::Binary(relation)) => {
                let prepared =
                    self.prepared.get_or_insert_with(|| relation.prepare(&pool.space, &pool.archs));
                relation.scores(prepared, self.threads)
            }
            Some(Fitted::Unary(gcn)) => {
                let prepared =
                    self.graphs.get_or_insert_with(|| gcn.prepare(&pool.space, &pool.archs));
                gcn.predict(prepared, self.threads)
            }
        }
    }

    /// Returns all rows, the highest score first.
    fn ranked(&mut self, pool: &Pool) -> Vec<usize> {
        let scores = self.scores(pool);
        let mut order: Vec<usize> = (0..pool.len()).collect();
        if !scores.is_empty() {
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        }
        order
    }

    fn warm_up(&mut self, pool: &Pool) {
        let Some(proxies) = self.proxies.take() else { return };
        let known: Vec<usize> =
            (0..pool.len().min(proxies.len())).filter(|&r| proxies[r].is_finite()).collect();
        let rows = crate::strategy::draw(&mut known.clone(), 100, &mut self.rng);
        let values: Vec<f64> = rows.iter().map(|&r| proxies[r]).collect();
        // Too few proxies to learn from: round 0 stays random.
        let _ = self.fit(pool, &rows, &values);
    }
}

impl Strategy for BrpNas {
    fn ask(
        &mut self,
        pool: &Pool,
        history: &History,
        allowed: Option<&[bool]>,
        n: usize,
    ) -> Vec<usize> {
        let closed: Vec<bool> = (0..pool.len())
            .map(|r| history.is_taken(r) || allowed.is_some_and(|a| !a[r]))
            .collect();
        if self.iteration == 0 {
            self.warm_up(pool);
        } else if self.ranking.is_none() {
            // With fewer than two results there is nothing to learn: the last scores stay.
            let _ = self.fit(pool, &history.rows(), &history.values());
        }
        if self.iteration < self.selection.iterations {
            let scores = self.scores(pool);
            let round = if scores.is_empty() { 0 } else { self.iteration.max(1) };
            let mut rows = self.selection.next_batch(&scores, &closed, round, &mut self.rng);
            self.iteration += 1;
            rows.truncate(n);
            return rows;
        }
        if self.ranking.is_none() {
            self.ranking = Some(self.ranked(pool));
        }
        let order = self.ranking.iter().flatten().copied();
        order.filter(|&r| !closed[r]).take(n.min(10)).collect()
    }

    fn save(&self, pool: &Pool) -> Vec<u8> {
        let mut state = Writer::default();
        state.rng(&self.rng);
        state.number(self.iteration);
        state.number(usize::from(self.ranking.is_some()));
        let file = match &self.fitted {
            None => None,
            Some(Fitted::Binary(r)) => Some(r.to_model(&pool.space, self.seed, String::new())),
            Some(Fitted::Unary(g)) => Some(g.to_model(&pool.space, self.seed, String::new())),
        };
        // If the file cannot be written, the ranker is fitted again from the trials.
        state.bytes(&file.and_then(|f| f.to_bytes().ok()).unwrap_or_default());
        state.finish()
    }

    fn restore(&mut self, pool: &Pool, state: &[u8]) -> Result<(), PredictError> {
        let mut state = Reader(state);
        state.rng(&mut self.rng)?;
        self.iteration = state.number()?;
        let ranked = state.number()? > 0;
        let file = state.bytes()?;
        state.end()?;
        self.fitted = match (file, &self.ranker) {
            ([], _) => None,
            (file, Ranker::Binary(_)) => {
                let file = ModelFile::from_bytes(file)?;
                Some(Fitted::Binary(Relation::from_model(&file, &pool.space)?))
            }
            (file, Ranker::Unary(_)) => {
                let file = ModelFile::from_bytes(file)?;
                Some(Fitted::Unary(GcnPredictor::from_model(&file, &pool.space)?))
            }
        };
        // Ranks the pool as it is now, without fitting again.
        self.ranking = ranked.then(|| self.ranked(pool));
        Ok(())
    }
}
