//! Draws diagrams as SVG: boxes, and arrows as curves.

use crate::layout::{LINE, Layout, size, text_width};
use crate::{Diagram, Edge, Node, NodeKind};

// In pixels: space around everything, space around a narrow drawing, height of a title.
const MARGIN: f64 = 24.0;
const EDGE: f64 = 4.0;
const TITLE: f64 = 34.0;

impl Diagram {
    /// Draws diagrams as one SVG image, side by side under a heading. An empty heading takes no space.
    pub fn svg(heading: &str, diagrams: &[Diagram]) -> String {
        let drawn: Vec<Layout> = diagrams.iter().map(Layout::of).collect();
        let height = drawn.iter().map(|l| l.height).fold(0.0, f64::max);
        let wide = drawn.iter().map(|l| l.width + MARGIN).sum::<f64>() + MARGIN;
        let width = wide.max(text_width(heading) + 2.0 * MARGIN);
        let words = !heading.is_empty() || diagrams.iter().any(|d| !d.title.is_empty());
        let above = if words { 2.0 * TITLE } else { 0.0 };
        let mut svg = opening(width, height + above + 2.0 * MARGIN, heading);
        if words {
            svg += &text(MARGIN, MARGIN + 10.0, "start", heading, "");
        }
        let mut left = MARGIN;
        for (diagram, layout) in diagrams.iter().zip(&drawn) {
            let middle = left + layout.width / 2.0;
            if words {
                svg += &text(middle, MARGIN + TITLE + 8.0, "middle", &diagram.title, BOLD);
            }
            layout.draw(diagram, (left, MARGIN + above - 4.0), &mut svg);
            left += layout.width + MARGIN;
        }
        svg + "</svg>\n"
    }

    /// Draws the diagram without words around it, about `width` pixels wide where it can be: a chain in
    /// lines, and parts that no arrow joins below each other.
    pub fn narrow_svg(&self, width: f64) -> String {
        let parts: Vec<(Diagram, Layout)> = (self.parts().into_iter())
            .map(|part| {
                let chain = Layout::to_and_fro(&part, width - 2.0 * EDGE);
                let layout =
                    chain.unwrap_or_else(|| Layout::within(&part, 1.3 * width - 2.0 * EDGE));
                (part, layout)
            })
            .collect();
        let wide = parts.iter().map(|p| p.1.width).fold(0.0, f64::max);
        let tall = parts.iter().map(|p| p.1.height + MARGIN).sum::<f64>() - MARGIN;
        let mut svg = opening(wide + 2.0 * EDGE, tall.max(0.0) + 2.0 * EDGE, "");
        let mut top = EDGE;
        for (part, layout) in &parts {
            layout.draw(part, (EDGE + (wide - layout.width) / 2.0, top), &mut svg);
            top += layout.height + MARGIN;
        }
        svg + "</svg>\n"
    }
}

/// Begins an image.
fn opening(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"DejaVu Sans, Verdana, sans-serif\" \
         font-size=\"12\" fill=\"#1a1a1a\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<defs><marker id=\"arrow\" \
         viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555555\"/></marker></defs>\n",
        escaped(title)
    )
}

const BOLD: &str = " font-weight=\"bold\"";

impl Layout {
    fn draw(&self, diagram: &Diagram, (left, top): (f64, f64), svg: &mut String) {
        for (edge, route) in diagram.edges.iter().zip(&self.routes) {
            let half = |v: usize| diagram.nodes.get(v).map_or(0.0, |n| size(n).1 / 2.0);
            let point = |v: usize, dy: f64| (left + self.at[v].0, top + self.at[v].1 + dy);
            let mut from = point(route[0], half(route[0]));
            let mut path = format!("M{:.1} {:.1}", from.0, from.1);
            for (k, &v) in route.iter().enumerate().skip(1) {
                let end = k + 1 == route.len();
                if self.at[v].1 == self.at[route[0]].1 {
                    // Beside each other: from side to side.
                    let towards = (self.at[v].0 - self.at[route[0]].0).signum();
                    let side = |v: usize| size(&diagram.nodes[v]).0 / 2.0;
                    let (start, goal) = (point(route[0], 0.0), point(v, 0.0));
                    path = format!(
                        "M{:.1} {:.1}H{:.1}",
                        start.0 + towards * side(route[0]),
                        start.1,
                        goal.0 - towards * (side(v) + 1.0)
                    );
                    break;
                }
                let to = point(v, if end { -half(v) - 1.0 } else { 0.0 });
                let middle = (from.1 + to.1) / 2.0;
                path += &format!(
                    "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}",
                    from.0, to.0, to.0, to.1
                );
                from = to;
            }
            *svg += &arrow(edge, &path);
        }
        for (node, &(x, y)) in diagram.nodes.iter().zip(&self.at) {
            *svg += &boxed(node, left + x, top + y);
        }
    }
}

fn arrow(edge: &Edge, path: &str) -> String {
    let style = match edge.dead {
        true => "stroke=\"#aaaaaa\" stroke-dasharray=\"4 4\"",
        false => "stroke=\"#555555\" marker-end=\"url(#arrow)\"",
    };
    format!("<path d=\"{path}\" fill=\"none\" stroke-width=\"1.3\" {style}/>\n")
}

fn boxed(node: &Node, x: f64, y: f64) -> String {
    let (w, h) = size(node);
    let (fill, stroke) = node.kind.colours();
    let dash = if node.kind == NodeKind::Dead { " stroke-dasharray=\"4 4\"" } else { "" };
    let mut svg = format!(
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"7\" \
         fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.3\"{dash}/>\n",
        x - w / 2.0,
        y - h / 2.0
    );
    for (i, line) in node.lines.iter().enumerate() {
        let style = if i == 0 && node.lines.len() > 1 { BOLD } else { "" };
        svg += &text(x, y - h / 2.0 + 18.5 + LINE * i as f64, "middle", line, style);
    }
    svg
}

fn text(x: f64, y: f64, anchor: &str, content: &str, style: &str) -> String {
    let content = escaped(content);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{style}>{content}</text>\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
