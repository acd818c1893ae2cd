//! The text form: canonical JSON.

use std::fmt::Write;

use super::node::{Domain, Node};
use super::point::{Held, Scope, repeats};
use crate::literal::Literal;
use crate::parameters::Value;

/// Prints a point: its parameters in the declared order, without spaces.
pub(super) fn print(nodes: &[Node], held: &[Held], out: &mut String) {
    out.push('{');
    for (node, held) in nodes.iter().zip(held) {
        if *held == Held::Absent {
            continue;
        }
        if !out.ends_with('{') {
            out.push(',');
        }
        let _ = write!(out, "\"{}\":", node.name);
        match (held, &node.domain) {
            (Held::Number(number), _) => {
                let _ = write!(out, "{}", node.value(*number));
            }
            (Held::Items(items), Domain::Repeat { group, .. }) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    print(group, item, out);
                }
                out.push(']');
            }
            _ => {}
        }
    }
    out.push('}');
}

/// Reads a point; names may be in any order. `at` says where in the text this is.
pub(super) fn read(
    groups: &mut Vec<&[Node]>,
    outer: Option<&Scope>,
    at: &str,
    literal: &Literal,
) -> Result<Vec<Held>, String> {
    let nodes = groups[groups.len() - 1];
    let Literal::Named(pairs) = literal else {
        let what = if at.is_empty() { "parameters" } else { at };
        return Err(format!("{what}: expected {{\"name\": value, …}}"));
    };
    if let Some((name, _)) = pairs.iter().find(|p| nodes.iter().all(|n| n.name != p.0)) {
        let known: Vec<&str> = nodes.iter().take(20).map(|n| n.name.as_str()).collect();
        return Err(format!("{at}there is no parameter '{name}', only {}", known.join(", ")));
    }
    let mut held: Vec<Held> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let scope = Scope { held: &held, outer };
        let exists = node.exists(|of| scope.number(of));
        let new = match (exists, literal.get(&node.name)) {
            (false, None) => Held::Absent,
            (false, Some(_)) => {
                return Err(format!("{at}'{}' is there, but its condition is not met", node.name));
            }
            (true, None) => return Err(format!("{at}'{}' is missing", node.name)),
            (true, Some(literal)) => match &node.domain {
                Domain::Repeat { length, group, .. } => {
                    let count = repeats(*length, groups, scope.number(*length));
                    let Some(items) = literal.list() else {
                        return Err(format!("{at}'{}': expected a list", node.name));
                    };
                    if items.len() != count {
                        return Err(format!(
                            "{at}'{}' has {} items, expected {count}",
                            node.name,
                            items.len()
                        ));
                    }
                    groups.push(group);
                    let item = |(i, item): (usize, &Literal)| {
                        let at = format!("{at}{} {}: ", node.name, i + 1);
                        read(groups, Some(&scope), &at, item)
                    };
                    let items = items.iter().enumerate().map(item).collect::<Result<_, _>>();
                    groups.pop();
                    Held::Items(items?)
                }
                _ => {
                    let value = value(literal)
                        .ok_or_else(|| format!("{at}'{}': expected {}", node.name, node.domain))?;
                    Held::Number(node.number(&value).map_err(|why| format!("{at}{why}"))?)
                }
            },
        };
        held.push(new);
    }
    Ok(held)
}

fn value(literal: &Literal) -> Option<Value> {
    Some(match literal {
        Literal::Int(i) => Value::Integer(*i),
        Literal::Float(x) => Value::Number(*x),
        Literal::Bool(b) => Value::Bool(*b),
        Literal::Text(text) => Value::Text(text.clone()),
        Literal::List(_) | Literal::Named(_) => return None,
    })
}
