use std::{
    cell::{Cell, RefCell},
    sync::{Arc, Mutex},
};

use lanner_network::Nasbench201;
use rand::RngExt;

use super::*;
use crate::measure::{Adaptive, Session};

const SPACE: Space = Space::NasBench201;

/// A simulated machine: the time of a model depends on its size, and all become slower and faster
/// together.
struct Machine {
    loads: Cell<usize>,
    now: Arc<Mutex<f64>>,
    /// Error, if any, when the n-th model is loaded.
    refuse: RefCell<Box<dyn Fn(usize) -> Option<EvaluateError>>>,
    /// Fraction of the first model's calls in which another program takes the processor.
    stalls: f64,
}

impl Machine {
    fn new() -> Machine {
        let (loads, now) = (Cell::new(0), Arc::new(Mutex::new(0.0)));
        Machine { loads, now, refuse: RefCell::new(Box::new(|_| None)), stalls: 0.0 }
    }
}

struct Model {
    truth_ms: f64,
    now: Arc<Mutex<f64>>,
    stalls: f64,
    rng: lanner_nn::Rng,
}

impl Runtime for Machine {
    fn describe(&self) -> String {
        "a clock 1.0".into()
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn Session + '_>, EvaluateError> {
        let n = self.loads.replace(self.loads.get() + 1);
        match (self.refuse.borrow())(n) {
            Some(error) => Err(error),
            None => {
                let truth_ms = truth(onnx);
                let stalls = if n == 0 { self.stalls } else { 0.0 };
                let rng = lanner_nn::rng(0, "stalls");
                Ok(Box::new(Model { truth_ms, now: self.now.clone(), stalls, rng }))
            }
        }
    }
}

fn truth(onnx: &[u8]) -> f64 {
    0.5 + onnx.len() as f64 / 1e5
}

impl Session for Model {
    fn time(&mut self, runs: usize, samples: &mut Vec<f64>) -> Result<(), EvaluateError> {
        let stalled = match self.rng.random_bool(self.stalls) {
            true => self.rng.random_range(2.0..60.0),
            false => 1.0,
        };
        for _ in 0..runs {
            let mut now = self.now.lock().unwrap();
            let ms = stalled * self.truth_ms * (1.3 + 0.3 * (*now / 500.0).sin());
            *now += ms;
            samples.push(ms);
        }
        Ok(())
    }
}

fn campaign() -> LatencyCampaign {
    LatencyCampaign {
        space: SPACE,
        skeleton: Nasbench201 { channels: 4, cells: 1, resolution: 8, classes: 10 }.into(),
        onnx: OnnxOptions::default(),
        protocol: Protocol::Adaptive(Adaptive { budget_s: 0.01, ..Adaptive::default() }),
        seed: 1,
        reference: Some(reference(&SPACE).unwrap()),
        baseline_ms: None,
    }
}

fn archs(n: u128) -> Vec<Vec<Architecture>> {
    (0..n).map(|i| vec![SPACE.at(i * 250).unwrap()]).collect()
}

fn rows(path: &Path, campaign: &LatencyCampaign, machine: &Machine) -> Vec<LatencyRow> {
    LatencyTable::open(path, &SPACE, &campaign.header(machine, &[])).unwrap().1
}

#[test]
fn drift_is_taken_out() {
    let (campaign, machine) = (campaign(), Machine::new());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.csv");
    let header = campaign.header(&machine, &[]);
    let groups = archs(15);
    let go = |_, _| ControlFlow::Continue(());
    let outcome = campaign.run(&machine, &groups, &out, &header, go).unwrap();
    assert_eq!((outcome.measured, outcome.stopped), (15, false));
    // Corrected to one state of the machine: truth and latency differ by one factor.
    let ratios: Vec<f64> = rows(&out, &campaign, &machine)
        .iter()
        .map(|r| r.latency_ms.unwrap() / truth(&campaign.model(&r.arch).unwrap()))
        .collect();
    let middle = median(&ratios);
    assert!((1.0..1.6).contains(&middle), "{middle}");
    assert!(ratios.iter().all(|r| (r / middle - 1.0).abs() < 0.03), "{ratios:?}");
}

/// While other programs disturb the reference only, its readings must not make the latency of an
/// undisturbed network many times larger or smaller.
#[test]
fn an_unsteady_reference_is_told_and_does_no_harm() {
    let (mut campaign, mut machine) = (campaign(), Machine::new());
    machine.stalls = 0.6;
    // Five blocks for each network, whose readings are few enough to contradict each other.
    let five = Adaptive { budget_s: 1e-9, ..Adaptive::default() };
    campaign.protocol = Protocol::Adaptive(five);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.csv");
    let header = campaign.header(&machine, &[]);
    let go = |_, _| ControlFlow::Continue(());
    campaign.run(&machine, &archs(60), &out, &header, go).unwrap();
    let rows = rows(&out, &campaign, &machine);
    let ratio = |r: &LatencyRow| r.latency_ms.unwrap() / truth(&campaign.model(&r.arch).unwrap());
    let told = |r: &&LatencyRow| r.note.contains("reference unsteady");
    let unsteady: Vec<f64> = rows.iter().filter(told).map(ratio).collect();
    assert!(unsteady.len() > 30, "{}", unsteady.len());
    // The machine's own swing, 1 to 1.6, stays in.
    let middle = median(&unsteady);
    assert!(unsteady.iter().all(|r| (0.6..1.7).contains(&(r / middle))), "{unsteady:?}");
    // A latency that is far off all the same has a note or an error that says so.
    for row in rows.iter().filter(|r| !(0.6..1.7).contains(&(ratio(r) / middle))) {
        assert!(row.note.contains("95 % interval"), "{row:?}");
    }
}

#[test]
fn a_stopped_campaign_goes_on_and_repeats_nothing() {
    let (campaign, machine) = (campaign(), Machine::new());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.csv");
    let header = campaign.header(&machine, &[]);
    let groups = archs(8);
    let stop_at = |n| {
        move |done, _| match done == n {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let first = campaign.run(&machine, &groups, &out, &header, stop_at(3)).unwrap();
    assert_eq!((first.measured, first.stopped), (3, true));
    let second = campaign.run(&machine, &groups, &out, &header, stop_at(100)).unwrap();
    assert_eq!((second.measured, second.found, second.stopped), (5, 3, false));
    // Each network is loaded once, and the reference once in each run.
    assert_eq!(machine.loads.get(), 8 + 2);
    let seen: HashSet<_> = rows(&out, &campaign, &machine).into_iter().map(|r| r.arch).collect();
    assert_eq!(seen.len(), 8);
}

#[test]
fn equals_share_a_measurement() {
    let (campaign, machine) = (campaign(), Machine::new());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.csv");
    let header = campaign.header(&machine, &[]);
    let some: Vec<_> = (0..200).map(|i| SPACE.at(i).unwrap()).collect();
    let groups = equivalent_groups(&SPACE, &some);
    assert!(groups.len() < 160, "{}", groups.len());
    let go = |_, _| ControlFlow::Continue(());
    campaign.run(&machine, &groups, &out, &header, go).unwrap();
    let rows = rows(&out, &campaign, &machine);
    assert_eq!(rows.len(), 200);
    assert_eq!(rows.iter().filter(|r| r.runs > 0).count(), groups.len());
    let by: HashMap<_, _> = rows.iter().map(|r| (&r.arch, r.latency_ms)).collect();
    for group in &groups {
        assert!(group.iter().all(|a| by[a] == by[&group[0]]));
    }
}

#[test]
fn the_space_has_as_many_kinds_as_pruned_cells() {
    let all: Vec<_> = SPACE.iter().collect();
    let groups = equivalent_groups(&SPACE, &all);
    assert_eq!(groups.len(), 5_425);
    assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 15_625);
}

#[test]
fn a_refused_network_is_noted_and_a_dead_device_pauses() {
    let (campaign, machine) = (campaign(), Machine::new());
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("t.csv");
    let header = campaign.header(&machine, &[]);
    let groups = archs(6);
    // The reference is loaded first.
    *machine.refuse.borrow_mut() = Box::new(|n| match n {
        2 => Some(EvaluateError::Refused { runtime: "clock".into(), why: "no\n such op".into() }),
        5 => Some(EvaluateError::Device("gone".into())),
        _ => None,
    });
    let go = |_, _| ControlFlow::Continue(());
    let error = campaign.run(&machine, &groups, &out, &header, go).unwrap_err();
    assert!(matches!(error, EvaluateError::Device(_)), "{error}");
    assert_eq!(rows(&out, &campaign, &machine).len(), 4);
    let outcome = campaign.run(&machine, &groups, &out, &header, go).unwrap();
    assert_eq!((outcome.found, outcome.measured), (4, 2));
    let rows = rows(&out, &campaign, &machine);
    let notes: Vec<_> = rows.iter().filter(|r| r.latency_ms.is_none()).map(|r| &r.note).collect();
    assert_eq!(notes, ["no such op"]);
}
