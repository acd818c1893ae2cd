//! Names the networks that somebody may prefer to the chosen one.

use lanner_search::study::Trial;

use crate::facts::Facts;

/// A network beside the chosen one, and why it is worth a look.
pub(crate) struct RunnerUp {
    pub what: String,
    pub trial: usize,
}

/// Returns the next best network; the one with the least latency (or other second metric) and the one
/// with the fewest parameters, of those at most one point worse than the chosen one.
pub(crate) fn of(facts: &Facts, chosen: usize) -> Vec<RunnerUp> {
    let mut all: Vec<RunnerUp> = Vec::new();
    let mut add = |what: String, trial: Option<usize>| {
        let Some(trial) = trial.filter(|&t| t != chosen) else { return };
        match all.iter_mut().find(|r| r.trial == trial) {
            Some(same) => same.what += &format!(", {what}"),
            None => all.push(RunnerUp { what, trial }),
        }
    };
    // With several objectives other networks are no worse: the front is their table.
    if facts.job.objectives.len() > 1 {
        return all;
    }
    let others: Vec<usize> = facts.best.iter().copied().filter(|&i| i != chosen).collect();
    add("next best".into(), others.first().copied());
    let (point, words) = point(facts, facts.value(chosen));
    let close = |i: &usize| (facts.value(*i) - facts.value(chosen)).abs() <= point * (1.0 + 1e-9);
    let close: Vec<usize> = others.into_iter().filter(close).collect();
    if let Some(second) = facts.second.as_ref().filter(|a| !a.maximise && a.metric != "params") {
        let value = |i: usize| second.values[i];
        let known = close.iter().copied().filter(|&i| value(i) < value(chosen));
        let least = known.min_by(|&a, &b| value(a).total_cmp(&value(b)));
        let what = match second.metric.ends_with("_ms") {
            true => "fastest".to_string(),
            false => format!("lowest {}", second.metric),
        };
        add(format!("{what} {words}"), least);
    }
    // A network's size is counted only where its architecture is at hand.
    let details: Option<Vec<&Trial>> = close.iter().map(|i| facts.details.get(i)).collect();
    if let (Some(trials), Some(own)) = (details, facts.details.get(&chosen)) {
        let params = |t: &Trial| facts.cost(t).map(|c| c.params);
        let sized = close.iter().zip(trials).filter_map(|(&i, t)| Some((params(t)?, i)));
        let most = params(own).unwrap_or(u64::MAX);
        let least = sized.filter(|s| s.0 < most).min();
        add(format!("smallest {words}"), least.map(|s| s.1));
    }
    all
}

/// Returns the difference that counts as one point: a percentage point, else one percent of the value.
fn point(facts: &Facts, value: f64) -> (f64, &'static str) {
    let metric = &facts.objective.metric;
    match facts.unit(metric).word {
        "%" => (1.0, "within one point"),
        _ if metric.contains("accuracy") => (0.01, "within one point"),
        _ => (0.01 * value.abs(), "within 1 %"),
    }
}
