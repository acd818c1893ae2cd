//! Plots the objective against latency, or against the second objective, with the front.

use lanner_search::study::State;

use crate::facts::Facts;
use crate::figure::{Figure, Key, nothing};
use crate::plot::{Axis, Mark, Plot};
use crate::text::several;

const ID: &str = "front";

pub(crate) fn html(facts: &Facts) -> String {
    let metric = &facts.objective.metric;
    let Some(second) = &facts.second else {
        return nothing(
            ID,
            "Trade-offs",
            "The trials have no second metric, such as a latency, to set against the objective.",
        );
    };
    let heading = format!("{metric} against {}", second.metric);
    let place = |i: usize| (second.values[i], facts.value(i));
    let known = |i: &usize| {
        let (x, y) = place(*i);
        x.is_finite() && y.is_finite()
    };
    let done: Vec<usize> = facts.evaluated.iter().copied().filter(known).collect();
    if done.is_empty() {
        return nothing(ID, &heading, "No trial has both values yet.");
    }
    let (x, y) = (frame(facts, &done, true), frame(facts, &done, false));
    let mut plot = Plot::new(x, y);
    if let Some(limit) = second.limit {
        plot.upright(limit, &format!("limit {}", facts.unit(&second.metric).text(limit)));
    }
    let mut line: Vec<(f64, f64)> = facts.front.iter().map(|&i| place(i)).collect();
    // The line runs level until the next better point: from the left where less is better, else from
    // the right.
    if second.maximise == facts.objective.maximise {
        line.reverse();
    }
    plot.line("search", &line, true);
    let outside = done.iter().filter(|&&i| !plot.has(place(i).0, place(i).1)).count();
    let front = facts.marked_front();
    let mut seen = [false; 3];
    for &i in &facts.shown {
        let id = facts.trials.id[i];
        let (x, y) = place(i);
        if facts.trials.state[i] == State::Infeasible && plot.x.has(x) {
            // Without a value of the objective, the mark is on the base line.
            let base = plot.y.low;
            plot.trial(Mark::Over, id, x, base);
            seen[2] = true;
        } else if known(&i) && plot.has(x, y) && !facts.trials.imported[i] && !front.contains(&i) {
            let mark = if facts.trials.within[i] { Mark::Trial } else { Mark::Over };
            seen[usize::from(!facts.trials.within[i])] = true;
            plot.trial(mark, id, x, y);
        }
    }
    for &i in &front {
        plot.trial(Mark::Front, facts.trials.id[i], place(i).0, place(i).1);
    }
    let mut keys = vec![(Key::Mark(Mark::Front), "the front".to_string())];
    if seen[0] {
        keys.push((Key::Mark(Mark::Trial), "a trial".into()));
    }
    if seen[1] {
        keys.push((Key::Mark(Mark::Over), "over a limit".into()));
    }
    if seen[2] {
        keys.push((Key::Mark(Mark::Over), "on the base: over a limit, not evaluated".into()));
    }
    let mut caption = format!(
        "{} of {} on the front: no other has both a better {metric} and a better {}.",
        several(facts.front.len(), "network"),
        several(done.len(), "trial"),
        second.metric
    );
    if outside > 0 {
        caption += &format!(" {} outside the frame.", several(outside, "trial"));
    }
    if done.len() > facts.shown.len() {
        caption += " Of those not on the front an even sample is shown.";
    }
    Figure { id: ID, heading, plot, keys, caption }.html()
}

/// Makes an axis that spans the whole front, the limit, and all trials but the worst ones.
fn frame(facts: &Facts, done: &[usize], is_x: bool) -> Axis {
    let Some(second) = &facts.second else { return Axis::around("", []) };
    let (metric, values, maximise) = match is_x {
        true => (&second.metric, &second.values, second.maximise),
        false => (&facts.objective.metric, &facts.trials.value, facts.objective.maximise),
    };
    let mut sorted: Vec<f64> = done.iter().map(|&i| values[i]).collect();
    sorted.sort_by(f64::total_cmp);
    if maximise {
        sorted.reverse();
    }
    // The worst ten percent are cut off only where they would take more than half of the frame.
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let (best, most, worst) = (at(0.0), at(0.9), at(1.0));
    let far = (worst - best).abs() > 2.0 * (most - best).abs() && sorted.len() >= 10;
    let end = if far { most } else { worst };
    let front = facts.front.iter().map(|&i| values[i]);
    let limit = second.limit.filter(|_| is_x);
    let unit = facts.unit(metric);
    Axis::around(unit.label(metric), front.chain([best, end]).chain(limit)).scaled(unit.scale)
}
