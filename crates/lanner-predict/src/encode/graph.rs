//! Architectures as the labelled graphs that a GCN reads.
//!
//! A graph has one *global* node first, which aggregates every node; every other node aggregates
//! its successors and itself. Node features are one-hot labels. Two encodings:
//!
//! - [`Encoding::BrpNas`] (Dudziak et al., NeurIPS 2020): the pruned cell, parallel arcs counted
//!   once, padded with rows that have no label and only themselves to aggregate, up to the largest
//!   graph of the space. NAS-Bench-201: 9 nodes, 6 labels.
//! - [`Encoding::Both`]: the raw cell and the pruned cell as two components with labels of their
//!   own under one global node, without padding. What the text says and what the runtime computes
//!   both matter: some published latencies count dead edges, others do not.

use lanner_space::{Architecture, CellGraph, Space, View};

pub use crate::regress::gcn::Graphs;

/// Conversion of an architecture to a graph. See the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// The encoding of BRP-NAS: pruned and padded.
    BrpNas,
    /// Raw and pruned cell side by side.
    Both,
}

impl Encoding {
    /// The name in model files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::BrpNas => "brp-nas",
            Encoding::Both => "both",
        }
    }

    /// The encoding of that name.
    pub fn by_name(name: &str) -> Option<Encoding> {
        [Encoding::BrpNas, Encoding::Both].into_iter().find(|e| e.name() == name)
    }

    /// The number of labels that its graphs of `space` use, the global node's included.
    pub fn vocabulary(self, space: &Space) -> usize {
        let live = live_labels(space).iter().flatten().count();
        match self {
            Encoding::BrpNas => live + 1,
            Encoding::Both => live + space.labels().len() + 1,
        }
    }
}

/// The code of each of the space's labels among those that pruning leaves.
fn live_labels(space: &Space) -> Vec<Option<u32>> {
    let mut next = 0;
    space
        .labels()
        .iter()
        .map(|&label| {
            (!matches!(label, "none" | "skip_connect")).then(|| {
                next += 1;
                next - 1
            })
        })
        .collect()
}

impl Graphs {
    /// Encodes architectures of `space`, in order.
    pub fn encode<'a>(
        space: &Space,
        architectures: impl IntoIterator<Item = &'a Architecture>,
        encoding: Encoding,
    ) -> Graphs {
        let live = live_labels(space);
        let mut graphs = Graphs::new(encoding.vocabulary(space));
        let count = live.iter().flatten().count() as u32;
        let label_live = |l: u8| live[usize::from(l)].expect("pruned cells have live labels only");
        for architecture in architectures {
            let pruned = space.graph(architecture, View::Pruned);
            match encoding {
                Encoding::BrpNas => {
                    let padding = space.max_nodes() - pruned.len();
                    graphs.push(&[(&pruned, &label_live)], padding, true);
                }
                Encoding::Both => {
                    let raw = space.graph(architecture, View::Raw);
                    let label_raw = |l: u8| count + u32::from(l);
                    graphs.push(&[(&raw, &label_raw), (&pruned, &label_live)], 0, false);
                }
            }
        }
        graphs
    }

    /// Adds a graph of components (cell, code of each of its labels) and `padding` empty nodes.
    pub fn push(
        &mut self,
        components: &[(&CellGraph, &dyn Fn(u8) -> u32)],
        padding: usize,
        arcs_once: bool,
    ) {
        let nodes: usize = 1 + padding + components.iter().map(|c| c.0.len()).sum::<usize>();
        self.labels.push(Some(self.vocabulary as u32 - 1));
        self.aggregates.push(0..nodes as u32);
        let mut base = 1u32;
        let mut next: Vec<u32> = Vec::new();
        for (cell, label) in components {
            let mut arcs = cell.arcs.iter().peekable(); // sorted
            for v in 0..cell.len() {
                self.labels.push(Some(label(cell.labels[v])));
                next.clear();
                while let Some(arc) = arcs.next_if(|arc| usize::from(arc.0) == v) {
                    next.push(base + u32::from(arc.1));
                }
                if arcs_once {
                    next.dedup();
                }
                next.push(base + v as u32);
                self.aggregates.push(next.iter().copied());
            }
            base += cell.len() as u32;
        }
        for p in 0..padding as u32 {
            self.labels.push(None);
            self.aggregates.push([base + p]);
        }
        self.starts.push(self.labels.len() as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str, encoding: Encoding) -> Graphs {
        let space = Space::NasBench201;
        Graphs::encode(&space, [&space.parse(text).expect("a good text")], encoding)
    }

    /// Adjacency rows as the paper writes them.
    fn adjacency(graphs: &Graphs) -> Vec<Vec<u8>> {
        let n = graphs.nodes(0).len();
        (0..n)
            .map(|v| {
                let mut row = vec![0; n];
                graphs.aggregates.row(v).iter().for_each(|&c| row[c as usize] += 1);
                row
            })
            .collect()
    }

    #[test]
    fn brp_nas_pads_the_pruned_cell_to_nine_nodes() {
        // Edges 0→1 conv3x3, 0→2 none, 1→2 skip, 0→3 pool, 1→3 none, 2→3 conv1x1.
        let graphs = encode("301402", Encoding::BrpNas);
        assert_eq!(graphs.vocabulary, 6);
        let (conv1, conv3, pool, input, output, global) = (0, 1, 2, 3, 4, 5);
        let labels = [global, input, conv3, pool, conv1, output].map(Some);
        assert_eq!(graphs.labels[..6], labels);
        assert_eq!(graphs.labels[6..], [None; 3]);
        let rows = adjacency(&graphs);
        assert_eq!(rows[0], [1; 9]);
        assert_eq!(rows[1], [0, 1, 1, 1, 0, 0, 0, 0, 0]); // the input feeds conv3 and pool
        assert_eq!(rows[2], [0, 0, 1, 0, 1, 0, 0, 0, 0]); // conv3, past the skip, feeds conv1
        assert_eq!(rows[3], [0, 0, 0, 1, 0, 1, 0, 0, 0]);
        assert_eq!(rows[4], [0, 0, 0, 0, 1, 1, 0, 0, 0]);
        assert_eq!(rows[5], [0, 0, 0, 0, 0, 1, 0, 0, 0]);
        for (v, row) in rows.iter().enumerate().skip(6) {
            assert!(row.iter().enumerate().all(|(c, &x)| x == u8::from(c == v)));
        }
    }

    #[test]
    fn parallel_arcs_count_once_for_brp_nas_only() {
        // Only skips: input to output on four ways.
        let once = encode("111111", Encoding::BrpNas);
        assert_eq!(once.aggregates.row(1), [2, 1]);
        let both = encode("111111", Encoding::Both);
        assert_eq!(both.nodes(0).len(), 1 + 8 + 2);
        assert_eq!(both.aggregates.row(9), [10, 10, 10, 10, 9]);
        assert_eq!(both.vocabulary, 13);
        assert_eq!(both.aggregates.row(0).len(), 11);
    }
}
