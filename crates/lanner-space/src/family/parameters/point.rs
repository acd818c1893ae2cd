//! A point of a space of parameters as a tree beside that of the space.

use rand::{Rng, RngExt};

use super::node::{Domain, Node, Ref, ordered_bits};

/// Value of a parameter in a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The parameter does not exist: a condition does not hold.
    Absent,
    /// The number of a value, see [`Node::value`].
    Number(u64),
    /// The items of a repeat.
    Items(Vec<Vec<Held>>),
}

/// Chooses the number of a parameter; it is told the one that the point had before, if any.
type Pick<'a> = &'a mut dyn FnMut(&Node, Option<u64>) -> Result<u64, String>;

/// The groups around a parameter.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub held: &'a [Held],
    pub outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    /// Returns the number that an earlier parameter has.
    pub fn number(&self, of: Ref) -> Option<u64> {
        let mut scope = self;
        for _ in 0..of.up {
            scope = scope.outer?;
        }
        match scope.held.get(of.node)? {
            Held::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl Node {
    /// Tells whether the parameter exists, given what `number` says of those before it.
    pub(super) fn exists(&self, number: impl Fn(Ref) -> Option<u64>) -> bool {
        let holds = |c: &super::node::Condition| {
            number(c.of).is_some_and(|n| c.numbers.binary_search(&n).is_ok())
        };
        let has_length = match &self.domain {
            Domain::Repeat { length, .. } => number(*length).is_some(),
            _ => true,
        };
        has_length && self.when.iter().all(holds)
    }
}

/// Returns how often a repeat has its group; 0 where its length is missing.
pub(super) fn repeats(length: Ref, nodes: &[&[Node]], number: Option<u64>) -> usize {
    let depth = nodes.len();
    let node = depth.checked_sub(1 + length.up).and_then(|at| nodes[at].get(length.node));
    match (node, number) {
        (Some(node), Some(number)) => match node.value(number) {
            crate::parameters::Value::Integer(i) => usize::try_from(i).unwrap_or(0),
            _ => 0,
        },
        _ => 0,
    }
}

/// Makes a point in the order of the parameters: `pick` chooses the number of each that exists. `old` is
/// an earlier point, whose items are kept as far as there are as many.
pub(super) fn fill(
    groups: &mut Vec<&[Node]>,
    outer: Option<&Scope>,
    old: Option<&[Held]>,
    pick: Pick,
) -> Result<Vec<Held>, String> {
    let nodes = groups[groups.len() - 1];
    let mut held: Vec<Held> = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        let before = old.map(|old| &old[i]);
        let scope = Scope { held: &held, outer };
        let new = if !node.exists(|of| scope.number(of)) {
            Held::Absent
        } else if let Domain::Repeat { length, group, .. } = &node.domain {
            let count = repeats(*length, groups, scope.number(*length));
            let mut items = Vec::with_capacity(count);
            for item in 0..count {
                let old = match before {
                    Some(Held::Items(items)) => items.get(item).map(Vec::as_slice),
                    _ => None,
                };
                groups.push(group);
                let filled = fill(groups, Some(&scope), old, pick);
                groups.pop();
                items.push(filled?);
            }
            Held::Items(items)
        } else {
            let number = match before {
                Some(Held::Number(number)) => Some(*number),
                _ => None,
            };
            Held::Number(pick(node, number)?)
        };
        held.push(new);
    }
    Ok(held)
}

/// Calls `see` for each parameter that a point has, in their order.
pub(super) fn visit<'a>(nodes: &'a [Node], held: &'a [Held], see: &mut dyn FnMut(&'a Node, u64)) {
    for (node, held) in nodes.iter().zip(held) {
        match (held, &node.domain) {
            (Held::Number(number), _) => see(node, *number),
            (Held::Items(items), Domain::Repeat { group, .. }) => {
                items.iter().for_each(|item| visit(group, item, see));
            }
            _ => {}
        }
    }
}

/// Changes the numbers of a point in their order.
pub(super) fn change(nodes: &[Node], held: &mut [Held], by: &mut dyn FnMut(&Node, &mut u64)) {
    for (node, held) in nodes.iter().zip(held) {
        match (held, &node.domain) {
            (Held::Number(number), _) => by(node, number),
            (Held::Items(items), Domain::Repeat { group, .. }) => {
                items.iter_mut().for_each(|item| change(group, item, by));
            }
            _ => {}
        }
    }
}

/// Number of bytes of a parameter's code.
pub(super) fn width(node: &Node) -> usize {
    match node.count() {
        Some(count) => (8 - (count - 1).leading_zeros() as usize / 8).max(1),
        None => 8,
    }
}

/// Reads codes; an error tells which is wrong.
pub(super) fn decode(nodes: &[Node], codes: &[u8]) -> Result<Vec<Held>, String> {
    let mut rest = codes;
    let held = fill(&mut vec![nodes], None, None, &mut |node, _| {
        let Some((bytes, after)) = rest.split_at_checked(width(node)) else {
            return Err(format!("the codes end before '{}'", node.name));
        };
        rest = after;
        let number = bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        node.check(number).map(|()| number)
    })?;
    match rest.len() {
        0 => Ok(held),
        n => Err(format!("{n} codes after the last parameter")),
    }
}

/// Returns the codes of a point: of each parameter that it has the number, as few bytes as its largest
/// number needs, the highest first.
pub(super) fn encode(nodes: &[Node], held: &[Held]) -> Vec<u8> {
    let mut codes = Vec::new();
    visit(nodes, held, &mut |node, number| {
        codes.extend_from_slice(&number.to_be_bytes()[8 - width(node)..]);
    });
    codes
}

/// Draws the value of a parameter uniformly, on the scale that was declared.
pub(super) fn draw(node: &Node, rng: &mut dyn Rng) -> u64 {
    match node.count() {
        Some(count) if !node.is_log() || !matches!(node.domain, Domain::Integer { .. }) => {
            rng.random_range(0..count)
        }
        _ => node.at_unit(rng.random()),
    }
}

/// Share of the changes of ordered values that go to a near one.
const NEAR: f64 = 0.5;
/// Standard deviation of a near change, as a part of the whole range.
const STEP: f64 = 0.1;

/// Draws another value of a parameter that has at least two: a near one or any other.
pub(super) fn changed(node: &Node, number: u64, rng: &mut dyn Rng) -> u64 {
    if node.is_ordered() && rng.random_bool(NEAR) {
        let near = nearby(node, number, rng);
        if near != number {
            return near;
        }
    }
    match node.count() {
        Some(count) => {
            let other = rng.random_range(0..count - 1);
            other + u64::from(other >= number)
        }
        None => {
            let other = draw(node, rng);
            match (other == number, &node.domain) {
                (true, Domain::Float { low, high, .. }) => {
                    let ends = [low, high].map(|x| ordered_bits(*x));
                    if ends[0] == number { ends[1] } else { ends[0] }
                }
                _ => other,
            }
        }
    }
}

fn nearby(node: &Node, number: u64, rng: &mut dyn Rng) -> u64 {
    // The sum of twelve uniform numbers is nearly normal.
    let normal = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    if let (Some(count), false) = (node.count(), node.is_log()) {
        let steps = (normal.abs() * STEP * count as f64).round().max(1.0) as u64;
        return match normal > 0.0 {
            true => number.saturating_add(steps).min(count - 1),
            false => number.saturating_sub(steps),
        };
    }
    let moved = node.at_unit((node.unit(number) + STEP * normal).clamp(0.0, 1.0));
    match node.count() {
        Some(count) if moved == number => match normal > 0.0 {
            true => (number + 1).min(count - 1),
            false => number.saturating_sub(1),
        },
        _ => moved,
    }
}

/// Most values of a parameter that are all neighbours of each other.
const FEW: u64 = 64;

/// Returns the values one step from another one: all others of few, else those a little and those far off
/// on both sides.
pub(super) fn steps(node: &Node, number: u64) -> Vec<u64> {
    let mut all: Vec<u64> = match (node.count(), node.is_ordered()) {
        (Some(count), _) if count <= FEW => (0..count).collect(),
        (Some(count), false) => (0..count).take(FEW as usize).collect(),
        (count, true) => {
            let unit = node.unit(number);
            let moved = [-0.3, -0.1, -0.02, 0.02, 0.1, 0.3].map(|by: f64| unit + by);
            let inside = moved.into_iter().filter(|u| (0.0..=1.0).contains(u));
            let near = count.map(|c| [number.saturating_sub(1), (number + 1).min(c - 1)]);
            inside.map(|u| node.at_unit(u)).chain(near.into_iter().flatten()).collect()
        }
        (None, false) => Vec::new(),
    };
    all.sort_unstable();
    all.dedup();
    all.retain(|&other| other != number);
    all
}

/// Returns the value in the middle.
pub(super) fn middle(node: &Node) -> u64 {
    match (&node.domain, node.count()) {
        (_, Some(count)) => (count - 1) / 2,
        (Domain::Float { .. }, _) => node.at_unit(0.5),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::of_ordered_bits;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_bits_of_floats_are_in_their_order(a: f64, b: f64) {
            prop_assume!(!a.is_nan() && !b.is_nan() && a != 0.0 && b != 0.0);
            prop_assert_eq!(ordered_bits(a).cmp(&ordered_bits(b)), a.total_cmp(&b));
            prop_assert_eq!(of_ordered_bits(ordered_bits(a)).to_bits(), a.to_bits());
        }
    }
}
