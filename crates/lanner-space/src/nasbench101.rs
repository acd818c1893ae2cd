//! NAS-Bench-101 (Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search",
//! ICML 2019): cells of up to seven vertices and nine edges, an operation on each inner vertex; all
//! 423,624 different ones trained on CIFAR-10. See [`LabelledDag`] for codes and texts.

use crate::definition::{Definition, FanOut, Sizes};
use crate::family::LabelledDag;
use crate::family::dag::{Cell, cell_of_matrix};
use crate::family::dag_text;
use crate::{Architecture, SpaceError};

/// The name on the command line.
pub const NAME: &str = "nasbench101";
/// The operations, by code.
pub const OPS: [&str; 3] = ["conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"];

pub(crate) fn definition() -> Definition {
    let sizes = Sizes { channels: 128, cells: 3, resolution: 32, classes: 10 };
    Definition {
        details: Some(|arch| vec![("module hash", module_hash(arch)), ("spec", json(arch))]),
        // The weights of NASLib.
        proxy_weights: Some(FanOut { linear: Some(0.01) }),
        repeats_rows: true,
        ..Definition::new(NAME, LabelledDag::new(OPS), sizes)
    }
}

/// Makes the architecture of a cell from the benchmark's description: a square matrix of 0 and 1 above
/// the diagonal, row = source, and the operations of the inner vertices. The result is pruned and
/// renumbered.
pub fn from_matrix(matrix: &[Vec<u8>], ops: &[u8]) -> Result<Architecture, SpaceError> {
    let codes = matrix.concat();
    let fail = |why| SpaceError::Codes { space: NAME.into(), codes: codes.clone(), why };
    cell_of_matrix(matrix, ops).map(|cell| cell.architecture()).map_err(fail)
}

/// Prints the cell in the form that the official `ModelSpec` takes.
pub fn json(arch: &Architecture) -> String {
    let cell = Cell::from_codes(arch.codes());
    let n = cell.vertices;
    let row = |from: usize| {
        let entries = (0..n).map(|to| if from < to && cell.has(from, to) { "1" } else { "0" });
        format!("[{}]", entries.collect::<Vec<_>>().join(", "))
    };
    let matrix: Vec<String> = (0..n).map(row).collect();
    let inner = (1..n - 1).map(|v| OPS[usize::from(cell.op(v))]);
    let ops: Vec<&str> = std::iter::once("input").chain(inner).chain(["output"]).collect();
    format!("{{\"matrix\": [{}], \"ops\": [\"{}\"]}}", matrix.join(", "), ops.join("\", \""))
}

/// Returns the codes of the inner operations of `input`, …, `output`.
pub fn codes_of_names(names: &[&str]) -> Result<Vec<u8>, String> {
    dag_text::codes_of_names(names, &OPS)
}

/// Computes the module hash of a cell in the benchmark's own tables (`graph_util.hash_module`). Each
/// vertex has a hash, at first the MD5 of its degrees and its label. As often as there are vertices,
/// it becomes the MD5 of the neighbours' sorted hashes and its own. The module hash is the MD5 of all
/// sorted hashes. Lists are spelled as by Python's `str`.
pub fn module_hash(arch: &Architecture) -> String {
    let cell = Cell::from_codes(arch.codes());
    let n = cell.vertices;
    let hash = |text: String| format!("{:x}", md5::compute(text));
    let sources = |v: usize| (0..v).filter(move |&u| cell.has(u, v));
    let targets = |v: usize| (v + 1..n).filter(move |&u| cell.has(v, u));
    let label = |v: usize| match v {
        0 => -1,
        v if v + 1 == n => -2,
        v => i32::from(cell.op(v)),
    };
    let mut hashes: Vec<String> = (0..n)
        .map(|v| hash(format!("({}, {}, {})", targets(v).count(), sources(v).count(), label(v))))
        .collect();
    for _ in 0..n {
        let of = |vertices: &mut dyn Iterator<Item = usize>| {
            let mut all: Vec<&str> = vertices.map(|u| hashes[u].as_str()).collect();
            all.sort_unstable();
            all.concat()
        };
        hashes = (0..n)
            .map(|v| hash(format!("{}|{}|{}", of(&mut sources(v)), of(&mut targets(v)), hashes[v])))
            .collect();
    }
    hashes.sort_unstable();
    hash(format!("['{}']", hashes.join("', '")))
}
