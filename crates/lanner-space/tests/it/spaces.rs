//! Properties of every space, and the published counts and texts of each.

use std::collections::BTreeSet;

use lanner_space::{Architecture, Space, View};
use proptest::prelude::*;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The rows of a published table by column name, where the tables are beside the checkout.
fn published(file: &str, column: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(lanner_testing::published(file)?).unwrap();
    // Quoted cells hold commas and no quotes.
    let cells = |line: &str| -> Vec<String> {
        let mut cells = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                c => cells.last_mut().unwrap().push(c),
            }
        }
        cells
    };
    let mut lines = text.lines();
    let at = cells(lines.next()?).iter().position(|c| c == column).expect(column);
    Some(lines.map(|line| cells(line).swap_remove(at)).collect())
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn space_by_number() -> impl Strategy<Value = Space> {
    (0..Space::ALL.len()).prop_map(|i| Space::ALL[i].clone())
}

/// Every table of a space parses as a whole, into different architectures.
fn parses_entirely(file: &str, column: &str, space: Space, rows: usize, distinct: usize) {
    let Some(texts) = published(file, column) else { return };
    assert_eq!(texts.len(), rows);
    let archs: BTreeSet<_> = texts.iter().map(|t| space.parse(t).unwrap()).collect();
    assert_eq!(archs.len(), distinct);
}

#[test]
fn names_and_spaces_belong_together() {
    for (space, name) in Space::ALL.iter().zip(Space::NAMES) {
        assert_eq!(space.name(), name);
        assert_eq!(&Space::by_name(name).unwrap(), space);
    }
    let error = Space::by_name("nasbench999").unwrap_err().to_string();
    assert!(Space::NAMES.iter().all(|name| error.contains(name)), "{error}");
}

#[test]
fn sizes_are_as_published() {
    for (space, size) in [
        (Space::NasBench101, 423_624),
        (Space::NasBench201, 15_625),
        (Space::Darts, (180 * 7u128.pow(8)).pow(2)),
        (Space::Fbnet, 9u128.pow(22)),
        (Space::TransBench101Micro, 4_096),
        (Space::TransBench101Macro, 3_256),
        (Space::MobileNetV3, 25 * (81u128 + 729 + 6561).pow(5)),
        (Space::NasBenchMacro, 6_561),
        (Space::NatsBenchSize, 8u128.pow(5)),
    ] {
        assert_eq!(space.size(), size, "{space}");
        if size < 20_000 {
            let all: BTreeSet<_> = space.iter().collect();
            assert_eq!(all.len() as u128, size);
            let classes: BTreeSet<_> = all.iter().map(|a| space.canonical(a)).collect();
            assert_eq!(classes.len() as u128, space.distinct());
            let shuffled: BTreeSet<_> = space.shuffled(&mut rng(1)).collect();
            assert_eq!(shuffled, all);
        }
    }
}

#[test]
fn published_tables_parse_entirely() {
    parses_entirely("fbnet/latency_and_proxies.csv", "ops", Space::Fbnet, 5000, 5000);
    let (micro, macros) = (Space::TransBench101Micro, Space::TransBench101Macro);
    parses_entirely("transbench101/micro.csv", "arch", micro, 4096, 4096);
    parses_entirely("transbench101/macro.csv", "arch", macros.clone(), 3256, 3256);
    parses_entirely("transbench101/macro_proxies.csv", "arch", macros, 3499, 725);
    let proxies = "nasbench101/accuracy_and_proxies_500.csv";
    // 500 different matrices of 292 cells, as their module hashes say too.
    parses_entirely(proxies, "arch", Space::NasBench101, 500, 292);
    parses_entirely("darts/accuracy_1000.csv", "genotype", Space::Darts, 1000, 1000);
    let surrogate = "nasbench301/accuracy_surrogate_and_proxies.csv";
    parses_entirely(surrogate, "arch", Space::Darts, 725, 725);
}

#[test]
fn cut_cells_of_transbench101_are_at_chance() {
    // The reading of the tuples is right if exactly the cells without a path from input to output
    // have the accuracy of guessing among 63 scenes.
    let (Some(texts), Some(accuracy)) = (
        published("transbench101/micro.csv", "arch"),
        published("transbench101/micro.csv", "val_class_scene"),
    ) else {
        return;
    };
    let space = Space::TransBench101Micro;
    for (text, accuracy) in texts.iter().zip(accuracy) {
        let arch = space.parse(text).unwrap();
        let cut = space.graph(&arch, View::Pruned).arcs.is_empty();
        let accuracy: f64 = accuracy.parse().unwrap();
        assert_eq!(cut, accuracy < 10.0, "{text}: {accuracy}");
    }
}

#[test]
fn texts_of_each_space() {
    let micro = Space::TransBench101Micro;
    let arch = micro.parse("64-41414-1_02_333").unwrap();
    assert_eq!(arch.codes(), [1, 0, 2, 3, 3, 3]);
    assert_eq!(micro.print(&arch), "64-41414-1_02_333");
    assert_eq!(micro.parse("102333").unwrap(), arch);
    assert_eq!(micro.parse("(1, 0, 2, 3, 3, 3)").unwrap(), arch);
    let macros = Space::TransBench101Macro;
    let arch = macros.parse("64-1234-basic").unwrap();
    assert_eq!(arch.codes(), [0, 1, 2, 3]);
    assert_eq!(macros.print(&arch), "64-1234-basic");
    assert_eq!(macros.parse("(1, 2, 3, 4, 0, 0)").unwrap(), arch);
    assert_eq!(macros.aligned(&arch)[3..], [Some(3), None, None]);
    let ofa = Space::MobileNetV3;
    let short = "160:33,56/33,33,74/35,33/33,33,33,76/33,33";
    assert!(ofa.parse(short).unwrap_err().to_string().contains("the expansion of layer 9 is 5"));
    let arch = ofa.parse(&short.replace("35", "34")).unwrap();
    assert_eq!(arch.codes()[..6], [8, 0, 1, 0, 2, 0]);
    let kernels = "3, 5, 3, 3, 3, 3, 7, 3, 3, 3, 3, 3, 3, 3, 3, 7, 3, 3, 3, 3";
    let expansions = "3, 6, 3, 3, 3, 3, 4, 3, 4, 3, 3, 3, 3, 3, 3, 6, 3, 3, 3, 3";
    let dict =
        format!(r#"{{"ks": [{kernels}], "e": [{expansions}], "d": [2, 3, 2, 4, 2], "r": [160]}}"#);
    assert_eq!(ofa.print(&arch), dict);
    // The choices of absent layers are dropped; Python prints a width, and single quotes.
    let other =
        dict.replace("\"ks\": [3, 5, 3,", "'wid': None, \"ks\": [3, 5, 7,").replace('"', "'");
    assert_eq!(ofa.parse(&other).unwrap(), arch);
    let sizes = Space::NatsBenchSize;
    let arch = sizes.parse("8:8:40:32:40").unwrap();
    // As in the published `meta_archs`.
    assert_eq!(sizes.index_of(&arch), Some(284));
    assert_eq!(sizes.print(&sizes.at(9).unwrap()), "8:8:8:16:16");
    let fbnet = Space::Fbnet;
    let arch = fbnet.parse("7818488874147327324245").unwrap();
    let names: Vec<&str> = arch.codes().iter().map(|&c| fbnet.labels()[usize::from(c)]).collect();
    assert_eq!(names[..3], ["k5_e6", "skip", "k3_e1_g2"]);
    assert_eq!(fbnet.parse(&names.join(", ")).unwrap(), arch);
    assert_eq!(fbnet.print(&arch), "7818488874147327324245");
}

#[test]
fn malformed_texts_say_what_is_wrong() {
    for (space, text, part) in [
        (Space::Fbnet, "781848887414732732424", "expected 22 codes, got 21"),
        (Space::Fbnet, "9818488874147327324245", "code 9 at position 0 is not below 9"),
        (Space::Fbnet, "k3_e1 k9_e1", "layer 2 is 'k9_e1', expected one of k3_e1"),
        (Space::Fbnet, "", "expected 22 codes, got 0"),
        (Space::TransBench101Micro, "64-41414-1_02_33", "expected 1, 2 and 3 digits"),
        (Space::TransBench101Micro, "64-41414-1_02_334", "code 4 at position 5"),
        (Space::TransBench101Micro, "64-1234-basic", "expected 64-41414-0_00_000"),
        (Space::TransBench101Micro, "(1, 2", "expected ',' or ')' where the text ends"),
        (Space::TransBench101Micro, "(1, 2, 'a', 1, 1, 1)", "expected a list of codes"),
        (Space::TransBench101Macro, "64-1111-basic", "doubled 0 times, expected 1 to 3"),
        (Space::TransBench101Macro, "64-2222-basic", "doubled 4 times"),
        (Space::TransBench101Macro, "64-2333333-basic", "7 modules, expected 4 to 6"),
        (Space::TransBench101Macro, "(1, 0, 2, 4, 0, 0)", "module 2 is of type 0"),
        (Space::TransBench101Macro, "64-12é4-basic", "expected 64-1234-basic"),
        (Space::NasBench101, "0-11_1_", "row 0 has 2 digits, expected 3"),
        (Space::NasBench101, "00-11_1", "2 operations between input and output of 3 vertices"),
        (Space::NasBench101, "3-11_1", "vertex 1 has operation 3, expected 0 to 2"),
        (Space::NasBench101, "0-10_0", "no path leads from input to output"),
        (Space::NasBench101, "0-12_1", "edge 2 is 2, expected 0 or 1"),
        (Space::NasBench101, "00000-111111_11111_1111_111_11_1", "21 edges after pruning"),
        (
            Space::NasBench101,
            "000000-1111111_111111_11111_1111_111_11_1",
            "8 vertices, expected 2 to 7",
        ),
        (
            Space::NasBench101,
            r#"{"matrix": [[0, 1, 0], [0, 0, 1], [1, 0, 0]], "ops": ["input", "maxpool3x3", "output"]}"#,
            "an edge backwards, 2→0",
        ),
        (
            Space::NasBench101,
            r#"{"matrix": [[0, 1], [0, 0], [0, 0]], "ops": ["input", "maxpool3x3", "output"]}"#,
            "row 0 of the matrix has 2 entries, expected 3",
        ),
        (
            Space::NasBench101,
            r#"{"matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "ops": ["input", "conv9x9", "output"]}"#,
            "vertex 1 has operation 'conv9x9', expected one of conv3x3-bn-relu",
        ),
        (Space::NasBench101, r#"{"ops": ["input", "output"]}"#, "no list called 'matrix'"),
        (Space::NasBench101, "(0, 1, 0, 0, 0)", "5 numbers are not n² + n"),
        (
            Space::NasBench101,
            "(0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 7, 1)",
            "vertex 1 has operation 7, expected 2 to 4",
        ),
        (Space::NasBench101, "(0, 1, 0, 0, 1, 0)", "must be 0 (input) and the last 1"),
        (Space::Darts, "[[(0, 1)], [(0, 1)]]", "1 edges in 'normal', expected 8"),
        (Space::Darts, "[]", "expected two cells"),
        (
            Space::Darts,
            "Genotype(normal=[], normal_concat=[2])",
            "normal_concat is [2], expected 2 to 5",
        ),
        (Space::Darts, "Genotype(normal=[])", "0 edges in 'normal'"),
        (Space::Darts, "Genotype()", "no list of edges called 'normal'"),
        (Space::MobileNetV3, "{}", "there is no 'r'"),
        (Space::MobileNetV3, "{'r': [130]}", "the resolution is 130, expected 128, 132"),
        (Space::MobileNetV3, "{'r': [128], 'd': [2, 2]}", "'d' is not a list of 5 numbers"),
        (
            Space::MobileNetV3,
            "{'r': [128], 'd': [2, 2, 5, 2, 2]}",
            "'d' 3 is 5, expected one of [2, 3, 4]",
        ),
        (Space::MobileNetV3, "160:33", "1 stages, expected 224:"),
        (
            Space::MobileNetV3,
            "160:33/33/33/33/33",
            "the depth of stage 1 is 1, expected one of [2, 3, 4]",
        ),
        (Space::NatsBenchSize, "8:16:32:64", "4 widths, expected 5 as in 8:16:32:64:8"),
        (Space::NatsBenchSize, "8:16:32:64:9", "the width of layer 5 is '9'"),
        (Space::NasBenchMacro, "0120120", "expected 8 codes, got 7"),
        (Space::NasBenchMacro, "01201203", "code 3 at position 7 is not below 3"),
    ] {
        let message = space.parse(text).unwrap_err().to_string();
        assert!(message.contains(part), "{space} {text}: {message}");
    }
}

proptest! {
    #[test]
    fn texts_indices_and_graphs_of_random_architectures(space in space_by_number(), seed: u64) {
        let arch = space.sample(&mut rng(seed));
        prop_assert!(space.check(&arch).is_ok());
        prop_assert_eq!(&space.parse(&space.print(&arch)).unwrap(), &arch);
        if space.is_counted() {
            prop_assert_eq!(&space.at(space.index_of(&arch).unwrap()).unwrap(), &arch);
        }
        let canonical = space.canonical(&arch);
        prop_assert!(space.check(&canonical).is_ok());
        prop_assert_eq!(&space.canonical(&canonical), &canonical);
        prop_assert!(arch.codes().len() <= space.max_codes());
        let (aligned, positions) = (space.aligned(&arch), space.positions());
        prop_assert_eq!(aligned.len(), positions.len());
        prop_assert_eq!(space.live(&arch).len(), positions.len());
        prop_assert!(aligned.iter().zip(positions).all(|(a, &n)| a.is_none_or(|a| a < n)));
        for view in [View::Raw, View::Pruned] {
            let graph = space.graph(&arch, view);
            prop_assert!(graph.len() <= space.max_nodes());
            prop_assert!(graph.arcs.iter().all(|a| a.0 < a.1 && usize::from(a.1) < graph.len()));
            prop_assert!(graph.arcs.is_sorted());
            prop_assert!(graph.labels.iter().all(|&l| usize::from(l) < space.labels().len()));
            prop_assert_eq!(graph.canonical().canonical(), graph.canonical());
        }
    }

    #[test]
    fn mutation_leads_to_another_architecture(space in space_by_number(), seed: u64) {
        let mut rng = rng(seed);
        let arch = space.sample(&mut rng);
        let other = space.mutate(&arch, &mut rng);
        prop_assert!(space.check(&other).is_ok());
        prop_assert_ne!(&other, &arch);
        if space.parameters().is_some() {
            // What begins to exist is drawn, and numbers have more values than neighbours.
            return Ok(());
        }
        let neighbours = space.neighbours(&arch);
        prop_assert!(neighbours.contains(&other));
        prop_assert!(!neighbours.contains(&arch));
        prop_assert!(neighbours.iter().all(|n| space.check(n).is_ok()));
        prop_assert_eq!(neighbours.iter().collect::<BTreeSet<_>>().len(), neighbours.len());
    }

    #[test]
    fn any_text_is_read_or_refused(space in space_by_number(), text in ".{0,60}|[-(),_0-9k]{0,30}") {
        if let Ok(arch) = space.parse(&text) {
            prop_assert!(space.check(&arch).is_ok());
        }
    }

    #[test]
    fn any_codes_are_checked(space in space_by_number(), codes in prop::collection::vec(0u8..10, 0..50)) {
        let arch = Architecture::new(codes);
        if space.check(&arch).is_ok() {
            prop_assert_eq!(space.parse(&space.print(&arch)).unwrap(), arch);
        }
    }
}
