//! The best architectures of a space of any size, by a predictor of any kind.
//!
//! Architectures are drawn, encoded and predicted in blocks: however many there are, only the best are in
//! memory, and all of them if a table is wanted.

use lanner_space::{Architecture, Shuffle, Space};
use rayon::prelude::*;

use super::{Predictor, Target};
use crate::{Forecast, PredictError};

/// Spaces of at most this many architectures are ranked whole: they pass one by one.
const WHOLE: u128 = 10_000_000;
/// Least predicted latency, ms.
const LEAST_MS: f64 = 1e-6;

/// The architectures that are ranked.
pub enum Ranked<'a> {
    Whole(&'a Space),
    /// The first ones of a shuffled space, and their number.
    Sample(Shuffle<'a>, u64),
    List(Vec<Architecture>),
}

impl<'a> Ranked<'a> {
    /// The architectures that a predictor was made for, or its whole space; `None` if that is too large.
    pub fn all(predictor: &'a dyn Predictor) -> Option<Ranked<'a>> {
        let space = predictor.space();
        match predictor.candidates() {
            Some(archs) => Some(Ranked::List(archs.to_vec())),
            None => (space.size() <= WHOLE).then_some(Ranked::Whole(space)),
        }
    }

    /// `count` different architectures at random.
    pub fn sample(space: &'a Space, count: u64, seed: u64) -> Result<Ranked<'a>, PredictError> {
        let most = space.distinct().max(space.choices().map_or(0, |_| space.size()));
        if count == 0 || u128::from(count) > most {
            let why = format!("a sample of {count} architectures, expected 1 to {most}");
            return Err(PredictError::Model { why });
        }
        let mut rng = lanner_nn::rng(seed, "sample to rank");
        if !space.is_counted() {
            if u128::from(count) > WHOLE {
                let why = format!("a sample of {count} architectures, expected 1 to {WHOLE}");
                return Err(PredictError::Model { why });
            }
            return Ok(Ranked::List(space.shuffled(&mut rng).take(count as usize).collect()));
        }
        Ok(Ranked::Sample(space.shuffle(&mut rng), count))
    }

    /// The number of places, of which some may be empty.
    fn places(&self) -> u128 {
        match self {
            Ranked::Whole(space) => space.size(),
            Ranked::Sample(shuffle, _) => shuffle.len(),
            Ranked::List(archs) => archs.len() as u128,
        }
    }

    fn wanted(&self) -> u64 {
        match self {
            Ranked::Sample(_, count) => *count,
            // At most ten million, or what fits in memory.
            _ => self.places() as u64,
        }
    }

    fn at(&self, place: u128) -> Option<Architecture> {
        match self {
            Ranked::Whole(space) => space.at(place).ok(),
            Ranked::Sample(shuffle, _) => shuffle.at(place),
            Ranked::List(archs) => archs.get(place as usize).cloned(),
        }
    }
}

/// An architecture among the best.
#[derive(Debug, Clone)]
pub struct Place {
    pub arch: Architecture,
    pub mean: f64,
    /// The 90 % interval, where the predictor has one.
    pub interval: Option<(f64, f64)>,
}

/// The best of many architectures.
pub struct Ranking {
    target: Target,
    top: usize,
    /// The best first; of equal ones that which came first.
    pub best: Vec<Place>,
    /// Number of ranked architectures.
    pub count: u64,
    /// All of them in their order, if that was asked for.
    pub all: Option<(Vec<Architecture>, Forecast)>,
}

impl Ranking {
    /// Ranks architectures, the same at any number of threads: the fastest first for a latency, the most
    /// accurate for an accuracy. Keeps the `top` best, and everything if `all`. `progress` is told how many
    /// are done, and of how many.
    pub fn new(
        predictor: &dyn Predictor,
        ranked: &Ranked,
        top: usize,
        all: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Ranking, PredictError> {
        let (target, all) = (predictor.target(), all.then(Default::default));
        let mut ranking = Ranking { target, top, best: Vec::new(), count: 0, all };
        let wanted = ranked.wanted();
        let block = predictor.block().min(wanted.max(1) as usize) as u128;
        let wave = 2 * rayon::current_num_threads() as u128;
        let mut place = 0;
        while place < ranked.places() && ranking.count < wanted {
            let starts: Vec<u128> = (0..wave).map(|b| place + b * block).collect();
            let blocks: Vec<(Vec<Architecture>, Forecast)> = starts
                .par_iter()
                .map(|&start| {
                    let places = start.min(ranked.places())..(start + block).min(ranked.places());
                    let archs: Vec<Architecture> = places.filter_map(|p| ranked.at(p)).collect();
                    let forecast = predictor.predict(&archs);
                    (archs, forecast)
                })
                .collect();
            for (mut archs, mut forecast) in blocks {
                let left = (wanted - ranking.count) as usize;
                archs.truncate(left);
                for values in [&mut forecast.mean, &mut forecast.low, &mut forecast.high] {
                    values.truncate(left);
                }
                ranking.add(archs, forecast);
            }
            place += wave * block;
            progress(ranking.count, wanted);
        }
        if ranking.count < wanted {
            let why = format!("{} of {wanted} architectures could be drawn", ranking.count);
            return Err(PredictError::Model { why });
        }
        Ok(ranking)
    }

    fn better(&self, a: f64, b: f64) -> bool {
        match self.target.is_minimised() {
            true => a.total_cmp(&b).is_lt(),
            false => a.total_cmp(&b).is_gt(),
        }
    }

    fn add(&mut self, archs: Vec<Architecture>, mut forecast: Forecast) {
        if self.target == Target::Latency {
            // A straight line through latencies can go below zero, which none of them does.
            for values in [&mut forecast.mean, &mut forecast.low, &mut forecast.high] {
                values.iter_mut().for_each(|v| *v = v.max(LEAST_MS));
            }
        }
        self.count += archs.len() as u64;
        for (i, arch) in archs.iter().enumerate() {
            let mean = forecast.mean[i];
            let full = self.best.len() >= self.top;
            if full && self.best.last().is_none_or(|last| !self.better(mean, last.mean)) {
                continue;
            }
            let at = self.best.partition_point(|p| !self.better(mean, p.mean));
            let interval = forecast.low.get(i).copied().zip(forecast.high.get(i).copied());
            self.best.insert(at, Place { arch: arch.clone(), mean, interval });
            self.best.truncate(self.top);
        }
        if let Some((all, values)) = &mut self.all {
            all.extend(archs);
            values.mean.extend(forecast.mean);
            values.low.extend(forecast.low);
            values.high.extend(forecast.high);
        }
    }
}
