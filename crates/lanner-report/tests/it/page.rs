//! Properties of the page, as XML.

use std::collections::{BTreeSet, HashSet};

use crate::common::{HOSTILE, MadeUp, all, settings, study};
use lanner_report::Baseline;
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
        for section in ["summary", "curve", "front", "predicted", "ranks", "best", "settings"] {
            assert!(ids.contains(section), "{name}: no section {section}");
        }
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
        assert_eq!(trials_of(&doc, "front", "m front"), front(&report), "{name}");
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
fn a_given_baseline_is_drawn_as_what_it_is() {
    let mut report = study(settings(&[("accuracy", true)], None, 60), 60).report();
    let own = report.html();
    assert!(own.contains("its own start, mean over all orders"));
    assert!(own.contains("the 9 networks of the start were not drawn at random"));
    report.baseline =
        Baseline::expected("random search over the table", &[90.0, 91.0, 92.0, 93.0], true, 60);
    let html = report.html();
    assert!(html.contains("random search over the table") && !html.contains("its own start"));
    assert!(html.contains("93.00\u{a0}% after 4."));
}
