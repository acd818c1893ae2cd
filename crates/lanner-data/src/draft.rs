//! What CSV and Parquet share: rows as they stand in a file become a [`Table`].

use std::{collections::HashMap, path::Path};

use lanner_space::{Architecture, Space, SpaceError};

use crate::{
    DataError, Table,
    error::shown,
    table::{ARCH_NAMES, INDEX_NAMES, agree, check_name, check_value},
};

/// What reading a table met, beyond the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// The column that held the architecture.
    pub arch_column: String,
    /// The rows of the file, before merging.
    pub rows: usize,
    /// The rows that repeated an earlier one with the same values, and were merged with it.
    pub merged: usize,
    /// The cells of the table without a value.
    pub missing: usize,
    /// The columns that are not metrics: text, without a name, or the architecture once more.
    pub skipped: Vec<String>,
}

/// The column of a header that holds the architecture, by its name.
pub(crate) fn find_arch_column(
    path: &Path,
    space: &Space,
    header: &[String],
) -> Result<usize, DataError> {
    let index_names = match space {
        Space::NasBench201 => &INDEX_NAMES[..],
        // Elsewhere an index is a file's own numbering, not a published order.
        _ => &[],
    };
    ARCH_NAMES
        .iter()
        .chain(index_names)
        .find_map(|n| header.iter().position(|h| h.eq_ignore_ascii_case(n)))
        .ok_or_else(|| {
            let wanted: Vec<&str> = ARCH_NAMES.iter().chain(index_names).copied().collect();
            let header: Vec<String> = header.iter().take(12).map(|h| shown(h)).collect();
            DataError::file(
                path,
                format!(
                    "no column holds the architecture; expected one called {}, found: {}",
                    wanted.join(", "),
                    header.join(", ")
                ),
            )
        })
}

/// Reads the architecture of a row from the column of that name.
pub(crate) fn parse_arch(
    space: &Space,
    column: &str,
    text: &str,
) -> Result<Architecture, SpaceError> {
    if !INDEX_NAMES.iter().any(|n| column.eq_ignore_ascii_case(n)) {
        return space.parse(text);
    }
    match text.trim().parse::<u128>() {
        Ok(index) => space.at(index),
        Err(_) => Err(SpaceError::Text {
            space: space.name().into(),
            text: shown(text),
            why: format!("expected an index, 0 to {}", space.size() - 1),
        }),
    }
}

/// The rows of a file, architectures parsed, duplicates still there.
pub(crate) struct Draft<'a> {
    pub path: &'a Path,
    /// "line" or "row": what `places` counts.
    pub unit: &'static str,
    pub places: Vec<u64>,
    pub archs: Vec<Architecture>,
    pub names: Vec<String>,
    pub columns: Vec<Vec<f64>>,
    pub report: ReadReport,
}

impl Draft<'_> {
    /// Merges duplicate rows, checks names and values.
    pub fn finish(mut self, space: &Space) -> Result<(Table, ReadReport), DataError> {
        if self.archs.is_empty() {
            return Err(DataError::file(self.path, "a header, but no row below it"));
        }
        for (i, name) in self.names.iter().enumerate() {
            let why = match check_name(name) {
                Ok(()) if !self.names[..i].contains(name) => continue,
                Ok(()) => format!("two columns are called '{name}'"),
                Err(why) => why,
            };
            return Err(DataError::file(self.path, why));
        }
        for (name, column) in self.names.iter().zip(&self.columns) {
            for (row, &value) in column.iter().enumerate() {
                if let Err(expected) = check_value(name, value) {
                    return Err(DataError::Cell {
                        path: self.path.into(),
                        at: self.at(row),
                        column: name.clone(),
                        value: value.to_string(),
                        expected: expected.into(),
                    });
                }
            }
        }
        self.report.rows = self.archs.len();
        self.merge(space)?;
        self.report.missing = self.columns.iter().flatten().filter(|v| v.is_nan()).count();
        let table = Table::new(space.clone(), self.archs, self.names, self.columns)
            .map_err(|e| DataError::file(self.path, e.to_string()))?;
        Ok((table, self.report))
    }

    fn at(&self, row: usize) -> String {
        format!("{} {}", self.unit, self.places[row])
    }

    /// Folds each repeated architecture into its first row; values that disagree are an error.
    fn merge(&mut self, space: &Space) -> Result<(), DataError> {
        let mut first: HashMap<&Architecture, usize> = HashMap::with_capacity(self.archs.len());
        let mut kept = Vec::with_capacity(self.archs.len());
        for (row, arch) in self.archs.iter().enumerate() {
            let earlier = *first.entry(arch).or_insert(row);
            if earlier == row {
                kept.push(row);
                continue;
            }
            for (name, column) in self.names.iter().zip(&mut self.columns) {
                let (a, b) = (column[earlier], column[row]);
                if !agree(a, b) {
                    return Err(DataError::Row {
                        path: self.path.into(),
                        at: self.at(row),
                        why: format!(
                            "{} again, as in {}, but '{name}' is {b} here and {a} there",
                            space.print(arch),
                            self.at(earlier)
                        ),
                    });
                }
                if a.is_nan() {
                    column[earlier] = b;
                }
            }
        }
        self.report.merged = self.archs.len() - kept.len();
        if self.report.merged > 0 {
            self.archs = kept.iter().map(|&r| self.archs[r].clone()).collect();
            for column in &mut self.columns {
                *column = kept.iter().map(|&r| column[r]).collect();
            }
        }
        Ok(())
    }
}
