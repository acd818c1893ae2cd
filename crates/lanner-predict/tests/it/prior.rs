//! Predictors of a table that start from an untrained score.

use std::sync::Arc;

use lanner_predict::accuracy::untrained::UntrainedScores;
use lanner_predict::metrics::spearman;
use lanner_predict::predictor::fitted::{FitSettings, Fitted, MethodFeatures};
use lanner_predict::predictor::{Predictor, Target, load};
use lanner_predict::{Pool, PredictError, reference};
use lanner_space::{Architecture, Space};

/// Networks of NAS-Bench-201 with made-up accuracies: live operations are worth something, and there is
/// luck.
fn task() -> (Pool, Vec<Architecture>, Vec<f64>) {
    let space = Space::NasBench201;
    let archs: Vec<Architecture> =
        space.shuffled(&mut lanner_nn::rng(3, "prior")).take(600).collect();
    let worth = |arch: &Architecture| -> f64 {
        let live = arch.codes().iter().zip(space.live(arch)).filter(|x| x.1);
        live.map(|(&code, _)| [0.0, 1.0, 2.0, 3.0, 0.5][usize::from(code)]).sum()
    };
    let values = archs.iter().enumerate().map(|(i, a)| worth(a) + luck(i, 1.0)).collect();
    (reference(&space, &archs), archs, values)
}

fn luck(i: usize, size: f64) -> f64 {
    size * ((i * 7919) % 101) as f64 / 101.0
}

fn fitted(
    target: Target,
    (pool, archs): (&Pool, &[Architecture]),
    values: &[f64],
    prior: Option<&[(Architecture, f64)]>,
) -> Result<Fitted, PredictError> {
    let features = MethodFeatures::new("default", target, pool).unwrap();
    let features = match prior {
        Some(known) => {
            let scores = UntrainedScores::new(&pool.space, known)?;
            features.with_prior(pool, Arc::new(scores))?
        }
        None => features,
    };
    let settings = FitSettings { method: "default".into(), target, metric: "m".into() };
    let rows: Vec<usize> = archs.iter().map(|a| pool.row_of(a).unwrap()).collect();
    Fitted::fit(pool, &features, settings, (&rows, values), 0)
}

#[test]
fn a_good_prior_helps_and_a_wrong_one_is_forgotten() {
    let (pool, archs, values) = task();
    let known = |sign: f64| -> Vec<(Architecture, f64)> {
        // Scores of half of the networks: those of the others are predicted.
        let scores = values.iter().enumerate().map(|(i, v)| sign * (v + luck(i * 3, 2.0)));
        archs.iter().cloned().zip(scores).step_by(2).collect()
    };
    let rank = |n: usize, prior: Option<f64>| {
        let known = prior.map(known);
        let fitted = fitted(Target::Accuracy, (&pool, &archs[..n]), &values[..n], known.as_deref());
        spearman(&fitted.unwrap().predict(&archs[100..]).mean, &values[100..])
    };
    let (alone, helped) = (rank(10, None), rank(10, Some(1.0)));
    assert!(helped > alone + 0.05 && helped > 0.8, "{helped} {alone}");
    let (alone, misled) = (rank(60, None), rank(60, Some(-1.0)));
    assert!(misled > alone - 0.05, "{misled} {alone}");

    // A loss falls where an accuracy rises; the score's direction stays.
    let losses: Vec<f64> = values.iter().map(|v| -v).collect();
    let by = |target, values: &[f64]| {
        let known = known(1.0);
        let fitted = fitted(target, (&pool, &archs[..10]), &values[..10], Some(&known)).unwrap();
        fitted.predict(&archs[100..120]).mean
    };
    let (up, down) = (by(Target::Accuracy, &values), by(Target::Error, &losses));
    assert!(up.iter().zip(&down).all(|(a, b)| (a + b).abs() < 1e-9));
}

#[test]
fn the_file_holds_the_scores() {
    let (pool, archs, values) = task();
    let known: Vec<(Architecture, f64)> =
        archs.iter().cloned().zip(values.iter().copied()).take(300).step_by(2).collect();
    let few = (&pool, &archs[..12]);
    let made = fitted(Target::Accuracy, few, &values[..12], Some(&known)).unwrap();
    assert!(made.describe().ends_with("12 networks; untrained scores: 150"), "{}", made.describe());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prior.lanner");
    made.save(&path).unwrap();
    let again = load(&path).unwrap();
    assert_eq!(again.describe(), made.describe());
    let (a, b) = (made.predict(&archs[..50]), again.predict(&archs[..50]));
    assert_eq!((a.mean, a.low, a.high), (b.mean, b.low, b.high));
    // Each network for itself, but for rounding.
    let one = made.predict(&archs[7..8]).mean[0];
    assert!((one - made.predict(&archs[..50]).mean[7]).abs() < 1e-9);
}

#[test]
fn a_prior_that_cannot_be_is_refused() {
    let (pool, archs, values) = task();
    let known: Vec<(Architecture, f64)> =
        archs.iter().cloned().zip(values.iter().copied()).take(20).collect();
    let few = (&pool, &archs[..12]);
    let says = |target, prior: &[(Architecture, f64)], what: &str| {
        let error = fitted(target, few, &values[..12], Some(prior)).err().unwrap().to_string();
        assert!(error.contains("prior") && error.contains(what), "{error}");
    };
    says(Target::Latency, &known, "accuracies");
    says(Target::Accuracy, &known[..3], "at least 5");
    let same: Vec<_> = known.iter().map(|k| (k.0.clone(), 1.0)).collect();
    says(Target::Accuracy, &same, "all 20 untrained scores are 1");
    let features = MethodFeatures::new("ridge-counts", Target::Accuracy, &pool).unwrap();
    let scores = Arc::new(UntrainedScores::new(&pool.space, &known).unwrap());
    assert!(features.with_prior(&pool, scores).is_err());
}
