//! Shows the quality of the predictor: predictions from the time of asking against actual values.

use lanner_predict::metrics::{ranks, spearman};

use crate::facts::Facts;
use crate::figure::{Figure, Key};
use crate::plot::{Axis, Mark, Plot};
use crate::text::{count, several};

/// Number of standard deviations to each side that hold 90 % of a normal distribution.
const NINETY: f64 = 1.644_853_6;
/// Least number of pairs for a rank correlation.
const FEW: usize = 8;
/// Largest number of points of the correlation over rounds.
const GROUPS: usize = 40;
/// Largest number of intervals in a plot.
const INTERVALS: usize = 250;

/// A trial's prediction and its actual value.
struct Pair {
    trial: usize,
    mean: f64,
    sd: f64,
    actual: f64,
}

fn pairs(facts: &Facts, metric: &str) -> Vec<Pair> {
    let trials = &facts.trials;
    let (Some(predicted), Some(actual)) = (trials.predicted.get(metric), trials.known.get(metric))
    else {
        return Vec::new();
    };
    let both = predicted.iter().zip(actual).enumerate();
    both.filter(|(i, (p, actual))| !trials.imported[*i] && p.0.is_finite() && actual.is_finite())
        .map(|(trial, (&(mean, sd), &actual))| Pair { trial, mean, sd, actual })
        .collect()
}

/// Plots each predicted metric except the first objective, at most three.
pub(crate) fn metrics(facts: &Facts) -> String {
    let mut names: Vec<&str> = facts.trials.predicted.keys().map(String::as_str).collect();
    names.retain(|n| *n != facts.objective.metric);
    let ids = ["predicted", "predicted-2", "predicted-3"];
    names.iter().zip(ids).map(|(name, id)| one(facts, name, id)).collect()
}

fn one(facts: &Facts, metric: &str, id: &'static str) -> String {
    let heading = format!("Predicted against measured {metric}");
    let all = pairs(facts, metric);
    let shown: Vec<&Pair> = all.iter().filter(|p| facts.shown.contains(&p.trial)).collect();
    if shown.len() < 3 {
        return String::new();
    }
    let both = || all.iter().flat_map(|p| [p.mean, p.actual]);
    let unit = facts.unit(metric);
    let axis = |label: String| Axis::around(label, both()).scaled(unit.scale);
    let name = unit.label(metric);
    let mut plot = Plot::new(axis(format!("measured {name}")), axis(format!("predicted {name}")));
    let (low, high) = (plot.x.low, plot.x.high);
    plot.line("equal", &[(low, low), (high, high)], false);
    let step = shown.len().div_ceil(INTERVALS).max(1);
    for p in shown.iter().step_by(step) {
        plot.interval(p.actual, p.mean - NINETY * p.sd, p.mean + NINETY * p.sd);
    }
    for p in &shown {
        plot.trial(Mark::Trial, facts.trials.id[p.trial], p.actual, p.mean);
    }
    let with_sd: Vec<&Pair> = all.iter().filter(|p| p.sd.is_finite() && p.sd > 0.0).collect();
    let inside = with_sd.iter().filter(|p| (p.actual - p.mean).abs() <= NINETY * p.sd).count();
    let close = |p: &&Pair| (p.mean - p.actual).abs() <= 0.1 * p.actual.abs();
    let mut keys = vec![
        (Key::Line("equal"), "predicted = measured".to_string()),
        (Key::Mark(Mark::Trial), "a network".into()),
    ];
    let mut caption = format!(
        "{}, each predicted before it was measured: {} within ±10 %",
        several(all.len(), "network"),
        share(all.iter().filter(close).count(), all.len())
    );
    if !with_sd.is_empty() {
        keys.push((Key::Line("interval"), "predicted range (90 %)".into()));
        caption += &format!(
            ", {} in their predicted ranges, which should hold 90 %",
            share(inside, with_sd.len())
        );
    }
    caption += ".";
    if let Some(rho) = correlation(&all) {
        caption += &format!(" {}", order(rho));
    }
    if all.len() > shown.len() {
        caption += " An even sample is shown.";
    }
    Figure { id, heading, plot, keys, caption }.html()
}

/// Says how well two orders agree.
fn order(rho: f64) -> String {
    format!("Agreement of the order (Spearman's ρ; 1 is perfect, 0 is chance): {rho:.2}.")
}

fn share(n: usize, of: usize) -> String {
    match of {
        0..20 => format!("{n} of {of}"),
        _ => format!("{:.0} %", 100.0 * n as f64 / of as f64),
    }
}

fn correlation(pairs: &[Pair]) -> Option<f64> {
    let mean: Vec<f64> = pairs.iter().map(|p| p.mean).collect();
    let actual: Vec<f64> = pairs.iter().map(|p| p.actual).collect();
    let rho = spearman(&mean, &actual);
    (pairs.len() >= FEW && rho.is_finite()).then_some(rho)
}

/// Plots predicted against actual ranks, and how well both agree over rounds.
pub(crate) fn ranking(facts: &Facts) -> String {
    let metric = &facts.objective.metric;
    let heading = format!("Predicted and actual rank of {metric}");
    let all = pairs(facts, metric);
    if all.len() < FEW {
        return String::new();
    }
    let sign = if facts.objective.maximise { -1.0 } else { 1.0 };
    let rank = |of: fn(&Pair) -> f64| {
        let mut ranks = ranks(&all.iter().map(|p| sign * of(p)).collect::<Vec<_>>());
        ranks.iter_mut().for_each(|r| *r += 1.0);
        ranks
    };
    let (predicted, actual) = (rank(|p| p.mean), rank(|p| p.actual));
    let n = all.len() as f64;
    let axis = |label: &str| Axis::around(label, [1.0, n]);
    let mut plot = Plot::new(axis("actual rank (1: the best)"), axis("predicted rank"));
    plot.line("equal", &[(1.0, 1.0), (n, n)], false);
    let marks = [Mark::Early, Mark::Middle, Mark::Late];
    for (k, p) in all.iter().enumerate() {
        if facts.shown.contains(&p.trial) {
            plot.trial(marks[3 * k / all.len()], facts.trials.id[p.trial], actual[k], predicted[k]);
        }
    }
    let keys = vec![
        (Key::Line("equal"), "equal ranks".to_string()),
        (Key::Mark(Mark::Early), "first third of the networks".into()),
        (Key::Mark(Mark::Middle), "second third".into()),
        (Key::Mark(Mark::Late), "last third".into()),
    ];
    let mut caption = format!(
        "{}, each predicted before it was evaluated, by what was known then.",
        several(all.len(), "network")
    );
    if let Some(rho) = correlation(&all) {
        caption += &format!(" {}", order(rho));
    }
    let scatter = Figure { id: "ranks", heading, plot, keys, caption }.html();
    scatter + &over_rounds(facts, &all)
}

/// Plots the correlation over rounds; rounds in a row are joined until there are enough pairs.
fn over_rounds(facts: &Facts, all: &[Pair]) -> String {
    let heading = "How well networks were ranked as the search went on";
    let least = FEW.max(all.len().div_ceil(GROUPS));
    let mut points = Vec::new();
    let mut start = 0;
    for k in 1..=all.len() {
        let round = |k: usize| facts.trials.round[all[k].trial];
        let ends = k == all.len() || round(k) != round(k - 1);
        if ends && k - start >= least {
            if let Some(rho) = correlation(&all[start..k]) {
                points.push((f64::from(round(k - 1)), rho));
            }
            start = k;
        }
    }
    let Some(&(_, last)) = points.last().filter(|_| points.len() > 1) else {
        return String::new();
    };
    let low = points.iter().map(|p| p.1).fold(0.0, f64::min);
    let (label, low) = ("Spearman's ρ".into(), low.min(-0.05) - 0.05);
    let y = Axis { label, low, high: 1.05, log: false, scale: 1.0 };
    let x = Axis::around("round", points.iter().map(|p| p.0).chain([0.0]));
    let mut plot = Plot::new(x, y);
    plot.line("zero", &[(plot.x.low, 0.0), (plot.x.high, 0.0)], false);
    plot.line("search", &points, false);
    for &(x, y) in &points {
        plot.dot(Mark::Trial, "trial", x, y);
    }
    let caption = format!(
        "Each point: {} or more networks in a row, the order of their predictions against that of their \
         values (Spearman's ρ; 1 is perfect, 0 is chance); {last:.2} at the end. Later networks are \
         harder to rank, since all of them were predicted to be good.",
        count(least)
    );
    let keys = vec![(Key::Line("search"), "predicted and actual order".to_string())];
    Figure { id: "rounds", heading: heading.into(), plot, keys, caption }.html()
}
