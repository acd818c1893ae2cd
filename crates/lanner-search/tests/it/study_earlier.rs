//! What a study can tell without trials of its own: warm-start values, the largest network, and
//! chance.

use crate::common::{accuracy, done, essence, go_on, job, latency, some_archs, text};
use lanner_search::study::{Measurement, Study};
use lanner_search::{Limit, StrategyName};
use lanner_space::{Architecture, Space};

/// Warm-start values are not trials: they lead the start, and a study that is closed between all steps
/// asks for the same trials.
#[test]
fn earlier_values_lead_but_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archs = some_archs();
    let print = |a: &Architecture| Space::NasBench201.print(a);
    // Warm-start values on another scale, for every other network.
    let known: Vec<(Architecture, f64)> =
        archs.iter().step_by(2).map(|a| (a.clone(), 0.01 * accuracy(&print(a)))).collect();
    let make = |name: &str| {
        let path = folder.path().join(name);
        let earlier = [("elsewhere".to_string(), known.clone())];
        Study::create_warm(&path, &job(StrategyName::Default, 30), &archs, &earlier).unwrap()
    };
    let mut whole = make("whole");
    go_on(&mut whole);
    let trials = whole.trials().unwrap();
    assert_eq!((trials.len(), whole.counts().unwrap().imported), (30, 0));
    assert_eq!(whole.origins().unwrap(), [("elsewhere".to_string(), known.len())]);
    let twice = ["a", "a"].map(|name| (name.to_string(), known.clone()));
    let path = folder.path().join("twice");
    assert!(Study::create_warm(&path, &job(StrategyName::Default, 30), &archs, &twice).is_err());
    assert!(!path.exists());
    // Half of the start are about the best there are, known or predicted.
    let mut all: Vec<f64> = archs.iter().map(|a| accuracy(&print(a))).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let good = trials[..10].iter().filter(|t| accuracy(&text(&t.arch)) >= all[19]).count();
    assert!(good >= 4, "{good}");
    let path = folder.path().join("closed");
    drop(make("closed"));
    loop {
        let mut study = Study::open(&path).unwrap();
        match study.claim().unwrap() {
            Some(trial) => {
                study.tell(trial.id, done(&text(&trial.arch))).unwrap();
            }
            None if study.ask(8).unwrap().is_empty() => break,
            None => {}
        }
    }
    assert_eq!(essence(&Study::open(&path).unwrap().trials().unwrap()), essence(&trials));
}

/// However few networks are known, and however large the space is, they are among the first.
#[test]
fn few_known_networks_are_among_the_first() {
    for space in [Space::NasBench201, Space::Darts] {
        for count in [1, 2, 4] {
            let folder = tempfile::tempdir().unwrap();
            let mut rng = lanner_nn::rng(count, "known networks");
            let known: Vec<(Architecture, f64)> =
                (0..count).map(|i| (space.canonical(&space.sample(&mut rng)), i as f64)).collect();
            let mut settings = job(StrategyName::Default, 12);
            settings.space = space.name().into();
            let earlier = [("few".to_string(), known.clone())];
            let path = folder.path().join("study");
            let mut study = Study::create_warm(&path, &settings, &[], &earlier).unwrap();
            let asked = study.ask(10).unwrap();
            let known_asked = asked.iter().filter(|t| known.iter().any(|k| k.0 == t.arch)).count();
            assert_eq!(known_asked, known.len(), "{}", space.name());
        }
    }
}

#[test]
fn choices_without_learning_are_within_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let archs = some_archs();
    let mut settings = job(StrategyName::Default, 30);
    settings.limits = vec![Limit::at_most("latency_ms", 3.5)];
    let mut study = Study::create_of(folder.path(), &settings, &archs).unwrap();
    for arch in study.first_measurements(20).unwrap() {
        let value = latency(&text(&arch));
        study.measured(&Measurement::new(&arch, "latency_ms", value)).unwrap();
    }
    assert_eq!(study.by_chance(30).unwrap(), None, "nothing is known yet");
    go_on(&mut study);
    let largest: Vec<String> = study.largest(10).unwrap().iter().map(text).collect();
    assert_eq!(largest.len(), 10);
    let flops = |text: &str| {
        let space = Space::NasBench201;
        space.flops_and_params(&space.parse(text).unwrap()).unwrap().0
    };
    // The process knows this latency well.
    assert!(largest.iter().all(|t| latency(t) <= 3.9), "{largest:?}");
    let possible = archs.iter().map(|a| Space::NasBench201.print(a)).filter(|t| latency(t) <= 3.5);
    let most = possible.clone().map(|t| flops(&t)).fold(0.0, f64::max);
    assert!(largest.iter().any(|t| flops(t) >= most), "{most}");
    // Against the mean over many random searches.
    let values: Vec<f64> = possible.map(|t| accuracy(&t)).collect();
    let mut rng = lanner_nn::rng(1, "by chance");
    let draws = 2000;
    let mean: f64 = (0..draws)
        .map(|_| {
            use rand::seq::IndexedRandom;
            values.sample(&mut rng, 30).copied().fold(0.0, f64::max) / f64::from(draws)
        })
        .sum();
    let curve = study.by_chance(30).unwrap().unwrap();
    let (n, expected) = *curve.curve.last().unwrap();
    assert!(n == 30 && curve.curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    assert!((expected - mean).abs() < 1.5, "{expected}, in truth {mean}");
    assert_eq!(study.by_chance(30).unwrap(), Some(curve), "twice the same");
}
