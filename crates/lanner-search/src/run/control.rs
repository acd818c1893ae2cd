//! The caller's view of a run: events out, the wish to stop in.

use std::time::{Duration, Instant};

/// The caller's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Go on.
    No,
    /// Begin nothing new. Programs that run are waited for; work in this process is given up.
    Finish,
    /// End all that runs; it is done again later.
    Now,
}

/// A part of a run that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The first latencies.
    Measuring,
    /// The trials.
    Searching,
    /// The best networks, with more effort.
    MeasuringAgain,
    /// The networks that trade one objective for another.
    MeasuringFront,
}

impl Phase {
    /// A word or two for people.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `done` of `total` steps of a phase; `total` is 0 where it is not known yet.
    Progress { phase: Phase, done: usize, total: usize },
    /// A phase has ended.
    Ended(Phase),
}

/// Hears events, and tells whether to stop.
pub struct Control<'a> {
    pub events: Box<dyn FnMut(Event) + 'a>,
    pub stop: Box<dyn Fn() -> Stop + Sync + 'a>,
    /// No evaluation begins after this moment.
    pub deadline: Option<Instant>,
}

impl Default for Control<'_> {
    /// Hears nothing and never stops.
    fn default() -> Self {
        Control { events: Box::new(|_| ()), stop: Box::new(|| Stop::No), deadline: None }
    }
}

impl Control<'_> {
    /// Lets no evaluation begin after `time` from now.
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
