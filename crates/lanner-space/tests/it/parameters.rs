//! Spaces of parameters: texts, codes, counts, samples and mutations, and what is refused.

use std::collections::{BTreeMap, HashSet};

use lanner_space::{Architecture, Parameter, Parameters, Space, SpaceError};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn example() -> Space {
    Space::read("../../examples/parameters.toml").unwrap()
}

fn made(parameter: Vec<Parameter>) -> Result<Space, SpaceError> {
    Space::of_parameters(&Parameters { name: "mine".into(), parameter })
}

/// Parameters of every kind but floats, with conditions inside and outside of repeats.
fn finite() -> Vec<Parameter> {
    let layer = vec![Parameter::choice("kernel", [3, 5])];
    let stage = vec![
        Parameter::integer("layers", 0, 2),
        Parameter::choice("type", ["plain", "bottleneck", "none"]),
        Parameter::repeat("layer", "layers", layer).when("type", ["plain", "bottleneck"]),
        Parameter::choice("groups", [1, 2]).when("type", ["bottleneck"]).when("act", ["gelu"]),
    ];
    vec![
        Parameter::choice("stages", [1, 2]),
        Parameter::choice("act", ["relu", "gelu", "a \"b\" \\"]),
        Parameter::integer("width", 8, 40).step(16),
        Parameter::repeat("stage", "stages", stage),
        Parameter::choice("se", [false, true])
            .when("act", ["relu", "gelu"])
            .when("width", [24, 40]),
        Parameter::integer("alone", 5, 5),
    ]
}

#[test]
fn texts_are_canonical_json() {
    let space = example();
    let canonical = r#"{"depth":2,"width":64,"act":"gelu","lr":0.01,"block":[{"kernel":3,"expand":2},{"kernel":7,"expand":4}]}"#;
    for text in [
        canonical,
        r#" { "lr": 1e-2, "depth": 2.0, "act": "gelu", "width": 64,
          "block": [{"expand": 2, "kernel": 3}, {"expand": 4, "kernel": 7}] } "#,
        "{'lr': 0.01, 'depth': 2, 'act': 'gelu', 'width': 64, 'block': [{'kernel': 3, 'expand': 2}, {'kernel': 7, 'expand': 4}]}",
    ] {
        let arch = space.parse(text).unwrap();
        assert_eq!(space.print(&arch), canonical);
        // It is what other readers of JSON understand.
        let json: serde_json::Value = serde_json::from_str(&space.print(&arch)).unwrap();
        assert_eq!(json["block"][1]["kernel"], 7);
    }
    let short = |change: (&str, &str)| canonical.replace(change.0, change.1);
    for (text, part) in [
        (short(("\"gelu\"", "\"relu\"")), "'se' is missing"),
        (short(("0.01", "0.5")), "0.5 of 'lr', expected a number from 0.0001 to 0.1"),
        (short(("\"depth\":2", "\"depth\":3")), "'block' has 2 items, expected 3"),
        (
            short(("\"depth\":2", "\"depth\":2.5")),
            "2.5 of 'depth', expected a whole number from 2 to 6",
        ),
        (short(("64", "65")), "65 of 'width', expected one of 32, 64, 128"),
        (short(("\"kernel\":7", "\"kernel\":true")), "block 2: true of 'kernel'"),
        (short(("\"lr\":0.01", "\"lr\":0.01,\"se\":true")), "'se' is there, but its condition"),
        (short(("\"lr\":0.01", "\"lr\":0.01,\"lr\":0.02")), "'lr' is there twice"),
        (short(("\"lr\"", "\"learning\"")), "no parameter 'learning', only depth"),
        ("[1,2]".into(), "expected {\"name\": value"),
        ("".into(), "expected a value"),
    ] {
        let why = space.parse(&text).unwrap_err().to_string();
        assert!(why.contains(part), "{text}: {why}");
    }
}

#[test]
fn a_program_and_a_file_say_the_same() {
    let declared = Parameters {
        name: "my-resnets".into(),
        parameter: vec![
            Parameter::integer("depth", 2, 6),
            Parameter::choice("width", [32, 64, 128]),
            Parameter::choice("act", ["relu", "gelu"]),
            Parameter::float("lr", 1e-4, 1e-1).log().outside_network(),
            Parameter::repeat(
                "block",
                "depth",
                vec![Parameter::choice("kernel", [3, 5, 7]), Parameter::choice("expand", [2, 4])],
            ),
            Parameter::choice("se", [false, true]).when("act", ["relu"]),
        ],
    };
    let (space, file) = (Space::of_parameters(&declared).unwrap(), example());
    assert_eq!(space.identity(), file.identity());
    assert_eq!(space, file);
    let json = serde_json::to_string(&declared).unwrap();
    assert_eq!(serde_json::from_str::<Parameters>(&json).unwrap(), declared);
    let one = r#"{"name": "p", "choice": [1, "a", 2.5, true], "when": {"q": 1}}"#;
    let one: Parameter = serde_json::from_str(one).unwrap();
    assert_eq!(one, {
        let choice: [lanner_space::Value; 4] = [1.into(), "a".into(), 2.5.into(), true.into()];
        let mut one = Parameter::choice("p", choice);
        one.when.insert("q".into(), lanner_space::Values::One(1.into()));
        one
    });
    let again = Parameters { name: "mine".into(), parameter: finite() };
    assert_eq!(Space::from_toml(&again.to_toml()).unwrap(), made(finite()).unwrap());
}

/// The number of points is that of a product over stages and so on, counted by hand, and every index has
/// its own point.
#[test]
fn finite_spaces_are_counted_and_listed() {
    let space = made(finite()).unwrap();
    // A stage: types with layers have 1 + 2 + 4 lists of layers, "none" has its 3 numbers of layers alone.
    let stage = |gelu: bool| 7 + 7 * if gelu { 2 } else { 1 } + 3;
    let of = |gelu: bool| {
        let stages = stage(gelu) + stage(gelu) * stage(gelu);
        (stages, stages * 5)
    };
    // Width 8 has no `se`, 24 and 40 have two.
    let third = of(false).0 * 3;
    let size = of(false).1 + of(true).1 + third;
    assert_eq!(space.size(), size);
    let all = space.list().unwrap();
    let distinct: HashSet<&Architecture> = all.iter().collect();
    assert_eq!((all.len() as u128, distinct.len()), (size, all.len()));
    for (index, arch) in all.iter().enumerate() {
        space.check(arch).unwrap();
        assert_eq!(space.index_of(arch), Some(index as u128));
        assert_eq!(&space.parse(&space.print(arch)).unwrap(), arch);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..500 {
        assert!(distinct.contains(&space.sample(&mut rng)));
    }
    // Every point is a few steps from every other.
    let mut reached: HashSet<Architecture> = [all[0].clone()].into();
    let mut open = vec![all[0].clone()];
    while let Some(arch) = open.pop() {
        for next in space.neighbours(&arch) {
            assert!(distinct.contains(&next) && next != arch);
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    assert!(reached.len() > all.len() / 2, "{} of {}", reached.len(), all.len());
    let shuffled: HashSet<Architecture> = space.shuffled(&mut rng).collect();
    assert_eq!(shuffled.len(), all.len());
}

#[test]
fn spaces_with_floats_are_drawn_but_not_counted() {
    let space = example();
    assert!(!space.is_counted() && space.iter().next().is_none());
    for refused in [space.at(0).map(drop), space.list().map(drop)] {
        assert!(refused.unwrap_err().to_string().contains("too many to be numbered"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let drawn: Vec<Architecture> = space.shuffled(&mut rng).take(300).collect();
    assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 300);
    // A float that is never there leaves two points.
    let few = vec![
        Parameter::choice("a", [1, 2]),
        Parameter::choice("b", [1]).when("a", [1]),
        Parameter::float("c", 0.0, 1.0).when("a", [2]).when("b", [1]),
    ];
    let few = made(few).unwrap();
    assert_eq!(few.shuffled(&mut rng).count(), 2);
}

/// Each value of a parameter is as frequent as any other, whatever depends on it; logarithms are uniform.
#[test]
fn samples_are_uniform() {
    let space = example();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut logs = Vec::new();
    for _ in 0..5000 {
        let arch = space.sample(&mut rng);
        let json: serde_json::Value = serde_json::from_str(&space.print(&arch)).unwrap();
        for name in ["depth", "width", "act"] {
            *counts.entry(format!("{name} {}", json[name])).or_default() += 1;
        }
        *counts.entry(format!("kernel {}", json["block"][1]["kernel"])).or_default() += 1;
        logs.push((json["lr"].as_f64().unwrap() / 1e-4).log10() / 3.0);
        assert_eq!(
            json["block"].as_array().map(Vec::len),
            json["depth"].as_u64().map(|d| d as usize)
        );
    }
    for (name, values) in [("depth", 5.0), ("width", 3.0), ("act", 2.0), ("kernel", 3.0)] {
        let of = counts.iter().filter(|(key, _)| key.starts_with(name));
        let expected = 5000.0 / values;
        let chi2: f64 = of.map(|(_, &n)| (f64::from(n) - expected).powi(2) / expected).sum();
        assert!(chi2 < 20.0, "{name}: {chi2}");
    }
    logs.sort_by(f64::total_cmp);
    let distance = logs.iter().enumerate().map(|(i, u)| (u - i as f64 / 5000.0).abs());
    // Kolmogorov and Smirnov: beyond 0.03 once in 5,000.
    assert!(distance.fold(0.0, f64::max) < 0.03);
}

#[test]
fn mutations_keep_the_items_of_a_repeat() {
    let space = example();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let items = |arch: &Architecture| {
        let json: serde_json::Value = serde_json::from_str(&space.print(arch)).unwrap();
        (json["depth"].as_u64().unwrap(), json["block"].as_array().unwrap().clone())
    };
    let (mut longer, mut shorter) = (0, 0);
    for _ in 0..2000 {
        let arch = space.sample(&mut rng);
        let other = space.mutate(&arch, &mut rng);
        let ((a, before), (b, after)) = (items(&arch), items(&other));
        if a != b {
            let kept = before.len().min(after.len());
            assert_eq!(before[..kept], after[..kept]);
            (longer, shorter) = (longer + u32::from(b > a), shorter + u32::from(b < a));
        }
    }
    assert!(longer > 20 && shorter > 20);
}

#[test]
fn what_is_wrong_is_named() {
    let lr = || Parameter::float("lr", 0.0, 1.0);
    let kernel = || vec![Parameter::choice("kernel", [3, 5])];
    let none: [i64; 0] = [];
    let mut two_kinds = lr();
    two_kinds.choice = Some(vec![1.into()]);
    for (parameters, part) in [
        (vec![], "no parameter"),
        (vec![Parameter::choice("a", [1])], "nothing to choose"),
        (vec![Parameter::choice("a", none)], "parameter 'a': no choice at all"),
        (vec![Parameter::integer("a", 5, 2)], "bounds 5 to 2 are reversed"),
        (vec![Parameter::integer("a", 1, 5).step(0)], "a step of 0"),
        (vec![Parameter::integer("a", 0, 5).log()], "a logarithm from 0 on"),
        (vec![Parameter::integer("a", i64::MIN, i64::MAX)], "too far apart"),
        (vec![Parameter::float("a", 1.0, 0.5)], "bounds 1.0 to 0.5 are reversed"),
        (vec![Parameter::float("a", f64::NAN, 0.5)], "bounds NaN to 0.5"),
        (vec![Parameter::float("a", 0.0, f64::INFINITY)], "bounds 0.0 to inf"),
        (vec![lr().log()], "a logarithm from 0.0 on"),
        (vec![Parameter::choice("a", [1.0, f64::NAN])], "the value NaN"),
        (
            vec![Parameter::choice::<lanner_space::Value>("a", [1.into(), 1.0.into()])],
            "the value 1.0 twice",
        ),
        (vec![Parameter::choice("a", ["x", "y"]).log()], "log, expected ordered numbers"),
        (vec![lr(), lr()], "parameter 'lr': the name is there twice"),
        (vec![Parameter::integer("a b", 1, 2)], "the name has other characters"),
        (vec![two_kinds], "expected one of integer, float, choice and repeat"),
        (
            vec![lr(), Parameter::repeat("block", "lr", kernel())],
            "the length 'lr' is a number from 0.0",
        ),
        (vec![Parameter::repeat("block", "depth", kernel())], "there is no parameter 'depth'"),
        (
            vec![Parameter::repeat("block", "depth", kernel()), Parameter::integer("depth", 1, 2)],
            "'depth' is not declared before it",
        ),
        (
            vec![Parameter::integer("n", 1, i64::MAX), Parameter::repeat("block", "n", kernel())],
            "repeated up to 9223372036854775807 times",
        ),
        (
            vec![
                Parameter::integer("n", 1, 4000),
                Parameter::repeat("a", "n", vec![Parameter::repeat("b", "n", kernel())]),
            ],
            "16000001 parameters with every repeat at its longest, at most 4096",
        ),
        (
            vec![Parameter::integer("n", -1, 3), Parameter::repeat("block", "n", kernel())],
            "never below 0",
        ),
        (vec![Parameter::integer("n", 1, 3), Parameter::repeat("a", "n", vec![])], "is missing"),
        (
            vec![lr(), Parameter::choice("b", [1, 2]).when("lr", [0.5])],
            "a condition on 'lr', a number",
        ),
        (
            vec![Parameter::choice("a", [1, 2]), Parameter::choice("b", [1, 2]).when("a", [3])],
            "a condition on 3 of 'a', expected one of 1, 2",
        ),
        (vec![Parameter::choice("b", [1, 2]).when("b", [1])], "'b' is not declared before it"),
    ] {
        let why = made(parameters.clone()).unwrap_err().to_string();
        assert!(why.contains(part), "{part}: {why}");
        // A file is refused for the same reason.
        let file = Parameters { name: "mine".into(), parameter: parameters }.to_toml();
        assert!(Space::from_toml(&file).is_err(), "{file}");
    }
    let head = "name = \"a\"\nkind = \"parameters\"\n";
    for (text, part) in [
        ("", "'parameter' is missing"),
        ("[[parameter]]\nname = \"a\"\ninteger = [1]", "line 5, parameter 1.integer: 1 numbers"),
        (
            "[[parameter]]\nname = \"a\"\nchoice = [[1]]",
            "line 5, parameter 1.choice: expected a text",
        ),
        ("[[parameter]]\nname = \"a\"\nchose = 1", "line 5, parameter 1.chose: unknown"),
        (
            "[[parameter]]\nname = \"n\"\ninteger = [1, 2]\n[[parameter]]\nname = \"b\"\nrepeat = \"n\"\nparameter = [\n{ name = \"k\", choice = [3, 5] },\n{ name = \"k\", choice = [3] }]",
            "line 11: parameter 'b.k': the name is there twice",
        ),
        ("[skeleton]\nclasses = 10", "line 3, skeleton: unknown"),
    ] {
        let why = Space::from_toml(&format!("{head}{text}")).unwrap_err();
        assert!(why.contains(part), "{text}: {why}");
    }
}

/// Conditions that link hundreds of parameters are too much to count, and take no time.
#[test]
fn entangled_conditions_end() {
    let mut all = vec![Parameter::choice("p0", [1, 2, 3])];
    for i in 1..600 {
        let before = format!("p{}", i - 1);
        let own = Parameter::choice(&format!("p{i}"), [1, 2, 3]);
        all.push(if i % 3 == 0 { own.when(&before, [1, 2]) } else { own.when("p0", [1]) });
    }
    let space = made(all).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..50 {
        let arch = space.sample(&mut rng);
        space.check(&space.mutate(&arch, &mut rng)).unwrap();
    }
}

proptest! {
    #[test]
    fn texts_and_codes_round_trip(seed: u64, steps in 0usize..20) {
        for space in [example(), made(finite()).unwrap()] {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut arch = space.sample(&mut rng);
            for _ in 0..steps {
                let other = space.mutate(&arch, &mut rng);
                prop_assert_ne!(&other, &arch);
                arch = other;
            }
            space.check(&arch).unwrap();
            prop_assert!(arch.codes().len() <= 4096);
            prop_assert_eq!(space.parse(&space.print(&arch)).unwrap(), arch);
        }
    }

    #[test]
    fn any_float_of_a_table_is_exact(x in -1e300f64..1e300) {
        let space = made(vec![Parameter::float("x", -1e300, 1e300)]).unwrap();
        let text = format!("{{\"x\":{x:?}}}");
        prop_assert_eq!(space.print(&space.parse(&text).unwrap()), text);
    }

    #[test]
    fn hostile_texts_and_codes_are_refused(text in "[{}\\[\\]\",:a-z0-9. -]{0,60}", codes: Vec<u8>) {
        let space = example();
        let _ = space.parse(&text);
        let arch = Architecture::new(codes);
        if space.check(&arch).is_ok() {
            prop_assert_eq!(space.parse(&space.print(&arch)).unwrap(), arch);
        }
    }

    #[test]
    fn hostile_files_do_not_panic(
        low: i64, high: i64, step: i64, x: f64, y: f64, log: bool, length in "[ab]",
        value: i64,
    ) {
        let a = Parameter { step: Some(step), log, ..Parameter::integer("a", low, high) };
        let b = Parameter { log, ..Parameter::float("b", x, y) };
        let c = Parameter::repeat("c", &length, vec![Parameter::integer("d", high, low)]);
        let all = vec![a, b.when("a", [value]), c];
        if let Ok(space) = made(all) {
            let arch = space.sample(&mut ChaCha8Rng::seed_from_u64(1));
            prop_assert_eq!(space.parse(&space.print(&arch)).unwrap(), arch);
        }
    }
}
