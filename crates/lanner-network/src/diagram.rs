use std::fmt::Write;

use lanner_space::{Architecture, CellGraph, Space, SpaceError, View, family::CellSpace};

use crate::{Cost, Network, Op};

/// A directed acyclic graph to be drawn: as SVG by its own layered layout, or as DOT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagram {
    pub title: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

/// A box of a diagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Centred lines of text; the first is the name.
    pub lines: Vec<String>,
    pub kind: NodeKind,
}

/// Kind of a box, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Input, output, stem and head.
    End,
    /// Convolutions and linear layers.
    Conv,
    Pool,
    /// Cheap operations: identities, activations, sums.
    Light,
    /// `none`, and operations that lead nowhere.
    Dead,
    /// A sequence of cells.
    Stage,
}

/// An arrow from one box to another, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// Whether no data flows along the arrow, which is then dashed.
    pub dead: bool,
}

impl Diagram {
    /// Draws the cells of an architecture, or its chain of blocks.
    ///
    /// Dead operations are dashed in the raw view and left out in the pruned one.
    pub fn cell(space: &Space, arch: &Architecture, view: View) -> Result<Diagram, SpaceError> {
        space.check(arch)?;
        Ok(match space.cell() {
            Some(cell) => Diagram::edges(cell, arch, &space.live(arch), view),
            None => Diagram::graph(space, arch, view),
        })
    }

    fn graph(space: &Space, arch: &Architecture, view: View) -> Diagram {
        let mut graph = space.graph(arch, view);
        let is_chain =
            graph.arcs.iter().enumerate().all(|(k, a)| usize::from(a.0) == k && a.1 == a.0 + 1);
        if is_chain && view == View::Pruned {
            // Layers that a shorter network does not have.
            let names = space.labels();
            graph = CellGraph::chain(
                graph.labels.into_iter().filter(|&l| names[usize::from(l)] != "absent").collect(),
            );
        }
        let mut diagram = Diagram { title: "cell".into(), nodes: Vec::new(), edges: Vec::new() };
        for &label in &graph.labels {
            let name = space.labels()[usize::from(label)];
            let shown = if name == "addition" { "+".into() } else { short_name(name) };
            diagram.node(vec![shown], kind_of(name));
        }
        for &(from, to) in &graph.arcs {
            let (from, to) = (usize::from(from), usize::from(to));
            diagram.edges.push(Edge { from, to, dead: diagram.nodes[from].kind == NodeKind::Dead });
        }
        diagram
    }

    fn edges(cell: &CellSpace, arch: &Architecture, live: &[bool], view: View) -> Diagram {
        let mut diagram = Diagram { title: "cell".into(), nodes: Vec::new(), edges: Vec::new() };
        // Start, operation and end of each edge.
        let edges: Vec<(u8, &str, u8)> = (cell.edges.iter().zip(arch.codes()).enumerate())
            .map(|(e, (edge, &code))| {
                let (from, op) = cell.choice(e, code);
                (from, cell.operations[usize::from(op)].as_str(), edge.to)
            })
            .collect();
        let touches = |node: u8| {
            edges.iter().zip(live).any(|(e, &live)| live && (e.0 == node || e.2 == node))
        };
        let last = cell.nodes - 1;
        let mut place = vec![None; cell.nodes.into()];
        for node in 0..=last {
            let end = node == 0 || node == last;
            if !end && !touches(node) && view == View::Pruned {
                continue;
            }
            let kind = match (end, touches(node)) {
                (true, _) => NodeKind::End,
                (false, true) => NodeKind::Light,
                (false, false) => NodeKind::Dead,
            };
            let mut lines = vec![match node {
                0 => "input".to_string(),
                _ if node == last => "output".into(),
                _ => format!("node {node}"),
            }];
            if node == last && !live.iter().any(|&l| l) {
                lines.push("zeros: not reached".into());
            }
            place[usize::from(node)] = Some(diagram.node(lines, kind));
        }
        for (&(from, operation, to), &live) in edges.iter().zip(live) {
            let ends = (place[usize::from(from)], place[usize::from(to)]);
            let (Some(from), Some(to), true) = (ends.0, ends.1, live || view == View::Raw) else {
                continue;
            };
            let kind = if live { kind_of(operation) } else { NodeKind::Dead };
            let node = diagram.node(vec![short_name(operation)], kind);
            diagram.edges.push(Edge { from, to: node, dead: !live });
            diagram.edges.push(Edge { from: node, to, dead: !live });
        }
        diagram
    }

    /// Draws the parts of the skeleton in sequence, equal consecutive ones as one box, each with its
    /// output shape and cost.
    pub fn blocks(network: &Network, cost: &Cost) -> Diagram {
        // For each sequence of blocks: kind, number, shape, FLOPs, parameters.
        let mut rows: Vec<(&str, usize, String, u64, u64)> = Vec::new();
        for (b, block) in network.blocks.iter().enumerate() {
            let layers = || (0..network.layers.len()).filter(|&i| network.layers[i].block == b);
            let Some(last) = layers().next_back() else {
                continue;
            };
            let shape = network.layers[last].shape.to_string();
            let sum = |part: fn(&crate::LayerCost) -> u64| {
                layers().map(|i| part(&cost.layers[i])).sum::<u64>()
            };
            let (flops, params) = (sum(|l| l.flops), sum(|l| l.params));
            match rows.last_mut() {
                Some(row) if row.0 == block.kind && row.2 == shape => {
                    (row.1, row.3, row.4) = (row.1 + 1, row.3 + flops, row.4 + params);
                }
                _ => rows.push((block.kind, 1, shape, flops, params)),
            }
        }
        let mut diagram = Diagram { title: "network".into(), nodes: vec![], edges: vec![] };
        for (kind, n, shape, flops, params) in rows {
            let name = if n > 1 { format!("{n} × {kind}") } else { kind.to_string() };
            let mut lines = vec![name, shape];
            if flops + params > 0 {
                lines.push(format!("{} FLOPs · {} params", short(flops), short(params)));
            }
            let kind = match kind {
                "cell" | "block" => NodeKind::Stage,
                "reduce" => NodeKind::Conv,
                _ => NodeKind::End,
            };
            let node = diagram.node(lines, kind);
            if node > 0 {
                diagram.edges.push(Edge { from: node - 1, to: node, dead: false });
            }
        }
        diagram
    }

    /// Draws every layer with its output shape.
    pub fn layers(network: &Network) -> Diagram {
        let mut diagram = Diagram { title: network.name.clone(), nodes: vec![], edges: vec![] };
        for (i, layer) in network.layers.iter().enumerate() {
            let kind = match layer.op {
                Op::Input => NodeKind::End,
                Op::Conv(_) | Op::UpConv { .. } | Op::Linear { .. } => NodeKind::Conv,
                Op::MaxPool(_) | Op::AvgPool { .. } | Op::GlobalAvgPool => NodeKind::Pool,
                Op::Zero => NodeKind::Dead,
                _ => NodeKind::Light,
            };
            let lines = match layer.op {
                Op::Input => vec!["input".into(), layer.shape.to_string()],
                _ => vec![layer.name.clone(), format!("{} → {}", layer.op.describe(), layer.shape)],
            };
            diagram.node(lines, kind);
            for &from in &layer.inputs {
                diagram.edges.push(Edge { from, to: i, dead: layer.op == Op::Zero });
            }
        }
        diagram
    }

    /// Splits the diagram where no arrow joins its parts. Boxes without arrows are left out, unless
    /// there are no others.
    pub(crate) fn parts(&self) -> Vec<Diagram> {
        // The part of each box: the smallest number of a box that arrows join it with.
        let mut part: Vec<usize> = (0..self.nodes.len()).collect();
        for _ in 0..self.nodes.len() {
            let before = part.clone();
            for e in &self.edges {
                let least = part[e.from].min(part[e.to]);
                (part[e.from], part[e.to]) = (least, least);
            }
            if part == before {
                break;
            }
        }
        let with = |p: usize| (0..part.len()).filter(|&v| part[v] == p).collect::<Vec<_>>();
        let mut parts: Vec<Vec<usize>> = (0..part.len()).map(with).collect();
        parts.retain(|p| p.len() > usize::from(!self.edges.is_empty()));
        let diagram = |boxes: &Vec<usize>| {
            let place = |v: usize| boxes.binary_search(&v).ok();
            let edge = |e: &Edge| Some(Edge { from: place(e.from)?, to: place(e.to)?, ..*e });
            Diagram {
                title: self.title.clone(),
                nodes: boxes.iter().map(|&v| self.nodes[v].clone()).collect(),
                edges: self.edges.iter().filter_map(edge).collect(),
            }
        };
        parts.iter().map(diagram).collect()
    }

    fn node(&mut self, lines: Vec<String>, kind: NodeKind) -> usize {
        self.nodes.push(Node { lines, kind });
        self.nodes.len() - 1
    }
}

/// The kind of an operation, by its name in a graph's labels.
fn kind_of(name: &str) -> NodeKind {
    match name {
        "none" => NodeKind::Dead,
        "addition" | "absent" => NodeKind::Light,
        _ if name.starts_with("input") || name == "output" => NodeKind::End,
        _ if name.starts_with("skip") => NodeKind::Light,
        _ if name.contains("pool") => NodeKind::Pool,
        _ => NodeKind::Conv,
    }
}

/// `conv 3×3` for `nor_conv_3x3`.
fn short_name(operation: &str) -> String {
    match operation.strip_prefix("nor_").unwrap_or(operation) {
        "skip_connect" => "skip".into(),
        name => match name.rsplit_once('_') {
            Some((name, size)) => format!("{} {}", name.replace('_', " "), size.replace('x', "×")),
            None => name.into(),
        },
    }
}

/// Three significant digits and a unit: `35.8 M`.
pub(crate) fn short(n: u64) -> String {
    let mut text = String::new();
    let (value, unit) = match n {
        0..1_000 => (n as f64, ""),
        1_000..1_000_000 => (n as f64 / 1e3, " k"),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, " M"),
        _ => (n as f64 / 1e9, " G"),
    };
    let decimals = match value {
        _ if unit.is_empty() => 0,
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "{value:.decimals$}{unit}");
    text
}
