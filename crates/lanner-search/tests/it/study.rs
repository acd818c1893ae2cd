//! Studies: the trials of all strategies, within limits, in all spaces.

use crate::common::{accuracy, done, essence, go_on, job, latency, some_archs, text};
use lanner_search::study::{Measurement, Outcome, State, Study, Trial};
use lanner_search::{Job, Limit, Objective, SearchError, StrategyName};
use lanner_space::{Architecture, Space};

#[test]
fn a_study_that_is_closed_between_all_steps_is_the_same() {
    for strategy in StrategyName::ALL {
        let folder = tempfile::tempdir().unwrap();
        let settings = job(strategy, 45);
        let mut whole =
            Study::create_of(folder.path().join("a"), &settings, &some_archs()).unwrap();
        go_on(&mut whole);
        let expected = whole.trials().unwrap();
        assert_eq!(expected.len(), 45, "{strategy}");
        let path = folder.path().join("b");
        drop(Study::create_of(&path, &settings, &some_archs()).unwrap());
        loop {
            let mut study = Study::open(&path).unwrap();
            match study.claim().unwrap() {
                Some(trial) => {
                    assert_eq!(study.tell(trial.id, done(&text(&trial.arch))).unwrap(), State::Done,)
                }
                None if study.ask(8).unwrap().is_empty() => break,
                None => {}
            }
        }
        let found = Study::open(&path).unwrap().trials().unwrap();
        assert_eq!(essence(&found), essence(&expected), "{strategy}");
        let mut archs: Vec<String> = found.iter().map(|t| text(&t.arch)).collect();
        archs.sort_unstable();
        archs.dedup();
        assert_eq!(archs.len(), 45, "{strategy}: none twice");
    }
}

#[test]
fn learning_beats_chance_and_errors_are_made_small() {
    let search = |strategy, maximise: bool| -> Vec<(Architecture, f64)> {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = job(strategy, 30);
        settings.objectives[0].maximise = maximise;
        let mut study = Study::create_of(folder.path(), &settings, &some_archs()).unwrap();
        let sign = if maximise { 1.0 } else { -1.0 };
        loop {
            while let Some(trial) = study.claim().unwrap() {
                let metrics =
                    [("accuracy".to_string(), sign * accuracy(&text(&trial.arch)))].into();
                study.tell(trial.id, Outcome::Done { metrics }).unwrap();
            }
            if study.ask(8).unwrap().is_empty() {
                break;
            }
        }
        // Predictions have the metric's own sign.
        for trial in study.trials().unwrap().iter().skip(20) {
            if let Some((median, _)) = trial.predicted.get("accuracy") {
                assert!((sign * median - 60.0).abs() < 20.0, "{median}");
            }
        }
        let best = study.best().unwrap().unwrap();
        let trials = study.trials().unwrap().into_iter().map(|t| t.arch);
        trials.map(|arch| (arch, best.metrics["accuracy"])).collect()
    };
    let all =
        some_archs().iter().map(|a| accuracy(&Space::NasBench201.print(a))).collect::<Vec<_>>();
    let most = all.iter().copied().fold(0.0, f64::max);
    let (large, small) =
        (search(StrategyName::Default, true), search(StrategyName::Default, false));
    assert_eq!(large[0].1, most);
    assert!(search(StrategyName::Random, true)[0].1 < most);
    // The same search with the other sign.
    assert!(large.iter().zip(&small).all(|(a, b)| a.0 == b.0 && a.1 == -b.1));
}

#[test]
fn failed_and_infeasible_ones_are_not_asked_for_again_and_cost_as_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let mut study =
        Study::create_of(folder.path(), &job(StrategyName::Default, 20), &some_archs()).unwrap();
    let mut number = 0;
    loop {
        while let Some(trial) = study.claim().unwrap() {
            number += 1;
            let nan = [("accuracy".to_string(), f64::NAN)].into();
            let expected = [State::Done, State::Failed, State::Infeasible, State::Failed];
            let outcome = match number % 4 {
                0 => done(&text(&trial.arch)),
                1 => Outcome::Failed { why: "no reason".into() },
                2 => Outcome::Infeasible { metrics: [("latency_ms".to_string(), 9.0)].into() },
                _ => Outcome::Done { metrics: nan },
            };
            assert_eq!(study.tell(trial.id, outcome).unwrap(), expected[number % 4]);
            let again = study.tell(trial.id, done(&text(&trial.arch)));
            assert!(matches!(again, Err(SearchError::Told { .. })));
        }
        if study.ask(100).unwrap().is_empty() {
            break;
        }
    }
    let counts = study.counts().unwrap();
    assert_eq!(counts.done + counts.failed, 20);
    assert!(counts.infeasible > 4);
    let trials = study.trials().unwrap();
    let notes: Vec<&str> = trials.iter().filter_map(|t| t.note.as_deref()).collect();
    assert!(notes.contains(&"no reason"));
    assert!(notes.contains(&"the evaluation gave no number for accuracy"));
    assert!(matches!(study.tell(999, done("")), Err(SearchError::NoTrial { trial: 999 })));
    study.set_budget(25).unwrap();
    assert_eq!(study.ask(100).unwrap().len(), 4, "a round of the default strategy");
    assert_eq!(Study::open(folder.path()).unwrap().job().budget, 25);
}

#[test]
fn batches_asked_while_others_are_pending_are_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut study =
        Study::create_of(folder.path(), &job(StrategyName::Default, 60), &some_archs()).unwrap();
    study.set_budget(20).unwrap();
    go_on(&mut study);
    study.set_budget(60).unwrap();
    let mut asked = Vec::new();
    for _ in 0..6 {
        let batch = study.ask(4).unwrap();
        assert_eq!(batch.len(), 4);
        assert!(batch.iter().all(|t| t.predicted.contains_key("accuracy")));
        asked.extend(batch.iter().map(|t| text(&t.arch)));
    }
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), 24);
    // Two processes: each trial goes to one of them.
    let mut other = Study::open(folder.path()).unwrap();
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(study.claim().unwrap().unwrap().id);
        ids.push(other.claim().unwrap().unwrap().id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 24);
    assert!(study.claim().unwrap().is_none() && other.claim().unwrap().is_none());
    let (first, last) = (ids[0], ids[1]);
    assert!(matches!(other.tell(first, done("")), Err(SearchError::TakenOver { .. })));
    // A trial that a closed study ran is free again, with its seed.
    let seed = study.trial(first).unwrap().seed;
    drop(study);
    let again = other.claim().unwrap().unwrap();
    assert_eq!((again.id, again.seed), (first, seed));
    assert_ne!(other.trial(last).unwrap().seed, seed);
}

#[test]
fn limits_hold() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = job(StrategyName::Default, 40);
    let limit = |metric: &str, most| Limit::at_most(metric, most);
    settings.limits = vec![limit("latency_ms", 3.5), limit("params", 500_000.0)];
    let mut study = Study::create(folder.path(), &settings).unwrap();
    let first = study.first_measurements(12).unwrap();
    assert_eq!(first.len(), 12);
    let measurement = |arch: &Architecture, trial| {
        let value = latency(&text(arch));
        Measurement { trial, ..Measurement::new(arch, "latency_ms", value) }
    };
    for arch in &first {
        study.measured(&measurement(arch, None)).unwrap();
    }
    let (mut within, mut over) = (0, 0);
    loop {
        while let Some(trial) = study.claim().unwrap() {
            let value = latency(&text(&trial.arch));
            study.measured(&measurement(&trial.arch, Some(trial.id))).unwrap();
            let outcome = if value <= 3.5 {
                within += 1;
                done(&text(&trial.arch))
            } else {
                over += 1;
                Outcome::Infeasible { metrics: [("latency_ms".to_string(), value)].into() }
            };
            study.tell(trial.id, outcome).unwrap();
            let (median, sd) = study.trial(trial.id).unwrap().predicted["latency_ms"];
            assert!((median - value).abs() < 5.0 * sd + 0.5, "{median} ± {sd}, {value}");
        }
        if study.ask(4).unwrap().is_empty() {
            break;
        }
    }
    assert_eq!(within, 40);
    assert!(over <= 8, "{over} asked for that were over the limit");
    let space = Space::NasBench201;
    let skeleton = lanner_network::Skeleton::of(&space).unwrap();
    for trial in study.trials().unwrap() {
        let network = skeleton.build(&trial.arch, lanner_network::View::Pruned).unwrap();
        assert!(lanner_network::Cost::of(&network).params <= 500_000);
    }
    let best = study.best().unwrap().unwrap();
    assert!(latency(&text(&best.arch)) <= 3.5);
    // Dear ones are known to be, and others for what they are.
    let other = space.at(space.size() - 1).unwrap();
    let dear = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|";
    let beliefs =
        study.forecast("latency_ms", &[space.parse(dear).unwrap(), other.clone()]).unwrap();
    assert!(beliefs[0].median > 6.0 && beliefs[0].within < 0.1, "{beliefs:?}");
    assert!((beliefs[1].median - latency(&space.print(&other))).abs() < 0.3, "{beliefs:?}");
    // Limits that nothing meets end a study at once.
    settings.limits = vec![limit("params", 10.0)];
    let mut none = Study::create(folder.path().join("none"), &settings).unwrap();
    assert!(none.ask(4).unwrap().is_empty());
}

#[test]
fn two_objectives_spread_over_the_front() {
    let run = |strategy| {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = job(strategy, 40);
        settings.objectives.push(Objective { metric: "latency_ms".into(), maximise: false });
        let mut study = Study::create_of(folder.path(), &settings, &some_archs()).unwrap();
        loop {
            while let Some(trial) = study.claim().unwrap() {
                let text = text(&trial.arch);
                let metrics = [("accuracy", accuracy(&text)), ("latency_ms", latency(&text))];
                let metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
                study.tell(trial.id, Outcome::Done { metrics }).unwrap();
            }
            if study.ask(4).unwrap().is_empty() {
                break;
            }
        }
        let front = study.front().unwrap();
        assert!(front.len() > 2);
        let points: Vec<[f64; 2]> =
            front.iter().map(|t| [t.metrics["accuracy"], -t.metrics["latency_ms"]]).collect();
        assert!(points.is_sorted_by(|a, b| a[0] > b[0] && a[1] < b[1]));
        lanner_search::hypervolume(&points, &[50.0, -8.0])
    };
    let all: Vec<[f64; 2]> = (some_archs().iter())
        .map(|a| Space::NasBench201.print(a))
        .map(|text| [accuracy(&text), -latency(&text)])
        .collect();
    let most = lanner_search::hypervolume(&all, &[50.0, -8.0]);
    let (found, by_chance) = (run(StrategyName::Default), run(StrategyName::Random));
    assert!(found > 0.9 * most && found > by_chance, "{found} and {by_chance} of {most}");
}

/// The front of a large space reaches from its smallest to its largest networks, few of which are drawn at random.
#[test]
fn fronts_of_large_spaces_are_wide() {
    // Quality and cost grow with every choice, by other amounts.
    let of = |arch: &Architecture| {
        let codes = || arch.codes().iter().enumerate().map(|(i, &c)| (i as f64, f64::from(c)));
        let quality: f64 = codes().map(|(i, c)| c * (1.0 + (i * 1.7).sin())).sum();
        let cost: f64 = codes().map(|(i, c)| c * (1.0 + (i * 2.3).cos())).sum();
        [quality, -cost]
    };
    let run = |strategy, budget| {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Job { space: "fbnet".into(), ..job(strategy, budget) };
        settings.objectives.push(Objective { metric: "cost".into(), maximise: false });
        let mut study = Study::create(folder.path(), &settings).unwrap();
        loop {
            while let Some(trial) = study.claim().unwrap() {
                let [quality, cost] = of(&trial.arch);
                let metrics = [("accuracy".to_string(), quality), ("cost".to_string(), -cost)];
                study.tell(trial.id, Outcome::Done { metrics: metrics.into() }).unwrap();
            }
            if study.ask(4).unwrap().is_empty() {
                break;
            }
        }
        let points: Vec<[f64; 2]> = study.trials().unwrap().iter().map(|t| of(&t.arch)).collect();
        lanner_search::hypervolume(&points, &[0.0, -150.0])
    };
    let (found, by_chance) = (run(StrategyName::Default, 60), run(StrategyName::Random, 60));
    assert!(found > 1.1 * by_chance, "{found} and {by_chance}");
}

#[test]
fn large_spaces_and_those_of_users() {
    for name in ["darts", "fbnet", "nasbench101", "mobilenetv3", "transbench101-macro"] {
        let folder = tempfile::tempdir().unwrap();
        let settings = Job { space: name.into(), ..job(StrategyName::RegularizedEvolution, 24) };
        let mut study = Study::create(folder.path(), &settings).unwrap();
        let score = |arch: &Architecture| f64::from(arch.codes()[0]);
        loop {
            while let Some(trial) = study.claim().unwrap() {
                let metrics = [("accuracy".to_string(), score(&trial.arch))].into();
                study.tell(trial.id, Outcome::Done { metrics }).unwrap();
            }
            if study.ask(4).unwrap().is_empty() {
                break;
            }
        }
        assert_eq!(study.counts().unwrap().done, 24, "{name}");
    }
    let toml = "
name = \"mine\"
kind = \"cell\"
nodes = 3
operations = [\"none\", \"skip_connect\", \"nor_conv_3x3\", \"sep_conv_5x5\"]
[[edge]]
from = 0
to = 1
[[edge]]
from = [0, 1]
to = 2
[skeleton]
resolution = 16
classes = 10
channels = 8
stages = 2
cells = 1
[limits]
params = 6000
";
    let folder = tempfile::tempdir().unwrap();
    let settings = Job {
        space: "mine".into(),
        space_toml: Some(toml.into()),
        ..job(StrategyName::Default, 100)
    };
    let mut study = Study::create(folder.path(), &settings).unwrap();
    go_on(&mut study);
    let space = study.space().clone();
    let skeleton = lanner_network::Skeleton::of(&space).unwrap();
    let params = |arch: &Architecture| {
        let network = skeleton.build(arch, lanner_network::View::Pruned).unwrap();
        lanner_network::Cost::of(&network).params
    };
    let trials = Study::open(folder.path()).unwrap().trials().unwrap();
    assert!(!trials.is_empty() && trials.len() < 32, "{}", trials.len());
    assert!(trials.iter().all(|t| params(&t.arch) <= 6000));
    assert!(space.iter().any(|a| params(&a) > 6000));
}

/// Trials one by one are the same as all together, and the first error ends it.
#[test]
fn trials_are_given_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut study =
        Study::create_of(folder.path(), &job(StrategyName::Random, 12), &some_archs()).unwrap();
    study.ask(12).unwrap();
    while let Some(trial) = study.claim().unwrap() {
        let outcome = match trial.id % 3 {
            0 => Outcome::Failed { why: "out of memory".into() },
            _ => Outcome::Done { metrics: [("accuracy".into(), trial.id as f64)].into() },
        };
        study.tell(trial.id, outcome).unwrap();
        let m = Measurement::new(&trial.arch, "latency_ms", 1.0);
        study.measured(&m).unwrap();
        study.measured(&Measurement { value: 2.0, ..m }).unwrap();
    }
    let mut seen = Vec::new();
    let ended = study.for_each_trial(|t| {
        seen.push(t);
        if seen.len() == 7 { Err(SearchError::NoTrial { trial: 7 }) } else { Ok(()) }
    });
    assert!(matches!(ended, Err(SearchError::NoTrial { trial: 7 })));
    let each: Vec<Trial> = (1..=7).map(|id| study.trial(id).unwrap()).collect();
    assert_eq!(seen, each);
    let trials = study.trials().unwrap();
    assert_eq!(trials.iter().map(|t| t.id).collect::<Vec<_>>(), (1..=12).collect::<Vec<i64>>());
    for t in &trials {
        let of: Vec<f64> =
            study.measurements_of(&t.arch).unwrap().iter().map(|m| m.value).collect();
        assert_eq!(of, [1.0, 2.0]);
    }
}
