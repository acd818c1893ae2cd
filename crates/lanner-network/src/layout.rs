//! Places boxes in rows by their longest path from the start, ordered so that few arrows cross
//! (barycentres; Sugiyama, Tagawa & Toda 1981).

use crate::{Diagram, Edge, Node};

// In pixels: space between boxes of a row and between rows, height of a text line.
pub(crate) const GAP: f64 = 24.0;
const RISE: f64 = 34.0;
pub(crate) const LINE: f64 = 17.0;

/// Places of boxes and arrows, relative to the diagram's corner.
pub(crate) struct Layout {
    /// Middle of each box, and of each dummy that a long arrow passes through.
    pub at: Vec<(f64, f64)>,
    /// Boxes and dummies along each edge, from its start to its end.
    pub routes: Vec<Vec<usize>>,
    pub width: f64,
    pub height: f64,
}

impl Layout {
    /// Places the boxes in rows so that the diagram is at most `width` wide, if it can be, and then as
    /// low as it can be. A box is below all that it reads.
    pub fn within(diagram: &Diagram, width: f64) -> Layout {
        let early = ranks(diagram);
        let mut all = vec![Layout::in_rows(diagram, late(diagram, &early))];
        let shares = [1.0, 0.85, 0.7, 0.55, 0.4, 0.25];
        all.extend(shares.map(|s| Layout::in_rows(diagram, spread(diagram, &early, s * width))));
        all.push(Layout::in_rows(diagram, early));
        let excess = |l: &Layout| (l.width - width).max(0.0);
        let worse = |a: &Layout, b: &Layout| {
            excess(a).total_cmp(&excess(b)).then(a.height.total_cmp(&b.height))
        };
        all.into_iter().min_by(worse).unwrap_or_else(|| Layout::of(diagram))
    }

    /// Places each box in the row of its longest path from the start.
    pub fn of(diagram: &Diagram) -> Layout {
        Layout::in_rows(diagram, ranks(diagram))
    }

    /// Places a chain of boxes in lines of at most about `width`, to and fro; `None` if the diagram is
    /// no chain.
    pub fn to_and_fro(diagram: &Diagram, width: f64) -> Option<Layout> {
        let next = |(k, e): (usize, &Edge)| e.from == k && e.to == k + 1;
        let is_chain = diagram.edges.len() + 1 == diagram.nodes.len();
        if !is_chain || !diagram.edges.iter().enumerate().all(next) {
            return None;
        }
        let sizes: Vec<(f64, f64)> = diagram.nodes.iter().map(size).collect();
        // Equal columns, so that the arrow from line to line goes straight down.
        let wide = sizes.iter().map(|s| s.0).fold(0.0, f64::max);
        let tall = sizes.iter().map(|s| s.1).fold(0.0, f64::max);
        let columns = (((width + GAP) / (wide + GAP)) as usize).clamp(1, sizes.len());
        let place = |n: usize| {
            let (line, column) = (n / columns, n % columns);
            let column = if line % 2 == 0 { column } else { columns - 1 - column };
            (wide / 2.0 + column as f64 * (wide + GAP), tall / 2.0 + line as f64 * (tall + RISE))
        };
        Some(Layout {
            at: (0..sizes.len()).map(place).collect(),
            routes: diagram.edges.iter().map(|e| vec![e.from, e.to]).collect(),
            width: columns as f64 * (wide + GAP) - GAP,
            height: sizes.len().div_ceil(columns) as f64 * (tall + RISE) - RISE,
        })
    }

    fn in_rows(diagram: &Diagram, mut ranks: Vec<usize>) -> Layout {
        let mut sizes: Vec<(f64, f64)> = diagram.nodes.iter().map(size).collect();
        let routes: Vec<Vec<usize>> = diagram
            .edges
            .iter()
            .map(|edge| {
                let mut route = vec![edge.from];
                for rank in ranks[edge.from] + 1..ranks[edge.to] {
                    route.push(ranks.len());
                    ranks.push(rank);
                    sizes.push((4.0, 0.0));
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

/// Moves the nodes between start and end down to the row above their first reader.
fn late(diagram: &Diagram, early: &[usize]) -> Vec<usize> {
    let mut ranks = early.to_vec();
    let mut order: Vec<usize> = (0..ranks.len()).filter(|&v| early[v] > 0).collect();
    // Readers come before what they read.
    order.sort_by_key(|&v| std::cmp::Reverse(early[v]));
    for v in order {
        let readers = diagram.edges.iter().filter(|e| e.from == v).map(|e| ranks[e.to]);
        if let Some(first) = readers.min() {
            ranks[v] = first - 1;
        }
    }
    ranks
}

/// Moves boxes down where their row would be wider than `width`: those that are read late first.
fn spread(diagram: &Diagram, early: &[usize], width: f64) -> Vec<usize> {
    let late = late(diagram, early);
    let mut order: Vec<usize> = (0..early.len()).collect();
    order.sort_by_key(|&v| (late[v], early[v], v));
    let mut ranks = vec![0; early.len()];
    let mut rows: Vec<f64> = Vec::new();
    // The boxes that a box reads have smaller late ranks, so they are placed before it.
    for v in order {
        let read = diagram.edges.iter().filter(|e| e.to == v).map(|e| ranks[e.from] + 1);
        let wide = size(&diagram.nodes[v]).0 + GAP;
        let mut rank = read.max().unwrap_or(0);
        while early[v] > 0 && rows.get(rank).is_some_and(|&w| w > 0.0 && w + wide > width + GAP) {
            rank += 1;
        }
        rows.resize(rows.len().max(rank + 1), 0.0);
        rows[rank] += wide;
        ranks[v] = rank;
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
        // A passing arrow needs less room than a box.
        let boxes = pair.iter().all(|&v| sizes[v].1 > 0.0);
        let gap = if boxes { GAP } else { 10.0 };
        let room = (sizes[pair[0]].0 + sizes[pair[1]].0) / 2.0 + gap;
        x[pair[1]] = x[pair[1]].max(x[pair[0]] + room);
    }
    let got: f64 = row.iter().map(|&v| x[v]).sum();
    let shift = (wanted - got) / row.len().max(1) as f64;
    row.iter().for_each(|&v| x[v] += shift);
}

/// Estimates the width of a text from above.
pub(crate) fn text_width(text: &str) -> f64 {
    7.6 * text.chars().count() as f64
}

/// Width and height of a box.
pub(crate) fn size(node: &Node) -> (f64, f64) {
    let widest = node.lines.iter().map(|l| text_width(l)).fold(0.0, f64::max);
    (widest + 20.0, LINE * node.lines.len() as f64 + 12.0)
}

#[cfg(test)]
mod tests {
    use lanner_space::{Space, View};

    use super::*;
    use crate::Nasbench201;

    /// Boxes are inside and do not overlap.
    fn check(diagram: &Diagram, layout: &Layout) {
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

    #[test]
    fn boxes_keep_apart() {
        let arch = Space::NasBench201.parse("342133").unwrap();
        let small = Nasbench201 { cells: 1, ..Nasbench201::default() };
        let net = small.build(&arch, View::Raw).unwrap();
        for diagram in
            [Diagram::cell(&Space::NasBench201, &arch, View::Raw).unwrap(), Diagram::layers(&net)]
        {
            check(&diagram, &Layout::of(&diagram));
        }
    }

    #[test]
    fn narrow_drawings_are_narrow_and_whole() {
        for name in ["nasbench101", "nasbench201", "darts", "fbnet", "mobilenetv3"] {
            let space = Space::by_name(name).unwrap();
            for k in 0..12 {
                let arch = space.at(k * 7_919 * 104_729 * 1_299_709 % space.size()).unwrap();
                let diagram = Diagram::cell(&space, &arch, View::Pruned).unwrap();
                let parts = diagram.parts();
                let joined = parts.iter().map(|p| p.edges.len()).sum::<usize>();
                assert_eq!(joined, diagram.edges.len(), "{name}");
                for part in parts {
                    let chain = Layout::to_and_fro(&part, 340.0);
                    let is_chain = chain.is_some();
                    assert!(is_chain || !["fbnet", "mobilenetv3"].contains(&name));
                    let layout = chain.unwrap_or_else(|| Layout::within(&part, 440.0));
                    check(&part, &layout);
                    assert!(layout.width <= if is_chain { 340.0 } else { 500.0 }, "{name}");
                    let down = |e: &Edge| layout.at[e.from].1 < layout.at[e.to].1;
                    assert!(is_chain || part.edges.iter().all(down), "{name}");
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
