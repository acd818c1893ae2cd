//! Runs with limits: on metrics of their own, of a device, and of the evaluation.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::{Answer, Request};
use lanner_evaluate::meter::{Effort, Latency, Meter};
use lanner_search::run::{Control, Own, Run};
use lanner_search::study::{State, Trial};
use lanner_search::{Limit, StrategyName};
use lanner_space::Architecture;

use crate::run::{convolutions, finish, job, score};

/// A device on which each 3×3 convolution takes a millisecond.
pub struct Toy(pub Arc<AtomicUsize>);

impl Meter for Toy {
    fn measure(
        &mut self,
        arch: &Architecture,
        _: Effort,
    ) -> Result<Option<Latency>, EvaluateError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Latency { ms: 1.0 + convolutions(arch), se: 0.01 }))
    }
}

#[test]
fn own_metrics_are_limited_before_an_evaluation_and_needed_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let energy = |arch: &Architecture| 1.0 + 2.0 * convolutions(arch);
    let own = || Own {
        measure: Some(Arc::new(move |arch: &Architecture| {
            Ok(Some([("energy_J".to_string(), energy(arch))].into()))
        })),
        ..Own::evaluator(score)
    };
    // The limit has another unit than the function.
    let job = job(1, 15).at_most("energy_mJ", 5500.0);
    let mut run = Run::create(&path, &job, own(), &mut Control::default()).unwrap();
    assert_eq!(run.needed(), ["score"]);
    finish(&mut run);
    let trials = run.study().trials().unwrap();
    let done = |t: &&Trial| t.state == State::Done;
    assert_eq!(trials.iter().filter(done).count(), 15);
    assert!(trials.iter().filter(done).all(|t| energy(&t.arch) <= 5.5));
    let measured = run.study().measurements().unwrap();
    assert!(measured.iter().any(|m| m.value > 5500.0));
    assert!(measured.iter().all(|m| m.value == 1000.0 * energy(&m.arch)));
    drop(run);
    let Err(error) = Run::resume(&path, Own::evaluator(score)) else { panic!("resumed") };
    assert!(error.to_string().contains("no function measures energy_mJ"), "{error}");
    assert!(Run::resume(&path, own()).is_ok());
}

#[test]
fn an_own_function_and_device_are_searched_within_the_limit_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let measured = Arc::new(AtomicUsize::new(0));
    let own = || Own { meter: Some(Box::new(Toy(measured.clone()))), ..Own::evaluator(score) };
    let job = job(1, 15).at_most("latency_ms", 4.5);
    let mut run = Run::create(&path, &job, own(), &mut Control::default()).unwrap();
    let found = finish(&mut run);
    let (best, latency) = found.best.as_ref().unwrap();
    assert_eq!(latency.unwrap().ms, 1.0 + convolutions(&best.arch));
    assert!(latency.unwrap().ms <= 4.5);
    // An own function may take hours: the largest network is one of those evaluated.
    let how: Vec<_> = found.comparison.rows.iter().map(|r| r.how.as_deref()).collect();
    assert_eq!(how[1], Some("evaluated by the search"));
    assert_eq!(run.study().comparison().unwrap().as_ref(), Some(&found.comparison));
    assert_eq!(run.study().counts().unwrap().done, 15);
    let about = run.hand_over(&found).unwrap().unwrap();
    assert_eq!(about["arch"], run.study().space().print(&best.arch));
    assert!(path.join("best.json").exists() && !path.join("best.onnx").exists());
    drop(run);
    // The command cannot go on with a function that it does not have.
    let error = Run::resume(&path, Own::default()).err().unwrap().to_string();
    assert!(error.contains("function of the program that began the study"), "{error}");
}

/// A device whose measurements scatter by 3 %, more than their errors say.
struct Scattering(Arc<AtomicUsize>);

impl Meter for Scattering {
    fn measure(
        &mut self,
        arch: &Architecture,
        _: Effort,
    ) -> Result<Option<Latency>, EvaluateError> {
        let call = self.0.fetch_add(1, Ordering::Relaxed);
        let scatter = 0.03 * (call as f64 * 2.4).sin();
        Ok(Some(Latency { ms: (1.0 + convolutions(arch)) * (1.0 + scatter), se: 0.001 }))
    }
}

fn answer(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path.join("best.json")).unwrap()).unwrap()
}

#[test]
fn a_finished_study_has_one_answer_and_measures_nothing() {
    for (seed, limit) in [(1, 3.9), (2, 4.1), (3, 4.13), (4, 4.2)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study");
        let measured = Arc::new(AtomicUsize::new(0));
        let own =
            || Own { meter: Some(Box::new(Scattering(measured.clone()))), ..Own::evaluator(score) };
        let job = job(1, 15).at_most("latency_ms", limit).seed(seed);
        let mut run = Run::create(&path, &job, own(), &mut Control::default()).unwrap();
        let found = finish(&mut run);
        run.hand_over(&found).unwrap();
        let (best, latency) = found.best.as_ref().unwrap();
        assert_eq!(run.study().best().unwrap().as_ref(), Some(best));
        // Most of the scatter is found by measuring one network again and again.
        let drift = run.study().drift("latency_ms").unwrap();
        assert!(drift.measurements >= 2 && drift.deviation < 0.045, "{drift:?}");
        let latency = latency.unwrap();
        assert!(drift.surely_holds(
            &Limit::at_most("latency_ms", limit),
            latency.ms,
            Some(latency.se)
        ));
        drop(run);
        let (first, calls) = (answer(&path), measured.load(Ordering::Relaxed));
        for _ in 0..5 {
            let mut run = Run::resume(&path, own()).unwrap();
            let again = finish(&mut run);
            run.hand_over(&again).unwrap();
            assert_eq!(answer(&path), first);
            assert_eq!(again.comparison, found.comparison);
            assert_eq!(measured.load(Ordering::Relaxed), calls, "something was measured");
        }
    }
}

/// With latencies that cost nothing beside an evaluation of minutes, a search finds what it would find
/// if it knew them all.
#[test]
fn cheap_measurements_are_spent_near_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let measured = Arc::new(AtomicUsize::new(0));
    let search = |name: &str, each: usize| {
        measured.store(0, Ordering::Relaxed);
        let own = Own { meter: Some(Box::new(Toy(measured.clone()))), ..Own::evaluator(score) };
        let mut job = job(1, 20).at_most("latency_ms", 4.5);
        job.strategy = StrategyName::Default;
        job.setup.as_mut().unwrap().measurements = Some(each);
        let path = folder.path().join(name);
        let mut run = Run::create(&path, &job, own, &mut Control::default()).unwrap();
        finish(&mut run);
        (run.study().trials().unwrap(), measured.load(Ordering::Relaxed))
    };
    let archs =
        |trials: Vec<Trial>| -> Vec<Architecture> { trials.into_iter().map(|t| t.arch).collect() };
    let (trials, most) = search("ten", 10);
    assert!(most <= 10 * 21, "{most}");
    let over = trials.iter().filter(|t| t.state == State::Infeasible && t.round > 3).count();
    assert_eq!(over, 0, "what is over a limit is known before it is a trial");
    // One seed gives one search, measurements included.
    let (again, as_many) = search("again", 10);
    assert_eq!((archs(again), as_many), (archs(trials), most));
    let (_, least) = search("none", 0);
    assert!(least < most, "{least} {most}");
}

#[test]
fn networks_over_a_limit_that_the_evaluation_tells_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let told = |request: &Request| {
        let score = convolutions(request.arch);
        Ok(Answer::Metrics([("score".into(), score), ("watt".into(), 2.0 + score)].into()))
    };
    for (most, budget) in [(3.0, 12), (1.0, 6)] {
        let path = path.join(budget.to_string());
        let job = job(1, budget).at_most("watt", most);
        let mut run =
            Run::create(&path, &job, Own::evaluator(told), &mut Control::default()).unwrap();
        let found = finish(&mut run);
        let trials = run.study().trials().unwrap();
        let over = trials.iter().filter(|t| t.metrics["watt"] > most).count();
        assert!(over > 0);
        assert_eq!(run.over_a_limit().unwrap(), over);
        if most == 1.0 {
            assert!(found.best.is_none());
            let why = run.why_nothing().unwrap();
            let least = trials.iter().map(|t| t.metrics["watt"]).fold(f64::INFINITY, f64::min);
            assert!(
                why.contains("6 evaluated, 0 failed, 6 over a limit; the nearest has watt"),
                "{why}"
            );
            assert!(why.contains(&format!("watt {least}: |")), "{why}");
        }
    }
}
