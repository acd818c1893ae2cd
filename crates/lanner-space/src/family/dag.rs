//! Labelled directed acyclic graphs.

use std::sync::LazyLock;

use super::Family;
use super::dag_text as text;
use crate::{Architecture, CellGraph, SpaceError, View};

/// Largest number of vertices.
pub(super) const MAX_VERTICES: usize = 7;
/// Largest number of edges.
const MAX_EDGES: u32 = 9;
/// Number of operations of a vertex.
const OPERATIONS: usize = 3;
/// Number of different graphs.
const SIZE: usize = 423_624;
/// Numbers of choices: operations of the five inner vertices, then the 21 places for edges.
const POSITIONS: [u8; 26] =
    [3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2];
const MAX_CODES: usize = 1 + POSITIONS.len();

const NO_PATH: &str = "no path leads from input to output";

/// A cell: a bit for each edge, the highest for 0→1, and a base-3 digit for each operation, the
/// highest for vertex 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub vertices: usize,
    edges: u32,
    ops: u8,
}

/// Returns the edges (from, to) among `vertices`, in the order of their bits.
fn places(vertices: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..vertices).flat_map(move |from| (from + 1..vertices).map(move |to| (from, to)))
}

/// Returns the position of the bit of `from`→`to` among `vertices`, counted from the right.
fn shift(vertices: usize, from: usize, to: usize) -> usize {
    let rest = vertices - 1 - from;
    rest * (rest - 1) / 2 + vertices - 1 - to
}

impl Cell {
    pub fn from_codes(codes: &[u8]) -> Cell {
        let vertices = usize::from(codes[0]);
        let (ops, edges) = codes[1..].split_at(vertices - 2);
        Cell {
            vertices,
            edges: edges.iter().fold(0, |bits, &b| 2 * bits + u32::from(b)),
            ops: ops.iter().fold(0, |n, &op| 3 * n + op),
        }
    }

    fn codes(&self) -> Vec<u8> {
        let mut codes = vec![self.vertices as u8];
        codes.extend((0..self.vertices - 2).map(|i| self.op(i + 1)));
        codes.extend(places(self.vertices).map(|(from, to)| u8::from(self.has(from, to))));
        codes
    }

    pub fn architecture(&self) -> Architecture {
        Architecture::new(self.codes())
    }

    pub fn op(&self, vertex: usize) -> u8 {
        self.ops / 3u8.pow((self.vertices - 2 - vertex) as u32) % 3
    }

    pub fn has(&self, from: usize, to: usize) -> bool {
        self.edges >> shift(self.vertices, from, to) & 1 == 1
    }

    fn arcs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        places(self.vertices).filter(|&(from, to)| self.has(from, to))
    }

    /// Returns the cell with vertex v at `place[v]`; `None` if an edge would lead backwards.
    fn moved(&self, place: &[usize], vertices: usize) -> Option<Cell> {
        let edges = moved_edges(vertices, self.arcs(), place)?;
        Some(Cell { vertices, edges, ops: self.moved_ops(place, vertices) })
    }

    fn moved_ops(&self, place: &[usize], vertices: usize) -> u8 {
        let mut ops = [0; MAX_VERTICES];
        (1..self.vertices - 1).for_each(|v| ops[place[v]] = self.op(v));
        ops[1..vertices - 1].iter().fold(0, |n, &op| 3 * n + op)
    }

    /// Removes the vertices on no path from input to output; `None` if there is no such path.
    fn pruned(&self) -> Option<Cell> {
        let n = self.vertices;
        let (mut forward, mut backward) = ([false; MAX_VERTICES], [false; MAX_VERTICES]);
        forward[0] = true;
        backward[n - 1] = true;
        self.arcs().for_each(|(from, to)| forward[to] |= forward[from]);
        let arcs: Vec<_> = self.arcs().collect();
        arcs.iter().rev().for_each(|&(from, to)| backward[from] |= backward[to]);
        if !forward[n - 1] {
            return None;
        }
        let live: Vec<usize> = (0..n).filter(|&v| forward[v] && backward[v]).collect();
        let mut cell = Cell { vertices: live.len(), edges: 0, ops: 0 };
        for (to, &old_to) in live.iter().enumerate() {
            for (from, &old_from) in live[..to].iter().enumerate() {
                if self.has(old_from, old_to) {
                    cell.edges |= 1 << shift(live.len(), from, to);
                }
            }
        }
        cell.ops = live[1..live.len() - 1].iter().fold(0, |n, &v| 3 * n + self.op(v));
        Some(cell)
    }

    fn canonical(&self) -> Cell {
        let arcs: Vec<_> = self.arcs().collect();
        // The given order is one of them.
        let mut first = *self;
        for order in &ORDERS[self.vertices] {
            match moved_edges(self.vertices, arcs.iter().copied(), order) {
                Some(edges) if edges <= first.edges => {
                    let ops = self.moved_ops(order, self.vertices);
                    if (edges, ops) < (first.edges, first.ops) {
                        first = Cell { edges, ops, ..first };
                    }
                }
                _ => {}
            }
        }
        first
    }

    /// Packs vertices, edges and operations into one number, which sorts as the index does.
    fn key(&self) -> u32 {
        (self.vertices as u32) << 29 | self.edges << 8 | u32::from(self.ops)
    }

    fn from_key(key: u32) -> Cell {
        Cell { vertices: (key >> 29) as usize, edges: key >> 8 & 0x1f_ffff, ops: key as u8 }
    }
}

/// Returns the bits of arcs between vertices at new places; `None` if one leads backwards.
fn moved_edges(
    vertices: usize,
    mut arcs: impl Iterator<Item = (usize, usize)>,
    place: &[usize],
) -> Option<u32> {
    arcs.try_fold(0, |edges, (from, to)| {
        let (from, to) = (place[from], place[to]);
        (from < to).then(|| edges | 1 << shift(vertices, from, to))
    })
}

/// By number of vertices: the new place of each vertex, for all orders of the inner ones.
static ORDERS: LazyLock<Vec<Vec<Vec<usize>>>> = LazyLock::new(|| {
    let mut all = vec![vec![], vec![], vec![vec![0, 1]]];
    for vertices in 3..=MAX_VERTICES {
        let shorter: &Vec<Vec<usize>> = &all[vertices - 1];
        // Puts the last inner vertex in each place, and moves those from there on one further.
        let longer = shorter.iter().flat_map(|order| {
            (1..vertices - 1).map(move |at| {
                let mut order: Vec<usize> =
                    order.iter().map(|&p| if p >= at { p + 1 } else { p }).collect();
                order.insert(vertices - 2, at);
                order
            })
        });
        let longer = longer.collect();
        all.push(longer);
    }
    all
});

/// Keys of all different cells, ascending.
static ALL: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut keys = Vec::with_capacity(SIZE);
    for vertices in 2..=MAX_VERTICES {
        let bits = vertices * (vertices - 1) / 2;
        for edges in (1..1u32 << bits).filter(|e| e.count_ones() <= MAX_EDGES) {
            let cell = Cell { vertices, edges, ops: 0 };
            if let Some(symmetries) = symmetries(&cell) {
                let labellings = 3u32.pow(vertices as u32 - 2);
                let labelled = (0..labellings).map(|ops| Cell { ops: ops as u8, ..cell });
                let first = |c: &Cell| {
                    let ops = |s: &&Vec<usize>| c.moved(s, vertices).map(|m| m.ops);
                    symmetries.iter().all(|s| ops(s).is_none_or(|ops| ops >= c.ops))
                };
                keys.extend(labelled.filter(first).map(|c| c.key()));
            }
        }
    }
    keys
});

/// Returns the orders of the vertices that leave the edges as they are; `None` if some order makes
/// them smaller, or if a vertex is on no path from input to output.
fn symmetries(cell: &Cell) -> Option<Vec<&'static Vec<usize>>> {
    let n = cell.vertices;
    let (mut sources, mut targets) = (0u32, 0u32);
    for (from, to) in cell.arcs() {
        sources |= 1 << from;
        targets |= 1 << to;
    }
    let all = (1 << n) - 1;
    if sources != all >> 1 || targets != all - 1 {
        return None;
    }
    let mut same = Vec::new();
    for order in &ORDERS[n] {
        match cell.moved(order, n) {
            Some(moved) if moved.edges < cell.edges => return None,
            Some(moved) if moved.edges == cell.edges => same.push(order),
            _ => {}
        }
    }
    Some(same)
}

/// Checks that codes describe a graph.
fn check_graph(codes: &[u8]) -> Result<(), String> {
    let n = codes.first().copied().unwrap_or(0).into();
    if !(2..=MAX_VERTICES).contains(&n) {
        return Err(format!("{n} vertices, expected 2 to {MAX_VERTICES}"));
    }
    let expected = 1 + n - 2 + n * (n - 1) / 2;
    if codes.len() != expected {
        return Err(format!("{} codes, expected {expected} for {n} vertices", codes.len()));
    }
    let (ops, edges) = codes[1..].split_at(n - 2);
    if let Some(i) = ops.iter().position(|&op| usize::from(op) >= OPERATIONS) {
        return Err(format!("vertex {} has operation {}, expected 0 to 2", i + 1, ops[i]));
    }
    match edges.iter().position(|&e| e > 1) {
        Some(i) => Err(format!("edge {} is {}, expected 0 or 1", i + 1, edges[i])),
        None => Ok(()),
    }
}

/// Returns the cell pruned and canonical, if the space has it.
fn stored(cell: Cell) -> Result<Cell, String> {
    let pruned = cell.pruned().ok_or(NO_PATH)?;
    match pruned.edges.count_ones() {
        ..=MAX_EDGES => Ok(pruned.canonical()),
        edges => Err(format!("{edges} edges after pruning, expected at most {MAX_EDGES}")),
    }
}

pub(crate) fn cell_of_matrix(matrix: &[Vec<u8>], ops: &[u8]) -> Result<Cell, String> {
    let n = matrix.len();
    if !(2..=MAX_VERTICES).contains(&n) {
        return Err(format!("{n} vertices, expected 2 to {MAX_VERTICES}"));
    }
    if ops.len() != n - 2 {
        return Err(format!("{} operations between input and output of {n} vertices", ops.len()));
    }
    let mut codes = vec![n as u8];
    codes.extend(ops);
    for (from, row) in matrix.iter().enumerate() {
        if row.len() != n {
            return Err(format!(
                "row {from} of the matrix has {} entries, expected {n}",
                row.len()
            ));
        }
        if let Some(to) = row[..=from].iter().position(|&e| e != 0) {
            let kind = if to == from { "a loop" } else { "an edge backwards" };
            return Err(format!("{kind}, {from}→{to}: the matrix must be 0 up to its diagonal"));
        }
        codes.extend(&row[from + 1..]);
    }
    check_graph(&codes)?;
    stored(Cell::from_codes(&codes))
}

/// Graphs of up to seven vertices and nine edges, with one of three operations on each inner vertex.
///
/// Codes: the number of vertices n (2 to 7), the operations of vertices 1 to n − 2, and the adjacency
/// matrix above its diagonal, row by row. Vertex 0 is the input, vertex n − 1 the output.
///
/// **Equality.** The benchmark counts cells as one that differ only in the numbers of inner vertices,
/// or in vertices on no path from input to output. So does this space: texts are pruned and renumbered
/// when they are read, and [`crate::Space::check`] refuses other codes ([`crate::Space::canonical`]
/// corrects them). The stored numbering has the smallest adjacency bits and, among these, the smallest
/// operations. The index counts the cells by vertices, then adjacency, then operations, each read as a
/// number with the largest digit first.
///
/// Texts: operations, `-`, and the rows of the matrix above the diagonal (`0-11_1`: a 3×3 convolution
/// beside a projection of the input); JSON `{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}`
/// as in the official `ModelSpec`; or NASLib's tuple of n² matrix entries and n operations (0 input, 1
/// output, 2 pooling, 3 1×1, 4 3×3).
#[derive(Debug)]
pub struct LabelledDag {
    operations: [&'static str; OPERATIONS],
}

impl LabelledDag {
    /// Makes the space of graphs with these operations, by code.
    pub fn new(operations: [&'static str; OPERATIONS]) -> LabelledDag {
        LabelledDag { operations }
    }
}

impl Family for LabelledDag {
    fn positions(&self) -> &[u8] {
        &POSITIONS
    }

    fn labels(&self) -> Vec<&str> {
        self.operations.into_iter().chain(["input", "output"]).collect()
    }

    fn graph(&self, arch: &Architecture, _: View) -> CellGraph {
        let cell = Cell::from_codes(arch.codes());
        let input = OPERATIONS as u8;
        let ops = &arch.codes()[1..cell.vertices - 1];
        let labels = [&[input], ops, &[input + 1]].concat();
        CellGraph::cell(labels, cell.arcs().map(|(from, to)| (from as u8, to as u8)).collect())
    }

    fn parse(&self, space: &str, text: &str) -> Result<Architecture, SpaceError> {
        text::parse(space, text, &self.operations)
    }

    fn print(&self, arch: &Architecture) -> String {
        text::print(arch)
    }

    fn choices(&self) -> Option<&[u8]> {
        None
    }

    fn size(&self) -> Option<u128> {
        Some(SIZE as u128)
    }

    fn check(&self, codes: &[u8]) -> Result<(), String> {
        check_graph(codes)?;
        let cell = Cell::from_codes(codes);
        let stored = stored(cell)?;
        match stored == cell {
            true => Ok(()),
            false => Err(format!(
                "the same cell is stored pruned and renumbered, as {:?}",
                stored.codes()
            )),
        }
    }

    fn check_unordered(&self, codes: &[u8]) -> Result<(), String> {
        check_graph(codes)?;
        Cell::from_codes(codes).pruned().map(|_| ()).ok_or_else(|| NO_PATH.into())
    }

    fn at(&self, index: u128) -> Architecture {
        Cell::from_key(ALL[index as usize]).architecture()
    }

    fn index_of(&self, arch: &Architecture) -> Option<u128> {
        ALL.binary_search(&Cell::from_codes(arch.codes()).key()).ok().map(|i| i as u128)
    }

    /// Returns the cells with one operation changed, one edge more or less, or a vertex more between
    /// two others.
    fn neighbours(&self, arch: &Architecture) -> Vec<Architecture> {
        let cell = Cell::from_codes(arch.codes());
        let n = cell.vertices;
        let mut all = Vec::new();
        let same_graph = |ops: Vec<u8>| [&[n as u8], &ops[..], &arch.codes()[n - 1..]].concat();
        for v in 1..n - 1 {
            for op in (0..OPERATIONS as u8).filter(|&op| op != cell.op(v)) {
                let mut ops = arch.codes()[1..n - 1].to_vec();
                ops[v - 1] = op;
                all.push(Cell::from_codes(&same_graph(ops)));
            }
        }
        for (from, to) in places(n) {
            all.push(Cell { edges: cell.edges ^ 1 << shift(n, from, to), ..cell });
            if n == MAX_VERTICES {
                continue;
            }
            // The new vertex comes right after `from`.
            let place: Vec<usize> = (0..n).map(|v| if v > from { v + 1 } else { v }).collect();
            let longer = cell.moved(&place, n + 1).expect("the order stays");
            for op in 0..OPERATIONS as u8 {
                let new_edges =
                    1 << shift(n + 1, from, from + 1) | 1 << shift(n + 1, from + 1, to + 1);
                let ops = longer.ops + op * 3u8.pow((n - 2 - from) as u32);
                all.push(Cell { edges: longer.edges | new_edges, ops, ..longer });
            }
        }
        let mut all: Vec<Architecture> =
            all.into_iter().filter_map(|c| Some(stored(c).ok()?.architecture())).collect();
        all.retain(|a| a != arch);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns the same cell as it is stored; codes that are not a graph, or not a cell of the space,
    /// stay as they are.
    fn canonical(&self, arch: &Architecture) -> Architecture {
        match check_graph(arch.codes()).and_then(|()| stored(Cell::from_codes(arch.codes()))) {
            Ok(cell) => cell.architecture(),
            Err(_) => arch.clone(),
        }
    }

    /// Returns operations and edges at their places among seven vertices, the output the last.
    fn aligned(&self, arch: &Architecture) -> Vec<Option<u8>> {
        let cell = Cell::from_codes(arch.codes());
        let n = cell.vertices;
        let mut values = vec![None; POSITIONS.len()];
        (1..n - 1).for_each(|v| values[v - 1] = Some(cell.op(v)));
        let seven = |v: usize| if v + 1 == n { MAX_VERTICES - 1 } else { v };
        for (from, to) in places(n) {
            let place = places(MAX_VERTICES).position(|p| p == (seven(from), seven(to)));
            let place = place.expect("a place among seven vertices");
            values[MAX_VERTICES - 2 + place] = Some(u8::from(cell.has(from, to)));
        }
        values
    }

    fn max_codes(&self) -> usize {
        MAX_CODES
    }

    fn max_nodes(&self) -> usize {
        MAX_VERTICES
    }
}
