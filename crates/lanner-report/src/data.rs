//! What the page's script knows of the trials that are shown one by one.

use serde_json::{Map, Value, json};

use crate::drawing::Drawings;
use crate::facts::Facts;
use crate::text::{date, duration, number};

/// Measurements of one architecture that are listed.
const MEASUREMENTS: usize = 12;

/// `{"space": …, "trials": {id: {arch, state, facts: [[name, value], …], draw}}, "drawings": […]}`.
/// All values are texts as the page shows them.
pub(crate) fn json(facts: &Facts, drawings: &mut Drawings) -> Value {
    let report = facts.report;
    let mut order: Vec<usize> = facts.listed().to_vec();
    order.extend(facts.marked_front());
    order.extend(facts.marked_improvements().iter().rev().map(|p| p.1));
    order.extend(facts.shown.iter().copied());
    let mut images: Vec<String> = Vec::new();
    let mut places = std::collections::HashMap::new();
    let mut of_arch: std::collections::HashMap<&str, Vec<&_>> = std::collections::HashMap::new();
    let archs: std::collections::HashSet<&str> =
        facts.shown.iter().map(|&i| facts.trial(i).arch.as_str()).collect();
    for m in report.measurements.iter().filter(|m| archs.contains(m.arch.as_str())) {
        of_arch.entry(&m.arch).or_default().push(m);
    }
    let mut trials = Map::new();
    for i in order {
        let t = facts.trial(i);
        let id = t.id.to_string();
        if trials.contains_key(&id) {
            continue;
        }
        let place = *places.entry(t.arch.as_str()).or_insert_with(|| {
            let svg = drawings.of(&t.arch)?;
            images.push(svg.to_string());
            Some(images.len() - 1)
        });
        let mut rows: Vec<(String, String)> = Vec::new();
        for (name, v) in &t.metrics {
            rows.push((name.clone(), number(*v)));
        }
        for (name, (mean, sd)) in &t.predicted {
            rows.push((
                format!("{name}, predicted"),
                format!("{} ± {}", number(*mean), number(*sd)),
            ));
        }
        if let Some(all) = of_arch.get(t.arch.as_str()) {
            for m in all.iter().rev().take(MEASUREMENTS).rev() {
                let se = m.se.map_or(String::new(), |se| format!(" ± {}", number(se)));
                let name = match m.budget.is_empty() {
                    true => format!("{}, measured", m.metric),
                    false => format!("{}, measured ({})", m.metric, m.budget),
                };
                rows.push((name, format!("{}{se}", number(m.value))));
            }
        }
        rows.push(("round".into(), t.round.to_string()));
        rows.push(("seed".into(), t.seed.to_string()));
        rows.push(("asked for".into(), date(t.asked_at)));
        if let (Some(start), Some(end)) = (t.started_at, t.finished_at) {
            rows.push(("took".into(), duration(end - start)));
        }
        // In one line: what is pointed at, the objective first.
        let mut short = format!("trial {}", t.id);
        if facts.value[i].is_finite() {
            short += &format!(", {} {}", facts.objective.metric, number(facts.value[i]));
        }
        if let Some(a) = facts.across.as_ref().filter(|a| a.values[i].is_finite()) {
            short += &format!(", {} {}", a.metric, number(a.values[i]));
        }
        if !facts.within[i] {
            short += ", over a limit";
        }
        trials.insert(
            id,
            json!({
                "arch": t.arch,
                "state": t.state.name(),
                "short": short,
                "rows": rows,
                "note": t.note,
                "drawing": place,
            }),
        );
    }
    json!({ "space": report.settings.space, "trials": trials, "drawings": images })
}
