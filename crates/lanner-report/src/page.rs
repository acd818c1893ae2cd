//! The page around the sections. It is well-formed XML as well as HTML, except for its first line.

use crate::drawing::Drawings;
use crate::text::{escape, json_in_script};
use crate::{Report, curve, data, front, predicted, tables};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(crate) fn html(report: &Report) -> String {
    let facts = &report.facts;
    let job = &facts.job;
    let mut drawings = Drawings::new(facts.space.clone());
    let title = format!("{} · Lanner", job.space);
    let summary = tables::summary(facts, &mut drawings);
    let data = json_in_script(&data::json(facts, &mut drawings));
    // The page loads nothing; a live page only asks its own server for news.
    let connect = if report.live { "; connect-src 'self'" } else { "" };
    let live = if report.live { " data-live=\"yes\"" } else { "" };
    let status = match report.live {
        true => "<p id=\"status\" role=\"status\">live</p>\n",
        false => "",
    };
    let sections = [
        summary,
        "<div class=\"figures\">\n".into(),
        curve::html(facts, report.baseline.as_ref()),
        front::html(facts),
        predicted::metrics(facts),
        predicted::ranking(facts),
        "</div>\n".into(),
        tables::best(facts),
        tables::failed(facts),
        tables::settings(facts, report.command.as_deref()),
    ]
    .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"{live}>\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:{connect}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\"/>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n\
         <header>\n<div><h1>{space}</h1>\n<p>{aim}</p></div>\n{status}</header>\n\
         <main>\n{sections}</main>\n\
         <footer><p>Plots: point at a mark, or reach a plot with Tab and its marks with the arrow \
         keys; Enter or a click shows details. Made by Lanner {version}.</p></footer>\n\
         <div id=\"tip\" role=\"tooltip\" hidden=\"hidden\"></div>\n\
         <dialog id=\"details\" aria-labelledby=\"details-h\"></dialog>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        title = escape(&title),
        space = escape(&job.space),
        aim = escape(&format!("{} · {}", tables::aim(facts), job.strategy)),
        version = env!("CARGO_PKG_VERSION"),
    )
}
