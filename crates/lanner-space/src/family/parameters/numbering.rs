//! The number of points of a space of parameters, and a number for each of them.
//!
//! Parameters that no condition and no length links are chosen independently, so that their counts
//! multiply. Those that are linked are a *component*. Its *cases* are the combinations of values of
//! parameters on which others depend, as far as they make a difference; in one case, the rest is
//! independent again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::node::{Domain, Node, Ref};
use super::point::{Held, repeats};

/// Largest number of digits, over all cases, of a space that is counted.
const MOST_DIGITS: usize = 500_000;
/// Largest number of parameters with classes in a case.
const MOST_LINKED: usize = 200;
/// Largest product of the values that conditions name of a parameter and of their sets.
const MOST_NAMED: usize = 1 << 22;

/// Numbers the points of a group of parameters.
#[derive(Debug)]
pub(super) struct Numbering {
    components: Vec<Component>,
    pub size: u128,
}

#[derive(Debug)]
struct Component {
    /// Positions in the group, ascending, with the classes of values of those on which others depend.
    nodes: Vec<(usize, Vec<Class>)>,
    cases: Vec<Case>,
    /// The place of a case by the classes of its parameters; `None` where one does not exist.
    places: HashMap<Vec<Option<usize>>, usize>,
    size: u128,
}

#[derive(Debug)]
struct Case {
    digits: Vec<Digit>,
    /// Number of points in the cases before it.
    before: u128,
}

/// Choice of a parameter in a case.
#[derive(Debug, Clone)]
enum Digit {
    Absent,
    Any(u64),
    Of(Class),
    Items(usize, Arc<Numbering>),
}

/// Values that make the same difference.
#[derive(Debug, Clone, PartialEq)]
enum Class {
    /// These numbers, ascending.
    Only(Vec<u64>),
    /// All below a count except these, ascending.
    Others(u64, Vec<u64>),
}

impl Class {
    fn size(&self) -> u64 {
        match self {
            Class::Only(numbers) => numbers.len() as u64,
            Class::Others(count, except) => count - except.len() as u64,
        }
    }

    fn at(&self, place: u64) -> u64 {
        match self {
            Class::Only(numbers) => numbers[place as usize],
            Class::Others(_, except) => {
                except.iter().fold(place, |number, &e| number + u64::from(e <= number))
            }
        }
    }

    fn place(&self, number: u64) -> Option<u64> {
        match self {
            Class::Only(numbers) => numbers.binary_search(&number).ok().map(|at| at as u64),
            Class::Others(count, except) => match except.binary_search(&number) {
                Err(before) if number < *count => Some(number - before as u64),
                _ => None,
            },
        }
    }
}

/// Sets of numbers of a parameter that conditions name, and whether it is the length of a repeat.
#[derive(Debug, Clone, Default)]
struct Uses {
    sets: Vec<Vec<u64>>,
    is_length: bool,
}

/// Adds what `nodes` depend on of the parameters of a group, `depth` groups farther out.
fn uses(nodes: &[Node], depth: usize, of: &mut dyn FnMut(usize, Option<&[u64]>)) {
    for node in nodes {
        for condition in node.when.iter().filter(|c| c.of.up == depth) {
            of(condition.of.node, Some(&condition.numbers));
        }
        if let Domain::Repeat { length, group, .. } = &node.domain {
            if length.up == depth {
                of(length.node, None);
            }
            uses(group, depth + 1, of);
        }
    }
}

/// Returns the classes of a parameter's values; none if nothing depends on it, `None` if that is too much
/// to tell.
fn classes(node: &Node, mut uses: Uses) -> Option<Vec<Class>> {
    let Some(count) = node.count() else { return Some(Vec::new()) };
    if uses.is_length {
        return Some((0..count).map(|n| Class::Only(vec![n])).collect());
    }
    if uses.sets.is_empty() {
        return Some(Vec::new());
    }
    uses.sets.sort_unstable();
    uses.sets.dedup();
    let mut named: Vec<u64> = uses.sets.concat();
    named.sort_unstable();
    named.dedup();
    if named.len().saturating_mul(uses.sets.len()) > MOST_NAMED {
        return None;
    }
    // In the order of their first numbers.
    let mut groups: Vec<Vec<u64>> = Vec::new();
    let mut places: HashMap<Vec<bool>, usize> = HashMap::new();
    for &number in &named {
        let key: Vec<bool> =
            uses.sets.iter().map(|set| set.binary_search(&number).is_ok()).collect();
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(number),
            None => groups.push(vec![number]),
        }
    }
    let others = Class::Others(count, named);
    let rest = (others.size() > 0).then_some(others);
    Some(groups.into_iter().map(Class::Only).chain(rest).collect())
}

/// Numbers that the parameters of the groups around have, where they make a difference.
type Known = Vec<Vec<Option<u64>>>;

fn known(scopes: &Known, of: Ref) -> Option<u64> {
    let at = scopes.len().checked_sub(1 + of.up)?;
    *scopes[at].get(of.node)?
}

/// Makes numberings, as long as there are not too many cases.
pub(super) struct Counter {
    digits: usize,
}

impl Counter {
    pub fn new() -> Counter {
        Counter { digits: 0 }
    }

    /// Numbers the points of the innermost group; `None` if there are 2^128 or more, infinitely many, or
    /// too many cases.
    pub fn number(&mut self, groups: &mut Vec<&[Node]>, scopes: &mut Known) -> Option<Numbering> {
        let nodes = groups[groups.len() - 1];
        let mut of = vec![Uses::default(); nodes.len()];
        // The first parameter of each component stands for it.
        let mut first: Vec<usize> = (0..nodes.len()).collect();
        for (i, node) in nodes.iter().enumerate() {
            let mut linked = HashSet::new();
            uses(std::slice::from_ref(node), 0, &mut |on, numbers| {
                linked.insert(on);
                match numbers {
                    Some(numbers) => of[on].sets.push(numbers.to_vec()),
                    None => of[on].is_length = true,
                }
            });
            for on in linked {
                let (a, b) = (first[on], first[i]);
                let (to, from) = (a.min(b), a.max(b));
                first.iter_mut().filter(|f| **f == from).for_each(|f| *f = to);
            }
        }
        let mut components = Vec::new();
        let mut size = 1u128;
        for head in (0..nodes.len()).filter(|&i| first[i] == i) {
            let members: Vec<(usize, Vec<Class>)> = (0..nodes.len())
                .filter(|&i| first[i] == head)
                .map(|i| Some((i, classes(&nodes[i], std::mem::take(&mut of[i]))?)))
                .collect::<Option<_>>()?;
            let component = self.component(groups, scopes, members)?;
            size = size.checked_mul(component.size)?;
            components.push(component);
        }
        Some(Numbering { components, size })
    }

    fn component(
        &mut self,
        groups: &mut Vec<&[Node]>,
        scopes: &mut Known,
        nodes: Vec<(usize, Vec<Class>)>,
    ) -> Option<Component> {
        let mut component = Component { nodes, cases: Vec::new(), places: HashMap::new(), size: 0 };
        scopes.push(vec![None; groups[groups.len() - 1].len()]);
        let done = self.cases(groups, scopes, &mut component, &mut Vec::new(), &mut Vec::new());
        scopes.pop();
        done.map(|()| component)
    }

    /// Adds all cases that go on from the first parameters' digits.
    fn cases(
        &mut self,
        groups: &mut Vec<&[Node]>,
        scopes: &mut Known,
        component: &mut Component,
        digits: &mut Vec<Digit>,
        chosen: &mut Vec<Option<usize>>,
    ) -> Option<()> {
        let (start, innermost) = (digits.len(), scopes.len() - 1);
        while let Some((at, classes)) = component.nodes.get(digits.len()) {
            let (at, node) = (*at, &groups[groups.len() - 1][*at]);
            let digit = if !node.exists(|of| known(scopes, of)) {
                scopes[innermost][at] = None;
                Digit::Absent
            } else if let Domain::Repeat { length, group, .. } = &node.domain {
                let count = repeats(*length, groups, known(scopes, *length));
                groups.push(group);
                let items = self.number(groups, scopes);
                groups.pop();
                Digit::Items(count, Arc::new(items?))
            } else if classes.is_empty() {
                Digit::Any(node.count()?)
            } else {
                if chosen.iter().flatten().count() == MOST_LINKED {
                    return None;
                }
                for (i, class) in classes.clone().into_iter().enumerate() {
                    scopes[innermost][at] = Some(class.at(0));
                    digits.push(Digit::Of(class));
                    chosen.push(Some(i));
                    self.cases(groups, scopes, component, digits, chosen)?;
                    digits.pop();
                    chosen.pop();
                }
                scopes[innermost][at] = None;
                digits.truncate(start);
                chosen.truncate(start);
                return Some(());
            };
            digits.push(digit);
            chosen.push(None);
        }
        self.digits += digits.len();
        if self.digits > MOST_DIGITS {
            return None;
        }
        let size = digits.iter().try_fold(1u128, |all, digit| all.checked_mul(digit.size()?))?;
        component.places.insert(chosen.clone(), component.cases.len());
        component.cases.push(Case { digits: digits.clone(), before: component.size });
        component.size = component.size.checked_add(size)?;
        digits.truncate(start);
        chosen.truncate(start);
        Some(())
    }
}

impl Digit {
    fn size(&self) -> Option<u128> {
        match self {
            Digit::Absent => Some(1),
            Digit::Any(count) => Some((*count).into()),
            Digit::Of(class) => Some(class.size().into()),
            Digit::Items(count, of) => of.size.checked_pow(u32::try_from(*count).ok()?),
        }
    }

    /// Takes what it chooses off an index.
    fn take(&self, nodes: &[Node], at: usize, index: &mut u128) -> Held {
        let mut rest = |size: u128| {
            let digit = *index % size;
            *index /= size;
            digit
        };
        match self {
            Digit::Absent => Held::Absent,
            Digit::Any(count) => Held::Number(rest((*count).into()) as u64),
            Digit::Of(class) => Held::Number(class.at(rest(class.size().into()) as u64)),
            Digit::Items(count, of) => {
                let Domain::Repeat { group, .. } = &nodes[at].domain else { return Held::Absent };
                let mut items: Vec<Vec<Held>> =
                    (0..*count).map(|_| of.at(group, rest(of.size))).collect();
                items.reverse();
                Held::Items(items)
            }
        }
    }

    /// Adds what a point has to an index.
    fn add(&self, nodes: &[Node], at: usize, held: &Held, index: u128) -> Option<u128> {
        Some(match (self, held) {
            (Digit::Absent, _) => index,
            (Digit::Any(count), Held::Number(n)) => index * u128::from(*count) + u128::from(*n),
            (Digit::Of(class), Held::Number(n)) => {
                index * u128::from(class.size()) + u128::from(class.place(*n)?)
            }
            (Digit::Items(_, of), Held::Items(items)) => {
                let Domain::Repeat { group, .. } = &nodes[at].domain else { return None };
                let item = |index: u128, item: &Vec<Held>| {
                    Some(index * of.size + of.index_of(group, item)?)
                };
                items.iter().try_fold(index, item)?
            }
            _ => return None,
        })
    }
}

impl Numbering {
    /// Returns the point with an index below the size: a digit a component, the last one the fastest; in
    /// a component the cases one after the other, in a case again a digit a parameter.
    pub fn at(&self, nodes: &[Node], mut index: u128) -> Vec<Held> {
        let mut held = vec![Held::Absent; nodes.len()];
        for component in self.components.iter().rev() {
            let digit = index % component.size;
            index /= component.size;
            let place = component.cases.partition_point(|case| case.before <= digit) - 1;
            let case = &component.cases[place];
            let mut rest = digit - case.before;
            for ((at, _), digit) in component.nodes.iter().zip(&case.digits).rev() {
                held[*at] = digit.take(nodes, *at, &mut rest);
            }
        }
        held
    }

    /// Returns the index of a point, the inverse of [`Numbering::at`].
    pub fn index_of(&self, nodes: &[Node], held: &[Held]) -> Option<u128> {
        self.components.iter().try_fold(0u128, |index, component| {
            let class = |(at, classes): &(usize, Vec<Class>)| match &held[*at] {
                Held::Number(n) => classes.iter().position(|class| class.place(*n).is_some()),
                _ => None,
            };
            let key: Vec<Option<usize>> = component.nodes.iter().map(class).collect();
            let case = &component.cases[*component.places.get(&key)?];
            let digits = component.nodes.iter().zip(&case.digits);
            let within = digits.into_iter().try_fold(0u128, |index, ((at, _), digit)| {
                digit.add(nodes, *at, &held[*at], index)
            })?;
            Some(index * component.size + case.before + within)
        })
    }
}
