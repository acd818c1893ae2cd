//! Makes the first card: the network to deploy, what else was in question, and the table of choices.

use lanner_search::LATENCY;
use lanner_search::run::Comparison;
use lanner_search::study::{State, Trial};

use crate::Report;
use crate::data::values;
use crate::drawing::Drawings;
use crate::facts::Facts;
use crate::runners_up;
use crate::tables::{architecture, bound, limit_of, section};
use crate::text::{count, date, duration, escape, given, image_address, number, quoted, several};
use crate::unit::Unit;

pub(crate) fn html(report: &Report, drawings: &mut Drawings) -> String {
    let facts = &report.facts;
    let chosen = facts.chosen.and_then(|i| Some((i, facts.details.get(&i)?)));
    let is_over = facts.evaluated.len() >= facts.job.budget;
    let Some((i, trial)) = chosen else {
        let heading = if is_over { "No network was found" } else { "No network yet" };
        return section("answer", heading, &format!("<p>{}</p>\n", escape(&nothing(facts))));
    };
    let heading = match (facts.job.objectives.len() > 1, is_over) {
        (true, _) => format!("The network with the best {}", facts.objective.metric),
        (false, true) => "The network to deploy".to_string(),
        (false, false) => "The best network so far".to_string(),
    };
    let drawing = match drawings.of(&trial.arch) {
        Some(svg) => format!(
            "<figure class=\"beside\"><img class=\"drawing\" alt=\"drawing of the architecture\" \
             src=\"{}\"/></figure>\n",
            image_address(svg)
        ),
        None => String::new(),
    };
    let mut body = format!(
        "<div class=\"answer\">\n<div class=\"about\">{}<p class=\"pick\">{}</p>\n{}{}</div>\n\
         {drawing}{}</div>\n",
        rows(report, i, trial),
        architecture(facts, trial),
        deploy(report, trial),
        protocol(facts, trial),
        runners_up(facts, i, trial),
    );
    body += &report.comparison.as_ref().map_or(String::new(), |c| comparison(facts, c));
    section("answer", &heading, &body)
}

/// Says why there is no network.
fn nothing(facts: &Facts) -> String {
    let failed = facts.state(State::Failed);
    let over = facts.state(State::Infeasible);
    match facts.evaluated.len() {
        0 if over > 0 => {
            format!("Nothing is evaluated yet; {} over a limit.", crate::text::are(over))
        }
        0 => "Nothing is evaluated yet.".into(),
        n if n == failed => format!("All {} failed, see below.", several(n, "evaluation")),
        _ if facts.job.limits.is_empty() => "No evaluation gave a value.".into(),
        n => format!("None of {} gave a value within the limits.", several(n, "evaluation")),
    }
}

/// Lists what decides, a line each.
fn rows(report: &Report, i: usize, trial: &Trial) -> String {
    let facts = &report.facts;
    let mut rows: Vec<(String, String, String)> = Vec::new();
    let mut add = |name: &str, value: String, note: String| rows.push((name.into(), value, note));
    let limit = |metric: &str| limit_of(facts, metric).map_or(String::new(), |l| bound(facts, l));
    let objectives = || facts.job.objectives.iter().map(|o| o.metric.as_str());
    for metric in objectives().filter(|m| *m != LATENCY) {
        let v =
            if metric == facts.objective.metric { facts.value(i) } else { facts.metric(i, metric) };
        add(metric, facts.unit(metric).text(v), limit(metric));
    }
    // The accuracies of a training, as in the command's table.
    for metric in ["val_accuracy", "test_accuracy"] {
        if let Some(v) = trial.metrics.get(metric).filter(|_| objectives().all(|o| o != metric)) {
            add(metric, facts.unit(metric).text(*v), limit(metric));
        }
    }
    let all = facts.measurements.get(&trial.arch).map_or(&[][..], Vec::as_slice);
    if let Some(m) = all.iter().rfind(|m| m.metric == LATENCY) {
        let se = m.se.filter(|se| *se > 0.0).unwrap_or(f64::NAN);
        add(LATENCY, facts.unit(LATENCY).text_of(m.value, se), limit(LATENCY));
    } else if facts.metric(i, LATENCY).is_finite() {
        add(LATENCY, facts.unit(LATENCY).text(facts.metric(i, LATENCY)), limit(LATENCY));
    }
    if let Some(cost) = facts.cost(trial) {
        add("FLOPs", scaled(cost.flops as f64), limit("flops"));
        add("parameters", scaled(cost.params as f64), limit("params"));
        add("memory at the peak", bytes(cost.peak_bytes as f64), limit("memory_bytes"));
    }
    let counted = ["flops", "params", "memory_bytes", LATENCY];
    for l in facts.job.limits.iter().filter(|l| !counted.contains(&l.metric.as_str())) {
        if objectives().all(|o| o != l.metric) && facts.metric(i, &l.metric).is_finite() {
            let value = facts.unit(&l.metric).text(facts.metric(i, &l.metric));
            add(&l.metric, value, bound(facts, l));
        }
    }
    for (name, value) in device(facts) {
        add(&name, String::new(), value);
    }
    let mut out = String::from("<dl class=\"rows\">\n");
    for (name, value, note) in rows {
        let note = match note.is_empty() {
            true => note,
            false => format!(" <small>{}</small>", escape(&note)),
        };
        out += &format!("<div><dt>{}</dt><dd>{}{note}</dd></div>\n", escape(&name), escape(&value));
    }
    out + "</dl>\n"
}

/// Names the device whose latencies count, as far as the study knows it, and its runtime.
fn device(facts: &Facts) -> Vec<(String, String)> {
    let column = facts.job.setup.as_ref().and_then(|s| s.latency_column());
    if let Some((file, column)) = column {
        let file = file.file_name().unwrap_or_default().to_string_lossy();
        return vec![("device".into(), format!("{column} of {file}"))];
    }
    let named = |name: &str| facts.device.iter().find(|f| f.0 == name).cloned();
    let mut rows: Vec<(String, String)> =
        ["device", "runtime"].into_iter().filter_map(named).collect();
    let rest = facts.device.iter().filter(|f| !["device", "runtime"].contains(&f.0.as_str()));
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name} {value}")).collect();
    match rows.last_mut() {
        Some(last) if !rest.is_empty() => last.1 += &format!(", {}", rest.join(", ")),
        None if !rest.is_empty() => rows.push(("device".into(), rest.join(", "))),
        _ => {}
    }
    rows
}

/// Formats a count with a unit of thousands, millions or billions.
fn scaled(v: f64) -> String {
    match v {
        v if v >= 1e9 => format!("{} billion", short(v / 1e9)),
        v if v >= 1e6 => format!("{} million", short(v / 1e6)),
        v => count(v as usize),
    }
}

fn bytes(v: f64) -> String {
    match v {
        v if v >= 1e6 => format!("{} MB", short(v / 1e6)),
        v => format!("{} kB", short(v / 1e3)),
    }
}

/// Formats a number with three digits.
fn short(v: f64) -> String {
    match v {
        v if v < 0.1 => number(v),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Says where the network is, or how to write it.
fn deploy(report: &Report, trial: &Trial) -> String {
    if report.is_handed_over {
        return "<p><code>best.onnx</code> beside this page has the trained network.</p>\n".into();
    }
    let facts = &report.facts;
    let mut line = format!("lanner network {}", quoted(&facts.text(trial)));
    line += &format!(" --space {}", quoted(&facts.job.space));
    if let Some(z) = &facts.job.skeleton {
        for (name, n) in [
            ("channels", z.channels),
            ("cells", z.cells),
            ("resolution", z.resolution),
            ("classes", z.classes),
        ] {
            if n > 0 {
                line += &format!(" --{name} {n}");
            }
        }
    }
    format!(
        "<details id=\"as-onnx\"><summary>As ONNX, with random weights</summary>\n\
         <pre class=\"command\">{}</pre></details>\n",
        escape(&(line + " --onnx network.onnx"))
    )
}

/// Folds away how the values of the network came about.
fn protocol(facts: &Facts, trial: &Trial) -> String {
    let mut rows = values(facts, trial);
    rows.push(("trial".into(), trial.id.to_string()));
    rows.push(("seed".into(), trial.seed.to_string()));
    rows.push(("asked for".into(), date(trial.asked_at)));
    if let (Some(start), Some(end)) = (trial.started_at, trial.finished_at) {
        rows.push(("evaluation took".into(), duration(end - start)));
    }
    let mut out = String::from(
        "<details id=\"protocol\"><summary>How this was measured</summary>\n<dl class=\"settings\">\n",
    );
    for (name, value) in rows {
        out += &format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(&name), escape(&value));
    }
    let sure = match facts.job.limits.is_empty() {
        true => "",
        false => {
            " A limit counts as kept where it holds with a probability of at least 95 %, given the \
             standard error and the drift of the machine."
        }
    };
    out + &format!(
        "</dl>\n<p>After ± stands the standard error of a measurement, or the standard deviation of a \
         prediction. Predictions were made before the network was measured or evaluated.{sure}</p>\
         </details>\n"
    )
}

/// Shows the networks that somebody may prefer, below the chosen one.
fn runners_up(facts: &Facts, chosen: usize, trial: &Trial) -> String {
    let others = runners_up::of(facts, chosen);
    if others.is_empty() {
        return String::new();
    }
    let objective = facts.objective.metric.as_str();
    let second = facts.second.as_ref().map(|a| a.metric.as_str());
    let second = second.filter(|m| !["params", "flops"].contains(m));
    let mut names = vec!["network".to_string(), facts.unit(objective).label(objective)];
    names.extend(second.map(|m| facts.unit(m).label(m)));
    names.extend(["FLOPs (M)".into(), "params (M)".into()]);
    let line = |what: &str, i: usize, t: &Trial| {
        let cost = facts.cost(t);
        let part = |n: Option<u64>| n.map_or("–".into(), |n| short(n as f64 / 1e6));
        let mut cells = vec![facts.unit(objective).digits(facts.value(i))];
        cells.extend(second.map(|m| facts.unit(m).digits(facts.metric(i, m))));
        cells.push(part(cost.as_ref().map(|c| c.flops)));
        cells.push(part(cost.as_ref().map(|c| c.params)));
        let cells: String = cells.iter().map(|c| format!("<td>{}</td>", escape(c))).collect();
        let open = format!(
            "<button type=\"button\" class=\"arch\" data-t=\"{}\">trial {}</button>",
            t.id, t.id
        );
        format!("<tr><th scope=\"row\">{} {open}</th>{cells}</tr>\n", escape(what))
    };
    let mut rows = line("chosen", chosen, trial);
    for other in &others {
        if let Some(t) = facts.details.get(&other.trial) {
            rows += &line(&other.what, other.trial, t);
        }
    }
    let head: String =
        names.iter().map(|n| format!("<th scope=\"col\">{}</th>", escape(n))).collect();
    format!(
        "<div class=\"others\"><h3>Runners-up</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"runners-up\"><table id=\"runners-up\"><thead><tr>{head}</tr></thead>\n<tbody>\n\
         {rows}</tbody></table></div></div>\n"
    )
}

/// Shows the table that the command prints at the end, in its words.
fn comparison(facts: &Facts, comparison: &Comparison) -> String {
    if comparison.rows.len() < 2 {
        return String::new();
    }
    let mut names: Vec<&str> = facts.job.objectives.iter().map(|o| o.metric.as_str()).collect();
    for name in comparison.rows.iter().flat_map(|r| r.metrics.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.retain(|n| *n != LATENCY);
    let rows = &comparison.rows;
    let (has_latency, has_predicted) =
        (rows.iter().any(|r| r.latency.is_some()), rows.iter().any(|r| r.predicted_ms.is_some()));
    let mut head: Vec<String> = vec!["choice".into()];
    head.extend(names.iter().map(|n| facts.unit(n).label(n)));
    head.extend(has_latency.then(|| LATENCY.into()));
    head.extend(has_predicted.then(|| "predicted_ms".into()));
    let unit = facts.unit(LATENCY);
    let cell = |unit: &Unit, v: Option<f64>| v.map_or(String::new(), |v| unit.digits(v));
    let (mut body, mut how) = (String::new(), String::new());
    for row in rows {
        let mut cells: Vec<String> =
            names.iter().map(|n| cell(&facts.unit(n), row.metrics.get(*n).copied())).collect();
        let latency = |l: lanner_search::run::Latency| {
            let se = if l.se > 0.0 { l.se } else { f64::NAN };
            unit.digits_of(l.ms, se)
        };
        cells.extend(has_latency.then(|| row.latency.map_or(String::new(), latency)));
        cells.extend(has_predicted.then(|| cell(&unit, row.predicted_ms)));
        let cells: String = cells.iter().map(|c| format!("<td>{}</td>", escape(c))).collect();
        body += &format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(&row.choice));
        if let Some(words) = &row.how {
            let words = escape(&format!("{}: {words}", row.choice));
            how += &match &row.arch {
                Some(arch) => format!(
                    "<li><details id=\"size\"><summary>{words}</summary><code>{}</code></details></li>\n",
                    escape(arch)
                ),
                None => format!("<li>{words}</li>\n"),
            };
        }
    }
    let head: String =
        head.iter().map(|n| format!("<th scope=\"col\">{}</th>", escape(n))).collect();
    format!(
        "<h3>Beside choices without a search</h3>\n<div class=\"scroll\" tabindex=\"0\" \
         role=\"region\" aria-label=\"choices\"><table id=\"choices\"><thead><tr>{head}</tr></thead>\n\
         <tbody>\n{body}</tbody></table></div>\n<ul class=\"how\">\n{how}</ul>\n"
    )
}

/// Tells in a line how far the search is.
pub(crate) fn progress(facts: &Facts) -> String {
    let (spent, budget) = (facts.evaluated.len(), facts.job.budget);
    let mut parts = vec![format!("{} of {}", count(spent), several(budget, "evaluation"))];
    let mut add = |n: usize, what: String| {
        if n > 0 {
            parts.push(what);
        }
    };
    let failed = facts.state(State::Failed);
    add(failed, format!("{} failed", count(failed)));
    let running = facts.state(State::Running);
    add(running, format!("{} running", count(running)));
    let over = facts.state(State::Infeasible);
    add(over, format!("{} over a limit, not evaluated", several(over, "network")));
    let (measured, looked_up) = (facts.trials.measurements, facts.trials.looked_up);
    add(measured, several(measured, "measurement"));
    add(looked_up, format!("{} looked up", several(looked_up, "value")));
    let imported = facts.imported;
    add(imported, format!("{} known before, not shown", count(imported)));
    let (begin, end) = (facts.trials.begin, facts.trials.end);
    if begin <= end {
        parts.push(format!("{} from {}", duration(end - begin), date(begin)));
    }
    parts.join(" · ")
}

/// Describes the aim: `highest accuracy within latency_ms ≤ 4`.
pub(crate) fn aim(facts: &Facts) -> String {
    let job = &facts.job;
    let end = |maximise: bool| if maximise { "highest" } else { "lowest" };
    let all: Vec<String> =
        job.objectives.iter().map(|o| format!("{} {}", end(o.maximise), o.metric)).collect();
    let limits: Vec<String> = (job.limits.iter())
        .map(|l| {
            let sign =
                if matches!(l.bound, lanner_search::Bound::AtMost(_)) { "≤" } else { "≥" };
            format!("{} {sign} {}", l.metric, given(l.value()))
        })
        .collect();
    match limits.is_empty() {
        true => all.join(", "),
        false => format!("{} within {}", all.join(", "), limits.join(", ")),
    }
}
