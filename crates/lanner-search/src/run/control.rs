//! The caller's side of a run: receives events, and decides when to stop.

use std::time::{Duration, Instant};

/// The caller's decision whether to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Go on.
    No,
    /// Begin nothing new. Wait for running programs; give up work in this process.
    Finish,
    /// End everything that runs; it is done again later.
    Now,
}

/// A part of a run that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Measuring the first latencies.
    Measuring,
    /// Evaluating the trials.
    Searching,
    /// Measuring the best networks with more effort.
    MeasuringAgain,
    /// Measuring the networks on the front of two objectives.
    MeasuringFront,
}

impl Phase {
    /// Describes the phase in a word or two.
    pub fn describe(self) -> &'static str {
        match self {
            Phase::Measuring => "measuring",
            Phase::Searching => "searching",
            Phase::MeasuringAgain => "measuring again",
            Phase::MeasuringFront => "measuring the front",
        }
    }
}

/// Progress of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// The best value of the first objective so far, within the limits.
    Best(f64),
    /// `done` of `total` steps of a phase are done; `total` is 0 while it is not known.
    Progress { phase: Phase, done: usize, total: usize },
    /// A phase has ended.
    Ended(Phase),
}

/// The caller's callbacks: receives events, and tells whether to stop.
pub struct Control<'a> {
    pub events: Box<dyn FnMut(Event) + 'a>,
    pub stop: Box<dyn Fn() -> Stop + Sync + 'a>,
    /// Moment after which no evaluation begins.
    pub deadline: Option<Instant>,
}

impl Default for Control<'_> {
    /// Ignores events and never stops.
    fn default() -> Self {
        Control { events: Box::new(|_| ()), stop: Box::new(|| Stop::No), deadline: None }
    }
}

impl Control<'_> {
    /// Sets the deadline to `time` from now.
    pub fn set_time(&mut self, time: Duration) {
        self.deadline = Instant::now().checked_add(time);
    }

    pub(super) fn is_stopped(&self) -> bool {
        (self.stop)() != Stop::No
    }

    pub(super) fn progress(&mut self, phase: Phase, done: usize, total: usize) {
        (self.events)(Event::Progress { phase, done, total });
    }

    pub(super) fn ended(&mut self, phase: Phase) {
        (self.events)(Event::Ended(phase));
    }
}
