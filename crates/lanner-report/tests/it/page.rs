//! Properties of the page, as XML.

use std::collections::{BTreeSet, HashSet};

use crate::common::{HOSTILE, MadeUp, all, settings, study};
use lanner_report::{Baseline, Choice, Comparison};
use lanner_search::study::State;

/// The page as XML: without its first line, and with style and scripts as text.
fn xml(html: &str) -> String {
    let body = html.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let mut out = String::new();
    let mut rest = body;
    while let Some(at) = ["<script", "<style"].iter().filter_map(|t| rest.find(t)).min() {
        let open = at + rest[at..].find('>').unwrap() + 1;
        let close = open + rest[open..].find("</").unwrap();
        out += &rest[..open];
        out += &rest[open..close].replace('&', "&amp;").replace('<', "&lt;");
        rest = &rest[close..];
    }
    out + rest
}

fn trials_of(doc: &roxmltree::Document, section: &str, class: &str) -> BTreeSet<i64> {
    let section = doc.descendants().find(|n| n.attribute("id") == Some(section)).unwrap();
    let of_class = |n: &roxmltree::Node| n.attribute("class") == Some(class);
    let marks = section.descendants().filter(of_class);
    marks.filter_map(|n| n.attribute("data-t")?.parse().ok()).collect()
}

#[test]
fn every_kind_of_study_gives_a_whole_page_that_loads_nothing() {
    for (name, report) in all() {
        let html = report.html();
        assert_eq!(html, report.html(), "{name}: not deterministic");
        assert!(html.len() < 5_000_000, "{name}: {} bytes", html.len());
        let text = xml(&html);
        let doc = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut ids = HashSet::new();
        for node in doc.descendants() {
            if let Some(id) = node.attribute("id") {
                assert!(ids.insert(id), "{name}: two elements are '{id}'");
            }
            for attribute in node.attributes() {
                let (key, value) = (attribute.name(), attribute.value());
                assert!(!key.starts_with("on"), "{name}: {key}={value}");
                let loads = ["href", "src", "action", "srcset", "poster"].contains(&key);
                assert!(!loads || value.starts_with("data:"), "{name}: {key}={value}");
            }
            if let Some(of) = node.attribute("aria-labelledby").filter(|of| *of != "details-h") {
                assert!(text.contains(&format!("id=\"{of}\"")), "{name}: no {of}");
            }
        }
        let all = ["answer", "curve", "front", "predicted", "ranks", "rounds", "best", "settings"];
        let there: Vec<&str> = all.into_iter().filter(|s| ids.contains(*s)).collect();
        match name {
            "limited" | "large" => assert_eq!(there, all, "{name}"),
            "empty" => assert_eq!(there, ["answer", "settings"]),
            _ => assert!(ids.contains("answer") && ids.contains("settings"), "{name}"),
        }
        let pairs = (1..).map(|k| if k == 1 { "front".into() } else { format!("front-{k}") });
        let pairs = pairs.take_while(|id: &String| ids.contains(id.as_str())).count();
        match name {
            "three" => assert_eq!(pairs, 3),
            "four" => assert_eq!(pairs, 6),
            _ => assert!(pairs <= 1, "{name}"),
        }
        // No script and no style but those whose hashes the policy names.
        assert!(!html.contains("unsafe-inline") && !html.contains(" style="), "{name}");
        let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        assert!(!style.contains("url(") && !style.contains("@import"));
        for part in ["NaN", "inf,", "inf "] {
            let plots = doc.descendants().filter_map(|n| n.attribute("d").or(n.attribute("cx")));
            assert!(plots.clone().all(|d| !d.contains(part)), "{name}: {part} in a plot");
        }
    }
}

#[test]
fn nothing_from_a_study_becomes_markup() {
    for (name, report) in all() {
        let html = report.html();
        assert!(!html.contains("<img src=x"), "{name}");
        assert_eq!(html.matches("<script").count(), 2, "{name}");
        assert_eq!(html.matches("</script").count(), 2, "{name}");
        assert!(!html.contains("<!--"), "{name}");
    }
    // The note is there as text: the last lines of what the program printed.
    let (_, failed) = all().into_iter().find(|s| s.0 == "failed").unwrap();
    let text = xml(&failed.html());
    let doc = roxmltree::Document::parse(&text).unwrap();
    let notes: Vec<&str> =
        doc.descendants().filter(|n| n.has_tag_name("pre")).filter_map(|n| n.text()).collect();
    let note = HOSTILE.replace('\u{1b}', "\u{fffd}");
    assert_eq!(notes.iter().filter(|n| **n == note).count(), failed.trials.len());
}

/// The trials that no other one beats, found by comparing all with all.
fn front(report: &MadeUp) -> BTreeSet<i64> {
    let limit = report.settings.limits.first().map_or(f64::INFINITY, |l| l.value());
    let points: Vec<(i64, f64, f64)> = (report.trials.iter())
        .filter(|t| t.state == State::Done)
        .map(|t| {
            let again = report.measurements.iter().rev().find(|m| m.arch == t.arch);
            let latency = again.map_or(t.metrics["latency_ms"], |m| m.value);
            (t.id, latency, t.metrics["accuracy"])
        })
        .filter(|p| p.1 <= limit)
        .collect();
    let beaten = |p: &(i64, f64, f64)| {
        points.iter().any(|q| q.1 <= p.1 && q.2 >= p.2 && (q.1 < p.1 || q.2 > p.2))
    };
    points.iter().filter(|p| !beaten(p)).map(|p| p.0).collect()
}

#[test]
fn front_and_improvements_are_marked() {
    for (name, report) in all() {
        if !["limited", "two", "large"].contains(&name) {
            continue;
        }
        let text = xml(&report.html());
        let doc = roxmltree::Document::parse(&text).unwrap();
        // The worst end of a front may be outside the frame.
        let (marked, all) = (trials_of(&doc, "front", "m front"), front(&report));
        assert!(marked.is_subset(&all) && marked.len() * 10 >= all.len() * 9, "{name}");
    }
    let report = study(settings(&[("accuracy", true)], None, 90), 90);
    let text = xml(&report.html());
    let doc = roxmltree::Document::parse(&text).unwrap();
    let mut best = f64::NEG_INFINITY;
    let mut better = BTreeSet::new();
    let mut done = BTreeSet::new();
    for t in report.trials.iter().filter(|t| t.state == State::Done) {
        done.insert(t.id);
        if t.metrics["accuracy"] > best {
            best = t.metrics["accuracy"];
            better.insert(t.id);
        }
    }
    // The first improvements may be below the frame.
    let marked = trials_of(&doc, "curve", "m front");
    assert!(marked.is_subset(&better) && marked.last() == better.last());
    // Every trial of a small study is in the plot of the front.
    let both: BTreeSet<i64> = trials_of(&doc, "front", "m front")
        .union(&trials_of(&doc, "front", "m trial"))
        .copied()
        .collect();
    assert!(both.is_subset(&done) && both.len() * 10 >= done.len() * 9);
    let with_prediction = report.trials.iter().filter(|t| t.state == State::Done);
    let with_prediction = with_prediction.filter(|t| t.predicted.contains_key("accuracy")).count();
    let ranked: usize =
        ["m early", "m middle", "m late"].iter().map(|c| trials_of(&doc, "ranks", c).len()).sum();
    assert_eq!(ranked, with_prediction);
}

#[test]
fn a_baseline_is_drawn_where_it_is_known() {
    let mut report = study(settings(&[("accuracy", true)], None, 60), 60).report();
    assert!(!report.html().contains("random search"));
    report.baseline =
        Baseline::expected("exact over the table", &[90.0, 91.0, 92.0, 93.0], true, 60);
    let html = report.html();
    assert!(html.contains("random search") && html.contains("exact over the table"));
    assert!(html.contains("The best of 4 random networks would be expected at 93.00\u{a0}%"));
}

/// Texts of the cells of a table, row by row.
fn cells(doc: &roxmltree::Document, id: &str) -> Vec<Vec<String>> {
    let table = doc.descendants().find(|n| n.attribute("id") == Some(id)).unwrap();
    let text = |n: roxmltree::Node| {
        n.descendants().filter(|d| d.is_text()).filter_map(|d| d.text()).collect::<String>()
    };
    let rows = table.descendants().filter(|n| n.has_tag_name("tr"));
    let cells = |row: roxmltree::Node| {
        row.children().filter(|n| n.is_element()).map(text).collect::<Vec<_>>()
    };
    rows.map(cells).collect()
}

#[test]
fn the_first_card_has_the_answer_and_the_runners_up() {
    let made_up = study(settings(&[("accuracy", true)], Some(4.0), 120), 160);
    let mut report = made_up.report();
    let choice = |name: &str, arch: Option<&str>, how: Option<&str>| Choice {
        choice: name.into(),
        arch: arch.map(Into::into),
        metrics: [("accuracy".into(), 91.5)].into(),
        latency: None,
        predicted_ms: None,
        how: how.map(Into::into),
    };
    report.name = Some("my <study>".into());
    report.comparison = Some(Comparison {
        evaluations: 120,
        rows: vec![
            choice("the search", Some("a"), None),
            choice("most FLOPs", Some("b <i>"), Some("evaluated by the search")),
            choice("random search", None, Some("the expected best of 9")),
        ],
        by_chance: None,
    });
    let text = xml(&report.html());
    let doc = roxmltree::Document::parse(&text).unwrap();
    let title = doc.descendants().find(|n| n.has_tag_name("title")).unwrap();
    let aim = "highest accuracy within latency_ms ≤ 4";
    assert_eq!(title.text().unwrap(), format!("my <study>: {aim} · Lanner"));
    // Id, accuracy and last latency of the done trials within the limit.
    let mut all: Vec<(i64, f64, f64)> = (made_up.trials.iter())
        .filter(|t| t.state == State::Done)
        .map(|t| {
            let again = made_up.measurements.iter().rev().find(|m| m.arch == t.arch);
            (t.id, t.metrics["accuracy"], again.map_or(t.metrics["latency_ms"], |m| m.value))
        })
        .filter(|t| t.2 <= 4.0)
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    let close = all.iter().filter(|t| t.1 >= all[0].1 - 1.0);
    let fastest = close.min_by(|a, b| a.2.total_cmp(&b.2)).unwrap();
    let rows = cells(&doc, "runners-up");
    assert_eq!(rows[1][0], format!("chosen trial {}", all[0].0));
    let row_of = |what: &str| rows.iter().find(|r| r[0].contains(what)).unwrap()[0].clone();
    assert!(row_of("next best").ends_with(&format!("trial {}", all[1].0)), "{rows:?}");
    assert!(row_of("fastest within one point").ends_with(&format!("trial {}", fastest.0)));
    // The command's words.
    let choices = cells(&doc, "choices");
    let names: Vec<&str> = choices.iter().map(|r| r[0].as_str()).collect();
    assert_eq!(names, ["choice", "the search", "most FLOPs", "random search"]);
    assert!(text.contains("most FLOPs: evaluated by the search"));
    assert!(text.contains("random search: the expected best of 9"));
}
