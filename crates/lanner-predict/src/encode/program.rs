//! A cell as the little program that a runtime executes, and what can be counted in it.
//!
//! Runtimes do not execute edges: identities cost nothing, a sum of one term is no sum, the ReLU
//! in front of several convolutions of one tensor runs once, equal poolings of one tensor may be
//! merged. Counting in that program instead of in the cell is what makes latencies predictable.

use std::collections::BTreeMap;

use lanner_space::nasbench201::{EDGES, NONE, SKIP};

/// Kind of a step of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Step {
    Input,
    Relu,
    Conv1x1,
    Conv3x3,
    Pool,
    /// A sum of two or of three tensors.
    Add2,
    Add3,
}

use Step::{Add2, Add3, Conv1x1, Conv3x3, Input, Pool, Relu};

impl Step {
    const ALL: [Step; 7] = [Input, Relu, Conv1x1, Conv3x3, Pool, Add2, Add3];

    fn letter(self) -> char {
        ['I', 'r', '1', '3', 'p', 'A', 'A'][self as usize]
    }

    fn name(self) -> &'static str {
        ["I", "r", "1", "3", "p", "A2", "A3"][self as usize]
    }
}

/// Named counts of one cell.
pub(crate) type Counts = BTreeMap<String, f64>;

/// The steps of a cell in the order of execution; step 0 is the input.
struct Program {
    steps: Vec<(Step, Vec<usize>)>,
    output: usize,
}

impl Program {
    /// The program of live operation codes (dead edges are `none`); `None` if the output gets
    /// nothing. With `merge`, equal poolings and equal sums exist once, as ReLUs always do.
    fn new(codes: &[u8], merge: bool) -> Option<Program> {
        let mut steps = vec![(Input, Vec::new())];
        let mut push = |step: Step, sources: Vec<usize>, share: bool| -> usize {
            let at = steps.iter().position(|s| share && s.0 == step && s.1 == sources);
            at.unwrap_or_else(|| {
                steps.push((step, sources));
                steps.len() - 1
            })
        };
        let mut value = [Some(0), None, None, None];
        for node in 1..value.len() {
            let mut terms = Vec::new();
            for (&(from, to), &code) in EDGES.iter().zip(codes) {
                let (true, Some(source)) = (usize::from(to) == node, value[usize::from(from)])
                else {
                    continue;
                };
                terms.push(match code {
                    NONE => continue,
                    SKIP => source,
                    4 => push(Pool, vec![source], merge),
                    _ => {
                        let relu = push(Relu, vec![source], true);
                        push(if code == 2 { Conv1x1 } else { Conv3x3 }, vec![relu], false)
                    }
                });
            }
            terms.sort_unstable();
            value[node] = match terms.len() {
                0 => None,
                1 => Some(terms[0]),
                n => Some(push(if n == 2 { Add2 } else { Add3 }, terms, merge)),
            };
        }
        let output = value[value.len() - 1]?;
        Some(Program { steps, output })
    }

    /// The heaviest (or with `least` the lightest) path to the output.
    fn path(&self, weight: &[(char, f64)], least: bool) -> f64 {
        let mut at = vec![0.0; self.steps.len()];
        for (k, (step, sources)) in self.steps.iter().enumerate().skip(1) {
            let before = sources.iter().map(|&s| at[s]);
            let before = if least {
                before.fold(f64::INFINITY, f64::min)
            } else {
                before.fold(0.0, f64::max)
            };
            let own = weight.iter().find(|w| w.0 == step.letter()).map_or(0.0, |w| w.1);
            at[k] = before + own;
        }
        at[self.output]
    }

    fn count_steps(&self, counts: &mut Counts) {
        for (step, sources) in &self.steps[1..] {
            *counts.entry(step.name().into()).or_default() += 1.0;
            if matches!(step, Add2 | Add3) {
                *counts.entry("adds".into()).or_default() += sources.len() as f64 - 1.0;
            }
        }
    }
}

/// Weights of the paths whose extremes are features, by step letter.
const PATHS: [&[(char, f64)]; 9] = [
    &[('1', 1.0), ('3', 1.0)],
    &[('3', 1.0)],
    &[('p', 1.0)],
    &[('1', 1.0), ('3', 1.0), ('p', 1.0)],
    &[('A', 1.0)],
    &[('1', 1.0), ('3', 2.0)],
    &[('1', 1.0), ('3', 2.0), ('p', 2.0)],
    &[('1', 1.0), ('3', 2.0), ('p', 4.0)],
    &[('1', 1.0), ('3', 1.0), ('p', 1.0), ('A', 0.3)],
];

/// Counts of one cell in four groups, all empty for a cell whose output gets nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProgramCounts {
    /// Merged program: how many steps of each kind.
    pub steps: Counts,
    /// Merged program: which step reads which, and which kinds together read a step.
    pub arcs: Counts,
    /// Merged program: extremes over paths, tensors alive at once.
    pub paths: Counts,
    /// Unmerged program: steps of each kind.
    pub plain_steps: Counts,
    /// Unmerged program: longest paths.
    pub plain_paths: Counts,
}

impl ProgramCounts {
    /// Counts of a cell given as live operation codes (dead edges `none`).
    pub(crate) fn of(codes: &[u8]) -> ProgramCounts {
        let mut counts = ProgramCounts::default();
        if let Some(program) = Program::new(codes, true) {
            program.count_steps(&mut counts.steps);
            arcs(&program, &mut counts.arcs);
            for (i, weight) in PATHS.iter().enumerate() {
                counts.paths.insert(format!("max{i}"), program.path(weight, false));
                counts.paths.insert(format!("min{i}"), program.path(weight, true));
            }
            lifetimes(&program, &mut counts.paths);
        }
        if let Some(program) = Program::new(codes, false) {
            program.count_steps(&mut counts.plain_steps);
            for (i, weight) in [PATHS[3], PATHS[1], PATHS[0], PATHS[4]].iter().enumerate() {
                counts.plain_paths.insert(format!("max{i}"), program.path(weight, false));
            }
        }
        counts
    }
}

fn consumers(program: &Program) -> Vec<Vec<usize>> {
    let mut consumers = vec![Vec::new(); program.steps.len()];
    for (k, (_, sources)) in program.steps.iter().enumerate() {
        sources.iter().for_each(|&s| consumers[s].push(k));
    }
    consumers
}

/// Cells are stacked: the input is what the same cell before put out, and the output is read as
/// the input is.
fn arcs(program: &Program, counts: &mut Counts) {
    let consumers = consumers(program);
    let produced = |k: usize| match k {
        0 => format!("I{}", program.steps[program.output].0.name()),
        _ => program.steps[k].0.name().to_string(),
    };
    for (k, (step, sources)) in program.steps.iter().enumerate().skip(1) {
        for &s in sources {
            *counts.entry(format!("{}>{}", produced(s), step.name())).or_default() += 1.0;
        }
        let next_cell = if k == program.output { &consumers[0][..] } else { &[] };
        let readers: Vec<Step> =
            consumers[k].iter().chain(next_cell).map(|&j| program.steps[j].0).collect();
        let kinds: String = (Step::ALL.iter())
            .filter(|s| **s != Add3 && readers.iter().any(|r| r.letter() == s.letter()))
            .map(|s| s.letter())
            .collect();
        let only = if readers.len() == 1 { "!" } else { "" };
        *counts.entry(format!("{} read by {kinds}{only}", step.letter())).or_default() += 1.0;
    }
}

/// Counts the tensors that are alive at once, at most and summed over the steps.
fn lifetimes(program: &Program, counts: &mut Counts) {
    let n = program.steps.len();
    let mut last: Vec<usize> = (consumers(program).iter().enumerate())
        .map(|(k, readers)| readers.iter().copied().max().unwrap_or(k))
        .collect();
    last[program.output] = n;
    let alive = |at: usize| (0..=at).filter(|&k| last[k] >= at).count();
    counts.insert("alive".into(), (0..n).map(alive).max().unwrap_or(0) as f64);
    counts.insert("lives".into(), last.iter().enumerate().map(|(k, l)| (l - k) as f64).sum());
    counts.insert("values".into(), n as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(codes: [u8; 6]) -> ProgramCounts {
        ProgramCounts::of(&codes)
    }

    #[test]
    fn shared_relu_merged_pooling_and_transparent_skips() {
        // Node 1 = conv3x3(x); node 2 = pool(x) + skip(node 1); out = conv1x1(x) + pool(x) ...
        // edges 0→1 3×3, 0→2 pool, 1→2 skip, 0→3 1×1, 1→3 none, 2→3 skip.
        let c = count([3, 4, 1, 2, 0, 1]);
        assert_eq!(c.steps["r"], 1.0); // one ReLU of x for both convolutions
        assert_eq!((c.steps["3"], c.steps["1"], c.steps["p"]), (1.0, 1.0, 1.0));
        assert_eq!((c.steps["A2"], c.steps["adds"]), (2.0, 2.0));
        assert_eq!(c.paths["max4"], 2.0); // both sums on one path
        // Two poolings of the input: one when merged.
        let c = count([4, 4, 1, 0, 0, 1]);
        assert_eq!((c.steps["p"], c.plain_steps["p"]), (1.0, 2.0));
    }

    #[test]
    fn ends() {
        assert!(count([0; 6]).steps.is_empty());
        let identity = count([0, 0, 0, 1, 0, 0]);
        assert!(identity.steps.is_empty());
        assert_eq!(identity.paths["values"], 1.0);
        assert_eq!(count([0, 0, 0, 3, 0, 0]).arcs["I3>r"], 1.0);
        assert_eq!(count([0, 0, 0, 3, 0, 0]).arcs["3 read by r!"], 1.0);
    }
}
