//! The parts of the page that are words and tables: summary, the best, failures, settings.

use std::collections::BTreeMap;

use lanner_search::study::State;

use crate::drawing::Drawings;
use crate::facts::Facts;
use crate::text::{count, date, duration, escape, image_address, number, several};

/// Columns of other metrics, and failures that are listed with their notes.
const METRICS: usize = 5;
const FAILURES: usize = 50;
/// Lines at the end of a failed program's output that are shown.
const LINES: usize = 40;

fn section(id: &str, heading: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\" class=\"card wide\" aria-labelledby=\"{id}-h\">\n\
         <h2 id=\"{id}-h\">{}</h2>\n{body}</section>\n",
        escape(heading)
    )
}

/// `accuracy highest, latency_ms ≤ 4`.
pub(crate) fn aim(facts: &Facts) -> String {
    let settings = &facts.report.settings;
    let mut parts: Vec<String> = (settings.objectives.iter())
        .map(|o| format!("{} {}", if o.maximise { "highest" } else { "lowest" }, o.metric))
        .collect();
    parts.extend(settings.limits.iter().map(|l| format!("{} ≤ {}", l.metric, number(l.at_most))));
    parts.join(", ")
}

/// Figures of the whole study, and the best network with its drawing.
pub(crate) fn summary(facts: &Facts, drawings: &mut Drawings) -> String {
    let settings = &facts.report.settings;
    let metric = &facts.objective.metric;
    let mut tiles: Vec<(String, String, String)> = Vec::new();
    let mut tile = |name: &str, value: String, more: String| {
        tiles.push((name.into(), value, more));
    };
    let two = settings.objectives.len() == 2;
    match facts.best.first() {
        Some(&i) => {
            let at = format!("trial {}", facts.trial(i).id);
            tile(&format!("best {metric}"), number(facts.value[i]), at);
            if let Some(across) = facts.across.as_ref().filter(|a| a.values[i].is_finite()) {
                let limit = across.limit.map(|l| format!("limit {}", number(l)));
                tile(
                    &format!("its {}", across.metric),
                    number(across.values[i]),
                    limit.unwrap_or_default(),
                );
            }
        }
        None => tile(&format!("best {metric}"), "–".into(), "nothing to choose from yet".into()),
    }
    if two {
        tile("on the front", count(facts.front.len()), "none beats another".into());
    }
    let spent = facts.evaluated.len();
    tile("evaluations", count(spent), format!("of {}", count(settings.budget)));
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
    if !facts.report.measurements.is_empty() {
        let n = facts.report.measurements.len();
        tile("measurements", count(n), "beside the evaluations".into());
    }
    let trials = &facts.report.trials;
    let own = || trials.iter().filter(|t| t.origin.is_none());
    let begin = own().map(|t| t.asked_at).fold(f64::INFINITY, f64::min);
    let end = own().filter_map(|t| t.finished_at).fold(f64::NEG_INFINITY, f64::max);
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
    section("summary", if two { "The search" } else { "The best network" }, &body)
}

fn winner(facts: &Facts, i: usize, drawings: &mut Drawings) -> String {
    let trial = facts.trial(i);
    let drawing = match drawings.of(&trial.arch) {
        Some(svg) => format!(
            "<img class=\"drawing\" alt=\"drawing of the architecture\" src=\"{}\"/>",
            image_address(svg)
        ),
        None => String::new(),
    };
    let words = match facts.report.settings.objectives.len() {
        2 => format!("The network with the best {}:", facts.objective.metric),
        _ => "Its architecture:".to_string(),
    };
    format!(
        "<div class=\"winner\"><div><p>{}</p><p><button type=\"button\" class=\"arch\" \
         data-t=\"{}\">{}</button></p></div>{drawing}</div>\n",
        escape(&words),
        trial.id,
        escape(&trial.arch)
    )
}

/// The table of the best, or of the front of two objectives.
pub(crate) fn best(facts: &Facts) -> String {
    let settings = &facts.report.settings;
    let two = settings.objectives.len() == 2;
    let listed = facts.listed();
    let all = if two { facts.front.len() } else { facts.best.len() };
    let heading = match (two, listed.len()) {
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
    let across = facts.across.iter().map(|a| &a.metric);
    let limits = settings.limits.iter().map(|l| &l.metric);
    let others = listed.iter().flat_map(|&i| facts.trial(i).metrics.keys());
    let mut columns = vec![objective];
    for name in across.chain(limits).chain(others) {
        if columns.len() <= METRICS && !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let predicted = listed.iter().any(|&i| facts.trial(i).predicted.contains_key(objective));
    let mut names: Vec<(String, bool)> = vec![("#".into(), true)];
    names.extend(columns.iter().map(|c| (c.to_string(), true)));
    if predicted {
        names.push((format!("predicted {objective}"), true));
    }
    names.push(("trial".into(), true));
    names.push(("architecture".into(), false));
    let mut rows = String::new();
    for (k, &i) in listed.iter().enumerate() {
        let trial = facts.trial(i);
        rows += &format!("<tr>{}", cell((k + 1) as f64, &count(k + 1)));
        for column in &columns {
            let v = match *column == objective {
                true => facts.value[i],
                false => facts.metric(trial, column).unwrap_or(f64::NAN),
            };
            rows += &cell(v, &number(v));
        }
        if predicted {
            let p = trial.predicted.get(objective);
            let words = p.map_or("–".into(), |p| format!("{} ± {}", number(p.0), number(p.1)));
            rows += &cell(p.map_or(f64::NAN, |p| p.0), &words);
        }
        rows += &cell(trial.id as f64, &trial.id.to_string());
        rows += &format!(
            "<td class=\"text\"><button type=\"button\" class=\"arch\" data-t=\"{}\">{}</button>\
             </td></tr>\n",
            trial.id,
            escape(&trial.arch)
        );
    }
    section("best", &heading, &table("best-table", &names, &rows))
}

fn cell(value: f64, words: &str) -> String {
    let key = if value.is_finite() { format!(" data-v=\"{value}\"") } else { String::new() };
    format!("<td{key}>{}</td>", escape(words))
}

/// A table that the script makes sortable, in a box of its own that scrolls sideways.
fn table(id: &str, names: &[(String, bool)], rows: &str) -> String {
    let mut head = String::new();
    for (name, numeric) in names {
        let class = if *numeric { "" } else { " class=\"text\"" };
        head += &format!("<th scope=\"col\"{class}>{}</th>", escape(name));
    }
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"table\">\
         <table id=\"{id}\" class=\"sortable\"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\
         </tbody></table></div>\n"
    )
}

/// Failed trials; equal last lines of output are counted, the last failures shown with their notes.
pub(crate) fn failed(facts: &Facts) -> String {
    let is_failed = |i: &&usize| facts.trial(**i).state == State::Failed;
    let failed: Vec<usize> = facts.evaluated.iter().filter(is_failed).copied().collect();
    if failed.is_empty() {
        return String::new();
    }
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for &i in &failed {
        *causes.entry(last_line(facts.trial(i).note.as_deref())).or_default() += 1;
    }
    let mut causes: Vec<(String, usize)> = causes.into_iter().collect();
    causes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut body = String::new();
    if causes.len() < failed.len() {
        body += "<p>By the last line of their notes:</p>\n<ul class=\"causes\">\n";
        for (line, n) in causes.iter().take(10) {
            body += &format!("<li>{} × <code>{}</code></li>\n", count(*n), escape(line));
        }
        body += "</ul>\n";
    }
    let last = &failed[failed.len().saturating_sub(FAILURES)..];
    if last.len() < failed.len() {
        body += &format!("<p>The last {}:</p>\n", count(last.len()));
    }
    for &i in last {
        let trial = facts.trial(i);
        let note = trial.note.as_deref().unwrap_or("no note");
        let lines: Vec<&str> = note.trim_end().lines().collect();
        let kept = lines[lines.len().saturating_sub(LINES)..].join("\n");
        // What a program prints may be a single line of megabytes.
        let start = kept.char_indices().rev().nth(8000).map_or(0, |c| c.0);
        let left_out = kept.len() < note.trim_end().len() || start > 0;
        body += &format!(
            "<details id=\"failed-{}\"><summary>trial {}: {}</summary>\n<p class=\"code\">{}</p>\n\
             <pre>{}{}</pre></details>\n",
            trial.id,
            trial.id,
            escape(&last_line(Some(note))),
            escape(&trial.arch),
            if left_out { "…\n" } else { "" },
            escape(&kept[start..])
        );
    }
    section("failed", &several(failed.len(), "failed trial"), &body)
}

/// The last line that says something, cut to a length that fits a row.
fn last_line(note: Option<&str>) -> String {
    let line = note.unwrap_or("").lines().rev().find(|l| !l.trim().is_empty());
    let line = line.map_or("no note", str::trim);
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    }
}

/// What the search was told, and how to run it again.
pub(crate) fn settings(facts: &Facts) -> String {
    let s = &facts.report.settings;
    let mut rows: Vec<(&str, String)> = vec![
        ("search space", s.space.clone()),
        ("aim", aim(facts)),
        ("strategy", s.strategy.clone()),
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
        let words = sizes.iter().filter(|p| p.0 > 0).map(|(n, what)| format!("{n} {what}"));
        rows.push(("skeleton", words.collect::<Vec<_>>().join(", ")));
    }
    let mut body = String::from("<dl class=\"settings\">\n");
    for (name, value) in rows {
        body += &format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(&value));
    }
    if let serde_json::Value::Object(driver) = &s.driver {
        for (name, value) in driver.iter().filter(|(_, v)| !v.is_null()) {
            let words = match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let (name, words) = (escape(&name.replace('_', " ")), escape(&words));
            body += &format!("<div><dt>{name}</dt><dd>{words}</dd></div>\n");
        }
    }
    body += "</dl>\n";
    if let Some(command) = &facts.report.command {
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
