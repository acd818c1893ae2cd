//! Latencies that a table has of a few networks only: learnt from these and from the table's other devices.

use std::sync::Arc;

use lanner_data::{Table, tells_latency};
use lanner_predict::latency::adapted::{AdaptedLatency, DeviceTable};
use lanner_predict::reference;

use super::Run;
use crate::SearchError;

/// Least number of values of another device, as a multiple of those of the device itself.
const MANY_MORE: usize = 4;

impl Run {
    /// Learns each limited latency, or rate such as images a second, that is known of a few networks from them and from the columns of other
    /// devices in the same table, if these have many more values.
    pub(super) fn learn_with_other_devices(&mut self) -> Result<(), SearchError> {
        let mut learnt = Vec::new();
        for (metric, table, column) in self.partial() {
            let count = |c: usize| table.columns[c].iter().filter(|v| v.is_finite()).count();
            let (name, own) = (&table.names[column], count(column));
            let others = (0..table.names.len()).filter(|&c| {
                c != column && tells_latency(&table.names[c]) && count(c) >= MANY_MORE * own
            });
            let others: Vec<usize> = others.collect();
            if !tells_latency(name) || others.is_empty() {
                continue;
            }
            let target = DeviceTable::named(metric, table, name)?;
            let columns = others.iter().map(|&c| table.columns[c].clone()).collect();
            let names = others.iter().map(|&c| table.names[c].clone()).collect();
            let (space, archs) = (table.space.clone(), table.archs.clone());
            let sources = Table::new(space, archs, names, columns)?;
            let sources = DeviceTable::new(metric, &sources, None)?;
            let pool = reference(self.study.space(), &table.archs);
            // Too few values for it are still enough for a process of their own.
            if let Ok(adapted) = AdaptedLatency::from_tables(pool, &target, &[sources], None) {
                learnt.push((metric.to_string(), adapted));
            }
        }
        for (metric, adapted) in learnt {
            self.devices.push((metric.clone(), adapted.sources().len()));
            self.study.set_adapted(&metric, Box::new(adapted));
        }
        Ok(())
    }

    /// Returns the looked-up metrics that are known of less than half of the candidates.
    fn partial(&self) -> impl Iterator<Item = (&str, &Arc<Table>, usize)> {
        let candidates = match self.evaluator.listed() {
            Some(listed) => listed.len() as u128,
            None => self.study.space().size(),
        };
        self.measuring.columns.sources().filter(move |(_, table, column)| {
            let known = table.columns[*column].iter().filter(|v| v.is_finite()).count();
            (known as u128) < candidates / 2
        })
    }

    /// Says which looked-up metrics are predicted for most networks, one sentence each.
    pub fn partial_tables(&self) -> Vec<String> {
        let note = |(metric, table, column): (&str, &Arc<Table>, usize)| {
            let known = table.columns[column].iter().filter(|v| v.is_finite()).count();
            let devices = match self.devices.iter().find(|d| d.0 == metric) {
                Some((_, count)) => format!(" and from {count} other devices of its table"),
                None => String::new(),
            };
            format!(
                "{metric} is known of {known} networks; that of others is predicted from them{devices}, \
                 and is within a limit where this is 95 % sure"
            )
        };
        self.partial().map(note).collect()
    }
}
