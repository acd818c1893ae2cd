//! Spaces from files: the examples of the repository, against slow counts, and what is refused.

use std::collections::BTreeSet;
use std::path::Path;

use lanner_space::{Space, View};
use proptest::prelude::*;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn example(name: &str) -> Space {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    Space::by_name(&folder.join(name).display().to_string()).unwrap()
}

fn from_toml(text: &str) -> Space {
    Space::from_toml(text).unwrap()
}

const SMALL_CHAIN: &str = r#"
name = "small"
kind = "chain"
[[stage]]
depth = [2, 1]
width = [8, 16]
block = ["mb", "sep", "identity"]
kernel = [3, 5]
expansion = 4
[[stage]]
depth = 2
width = 16
stride = 2
block = "conv"
kernel = [1, 3]
[skeleton]
resolution = 16
classes = 10
stem = 8
head = 0
"#;

const SMALL_CELL: &str = r#"
name = "small"
kind = "cell"
nodes = 3
operations = ["none", "skip_connect", "nor_conv_3x3"]
[[edge]]
from = [0, 1]
to = 2
[[edge]]
from = 0
to = 1
operations = ["skip_connect", "nor_conv_3x3"]
[[edge]]
from = 0
to = 2
[skeleton]
resolution = 32
classes = 10
channels = 16
stages = 3
cells = 1
"#;

#[test]
fn sizes_are_those_of_a_list() {
    // Layers: mb and sep of two kernels, identity; at depth 1 or 2, of two widths. Then 2² of conv.
    let chain = from_toml(SMALL_CHAIN);
    assert_eq!(chain.size(), 2 * (5 + 25) * 4);
    // (2 sources × 3) × 2 × 3.
    let cell = from_toml(SMALL_CELL);
    assert_eq!(cell.size(), 36);
    for space in [chain, cell] {
        let all: BTreeSet<String> = space.iter().map(|a| space.print(&a)).collect();
        assert_eq!(all.len() as u128, space.size());
        for (i, arch) in space.iter().enumerate() {
            space.check(&arch).unwrap();
            assert_eq!(space.index_of(&arch), Some(i as u128));
        }
        let graphs: BTreeSet<_> =
            space.iter().map(|a| space.graph(&a, View::Raw)).map(|g| (g.labels, g.arcs)).collect();
        // A chain's graph says all; the cell's edges from the same node to the same are alike.
        assert!(graphs.len() as u128 == space.size() || space.choices().is_some());
    }
    let example = example("microcontroller.toml");
    let (sep_or_conv, second, third, fourth): (u128, u128, u128, u128) = (2, 6, 10, 9);
    let depths = |layers: u128, most: u32| (1..=most).map(|d| layers.pow(d)).sum::<u128>();
    let expected =
        2 * sep_or_conv * 2 * depths(second, 3) * 3 * depths(third, 3) * 3 * depths(fourth, 4);
    assert_eq!(example.size(), expected);
}

#[test]
fn a_cell_is_drawn_with_its_sources() {
    let space = from_toml(SMALL_CELL);
    let arch = space.parse("nor_conv_3x3~1|skip_connect~0|none~0").unwrap();
    assert_eq!(arch.codes(), [5, 0, 0]);
    // Graph nodes by the node that edges end in: input, 0→1, then the two into the output.
    let raw = space.graph(&arch, View::Raw);
    assert_eq!(raw.labels, [3, 1, 2, 0, 4]);
    assert_eq!(raw.arcs, [(0, 1), (0, 3), (1, 2), (2, 4), (3, 4)]);
    let pruned = space.graph(&arch, View::Pruned);
    assert_eq!((pruned.labels, pruned.arcs), (vec![3, 2, 4], vec![(0, 1), (1, 2)]));
    assert_eq!(space.live(&arch), [true, true, false]);
    let elsewhere = space.parse("nor_conv_3x3~0|skip_connect~0|none~0").unwrap();
    assert_eq!(space.live(&elsewhere), [true, false, false]);
    assert_eq!(space.labels(), ["none", "skip_connect", "nor_conv_3x3", "input", "output"]);
}

#[test]
fn a_chain_tells_its_layers() {
    let space = example("microcontroller.toml");
    let text = "w8:conv_k3/w24:mb_k5_e6,sep_k3/w40:identity/w96:mb_k7_e4";
    let arch = space.parse(text).unwrap();
    assert_eq!(space.print(&arch), text);
    let chain = space.chain().expect("a chain");
    let layers = chain.layers(&arch);
    assert_eq!(layers[1].0, 24);
    assert_eq!(
        layers[1].1.iter().map(|l| l.to_string()).collect::<Vec<_>>(),
        ["mb_k5_e6", "sep_k3"]
    );
    assert_eq!(space.limits().memory_bytes, Some(1_048_576));
}

#[test]
fn mistakes_in_a_file_are_told_with_line_and_field() {
    let chain = |from: &str, to: &str| SMALL_CHAIN.replacen(from, to, 1);
    let cell = |from: &str, to: &str| SMALL_CELL.replacen(from, to, 1);
    let many = "[[stage]]\ndepth = 40\nwidth = 16\nblock = \"conv\"\nkernel = [1, 3, 5, 7, 9]\n";
    let many = chain("[skeleton]", &format!("{}[skeleton]", many.repeat(2)));
    for (text, part) in [
        (String::new(), "line 1: 'name' is missing"),
        ("name = ".into(), "line 1: "),
        ("name = \"a\"\nname = \"b\"".into(), "line 2: duplicate key"),
        (cell("\"small\"", "\"darts\""), "line 2, name: 'darts' is the name of a published space"),
        (cell("\"small\"", "\"a b\""), "line 2, name: 'a b' has other characters"),
        (
            cell("\"cell\"", "\"tree\""),
            "line 3, kind: 'tree', expected cell, chain, transformer or parameters",
        ),
        (
            cell("to = 1\n", "to = 1\nlabel = 1\n"),
            "line 12, edge 2.label: unknown, expected one of from",
        ),
        (
            cell("to = 1\n", "to = 7\n"),
            "line 11, edge 2.to: there is no node 7: the cell has nodes 0 to 2",
        ),
        (
            cell("from = 0\nto = 1\n", "from = 9\nto = 1\n"),
            "line 10, edge 2.from: there is no node 9",
        ),
        (
            cell("from = 0\nto = 1\n", "from = 2\nto = 1\n"),
            "line 10, edge 2.from: an edge from 2 to 1: edges go to higher",
        ),
        (cell("from = [0, 1]", "from = []"), "line 7, edge 1.from: no choice at all"),
        (
            cell(
                "\"nor_conv_3x3\"]\n[[edge]]\nfrom = 0\nto = 2",
                "\"conv_3x3\"]\n[[edge]]\nfrom = 0\nto = 2",
            ),
            "line 12, edge 2.operations: unknown 'conv_3x3', expected one of none, skip_connect, nor_conv_3x3",
        ),
        (cell("\"none\", ", "\"none\", \"none\", "), "line 5, operations: the same choice twice"),
        (cell("nodes = 3", "nodes = 4"), "line 4, nodes: node 3, the output, is on no path"),
        (
            cell("nodes = 3", "nodes = \"3\""),
            "line 4, nodes: expected a whole number, found string",
        ),
        (cell("nodes = 3", "nodes = 1"), "line 4, nodes: 1, expected 2 to 64"),
        (
            cell("stages = 3", "stages = 8"),
            "line 17, skeleton.resolution: 32, expected a multiple of 128",
        ),
        (cell("cells = 1", ""), "line 16, skeleton: 'cells' is missing"),
        (chain("depth = [2, 1]", "depth = 0"), "line 5, stage 1.depth: 0, expected 1 to 100"),
        (chain("kernel = [3, 5]", "kernel = 4"), "line 8, stage 1.kernel: 4 is even"),
        (chain("expansion = 4\n", ""), "line 4, stage 1: 'expansion' is missing"),
        (
            chain("block = \"conv\"", "block = \"conv\"\nexpansion = 3"),
            "line 15, stage 2.expansion: no block of this stage has",
        ),
        (
            chain("\"identity\"", "\"resnet\""),
            "line 7, stage 1.block: unknown 'resnet', expected one of mb, sep, conv, identity",
        ),
        (
            chain("resolution = 16", "resolution = 3"),
            "line 17, skeleton.resolution: stem and stages halve 3 pixels 2 times",
        ),
        (
            chain("head = 0", "head = 0\n[limits]\nflops = -1"),
            "line 22, limits.flops: -1, expected at least 1",
        ),
        (many, "more than 2^128 architectures"),
    ] {
        let why = Space::from_toml(&text).unwrap_err();
        assert!(why.contains(part), "{part}\n{why}");
    }
    let error = Space::by_name("absent.toml").unwrap_err().to_string();
    assert!(error.starts_with("absent.toml: "), "{error}");
}

#[test]
fn texts_of_other_spaces_are_refused() {
    let (cell, chain) = (from_toml(SMALL_CELL), from_toml(SMALL_CHAIN));
    for (space, text, part) in [
        (&cell, "none~0", "1 edges, expected 3"),
        (
            &cell,
            "none~0|none~0|none~0",
            "edge 2 is 'none~0', expected one of skip_connect~0, nor_conv_3x3~0",
        ),
        (&cell, "none~2|skip_connect~0|none~0", "edge 1 is 'none~2', expected one of none~0"),
        (&cell, "none|skip_connect~0|none~0", "edge 'none' lacks '~'"),
        (&chain, "w8:sep_k3", "1 stages, expected 2"),
        (&chain, "w9:sep_k3/w16:conv_k1,conv_k1", "its width is one of [8, 16]"),
        (&chain, "w8:sep_k3/w16:conv_k1", "its depth is one of [2]"),
        (&chain, "w8:sep_k7/w16:conv_k1,conv_k1", "stage 1 has no layer 'sep_k7', but mb_k3_e4"),
        (&chain, "sep_k7/w16:conv_k1,conv_k1", "expected w16:…"),
    ] {
        let message = space.parse(text).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

proptest! {
    #[test]
    fn what_holds_for_every_space_holds_for_the_examples(which in 0usize..4, seed: u64) {
        let space = match which {
            0 => example("microcontroller.toml"),
            1 => example("cell.toml"),
            2 => from_toml(SMALL_CHAIN),
            _ => from_toml(SMALL_CELL),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let arch = space.sample(&mut rng);
        prop_assert!(space.check(&arch).is_ok());
        prop_assert_eq!(&space.parse(&space.print(&arch)).unwrap(), &arch);
        prop_assert_eq!(&space.at(space.index_of(&arch).unwrap()).unwrap(), &arch);
        prop_assert_eq!(&space.canonical(&arch), &arch);
        let other = space.mutate(&arch, &mut rng);
        prop_assert!(space.check(&other).is_ok());
        prop_assert_ne!(&other, &arch);
        prop_assert!(space.neighbours(&arch).contains(&other));
        prop_assert_eq!(space.live(&arch).len(), space.positions().len());
        for view in [View::Raw, View::Pruned] {
            let graph = space.graph(&arch, view);
            prop_assert!(graph.len() <= space.max_nodes());
            prop_assert!(graph.arcs.is_sorted());
            prop_assert!(graph.arcs.iter().all(|a| a.0 < a.1 && usize::from(a.1) < graph.len()));
            prop_assert!(graph.labels.iter().all(|&l| usize::from(l) < space.labels().len()));
        }
        let live = space.live(&arch).iter().filter(|l| **l).count();
        if space.choices().is_some() {
            let pruned = space.graph(&arch, View::Pruned);
            prop_assert!(pruned.len() - 2 <= live);
        }
    }

    #[test]
    fn any_file_is_a_space_or_refused(from in 0usize..400, length in 0usize..12, text in "[\\[\\]a-z0-9=\"\\n ,-]{0,6}") {
        for file in [SMALL_CHAIN, SMALL_CELL] {
            let from = from.min(file.len());
            let to = (from + length).min(file.len());
            let changed = [&file[..from], &text, &file[to..]].concat();
            if let Ok(space) = Space::from_toml(&changed) {
                let arch = space.at(space.size() - 1).unwrap();
                prop_assert_eq!(space.index_of(&arch), Some(space.size() - 1));
            }
        }
    }
}
