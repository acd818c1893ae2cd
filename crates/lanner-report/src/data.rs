//! Makes the page script's data about the trials that are shown one by one.

use lanner_search::study::{State, Trial};
use serde_json::{Map, Value, json};

use crate::drawing::Drawings;
use crate::facts::Facts;
use crate::text::{date, duration, ending};

/// Largest number of listed measurements of one architecture.
const MEASUREMENTS: usize = 12;
/// Characters of a failed program's output that are kept, from its end; there may be a thousand such
/// trials.
const NOTE: usize = 600;

/// Returns `{"space": …, "trials": {id: {arch, state, rows: [[name, value], …], drawing}}, "drawings":
/// […]}`. All values are texts as the page shows them.
pub(crate) fn json(facts: &Facts, drawings: &mut Drawings) -> Value {
    // The first trials of this order get drawings until the room is used up.
    let mut order: Vec<usize> = facts.listed().to_vec();
    order.extend(facts.marked_front());
    order.extend(facts.marked_improvements().iter().rev().map(|p| p.1));
    order.extend(facts.shown.iter().copied());
    let mut images: Vec<String> = Vec::new();
    let mut places = std::collections::HashMap::new();
    let mut trials = Map::new();
    for i in order {
        let id = facts.trials.id[i].to_string();
        let Some(t) = facts.details.get(&i).filter(|_| !trials.contains_key(&id)) else { continue };
        let place = *places.entry(&t.arch).or_insert_with(|| {
            let svg = drawings.of(&t.arch)?;
            images.push(svg.to_string());
            Some(images.len() - 1)
        });
        let mut rows = values(facts, t);
        rows.push(("round".into(), t.round.to_string()));
        rows.push(("seed".into(), t.seed.to_string()));
        rows.push(("asked for".into(), date(t.asked_at)));
        if let (Some(start), Some(end)) = (t.started_at, t.finished_at) {
            rows.push(("took".into(), duration(end - start)));
        }
        // Text for the pointed-at trial in one line, the objective first.
        let mut short = format!("trial {id}");
        let objective = &facts.objective.metric;
        if facts.value(i).is_finite() {
            short += &format!(", {objective} {}", facts.unit(objective).text(facts.value(i)));
        }
        if let Some(a) = facts.second.as_ref().filter(|a| a.values[i].is_finite()) {
            short += &format!(", {} {}", a.metric, facts.unit(&a.metric).text(a.values[i]));
        }
        if t.state == State::Failed {
            short += ", failed";
        }
        if !facts.trials.within[i] {
            short += ", over a limit";
        }
        trials.insert(
            id,
            json!({
                "arch": facts.text(t),
                "state": t.state.name(),
                "short": short,
                "rows": rows,
                "note": t.note.as_deref().map(|note| ending(note, NOTE)),
                "drawing": place,
            }),
        );
    }
    json!({ "space": facts.job.space, "trials": trials, "drawings": images })
}

/// Returns names and values of all that is known of a trial.
pub(crate) fn values(facts: &Facts, t: &Trial) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for (name, v) in &t.metrics {
        rows.push((name.clone(), facts.unit(name).text(*v)));
    }
    let all = facts.measurements.get(&t.arch).map_or(&[][..], Vec::as_slice);
    for m in &all[all.len().saturating_sub(MEASUREMENTS)..] {
        let name = match m.budget.is_empty() {
            true => format!("{}, measured", m.metric),
            false => format!("{}, measured ({})", m.metric, m.budget),
        };
        rows.push((name, facts.unit(&m.metric).text_of(m.value, m.se.unwrap_or(f64::NAN))));
    }
    for (name, (median, sd)) in &t.predicted {
        rows.push((format!("{name}, predicted"), facts.unit(name).text_of(*median, *sd)));
    }
    rows
}
