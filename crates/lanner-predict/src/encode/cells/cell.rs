//! One cell as operations and arcs between them, and the properties of its graph.

use lanner_space::{Architecture, Space, View};

use super::operation::{OperationKind, Operations, Set};

/// Part of the variance that average pooling passes: not tuned; 1 (no loss) is the alternative.
pub(super) const POOLING: f64 = 0.35;
/// Keeps logarithms of variances finite when nothing reaches the output.
pub(super) const FLOOR: f64 = 0.1;

/// A cell: operations as nodes in topological order. Sums are in the arcs: an operation reads the
/// sum of all its predecessors.
pub(super) struct Cell {
    /// The label of each node; inputs are first, the output is last.
    pub labels: Vec<u8>,
    /// Predecessors of each node, ascending; an arc may stand twice.
    pub before: Vec<Vec<usize>>,
    pub after: Vec<Vec<usize>>,
    pub inputs: usize,
    /// Nodes on a path from an input to the output.
    pub live: Vec<bool>,
}

impl Cell {
    /// The cells of an architecture, of which each has its own inputs and output.
    pub fn all(operations: &Operations, space: &Space, arch: &Architecture) -> Vec<Cell> {
        let graph = space.graph(arch, View::Raw);
        let mut cells = Vec::with_capacity(graph.outputs.len());
        let mut start = 0;
        for &output in &graph.outputs {
            let (first, last) = (start, usize::from(output));
            let inside = |v: u8| (first..=last).contains(&usize::from(v));
            let inputs = graph.inputs.iter().filter(|&&v| inside(v)).count();
            let arcs = (graph.arcs.iter().filter(|a| inside(a.0)))
                .map(|a| (usize::from(a.0) - first, usize::from(a.1) - first));
            cells.push(Cell::new(operations, &graph.labels[first..=last], inputs, arcs));
            start = last + 1;
        }
        cells
    }

    fn new(
        operations: &Operations,
        labels: &[u8],
        inputs: usize,
        arcs: impl Iterator<Item = (usize, usize)>,
    ) -> Cell {
        let last = labels.len() - 1;
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); labels.len()];
        arcs.for_each(|(from, to)| before[to].push(from));
        // Nodes that only join arcs give way to their predecessors.
        let inner = |v: usize| v >= inputs && v < last;
        let joins = |v: usize| inner(v) && operations.kind(labels[v]) == OperationKind::Join;
        for v in 0..labels.len() {
            let sources = std::mem::take(&mut before[v]);
            let mut all = Vec::with_capacity(sources.len());
            for u in sources {
                if joins(u) { all.extend_from_slice(&before[u]) } else { all.push(u) }
            }
            all.sort_unstable();
            before[v] = all;
        }
        let kept: Vec<usize> = (0..labels.len()).filter(|&v| !joins(v)).collect();
        let place = |v: usize| kept.binary_search(&v).expect("joins were passed by");
        let before: Vec<Vec<usize>> =
            kept.iter().map(|&v| before[v].iter().map(|&u| place(u)).collect()).collect();
        let labels: Vec<u8> = kept.iter().map(|&v| labels[v]).collect();
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); labels.len()];
        for (v, sources) in before.iter().enumerate() {
            sources.iter().for_each(|&u| after[u].push(v));
        }

        let n = labels.len();
        let open = |v: usize| operations.kind(labels[v]) != OperationKind::None;
        let (mut reached, mut used) = (vec![false; n], vec![false; n]);
        for v in 0..n {
            reached[v] = v < inputs || open(v) && before[v].iter().any(|&u| reached[u]);
        }
        for v in (0..n).rev() {
            used[v] = v + 1 == n || open(v) && after[v].iter().any(|&w| used[w]);
        }
        let live = (0..n).map(|v| reached[v] && used[v]).collect();
        Cell { labels, before, after, inputs, live }
    }

    /// The output, which is the last node.
    pub fn output(&self) -> usize {
        self.labels.len() - 1
    }

    /// The nodes that are operations.
    pub fn operations(&self) -> std::ops::Range<usize> {
        self.inputs..self.output()
    }

    /// Counts operations with a label, all or the live ones.
    pub fn count(&self, label: u8, live: bool) -> f64 {
        let counts = |v: &usize| self.labels[*v] == label && (!live || self.live[*v]);
        self.operations().filter(counts).count() as f64
    }

    /// A chain has nothing beside each other.
    pub fn is_chain(&self) -> bool {
        self.before.iter().skip(1).all(|b| b.len() == 1)
            && self.after[..self.output()].iter().all(|a| a.len() == 1)
    }

    /// Operations on the longest path from an input to the output, if there is a path, by `inside`.
    pub fn longest(&self, inside: impl Fn(u8) -> bool) -> Option<f64> {
        self.fold(inside, |_| 1.0, f64::max)
    }

    /// Largest or least (`better`) sum of `worth` on a path that uses only operations `inside`.
    fn fold(
        &self,
        inside: impl Fn(u8) -> bool,
        worth: impl Fn(u8) -> f64,
        better: fn(f64, f64) -> f64,
    ) -> Option<f64> {
        let mut sums: Vec<Option<f64>> = vec![None; self.labels.len()];
        for v in 0..self.labels.len() {
            let inner = self.operations().contains(&v);
            if v < self.inputs {
                sums[v] = Some(0.0);
            } else if !inner || inside(self.labels[v]) {
                let best = self.before[v].iter().filter_map(|&u| sums[u]).reduce(better);
                sums[v] = best.map(|b| if inner { b + worth(self.labels[v]) } else { b });
            }
        }
        sums[self.output()]
    }

    /// Number of paths from an input to the output that use only operations `inside`.
    pub fn paths(&self, inside: impl Fn(u8) -> bool) -> f64 {
        let mut counts = vec![0.0; self.labels.len()];
        for v in 0..self.labels.len() {
            if v < self.inputs {
                counts[v] = 1.0;
            } else if !self.operations().contains(&v) || inside(self.labels[v]) {
                counts[v] = self.before[v].iter().map(|&u| counts[u]).sum();
            }
        }
        counts[self.output()]
    }

    /// Appends for each subset the lengths of the shortest and longest path, the number of paths,
    /// and of arcs of such operations into the output and out of the inputs; then for each family
    /// the most and fewest on a path. `depth` is the most operations on a path of the space.
    pub fn graph(
        &self,
        operations: &Operations,
        (subsets, families): (&[Set], &[Set]),
        depth: usize,
        out: &mut Vec<f64>,
    ) {
        for set in subsets {
            let inside = |label: u8| set.has(label);
            let shortest = self.fold(inside, |_| 1.0, f64::min);
            let at = |v: &usize| self.operations().contains(v) && set.has(self.labels[*v]);
            let entering = self.before[self.output()].iter().filter(|v| at(v)).count();
            let leaving: usize =
                (0..self.inputs).map(|i| self.after[i].iter().filter(|v| at(v)).count()).sum();
            out.extend([
                shortest.unwrap_or(depth as f64 + 2.0),
                self.longest(inside).unwrap_or(0.0),
                self.paths(inside),
                entering as f64,
                leaving as f64,
            ]);
        }
        let open = |label: u8| operations.kind(label) != OperationKind::None;
        for family in families {
            let one = |label: u8| f64::from(u8::from(family.has(label)));
            let most = self.fold(open, one, f64::max);
            let fewest = self.fold(open, one, f64::min);
            out.extend([most.unwrap_or(-1.0), fewest.unwrap_or(-1.0)]);
        }
    }

    /// Log gain of the backward pass; numbers of live operations, learned, spatial, sums, arcs out
    /// of the inputs and into the output, paths.
    pub fn size(&self, operations: &Operations) -> [f64; 8] {
        let n = self.labels.len();
        // The gradient's variance after each node, when learned operations pass it on unchanged.
        let mut gain = vec![0.0; n];
        gain[n - 1] = 1.0;
        let passed = |w: usize, gain: f64| match operations.kind(self.labels[w]) {
            OperationKind::None => 0.0,
            OperationKind::Pool => gain * POOLING,
            _ => gain,
        };
        for v in (0..n - 1).rev() {
            gain[v] = self.after[v].iter().map(|&w| passed(w, gain[w])).sum();
        }
        let live = || self.operations().filter(|&v| self.live[v]);
        let number = |of: &dyn Fn(usize) -> bool| live().filter(|&v| of(v)).count() as f64;
        // Operations whose results are added up have the same successors.
        let mut sums: Vec<&[usize]> = live().map(|v| self.after[v].as_slice()).collect();
        sums.sort_unstable();
        sums.dedup();
        let is_input = |u: &usize| *u < self.inputs;
        let open = |label: u8| operations.kind(label) != OperationKind::None;
        [
            (gain[..self.inputs].iter().sum::<f64>() + FLOOR).ln(),
            number(&|_| true),
            number(&|v| operations.is_learned(self.labels[v])),
            number(&|v| operations.is_spatial(self.labels[v])),
            sums.len() as f64,
            number(&|v| self.before[v].iter().any(is_input)),
            number(&|v| self.after[v].contains(&self.output())),
            self.paths(open),
        ]
    }

    /// Appends the number of each operation up to and with each position of a chain. A chain that
    /// ends early stays as it is there.
    pub fn places(&self, operations: &Operations, depth: usize, out: &mut Vec<f64>) {
        let mut counts = vec![0.0; operations.codes.len()];
        for position in 0..depth {
            if self.operations().len() > position {
                let label = self.labels[self.inputs + position];
                let at = operations.codes.iter().position(|&c| c == label);
                at.into_iter().for_each(|i| counts[i] += 1.0);
            }
            out.extend_from_slice(&counts);
        }
    }
}
