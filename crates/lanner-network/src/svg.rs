//! Draws diagrams as SVG: boxes in rows by their longest path from the start, ordered so that few
//! arrows cross (barycentres; Sugiyama, Tagawa & Toda 1981), arrows as curves.

use crate::{Diagram, Edge, Node, NodeKind};

// In pixels: space between boxes of a row, between rows and around everything; height of a text line.
const GAP: f64 = 24.0;
const RISE: f64 = 34.0;
const MARGIN: f64 = 24.0;
const LINE: f64 = 17.0;
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
        let total = height + above + 2.0 * MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{total:.0}\" \
             viewBox=\"0 0 {width:.0} {total:.0}\" font-family=\"DejaVu Sans, Verdana, sans-serif\" \
             font-size=\"12\" fill=\"#1a1a1a\">\n<title>{}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<defs><marker id=\"arrow\" \
             viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555555\"/></marker></defs>\n",
            escaped(heading)
        );
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
}

const BOLD: &str = " font-weight=\"bold\"";

/// Places of boxes and arrows, relative to the diagram's corner.
struct Layout {
    /// Middle of each box, and of each dummy that a long arrow passes through.
    at: Vec<(f64, f64)>,
    /// Boxes and dummies along each edge, from its start to its end.
    routes: Vec<Vec<usize>>,
    width: f64,
    height: f64,
}

impl Layout {
    fn of(diagram: &Diagram) -> Layout {
        let mut ranks = ranks(diagram);
        let mut sizes: Vec<(f64, f64)> = diagram.nodes.iter().map(size).collect();
        let routes: Vec<Vec<usize>> = diagram
            .edges
            .iter()
            .map(|edge| {
                let mut route = vec![edge.from];
                for rank in ranks[edge.from] + 1..ranks[edge.to] {
                    route.push(ranks.len());
                    ranks.push(rank);
                    sizes.push((8.0, 0.0));
                }
                route.push(edge.to);
                route
            })
            .collect();
        let mut near: [Vec<Vec<usize>>; 2] = [vec![vec![]; ranks.len()], vec![vec![]; ranks.len()]];
        for pair in routes.iter().flat_map(|r| r.windows(2)) {
            near[0][pair[1]].push(pair[0]);
            near[1][pair[0]].push(pair[1]);
        }
        let mut rows = vec![Vec::new(); ranks.iter().max().map_or(0, |m| m + 1)];
        for (v, &rank) in ranks.iter().enumerate() {
            rows[rank].push(v);
        }
        let x = columns(&mut rows, &near, &sizes);
        let mut at = vec![(0.0, 0.0); ranks.len()];
        let mut y = 0.0;
        for row in &rows {
            let tall = row.iter().map(|&v| sizes[v].1).fold(0.0, f64::max);
            for &v in row {
                at[v] = (x[v], y + tall / 2.0);
            }
            y += tall + RISE;
        }
        let side = |s: f64| (0..at.len()).map(move |v| (v, s));
        let left = side(-0.5).map(|(v, s)| at[v].0 + s * sizes[v].0).fold(f64::INFINITY, f64::min);
        let right = side(0.5).map(|(v, s)| at[v].0 + s * sizes[v].0).fold(0.0, f64::max);
        let left = if left.is_finite() { left } else { 0.0 };
        at.iter_mut().for_each(|p| p.0 -= left);
        Layout { at, routes, width: right - left, height: (y - RISE).max(0.0) }
    }

    fn draw(&self, diagram: &Diagram, (left, top): (f64, f64), svg: &mut String) {
        for (edge, route) in diagram.edges.iter().zip(&self.routes) {
            let half = |v: usize| diagram.nodes.get(v).map_or(0.0, |n| size(n).1 / 2.0);
            let point = |v: usize, dy: f64| (left + self.at[v].0, top + self.at[v].1 + dy);
            let mut from = point(route[0], half(route[0]));
            let mut path = format!("M{:.1} {:.1}", from.0, from.1);
            for (k, &v) in route.iter().enumerate().skip(1) {
                let end = k + 1 == route.len();
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

/// Length of the longest path to each node. Edges may be in any order, so all are visited until
/// nothing changes: in an acyclic graph, at most as many rounds as there are nodes.
fn ranks(diagram: &Diagram) -> Vec<usize> {
    let mut ranks = vec![0; diagram.nodes.len()];
    for _ in 0..diagram.nodes.len() {
        let mut moved = false;
        for edge in &diagram.edges {
            if ranks[edge.to] <= ranks[edge.from] {
                ranks[edge.to] = ranks[edge.from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    ranks
}

/// Orders the boxes of the rows, and returns the horizontal middle of each box. Sweeps go down by the
/// boxes above, up by those below, and so on, from several starts; the order with the fewest crossings
/// wins.
fn columns(rows: &mut [Vec<usize>], near: &[Vec<Vec<usize>>; 2], sizes: &[(f64, f64)]) -> Vec<f64> {
    let mut best = (usize::MAX, vec![0.0; sizes.len()]);
    for start in 0..STARTS {
        // Start 0 has the boxes in their own order, the others in arbitrary orders.
        rows.iter_mut().for_each(|row| row.sort_by_key(|v| (v * start * 7919) % 101));
        let mut x = vec![0.0; sizes.len()];
        rows.iter().for_each(|row| pack(row, sizes, &mut x));
        for sweep in 0..SWEEPS {
            align(rows, near, sizes, &mut x, sweep, true);
            let crossings = crossings(rows, &near[1], &x);
            if crossings < best.0 {
                best = (crossings, x.clone());
            }
        }
        if best.0 == 0 {
            break;
        }
    }
    let mut x = best.1;
    rows.iter_mut().for_each(|row| row.sort_by(|&a, &b| x[a].total_cmp(&x[b])));
    for sweep in 0..SWEEPS {
        align(rows, near, sizes, &mut x, sweep, false);
    }
    x
}

const STARTS: usize = 8;
const SWEEPS: usize = 24;

/// Moves every box below the middle of the boxes that it reads, or in odd sweeps above the middle of
/// its readers, as far as the row has room; boxes may pass each other, or not.
fn align(
    rows: &mut [Vec<usize>],
    near: &[Vec<Vec<usize>>; 2],
    sizes: &[(f64, f64)],
    x: &mut [f64],
    sweep: usize,
    pass: bool,
) {
    let up = sweep % 2;
    for k in 0..rows.len() {
        let row = if up == 0 { k } else { rows.len() - 1 - k };
        let row = &mut rows[row];
        for &v in row.iter() {
            let near = &near[up][v];
            if !near.is_empty() {
                x[v] = near.iter().map(|&u| x[u]).sum::<f64>() / near.len() as f64;
            }
        }
        if pass {
            row.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
        }
        pack(row, sizes, x);
    }
}

/// Number of pairs of arrows between two rows that cross.
fn crossings(rows: &[Vec<usize>], below: &[Vec<usize>], x: &[f64]) -> usize {
    let of_row = |row: &Vec<usize>| {
        let arrows: Vec<(f64, f64)> =
            row.iter().flat_map(|&v| below[v].iter().map(move |&u| (x[v], x[u]))).collect();
        let cross = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0) * (a.1 - b.1) < 0.0;
        let later = |i: usize| arrows[i + 1..].iter().filter(|b| cross(&arrows[i], b)).count();
        (0..arrows.len()).map(later).sum::<usize>()
    };
    rows.iter().map(of_row).sum()
}

/// Moves the boxes of a row apart where they overlap, around their common middle.
fn pack(row: &[usize], sizes: &[(f64, f64)], x: &mut [f64]) {
    let wanted: f64 = row.iter().map(|&v| x[v]).sum();
    for pair in row.windows(2) {
        let room = (sizes[pair[0]].0 + sizes[pair[1]].0) / 2.0 + GAP;
        x[pair[1]] = x[pair[1]].max(x[pair[0]] + room);
    }
    let got: f64 = row.iter().map(|&v| x[v]).sum();
    let shift = (wanted - got) / row.len().max(1) as f64;
    row.iter().for_each(|&v| x[v] += shift);
}

fn text_width(text: &str) -> f64 {
    7.6 * text.chars().count() as f64
}

fn size(node: &Node) -> (f64, f64) {
    let widest = node.lines.iter().map(|l| text_width(l)).fold(0.0, f64::max);
    (widest + 20.0, LINE * node.lines.len() as f64 + 12.0)
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

#[cfg(test)]
mod tests {
    use lanner_space::{Space, View};

    use super::*;
    use crate::Nasbench201;

    #[test]
    fn boxes_keep_apart() {
        let arch = Space::NasBench201.parse("342133").unwrap();
        let small = Nasbench201 { cells: 1, ..Nasbench201::default() };
        let net = small.build(&arch, View::Raw).unwrap();
        for diagram in
            [Diagram::cell(&Space::NasBench201, &arch, View::Raw).unwrap(), Diagram::layers(&net)]
        {
            let layout = Layout::of(&diagram);
            for (i, a) in diagram.nodes.iter().enumerate() {
                let ((x, y), (w, h)) = (layout.at[i], size(a));
                assert!(x - w / 2.0 > -0.1 && x + w / 2.0 < layout.width + 0.1);
                assert!(y - h / 2.0 > -0.1 && y + h / 2.0 < layout.height + 0.1);
                for (j, b) in diagram.nodes.iter().enumerate().skip(i + 1) {
                    let apart_x = (layout.at[j].0 - x).abs() - (w + size(b).0) / 2.0;
                    let apart_y = (layout.at[j].1 - y).abs() - (h + size(b).1) / 2.0;
                    assert!(apart_x.max(apart_y) > GAP / 2.0, "{:?} and {:?}", a.lines, b.lines);
                }
            }
        }
    }

    #[test]
    fn a_cell_is_drawn_without_crossings() {
        for text in ["333333", "302143", "444321", "012340"] {
            let arch = Space::NasBench201.parse(text).unwrap();
            let diagram = Diagram::cell(&Space::NasBench201, &arch, View::Raw).unwrap();
            let layout = Layout::of(&diagram);
            // The pieces of the routes between two rows.
            let arrows: Vec<_> = (layout.routes.iter().flat_map(|r| r.windows(2)))
                .map(|p| (layout.at[p[0]], layout.at[p[1]]))
                .collect();
            for (i, a) in arrows.iter().enumerate() {
                for b in &arrows[i + 1..] {
                    let same_rows = a.0.1 == b.0.1;
                    let cross = (a.0.0 - b.0.0) * (a.1.0 - b.1.0) < 0.0;
                    assert!(!(same_rows && cross), "{text}");
                }
            }
        }
    }
}
