use std::collections::BTreeSet;

/// The two graphs of an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// The graph of every operation in the text, `none` and `skip` included.
    Raw,
    /// The graph of the computation: without `none` and all that is on no path from input to output,
    /// and with skips bypassed (each predecessor joined to each successor). In a chain of layers,
    /// where the position decides channels and stride, nothing is bypassed.
    Pruned,
}

/// A directed acyclic graph with labelled nodes in topological order: arcs go from lower to higher
/// numbers. It has one cell, or several unconnected ones after each other; a cell has its inputs first
/// and its one output last.
///
/// An arc may occur twice: then a tensor is added to itself, which bypassed skips can cause.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CellGraph {
    /// Label of each node, a code for [`crate::Space::labels`].
    pub labels: Vec<u8>,
    /// Arcs (from, to), sorted.
    pub arcs: Vec<(u8, u8)>,
    /// Input nodes of all cells, ascending.
    pub inputs: Vec<u8>,
    /// Output node of each cell, ascending.
    pub outputs: Vec<u8>,
}

impl CellGraph {
    /// Makes one cell: node 0 is the input, the last node the output.
    pub fn cell(labels: Vec<u8>, arcs: Vec<(u8, u8)>) -> CellGraph {
        let last = labels.len() as u8 - 1;
        CellGraph { labels, arcs, inputs: vec![0], outputs: vec![last] }
    }

    /// Makes one cell whose nodes follow each other; the first is the input, the last the output.
    pub fn chain(labels: Vec<u8>) -> CellGraph {
        let arcs = (1..labels.len() as u8).map(|v| (v - 1, v)).collect();
        CellGraph::cell(labels, arcs)
    }

    /// Returns the number of nodes.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Tells whether there is no node at all. A pruned cell whose output is not reached still has its
    /// inputs and output.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the nodes that read node `v`'s output, once for each arc.
    pub fn successors(&self, v: usize) -> impl Iterator<Item = usize> + '_ {
        self.arcs.iter().filter(move |a| a.0 as usize == v).map(|a| a.1 as usize)
    }

    /// Returns the nodes that node `v` reads, once for each arc.
    pub fn predecessors(&self, v: usize) -> impl Iterator<Item = usize> + '_ {
        self.arcs.iter().filter(move |a| a.1 as usize == v).map(|a| a.0 as usize)
    }

    /// Removes operations labelled `none` and nodes on no path from an input to an output, and
    /// bypasses operations labelled `skip`. Inputs and outputs always stay.
    pub(crate) fn pruned(&self, none: u8, skip: u8) -> CellGraph {
        let n = self.len();
        let mut arcs = self.arcs.clone();
        for v in 0..n {
            if self.labels[v] != none && self.labels[v] != skip {
                continue;
            }
            let froms: Vec<u8> = arcs.iter().filter(|a| a.1 as usize == v).map(|a| a.0).collect();
            let tos: Vec<u8> = arcs.iter().filter(|a| a.0 as usize == v).map(|a| a.1).collect();
            arcs.retain(|a| a.0 as usize != v && a.1 as usize != v);
            if self.labels[v] == skip {
                for &f in &froms {
                    arcs.extend(tos.iter().map(|&t| (f, t)));
                }
            }
        }
        let mut forward = vec![false; n];
        let mut backward = vec![false; n];
        self.inputs.iter().for_each(|&v| forward[v as usize] = true);
        self.outputs.iter().for_each(|&v| backward[v as usize] = true);
        let mut live: Vec<bool> = (0..n).map(|v| forward[v] || backward[v]).collect();
        arcs.sort_unstable();
        for &(f, t) in &arcs {
            forward[t as usize] |= forward[f as usize];
        }
        for &(f, t) in arcs.iter().rev() {
            backward[f as usize] |= backward[t as usize];
        }
        let mut place = vec![0u8; n];
        let mut kept = Vec::with_capacity(n);
        for v in 0..n {
            live[v] |= forward[v] && backward[v];
            if live[v] {
                place[v] = kept.len() as u8;
                kept.push(v);
            }
        }
        let renumber = |nodes: &[u8]| nodes.iter().map(|&v| place[v as usize]).collect();
        CellGraph {
            labels: kept.iter().map(|&v| self.labels[v]).collect(),
            arcs: arcs
                .iter()
                .filter(|a| live[a.0 as usize] && live[a.1 as usize])
                .map(|a| (place[a.0 as usize], place[a.1 as usize]))
                .collect(),
            inputs: renumber(&self.inputs),
            outputs: renumber(&self.outputs),
        }
    }

    /// Returns the representative of the graph's isomorphism class (labels and arc multiplicities
    /// included): two graphs are isomorphic exactly if their canonical graphs are equal. Inputs and
    /// outputs keep their places: a DARTS cell's two inputs are not interchangeable, nor are its two
    /// cells.
    pub fn canonical(&self) -> CellGraph {
        let mut whole = self.clone();
        let mut start = 0;
        whole.arcs.clear();
        for &output in &self.outputs {
            let nodes = start..usize::from(output) + 1;
            let base = start as u8;
            let inside = |v: u8| nodes.contains(&usize::from(v));
            let cell = CellGraph {
                labels: self.labels[nodes.clone()].to_vec(),
                arcs: (self.arcs.iter().filter(|a| inside(a.0)))
                    .map(|a| (a.0 - base, a.1 - base))
                    .collect(),
                inputs: (self.inputs.iter().filter(|&&v| inside(v))).map(|v| v - base).collect(),
                outputs: vec![output - base],
            };
            let cell = cell.canonical_cell();
            whole.labels[nodes.clone()].copy_from_slice(&cell.labels);
            whole.arcs.extend(cell.arcs.iter().map(|a| (a.0 + base, a.1 + base)));
            start = nodes.end;
        }
        whole
    }

    /// Returns the canonical form of one cell. Nodes are refined by their neighbourhoods. Of tied
    /// nodes, each in turn is distinguished from the others until no ties are left; the smallest
    /// resulting graph is the canonical one.
    fn canonical_cell(&self) -> CellGraph {
        let n = self.len();
        let mut depth = vec![0u64; n];
        for &(f, t) in &self.arcs {
            depth[t as usize] = depth[t as usize].max(depth[f as usize] + 1);
        }
        // Orders inputs first, then by the longest path from an input (which is a topological order),
        // and the output last.
        let colours = (0..n)
            .map(|v| {
                let end = match self.inputs.iter().position(|&i| usize::from(i) == v) {
                    Some(i) => i as u64,
                    None if usize::from(self.outputs[0]) == v => 1 << 32,
                    None => 1 << 16,
                };
                (end << 24) | (depth[v] << 8) | u64::from(self.labels[v])
            })
            .collect();
        let mut best = None;
        self.search_orders(self.refine(colours), &mut best);
        best.expect("at least one order was tried")
    }

    fn search_orders(&self, colours: Vec<u64>, best: &mut Option<CellGraph>) {
        let n = self.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&v| colours[v]);
        let Some(tie) = (1..n).find(|&i| colours[order[i]] == colours[order[i - 1]]) else {
            let mut place = vec![0u8; n];
            order.iter().enumerate().for_each(|(i, &v)| place[v] = i as u8);
            let mut arcs: Vec<(u8, u8)> =
                self.arcs.iter().map(|a| (place[a.0 as usize], place[a.1 as usize])).collect();
            arcs.sort_unstable();
            let labels = order.iter().map(|&v| self.labels[v]).collect();
            let graph = CellGraph { labels, arcs, ..self.clone() };
            if best.as_ref().is_none_or(|b| (&graph.labels, &graph.arcs) < (&b.labels, &b.arcs)) {
                *best = Some(graph);
            }
            return;
        };
        let tied: Vec<usize> = (0..n).filter(|&v| colours[v] == colours[order[tie]]).collect();
        for (i, &v) in tied.iter().enumerate() {
            // Nodes with the same neighbours can change places: one of them stands for all.
            let twin = |&u: &usize| {
                self.predecessors(u).eq(self.predecessors(v))
                    && self.successors(u).eq(self.successors(v))
            };
            if tied[..i].iter().any(twin) {
                continue;
            }
            let mut told: Vec<u64> = colours.iter().map(|c| 2 * c + 1).collect();
            told[v] -= 1;
            self.search_orders(self.refine(told), best);
        }
    }

    /// Splits colours by the colours of the neighbours until nothing splits. The result has small
    /// numbers in the order of the given colours.
    fn refine(&self, mut colours: Vec<u64>) -> Vec<u64> {
        let n = self.len();
        let classes = |c: &[u64]| c.iter().collect::<BTreeSet<_>>().len();
        loop {
            let keys: Vec<_> = (0..n)
                .map(|v| {
                    let mut before: Vec<u64> = self.predecessors(v).map(|p| colours[p]).collect();
                    let mut after: Vec<u64> = self.successors(v).map(|s| colours[s]).collect();
                    before.sort_unstable();
                    after.sort_unstable();
                    (colours[v], before, after)
                })
                .collect();
            let distinct: BTreeSet<_> = keys.iter().collect();
            let ranks: Vec<_> = distinct.into_iter().collect();
            let next: Vec<u64> = keys
                .iter()
                .map(|k| ranks.binary_search(&k).expect("key is in the set") as u64)
                .collect();
            let done = classes(&next) == classes(&colours);
            colours = next;
            if done {
                return colours;
            }
        }
    }
}
