//! Cells with operations on edges.

use std::fmt;

use super::Family;
use crate::{Architecture, CellGraph, SpaceError, View};

/// A cell whose nodes add up the edges that end in them.
#[derive(Clone)]
pub struct CellSpace {
    /// Number of nodes; node 0 is the input, the last one the output.
    pub nodes: u8,
    /// Edges in the order of the codes.
    pub edges: Vec<Edge>,
    /// Names of all operations that some edge has, from [`crate::user::OPERATIONS`] if the skeleton
    /// builds the network.
    pub operations: Vec<String>,
    pub skeleton: CellSkeleton,
    positions: Vec<u8>,
}

/// Choices of an edge: where it starts, and its operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Edge {
    /// Nodes where it may start, all below `to`.
    pub from: Vec<u8>,
    pub to: u8,
    /// Operations that it may have, as numbers among [`CellSpace::operations`].
    pub operations: Vec<u8>,
}

/// The network around the cells: stages of equal cells; between stages, a residual block halves the
/// resolution and doubles the channels, as in NAS-Bench-201.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellSkeleton {
    pub resolution: u16,
    pub classes: u32,
    /// Channels of the first stage.
    pub channels: u16,
    pub stages: u8,
    /// Cells in each stage.
    pub cells: u8,
}

impl CellSpace {
    /// Returns the start of an edge and the number of its operation, for a code.
    pub fn choice(&self, edge: usize, code: u8) -> (u8, u8) {
        let Edge { from, operations, .. } = &self.edges[edge];
        let count = operations.len();
        (from[usize::from(code) / count], operations[usize::from(code) % count])
    }

    /// Makes a cell; an edge has at most 255 choices.
    pub fn new(
        nodes: u8,
        edges: Vec<Edge>,
        operations: Vec<String>,
        skeleton: CellSkeleton,
    ) -> CellSpace {
        let choices = |e: &Edge| (e.from.len() * e.operations.len()) as u8;
        let positions = edges.iter().map(choices).collect();
        CellSpace { nodes, edges, operations, skeleton, positions }
    }

    /// Makes a cell with an edge from each node to each later one, with all operations on each. Edges
    /// are ordered by their end, then by their start.
    pub fn complete(nodes: u8, operations: &[&str], skeleton: CellSkeleton) -> CellSpace {
        let all: Vec<u8> = (0..operations.len() as u8).collect();
        let edge = |from, to| Edge { from: vec![from], to, operations: all.clone() };
        let edges = (1..nodes).flat_map(|to| (0..to).map(move |from| (from, to)));
        let edges = edges.map(|(from, to)| edge(from, to)).collect();
        let operations = operations.iter().map(|&op| op.to_owned()).collect();
        CellSpace::new(nodes, edges, operations, skeleton)
    }

    fn codes_of(&self, text: &str) -> Result<Vec<u8>, String> {
        let edges: Vec<&str> = text.split('|').collect();
        if edges.len() != self.edges.len() {
            return Err(format!("{} edges, expected {}", edges.len(), self.edges.len()));
        }
        let code = |(i, text): (usize, &&str)| {
            let known = (0..self.positions[i]).map(|code| (code, self.choice(i, code)));
            let (op, from) = text.split_once('~').ok_or(format!("edge '{text}' lacks '~'"))?;
            let fits = |&(_, (f, o)): &(u8, (u8, u8))| {
                self.operations[usize::from(o)] == op && f.to_string() == from
            };
            known.clone().find(fits).map(|(code, _)| code).ok_or_else(|| {
                let choices: Vec<String> = known
                    .map(|(_, (f, o))| format!("{}~{f}", self.operations[usize::from(o)]))
                    .collect();
                format!("edge {} is '{text}', expected one of {}", i + 1, choices.join(", "))
            })
        };
        edges.iter().enumerate().map(code).collect()
    }

    /// Returns the codes of `none` and `skip_connect` among the operations; a code that no operation
    /// has for one that is missing.
    fn none_and_skip(&self) -> (u8, u8) {
        let code = |name: &str| self.operations.iter().position(|op| op == name);
        let (none, skip) = (code("none"), code("skip_connect"));
        (none.map_or(u8::MAX, |c| c as u8), skip.map_or(u8::MAX, |c| c as u8))
    }

    /// Makes the graph of the edges between the input (node 0) and the output (the last node).
    fn raw_graph(&self, arch: &Architecture) -> CellGraph {
        let input = self.operations.len() as u8;
        let output = self.edges.len() as u8 + 1;
        // Arcs must point forwards: the edges, which are nodes of the graph, are ordered by the node
        // in which they end.
        let mut order: Vec<usize> = (0..self.edges.len()).collect();
        order.sort_by_key(|&e| self.edges[e].to);
        let mut labels = vec![input];
        let mut arcs = Vec::new();
        for (i, &e) in order.iter().enumerate() {
            let (from, op) = self.choice(e, arch.codes()[e]);
            let node = i as u8 + 1;
            labels.push(op);
            if from == 0 {
                arcs.push((0, node));
            }
            for (j, &before) in order[..i].iter().enumerate() {
                if self.edges[before].to == from {
                    arcs.push((j as u8 + 1, node));
                }
            }
            if self.edges[e].to + 1 == self.nodes {
                arcs.push((node, output));
            }
        }
        labels.push(input + 1);
        arcs.sort_unstable();
        CellGraph::cell(labels, arcs)
    }
}

impl fmt::Debug for CellSpace {
    /// Prints only the fields that define the space: files' fingerprints are of this text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CellSpace")
            .field("nodes", &self.nodes)
            .field("edges", &self.edges)
            .field("operations", &self.operations)
            .field("skeleton", &self.skeleton)
            .finish()
    }
}

impl Family for CellSpace {
    fn positions(&self) -> &[u8] {
        &self.positions
    }

    fn labels(&self) -> Vec<&str> {
        self.operations.iter().map(String::as_str).chain(["input", "output"]).collect()
    }

    fn graph(&self, arch: &Architecture, view: View) -> CellGraph {
        let raw = self.raw_graph(arch);
        match view {
            View::Raw => raw,
            View::Pruned => {
                let (none, skip) = self.none_and_skip();
                raw.pruned(none, skip)
            }
        }
    }

    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError> {
        let text = text.trim();
        let codes = self.codes_of(text);
        codes.map(Architecture::new).map_err(|why| SpaceError::text(space, text, why))
    }

    fn print(&self, arch: &Architecture) -> String {
        let edge = |(i, &code): (usize, &u8)| {
            let (from, op) = self.choice(i, code);
            format!("{}~{from}", self.operations[usize::from(op)])
        };
        arch.codes().iter().enumerate().map(edge).collect::<Vec<_>>().join("|")
    }

    /// Tells which edges are on a path of operations other than `none` from input to output.
    fn live(&self, arch: &Architecture) -> Vec<bool> {
        let (none, _) = self.none_and_skip();
        let choices: Vec<(u8, u8)> =
            arch.codes().iter().enumerate().map(|(e, &code)| self.choice(e, code)).collect();
        let n = usize::from(self.nodes);
        let (mut reached, mut used) = (vec![false; n], vec![false; n]);
        reached[0] = true;
        used[n - 1] = true;
        let open = |e: usize| choices[e].1 != none;
        for node in 1..n {
            let ends = (0..choices.len()).filter(|&e| usize::from(self.edges[e].to) == node);
            reached[node] = ends.into_iter().any(|e| open(e) && reached[usize::from(choices[e].0)]);
        }
        for node in (0..n - 1).rev() {
            let starts = (0..choices.len()).filter(|&e| usize::from(choices[e].0) == node);
            used[node] = starts.into_iter().any(|e| open(e) && used[usize::from(self.edges[e].to)]);
        }
        (0..choices.len())
            .map(|e| {
                open(e) && reached[usize::from(choices[e].0)] && used[usize::from(self.edges[e].to)]
            })
            .collect()
    }

    fn max_nodes(&self) -> usize {
        2 + self.edges.len()
    }

    fn cell(&self) -> Option<&CellSpace> {
        Some(self)
    }
}
