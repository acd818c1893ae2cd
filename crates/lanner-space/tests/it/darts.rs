//! DARTS: the published genotypes, what counts as the same, and sampling without replacement.

use std::collections::BTreeSet;

use lanner_space::{Architecture, Space, View, darts};
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const SPACE: Space = Space::Darts;
/// DARTS_V2, the cell that the paper reports.
const V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
    ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), \
    ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), \
    ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
    ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";

#[test]
fn the_genotype_of_the_paper() {
    let arch = SPACE.parse(V2).unwrap();
    assert_eq!(arch.codes()[..16], [0, 3, 1, 3, 0, 3, 1, 3, 0, 2, 1, 3, 0, 2, 2, 5]);
    assert_eq!(arch.codes()[16..24], [0, 0, 1, 0, 1, 0, 2, 2]);
    let naslib = "[[(0, 3), (1, 3), (0, 3), (1, 3), (1, 3), (0, 2), (0, 2), (2, 5)], \
        [(0, 0), (1, 0), (2, 2), (1, 0), (0, 0), (2, 2), (2, 2), (1, 0)]]";
    assert_eq!(SPACE.parse(naslib).unwrap(), arch);
    // Both cells: 2 inputs, 4 × (2 operations and a sum), output; the three skips are bypassed.
    let (raw, pruned) = (SPACE.graph(&arch, View::Raw), SPACE.graph(&arch, View::Pruned));
    assert_eq!((raw.len(), raw.arcs.len()), (30, 2 * (8 + 8 + 4)));
    assert_eq!((raw.inputs.clone(), raw.outputs.clone()), (vec![0, 1, 15, 16], vec![14, 29]));
    assert_eq!(pruned.len(), 30 - 2 - 3);
    assert_eq!((pruned.inputs, pruned.outputs), (vec![0, 1, 13, 14], vec![12, 24]));
    // The first node of the normal cell adds two convolutions of the two inputs; all sums go out.
    let sums: BTreeSet<usize> = raw.predecessors(14).collect();
    assert_eq!(sums, BTreeSet::from([4, 7, 10, 13]));
    assert_eq!(raw.predecessors(4).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(raw.predecessors(12).collect::<Vec<_>>(), [4]); // dil_conv on node 2
}

#[test]
fn genotypes_read_as_lists_of_them_have_them() {
    let plain = Space::Darts.parse(V2).unwrap();
    assert_eq!(Space::Darts.parse(&format!("DARTS_V2 = {V2}\n")).unwrap(), plain);
    let message = Space::Darts.parse("ResNet50").unwrap_err().to_string();
    assert!(message.contains("expected Genotype(normal="), "{message}");
}

#[test]
fn genotypes_beyond_the_space_have_no_index() {
    let with_none = V2.replace("('dil_conv_3x3', 2)", "('none', 2)");
    let twice = V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)");
    for text in [&with_none, &twice] {
        let arch = SPACE.parse(text).unwrap();
        SPACE.check(&arch).unwrap();
        assert_eq!(SPACE.index_of(&arch), None);
        assert_eq!(SPACE.parse(&SPACE.print(&arch)).unwrap(), arch);
        assert!(SPACE.check(&SPACE.canonical(&arch)).is_ok());
    }
    let arch = SPACE.parse(&with_none).unwrap();
    let dead: Vec<usize> = (0..32).filter(|&i| !SPACE.live(&arch)[i]).collect();
    assert_eq!(dead, [14, 15]);
}

#[test]
fn malformed_genotypes_say_where() {
    for (from, to, part) in [
        (
            "'dil_conv_3x3', 2",
            "'dil_conv_3x3', 5",
            "edge 8 of 'normal' reads 5, but node 5 may read 0 to 4",
        ),
        ("'dil_conv_3x3', 2", "'conv_9x9', 2", "edge 8 of 'normal' has operation 'conv_9x9'"),
        ("'dil_conv_3x3', 2", "2", "edge 8 of 'normal' is not a pair"),
        ("range(2, 6)", "range(2, 5)", "reduce_concat is [2, 3, 4], expected 2 to 5"),
        ("reduce=", "reduction=", "no list of edges called 'reduce'"),
        ("range(2, 6))", "range(2, 6)", "expected ',' or ')' where the text ends"),
    ] {
        let message = SPACE.parse(&V2.replace(from, to)).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    let unsorted = Architecture::new([[1, 0, 0, 0].repeat(4), [0, 0, 1, 0].repeat(4)].concat());
    let message = SPACE.check(&unsorted).unwrap_err().to_string();
    assert!(message.contains("node 2 of the normal cell are not in ascending order"), "{message}");
}

#[test]
fn shuffled_draws_distinct_cells_without_repeats() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let drawn: Vec<_> = SPACE.shuffled(&mut rng).take(20_000).collect();
    let graphs: BTreeSet<_> = drawn
        .iter()
        .map(|a| SPACE.graph(a, View::Raw).canonical())
        .map(|g| (g.labels, g.arcs))
        .collect();
    assert_eq!(graphs.len(), drawn.len());

    let share = |op: u8| {
        let ops = drawn.iter().flat_map(|a| a.codes().iter().skip(1).step_by(2));
        ops.filter(|&&c| c == op).count() as f64 / (16.0 * drawn.len() as f64)
    };
    // Uniform over operations: 1/7 ± 0.0006 (one standard error of 320,000).
    assert!((0..7).all(|op| (share(op) - 1.0 / 7.0).abs() < 0.003));
}

/// The same cells with nodes numbered otherwise, as the codes of a random valid order.
fn renumbered(arch: &Architecture, rng: &mut ChaCha8Rng) -> Architecture {
    let mut all = Vec::new();
    for cell in arch.codes().chunks(16) {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < 4 {
            let ready = |v: &usize| {
                let inputs = [cell[4 * v], cell[4 * v + 2]];
                inputs.iter().all(|&i| i < 2 || order.contains(&(usize::from(i) - 2)))
            };
            let ready: Vec<usize> = (0..4).filter(|v| !order.contains(v) && ready(v)).collect();
            order.push(ready[rng.random_range(0..ready.len())]);
        }
        for &node in &order {
            let number = |i: u8| match i {
                0 | 1 => i,
                _ => 2 + order.iter().position(|&o| o == usize::from(i) - 2).unwrap() as u8,
            };
            let edges = &cell[4 * node..4 * node + 4];
            let mut new = [(number(edges[0]), edges[1]), (number(edges[2]), edges[3])];
            new.sort_unstable();
            all.extend(new.iter().flat_map(|e| [e.0, e.1]));
        }
    }
    Architecture::new(all)
}

proptest! {
    #[test]
    fn numbering_does_not_matter(index in 0..SPACE.size(), seed: u64) {
        let arch = SPACE.at(index).unwrap();
        prop_assert_eq!(SPACE.index_of(&arch), Some(index));
        let other = renumbered(&arch, &mut ChaCha8Rng::seed_from_u64(seed));
        SPACE.check(&other).unwrap();
        prop_assert_eq!(SPACE.canonical(&other), SPACE.canonical(&arch));
        let graph = |a| SPACE.graph(a, View::Raw).canonical();
        prop_assert_eq!(graph(&other), graph(&arch));
        let pruned = |a| SPACE.graph(a, View::Pruned).canonical();
        prop_assert_eq!(pruned(&other), pruned(&arch));
    }

    #[test]
    fn different_cells_have_different_graphs(a in 0..SPACE.size(), seed: u64) {
        let a = SPACE.canonical(&SPACE.at(a).unwrap());
        let b = SPACE.mutate(&a, &mut ChaCha8Rng::seed_from_u64(seed));
        let graph = |a| SPACE.graph(a, View::Raw).canonical();
        prop_assert_ne!(graph(&a), graph(&b));
    }
}

#[test]
fn wide_cells_are_canonical_quickly() {
    // Four equal nodes: all their operations are tied.
    let arch = Architecture::new([0, darts::SKIP + 1, 1, darts::SKIP + 1].repeat(8));
    let start = std::time::Instant::now();
    for _ in 0..20 {
        SPACE.graph(&arch, View::Raw).canonical();
    }
    assert!(start.elapsed().as_secs_f64() < 2.0);
}
