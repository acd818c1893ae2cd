//! Makes the sections below the plots: best trials, failures, settings.

use lanner_search::study::{State, Trial};
use lanner_search::{Bound, Evaluate, Limit, Setup};

use crate::answer::aim;
use crate::facts::Facts;
use crate::text::{count, duration, escape, given, last_line, several};

/// Largest number of columns of other metrics.
const METRICS: usize = 5;
/// Number of lines of a failed program's output that are shown, from its end.
const LINES: usize = 40;

pub(crate) fn section(id: &str, heading: &str, body: &str) -> String {
    format!(
        "<section id=\"{id}\" class=\"card wide\" aria-labelledby=\"{id}-h\">\n\
         <h2 id=\"{id}-h\">{}</h2>\n{body}</section>\n",
        escape(heading)
    )
}

/// Returns the limit of a metric.
pub(crate) fn limit_of<'f>(facts: &'f Facts, metric: &str) -> Option<&'f Limit> {
    facts.job.limits.iter().find(|l| l.metric == metric)
}

/// Writes a limit beside its metric's value.
pub(crate) fn bound(facts: &Facts, limit: &Limit) -> String {
    let most = if matches!(limit.bound, Bound::AtMost(_)) { "at most" } else { "at least" };
    let word = facts.unit(&limit.metric).word;
    match word {
        "ms" | "%" | "s" => format!("limit: {most} {} {word}", given(limit.value())),
        _ => format!("limit: {most} {}", given(limit.value())),
    }
}

/// Shows an architecture that opens its details when pressed.
pub(crate) fn architecture(facts: &Facts, trial: &Trial) -> String {
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
        (true, n) if n < all => {
            format!("{} of {} networks that no other one beats", count(n), count(all))
        }
        (true, _) => "The networks that no other one beats".to_string(),
        (false, n) if n < all => format!("The best {} networks", count(n)),
        (false, _) => "All networks, the best first".to_string(),
    };
    if listed.is_empty() {
        return String::new();
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
        body += "<p>By the last line of their output:</p>\n<ul class=\"causes\">\n";
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
    rows.extend(s.setup.as_ref().into_iter().flat_map(of_setup));
    let mut body = String::from("<dl class=\"settings\">\n");
    for (name, value) in rows {
        body += &format!("<div><dt>{name}</dt><dd>{}</dd></div>\n", escape(&value));
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

/// Lists the settings of evaluations and measurements.
fn of_setup(setup: &Setup) -> Vec<(&'static str, String)> {
    let mut rows = vec![("evaluated by", setup.evaluate.to_string())];
    if matches!(setup.evaluate, Evaluate::Train | Evaluate::Proxies) {
        rows.push(("data set", setup.dataset.clone()));
    }
    if setup.evaluate == Evaluate::Train {
        rows.push(("training", several(setup.epochs, "epoch")));
    }
    if matches!(setup.evaluate, Evaluate::Command(_)) {
        rows.push(("longest call", duration(setup.timeout as f64)));
    }
    if let Some(line) = &setup.measure {
        rows.push(("measured by", line.clone()));
    }
    rows.push(("evaluations at a time", count(setup.parallel)));
    if !setup.tables.is_empty() {
        let tables: Vec<String> = setup.tables.iter().map(|t| t.to_string()).collect();
        rows.push(("looked up in", tables.join(", ")));
    }
    if setup.median_limit {
        let words = "the median of the first latencies measured, or more (no limit was given)";
        rows.push(("latency limit", words.into()));
    }
    rows
}
