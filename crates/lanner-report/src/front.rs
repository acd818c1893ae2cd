//! Plots the objective against latency, or the objectives against each other.

use lanner_search::study::State;

use crate::facts::{Facts, SecondAxis};
use crate::figure::{Figure, Key};
use crate::plot::{Axis, Mark, Plot};
use crate::text::{are, several};

/// Sections of the pairs of at most four objectives.
const IDS: [&str; 6] = ["front", "front-2", "front-3", "front-4", "front-5", "front-6"];

/// Plots each two of the objectives, or the only one against latency; nothing where no trial has both
/// values.
pub(crate) fn html(facts: &Facts) -> String {
    let first = facts.first_axis();
    let mut axes = vec![&first];
    axes.extend(facts.second.iter().chain(&facts.others));
    let pairs = (1..axes.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
    let sections = pairs.zip(IDS).map(|((i, j), id)| pair(facts, id, axes[j], axes[i], axes.len()));
    sections.collect()
}

fn pair(
    facts: &Facts,
    id: &'static str,
    over: &SecondAxis,
    up: &SecondAxis,
    axes: usize,
) -> String {
    let place = |i: usize| (over.values[i], up.values[i]);
    let known = |i: &usize| {
        let (x, y) = place(*i);
        x.is_finite() && y.is_finite()
    };
    let done: Vec<usize> = facts.evaluated.iter().copied().filter(known).collect();
    if done.is_empty() {
        return String::new();
    }
    let mut plot = Plot::new(frame(facts, &done, over), frame(facts, &done, up));
    if let Some(limit) = over.limit {
        plot.upright(limit, &format!("limit {}", facts.unit(&over.metric).text(limit)));
    }
    if axes == 2 {
        let mut line: Vec<(f64, f64)> = facts.front.iter().map(|&i| place(i)).collect();
        // The line runs level until the next better point: from the left where less is better, else
        // from the right.
        if over.maximise == up.maximise {
            line.reverse();
        }
        plot.line("search", &line, true);
    }
    // Networks without a value of the objective stand at the bottom edge.
    let bottom = plot.y.low + 0.035 * (plot.y.high - plot.y.low);
    let mut outside = done.iter().filter(|&&i| !plot.has(place(i).0, place(i).1)).count();
    let front = facts.marked_front();
    let mut seen = [false; 3];
    for &i in &facts.shown {
        let id = facts.trials.id[i];
        let (x, y) = place(i);
        if facts.trials.state[i] == State::Infeasible && !y.is_finite() {
            if plot.x.has(x) {
                plot.trial(Mark::Over, id, x, bottom);
                seen[2] = true;
            }
            outside += usize::from(x.is_finite() && !plot.x.has(x));
        } else if known(&i) && plot.has(x, y) && !facts.trials.imported[i] && !front.contains(&i) {
            let mark = if facts.trials.within[i] { Mark::Trial } else { Mark::Over };
            seen[usize::from(!facts.trials.within[i])] = true;
            plot.trial(mark, id, x, y);
        }
    }
    for i in front.into_iter().filter(known) {
        let (x, y) = place(i);
        if plot.has(x, y) {
            plot.trial(Mark::Front, facts.trials.id[i], x, y);
        }
    }
    let unbeaten = format!("{} that no other one beats", several(facts.front.len(), "network"));
    let mut keys = vec![(Key::Mark(Mark::Front), "no other network beats it".to_string())];
    if seen[0] {
        keys.push((Key::Mark(Mark::Trial), "another network".into()));
    }
    if seen[1] || seen[2] {
        let words =
            if seen[2] { "over a limit; at the bottom: not evaluated" } else { "over a limit" };
        keys.push((Key::Mark(Mark::Over), words.into()));
    }
    let (over_name, up_name) = (&over.metric, &up.metric);
    let mut caption = match axes {
        2 => format!(
            "Of {} there are {unbeaten}: none has both a better {up_name} and a better {over_name}.",
            several(done.len(), "evaluated network")
        ),
        _ => format!("{unbeaten} in all {} objectives are marked.", facts.job.objectives.len()),
    };
    if outside > 0 {
        caption += &format!(" {} outside the plot.", are(outside));
    }
    if done.len() > facts.shown.len() {
        caption += " Of the other networks an even sample is shown.";
    }
    let heading = format!("{up_name} against {over_name}");
    Figure { id, heading, plot, keys, caption }.html()
}

/// Makes an axis that spans the front, the limit with some of what is over it, and all evaluated
/// networks but the worst ones.
fn frame(facts: &Facts, done: &[usize], axis: &SecondAxis) -> Axis {
    let mut sorted: Vec<f64> = done.iter().map(|&i| axis.values[i]).collect();
    sorted.sort_by(f64::total_cmp);
    if axis.maximise {
        sorted.reverse();
    }
    // The worst ten percent are cut off only where they would take more than half of the frame.
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let (best, most, worst) = (at(0.0), at(0.9), at(1.0));
    let far = (worst - best).abs() > 2.0 * (most - best).abs() && sorted.len() >= 10;
    let end = if far { most } else { worst };
    let reach = 2.0 * (most - best).abs();
    let near = |v: &f64| !far || (v - best).abs() <= reach;
    let front = facts.front.iter().map(|&i| axis.values[i]).filter(|v| v.is_finite()).filter(near);
    // Beyond a limit there is room for the networks that are over it.
    let beyond = axis.limit.map(|limit| {
        let over = facts.shown.iter().map(|&i| axis.values[i]).filter(|v| v.is_finite());
        let span = 0.3 * (limit - best).abs();
        match limit > best {
            true => over.fold(limit, f64::max).min(limit + span),
            false => over.fold(limit, f64::min).max(limit - span),
        }
    });
    let unit = facts.unit(&axis.metric);
    let spanned = front.chain([best, end]).chain(axis.limit).chain(beyond);
    Axis::around(unit.label(&axis.metric), spanned).scaled(unit.scale)
}
