//! Draws axes and marks as SVG. Colours and text sizes are in the page's style, by class, so that a
//! plot follows the light or dark scheme.

use std::fmt::Write;

use crate::text::{count, escape, grouped, number};

/// Size of a plot in its own units, and the margins around its frame.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 330.0;
/// Least left margin; the numbers of the axis may need more.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 54.0;

/// An axis of a plot.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub label: String,
    pub low: f64,
    pub high: f64,
    pub log: bool,
    /// Factor from a value to the number that is written.
    pub scale: f64,
}

impl Axis {
    /// Makes an axis that spans all values, with a little room.
    pub fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in values.into_iter().filter(|v| v.is_finite()) {
            (low, high) = (low.min(v), high.max(v));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let room = match high - low {
            d if d > 0.0 => d * 0.05,
            _ => (high.abs() * 0.05).max(0.5),
        };
        Axis { label: label.into(), low: low - room, high: high + room, log: false, scale: 1.0 }
    }

    pub fn scaled(self, scale: f64) -> Axis {
        Axis { scale, ..self }
    }

    /// Returns the place of a value between low (0) and high (1).
    fn at(&self, v: f64) -> f64 {
        match self.log {
            true => (v.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (v - self.low) / (self.high - self.low),
        }
    }

    pub fn has(&self, v: f64) -> bool {
        v >= self.low && v <= self.high
    }

    /// Returns round values to write beside the axis, about as many as wanted, with their texts.
    fn ticks(&self, wanted: f64) -> Vec<(f64, String)> {
        if self.log {
            let decades = (self.low.log10().floor() as i32)..=(self.high.log10().ceil() as i32);
            let tens = decades.map(|d| 10f64.powi(d)).filter(|&v| self.has(v));
            return tens.map(|v| (v, number_or_count(v))).collect();
        }
        let raw = (self.high - self.low) / wanted;
        let unit = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|m| m * unit).find(|s| *s >= raw * 0.999);
        let step = step.unwrap_or(unit * 10.0);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        // All ticks get so many decimals that neighbours differ.
        let decimals = -(step * self.scale).log10().floor();
        let large = self.low.abs().max(self.high.abs()) * self.scale >= 1e9;
        let words = |v: f64| match decimals {
            d if d > 6.0 || large => number(v),
            d => grouped(v, d.max(0.0) as usize),
        };
        let all = (first..=last).take(50).map(|i| i as f64 * step);
        all.map(|v| (v, words(v * self.scale))).collect()
    }
}

/// Formats a power of ten.
fn number_or_count(v: f64) -> String {
    if v >= 1.0 { count(v as usize) } else { number(v) }
}

/// Meaning of a mark; marks differ in shape as well as in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A trial: a dot.
    Trial,
    /// A trial outside the limits: a small cross.
    Over,
    /// A trial on the front, or better than all before: a diamond.
    Front,
    /// An early, middle or late trial: a dot, a square, a triangle.
    Early,
    Middle,
    Late,
}

impl Mark {
    pub fn class(self) -> &'static str {
        match self {
            Mark::Trial => "trial",
            Mark::Over => "over",
            Mark::Front => "front",
            Mark::Early => "early",
            Mark::Middle => "middle",
            Mark::Late => "late",
        }
    }

    /// Returns the SVG shape around a point.
    pub fn shape(self, x: f64, y: f64) -> String {
        let at = |d: &str| format!("<path transform=\"translate({x:.1} {y:.1})\" d=\"{d}\"");
        match self {
            Mark::Trial | Mark::Early => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.6\""),
            Mark::Over => at("M-3.4-3.4L3.4 3.4M-3.4 3.4L3.4-3.4"),
            Mark::Front => at("M0-6.2L6.2 0L0 6.2L-6.2 0Z"),
            Mark::Middle => at("M-3.5-3.5H3.5V3.5H-3.5Z"),
            Mark::Late => at("M0-5L4.7 3.6H-4.7Z"),
        }
    }
}

/// A plot to draw in: later marks lie above earlier ones.
pub(crate) struct Plot {
    pub x: Axis,
    pub y: Axis,
    left: f64,
    body: String,
}

impl Plot {
    pub fn new(x: Axis, y: Axis) -> Plot {
        // The digits are as wide as on a small screen.
        let longest = y.ticks(5.0).iter().map(|t| t.1.chars().count()).max().unwrap_or(0);
        let left = (34.0 + 9.2 * longest as f64).max(LEFT);
        Plot { x, y, left, body: String::new() }
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = self.left + self.x.at(x) * (WIDTH - self.left - RIGHT);
        (across, HEIGHT - BOTTOM - self.y.at(y) * (HEIGHT - TOP - BOTTOM))
    }

    pub fn has(&self, x: f64, y: f64) -> bool {
        self.x.has(x) && self.y.has(y)
    }

    /// Draws a polygonal line; parts outside the frame are cut off. With `steps`, it runs level, then
    /// up or down.
    pub fn line(&mut self, class: &str, points: &[(f64, f64)], steps: bool) {
        let mut path = String::new();
        let mut last = None;
        for &(x, y) in points {
            let (x, y) = self.at(x, y);
            // Writing to a string cannot fail.
            let _ = match last {
                None => write!(path, "M{x:.1} {y:.1}"),
                Some(before) if steps && before == y => write!(path, "H{x:.1}"),
                Some(_) if steps => write!(path, "H{x:.1}V{y:.1}"),
                Some(_) => write!(path, "L{x:.1} {y:.1}"),
            };
            last = Some(y);
        }
        if !path.is_empty() {
            let _ = writeln!(
                self.body,
                "<path class=\"line {class}\" d=\"{path}\" clip-path=\"url(#frame)\"/>"
            );
        }
    }

    /// Draws a mark without a trial behind it.
    pub fn dot(&mut self, mark: Mark, class: &str, x: f64, y: f64) {
        let (px, py) = self.at(x, y);
        let shape = mark.shape(px, py);
        let _ = writeln!(self.body, "{shape} class=\"dot {class}\"/>");
    }

    /// Draws the mark of a trial that the reader can point at.
    pub fn trial(&mut self, mark: Mark, trial: i64, x: f64, y: f64) {
        let (px, py) = self.at(x, y);
        let (shape, class) = (mark.shape(px, py), mark.class());
        let _ = writeln!(self.body, "{shape} class=\"m {class}\" data-t=\"{trial}\"/>");
    }

    /// Draws an upright bar for an interval, cut off at the frame.
    pub fn interval(&mut self, x: f64, low: f64, high: f64) {
        let (low, high) = (low.max(self.y.low), high.min(self.y.high));
        if low < high {
            let ((px, bottom), (_, top)) = (self.at(x, low), self.at(x, high));
            let _ = writeln!(
                self.body,
                "<path class=\"interval\" d=\"M{px:.1} {bottom:.1}V{top:.1}\"/>"
            );
        }
    }

    /// Draws an upright dashed line over the frame, with a word beside it.
    pub fn upright(&mut self, x: f64, word: &str) {
        if !self.x.has(x) {
            return;
        }
        let (px, _) = self.at(x, self.y.low);
        let (anchor, dx) = if px > WIDTH / 2.0 { ("end", -5.0) } else { ("start", 5.0) };
        let _ = writeln!(
            self.body,
            "<path class=\"limit\" d=\"M{px:.1} {TOP}V{:.1}\"/>\
             <text class=\"limit-word\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT - BOTTOM,
            px + dx,
            HEIGHT - BOTTOM - 40.0,
            escape(word)
        );
    }

    /// Returns the image with its axes. `id` is the figure's; `title` is what a screen reader says.
    pub fn svg(self, id: &str, title: &str) -> String {
        let (left, right, bottom) = (self.left, WIDTH - RIGHT, HEIGHT - BOTTOM);
        // Each plot has a clip path of its own, since an id may occur only once in a page.
        let clip = format!("{id}-frame");
        let mut out = format!(
            "<svg class=\"plot\" id=\"{id}-plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"group\" \
             aria-label=\"{}\">\n<clipPath id=\"{clip}\"><rect x=\"{left}\" y=\"{TOP}\" \
             width=\"{}\" height=\"{}\"/></clipPath>\n<g class=\"axes\" aria-hidden=\"true\">\n",
            escape(title),
            right - left,
            bottom - TOP
        );
        for (v, words) in self.y.ticks(5.0) {
            let (_, y) = self.at(self.x.low, v);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
                left - 8.0,
                y + 4.5
            );
        }
        for (v, words) in self.x.ticks(5.0) {
            let (x, _) = self.at(v, self.y.low);
            let _ = writeln!(
                out,
                "<path class=\"tick\" d=\"M{x:.1} {bottom}v5\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{words}</text>",
                bottom + 20.0
            );
        }
        let _ = writeln!(
            out,
            "<path class=\"base\" d=\"M{left} {bottom}H{right}\"/>\n\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text class=\"name\" transform=\"translate(15 {:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{}</text>\n</g>",
            (left + right) / 2.0,
            HEIGHT - 10.0,
            escape(&self.x.label),
            (TOP + bottom) / 2.0,
            escape(&self.y.label)
        );
        out + &self.body.replace("url(#frame)", &format!("url(#{clip})")) + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        for (low, high) in [(0.0, 1.0), (70.3, 73.6), (-5.0, 1e6), (1e-6, 2e-6), (3.0, 3.5)] {
            let axis = Axis { label: String::new(), low, high, log: false, scale: 1.0 };
            let ticks = axis.ticks(5.0);
            assert!((2..=11).contains(&ticks.len()), "{ticks:?}");
            assert!(ticks.iter().all(|t| axis.has(t.0)));
            let words: std::collections::HashSet<&String> = ticks.iter().map(|t| &t.1).collect();
            assert_eq!(words.len(), ticks.len(), "{ticks:?}");
        }
        let axis = Axis { label: String::new(), low: 1.0, high: 1e6, log: true, scale: 1.0 };
        assert_eq!(axis.ticks(5.0).len(), 7);
    }

    #[test]
    fn ticks_are_scaled_and_of_equal_decimals() {
        let axis = Axis { label: String::new(), low: 0.07, high: 0.15, log: false, scale: 1.0 };
        let words = |axis: Axis| axis.ticks(5.0).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(words(axis), ["0.08", "0.10", "0.12", "0.14"]);
        let axis = Axis { label: String::new(), low: 4e5, high: 2.1e6, log: false, scale: 1e-6 };
        assert_eq!(words(axis), ["0.5", "1.0", "1.5", "2.0"]);
    }

    #[test]
    fn an_axis_of_one_value_or_none_has_a_width() {
        for values in [vec![], vec![0.0], vec![93.0], vec![f64::NAN, 4.0]] {
            let axis = Axis::around("a", values);
            assert!(axis.high > axis.low);
        }
    }
}
