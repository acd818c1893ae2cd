//! Predictors of spaces of parameters.

use lanner_predict::accuracy::{AccuracyFeatures, AccuracyModel};
use lanner_predict::encode::parameters::{ParameterEncoder, Seen};
use lanner_predict::latency::{LatencyFeatures, LatencyModel};
use lanner_predict::metrics::spearman;
use lanner_predict::predictor::fitted::{FitSettings, Fitted, MethodFeatures};
use lanner_predict::predictor::{Predictor, Target, load};
use lanner_predict::{Pool, reference};
use lanner_space::family::parameters::Held;
use lanner_space::{Architecture, Parameter, Parameters, Space};

fn space() -> Space {
    let block = vec![Parameter::choice("kernel", [3, 5, 7]), Parameter::choice("expand", [2, 4])];
    let parameter = vec![
        Parameter::integer("depth", 2, 6),
        Parameter::choice("width", [32, 64, 128]),
        Parameter::choice("act", ["relu", "gelu", "silu"]),
        Parameter::float("lr", 1e-4, 1e-1).log().outside_network(),
        Parameter::repeat("block", "depth", block),
        Parameter::choice("se", [false, true]).when("act", ["relu"]),
    ];
    Space::of_parameters(&Parameters { name: "mine".into(), parameter }).unwrap()
}

fn some(space: &Space, count: usize) -> Vec<Architecture> {
    let mut rng = lanner_nn::rng(1, "parameters");
    (0..count).map(|_| space.sample(&mut rng)).collect()
}

/// Work of the network: width² times the blocks' kernels and expansions; and an accuracy that has its best
/// learning rate at 1e-2.
fn truth(space: &Space, arch: &Architecture) -> (f64, f64) {
    let parameters = space.parameters().unwrap();
    let held = parameters.held(arch);
    let unit = |i: usize| match held[i] {
        Held::Number(number) => parameters.nodes()[i].unit(number),
        _ => 0.0,
    };
    let Held::Items(blocks) = &held[4] else { panic!("a list") };
    let work = |block: &Vec<Held>| match block[..] {
        [Held::Number(kernel), Held::Number(expand)] => (1 + kernel) as f64 * (1 + expand) as f64,
        _ => 0.0,
    };
    let work: f64 = blocks.iter().map(work).sum();
    let latency = (0.2 + unit(1)) * (1.0 + work);
    let relu = f64::from(u8::from(matches!(held[2], Held::Number(0))));
    let accuracy = 90.0 + work.ln() + relu + unit(5) - 8.0 * (unit(3) - 2.0 / 3.0).powi(2);
    (latency, accuracy)
}

#[test]
fn what_does_not_exist_is_absent_and_numbers_are_numbers() {
    let space = space();
    let encoder = ParameterEncoder::new(&space, Seen::All).unwrap();
    let arch = |se: &str, act: &str, lr: &str| {
        let text = format!(
            r#"{{"depth": 2, "width": 128, "act": "{act}", "lr": {lr}{se},
            "block": [{{"kernel": 3, "expand": 2}}, {{"kernel": 7, "expand": 4}}]}}"#
        );
        space.parse(&text).unwrap()
    };
    let archs = [
        arch("", "gelu", "1e-4"),
        arch(r#", "se": true"#, "relu", "1e-1"),
        arch("", "gelu", "0.0031622776601683794"),
    ];
    let places = encoder.features(&archs).places;
    let (first, last) = (&encoder.columns()[0], encoder.columns().len() - 1);
    assert_eq!(first.len(), 1);
    // `se` is a one-hot of two and whether it exists.
    let se = encoder.columns()[last].clone();
    assert_eq!(se.len(), 3);
    assert!(places.row(0)[se.clone()].iter().all(|&x| x == 0.0));
    assert_eq!(places.row(1)[se.clone()][2], 1.0);
    // Halfway on the scale of logarithms.
    let lr = encoder.columns()[3].start;
    assert!((places[(0, lr)] + places[(1, lr)]).abs() < 1e-12 && places[(2, lr)].abs() < 1e-9);
    let of_network = ParameterEncoder::new(&space, Seen::OfNetwork).unwrap();
    assert_eq!(of_network.columns().len(), encoder.columns().len() - 1);
    // Counts do not depend on where a block stands: the mean kernel is 5, the mean expansion 3.
    let swapped = space
        .parse(&space.print(&archs[0]).replace(
            r#"{"kernel":3,"expand":2},{"kernel":7,"expand":4}"#,
            r#"{"kernel":7,"expand":4},{"kernel":3,"expand":2}"#,
        ))
        .unwrap();
    let totals = encoder.features(&[archs[0].clone(), swapped]).totals;
    assert_eq!(totals.row(0), totals.row(1));
    assert_eq!(totals.row(0), [0.0, 2.0, 0.0, 2.0]);
}

#[test]
fn latencies_and_accuracies_are_learnt() {
    let space = space();
    let archs = some(&space, 600);
    let pool = Pool::new(space.clone(), archs.clone());
    let (latency, accuracy): (Vec<f64>, Vec<f64>) =
        archs.iter().map(|arch| truth(&space, arch)).unzip();
    let (known, asked): (Vec<usize>, Vec<usize>) = ((0..100).collect(), (100..600).collect());
    let model = LatencyModel::fit(&LatencyFeatures::new(&pool), &known, &latency[..100]).unwrap();
    let rank = spearman(&model.predict(&asked).mean, &latency[100..]);
    assert!(rank > 0.95, "{rank}");
    let model =
        AccuracyModel::fit(&AccuracyFeatures::new(&pool), &known, &accuracy[..100], 0).unwrap();
    let rank = spearman(&model.predict(&asked).mean, &accuracy[100..]);
    assert!(rank > 0.9, "{rank}");
}

/// A latency does not depend on the learning rate, whatever the measurements say.
#[test]
fn latencies_do_not_see_what_is_outside_the_network() {
    let space = space();
    let archs = some(&space, 60);
    let pool = Pool::new(space.clone(), archs.clone());
    let latency: Vec<f64> = archs.iter().map(|arch| truth(&space, arch).0).collect();
    let rows: Vec<usize> = (0..60).collect();
    let views = LatencyFeatures::new(&pool);
    let model = LatencyModel::fit(&views, &rows, &latency).unwrap();
    let text = space.print(&archs[0]);
    let at = text.find(r#""lr":"#).unwrap();
    let end = at + text[at..].find(',').unwrap();
    let other = space.parse(&format!("{}\"lr\":0.05{}", &text[..at], &text[end..])).unwrap();
    let asked = model.predict_others(&views.of(&[archs[0].clone(), other]));
    assert_eq!(asked.mean[0], asked.mean[1]);
}

#[test]
fn every_method_is_saved_and_loaded() {
    let space = space();
    let archs = some(&space, 40);
    let pool = reference(&space, &archs);
    let rows: Vec<usize> = archs.iter().map(|a| pool.row_of(a).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    for target in [Target::Latency, Target::Accuracy] {
        let methods = MethodFeatures::methods(&space, target);
        assert!(methods.contains(&"default") && !methods.contains(&"gcn"), "{methods:?}");
        for method in methods {
            let values: Vec<f64> = archs.iter().map(|a| truth(&space, a).0).collect();
            let features = MethodFeatures::new(method, target, &pool).unwrap();
            let settings = FitSettings { method: method.into(), target, metric: "m".into() };
            let fitted = Fitted::fit(&pool, &features, settings, (&rows, &values), 0).unwrap();
            let path = folder.path().join("mine.lanner");
            fitted.save(&path).unwrap();
            let again = load(&path).unwrap();
            assert_eq!(again.measured(), archs);
            let (a, b) = (again.predict(&archs).mean, fitted.predict(&archs).mean);
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * b.abs();
            assert!(a.iter().zip(&b).all(near), "{method}");
        }
    }
}
