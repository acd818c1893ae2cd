//! Shares of a cell's output by the operations that they came through.

use super::cell::{Cell, FLOOR};
use super::operation::{MOST, OperationKind, Operations, Slots};

/// Operations that a signal went through, identities not counted. `first` and `last` are one more
/// than the operation's slot, 0 for no operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Past {
    /// Number of each operation, by [`Operations::slots`].
    counts: [u8; MOST],
    first: u8,
    last: u8,
}

impl Past {
    fn through(mut self, slot: Option<u8>) -> Past {
        if let Some(slot) = slot {
            let count = &mut self.counts[usize::from(slot)];
            *count = count.saturating_add(1);
            if self.first == 0 {
                self.first = slot + 1;
            }
            self.last = slot + 1;
        }
        self
    }

    /// Counts the operations of a set.
    fn count(&self, of: &Slots) -> usize {
        self.counts.iter().zip(of).filter(|x| *x.1).map(|x| usize::from(*x.0)).sum()
    }
}

/// The output's variance and its shares by what the signal went through, which sum to one.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    variance: f64,
    of: Vec<(Past, f64)>,
}

impl Shares {
    /// Computes the shares of a cell whose pooling passes the part `pooling` of the variance;
    /// `None` if no signal reaches the output. A concatenation weighs its parts as a sum does.
    pub fn new(operations: &Operations, cell: &Cell, pooling: f64) -> Option<Shares> {
        // What each node reads.
        let mut read: Vec<Option<Shares>> = Vec::with_capacity(cell.labels.len());
        for v in 0..cell.labels.len() {
            if v < cell.inputs {
                read.push(Some(Shares { variance: 1.0, of: vec![(Past::default(), 1.0)] }));
                continue;
            }
            let mut variance = 0.0;
            let mut of: Vec<(Past, f64)> = Vec::new();
            for &u in &cell.before[v] {
                let label = cell.labels[u];
                let slot = operations.slots[usize::from(label)];
                let Some(source) = &read[u] else { continue };
                let passes = match operations.kind(label) {
                    OperationKind::None => continue,
                    OperationKind::Learned { .. } => 1.0,
                    OperationKind::Pool => pooling * source.variance,
                    OperationKind::Identity | OperationKind::Join => source.variance,
                };
                variance += passes;
                for (past, share) in &source.of {
                    let past = past.through(slot);
                    match of.iter_mut().find(|(p, _)| *p == past) {
                        Some((_, sum)) => *sum += passes * share,
                        None => of.push((past, passes * share)),
                    }
                }
            }
            read.push((variance > 0.0).then(|| {
                of.iter_mut().for_each(|(_, share)| *share /= variance);
                of.sort_unstable_by_key(|(past, _)| *past);
                Shares { variance, of }
            }));
        }
        read.pop().flatten()
    }
}

/// Log variance, the mean number of each operation that changes the signal, the standard deviation
/// of the number of learned ones, the share of the pure identity, dead.
pub(super) fn moments(operations: &Operations, shares: Option<&Shares>, out: &mut Vec<f64>) {
    let Some(shares) = shares else {
        out.push(FLOOR.ln());
        out.extend(vec![-1.0; operations.changing]);
        return out.extend([0.0, -1.0, 1.0]);
    };
    let mean = |f: &dyn Fn(&Past) -> f64| shares.of.iter().map(|(p, s)| s * f(p)).sum::<f64>();
    let learned = |past: &Past| past.count(&operations.learned) as f64;
    let centre = mean(&learned);
    let squares = mean(&|p| learned(p).powi(2));
    out.push((shares.variance + FLOOR).ln());
    out.extend((0..operations.changing).map(|slot| mean(&|p| f64::from(p.counts[slot]))));
    out.extend([
        (squares - centre * centre).max(0.0).sqrt(),
        mean(&|p| f64::from(u8::from(p.first == 0))),
        0.0,
    ]);
}

/// Shares by the number of operations of each counted set (0 to `depth` each), by first and by last
/// operation, and the log variance. All zero for a dead cell.
pub(super) fn distributions(
    operations: &Operations,
    shares: Option<&Shares>,
    depth: usize,
    out: &mut Vec<f64>,
) {
    let start = out.len();
    let ends = operations.changing + 1;
    let base = operations.counted.len() * (depth + 1);
    out.resize(start + base + 2 * ends + 1, 0.0);
    let Some(shares) = shares else { return };
    let columns = &mut out[start..];
    for (past, share) in &shares.of {
        for (block, set) in operations.counted.iter().enumerate() {
            columns[block * (depth + 1) + past.count(set).min(depth)] += share;
        }
        columns[base + usize::from(past.first)] += share;
        columns[base + ends + usize::from(past.last)] += share;
    }
    columns[base + 2 * ends] = (shares.variance + FLOOR).ln();
}
