//! NAS-Bench-101 against its published count, hashes and a slow isomorphism test.

use std::collections::BTreeSet;

use lanner_space::{Architecture, Space, View, nasbench101};
use proptest::prelude::*;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const SPACE: Space = Space::NasBench101;
const KNOWN: &str = r#"{"matrix": [[0, 1, 0, 0, 1, 1, 0], [0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 1],
    [0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0]],
    "ops": ["input", "conv3x3-bn-relu", "maxpool3x3", "conv3x3-bn-relu", "conv3x3-bn-relu",
    "conv1x1-bn-relu", "output"]}"#;

#[test]
fn there_are_exactly_423624_cells_with_as_many_canonical_graphs() {
    assert_eq!(SPACE.iter().count(), 423_624);
    assert!(SPACE.at(423_624).is_err());
    // Equal graphs would be equal cells: an independent canonical form tells them all apart.
    let graphs: BTreeSet<_> = SPACE
        .iter()
        .map(|a| SPACE.graph(&a, View::Raw).canonical())
        .map(|g| (g.labels, g.arcs))
        .collect();
    assert_eq!(graphs.len(), 423_624);
}

#[test]
fn indices_and_codes_belong_together() {
    for (i, arch) in SPACE.iter().enumerate().step_by(97) {
        assert_eq!(SPACE.index_of(&arch), Some(i as u128));
        SPACE.check(&arch).unwrap();
    }
    // By vertices first: the cell without operations, the three of one operation, …
    let texts: Vec<String> = SPACE.iter().take(5).map(|a| SPACE.print(&a)).collect();
    assert_eq!(
        texts,
        ["-1", "0-01_1", "1-01_1", "2-01_1", "0-11_1"].map(|t| t.replace("01_1", "10_1"))
    );
}

#[test]
fn the_module_hash_is_the_official_one() {
    // The first module of the published tables, and the ones that the benchmark's own code makes of
    // the smallest cells (graph_util.hash_module, run by Python).
    let arch = SPACE.parse(KNOWN).unwrap();
    assert_eq!(nasbench101::module_hash(&arch), "00005c142e6f48ac74fdcf73e3439874");
    for (text, hash) in [
        ("-1", "043721b9c7fe8c5fad811d47d83132ec"),
        ("0-10_1", "b49ac8c578b4561d79ac7087988f1c61"),
        ("1-11_1", "09fc2d10bdd6225e167a6f81a22a3f06"),
        ("21-110_01_1", "ac9bd0e2514c031187b612db767fb038"),
        ("012-1101_001_11_1", "91f3f46045b1f6e0b74d70db9d819a93"),
    ] {
        assert_eq!(nasbench101::module_hash(&SPACE.parse(text).unwrap()), hash, "{text}");
    }
}

#[test]
fn all_spellings_of_a_cell_are_one_architecture() {
    let arch = SPACE.parse(KNOWN).unwrap();
    assert_eq!(SPACE.parse(&nasbench101::json(&arch)).unwrap(), arch);
    let dead = "{'matrix': [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]],
        'ops': ['input', 'maxpool3x3', 'conv3x3-bn-relu', 'output']}";
    assert_eq!(SPACE.print(&SPACE.parse(dead).unwrap()), "2-10_1");
    assert_eq!(SPACE.print(&SPACE.parse("(0,1,0, 0,0,1, 0,0,0, 0,2,1)").unwrap()), "2-10_1");
    let unpruned = Architecture::new([4, 2, 0, 1, 1, 0, 0, 1, 0]);
    let message = SPACE.check(&unpruned).unwrap_err().to_string();
    assert!(message.contains("pruned and renumbered, as [3, 2, 1, 0, 1]"), "{message}");
    assert_eq!(SPACE.canonical(&unpruned).codes(), [3, 2, 1, 0, 1]);
}

/// A random numbering of a cell's inner vertices that keeps edges pointing forwards.
fn renumbered(arch: &Architecture, seed: u64) -> (Vec<Vec<u8>>, Vec<u8>) {
    use rand::RngExt;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let graph = SPACE.graph(arch, View::Raw);
    let n = graph.len();
    let mut order = Vec::new();
    while order.len() < n {
        let ready: Vec<usize> = (0..n)
            .filter(|v| !order.contains(v) && graph.predecessors(*v).all(|p| order.contains(&p)))
            .filter(|&v| v + 1 < n || order.len() + 1 == n)
            .collect();
        order.push(ready[rng.random_range(0..ready.len())]);
    }
    let place = |v: u8| order.iter().position(|&o| o == usize::from(v)).unwrap();
    let mut matrix = vec![vec![0; n]; n];
    graph.arcs.iter().for_each(|&(f, t)| matrix[place(f)][place(t)] = 1);
    (matrix, order[1..n - 1].iter().map(|&v| graph.labels[v]).collect())
}

proptest! {
    #[test]
    fn numbering_does_not_matter(index in 0u128..423_624, seed: u64) {
        let arch = SPACE.at(index).unwrap();
        let (matrix, ops) = renumbered(&arch, seed);
        prop_assert_eq!(nasbench101::from_matrix(&matrix, &ops).unwrap(), arch);
    }

    #[test]
    fn any_matrix_is_a_cell_or_refused(
        (matrix, ops) in (2usize..9).prop_flat_map(|n| (
            prop::collection::vec(prop::collection::vec(0u8..2, n), n),
            prop::collection::vec(0u8..3, n - 2),
        ))
    ) {
        let mut matrix = matrix;
        for (i, row) in matrix.iter_mut().enumerate() {
            row[..=i].fill(0);
        }
        if let Ok(arch) = nasbench101::from_matrix(&matrix, &ops) {
            prop_assert!(SPACE.check(&arch).is_ok());
            prop_assert!(SPACE.index_of(&arch).is_some());
        }
    }
}
