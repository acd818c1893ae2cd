//! Predictors of a table by name: on any space, in blocks, saved and loaded.

use lanner_network::{Cost, Skeleton};
use lanner_predict::accuracy::{AccuracyFeatures, AccuracyModel};
use lanner_predict::latency::{LatencyFeatures, LatencyModel};
use lanner_predict::metrics::spearman;
use lanner_predict::predictor::file::{Array, ModelFile};
use lanner_predict::predictor::fitted::{FitSettings, Fitted, MethodFeatures};
use lanner_predict::predictor::{Predictor, Target, load, load_for};
use lanner_predict::{Forecast, Pool, reference};
use lanner_space::{Architecture, Space, View};

fn same(a: &Forecast, b: &Forecast) -> bool {
    (&a.mean, &a.low, &a.high) == (&b.mean, &b.low, &b.high)
}

fn near(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + b.abs()))
}

/// Different architectures at random.
fn some(space: &Space, count: usize, seed: u64) -> Vec<Architecture> {
    space.shuffled(&mut lanner_nn::rng(seed, "some")).take(count).collect()
}

/// Sum of costs of live operations by their label; an identity and an empty place cost nothing.
fn cost(space: &Space, arch: &Architecture) -> f64 {
    if space.stages().is_some() {
        return 1.0 + space.flops_and_params(arch).unwrap().1;
    }
    let labels = space.graph(arch, View::Pruned).labels;
    2.0 + labels.iter().map(|&l| 0.1 + 0.7 * f64::from(l % 3)).sum::<f64>()
}

fn user(text: &str) -> Space {
    Space::from_toml(text).unwrap()
}

const CHAIN: &str = r#"
name = "small-chain"
kind = "chain"
[[stage]]
depth = [1, 2, 3]
width = [16, 24]
stride = 2
block = ["mb", "sep"]
kernel = [3, 5]
expansion = [3, 6]
[[stage]]
depth = [1, 2, 3, 4]
width = 32
stride = 2
block = ["mb", "sep"]
kernel = [3, 5]
expansion = [3, 6]
[skeleton]
resolution = 32
classes = 2
stem = 8
head = 64
"#;

#[test]
fn every_method_answers_on_every_space_whatever_else_is_asked() {
    let spaces = Space::ALL.into_iter().chain([user(CHAIN)]);
    for space in spaces {
        let known = some(&space, 40, 1);
        let asked = some(&space, 30, 2);
        let values: Vec<f64> = known.iter().map(|a| cost(&space, a)).collect();
        let truth: Vec<f64> = asked.iter().map(|a| cost(&space, a)).collect();
        for target in [Target::Latency, Target::Accuracy] {
            for method in MethodFeatures::methods(&space, target) {
                // Training and thousands of products take seconds, a sum of layers networks of one.
                if method.starts_with("gcn") || ["layer-wise", "ridge-pairs"].contains(&method) {
                    continue;
                }
                let pool = reference(&space, &known);
                let rows: Vec<usize> = known.iter().map(|a| pool.row_of(a).unwrap()).collect();
                let views = MethodFeatures::new(method, target, &pool).unwrap();
                let settings = FitSettings { method: method.into(), target, metric: "m".into() };
                let fitted = Fitted::fit(&pool, &views, settings, (&rows, &values), 3).unwrap();
                let all = fitted.predict(&asked);
                let halves = [&asked[..7], &asked[7..]].map(|part| fitted.predict(part).mean);
                assert!(near(&halves.concat(), &all.mean), "{space} {method}");
                assert!(all.mean.iter().all(|m| m.is_finite()), "{space} {method}");
                if method == "default" {
                    let rank = spearman(&all.mean, &truth);
                    assert!(rank > 0.4, "{space} {target:?}: {rank}");
                }
            }
        }
    }
}

#[test]
fn others_are_predicted_as_rows_of_the_pool_are() {
    let pool = Pool::new(Space::NasBench201, Space::NasBench201.iter().step_by(7).collect());
    let values: Vec<f64> = pool.archs.iter().map(|a| cost(&pool.space, a)).collect();
    let known: Vec<usize> = (0..pool.len()).step_by(29).collect();
    let y: Vec<f64> = known.iter().map(|&r| values[r]).collect();
    let rows: Vec<usize> = (0..pool.len()).collect();

    let views = AccuracyFeatures::new(&pool);
    let model = AccuracyModel::fit(&views, &known, &y, 0).unwrap();
    let (inside, outside) = (model.predict(&rows), model.predict_others(&views.of(&pool.archs)));
    assert!(near(&inside.mean, &outside.mean) && near(&inside.low, &outside.low));

    let views = LatencyFeatures::new(&pool);
    let model = LatencyModel::fit(&views, &known, &y).unwrap();
    let (inside, outside) = (model.predict(&rows), model.predict_others(&views.of(&pool.archs)));
    assert!(near(&inside.mean, &outside.mean) && near(&inside.high, &outside.high));

    // Columns of what no training network has are constant there, and left out either way.
    let few = Pool::new(Space::NasBench201, known.iter().map(|&r| pool.archs[r].clone()).collect());
    let few_rows: Vec<usize> = (0..few.len()).collect();
    let views = LatencyFeatures::new(&few);
    let alone = LatencyModel::fit(&views, &few_rows, &y).unwrap();
    assert!(near(&alone.predict_others(&views.of(&pool.archs)).mean, &inside.mean));
}

#[test]
fn a_saved_predictor_predicts_the_same_and_refuses_other_files() {
    let space = Space::NasBench201;
    let (known, asked) = (some(&space, 60, 1), some(&space, 200, 2));
    let values: Vec<f64> = known.iter().map(|a| cost(&space, a)).collect();
    let pool = reference(&space, &known);
    let rows: Vec<usize> = known.iter().map(|a| pool.row_of(a).unwrap()).collect();
    let dir = tempfile::tempdir().unwrap();
    for (method, target) in [
        ("default", Target::Latency),
        ("default", Target::Accuracy),
        ("ridge-pairs", Target::Latency),
        ("gcn", Target::Accuracy),
        ("binary", Target::Accuracy),
    ] {
        let views = MethodFeatures::new(method, target, &pool).unwrap();
        let settings = FitSettings { method: method.into(), target, metric: "m_ms".into() };
        let saved = Fitted::fit(&pool, &views, settings, (&rows, &values), 5).unwrap();
        let path = dir.path().join("model");
        saved.save(&path).unwrap();
        let back = load(&path).unwrap();
        assert_eq!((back.measured(), back.space()), (saved.archs.as_slice(), &space));
        assert_eq!((back.metric(), back.target()), ("m_ms", target));
        assert_eq!(back.describe(), saved.describe());
        let (first, again) = (saved.predict(&asked), back.predict(&asked));
        assert!(near(&first.mean, &again.mean), "{method}: saving changes nothing");
        back.save(&path).unwrap();
        assert!(same(&again, &load(&path).unwrap().predict(&asked)), "{method}");
        assert!(load_for(&path, &Space::Darts).is_err());

        let mut bytes = std::fs::read(&path).unwrap();
        for broken in [bytes[..bytes.len() / 2].to_vec(), {
            let middle = bytes.len() - 9;
            bytes[middle] ^= 0x40;
            bytes
        }] {
            std::fs::write(&path, broken).unwrap();
            assert!(load(&path).is_err());
        }
    }
}

/// Latencies are multiply-accumulates of networks whose head outweighs the blocks, unlike the published ones.
#[test]
fn costs_are_those_of_the_measured_networks_also_when_loaded() {
    let published = Space::MobileNetV3;
    let skeleton = Skeleton::parse(&published, "1280 channels, 32 pixels, 100000 classes").unwrap();
    let space = skeleton.sized_space();
    assert!(space == published && space.sizes() != published.sizes());
    let macs = |arch: &Architecture| {
        Cost::of(&skeleton.build(arch, View::Pruned).unwrap()).macs as f64 / 1e6
    };
    let (known, asked) = (some(&space, 40, 1), some(&space, 60, 2));
    let values: Vec<f64> = known.iter().map(macs).collect();
    let path = tempfile::tempdir().unwrap().path().join("model");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let errors = [&space, &published].map(|space| {
        let pool = Pool::new(space.clone(), known.clone());
        let rows: Vec<usize> = (0..pool.len()).collect();
        let views = MethodFeatures::new("default", Target::Latency, &pool).unwrap();
        let settings =
            FitSettings { method: "default".into(), target: Target::Latency, metric: "m".into() };
        let fitted = Fitted::fit(&pool, &views, settings, (&rows, &values), 0).unwrap();
        fitted.save(&path).unwrap();
        let back = load(&path).unwrap();
        assert_eq!(back.space().sizes(), space.sizes());
        let forecast = back.predict(&asked);
        assert!(near(&forecast.mean, &fitted.predict(&asked).mean));
        let error = |(p, arch): (&f64, &Architecture)| (p / macs(arch) - 1.0).abs();
        forecast.mean.iter().zip(&asked).map(error).sum::<f64>() / asked.len() as f64
    });
    assert!(errors[0] < 0.9 * errors[1], "{errors:?}");
}

#[test]
fn a_changed_file_of_the_same_name_is_another_space() {
    let space = user(CHAIN);
    let commented = user(&format!("# another text\n{CHAIN}\n[limits]\nflops = 1000000"));
    let changed = user(&CHAIN.replace("width = 32", "width = 40"));
    assert_eq!(space.identity(), commented.identity());
    assert_eq!(space.name(), changed.name());
    let known = some(&space, 30, 1);
    let values: Vec<f64> = known.iter().map(|a| cost(&space, a)).collect();
    let pool = Pool::new(space.clone(), known);
    let rows: Vec<usize> = (0..pool.len()).collect();
    let (method, target) = ("ridge-counts".to_string(), Target::Latency);
    let views = MethodFeatures::new(&method, target, &pool).unwrap();
    let settings = FitSettings { method, target, metric: "m_ms".into() };
    let saved = Fitted::fit(&pool, &views, settings, (&rows, &values), 0).unwrap();
    let path = tempfile::tempdir().unwrap().path().join("model");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    saved.save(&path).unwrap();
    assert!(load_for(&path, &commented).is_ok());
    let message = load_for(&path, &changed).err().unwrap().to_string();
    assert!(message.contains("is for the space 'small-chain "), "{message}");
}

/// The files are older than the first release; their README says how they were made.
#[test]
fn files_of_format_1_predict_what_they_did() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/format-1/");
    let dir = tempfile::tempdir().unwrap();
    for (name, metric) in [("fitted", "own"), ("adapted", "mine")] {
        let path = std::path::PathBuf::from(format!("{data}{name}.lanner"));
        let old = load(&path).unwrap();
        assert_eq!(old.metric(), format!("{metric}_ms"));
        let table = std::path::PathBuf::from(format!("{data}{name}.csv"));
        let (then, _) = lanner_data::Table::read(&table, old.space()).unwrap();
        let column = |end: &str| then.column(&format!("{metric}{end}_ms")).unwrap();
        let check = |predictor: &dyn Predictor| {
            let now = predictor.predict(&then.archs);
            assert!(near(&now.mean, column("")), "{name}");
            // The intervals are those of today's rule, of about the same widths.
            for (i, (low, high)) in column("_low").iter().zip(column("_high")).enumerate() {
                assert!(now.low[i] < now.mean[i] && now.mean[i] < now.high[i], "{name}");
                let wider = (now.high[i] / now.low[i]).ln() / (high / low).ln();
                assert!((0.3..3.0).contains(&wider), "{name}: {wider}");
            }
        };
        check(&*old);
        // Saved again it is a file of today, in which codes are integers.
        let again = dir.path().join(name);
        old.save(&again).unwrap();
        let file = ModelFile::from_bytes(&std::fs::read(&again).unwrap()).unwrap();
        assert_eq!(file.header.format, 2);
        assert!(matches!(file.tensors["codes"], Array::U8 { .. }));
        check(&*load(&again).unwrap());
    }
}
