//! A space of parameters as a checked tree.

use std::fmt;

use crate::parameters::{Parameter, Value};

/// Largest number of parameters, with every repeat at its greatest length.
pub(super) const MOST: u64 = 4096;
/// Largest number of repeats inside each other.
const DEPTH: usize = 3;
/// Largest number of values of a choice.
const MOST_VALUES: usize = 1000;

/// A parameter of a space, or a repeated group of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub name: String,
    pub domain: Domain,
    /// All of them must hold for the parameter to exist.
    pub(super) when: Vec<Condition>,
    /// Whether the network depends on it.
    pub network: bool,
}

/// The values of a parameter, numbered from 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// `low`, `low + step`, …
    Integer { low: i64, step: u64, count: u64, log: bool },
    /// The number of a value are its bits, in an order that is that of the values.
    Float { low: f64, high: f64, log: bool },
    /// Ordered values are in ascending order.
    Choice { values: Vec<Value>, ordered: bool, log: bool },
    /// A group of parameters, `most` times at most.
    Repeat { length: Ref, group: Vec<Node>, most: u64 },
}

/// Refers to a parameter that was declared before, `up` groups farther out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ref {
    pub(super) up: usize,
    pub(super) node: usize,
}

/// Holds if a parameter has one of the values with these numbers, ascending.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub(super) of: Ref,
    pub(super) numbers: Vec<u64>,
}

/// Says which declared parameter is wrong, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wrong {
    /// Position of the parameter in its group, for each group from the outermost.
    pub path: Vec<usize>,
    pub why: String,
}

/// Brings the bits of a float into the order of the numbers.
pub(super) fn ordered_bits(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Returns the float of [`ordered_bits`].
pub(super) fn of_ordered_bits(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

impl Node {
    /// Returns the number of values; `None` for floats and repeats.
    pub fn count(&self) -> Option<u64> {
        match &self.domain {
            Domain::Integer { count, .. } => Some(*count),
            Domain::Choice { values, .. } => Some(values.len() as u64),
            Domain::Float { .. } | Domain::Repeat { .. } => None,
        }
    }

    /// Tells whether the parameter may be missing by a condition of its own.
    pub fn is_conditional(&self) -> bool {
        !self.when.is_empty()
    }

    /// Tells whether there is anything to choose.
    pub(super) fn is_free(&self) -> bool {
        self.count() != Some(1) && !matches!(self.domain, Domain::Repeat { .. })
    }

    /// Tells whether values are in an order, so that [`Node::unit`] means something.
    pub fn is_ordered(&self) -> bool {
        !matches!(self.domain, Domain::Choice { ordered: false, .. } | Domain::Repeat { .. })
    }

    /// Returns the value with a number.
    pub fn value(&self, number: u64) -> Value {
        match &self.domain {
            Domain::Integer { low, step, .. } => Value::Integer(integer(*low, *step, number)),
            Domain::Float { .. } => Value::Number(of_ordered_bits(number)),
            Domain::Choice { values, .. } => values[number as usize].clone(),
            Domain::Repeat { .. } => unreachable!("a repeat has items"),
        }
    }

    /// Returns the number of a value, or says what was expected.
    pub(super) fn number(&self, value: &Value) -> Result<u64, String> {
        let found = match (&self.domain, value) {
            (Domain::Integer { low, step, count, .. }, _) => {
                let whole = match value {
                    Value::Integer(i) => Some(*i),
                    Value::Number(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(*x as i64),
                    _ => None,
                };
                whole
                    .and_then(|i| u64::try_from(i128::from(i) - i128::from(*low)).ok())
                    .filter(|d| d % step == 0 && d / step < *count)
                    .map(|d| d / step)
            }
            (Domain::Float { low, high, .. }, _) => {
                let inside = value.number().filter(|x| (*low..=*high).contains(x));
                // There is one zero.
                inside.map(|x| ordered_bits(x + 0.0))
            }
            (Domain::Choice { values, .. }, _) => {
                values.iter().position(|v| v.is(value)).map(|at| at as u64)
            }
            (Domain::Repeat { .. }, _) => None,
        };
        found.ok_or_else(|| format!("{value} of '{}', expected {}", self.name, self.domain))
    }

    /// Says why a number is none of a value's.
    pub(super) fn check(&self, number: u64) -> Result<(), String> {
        let fits = match (&self.domain, self.count()) {
            (_, Some(count)) => number < count,
            (Domain::Float { low, high, .. }, _) => {
                let x = of_ordered_bits(number);
                (*low..=*high).contains(&x) && ordered_bits(x + 0.0) == number
            }
            _ => false,
        };
        match fits {
            true => Ok(()),
            false => Err(format!("number {number} of '{}', expected {}", self.name, self.domain)),
        }
    }

    /// Returns where the value of a number lies between the smallest and the largest one, from 0 to 1: on
    /// the scale of its logarithms where that was declared, by its rank where values are texts.
    pub fn unit(&self, number: u64) -> f64 {
        let (x, low, high) = match &self.domain {
            Domain::Integer { low, step, count, .. } => {
                let value = |n| integer(*low, *step, n) as f64;
                (value(number), value(0), value(count - 1))
            }
            Domain::Float { low, high, .. } => (of_ordered_bits(number), *low, *high),
            Domain::Choice { values, .. } => {
                let all: Option<Vec<f64>> = values.iter().map(Value::number).collect();
                match all {
                    Some(all) => (all[number as usize], all[0], all[all.len() - 1]),
                    None => (number as f64, 0.0, (values.len() - 1) as f64),
                }
            }
            Domain::Repeat { .. } => return 0.0,
        };
        match self.is_log() {
            _ if high == low => 0.5,
            true => (x / low).ln() / (high / low).ln(),
            // Halves, since the difference of two finite numbers may be infinite.
            false => (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
        }
    }

    pub(super) fn is_log(&self) -> bool {
        match self.domain {
            Domain::Integer { log, .. } | Domain::Float { log, .. } => log,
            Domain::Choice { log, .. } => log,
            Domain::Repeat { .. } => false,
        }
    }

    /// Returns the number whose value is nearest to a place from 0 to 1, see [`Node::unit`]; of choices
    /// by rank.
    pub(super) fn at_unit(&self, unit: f64) -> u64 {
        let between = |low: f64, high: f64, log: bool| match log {
            true => low * (high / low).powf(unit),
            false => low * (1.0 - unit) + high * unit,
        };
        match &self.domain {
            Domain::Integer { low, step, count, log } => {
                let last = count - 1;
                if !log {
                    return ((unit * *count as f64) as u64).min(last);
                }
                // Each number has the logarithms from half a step below to half a step above it.
                let high = integer(*low, *step, last) as f64;
                let x = between(*low as f64 - 0.5, high + 0.5, true).round();
                ((x - *low as f64).max(0.0) as u64).min(last)
            }
            Domain::Float { low, high, log } => {
                // Five digits are enough to search by, and short to read.
                let x = between(*low, *high, *log);
                let short = format!("{x:.4e}").parse().unwrap_or(x);
                ordered_bits(short.clamp(*low, *high) + 0.0)
            }
            Domain::Choice { values, .. } => {
                ((unit * values.len() as f64) as u64).min(values.len() as u64 - 1)
            }
            Domain::Repeat { .. } => 0,
        }
    }
}

/// Returns the whole number `low + step · number`, which fits.
fn integer(low: i64, step: u64, number: u64) -> i64 {
    (i128::from(low) + i128::from(step) * i128::from(number)) as i64
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Integer { low, step, count, .. } => {
                write!(f, "a whole number from {low} to {}", integer(*low, *step, count - 1))?;
                if *step > 1 { write!(f, " in steps of {step}") } else { Ok(()) }
            }
            Domain::Float { low, high, .. } => write!(f, "a number from {low:?} to {high:?}"),
            Domain::Choice { values, .. } => {
                let shown: Vec<String> = values.iter().take(20).map(Value::to_string).collect();
                let more = if values.len() > 20 { ", …" } else { "" };
                write!(f, "one of {}{more}", shown.join(", "))
            }
            Domain::Repeat { .. } => f.write_str("a list of groups of parameters"),
        }
    }
}

/// Checks declared parameters and makes their tree.
pub(super) fn tree(parameters: &[Parameter]) -> Result<Vec<Node>, Wrong> {
    let mut maker = Maker { scopes: Vec::new(), path: Vec::new() };
    let nodes = maker.group(parameters)?;
    if total(&nodes) == 0 {
        return Err(Wrong { path: vec![], why: "no parameter: the space would be empty".into() });
    }
    if !nodes.iter().any(has_choice) {
        let why = "nothing to choose: every parameter has one value only".into();
        return Err(Wrong { path: vec![], why });
    }
    Ok(nodes)
}

fn has_choice(node: &Node) -> bool {
    match &node.domain {
        Domain::Repeat { group, .. } => group.iter().any(has_choice),
        _ => node.is_free(),
    }
}

/// Returns the number of parameters with every repeat at its greatest length.
fn total(nodes: &[Node]) -> u64 {
    let of = |node: &Node| match &node.domain {
        Domain::Repeat { group, most, .. } => most.saturating_mul(total(group)),
        _ => 1,
    };
    nodes.iter().fold(0, |sum: u64, node| sum.saturating_add(of(node)))
}

struct Maker<'a> {
    /// The groups around, from the outermost: what was declared, and what of it is made.
    scopes: Vec<(&'a [Parameter], Vec<Node>)>,
    path: Vec<usize>,
}

impl<'a> Maker<'a> {
    fn group(&mut self, parameters: &'a [Parameter]) -> Result<Vec<Node>, Wrong> {
        let repeats = self.scopes.len();
        if repeats > DEPTH {
            return self.wrong(format!("more than {DEPTH} repeats inside each other"));
        }
        if parameters.len() as u64 > MOST {
            return self.wrong(format!("{} parameters, at most {MOST}", parameters.len()));
        }
        self.scopes.push((parameters, Vec::new()));
        for (i, parameter) in parameters.iter().enumerate() {
            self.path.push(i);
            let node = self.node(parameter)?;
            self.path.pop();
            self.scopes[repeats].1.push(node);
        }
        let nodes = self.scopes.pop().map(|scope| scope.1).unwrap_or_default();
        match total(&nodes) {
            0..=MOST => Ok(nodes),
            u64::MAX => self.wrong(format!("far more than {MOST} parameters")),
            n => self
                .wrong(format!("{n} parameters with every repeat at its longest, at most {MOST}")),
        }
    }

    fn wrong<T>(&self, why: impl Into<String>) -> Result<T, Wrong> {
        let mut names: Vec<&str> = Vec::new();
        for (&at, (parameters, _)) in self.path.iter().zip(&self.scopes) {
            names.extend(parameters.get(at).map(|p| p.name.as_str()));
        }
        let why = match names.is_empty() {
            true => why.into(),
            false => format!("parameter '{}': {}", names.join("."), why.into()),
        };
        Err(Wrong { path: self.path.clone(), why })
    }

    fn node(&mut self, p: &'a Parameter) -> Result<Node, Wrong> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if p.name.is_empty() {
            return self.wrong("the name is empty");
        }
        if !p.name.chars().all(fits) || p.name.len() > 64 {
            return self.wrong(
                "the name has other characters than letters, digits, _ and -, or more than 64",
            );
        }
        let before = &self.scopes[self.scopes.len() - 1].1;
        if before.iter().any(|node| node.name == p.name) {
            return self.wrong("the name is there twice");
        }
        let when = self.conditions(p)?;
        let kinds =
            [p.integer.is_some(), p.float.is_some(), p.choice.is_some(), p.repeat.is_some()];
        if kinds.iter().filter(|&&k| k).count() != 1 {
            return self.wrong("expected one of integer, float, choice and repeat");
        }
        let none = |is: bool, key: &str, of: &str| match is {
            true => self.wrong(format!("'{key}' is of {of} only")),
            false => Ok(()),
        };
        none(p.step.is_some() && p.integer.is_none(), "step", "an integer")?;
        none(p.ordered.is_some() && p.choice.is_none(), "ordered", "a choice")?;
        none(p.log && p.repeat.is_some(), "log", "numbers")?;
        none(!p.parameter.is_empty() && p.repeat.is_none(), "parameter", "a repeat")?;
        let domain = match p {
            Parameter { integer: Some(bounds), .. } => self.integer(p, *bounds)?,
            Parameter { float: Some(bounds), .. } => self.float(p, *bounds)?,
            Parameter { choice: Some(values), .. } => self.choice(p, values)?,
            Parameter { repeat: Some(length), .. } => self.repeat(p, length)?,
            _ => unreachable!("counted above"),
        };
        Ok(Node { name: p.name.clone(), domain, when, network: p.network })
    }

    fn integer(&self, p: &Parameter, [low, high]: [i64; 2]) -> Result<Domain, Wrong> {
        let step = p.step.unwrap_or(1);
        if low > high {
            return self.wrong(format!("bounds {low} to {high} are reversed"));
        }
        if step < 1 {
            return self.wrong(format!("a step of {step}, expected at least 1"));
        }
        if p.log && low < 1 {
            return self.wrong(format!("a logarithm from {low} on, expected bounds above 0"));
        }
        if p.log && step != 1 {
            return self.wrong(format!("a step of {step} and log: one of them only"));
        }
        let steps = (i128::from(high) - i128::from(low)) / i128::from(step);
        let Ok(count) = u64::try_from(steps + 1) else {
            return self.wrong(format!("bounds {low} to {high} are too far apart"));
        };
        Ok(Domain::Integer { low, step: step as u64, count, log: p.log })
    }

    fn float(&self, p: &Parameter, [low, high]: [f64; 2]) -> Result<Domain, Wrong> {
        if !low.is_finite() || !high.is_finite() {
            return self.wrong(format!("bounds {low:?} to {high:?}, expected finite numbers"));
        }
        if low >= high {
            let what = if low == high { "equal: use a choice" } else { "reversed" };
            return self.wrong(format!("bounds {low:?} to {high:?} are {what}"));
        }
        if p.log && low <= 0.0 {
            return self.wrong(format!("a logarithm from {low:?} on, expected bounds above 0"));
        }
        if p.log && !(high / low).is_finite() {
            return self.wrong(format!("bounds {low:?} to {high:?} are too far apart"));
        }
        Ok(Domain::Float { low: low + 0.0, high: high + 0.0, log: p.log })
    }

    fn choice(&self, p: &Parameter, values: &[Value]) -> Result<Domain, Wrong> {
        match values.len() {
            0 => return self.wrong("no choice at all: the space would be empty"),
            n if n > MOST_VALUES => {
                return self.wrong(format!("{n} values, at most {MOST_VALUES}"));
            }
            _ => {}
        }
        for (i, value) in values.iter().enumerate() {
            match value {
                Value::Number(x) if !x.is_finite() => {
                    return self.wrong(format!("the value {x:?}, expected finite numbers"));
                }
                Value::Text(text) if text.len() > 200 => {
                    return self.wrong(format!("a text of {} bytes, at most 200", text.len()));
                }
                _ => {}
            }
            if values[..i].iter().any(|v| v.is(value)) {
                return self.wrong(format!("the value {value} twice"));
            }
        }
        let numbers: Option<Vec<f64>> = values.iter().map(Value::number).collect();
        let ordered = p.ordered.unwrap_or(numbers.is_some());
        if p.log && (!ordered || numbers.as_ref().is_none_or(|all| all.iter().any(|x| *x <= 0.0))) {
            return self.wrong("log, expected ordered numbers above 0");
        }
        let mut values: Vec<Value> = values.to_vec();
        for value in &mut values {
            // There is one zero.
            if let Value::Number(x) = value {
                *x += 0.0;
            }
        }
        if ordered && numbers.is_some() {
            let number = |v: &Value| v.number().unwrap_or(0.0);
            values.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        Ok(Domain::Choice { values, ordered, log: p.log })
    }

    fn repeat(&mut self, p: &'a Parameter, length: &str) -> Result<Domain, Wrong> {
        let (of, node) = self.earlier(length, "the length of a repeat")?;
        let whole = |value: &Value| match value {
            Value::Integer(i) => u64::try_from(*i).ok(),
            _ => None,
        };
        let most = match &node.domain {
            Domain::Integer { low, count, .. } if *low >= 0 => whole(&node.value(count - 1)),
            Domain::Choice { values, .. } => {
                let all: Option<Vec<u64>> = values.iter().map(whole).collect();
                all.and_then(|all| all.into_iter().max())
            }
            _ => None,
        };
        let Some(most) = most else {
            let what = &node.domain;
            return self.wrong(format!(
                "the length '{length}' is {what}, expected a whole number that is never below 0"
            ));
        };
        if p.parameter.is_empty() {
            return self.wrong("a repeat needs a group of parameters: 'parameter' is missing");
        }
        if most > MOST {
            return self.wrong(format!("repeated up to {most} times, at most {MOST}"));
        }
        Ok(Domain::Repeat { length: of, group: self.group(&p.parameter)?, most })
    }

    /// Finds a parameter that was declared before, in this group or in one around it.
    fn earlier(&self, name: &str, what: &str) -> Result<(Ref, &Node), Wrong> {
        for (up, (_, nodes)) in self.scopes.iter().rev().enumerate() {
            if let Some(node) = nodes.iter().position(|n| n.name == name) {
                return Ok((Ref { up, node }, &nodes[node]));
            }
        }
        let is_later = self.scopes.iter().any(|(all, _)| all.iter().any(|p| p.name == name));
        self.wrong(match is_later {
            true => format!("'{name}' is not declared before it; {what} is an earlier parameter"),
            false => format!("there is no parameter '{name}'; {what} is an earlier parameter"),
        })
    }

    fn conditions(&self, p: &Parameter) -> Result<Vec<Condition>, Wrong> {
        let one = |(name, values): (&String, &crate::parameters::Values)| {
            let (of, node) = self.earlier(name, "a condition's")?;
            if node.count().is_none() {
                let is = &node.domain;
                return self.wrong(format!(
                    "a condition on '{name}', {is}; expected an integer or a choice"
                ));
            }
            if values.all().is_empty() {
                return self.wrong(format!("a condition on '{name}' without a value"));
            }
            let numbers = values.all().iter().map(|value| node.number(value));
            let mut numbers = match numbers.collect::<Result<Vec<u64>, String>>() {
                Ok(numbers) => numbers,
                Err(why) => return self.wrong(format!("a condition on {why}")),
            };
            numbers.sort_unstable();
            numbers.dedup();
            Ok(Condition { of, numbers })
        };
        p.when.iter().map(one).collect()
    }
}
