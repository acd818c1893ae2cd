//! Searches with saved predictors of latencies and accuracies.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{accuracy, latency, text};
use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::{Answer, Request};
use lanner_evaluate::meter::{Effort, Latency, Meter};
use lanner_predict::predictor::fitted::{FitSettings, Fitted, MethodFeatures};
use lanner_predict::predictor::{Predictor, Target};
use lanner_predict::{Pool, reference};
use lanner_search::run::{Control, Own, Run};
use lanner_search::study::{State, Study};
use lanner_search::{Evaluate, Job, SearchError, Setup, StrategyName};
use lanner_space::{Architecture, Space};

const LIMIT: f64 = 2.5;

/// A device that counts the networks over the limit that it measured.
struct Device(Arc<AtomicUsize>);

impl Meter for Device {
    fn measure(
        &mut self,
        arch: &Architecture,
        _: Effort,
    ) -> Result<Option<Latency>, EvaluateError> {
        let ms = latency(&text(arch));
        if ms > LIMIT {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Some(Latency { ms, se: 0.001 }))
    }
}

fn evaluate(request: &Request) -> Result<Answer, EvaluateError> {
    Ok(Answer::metric("accuracy", accuracy(&text(request.arch))))
}

fn job() -> Job {
    let setup = Setup { latency_samples: 10, ..Setup::new(Evaluate::Function) };
    let job = Job::new("nasbench201").maximise("accuracy").at_most("latency_ms", LIMIT);
    Job { setup: Some(setup), ..job.budget(12).seed(3) }
}

/// A predictor fitted to every 20th network's value.
fn save(path: &Path, target: Target, value: impl Fn(&str) -> f64) {
    let space = Space::NasBench201;
    let archs: Vec<Architecture> = space.iter().step_by(20).collect();
    let pool: Pool = reference(&space, &archs);
    let rows: Vec<usize> = archs.iter().map(|a| pool.row_of(a).unwrap()).collect();
    let values: Vec<f64> = archs.iter().map(|a| value(&text(a))).collect();
    let method = "ridge-pairs";
    let features = MethodFeatures::new(method, target, &pool).unwrap();
    let settings = FitSettings { method: method.into(), target, metric: "mine_ms".into() };
    Fitted::fit(&pool, &features, settings, (&rows, &values), 0).unwrap().save(path).unwrap();
}

/// Networks over the limit that a search measured, its best accuracy, and its trials.
fn search(path: &Path, job: &Job) -> (usize, f64, Vec<(Architecture, State)>) {
    let over = Arc::new(AtomicUsize::new(0));
    let own = Own { meter: Some(Box::new(Device(over.clone()))), ..Own::evaluator(evaluate) };
    let mut run = Run::create(path, job, own, &mut Control::default()).unwrap();
    let found = run.finish(&mut Control::default()).unwrap();
    let (best, latency) = found.best.unwrap();
    assert!(latency.unwrap().ms <= LIMIT);
    let trials = run.study().trials().unwrap().into_iter().map(|t| (t.arch, t.state)).collect();
    (over.load(Ordering::Relaxed), best.metrics["accuracy"], trials)
}

#[test]
fn a_latency_predictor_spares_measurements_over_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.lanner");
    save(&file, Target::Latency, latency);
    let plain = search(&folder.path().join("plain"), &job());
    let with = Job { latency_predictor: Some(file.clone()), ..job() };
    let helped = search(&folder.path().join("helped"), &with);
    assert!(plain.0 >= 4 && helped.0 * 3 <= plain.0, "{} {}", plain.0, helped.0);
    assert!(helped.1 >= plain.1 - 1.0, "{} {}", plain.1, helped.1);

    // One of a device that is twice as fast is corrected by what is measured.
    save(&file, Target::Latency, |text| 0.5 * latency(text));
    let corrected = search(&folder.path().join("corrected"), &with);
    // Some trials are below the limit, though not surely.
    let over = corrected.2.iter().filter(|t| latency(&text(&t.0)) > LIMIT).count();
    assert!(over <= 4 && corrected.1 >= plain.1 - 1.0, "{over} {}", corrected.1);

    // The study needs the file when it goes on, and says so; to look at it needs nothing.
    let study = folder.path().join("helped");
    std::fs::remove_file(&file).unwrap();
    let mut again = Study::open(&study).unwrap();
    assert_eq!(again.job().latency_predictor, Some(file));
    again.set_budget(20).unwrap();
    let message = again.ask(1).unwrap_err().to_string();
    assert!(message.contains("latency-predictor") && message.contains("mine.lanner"), "{message}");
}

#[test]
fn an_accuracy_prior_leads_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accuracy.lanner");
    // Of another scale.
    save(&file, Target::Accuracy, |text| 0.01 * accuracy(text) - 3.0);
    let start = |job: &Job, name: &str| -> f64 {
        let mut study = Study::create(folder.path().join(name), job).unwrap();
        let trials = study.ask(10).unwrap();
        trials.iter().map(|t| accuracy(&text(&t.arch))).fold(0.0, f64::max)
    };
    let job = Job::new("nasbench201").maximise("accuracy").budget(12).seed(3);
    let best = Space::NasBench201.iter().map(|a| accuracy(&text(&a))).fold(0.0, f64::max);
    let with = Job { accuracy_prior: vec![file], ..job.clone() };
    let (led, plain) = (start(&with, "led"), start(&job, "plain"));
    assert!(led >= best - 1.0 && led >= plain, "{led} {plain}, of {best}");
}

#[test]
fn predictors_that_do_not_fit_are_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let (slow, good) = (folder.path().join("latency"), folder.path().join("accuracy"));
    save(&slow, Target::Latency, latency);
    save(&good, Target::Accuracy, accuracy);
    let refused = |job: Job| -> String {
        let path = folder.path().join("study");
        let calls = Arc::new(AtomicUsize::new(0));
        let own = Own { meter: Some(Box::new(Device(calls))), ..Own::evaluator(evaluate) };
        let error = Run::create(&path, &job, own, &mut Control::default()).err().unwrap();
        assert!(matches!(error, SearchError::Setting { .. }), "{error}");
        assert!(!path.exists());
        error.to_string()
    };
    let latency = |file: &Path| Some(file.to_path_buf());
    let message = refused(Job { latency_predictor: latency(&good), ..job() });
    assert!(message.contains("latency-predictor") && message.contains("accuracies"), "{message}");
    let message = refused(Job { accuracy_prior: vec![slow.clone()], ..job() });
    assert!(message.contains("accuracy-prior") && message.contains("latencies"), "{message}");
    let message =
        refused(Job { space: "darts".into(), latency_predictor: latency(&slow), ..job() });
    assert!(message.contains("'nasbench201', not 'darts'"), "{message}");
    let no_limit = Job { limits: Vec::new(), latency_predictor: latency(&slow), ..job() };
    assert!(refused(no_limit).contains("no limit of latency_ms"));
    let random = Job { strategy: StrategyName::Random, accuracy_prior: vec![good], ..job() };
    assert!(refused(random).contains("only --strategy default"));
    let missing = latency(&folder.path().join("nothing"));
    assert!(refused(Job { latency_predictor: missing, ..job() }).contains("nothing"));
}
