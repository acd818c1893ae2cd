//! Made-up studies of every kind that a report must show.

use lanner_report::Report;
use lanner_search::study::{Measurement, State, Trial};
use lanner_search::{Evaluate, Job, Limit, Objective, Setup};
use lanner_space::Space;

/// The output of a hostile program.
pub const HOSTILE: &str = "Traceback\n</script><script>document.title='broken'</script><!--\n\
                           \"><img src=x onerror=\"document.title='broken'\"> & \u{1b}[31m]]>\nKilled";

/// Numbers in [0, 1) without a pattern.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 11) as f64 / (1u64 << 53) as f64
    }
}

pub fn settings(objectives: &[(&str, bool)], limit: Option<f64>, budget: usize) -> Job {
    let objective = |o: &(&str, bool)| Objective { metric: o.0.into(), maximise: o.1 };
    let command = "lanner search --limit 'latency_ms<=4' --budget 40 --seed 7".into();
    Job {
        objectives: objectives.iter().map(objective).collect(),
        limits: limit.map(|most| Limit::at_most("latency_ms", most)).into_iter().collect(),
        setup: Some(Setup { command, ..Setup::new(Evaluate::Train) }),
        ..Job::new("nasbench201").seed(7).budget(budget)
    }
}

/// A study without a file.
pub struct MadeUp {
    pub settings: Job,
    pub trials: Vec<Trial>,
    pub measurements: Vec<Measurement>,
    pub space: Space,
}

impl MadeUp {
    pub fn report(&self) -> Report {
        Report::of_trials(
            self.settings.clone(),
            self.space.clone(),
            &self.trials,
            &self.measurements,
        )
    }

    pub fn html(&self) -> String {
        self.report().html()
    }
}

/// A study of `n` trials in rounds of ten: accuracy and latency grow with the operations of a cell; of
/// ten one fails, and with a limit what is over it is often not evaluated.
pub fn study(settings: Job, n: usize) -> MadeUp {
    let space = Space::NasBench201;
    let mut random = noise(settings.seed);
    let limit = settings.limits.first().map(|l| l.value());
    let (mut trials, mut measurements) = (Vec::new(), Vec::new());
    for k in 0..n {
        let good = 1.0 - 1.0 / (1.0 + k as f64 / 25.0);
        let mut index = (random() * 15625.0) as u128;
        if random() < good {
            index = 15624 - index / 8;
        }
        let arch = space.at(index % 15625).unwrap();
        let work: f64 =
            (arch.codes().iter()).map(|c| [0.0, 0.1, 0.6, 1.3, 0.3][usize::from(*c)]).sum();
        let accuracy = 97.5 - 18.0 / (1.0 + work) + 1.6 * (random() - 0.5);
        let latency = 0.8 + 0.75 * work + 0.2 * random();
        let spread = 1.2 - 0.7 * good;
        let guess = |random: &mut dyn FnMut() -> f64, v: f64, sd: f64| {
            let z = random() + random() + random() + random() - 2.0;
            (v + 1.7 * z * sd, sd)
        };
        let round = 1 + (k / 10) as u32;
        let asked_at = 1_790_000_000.0 + 60.0 * f64::from(round);
        let mut trial = Trial {
            id: 1 + k as i64,
            round,
            arch: arch.clone(),
            state: State::Done,
            seed: 1000 + k as u64,
            origin: None,
            owner: Some("host/boot/pid/1/1/1".into()),
            asked_at,
            started_at: Some(asked_at + (k % 10) as f64),
            finished_at: Some(asked_at + (k % 10) as f64 + 4.5),
            metrics: [("accuracy".into(), accuracy), ("latency_ms".into(), latency)].into(),
            predicted: Default::default(),
            note: None,
        };
        trial.metrics.insert("params".into(), (7e4 + 3e5 * work).round());
        if round > 1 {
            let p = guess(&mut random, accuracy, spread);
            trial.predicted.insert("accuracy".into(), p);
        }
        trial.predicted.insert("latency_ms".into(), guess(&mut random, latency, 0.25 * spread));
        if limit.is_some_and(|l| latency > l) && random() < 0.8 {
            trial.state = State::Infeasible;
            trial.metrics.remove("accuracy");
        } else if k % 10 == 7 {
            trial.state = State::Failed;
            trial.metrics.clear();
            trial.note = Some(match k % 3 {
                0 => HOSTILE.into(),
                _ => format!("epoch {k}\nRuntimeError: loss is nan"),
            });
        } else if k % 10 == 3 {
            measurements.push(Measurement {
                se: Some(0.02),
                trial: Some(trial.id),
                budget: "20 blocks".into(),
                unix_time: asked_at + 5.0,
                ..Measurement::new(&trial.arch, "latency_ms", latency * 1.01)
            });
        }
        trials.push(trial);
    }
    MadeUp { settings, trials, measurements, space }
}

/// The same trials with networks of another space: a long chain, or two large cells.
fn elsewhere(name: &str) -> MadeUp {
    let mut study = study(settings(&[("accuracy", true)], Some(4.0), 30), 30);
    study.space = Space::by_name(name).unwrap();
    study.settings.space = name.into();
    study.measurements.clear();
    for (k, t) in study.trials.iter_mut().enumerate() {
        let place = (k as u128 + 1) * 7_919 * 104_729 * 1_299_709;
        t.arch = study.space.at(place % study.space.size()).unwrap();
    }
    study
}

/// A study of three or four objectives.
fn several(objectives: usize) -> MadeUp {
    let all = [("accuracy", true), ("latency_ms", false), ("params", false), ("energy_mJ", false)];
    let mut study = study(settings(&all[..objectives], None, 40), 40);
    for t in &mut study.trials {
        if let Some(latency) = t.metrics.get("latency_ms").copied() {
            t.metrics.insert("energy_mJ".into(), 30.0 - latency + 0.1 * (t.id % 7) as f64);
        }
    }
    study
}

/// A name and a study of each kind.
pub fn all() -> Vec<(&'static str, MadeUp)> {
    let one = [("accuracy", true)];
    let limited = study(settings(&one, Some(4.0), 120), 160);
    let mut failed = study(settings(&one, None, 12), 12);
    for t in &mut failed.trials {
        (t.state, t.note) = (State::Failed, Some(HOSTILE.into()));
        t.metrics.clear();
    }
    let mut plain = study(settings(&[("error", false)], None, 30), 30);
    for t in &mut plain.trials {
        let error = t.metrics.get("accuracy").map(|a| 100.0 - a);
        t.metrics.clear();
        t.predicted.clear();
        t.metrics.extend(error.map(|e| ("error".to_string(), e)));
    }
    plain.measurements.clear();
    let mut hostile = study(settings(&one, Some(4.0), 20), 20);
    for t in &mut hostile.trials {
        t.metrics.insert(HOSTILE.into(), 1.0);
        t.predicted.insert(HOSTILE.into(), (1.0, 0.5));
    }
    hostile.settings.space = HOSTILE.into();
    hostile.settings.setup =
        Some(Setup { command: HOSTILE.into(), ..Setup::new(Evaluate::Command(HOSTILE.into())) });
    let mut single = study(settings(&one, None, 1), 1);
    single.trials[0].state = State::Done;
    vec![
        ("limited", limited),
        ("two", study(settings(&[("accuracy", true), ("latency_ms", false)], None, 150), 150)),
        ("plain", plain),
        ("chain", elsewhere("mobilenetv3")),
        ("cells", elsewhere("darts")),
        ("three", several(3)),
        ("four", several(4)),
        ("failed", failed),
        ("hostile", hostile),
        ("single", single),
        ("empty", study(settings(&one, Some(4.0), 40), 0)),
        ("large", study(settings(&one, Some(4.0), 20_000), 20_000)),
    ]
}
