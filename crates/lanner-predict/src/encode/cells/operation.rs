//! Effects of a space's operations on a signal, read from their names.

use lanner_space::Space;

/// Effect of a node of a cell's graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperationKind {
    /// Passes nothing.
    None,
    Identity,
    Pool,
    /// Any operation with weights; the kernel is the width that its name tells, else 3.
    Learned {
        kernel: u8,
    },
    /// An input, an output, or a sum or concatenation that only joins arcs.
    Join,
}

impl OperationKind {
    /// Reads a label, as the spaces' communities name operations.
    fn of(label: &str) -> OperationKind {
        let is = |part: &str| label.contains(part);
        match label {
            "none" | "zero" => OperationKind::None,
            "add" | "addition" | "sum" | "concat" | "global" => OperationKind::Join,
            _ if is("input") || is("output") => OperationKind::Join,
            _ if is("skip") || is("identity") || is("absent") => OperationKind::Identity,
            _ if is("pool") => OperationKind::Pool,
            _ => OperationKind::Learned { kernel: kernel(label).unwrap_or(3) },
        }
    }
}

/// The 5 of `sep_conv_5x5` or of `k5_e6`.
fn kernel(label: &str) -> Option<u8> {
    let bytes = label.as_bytes();
    let digit = |i: usize| bytes.get(i).filter(|b| b.is_ascii_digit()).map(|b| b - b'0');
    (0..bytes.len()).find_map(|i| match bytes[i] {
        b'x' if i > 0 && digit(i - 1).is_some() => digit(i + 1),
        b'k' => digit(i + 1),
        _ => None,
    })
}

/// The most operations of a space that are told apart; all after them count as one.
pub(super) const MOST: usize = 16;
/// Largest number of operations of which every subset has its paths described.
const ALL_SUBSETS: usize = 4;

/// A set of operations that change the signal, a flag a slot.
pub(super) type Slots = [bool; MOST];

/// The operations of a space, by label code.
#[derive(Debug, Clone)]
pub(super) struct Operations {
    pub kinds: Vec<OperationKind>,
    /// The label codes of operations, in ascending order.
    pub codes: Vec<u8>,
    /// The label codes of those that pass something.
    pub passing: Vec<u8>,
    /// Place of each label code among those that change the signal.
    pub slots: Vec<Option<u8>>,
    /// Number of such places.
    pub changing: usize,
    /// The operations with weights.
    pub learned: Slots,
    /// Sets of operations whose numbers tell variance shares apart: learned, spatial, pooling, all
    /// that change the signal, wide. Sets that are empty or equal to one before are left out.
    pub counted: Vec<Slots>,
}

impl Operations {
    pub fn new(space: &Space) -> Operations {
        let kinds: Vec<OperationKind> =
            space.labels().iter().map(|l| OperationKind::of(l)).collect();
        let those = |f: &dyn Fn(OperationKind) -> bool| -> Vec<u8> {
            (0..kinds.len()).filter(|&c| f(kinds[c])).map(|c| c as u8).collect()
        };
        let changes =
            |k: OperationKind| matches!(k, OperationKind::Learned { .. } | OperationKind::Pool);
        let learned =
            |least: u8| move |k| matches!(k, OperationKind::Learned { kernel } if kernel >= least);
        let changing = those(&changes);
        let slot = |c: usize| changing.iter().position(|&l| usize::from(l) == c);
        let slots: Vec<Option<u8>> =
            (0..kinds.len()).map(|c| slot(c).map(|s| s.min(MOST - 1) as u8)).collect();
        let set = |f: &dyn Fn(OperationKind) -> bool| -> Slots {
            let mut set = [false; MOST];
            for (slot, &kind) in slots.iter().zip(&kinds) {
                slot.iter().for_each(|&s| set[usize::from(s)] |= f(kind));
            }
            set
        };
        let mut counted: Vec<Slots> = Vec::new();
        for set in [
            set(&learned(0)),
            set(&learned(2)),
            set(&|k| k == OperationKind::Pool),
            set(&changes),
            set(&learned(5)),
        ] {
            if set.contains(&true) && !counted.contains(&set) {
                counted.push(set);
            }
        }
        Operations {
            codes: those(&|k| k != OperationKind::Join),
            passing: those(&|k| !matches!(k, OperationKind::Join | OperationKind::None)),
            changing: changing.len().min(MOST),
            learned: set(&learned(0)),
            counted,
            slots,
            kinds,
        }
    }

    /// Sets of operations that share a trait: spatial, learned, pointwise, pooling, identity, wide
    /// (kernels of 5 and more). Sets that are empty or equal to one before are left out.
    pub fn families(&self) -> Vec<Set> {
        let learned = |least: u8, most: u8| move |k: OperationKind| matches!(k, OperationKind::Learned { kernel } if (least..=most).contains(&kernel));
        let traits: [&dyn Fn(OperationKind) -> bool; 6] = [
            &learned(2, 255),
            &learned(0, 255),
            &learned(0, 1),
            &|k| k == OperationKind::Pool,
            &|k| k == OperationKind::Identity,
            &learned(5, 255),
        ];
        let mut sets: Vec<Set> = Vec::new();
        for has in traits {
            let set = Set(self.kinds.iter().map(|&k| has(k)).collect());
            if set.0.contains(&true) && !sets.contains(&set) {
                sets.push(set);
            }
        }
        sets
    }

    /// The subsets of the passing operations whose paths are described, small ones first: all where
    /// there are few operations, else each, all pairs, all but each, the families, and all.
    pub fn subsets(&self) -> Vec<Set> {
        let n = self.passing.len();
        let set = |members: &dyn Fn(usize) -> bool| {
            let mut set = Set(vec![false; self.kinds.len()]);
            (0..n).filter(|&i| members(i)).for_each(|i| set.0[usize::from(self.passing[i])] = true);
            set
        };
        let mut sets = Vec::new();
        if n <= ALL_SUBSETS {
            for size in 1..=n {
                combinations(n, size, &mut |c| sets.push(set(&|i| c.contains(&i))));
            }
            return sets;
        }
        for size in 1..=2 {
            combinations(n, size, &mut |c| sets.push(set(&|i| c.contains(&i))));
        }
        let families = self.families();
        sets.extend(families.iter().cloned());
        // What passes a signal without learning, with each family beside it.
        let idle = set(&|i| !matches!(self.kind(self.passing[i]), OperationKind::Learned { .. }));
        sets.extend(families.iter().map(|f| f.or(&idle)));
        sets.extend((0..n).map(|out| set(&|i| i != out)));
        sets.push(set(&|_| true));
        let mut distinct: Vec<Set> = Vec::new();
        for set in sets {
            if !distinct.contains(&set) {
                distinct.push(set);
            }
        }
        distinct
    }

    pub fn kind(&self, label: u8) -> OperationKind {
        self.kinds[usize::from(label)]
    }

    pub fn is_learned(&self, label: u8) -> bool {
        matches!(self.kind(label), OperationKind::Learned { .. })
    }

    /// Spatial: a learned operation that sees more than one pixel.
    pub fn is_spatial(&self, label: u8) -> bool {
        matches!(self.kind(label), OperationKind::Learned { kernel } if kernel > 1)
    }
}

/// A set of labels, a flag a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set(Vec<bool>);

impl Set {
    pub fn has(&self, label: u8) -> bool {
        self.0[usize::from(label)]
    }

    fn or(&self, other: &Set) -> Set {
        Set(self.0.iter().zip(&other.0).map(|(a, b)| a | b).collect())
    }
}

/// All ascending choices of `size` numbers below `n`, in lexicographic order.
fn combinations(n: usize, size: usize, tell: &mut dyn FnMut(&[usize])) {
    let mut chosen: Vec<usize> = (0..size).collect();
    loop {
        tell(&chosen);
        let Some(i) = (0..size).rev().find(|&i| chosen[i] < n - size + i) else { return };
        chosen[i] += 1;
        for j in i + 1..size {
            chosen[j] = chosen[j - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_spaces_are_understood() {
        let learned = |kernel| OperationKind::Learned { kernel };
        for (label, kind) in [
            ("none", OperationKind::None),
            ("skip_connect", OperationKind::Identity),
            ("nor_conv_1x1", learned(1)),
            ("conv3x3-bn-relu", learned(3)),
            ("maxpool3x3", OperationKind::Pool),
            ("avg_pool_3x3", OperationKind::Pool),
            ("dil_conv_5x5", learned(5)),
            ("addition", OperationKind::Join),
            ("input_128", OperationKind::Join),
            ("k5_e1_g2", learned(5)),
            ("mb3_k3", learned(3)),
            ("skip", OperationKind::Identity),
            ("double_channels", learned(3)),
        ] {
            assert_eq!(OperationKind::of(label), kind, "{label}");
        }
    }

    #[test]
    fn few_operations_have_all_subsets_and_many_a_choice() {
        let few = Operations::new(&Space::NasBench201);
        assert_eq!(few.subsets().len(), 15);
        assert_eq!(few.families().len(), 5);
        assert_eq!(few.counted.len(), 4);
        // Of 1×1 and 3×3 convolutions and identity: learned is all that changes the signal.
        assert_eq!(Operations::new(&Space::TransBench101Micro).counted.len(), 2);
        let many = Operations::new(&Space::Darts);
        let sets = many.subsets();
        assert!((29..60).contains(&sets.len()), "{}", sets.len());
        assert!((1..sets.len()).all(|i| !sets[..i].contains(&sets[i])));
    }
}
