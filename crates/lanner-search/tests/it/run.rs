//! Runs: a program's own evaluator and meter, workers that do not wait, errors that lose nothing, and
//! studies of earlier versions.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lanner_evaluate::EvaluateError;
use lanner_evaluate::evaluator::{Answer, Request};
use lanner_search::run::{Control, Event, Own, Phase, Run, Stop};
use lanner_search::study::{State, Study};
use lanner_search::{Evaluate, Job, SearchError, Setup, StrategyName, TableColumn};
use lanner_space::Architecture;

use crate::run_limits::Toy;

pub fn convolutions(arch: &Architecture) -> f64 {
    arch.codes().iter().filter(|&&code| code == 3).count() as f64
}

pub fn job(parallel: usize, budget: usize) -> Job {
    let setup = Setup { parallel, ..Setup::new(Evaluate::Function) };
    let job = Job::new("nasbench201").maximise("score").budget(budget).seed(4);
    Job { setup: Some(setup), strategy: StrategyName::Random, ..job }
}

pub fn score(request: &Request) -> Result<Answer, EvaluateError> {
    Ok(Answer::metric("score", convolutions(request.arch)))
}

pub fn finish(run: &mut Run) -> lanner_search::run::Found {
    run.finish(&mut Control::default()).unwrap()
}

#[test]
fn given_networks_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let space = lanner_space::Space::NasBench201;
    let first: Vec<Architecture> = [9000, 3, 14000].map(|i| space.at(i).unwrap()).into();
    let own = |first: &[Architecture]| Own { first: first.to_vec(), ..Own::evaluator(score) };
    let path = folder.path().join("study");
    let mut run = Run::create(&path, &job(1, 5), own(&first), &mut Control::default()).unwrap();
    finish(&mut run);
    let trials = run.study().trials().unwrap();
    let archs: Vec<&Architecture> = trials.iter().map(|t| &t.arch).collect();
    assert_eq!(archs[..3], first.iter().collect::<Vec<_>>());
    assert_eq!(run.study().counts().unwrap().done, 5);
    // A job that cannot be evaluated is refused before anything is written.
    for (job, why) in [(job(1, 2), "raise it"), (job(1, 5).at_most("params", 1.0), "over a limit")]
    {
        let path = folder.path().join("refused");
        let error = Run::create(&path, &job, own(&first), &mut Control::default()).err().unwrap();
        assert!(error.to_string().contains(why), "{error}");
        assert!(!path.exists());
    }
}

/// Seven trials end while the first one still runs.
#[test]
fn a_free_worker_claims_the_next_trial_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (begun, ended) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let others = ended.clone();
    let first_is_slow = move |request: &Request| {
        assert!(request.worker < 2);
        let start = Instant::now();
        if begun.fetch_add(1, Ordering::SeqCst) == 0 {
            while others.load(Ordering::SeqCst) < 7 {
                if start.elapsed() > Duration::from_secs(60) {
                    return Ok(Answer::Failed("the other worker waits for this one".into()));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        others.fetch_add(1, Ordering::SeqCst);
        score(request)
    };
    let path = folder.path().join("study");
    let own = Own::evaluator(first_is_slow);
    let mut run = Run::create(&path, &job(2, 8), own, &mut Control::default()).unwrap();
    finish(&mut run);
    assert_eq!(run.study().counts().unwrap().done, 8);
    assert_eq!(ended.load(Ordering::SeqCst), 8);
}

/// The trials of one worker are those of asking, evaluating all and asking again.
#[test]
fn one_worker_has_the_trials_of_a_plain_loop() {
    for strategy in [StrategyName::Default, StrategyName::RegularizedEvolution] {
        let folder = tempfile::tempdir().unwrap();
        let job = Job { strategy, ..job(1, 24) };
        let path = folder.path().join("run");
        let mut run =
            Run::create(&path, &job, Own::evaluator(score), &mut Control::default()).unwrap();
        finish(&mut run);
        let mut plain = Study::create(folder.path().join("plain"), &job).unwrap();
        loop {
            while let Some(trial) = plain.claim().unwrap() {
                let metrics = [("score".to_string(), convolutions(&trial.arch))].into();
                let outcome = lanner_search::study::Outcome::Done { metrics };
                plain.tell(trial.id, outcome).unwrap();
            }
            if plain.ask(24).unwrap().is_empty() {
                break;
            }
        }
        let archs = |study: &Study| -> Vec<(i64, u32, Architecture)> {
            let trials = study.trials().unwrap().into_iter();
            trials.map(|t| (t.id, t.round, t.arch)).collect()
        };
        assert_eq!(archs(run.study()), archs(&plain), "{strategy}");
    }
}

#[test]
fn an_error_ends_the_run_and_loses_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let calls = Arc::new(AtomicUsize::new(0));
    let faulty = move |request: &Request| match calls.fetch_add(1, Ordering::Relaxed) {
        // The others end later.
        2 => Err(EvaluateError::Device("unplugged".into())),
        3 => panic!("a bug"),
        _ => {
            std::thread::sleep(Duration::from_millis(100));
            score(request)
        }
    };
    let own = Own::evaluator(faulty);
    let mut run = Run::create(&path, &job(3, 12), own, &mut Control::default()).unwrap();
    let error = run.finish(&mut Control::default()).err().unwrap();
    assert!(error.to_string().contains("unplugged"), "{error}");
    let counts = run.study().counts().unwrap();
    assert_eq!((counts.done, counts.running), (2, 1), "what ended is kept: {counts:?}");
    drop(run);
    let mut run = Run::resume(&path, Own::evaluator(score)).unwrap();
    finish(&mut run);
    assert_eq!(run.study().counts().unwrap().done, 12);
}

#[test]
fn stops_and_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let (asked, mut seen) = (AtomicUsize::new(0), Vec::new());
    let mut run =
        Run::create(&path, &job(1, 9), Own::evaluator(score), &mut Control::default()).unwrap();
    let stop = || match asked.fetch_add(1, Ordering::Relaxed) {
        0..5 => Stop::No,
        _ => Stop::Finish,
    };
    let mut control = Control {
        events: Box::new(|event| seen.push(event)),
        stop: Box::new(stop),
        deadline: None,
    };
    let stopped = run.finish(&mut control);
    drop(control);
    let Err(SearchError::Stopped { when }) = stopped else { panic!("not stopped") };
    let done = run.study().counts().unwrap().done;
    assert!((1..9).contains(&done) && when == format!("after {done} of 9 evaluations"), "{when}");
    let last = Event::Progress { phase: Phase::Searching, done, total: 9 };
    assert!(seen.ends_with(&[last, Event::Ended(Phase::Searching)]), "{seen:?}");
    // The time is up at once: that is no error, and nothing is begun.
    let deadline = Some(Instant::now());
    let found = run.finish(&mut Control { deadline, ..Control::default() }).unwrap();
    assert!(found.is_early);
    assert_eq!(run.study().counts().unwrap().done, done);
    assert!(!finish(&mut run).is_early);
}

/// Writes a study as version 2 of the schema had it.
fn version_2(path: &Path) {
    let settings = r#"{"space":"nasbench201","objectives":[{"metric":"score","maximise":true}],
        "limits":[{"metric":"latency_ms","at_most":3.5}],"strategy":"default","seed":3,"budget":2,
        "driver":{"command":"lanner search","evaluate":"command:python train.py {arch}","dataset":"digits",
        "epochs":1,"timeout":86400,"parallel":1,"latency_table":"l.csv:a_ms","tables":["l.csv:a_ms","m.csv"],
        "latency_samples":20,"median_limit":false}}"#;
    let text = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|";
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(include_str!("data/version_2.sql")).unwrap();
    connection.execute("INSERT INTO study VALUES ('settings', ?)", [settings]).unwrap();
    connection
        .execute(
            "INSERT INTO trial (round, arch, state, seed, asked_at, value)
             VALUES (1, ?, 'done', 5, 1.5, 2.0)",
            [text],
        )
        .unwrap();
    let measure =
        "INSERT INTO measurement (arch, metric, value, se, trial, seed, budget, unix_time)
                   VALUES (?, ?, ?, NULL, NULL, 0, ?, 2.5)";
    for (arch, metric, value, budget) in [
        ("reference", "reference_ms", 0.25, "a second"),
        (text, "latency_ms", 2.0, "default, at most 0.4 s"),
        (text, "score", 7.0, "the most FLOPs, beside the budget"),
    ] {
        connection.execute(measure, (arch, metric, value, budget)).unwrap();
    }
}

#[test]
fn a_study_of_the_version_before_can_be_looked_at_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.db");
    version_2(&path);
    let version = |path: &Path| -> i64 {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap()
    };
    let looked_at = Study::open_read_only(&path).unwrap();
    let check = |study: &Study| {
        let trial = study.trial(1).unwrap();
        assert_eq!((trial.state, convolutions(&trial.arch)), (State::Done, 1.0));
        assert_eq!(study.baseline_ms().unwrap(), Some(0.25));
        let kinds: Vec<(String, bool)> =
            study.measurements().unwrap().into_iter().map(|m| (m.metric, m.comparison)).collect();
        assert_eq!(kinds, [("latency_ms".to_string(), false), ("score".to_string(), true)]);
        let setup = study.job().setup.as_ref().unwrap();
        assert_eq!(setup.evaluate, Evaluate::Command("python train.py {arch}".into()));
        let column = |file: &str, column: Option<&str>| TableColumn {
            file: file.into(),
            column: column.map(String::from),
        };
        assert_eq!(setup.tables, [column("l.csv", Some("a_ms")), column("m.csv", None)]);
        assert_eq!(setup.latency_column().unwrap().1, "a_ms");
    };
    check(&looked_at);
    drop(looked_at);
    assert_eq!(version(&path), 2, "looking changes nothing");
    check(&Study::open(&path).unwrap());
    assert_eq!(version(&path), 6);
    check(&Study::open_read_only(&path).unwrap());
    // A text that is no architecture is told, not guessed.
    version_2(&folder.path().join("other.db"));
    let path = folder.path().join("other.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE trial SET arch = '|nor_conv_9x9~0|'", []).unwrap();
    let error = Study::open(&path).unwrap().trials().unwrap_err();
    assert!(matches!(error, SearchError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("nor_conv_9x9"), "{error}");
}

/// Fails while `broken` is true.
fn breakable(broken: Arc<std::sync::atomic::AtomicBool>) -> Own {
    Own::evaluator(move |request: &Request| match broken.load(Ordering::Relaxed) {
        true => Ok(Answer::Failed(format!("no module, worker {}", request.worker))),
        false => score(request),
    })
}

#[test]
fn a_run_that_fails_from_the_start_stops_and_keeps_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let own = || breakable(broken.clone());
    let mut run = Run::create(&path, &job(1, 8), own(), &mut Control::default()).unwrap();
    let error = run.finish(&mut Control::default()).err().unwrap().to_string();
    assert!(
        error.contains("the first 3 evaluations failed") && error.contains("no module, worker 0"),
        "{error}"
    );
    assert_eq!(run.study().counts().unwrap().failed, 3);
    drop(run);
    // Networks that fail again and again do not block the others forever.
    for failed in [3, 3, 6] {
        let mut run = Run::resume(&path, own()).unwrap();
        assert!(matches!(run.finish(&mut Control::default()), Err(SearchError::Failing { .. })));
        assert_eq!(run.study().counts().unwrap().failed, failed);
    }
    broken.store(false, Ordering::Relaxed);
    let mut run = Run::resume(&path, own()).unwrap();
    run.retry_failed().unwrap();
    finish(&mut run);
    let counts = run.study().counts().unwrap();
    assert_eq!((counts.done, counts.failed), (8, 0));
    // Once one has succeeded, failures are part of the search.
    broken.store(true, Ordering::Relaxed);
    run.set_budget(14).unwrap();
    finish(&mut run);
    assert_eq!(run.study().counts().unwrap().failed, 6);
}

#[test]
fn the_best_network_is_the_one_of_the_best_trial_or_absent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let calls = AtomicUsize::new(0);
    // Later trials are better; the third one leaves a folder, the fourth one nothing.
    let leaves = move |request: &Request| {
        assert!(request.out.is_absolute() && !request.out.exists());
        let call = calls.fetch_add(1, Ordering::Relaxed);
        match call {
            0 | 1 => std::fs::write(request.out, format!("network {call}")).unwrap(),
            2 => std::fs::create_dir(request.out).unwrap(),
            _ => {}
        }
        Ok(Answer::metric("score", call as f64))
    };
    let networks = path.join("networks");
    std::fs::create_dir_all(&networks).unwrap();
    for trial in 1..9 {
        std::fs::write(networks.join(format!("{trial}.onnx")), "of an earlier study").unwrap();
    }
    let own = Own::evaluator(leaves);
    let mut run = Run::create(&path, &job(1, 2), own, &mut Control::default()).unwrap();
    for (budget, content) in [(2, Some("network 1")), (3, None), (4, None)] {
        run.set_budget(budget).unwrap();
        let found = finish(&mut run);
        let about = run.hand_over(&found).unwrap().unwrap();
        assert_eq!(about["metrics"]["score"], budget as f64 - 1.0);
        assert_eq!(about["trained_weights"], content.is_some());
        let best = std::fs::read_to_string(path.join("best.onnx")).ok();
        assert_eq!(best.as_deref(), content);
    }
}

#[test]
fn metrics_that_cannot_be_stored_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let database = path.join("study.db");
    let full = move |request: &Request| {
        // From now on the database cannot be written.
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection
            .execute_batch(
                "CREATE TRIGGER full BEFORE INSERT ON metric BEGIN SELECT RAISE(FAIL, 'full'); END",
            )
            .ok();
        score(request)
    };
    let mut run =
        Run::create(&path, &job(1, 2), Own::evaluator(full), &mut Control::default()).unwrap();
    let error = run.finish(&mut Control::default()).err().unwrap().to_string();
    let arch = run.study().space().print(&run.study().trial(1).unwrap().arch);
    assert!(error.contains(&format!("trial 1, {arch}: {{\"score\":")), "{error}");
}

#[test]
fn a_loop_of_the_callers_own_has_the_trials_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, theirs) = (folder.path().join("mine"), folder.path().join("theirs"));
    let control = || Control::default();
    let own = || Own { meter: Some(Box::new(Toy(Arc::default()))), ..Own::evaluator(score) };
    let job = Job { strategy: StrategyName::Default, ..job(1, 14) };
    let job = job.at_most("latency_ms", 4.5);
    let mut run = Run::create(&theirs, &job, own(), &mut control()).unwrap();
    finish(&mut run);
    let expected = run.study().trials().unwrap();
    let mut run = Run::create(&mine, &job, own(), &mut control()).unwrap();
    run.first_measurements(&mut control()).unwrap();
    let mut number = 0;
    while let Some(trial) = run.claim(&|| false).unwrap() {
        number += 1;
        if number % 3 == 0 {
            // A worker died: the same trial, with the same seed, is the next one.
            run.give_back(&trial).unwrap();
            let again = run.claim(&|| false).unwrap().unwrap();
            assert_eq!((again.id, &again.arch, again.seed), (trial.id, &trial.arch, trial.seed));
        }
        let answer = Answer::metric("score", convolutions(&trial.arch));
        assert_eq!(run.tell(&trial, answer).unwrap(), State::Done);
        let again = run.tell(&trial, Answer::Failed("late".into()));
        assert!(matches!(again, Err(SearchError::Told { .. })));
    }
    let key = |t: &lanner_search::study::Trial| {
        (t.id, t.arch.clone(), t.state, t.seed, t.metrics.clone(), t.round)
    };
    let trials = run.study().trials().unwrap();
    assert_eq!(
        trials.iter().map(key).collect::<Vec<_>>(),
        expected.iter().map(key).collect::<Vec<_>>()
    );
    assert_eq!(run.study().counts().unwrap().done, 14);
    let (best, latency) = run.found(&mut control()).unwrap().best.unwrap();
    assert!(latency.unwrap().ms <= 4.5 && best.state == State::Done);
}

#[test]
fn names_that_no_table_could_have_are_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study");
    let odd = |_: &Request| {
        let names = ["score", "\u{1b}[31mred", " blank", "", &"long".repeat(300)];
        Ok(Answer::Metrics(names.map(|name| (name.to_string(), 1.0)).into()))
    };
    let mut run =
        Run::create(&path, &job(1, 1), Own::evaluator(odd), &mut Control::default()).unwrap();
    finish(&mut run);
    let trial = run.study().trial(1).unwrap();
    assert_eq!(trial.metrics.into_keys().collect::<Vec<_>>(), ["score"]);
}
