//! Makes the parts of the page that are words and tables: summary, best trials, failures, settings.

use lanner_search::Bound;
use lanner_search::study::{State, Trial};

use crate::data::values;
use crate::drawing::Drawings;
use crate::facts::Facts;
use crate::text::{count, date, duration, escape, image_address, last_line, number, several};

/// Largest number of columns of other metrics.
const METRICS: usize = 5;
/// Number of lines of a failed program's output that are shown, from its end.
const LINES: usize = 40;

fn section(id: &str, heading: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\" class=\"card wide\" aria-labelledby=\"{id}-h\">\n\
         <h2 id=\"{id}-h\">{}</h2>\n{body}</section>\n",
        escape(heading)
    )
}

/// Describes the aim: `accuracy highest, latency_ms ≤ 4`.
pub(crate) fn aim(facts: &Facts) -> String {
    let job = &facts.job;
    let mut parts: Vec<String> = (job.objectives.iter())
        .map(|o| format!("{} {}", if o.maximise { "highest" } else { "lowest" }, o.metric))
        .collect();
    parts.extend(job.limits.iter().map(|l| {
        let sign = if matches!(l.bound, Bound::AtMost(_)) { '≤' } else { '≥' };
        format!("{} {sign} {}", l.metric, number(l.value()))
    }));
    parts.join(", ")
}

/// Makes the section with figures of the whole study, and the best network with its drawing.
pub(crate) fn summary(facts: &Facts, drawings: &mut Drawings) -> String {
    let job = &facts.job;
    let metric = &facts.objective.metric;
    let mut tiles: Vec<(String, String, String)> = Vec::new();
    let mut tile = |name: &str, value: String, more: String| {
        tiles.push((name.into(), value, more));
    };
    let several = job.objectives.len() > 1;
    match facts.best.first() {
        Some(&i) => {
            let at = format!("trial {}", facts.trials.id[i]);
            tile(&format!("best {metric}"), facts.unit(metric).text(facts.value(i)), at);
            if let Some(second) = facts.second.as_ref().filter(|a| a.values[i].is_finite()) {
                let unit = facts.unit(&second.metric);
                let limit = second.limit.map(|l| format!("limit {}", unit.text(l)));
                let name = format!("its {}", second.metric);
                tile(&name, unit.text(second.values[i]), limit.unwrap_or_default());
            }
        }
        None => tile(&format!("best {metric}"), "–".into(), "nothing to choose from yet".into()),
    }
    if several {
        tile("on the front", count(facts.front.len()), "none beats another".into());
    }
    let spent = facts.evaluated.len();
    tile("evaluations", count(spent), format!("of {}", count(job.budget)));
    let failed = facts.state(State::Failed);
    tile("failed", count(failed), if failed > 0 { "see below" } else { "" }.into());
    let over = facts.state(State::Infeasible);
    if over > 0 {
        tile("over a limit", count(over), "not evaluated".into());
    }
    let waiting = facts.state(State::Asked) + facts.state(State::Running);
    if waiting > 0 {
        let running = facts.state(State::Running);
        tile("pending", count(waiting), format!("{} running", count(running)));
    }
    if facts.imported > 0 {
        tile("imported", count(facts.imported), "known before, not shown".into());
    }
    if facts.trials.measurements > 0 {
        tile("measurements", count(facts.trials.measurements), "beside the evaluations".into());
    }
    let (begin, end) = (facts.trials.begin, facts.trials.end);
    if begin <= end {
        tile("from first to last", duration(end - begin), date(begin));
    }
    let mut body = String::from("<dl class=\"tiles\">\n");
    for (name, value, more) in tiles {
        body += &format!(
            "<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n",
            escape(&name),
            escape(&value),
            escape(&more)
        );
    }
    body += "</dl>\n";
    if let Some(&i) = facts.best.first() {
        body += &winner(facts, i, drawings);
    }
    section("summary", if several { "The search" } else { "The best network" }, &body)
}

fn winner(facts: &Facts, i: usize, drawings: &mut Drawings) -> String {
    let Some(trial) = facts.details.get(&i) else { return String::new() };
    let drawing = match drawings.of(&trial.arch) {
        Some(svg) => format!(
            "<img class=\"drawing\" alt=\"drawing of the architecture\" src=\"{}\"/>\n",
            image_address(svg)
        ),
        None => String::new(),
    };
    let words = match facts.job.objectives.len() {
        0 | 1 => "Its architecture:".to_string(),
        _ => format!("The network with the best {}:", facts.objective.metric),
    };
    let mut rows = String::new();
    for (name, value) in values(facts, trial) {
        rows += &format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(&name), escape(&value));
    }
    format!(
        "<div class=\"winner\">{drawing}<div><p>{}</p><p>{}</p>\n<dl class=\"settings\">\n{rows}</dl>\
         </div></div>\n",
        escape(&words),
        architecture(facts, trial)
    )
}

/// Shows an architecture that opens its details when pressed.
fn architecture(facts: &Facts, trial: &Trial) -> String {
    format!(
        "<button type=\"button\" class=\"arch\" data-t=\"{}\">{}</button>",
        trial.id,
        escape(&facts.text(trial))
    )
}

/// Makes the table of the best trials, or of the front of several objectives.
pub(crate) fn best(facts: &Facts) -> String {
    let job = &facts.job;
    let several = job.objectives.len() > 1;
    let listed = facts.listed();
    let all = if several { facts.front.len() } else { facts.best.len() };
    let heading = match (several, listed.len()) {
        (true, n) if n < all => format!("{} of the {} on the front", count(n), count(all)),
        (true, _) => "The front".to_string(),
        (false, n) if n < all => format!("The best {}", count(n)),
        (false, _) => "All trials, the best first".to_string(),
    };
    if listed.is_empty() {
        let words = "<p>No trial has a value within the limits yet.</p>\n";
        return section("best", &heading, words);
    }
    let objective = facts.objective.metric.as_str();
    let others_of = job.objectives.iter().skip(1).map(|o| &o.metric);
    let second = facts.second.iter().map(|a| &a.metric).chain(others_of);
    let limits = job.limits.iter().map(|l| &l.metric);
    let details = || listed.iter().filter_map(|i| facts.details.get(i));
    let others = details().flat_map(|t| t.metrics.keys());
    let mut columns = vec![objective];
    for name in second.chain(limits).chain(others) {
        if columns.len() <= METRICS && !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let predicted = details().any(|t| t.predicted.contains_key(objective));
    let mut names: Vec<String> = vec!["#".into()];
    names.extend(columns.iter().map(|c| facts.unit(c).label(c)));
    if predicted {
        names.push(facts.unit(objective).label(&format!("predicted {objective}")));
    }
    names.push("trial".into());
    let mut rows = String::new();
    for (k, &i) in listed.iter().enumerate() {
        let Some(trial) = facts.details.get(&i) else { continue };
        rows += &format!("<tbody><tr>{}", cell((k + 1) as f64, &count(k + 1)));
        for column in &columns {
            let v = match *column == objective {
                true => facts.value(i),
                false => facts.metric(i, column),
            };
            rows += &cell(v, &facts.unit(column).digits(v));
        }
        if predicted {
            let p = trial.predicted.get(objective).copied();
            let words = p.map(|(median, sd)| facts.unit(objective).digits_of(median, sd));
            rows += &cell(p.map_or(f64::NAN, |p| p.0), &words.unwrap_or("–".into()));
        }
        rows += &cell(trial.id as f64, &trial.id.to_string());
        // An architecture gets a line of its own: some are longer than the page is wide.
        rows += &format!(
            "</tr>\n<tr><td class=\"text\" colspan=\"{}\">{}</td></tr></tbody>\n",
            names.len(),
            architecture(facts, trial)
        );
    }
    section("best", &heading, &table("best-table", &names, &rows))
}

fn cell(value: f64, words: &str) -> String {
    let key = if value.is_finite() { format!(" data-v=\"{value}\"") } else { String::new() };
    format!("<td{key}>{}</td>", escape(words))
}

/// Makes a table that the script makes sortable, in a box that scrolls sideways. Each of `bodies` is a
/// `tbody` that is sorted by the cells of its first row.
fn table(id: &str, names: &[String], bodies: &str) -> String {
    let mut head = String::new();
    for name in names {
        head += &format!("<th scope=\"col\">{}</th>", escape(name));
    }
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"table\">\
         <table id=\"{id}\" class=\"sortable\"><thead><tr>{head}</tr></thead>\n{bodies}\
         </table></div>\n"
    )
}

/// Lists failed trials: counts equal last lines of output, and shows the last failures with their
/// notes.
pub(crate) fn failed(facts: &Facts) -> String {
    let n = facts.state(State::Failed);
    if n == 0 {
        return String::new();
    }
    let mut causes: Vec<(&String, usize)> =
        facts.trials.causes.iter().map(|(line, n)| (line, *n)).collect();
    causes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut body = String::new();
    if causes.len() < n {
        body += "<p>By the last line of their notes:</p>\n<ul class=\"causes\">\n";
        for (line, n) in causes.iter().take(10) {
            body += &format!("<li>{} × <code>{}</code></li>\n", count(*n), escape(line));
        }
        body += "</ul>\n";
    }
    if facts.failed.len() < n {
        body += &format!("<p>The last {}:</p>\n", count(facts.failed.len()));
    }
    for trial in facts.failed.iter().filter_map(|i| facts.details.get(i)) {
        let note = trial.note.as_deref().unwrap_or("no note");
        let lines: Vec<&str> = note.trim_end().lines().collect();
        let kept = lines[lines.len().saturating_sub(LINES)..].join("\n");
        // A program may print a single line of megabytes.
        let start = kept.char_indices().rev().nth(8000).map_or(0, |c| c.0);
        let left_out = kept.len() < note.trim_end().len() || start > 0;
        body += &format!(
            "<details id=\"failed-{}\"><summary>trial {}: {}</summary>\n<p class=\"code\">{}</p>\n\
             <pre>{}{}</pre></details>\n",
            trial.id,
            trial.id,
            escape(&last_line(Some(note))),
            escape(&facts.text(trial)),
            if left_out { "…\n" } else { "" },
            escape(&kept[start..])
        );
    }
    section("failed", &several(n, "failed trial"), &body)
}

/// Lists the settings of the search, and the command to run it again.
pub(crate) fn settings(facts: &Facts, command: Option<&str>) -> String {
    let s = &facts.job;
    let mut rows: Vec<(&str, String)> = vec![
        ("search space", s.space.clone()),
        ("aim", aim(facts)),
        ("strategy", s.strategy.to_string()),
        ("seed", s.seed.to_string()),
        ("budget", several(s.budget, "evaluation")),
    ];
    if let Some(z) = &s.skeleton {
        let sizes = [
            (z.channels, "channels"),
            (z.cells, "cells"),
            (z.resolution, "pixels"),
            (z.classes, "classes"),
        ];
        let named = |&(n, what): &(usize, &str)| match n {
            1 => format!("1 {}", what.trim_end_matches('s')),
            _ => format!("{n} {what}"),
        };
        let words = sizes.iter().filter(|p| p.0 > 0).map(named);
        rows.push(("skeleton", words.collect::<Vec<_>>().join(", ")));
    }
    if !facts.device.is_empty() {
        let words = facts.device.iter().map(|(name, value)| match name.as_str() {
            "device" | "runtime" => value.clone(),
            _ => format!("{name} {value}"),
        });
        rows.push(("measured on", words.collect::<Vec<_>>().join(", ")));
    }
    let mut body = String::from("<dl class=\"settings\">\n");
    for (name, value) in rows {
        body += &format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(&value));
    }
    if let Some(serde_json::Value::Object(setup)) = s.setup.as_ref().map(|s| serde_json::json!(s)) {
        // The device is above, as it was measured; the options repeat the others.
        let told = |name: &str| ["command", "options", "device"].contains(&name);
        for (name, value) in setup.iter().filter(|(name, v)| !told(name) && !v.is_null()) {
            let words = words(value);
            let (name, words) = (escape(&name.replace('_', " ")), escape(&words));
            body += &format!("<div><dt>{name}</dt><dd>{words}</dd></div>\n");
        }
    }
    body += "</dl>\n";
    if let Some(command) = command {
        body += &format!(
            "<h3>To run it again</h3>\n<pre class=\"command\">{}</pre>\n\
             <p>The same seed on as many threads gives the same trials; what is measured differs \
             from run to run.</p>\n",
            escape(command)
        );
    }
    if let Some(toml) = &s.space_toml {
        body += &format!(
            "<details id=\"space-file\"><summary>the search space's file</summary><pre>{}</pre>\
             </details>\n",
            escape(toml)
        );
    }
    section("settings", "Settings", &body)
}

/// Writes a value of the setup in words: tables as `FILE:COLUMN`.
fn words(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        serde_json::Value::Object(fields) => {
            fields.values().map(words).collect::<Vec<_>>().join(":")
        }
        other => other.to_string(),
    }
}
