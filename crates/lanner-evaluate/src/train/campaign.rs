//! Trains many networks into one file, each on disk as soon as it is trained.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
    path::Path,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use lanner_network::{Skeleton, View};
use lanner_space::{Architecture, Space};

use super::{DataPart, Epoch, STATISTICS, TrainData, TrainOptions, TrainRecipe, Trained, train};
use crate::{
    EvaluateError, Header,
    journal::{FileKind, Journal, Opened},
};

const KIND: FileKind =
    FileKind { title: "lanner training table", version: "1", command: "train", doing: "training" };

/// Interval at which the caller hears of the progress, and may stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Settings of the training of many networks.
#[derive(Debug, Clone)]
pub struct TrainCampaign {
    pub space: Space,
    pub skeleton: Skeleton,
    pub data: TrainData,
    /// Origin of the data, for the file's header.
    pub dataset: String,
    pub recipe: TrainRecipe,
    /// Number of trainings of each network with different seeds, over which values are averaged.
    pub seeds: usize,
    /// TrainOptions of all trainings together, which share threads and memory.
    pub options: TrainOptions,
}

/// Summary of a run over many networks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrainSummary {
    /// Number of networks trained now.
    pub trained: usize,
    /// Number of networks that were in the file already.
    pub found: usize,
    /// Number of networks trained now whose training diverged.
    pub diverged: usize,
    /// Whether the caller stopped the run.
    pub stopped: bool,
}

/// Result of one training.
type TrainingResult = Result<Trained, EvaluateError>;

impl TrainCampaign {
    /// Header of the file: settings that all its rows must share.
    pub fn header(&self) -> Header {
        let (data, recipe) = (&self.data, &self.recipe);
        let counts =
            [DataPart::Training, DataPart::Validation, DataPart::Test].map(|p| data.len(p));
        let [training, validation, test] = counts;
        let list =
            |values: &[f64]| values.iter().map(|v| format!("{v:.5}")).collect::<Vec<_>>().join(" ");
        let statistics = data.statistics();
        let augmentation = recipe.augmentation.unwrap_or(data.usual_augmentation());
        Header::now([
            ("space", self.space.identity()),
            ("skeleton", self.skeleton.describe()),
            ("dataset", self.dataset.clone()),
            (
                "images",
                format!("{training} to train with, {validation} to choose by, {test} to test"),
            ),
            ("mean", list(&statistics.mean)),
            ("deviation", list(&statistics.std)),
            ("epochs", recipe.epochs.to_string()),
            ("batch", recipe.batch.to_string()),
            (
                "rate",
                format!(
                    "{}, {} epochs of warm-up, cosine, Nesterov's momentum {}",
                    recipe.learning_rate, recipe.warm_up, recipe.momentum
                ),
            ),
            (
                "regularisation",
                format!(
                    "weight decay {}, label smoothing {}, {}, padding {}",
                    recipe.weight_decay,
                    recipe.label_smoothing,
                    if augmentation.flip { "flips" } else { "no flips" },
                    augmentation.padding
                ),
            ),
            ("batch norms", format!("statistics of {STATISTICS} images after each epoch")),
            ("trainings", format!("seed {}, {} of each", self.options.seed, self.seeds)),
        ])
    }

    /// Runs training number `k` of one network, without the layers that lead nowhere.
    ///
    /// # Errors
    /// As for [`train`](fn@train).
    pub fn one(
        &self,
        arch: &Architecture,
        k: usize,
        options: &TrainOptions,
        report: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<Trained, EvaluateError> {
        let network = self.skeleton.build(arch, View::Pruned)?;
        let seed = match k {
            0 => options.seed,
            k => lanner_nn::subseed(options.seed, &format!("training: seed {k}")),
        };
        let options = TrainOptions { seed, ..options.clone() };
        train(&network, &self.data, &self.recipe, &options, report)
    }

    /// Trains what is not in the file yet: as many networks at a time as there are threads, one thread
    /// each, since threads of one small network mostly wait for each other; fewer networks get more
    /// threads each. `tell` hears now and then how many epochs are done and how many there are, and
    /// may stop it: trainings under way are finished first.
    ///
    /// # Errors
    /// When the file was made with other settings or is none, or a network cannot be trained at all.
    pub fn run(
        &self,
        archs: &[Architecture],
        out: &Path,
        on_progress: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<TrainSummary, EvaluateError> {
        let (seeds, threads) = (self.seeds.max(1), self.options.threads.max(1));
        let shared = |trainings: usize| {
            let workers = threads.min(trainings).max(1);
            let options = TrainOptions {
                threads: threads / workers,
                memory_limit: self.options.memory_limit.map(|bytes| bytes / workers as u64),
                ..self.options.clone()
            };
            (workers, options)
        };
        // Networks that cannot be trained are found before a file is made.
        let (_, options) = shared(archs.len() * seeds);
        for arch in archs {
            self.fits(arch, &options)?;
        }
        let several = seeds > 1;
        let mut columns = vec!["arch", "val_accuracy", "test_accuracy"];
        columns.extend(several.then_some(["val_accuracy_se", "test_accuracy_se"]).iter().flatten());
        columns.extend(["val_loss", "test_loss", "train_loss", "best_epoch", "seconds", "note"]);
        let Opened { mut journal, records, .. } =
            Journal::open(out, KIND, &columns, &self.header())?;
        let mut known = HashSet::new();
        for (line, record) in &records {
            let wrong = |why: String| EvaluateError::File { path: out.into(), line: *line, why };
            known.insert(self.space.parse(&record[0]).map_err(|e| wrong(e.to_string()))?);
        }
        let todo: Vec<&Architecture> =
            archs.iter().filter(|a| known.insert((*a).clone())).collect();
        let mut outcome =
            TrainSummary { found: archs.len() - todo.len(), ..TrainSummary::default() };
        let (workers, options) = shared(todo.len() * seeds);
        let write = |network: usize, trainings: Vec<TrainingResult>| {
            let row = self.row(todo[network], trainings, &mut outcome.diverged)?;
            journal.write(&[row])?;
            outcome.trained += 1;
            Ok(())
        };
        self.each(&todo, workers, &options, write, on_progress)?;
        outcome.stopped = outcome.trained < todo.len();
        Ok(outcome)
    }

    /// Runs all trainings, `workers` at a time; calls `done` with the trainings of a network when all
    /// of them have ended.
    fn each(
        &self,
        archs: &[&Architecture],
        workers: usize,
        options: &TrainOptions,
        mut done: impl FnMut(usize, Vec<TrainingResult>) -> Result<(), EvaluateError>,
        mut on_progress: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<(), EvaluateError> {
        let seeds = self.seeds.max(1);
        let trainings = archs.len() * seeds;
        let (next, epochs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // After `stop`, no further training begins; after `abort`, running ones end early, too.
        let (stop, abort) = (AtomicBool::new(false), AtomicBool::new(false));
        let work = |send: mpsc::Sender<(usize, TrainingResult)>| {
            while !stop.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= trainings {
                    break;
                }
                let ended = self.one(archs[at / seeds], at % seeds, options, |_| {
                    epochs.fetch_add(1, Ordering::Relaxed);
                    match abort.load(Ordering::Relaxed) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                });
                // The receiver outlives the workers.
                let _ = send.send((at, ended));
            }
        };
        let mut failed = None;
        std::thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            for _ in 0..workers {
                let send = send.clone();
                scope.spawn(|| work(send));
            }
            drop(send);
            let mut ended: HashMap<usize, BTreeMap<usize, TrainingResult>> = HashMap::new();
            loop {
                match receive.recv_timeout(PATIENCE) {
                    Ok((at, training)) if failed.is_none() => {
                        let network = at / seeds;
                        let all = ended.entry(network).or_default();
                        all.insert(at, training);
                        if all.len() == seeds {
                            let all = ended.remove(&network).unwrap_or_default();
                            failed = done(network, all.into_values().collect()).err();
                        }
                    }
                    Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                let so_far = epochs.load(Ordering::Relaxed);
                if on_progress(so_far, trainings * self.recipe.epochs).is_break()
                    || failed.is_some()
                {
                    stop.store(true, Ordering::Relaxed);
                    abort.store(failed.is_some(), Ordering::Relaxed);
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// Checks that a network can be trained within the limit of memory, before any training.
    fn fits(&self, arch: &Architecture, options: &TrainOptions) -> Result<(), EvaluateError> {
        let network = self.skeleton.build(arch, View::Pruned)?;
        super::fits(&network, &self.data, &self.recipe, options)
    }

    /// Fields of a row: means over seeds, or empty ones with the reason in the note.
    fn row(
        &self,
        arch: &Architecture,
        trainings: Vec<TrainingResult>,
        diverged: &mut usize,
    ) -> Result<Vec<String>, EvaluateError> {
        let mut trained = Vec::with_capacity(trainings.len());
        let mut notes = Vec::new();
        for (k, training) in trainings.into_iter().enumerate() {
            match training {
                Ok(t) => trained.push(t),
                Err(EvaluateError::Diverged { epoch, .. }) => {
                    notes.push(format!("training {}: loss not finite in epoch {epoch}", k + 1));
                }
                Err(error) => return Err(error),
            }
        }
        let whole = notes.is_empty();
        *diverged += usize::from(!whole);
        let values = |of: fn(&Trained) -> f64| trained.iter().map(of).collect::<Vec<f64>>();
        let mean = |of: fn(&Trained) -> f64, digits: usize| match whole {
            true => format!("{:.digits$}", mean_and_error(&values(of)).0),
            false => String::new(),
        };
        let error = |of: fn(&Trained) -> f64| match whole {
            true => format!("{:.4}", mean_and_error(&values(of)).1),
            false => String::new(),
        };
        let (validation, test) =
            (|t: &Trained| t.validation.accuracy, |t: &Trained| t.test.accuracy);
        let mut row = vec![self.space.print(arch), mean(validation, 4), mean(test, 4)];
        if self.seeds > 1 {
            row.extend([error(validation), error(test)]);
        }
        row.extend([
            mean(|t| t.validation.loss, 6),
            mean(|t| t.test.loss, 6),
            mean(|t| t.train_loss, 6),
            mean(|t| t.best_epoch as f64, 1),
            mean(|t| t.seconds, 2),
            notes.join("; "),
        ]);
        Ok(row)
    }
}

/// Mean of the values, and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0) / n).sqrt())
}
