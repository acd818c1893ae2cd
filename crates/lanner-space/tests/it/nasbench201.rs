//! NAS-Bench-201 against published facts and slow obvious versions.

use std::collections::{BTreeMap, BTreeSet};

use lanner_space::{Architecture, CellGraph, Space, View, nasbench201};
use proptest::prelude::*;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const SPACE: Space = Space::NasBench201;

fn any_arch() -> impl Strategy<Value = Architecture> {
    prop::collection::vec(0u8..5, 6).prop_map(Architecture::new)
}

/// The published tables, where they are beside the checkout.
fn published(file: &str) -> Option<String> {
    Some(std::fs::read_to_string(lanner_testing::published(file)?).unwrap())
}

#[test]
fn the_official_order_starts_as_published() {
    // From the assertions of the authors' own generator.
    for (index, text) in [
        (
            0,
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        ),
        (9, "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"),
    ] {
        assert_eq!(SPACE.print(&SPACE.at(index).unwrap()), text);
    }
}

#[test]
fn the_space_has_15625_points_and_6466_classes() {
    let all: Vec<_> = SPACE.iter().collect();
    assert_eq!(all.len(), 15_625);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 15_625);
    for (i, arch) in all.iter().enumerate() {
        assert_eq!(SPACE.index_of(arch), Some(i as u128));
    }
    let classes: BTreeSet<_> = all.iter().map(|a| SPACE.canonical(a)).collect();
    assert_eq!(classes.len() as u128, SPACE.distinct());
    assert_eq!(classes.len(), 6_466);
    assert!(classes.iter().all(|a| SPACE.canonical(a) == *a));
}

#[test]
fn index_and_classes_agree_with_the_published_table() {
    let Some(text) = published("nasbench201/accuracy.csv") else {
        return;
    };
    let mut class_of = BTreeMap::new();
    let mut name_of = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let arch = SPACE.parse(cells[2]).unwrap();
        assert_eq!(SPACE.index_of(&arch), Some(cells[0].parse().unwrap()));
        assert_eq!(SPACE.parse(cells[1]).unwrap(), arch);
        let (flops, params) = SPACE.flops_and_params(&arch).unwrap();
        assert!((flops - cells[15].parse::<f64>().unwrap()).abs() < 1e-9);
        assert!((params - cells[16].parse::<f64>().unwrap()).abs() < 1e-9);
        let canonical = SPACE.canonical(&arch);
        assert_eq!(*class_of.entry(canonical.clone()).or_insert(cells[3]), cells[3]);
        assert_eq!(*name_of.entry(cells[3]).or_insert(canonical.clone()), canonical);
    }
    assert_eq!(class_of.len(), 6_466);
}

/// Isomorphism by trying every bijection that keeps both ends.
fn isomorphic(a: &CellGraph, b: &CellGraph) -> bool {
    fn extend(a: &CellGraph, b: &CellGraph, map: &mut Vec<u8>) -> bool {
        let n = a.len();
        if map.len() == n {
            let mut arcs: Vec<(u8, u8)> =
                a.arcs.iter().map(|x| (map[x.0 as usize], map[x.1 as usize])).collect();
            arcs.sort_unstable();
            return arcs == b.arcs;
        }
        let v = map.len();
        for w in 0..n as u8 {
            let ends_kept = (v == 0) == (w == 0) && (v == n - 1) == (w as usize == n - 1);
            if ends_kept && !map.contains(&w) && a.labels[v] == b.labels[w as usize] {
                map.push(w);
                if extend(a, b, map) {
                    return true;
                }
                map.pop();
            }
        }
        false
    }
    a.len() == b.len() && a.arcs.len() == b.arcs.len() && extend(a, b, &mut Vec::new())
}

#[test]
fn pruned_graphs_form_5425_isomorphism_classes() {
    let classes: BTreeSet<_> = SPACE
        .iter()
        .map(|a| SPACE.graph(&a, View::Pruned).canonical())
        .map(|g| (g.labels, g.arcs))
        .collect();
    assert_eq!(classes.len(), 5_425);
}

/// Liveness the slow way: an operation is live if some path from input to output through it has
/// no `none`: node sequences 0-3, 0-1-3, 0-2-3 and 0-1-2-3.
fn live_ops(arch: &Architecture) -> Vec<u8> {
    let edge = |f: u8, t: u8| nasbench201::EDGES.iter().position(|&e| e == (f, t)).unwrap();
    let paths: [&[usize]; 4] = [
        &[edge(0, 3)],
        &[edge(0, 1), edge(1, 3)],
        &[edge(0, 2), edge(2, 3)],
        &[edge(0, 1), edge(1, 2), edge(2, 3)],
    ];
    let mut live = BTreeSet::new();
    for path in paths {
        if path.iter().all(|&e| arch.codes()[e] != nasbench201::NONE) {
            live.extend(path.iter().copied());
        }
    }
    let mut ops: Vec<u8> = live.into_iter().map(|e| arch.codes()[e]).collect();
    ops.retain(|&c| c != nasbench201::SKIP);
    ops.sort_unstable();
    ops
}

#[test]
fn pruning_keeps_exactly_the_live_operations() {
    for arch in SPACE.iter() {
        let graph = SPACE.graph(&arch, View::Pruned);
        let mut ops = graph.labels[1..graph.len() - 1].to_vec();
        ops.sort_unstable();
        assert_eq!(ops, live_ops(&arch), "{}", SPACE.print(&arch));
        let mut live: Vec<u8> =
            (arch.codes().iter().zip(SPACE.live(&arch))).filter(|x| x.1).map(|x| *x.0).collect();
        live.retain(|&c| c != nasbench201::SKIP);
        live.sort_unstable();
        assert_eq!(live, ops);
    }
}

#[test]
fn bad_texts_say_which_edge_and_what_was_expected() {
    for (text, part) in [
        ("", "expected |op~0|+"),
        (
            "|none~0|+|none~0|none~1|+|none~0|none~1|conv_9x9~2|",
            "edge 2→3 has operation 'conv_9x9', expected one of none, skip_connect",
        ),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "expected '~1'"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "node 2 has 1 edges, expected 2"),
        ("|none~0|+|none~0|none|+|none~0|none~1|none~2|", "lacks '~1'"),
        ("012345", "digit 6 is 5"),
        ("|é~0|+|☃~0|none~1|+||", "edge 0→1 has operation 'é'"),
        ("resnet", "with operations as nor_conv_3x3, or six digits as 340123"),
        ("17", "are the index of |"),
        ("(0, 1, 2, 3, 4, 0)", "102341 if they are NASLib's, 012340 if they are LatBench's"),
        ("[0, 1, 2, 3, 4, 7]", "more than the operations 0 to 4"),
    ] {
        let message = SPACE.parse(text).unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
    assert!(Space::by_name("nasbench999").unwrap_err().to_string().contains("nasbench201"));
    assert!(SPACE.at(15_625).is_err());
}

proptest! {
    #[test]
    fn parse_inverts_print(arch in any_arch()) {
        prop_assert_eq!(SPACE.parse(&SPACE.print(&arch)).unwrap(), arch.clone());
        prop_assert_eq!(SPACE.at(SPACE.index_of(&arch).unwrap()).unwrap(), arch);
    }

    #[test]
    fn parse_never_panics(text in ".{0,80}|[|+~a-z_0-9]{0,90}") {
        let _ = SPACE.parse(&text);
    }

    #[test]
    fn mutation_changes_one_edge(arch in any_arch(), seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let other = SPACE.mutate(&arch, &mut rng);
        let changed = arch.codes().iter().zip(other.codes()).filter(|(a, b)| a != b).count();
        prop_assert_eq!(changed, 1);
        prop_assert!(SPACE.neighbours(&arch).contains(&other));
        prop_assert!(SPACE.check(&SPACE.sample(&mut rng)).is_ok());
    }

    #[test]
    fn canonical_graphs_are_equal_exactly_for_isomorphic_ones(a in any_arch(), b in any_arch(), swap: bool) {
        // A relabelled copy is isomorphic by construction; two random cells seldom are.
        let (a, b) = (SPACE.graph(&a, View::Pruned), SPACE.graph(&b, View::Pruned));
        let b = if swap { a.canonical() } else { b };
        prop_assert_eq!(a.canonical() == b.canonical(), isomorphic(&a, &b));
        prop_assert_eq!(a.canonical(), a.canonical().canonical());
    }
}
