//! Plots the search curve: the best value so far against the number of evaluations.

use crate::facts::Facts;
use crate::figure::{Figure, Key};
use crate::plot::{Axis, Mark, Plot};
use crate::text::{are, count, several};
use lanner_search::run::{Baseline, spaced};

const ID: &str = "curve";

/// From this number of evaluations on, their axis is logarithmic.
const MANY: usize = 2000;

pub(crate) fn html(facts: &Facts, given: Option<&Baseline>) -> String {
    if facts.job.objectives.len() > 1 {
        return hypervolume(facts);
    }
    let metric = &facts.objective.metric;
    let heading = format!("Best {metric} so far");
    let Some(&(_, best)) = facts.improvements.last() else { return String::new() };
    let n = facts.evaluated.len();
    let unit = facts.unit(metric);
    let reference = given.map(|b| {
        let mut b = b.clone();
        b.curve.retain(|p| p.0 <= n);
        b
    });
    let reference = reference.filter(|b| !b.curve.is_empty());
    let mut steps: Vec<(f64, f64)> =
        facts.improvements.iter().map(|&(n, i)| (n as f64, facts.value(i))).collect();
    steps.push((n as f64, facts.value(best)));

    // Bad trials would press the curve flat: the frame spans the better three quarters of the trials,
    // and both curves without their first steps.
    let mut dots: Vec<f64> =
        facts.evaluated.iter().map(|&i| facts.value(i)).filter(|v| v.is_finite()).collect();
    dots.sort_by(f64::total_cmp);
    if facts.objective.maximise {
        dots.reverse();
    }
    let kept = dots[..(dots.len() * 3).div_ceil(4)].iter().copied();
    let of_reference = reference.iter().flat_map(|r| r.curve.iter().skip(2).map(|p| p.1));
    let y = kept.chain(of_reference).chain([facts.value(best)]);
    let y = Axis::around(unit.label(metric), y).scaled(unit.scale);
    let mut plot = Plot::new(evaluations(n), y);

    if let Some(b) = &reference {
        let points: Vec<(f64, f64)> = b.curve.iter().map(|&(n, v)| (n as f64, v)).collect();
        plot.line("random", &points, false);
    }
    plot.line("search", &steps, true);
    let (mut outside, mut marked) = (0, 0);
    let better: Vec<usize> = facts.marked_improvements().iter().map(|p| p.1).collect();
    for (k, &i) in facts.evaluated.iter().enumerate() {
        let v = facts.value(i);
        if !v.is_finite() {
            continue;
        }
        if !plot.y.has(v) {
            outside += 1;
        } else if facts.shown.contains(&i) && !better.contains(&i) {
            let mark = if facts.trials.within[i] { Mark::Trial } else { Mark::Over };
            plot.trial(mark, facts.trials.id[i], (k + 1) as f64, v);
            marked += 1;
        }
    }
    for &(k, i) in facts.marked_improvements() {
        if plot.y.has(facts.value(i)) {
            plot.trial(Mark::Front, facts.trials.id[i], k as f64, facts.value(i));
        }
    }

    let mut keys = vec![
        (Key::Line("search"), "this search".to_string()),
        (Key::Mark(Mark::Front), "better than all before".into()),
        (Key::Mark(Mark::Trial), "another network".into()),
    ];
    let over =
        facts.evaluated.iter().any(|&i| facts.value(i).is_finite() && !facts.trials.within[i]);
    if over {
        keys.push((Key::Mark(Mark::Over), "over a limit".into()));
    }
    let mut caption = format!(
        "After {} the best {metric} is {}.",
        several(n, "evaluation"),
        unit.text(facts.value(best))
    );
    match reference {
        Some(b) => {
            if let Some(&(k, v)) = b.curve.last() {
                caption += &format!(
                    " The best of {} random networks would be expected at {} ({}).",
                    count(k),
                    unit.text(v),
                    b.what
                );
            }
            keys.insert(1, (Key::Line("random"), "random search".into()));
        }
        None if !facts.job.strategy.learns() => caption += " It is a random search itself.",
        None => {}
    }
    if outside > 0 {
        caption += &format!(" {} worse than the plot shows.", are(outside));
    }
    if marked + outside + facts.improvements.len() < n && n > MANY {
        caption += " Of the other networks an even sample is shown.";
    }
    Figure { id: ID, heading, plot, keys, caption }.html()
}

fn evaluations(n: usize) -> Axis {
    match n > MANY {
        true => Axis {
            label: "evaluations (logarithmic)".into(),
            low: 1.0,
            high: n as f64 * 1.1,
            log: true,
            scale: 1.0,
        },
        false => {
            let n = n as f64;
            let room = 0.02 * n.max(4.0);
            let low = if n < 8.0 { 0.5 } else { 0.0 };
            Axis { label: "evaluations".into(), low, high: n + room, log: false, scale: 1.0 }
        }
    }
}

/// Plots, for several objectives, the share of the final front's hypervolume after each evaluation.
fn hypervolume(facts: &Facts) -> String {
    let heading = "Progress of the trade-offs";
    let mut steps: Vec<(f64, f64)> =
        facts.hypervolume().into_iter().map(|(n, v)| (n as f64, v)).collect();
    let Some(&(last, v)) = steps.last() else { return String::new() };
    let n = facts.evaluated.len();
    let thin = spaced(steps.len());
    if thin.len() < steps.len() {
        steps = thin.iter().map(|&k| steps[k - 1]).collect();
    }
    steps.push((n as f64, v));
    let label = "% of the final hypervolume".into();
    let y = Axis { label, low: 0.0, high: 104.0, log: false, scale: 1.0 };
    let mut plot = Plot::new(evaluations(n), y);
    plot.line("search", &steps, true);
    let caption = format!(
        "How much of the final result was reached when: the volume that the networks which no other \
         beats enclose with the worst values seen (hypervolume), in percent of that after all {}. The \
         last gain was at evaluation {}.",
        several(n, "evaluation"),
        count(last as usize)
    );
    let keys = vec![(Key::Line("search"), "this search".to_string())];
    Figure { id: ID, heading: heading.into(), plot, keys, caption }.html()
}
