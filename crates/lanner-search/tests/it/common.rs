//! A study to make, and a space with made-up accuracies and latencies.

use lanner_search::study::{Outcome, Study, Trial};
use lanner_search::{Job, StrategyName};
use lanner_space::{Architecture, Space};

pub fn job(strategy: StrategyName, budget: usize) -> Job {
    let job = Job::new("nasbench201").maximise("accuracy").seed(5).budget(budget);
    Job { strategy, ..job }
}

/// Every 40th architecture, as a list like that of a table.
pub fn some_archs() -> Vec<Architecture> {
    (0..390).map(|i| Space::NasBench201.at(i * 40).unwrap()).collect()
}

/// Prints a NAS-Bench-201 architecture.
pub fn text(arch: &Architecture) -> String {
    Space::NasBench201.print(arch)
}

/// Made-up accuracy: convolutions help, as long as there are not too many.
pub fn accuracy(text: &str) -> f64 {
    let count = |what| text.matches(what).count() as f64;
    let gain = count("conv_3x3") + 0.6 * count("conv_1x1") + 0.3 * count("skip");
    50.0 + 10.0 * gain - gain * gain
}

/// Made-up latency: a 3×3 convolution costs a millisecond, other operations less.
pub fn latency(text: &str) -> f64 {
    let count = |what| text.matches(what).count() as f64;
    1.0 + count("conv_3x3") + 0.4 * count("conv_1x1") + 0.2 * count("pool")
}

pub fn done(text: &str) -> Outcome {
    Outcome::Done { metrics: [("accuracy".to_string(), accuracy(text))].into() }
}

/// Evaluates and asks until nothing is left.
pub fn go_on(study: &mut Study) {
    loop {
        while let Some(trial) = study.claim().unwrap() {
            let text = study.space().print(&trial.arch);
            study.tell(trial.id, done(&text)).unwrap();
        }
        if study.ask(8).unwrap().is_empty() {
            return;
        }
    }
}

/// The facts that must be the same however a study came about.
pub fn essence(trials: &[Trial]) -> Vec<String> {
    (trials.iter())
        .map(|t| {
            let bits: Vec<String> =
                t.predicted.iter().map(|p| format!("{} {:?}", p.0, p.1)).collect();
            format!(
                "{} {} {} {:?} {} {:?} {}",
                t.id,
                t.round,
                text(&t.arch),
                t.state,
                t.seed,
                t.metrics,
                bits.join(" ")
            )
        })
        .collect()
}
