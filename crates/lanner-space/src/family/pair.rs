//! Pairs of cells.

use std::sync::{LazyLock, OnceLock};

use super::Family;
use crate::{Architecture, CellGraph, SpaceError, View, independent, literal::Literal};

/// Number of nodes of a cell.
const NODES: usize = 4;
/// Number of codes of a cell.
const CELL: usize = 4 * NODES;

/// Largest number of graph nodes: two cells of 2 inputs, 4 × (2 operations and their sum) and an
/// output.
const MAX_NODES: usize = 30;
/// Number of topologies: the nodes have 1, 3, 6 and 10 pairs of inputs.
const TOPOLOGIES: usize = 180;

/// A normal and a reduction cell. Each has four nodes, and a node adds up two operations on earlier
/// nodes or on the outputs of the two cells before.
///
/// Codes: the normal cell, then the reduction cell; a cell has four nodes of two edges, and an edge is
/// (input, operation). Inputs 0 and 1 are the cells before, 2 to 5 the nodes. The two edges of a node
/// are in ascending order.
///
/// **Equality.** Renumbering the nodes changes only the order of the channels in a cell's output. The
/// canonical numbering has the lexicographically first inputs and, among these, operations;
/// [`crate::Space::sample`] and [`crate::Space::shuffled`] are uniform over canonical architectures.
///
/// Texts: `Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=[…],
/// reduce_concat=range(2, 6))`, NASLib's `[[(input, operation), …], […]]`, or 32 digits.
#[derive(Debug)]
pub struct CellPair {
    operations: &'static [&'static str],
    positions: Vec<u8>,
    /// Number of different cells, counted when first needed.
    classes: OnceLock<u128>,
}

impl CellPair {
    /// Makes cells with these operations, by code. If the last one is `none`, architectures with it
    /// are accepted, but not counted.
    pub fn new(operations: &'static [&'static str]) -> CellPair {
        let choices = |i: usize| match i % 2 {
            0 => (i % CELL / 4) as u8 + 2,
            _ => operations.len() as u8,
        };
        let positions = (0..2 * CELL).map(choices).collect();
        CellPair { operations, positions, classes: OnceLock::new() }
    }

    fn code(&self, operation: &str) -> Option<u8> {
        self.operations.iter().position(|&o| o == operation).map(|code| code as u8)
    }

    /// Returns the number of counted operations.
    fn counted(&self) -> u8 {
        self.operations.len() as u8 - u8::from(self.operations.last() == Some(&"none"))
    }

    /// Returns the number of choices of operations on eight edges.
    fn labellings(&self) -> u128 {
        u128::from(self.counted()).pow(8)
    }

    fn cells(&self) -> u128 {
        TOPOLOGIES as u128 * self.labellings()
    }

    /// Returns the topology and the number of the operations of a counted cell.
    fn split(&self, cell: &[u8]) -> Option<(Topology, u128)> {
        let inputs: Topology = std::array::from_fn(|e| cell[2 * e]);
        let ops: [u8; 8] = std::array::from_fn(|e| cell[2 * e + 1]);
        let counted =
            inputs.chunks(2).all(|p| p[0] < p[1]) && ops.iter().all(|&op| op < self.counted());
        counted.then(|| (inputs, independent::index_of(&[self.counted(); 8], &ops)))
    }

    fn join(&self, inputs: &Topology, ops: u128) -> [u8; CELL] {
        let ops = independent::at(&[self.counted(); 8], ops);
        std::array::from_fn(|i| if i % 2 == 0 { inputs[i / 2] } else { ops.codes()[i / 2] })
    }
}

/// Inputs of the eight edges of a cell.
type Topology = [u8; 8];

/// All topologies, in lexicographic order.
static ALL: LazyLock<Vec<Topology>> = LazyLock::new(|| {
    let pairs = |node: u8| (0..node + 2).flat_map(move |a| (a + 1..node + 2).map(move |b| [a, b]));
    let mut all = vec![Vec::new()];
    for node in 0..NODES as u8 {
        let longer = |t: Vec<u8>| pairs(node).map(move |p| [&t[..], &p[..]].concat());
        all = all.into_iter().flat_map(longer).collect();
    }
    all.into_iter().map(|t| t.try_into().expect("eight inputs")).collect()
});

/// Canonical topologies: the first of each set that renumbering makes equal.
static CANONICAL: LazyLock<Vec<Topology>> = LazyLock::new(|| {
    let cell =
        |t: &Topology| -> [u8; CELL] { std::array::from_fn(|i| t[i / 2] * (1 - i as u8 % 2)) };
    ALL.iter().copied().filter(|t| canonical_cell(&cell(t)) == cell(t)).collect()
});

/// All orders of the four nodes.
static ORDERS: LazyLock<Vec<[u8; NODES]>> = LazyLock::new(|| {
    let all = (0..256u32).map(|i| [i / 64, i / 16 % 4, i / 4 % 4, i % 4].map(|x| x as u8));
    all.filter(|o| (0..4u8).all(|v| o.contains(&v))).collect()
});

/// Puts the edges of each node in ascending order.
fn sort_edges(cell: &mut [u8]) {
    for edges in cell.chunks_mut(4) {
        if edges[..2] > edges[2..] {
            edges.rotate_left(2);
        }
    }
}

/// Counts canonical cells with `ops` operations: each canonical topology has ops^8 labellings, of
/// which its symmetries make some equal (Burnside's lemma).
fn classes(ops: u128) -> u128 {
    let of_topology = |topology: &Topology| {
        // Edges as labels tell which edge a symmetry moves where.
        let labelled: [u8; CELL] =
            std::array::from_fn(|i| if i % 2 == 0 { topology[i / 2] } else { i as u8 / 2 });
        let images = ORDERS.iter().filter_map(|order| renumbered(&labelled, order));
        let symmetries: Vec<_> =
            images.filter(|c| (0..8).all(|e| c[2 * e] == topology[e])).collect();
        let fixed = symmetries.iter().map(|image| ops.pow(cycles(image)));
        fixed.sum::<u128>() / symmetries.len() as u128
    };
    CANONICAL.iter().map(of_topology).sum()
}

/// Counts the cycles of the permutation of eight edges that stands in the operations' places.
fn cycles(image: &[u8; CELL]) -> u32 {
    let mut seen = [false; 8];
    let mut count = 0;
    for start in 0..8 {
        let mut at = start;
        count += u32::from(!seen[start]);
        while !seen[at] {
            seen[at] = true;
            at = image[2 * at + 1].into();
        }
    }
    count
}

/// Returns the cell with its nodes in an order (of old numbers); `None` if a node would come before
/// one of its inputs.
fn renumbered(cell: &[u8; CELL], order: &[u8; NODES]) -> Option<[u8; CELL]> {
    let mut number = [0, 1, 0, 0, 0, 0];
    let mut new = [0; CELL];
    for (i, &node) in order.iter().enumerate() {
        let edges = &cell[4 * usize::from(node)..][..4];
        let renumber = |input: u8| number[usize::from(input)];
        let inputs = [renumber(edges[0]), renumber(edges[2])];
        // Nodes without a number so far are 0.
        if (edges[0] > 1 && inputs[0] == 0) || (edges[2] > 1 && inputs[1] == 0) {
            return None;
        }
        new[4 * i..4 * i + 4].copy_from_slice(&[inputs[0], edges[1], inputs[1], edges[3]]);
        number[usize::from(node) + 2] = i as u8 + 2;
    }
    sort_edges(&mut new);
    Some(new)
}

/// Returns inputs before operations: canonical cells are the first by this key.
fn key(cell: &[u8; CELL]) -> [u8; CELL] {
    std::array::from_fn(|i| if i < 8 { cell[2 * i] } else { cell[2 * (i - 8) + 1] })
}

fn canonical_cell(cell: &[u8; CELL]) -> [u8; CELL] {
    let all = ORDERS.iter().filter_map(|order| renumbered(cell, order));
    all.min_by_key(key).expect("the given order is one")
}

impl Family for CellPair {
    fn positions(&self) -> &[u8] {
        &self.positions
    }

    fn labels(&self) -> Vec<&str> {
        self.operations.iter().copied().chain(["addition", "input", "output"]).collect()
    }

    /// Makes the graph of both cells: two inputs, for each node its two operations and their sum, and
    /// the output.
    fn graph(&self, arch: &Architecture, view: View) -> CellGraph {
        let addition = self.operations.len() as u8;
        let mut graph = CellGraph { labels: vec![], arcs: vec![], inputs: vec![], outputs: vec![] };
        for cell in arch.codes().chunks(CELL) {
            let base = graph.labels.len() as u8;
            let output = base + 14;
            // Inputs are nodes 0 and 1; the sum of node 2 + i is 4 + 3i.
            let source = |input: u8| base + if input < 2 { input } else { 3 * input - 2 };
            graph.labels.extend([addition + 1; 2]);
            for (i, edges) in cell.chunks(4).enumerate() {
                let first = base + 2 + 3 * i as u8;
                graph.labels.extend([edges[1], edges[3], addition]);
                graph.arcs.extend([(source(edges[0]), first), (source(edges[2]), first + 1)]);
                graph.arcs.extend([
                    (first, first + 2),
                    (first + 1, first + 2),
                    (first + 2, output),
                ]);
            }
            graph.labels.push(addition + 2);
            graph.inputs.extend([base, base + 1]);
            graph.outputs.push(output);
        }
        graph.arcs.sort_unstable();
        match view {
            View::Raw => graph,
            View::Pruned => {
                let code = |operation| self.code(operation).unwrap_or(u8::MAX);
                graph.pruned(code("none"), code("skip_connect"))
            }
        }
    }

    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError> {
        let mut text = text.trim();
        // Lists of genotypes have the form `DARTS_V2 = Genotype(…)`.
        if let Some((_, genotype)) = text.split_once('=')
            && genotype.trim_start().starts_with("Genotype(")
        {
            text = genotype.trim_start();
        }
        let fail = |why| SpaceError::text(space, text, why);
        let mut codes = if text.starts_with("Genotype") {
            let genotype = Literal::parse(text).map_err(fail)?;
            let cell = |name: &str| {
                let concat = format!("{name}_concat");
                match genotype.get(&concat).and_then(Literal::codes).as_deref() {
                    None | Some([2, 3, 4, 5]) => {}
                    Some(other) => return Err(format!("{concat} is {other:?}, expected 2 to 5")),
                }
                read_cell((name, self.operations), genotype.get(name), |edge| {
                    let [op, input] = edge else { return None };
                    let op = op.text()?;
                    Some((input.code()?, self.code(op).ok_or(op.to_owned())))
                })
            };
            cell("normal").and_then(|n| Ok([n, cell("reduce")?].concat())).map_err(fail)?
        } else if text.starts_with(['[', '(']) {
            let cells = Literal::parse(text).map_err(fail)?;
            let Some([normal, reduce]) = cells.list() else {
                return Err(fail("expected two cells, [[(input, operation), …], […]]".into()));
            };
            let cell = |name, cell| {
                read_cell((name, self.operations), Some(cell), |edge| {
                    let [input, op] = edge else { return None };
                    let code = op.code()?;
                    let known = usize::from(code) < self.operations.len();
                    Some((input.code()?, if known { Ok(code) } else { Err(code.to_string()) }))
                })
            };
            cell("normal", normal)
                .and_then(|n| Ok([n, cell("reduce", reduce)?].concat()))
                .map_err(fail)?
        } else if text.starts_with(|c: char| c.is_ascii_digit()) {
            independent::parse(space, text, &self.positions)?.codes().to_vec()
        } else {
            let why = "expected Genotype(normal=[('sep_conv_3x3', 0), …], …), [[(0, 3), …], […]] or 32 digits";
            return Err(fail(why.into()));
        };
        sort_edges(&mut codes);
        Ok(Architecture::new(codes))
    }

    fn print(&self, arch: &Architecture) -> String {
        let cell = |codes: &[u8]| {
            let edges = codes
                .chunks(2)
                .map(|e| format!("('{}', {})", self.operations[usize::from(e[1])], e[0]));
            edges.collect::<Vec<_>>().join(", ")
        };
        format!(
            "Genotype(normal=[{}], normal_concat=range(2, 6), reduce=[{}], reduce_concat=range(2, 6))",
            cell(&arch.codes()[..CELL]),
            cell(&arch.codes()[CELL..])
        )
    }

    fn choices(&self) -> Option<&[u8]> {
        None
    }

    fn size(&self) -> Option<u128> {
        self.cells().checked_mul(self.cells())
    }

    /// Returns the number of canonical architectures.
    fn distinct(&self) -> Option<u128> {
        let cells = self.classes.get_or_init(|| classes(self.counted().into()));
        cells.checked_mul(*cells)
    }

    fn check(&self, codes: &[u8]) -> Result<(), String> {
        independent::check(&self.positions, codes)?;
        for (i, edges) in codes.chunks(4).enumerate() {
            if edges[..2] > edges[2..] {
                let cell = if i < NODES { "normal" } else { "reduction" };
                return Err(format!(
                    "the edges {:?} and {:?} of node {} of the {cell} cell are not in ascending order",
                    &edges[..2],
                    &edges[2..],
                    i % NODES + 2
                ));
            }
        }
        Ok(())
    }

    /// Orders cells by topology, then operations; the normal cell before the reduction cell.
    fn at(&self, index: u128) -> Architecture {
        let (cells, labellings) = (self.cells(), self.labellings());
        let cell = |i: u128| self.join(&ALL[(i / labellings) as usize], i % labellings);
        Architecture::new([cell(index / cells), cell(index % cells)].concat())
    }

    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        arch.codes().chunks(CELL).try_fold(0, |index, cell| {
            let (topology, ops) = self.split(cell)?;
            let topology = ALL.binary_search(&topology).ok()?;
            Some(index * self.cells() + topology as u128 * self.labellings() + ops)
        })
    }

    /// Returns the number of pairs of a canonical topology and operations, for both cells.
    fn candidates(&self) -> Option<u128> {
        (CANONICAL.len() as u128 * self.labellings()).checked_pow(2)
    }

    /// Returns the candidate with a number, if it is canonical.
    fn candidate(&self, index: u128) -> Option<Architecture> {
        let labellings = self.labellings();
        let cells = CANONICAL.len() as u128 * labellings;
        let cell = |i: u128| {
            let cell = self.join(&CANONICAL[(i / labellings) as usize], i % labellings);
            (canonical_cell(&cell) == cell).then_some(cell)
        };
        Some(Architecture::new([cell(index / cells)?, cell(index % cells)?].concat()))
    }

    /// Returns the canonical architectures with another operation or another input on one edge.
    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        let codes = arch.codes();
        let mut all = Vec::new();
        for (i, &code) in codes.iter().enumerate() {
            let other_input = codes[i ^ 2];
            let choices = if i % 2 == 0 { self.positions[i] } else { self.counted() };
            for new in (0..choices).filter(|&c| c != code && (i % 2 == 1 || c != other_input)) {
                let mut codes = codes.to_vec();
                codes[i] = new;
                all.push(self.canonical(&Architecture::new(codes)));
            }
        }
        let same = self.canonical(arch);
        all.retain(|a| *a != same);
        all.sort_unstable();
        all.dedup();
        all
    }

    fn canonical(&self, arch: &Architecture) -> Architecture {
        let cells = arch.codes().chunks(CELL).flat_map(|cell| {
            let mut cell: [u8; CELL] = cell.try_into().expect("two cells of 16 codes");
            sort_edges(&mut cell);
            canonical_cell(&cell)
        });
        Architecture::new(cells.collect::<Vec<u8>>())
    }

    /// Tells which edges are live: one is dead if its operation is `none`, or its input has only dead
    /// edges.
    fn live(&self, arch: &Architecture) -> Vec<bool> {
        let none = self.code("none");
        let mut live = Vec::with_capacity(2 * CELL);
        for cell in arch.codes().chunks(CELL) {
            let mut reached = [true, true, false, false, false, false];
            for (i, edges) in cell.chunks(4).enumerate() {
                for edge in edges.chunks(2) {
                    let passes = Some(edge[1]) != none && reached[usize::from(edge[0])];
                    reached[i + 2] |= passes;
                    live.extend([passes; 2]);
                }
            }
        }
        live
    }

    fn max_nodes(&self) -> usize {
        MAX_NODES
    }
}

/// Reads the codes of a cell of eight edges; `edge` reads an input and an operation, or the name of an
/// unknown one.
fn read_cell(
    (name, operations): (&str, &[&str]),
    cell: Option<&Literal>,
    edge: impl Fn(&[Literal]) -> Option<(u8, Result<u8, String>)>,
) -> Result<Vec<u8>, String> {
    let edges = cell.and_then(Literal::list).ok_or(format!("no list of edges called '{name}'"))?;
    if edges.len() != 2 * NODES {
        return Err(format!("{} edges in '{name}', expected {}", edges.len(), 2 * NODES));
    }
    let mut codes = Vec::with_capacity(CELL);
    for (i, pair) in edges.iter().enumerate() {
        let place = format!("edge {} of '{name}'", i + 1);
        let (input, op) = pair
            .list()
            .and_then(&edge)
            .ok_or_else(|| format!("{place} is not a pair of operation and input"))?;
        let node = i as u8 / 2 + 2;
        if input >= node {
            return Err(format!(
                "{place} reads {input}, but node {node} may read 0 to {}",
                node - 1
            ));
        }
        let op = op.map_err(|op| {
            format!("{place} has operation '{op}', expected one of {}", operations.join(", "))
        })?;
        codes.extend([input, op]);
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn canonical_cells_are_counted_as_a_list_of_them_is() {
        assert_eq!(ALL.len(), TOPOLOGIES);
        assert!(ALL.is_sorted());
        for ops in [1u8, 2] {
            let mut distinct = HashSet::new();
            for topology in ALL.iter() {
                for i in 0..u128::from(ops).pow(8) {
                    let labels = independent::at(&[ops; 8], i);
                    let pair = CellPair::new(&crate::darts::OPS);
                    let ops = independent::index_of(&[pair.counted(); 8], labels.codes());
                    let cell = pair.join(topology, ops);
                    distinct.insert(canonical_cell(&cell));
                }
            }
            assert_eq!(distinct.len() as u128, classes(ops.into()));
        }
    }
}
