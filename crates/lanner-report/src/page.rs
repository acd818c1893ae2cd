//! The page around the sections. It is well-formed XML as well as HTML, except for its first line.

use crate::drawing::Drawings;
use crate::text::{escape, json_in_script};
use crate::{Report, answer, curve, data, front, predicted, tables};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Hashes of the two, without which a browser ignores them: nothing else can run. The console of a
/// browser, and the browser test, tell the new ones after a change.
const STYLE_HASH: &str = "sha256-SIDU0awBl1a0qUGMQXUjWjeAz2oWeTdWqrztwtEoXNM=";
const SCRIPT_HASH: &str = "sha256-MTYZzdHwy2XmpZiFMtfwpJdwsx1H6HhEvwEDZjB1IsU=";

pub(crate) fn html(report: &Report) -> String {
    let facts = &report.facts;
    let job = &facts.job;
    let mut drawings = Drawings::new(facts.space.clone());
    let name = report.name.as_deref().unwrap_or(&job.space);
    let title = format!("{name}: {} · Lanner", answer::aim(facts));
    let answer = answer::html(report, &mut drawings);
    let data = json_in_script(&data::json(facts, &mut drawings));
    // The page loads nothing; a live page only asks its own server for news.
    let connect = if report.live { "; connect-src 'self'" } else { "" };
    let live = if report.live { " data-live=\"yes\"" } else { "" };
    let status = match report.live {
        true => "<p id=\"status\" role=\"status\">live</p>\n",
        false => "",
    };
    let figures = [
        curve::html(facts, report.baseline.as_ref()),
        front::html(facts),
        predicted::metrics(facts),
        predicted::ranking(facts),
    ]
    .concat();
    let figures = match figures.is_empty() {
        true => figures,
        false => format!("<div class=\"figures\">\n{figures}</div>\n"),
    };
    let sections = [
        answer,
        figures,
        tables::best(facts),
        tables::failed(facts),
        tables::settings(facts, report.command.as_deref()),
    ]
    .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"{live}>\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src '{STYLE_HASH}'; script-src '{SCRIPT_HASH}'; img-src data:; base-uri 'none'; \
         form-action 'none'{connect}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\"/>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n\
         <header>\n<div><h1>{name}</h1>\n<p>{aim}</p>\n<p id=\"progress\">{progress}</p></div>\n\
         {status}</header>\n\
         <main>\n{sections}</main>\n\
         <footer><p>In a plot, point at a mark for its network, and click it for all that is known; or \
         use Tab, the arrow keys and Enter. Made by Lanner {version}.</p></footer>\n\
         <div id=\"tip\" role=\"tooltip\" hidden=\"hidden\"></div>\n\
         <dialog id=\"details\" aria-labelledby=\"details-h\"></dialog>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        title = escape(&title),
        name = escape(name),
        aim = escape(&format!("{}, in {}", answer::aim(facts), job.space)),
        progress = escape(&answer::progress(facts)),
        version = env!("CARGO_PKG_VERSION"),
    )
}
