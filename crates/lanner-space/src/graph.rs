use std::collections::BTreeSet;

/// Which graph of an architecture is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Every operation of the text, `none` and `skip` included.
    Raw,
    /// What is computed: `none` and all that is on no path from input to output removed, skips
    /// bypassed (each predecessor joined to each successor).
    Pruned,
}

/// A directed acyclic graph with labelled nodes in topological order: arcs go from lower to higher
/// numbers, the first nodes are inputs, the last is the output.
///
/// An arc may stand twice: the same tensor added to itself, as bypassed skips can leave behind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CellGraph {
    /// A label code a node, see [`crate::Space::labels`].
    pub labels: Vec<u8>,
    /// (from, to), sorted.
    pub arcs: Vec<(u8, u8)>,
}

impl CellGraph {
    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without any node; a pruned cell whose output is not reached has only its ends left.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The nodes that read node `v`'s output, one entry an arc.
    pub fn successors(&self, v: usize) -> impl Iterator<Item = usize> + '_ {
        self.arcs.iter().filter(move |a| a.0 as usize == v).map(|a| a.1 as usize)
    }

    /// The nodes that node `v` reads, one entry an arc.
    pub fn predecessors(&self, v: usize) -> impl Iterator<Item = usize> + '_ {
        self.arcs.iter().filter(move |a| a.1 as usize == v).map(|a| a.0 as usize)
    }

    /// The graph without operations labelled `none`, with those labelled `skip` bypassed, and
    /// without nodes on no path from an input to the output. First and last node always stay.
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
        forward[0] = true;
        backward[n - 1] = true;
        arcs.sort_unstable();
        for &(f, t) in &arcs {
            forward[t as usize] |= forward[f as usize];
        }
        for &(f, t) in arcs.iter().rev() {
            backward[f as usize] |= backward[t as usize];
        }
        let live = |v: usize| v == 0 || v == n - 1 || (forward[v] && backward[v]);
        let kept: Vec<usize> = (0..n).filter(|&v| live(v)).collect();
        let mut place = vec![0u8; n];
        for (i, &v) in kept.iter().enumerate() {
            place[v] = i as u8;
        }
        CellGraph {
            labels: kept.iter().map(|&v| self.labels[v]).collect(),
            arcs: arcs
                .iter()
                .filter(|a| live(a.0 as usize) && live(a.1 as usize))
                .map(|a| (place[a.0 as usize], place[a.1 as usize]))
                .collect(),
        }
    }

    /// A representative of the graph's isomorphism class (labels and arc multiplicities respected):
    /// two graphs are isomorphic exactly if their canonical graphs are equal. The first and the
    /// last node keep their places.
    ///
    /// Nodes are refined by the hashes of their neighbourhoods; what stays tied is tried in every
    /// order, which is fast for cells (at most a few tied nodes) but exponential in their number.
    pub fn canonical(&self) -> CellGraph {
        let n = self.len();
        if n <= 2 {
            return self.clone();
        }
        let colours = self.refined_colours();
        let mut order: Vec<usize> = (1..n - 1).collect();
        order.sort_by_key(|&v| colours[v]);
        let mut best: Option<CellGraph> = None;
        permute_ties(&mut order, 0, &colours, &mut |order| {
            let mut place = vec![0u8; n];
            place[n - 1] = n as u8 - 1;
            for (i, &v) in order.iter().enumerate() {
                place[v] = i as u8 + 1;
            }
            let mut labels = vec![0u8; n];
            for v in 0..n {
                labels[place[v] as usize] = self.labels[v];
            }
            let mut arcs: Vec<(u8, u8)> =
                self.arcs.iter().map(|a| (place[a.0 as usize], place[a.1 as usize])).collect();
            arcs.sort_unstable();
            let g = CellGraph { labels, arcs };
            if best.as_ref().is_none_or(|b| (&g.labels, &g.arcs) < (&b.labels, &b.arcs)) {
                best = Some(g);
            }
        });
        best.expect("at least one order was tried")
    }

    /// Colours that isomorphisms preserve and that sort nodes topologically: the longest path from
    /// the start comes first, then the refined neighbourhood.
    fn refined_colours(&self) -> Vec<u64> {
        let n = self.len();
        let mut depth = vec![0u64; n];
        for &(f, t) in &self.arcs {
            depth[t as usize] = depth[t as usize].max(depth[f as usize] + 1);
        }
        let ends = |v: usize| u64::from(v == 0) + 2 * u64::from(v == n - 1);
        let mut colours: Vec<u64> =
            (0..n).map(|v| (depth[v] << 16) | (ends(v) << 8) | u64::from(self.labels[v])).collect();
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
            let classes = |c: &[u64]| c.iter().collect::<BTreeSet<_>>().len();
            let done = classes(&next) == classes(&colours);
            colours = next;
            if done {
                return colours;
            }
        }
    }
}

/// Calls `visit` for every order of `order` that permutes only runs of equal colour.
fn permute_ties(
    order: &mut Vec<usize>,
    at: usize,
    colours: &[u64],
    visit: &mut impl FnMut(&[usize]),
) {
    if at == order.len() {
        visit(order);
        return;
    }
    let mut i = at;
    while i < order.len() && colours[order[i]] == colours[order[at]] {
        order.swap(at, i);
        permute_ties(order, at + 1, colours, visit);
        order.swap(at, i);
        i += 1;
    }
}
