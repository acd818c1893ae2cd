//! Refuses limits that no network of a table keeps, before anything is evaluated.

use lanner_space::{Architecture, Space};

use super::columns::Columns;
use crate::{Limit, SearchError};

/// Checks that a network may be within all limits whose metrics are looked up. `searched` are the networks
/// of a table that is searched; without them, a table tells only if it has all networks of the space.
///
/// # Errors
/// No network is within them; the message names the nearest one.
pub(super) fn check(
    limits: &[Limit],
    columns: &Columns,
    space: &Space,
    searched: &[Architecture],
) -> Result<(), SearchError> {
    let is_known = |limit: &&Limit| {
        columns
            .table(&limit.metric)
            .is_some_and(|(table, _)| !searched.is_empty() || table.len() as u128 == space.size())
    };
    let limits: Vec<&Limit> = limits.iter().filter(is_known).collect();
    let Some((table, _)) = limits.first().and_then(|l| columns.table(&l.metric)) else {
        return Ok(());
    };
    let networks = if searched.is_empty() { &table.archs } else { searched };
    let value = |limit: &Limit, arch: &Architecture| {
        let (table, column) = columns.table(&limit.metric)?;
        table.row_of(arch).map(|row| table.columns[column][row]).filter(|v| v.is_finite())
    };
    // A network without a value may be predicted to be within.
    let over = |limit: &Limit, arch: &Architecture| match value(limit, arch) {
        Some(value) if !limit.holds(value) => {
            (value - limit.value()).abs() / limit.value().abs().max(f64::MIN_POSITIVE)
        }
        _ => 0.0,
    };
    // Each limit alone, then all.
    let alone = limits.iter().map(std::slice::from_ref);
    for some in alone.chain([&limits[..]]) {
        let mut nearest: Option<(f64, &Architecture)> = None;
        for arch in networks {
            let excess = some.iter().map(|limit| over(limit, arch)).fold(0.0, f64::max);
            if nearest.is_none_or(|n| excess < n.0) {
                nearest = Some((excess, arch));
            }
            if excess == 0.0 {
                break;
            }
        }
        let Some((_, arch)) = nearest.filter(|n| n.0 > 0.0) else { continue };
        let text = |limit: &&Limit| Some(format!("{} {}", limit.metric, value(limit, arch)?));
        let mut values: Vec<String> = some.iter().filter_map(text).collect();
        values.dedup();
        let named: Vec<String> = some.iter().map(ToString::to_string).collect();
        return Err(SearchError::Setting {
            name: "limit",
            value: named.join(", "),
            why: format!(
                "none of the {} networks of the table is within; the nearest has {}: {}",
                networks.len(),
                values.join(", "),
                space.print(arch)
            ),
        });
    }
    Ok(())
}
