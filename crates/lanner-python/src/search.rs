//! A search whose loop is driven from Python: claim, evaluate anywhere, tell.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lanner::evaluate::EvaluateError;
use lanner::evaluate::evaluator::{Answer, Request};
use lanner::evaluate::meter::{Effort, Latency, Meter};
use lanner::report::Report;
use lanner::search::run::{Control, Measure, Own, Run, Stop};
use lanner::search::study::{State, Study, Trial};
use lanner::search::{Evaluate, Job, SearchError, Setup};
use lanner::space::{Architecture, Space as InnerSpace};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::error::{InputError, OrException, StudyError};
use crate::space::Space;

/// A search in progress, or its record; its methods may be called from any thread.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Search {
    held: Mutex<Held>,
    raised: Raised,
}

/// A search that goes on, or a study that was opened to look at it.
enum Held {
    Run(Box<Run>),
    Record(Box<Study>),
}

/// The exception that a function of the user raised inside the library.
type Raised = Arc<Mutex<Option<PyErr>>>;

thread_local! {
    /// Whether this thread is inside a search, whose functions must not call it.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

#[pymethods]
impl Search {
    /// Begins a study in a folder. `measured` are the names of what `metrics` gives; if there are none, a
    /// first call finds them out. `facts` tell the device that `latency` measures on, by name. `archs` are
    /// evaluated before any others, and `first` is the number of networks to measure before.
    #[staticmethod]
    #[pyo3(signature = (folder, space, objectives, limits, archs, strategy, seed, first, latency, metrics, measured, facts))]
    fn create(
        py: Python,
        folder: PathBuf,
        space: &Space,
        objectives: Vec<(String, bool)>,
        limits: Vec<String>,
        archs: Vec<String>,
        strategy: &str,
        seed: u64,
        first: usize,
        latency: Option<Py<PyAny>>,
        metrics: Option<Py<PyAny>>,
        measured: Vec<String>,
        facts: Vec<(String, String)>,
    ) -> PyResult<Search> {
        let mut job = Job::new(space.0.name()).seed(seed).budget(archs.len());
        job.space_toml = space.0.toml().map(String::from);
        for (metric, maximise) in &objectives {
            job = if *maximise { job.maximise(metric) } else { job.minimise(metric) };
        }
        for limit in &limits {
            job.limits.push(limit.parse::<lanner::search::Limit>().or_exception()?);
        }
        job.strategy = strategy.parse().map_err(|e: String| InputError::new_err(e))?;
        job.setup =
            Some(Setup { latency_samples: first, measured, ..Setup::new(Evaluate::Function) });
        let (mut own, raised) = own(&space.0, latency, metrics, facts);
        own.first = archs.iter().map(|arch| space.parse(arch)).collect::<PyResult<_>>()?;
        let run = py.detach(|| Run::create(&folder, &job, own, &mut Control::default()));
        Search::new(py, run, raised)
    }

    /// Opens the study in a folder to go on, on the device that was measured on before.
    #[staticmethod]
    fn open(
        py: Python,
        folder: PathBuf,
        latency: Option<Py<PyAny>>,
        metrics: Option<Py<PyAny>>,
        facts: Vec<(String, String)>,
    ) -> PyResult<Search> {
        let space = py.detach(|| Study::open_read_only(&folder)).or_exception()?.space().clone();
        let (own, raised) = own(&space, latency, metrics, facts);
        let run = py.detach(|| Run::resume(&folder, own));
        Search::new(py, run, raised)
    }

    /// Opens the study in a folder to look at it. Nothing is written.
    #[staticmethod]
    fn look(py: Python, folder: PathBuf) -> PyResult<Search> {
        let study = py.detach(|| Study::open_read_only(&folder)).or_exception()?;
        let held = Mutex::new(Held::Record(Box::new(study)));
        Ok(Search { held, raised: Raised::default() })
    }

    /// Tells whether there is a study in a folder.
    #[staticmethod]
    fn is_there(folder: PathBuf) -> bool {
        Study::is_there(folder)
    }

    /// Returns what the search is about, as JSON.
    fn job(&self, py: Python) -> PyResult<String> {
        self.read(py, |study| {
            let job = study.job();
            let mut value = serde_json::to_value(job).unwrap_or_default();
            value["space_identity"] = json!(study.space().identity());
            value["limits"] = job.limits.iter().map(|l| json!(l.to_string())).collect();
            Ok(value.to_string())
        })
    }

    /// Returns the space that is searched.
    fn space(&self, py: Python) -> PyResult<Space> {
        self.read(py, |study| Ok(Space(study.space().clone())))
    }

    /// Returns facts about the device that latencies were measured on, by name; none before that.
    fn device(&self, py: Python) -> PyResult<Vec<(String, String)>> {
        self.read(py, |study| study.device())
    }

    /// Returns the metrics that trainings have to give.
    fn needed(&self, py: Python) -> PyResult<Vec<String>> {
        self.call(py, |held, _| match held {
            Held::Run(run) => Ok(run.needed()),
            Held::Record(study) => {
                Ok(study.job().objectives.iter().map(|o| o.metric.clone()).collect())
            }
        })
    }

    /// Measures the first networks, if a limit or an objective needs it.
    fn first_measurements(&self, py: Python) -> PyResult<()> {
        self.with(py, |run, control| run.first_measurements(control))
    }

    fn set_budget(&self, py: Python, budget: usize) -> PyResult<()> {
        self.with(py, |run, _| run.set_budget(budget))
    }

    /// Claims the next trial that is within the limits; `None` if nothing is left.
    fn claim(&self, py: Python) -> PyResult<Option<String>> {
        self.with(py, |run, control| {
            let stop = &*control.stop;
            let trial = run.claim(&|| stop() != Stop::No)?;
            trial.map(|trial| shown(run.study(), trial)).transpose()
        })
    }

    /// Records the metrics of a claimed trial, and returns its state.
    fn tell(&self, py: Python, trial: i64, metrics: BTreeMap<String, f64>) -> PyResult<String> {
        self.answer(py, trial, Answer::Metrics(metrics))
    }

    /// Records why a claimed trial has no metrics.
    fn fail(&self, py: Python, trial: i64, why: String) -> PyResult<String> {
        self.answer(py, trial, Answer::Failed(why))
    }

    /// Gives a claimed trial back.
    fn give_back(&self, py: Python, trial: i64) -> PyResult<()> {
        self.with(py, |run, _| run.give_back(&run.study().trial(trial)?))
    }

    /// Measures the best trials again, writes `best.json`, and returns its content.
    fn found(&self, py: Python) -> PyResult<Option<String>> {
        self.with(py, |run, control| {
            let found = run.found(control)?;
            Ok(run.hand_over(&found)?.map(|about| about.to_string()))
        })
    }

    /// Returns a trial as JSON.
    fn trial(&self, py: Python, trial: i64) -> PyResult<String> {
        self.read(py, |study| shown(study, study.trial(trial)?))
    }

    /// Returns all trials as a JSON list.
    fn trials(&self, py: Python) -> PyResult<String> {
        self.read(py, |study| {
            let (space, newest) = (study.space(), study.newest()?);
            let trials = study.trials()?.into_iter();
            let all: Value = trials.map(|t| newest.complete(t).json(space)).collect();
            Ok(all.to_string())
        })
    }

    /// Returns all measurements as a JSON list.
    fn measurements(&self, py: Python) -> PyResult<String> {
        self.read(py, |study| {
            let space = study.space();
            let all: Value = study.measurements()?.iter().map(|m| m.json(space)).collect();
            Ok(all.to_string())
        })
    }

    /// Returns the best trials as a JSON list: one, or those that no other one beats in all objectives.
    fn best(&self, py: Python) -> PyResult<String> {
        self.read(py, |study| {
            let best = study.front()?.into_iter();
            let all: Result<Vec<_>, _> = best.map(|trial| shown(study, trial)).collect();
            Ok(format!("[{}]", all?.join(",")))
        })
    }

    /// Returns numbers of trials by state, as JSON.
    fn counts(&self, py: Python) -> PyResult<String> {
        self.read(py, |study| {
            Ok(serde_json::to_value(study.counts()?).unwrap_or_default().to_string())
        })
    }

    /// Returns the report as HTML.
    fn report(&self, py: Python) -> PyResult<String> {
        self.read(py, |study| Ok(Report::of(study).map(|r| r.html())))?.or_exception()
    }
}

impl Search {
    fn new(py: Python, run: Result<Run, SearchError>, raised: Raised) -> PyResult<Search> {
        match run {
            Ok(run) => Ok(Search { held: Mutex::new(Held::Run(Box::new(run))), raised }),
            Err(error) => Err(exception(py, error, &raised)),
        }
    }

    fn answer(&self, py: Python, trial: i64, answer: Answer) -> PyResult<String> {
        let state: State = self.with(py, |run, _| {
            let claimed = run.study().trial(trial)?;
            run.tell(&claimed, answer)
        })?;
        Ok(state.name().into())
    }

    /// Reads the study.
    fn read<T: Send>(
        &self,
        py: Python,
        call: impl FnOnce(&Study) -> Result<T, SearchError> + Send,
    ) -> PyResult<T> {
        self.call(py, |held, _| match held {
            Held::Run(run) => call(run.study()),
            Held::Record(study) => call(study),
        })
    }

    /// Goes on with the search; refuses a study that was opened to look at it.
    fn with<T: Send>(
        &self,
        py: Python,
        call: impl FnOnce(&mut Run, &mut Control) -> Result<T, SearchError> + Send,
    ) -> PyResult<T> {
        let done = self.call(py, |held, control| match held {
            Held::Run(run) => call(run, control).map(Some),
            Held::Record(_) => Ok(None),
        })?;
        done.ok_or_else(|| {
            StudyError::new_err(
                "this study was opened to look at it; it goes on by lanner.create_study(…, storage=…, \
                 load_if_exists=True)",
            )
        })
    }

    /// Calls the closure without the interpreter's lock; Ctrl-C stops it.
    fn call<T: Send>(
        &self,
        py: Python,
        call: impl FnOnce(&mut Held, &mut Control) -> Result<T, SearchError> + Send,
    ) -> PyResult<T> {
        if INSIDE.get() {
            let why =
                "a function that the study calls (measure, build) cannot use the study itself";
            return Err(StudyError::new_err(why));
        }
        let raised = &self.raised;
        let result = py.detach(|| {
            let mut held: MutexGuard<Held> =
                self.held.lock().unwrap_or_else(PoisonError::into_inner);
            INSIDE.set(true);
            let stop = || match Python::attach(|py| py.check_signals()) {
                Ok(()) => Stop::No,
                Err(error) => {
                    keep(raised, error);
                    Stop::Now
                }
            };
            let mut control = Control { stop: Box::new(stop), ..Control::default() };
            let result = call(&mut held, &mut control);
            drop(control);
            INSIDE.set(false);
            result
        });
        match (result, taken(raised)) {
            (_, Some(error)) => Err(error),
            (Ok(value), None) => Ok(value),
            (Err(error), None) => Err(exception(py, error, raised)),
        }
    }
}

/// Returns a trial as JSON; its metrics include the newest measurements of its network.
fn shown(study: &Study, trial: Trial) -> Result<String, SearchError> {
    let newest = study.newest_of(&trial.arch)?;
    Ok(newest.complete(trial).json(study.space()).to_string())
}

fn keep(raised: &Raised, error: PyErr) {
    raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}

fn taken(raised: &Raised) -> Option<PyErr> {
    raised.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Returns the exception of the user's function if it raised one, else that of the error.
fn exception(_: Python, error: SearchError, raised: &Raised) -> PyErr {
    taken(raised).unwrap_or_else(|| crate::error::IntoException::exception(error))
}

/// Makes the caller's parts of a run: evaluations are Python's, and so are measurements of the latency and of
/// other metrics if there are functions for them.
fn own(
    space: &InnerSpace,
    latency: Option<Py<PyAny>>,
    metrics: Option<Py<PyAny>>,
    facts: Vec<(String, String)>,
) -> (Own, Raised) {
    let raised = Raised::default();
    let mut own = Own::evaluator(|_: &Request| -> Result<Answer, EvaluateError> {
        Ok(Answer::Failed("networks are evaluated by the program that drives the search".into()))
    });
    own.meter = latency.map(|call| {
        let (space, raised) = (space.clone(), Arc::clone(&raised));
        Box::new(PythonMeter { space, call, raised, facts }) as Box<dyn Meter>
    });
    own.measure = metrics.map(|call| {
        let (space, raised) = (space.clone(), Arc::clone(&raised));
        Arc::new(move |arch: &Architecture| {
            let metrics = Python::attach(|py| {
                call.call1(py, (space.print(arch),))?.extract::<Option<BTreeMap<String, f64>>>(py)
            });
            metrics.map_err(|error| device_error(error, &raised))
        }) as Measure
    });
    (own, raised)
}

/// Measures by a Python function: architecture and whether much effort is wanted in, latency and standard
/// error out.
struct PythonMeter {
    space: InnerSpace,
    call: Py<PyAny>,
    raised: Raised,
    facts: Vec<(String, String)>,
}

impl Meter for PythonMeter {
    fn measure(
        &mut self,
        arch: &Architecture,
        effort: Effort,
    ) -> Result<Option<Latency>, EvaluateError> {
        let text = self.space.print(arch);
        let measured = Python::attach(|py| {
            let latency = self.call.call1(py, (text, effort == Effort::Final))?;
            latency.extract::<Option<(f64, f64)>>(py)
        });
        match measured {
            Ok(latency) => Ok(latency.map(|(ms, se)| Latency { ms, se })),
            Err(error) => Err(device_error(error, &self.raised)),
        }
    }

    fn facts(&self) -> Vec<(String, String)> {
        self.facts.clone()
    }
}

/// Keeps the exception of a measurement, and returns the error by which the search ends.
fn device_error(error: PyErr, raised: &Raised) -> EvaluateError {
    let why = error.to_string();
    keep(raised, error);
    EvaluateError::Device(why)
}
