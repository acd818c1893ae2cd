//! Checks the rows of a file, merges repeated ones, and makes a [`Table`], for CSV and Parquet alike.

use std::{collections::HashSet, path::Path};

use lanner_space::{Architecture, Space, SpaceError};

use crate::{
    DataError, Table,
    error::shown,
    import::format_of,
    metric::is_proxy,
    table::{ARCH_NAMES, INDEX_NAMES, check_name, check_value},
};

/// Report on the reading of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// The column that held the architecture.
    pub arch_column: String,
    /// Number of rows in the file, before merging.
    pub rows: usize,
    /// Number of rows that were merged with an earlier one of the same architecture and values. In
    /// NAS-Bench-101, where several matrices are one cell, values may differ: the mean is taken, and a
    /// note tells by how much.
    pub merged: usize,
    /// Number of cells of the table without a value.
    pub missing: usize,
    /// Columns that are not metrics: text, columns without a name, the architecture in another form.
    pub skipped: Vec<String>,
    /// Sentences about cells that have no number, such as `nan` of a training that diverged, and about
    /// rows of one architecture that disagree.
    pub notes: Vec<String>,
}

/// Size of the value that stands for a proxy which could not be computed, in NAS-Bench-Suite-Zero and
/// what is made of it.
const FAILED_PROXY: f64 = 1e8;

/// Finds the column that holds the architecture: the first with a name for it whose cell in the first
/// row is one, else the only one with such a cell. `first` is empty if there is no row.
pub(crate) fn find_arch_column(
    path: &Path,
    space: &Space,
    header: &[String],
    first: &[String],
) -> Result<usize, DataError> {
    let index_names = match space.has_published_order() {
        true => &INDEX_NAMES[..],
        // Elsewhere an index is a file's own numbering.
        false => &[],
    };
    let called = |names: &[&str]| -> Vec<usize> {
        let places =
            names.iter().filter_map(|n| header.iter().position(|h| h.eq_ignore_ascii_case(n)));
        places.collect()
    };
    let (texts, indices) = (called(&ARCH_NAMES), called(index_names));
    let parses = |column: usize| {
        let cell = first.get(column).filter(|cell| !cell.is_empty());
        cell.is_some_and(|cell| parse_arch(space, &header[column], cell).is_ok())
    };
    if let Some(found) = texts.iter().copied().find(|c| parses(*c)) {
        return Ok(found);
    }
    // A number is no sign of an architecture.
    let is_text = |column: &usize| first[*column].parse::<f64>().is_err() && parses(*column);
    let others: Vec<usize> = (0..header.len().min(first.len())).filter(is_text).collect();
    if let [one] = others[..] {
        return Ok(one);
    }
    if others.len() > 1 {
        let names: Vec<&str> = others.iter().take(12).map(|c| header[*c].as_str()).collect();
        let names = names.join(", ");
        let why = format!("several columns hold architectures: {names}; call the right one 'arch'");
        return Err(DataError::file(path, why));
    }
    // Where no cell is right, the message is about the one that should be.
    if let Some(first) = texts.iter().chain(&indices).next() {
        return Ok(*first);
    }
    if let Some(why) = other_separator(path, header) {
        return Err(DataError::file(path, why));
    }
    if let Some(format) = format_of(header) {
        let why = format!(
            "the architecture is in several columns; `lanner import {format} {} --out FILE.csv` makes a \
             table of it",
            path.display()
        );
        return Err(DataError::file(path, why));
    }
    let wanted: Vec<&str> = ARCH_NAMES.iter().chain(index_names).copied().collect();
    let header: Vec<String> = header.iter().take(12).map(|h| shown(h)).collect();
    Err(DataError::file(
        path,
        format!(
            "no column holds the architecture; expected one called {}, found: {}",
            wanted.join(", "),
            header.join(", ")
        ),
    ))
}

/// Says how to convert a file whose fields are separated otherwise than by commas; `None` if they are not.
pub(crate) fn other_separator(path: &Path, header: &[String]) -> Option<String> {
    let [only] = header else { return None };
    let separator = [';', '\t'].into_iter().find(|c| only.contains(*c))?;
    let comma = if separator == ';' { ", decimal=','" } else { "" };
    let path = path.display();
    Some(format!(
        "fields are separated by {separator:?}, expected commas, and points in numbers; pandas converts it: \
         pd.read_csv('{path}', sep={separator:?}{comma}).to_csv('commas.csv', index=False)"
    ))
}

/// Tells whether a text is a number but for its decimal comma.
pub(crate) fn has_decimal_comma(text: &str) -> bool {
    text.matches(',').count() == 1 && text.replace(',', ".").parse::<f64>().is_ok()
}

/// Recognises a column that numbers the rows, which would be taken for the architectures' own numbers.
#[derive(Debug, Default)]
pub(crate) struct RowNumbers {
    rows: u128,
    /// Largest number; none once a cell is not a plain number.
    largest: Option<u128>,
    has_text: bool,
}

impl RowNumbers {
    pub fn see(&mut self, cell: &str) {
        self.rows += 1;
        match cell.parse::<u128>() {
            // Digits of codes begin with zeros.
            Ok(n) if cell.len() == 1 || !cell.starts_with('0') => {
                self.largest = self.largest.max(Some(n));
            }
            _ => self.has_text = true,
        }
    }

    /// Refuses numbers that are as small as those of rows, some of which may have been left out: random
    /// architectures of the space have larger ones. A list of the whole space has all numbers.
    pub fn check(&self, path: &Path, space: &Space, column: &str) -> Result<(), DataError> {
        let Some(largest) = self.largest.filter(|_| !self.has_text && self.rows >= 3) else {
            return Ok(());
        };
        let of_rows =
            largest < self.rows || (largest < 4 * self.rows && 64 * self.rows < space.size());
        if !of_rows || self.rows >= space.size() {
            return Ok(());
        }
        Err(DataError::file(
            path,
            format!(
                "the column '{column}' has the numbers of rows, up to {largest}, and would be taken for \
                 the numbers of {space}'s architectures; leave it out, and give their texts in a column \
                 'arch', or name the space that the table is of"
            ),
        ))
    }
}

/// Parses the architecture of a row: a text of the space or, in a column of indices, its index.
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

/// A column with few distinct texts, such as the name of the data set that a row belongs to.
#[derive(Debug, Default)]
pub(crate) struct TextColumn {
    pub name: String,
    /// Distinct texts in the order of their rows.
    texts: Vec<String>,
    /// First text that is not empty, and its row.
    pub first: Option<(usize, String)>,
    rows: usize,
    /// Index of each row's text; none once there are more than [`TextColumn::MAX_TEXTS`].
    numbers: Option<Vec<u8>>,
}

impl TextColumn {
    const MAX_TEXTS: usize = 64;

    pub fn new(name: &str) -> TextColumn {
        TextColumn { name: name.into(), numbers: Some(Vec::new()), ..TextColumn::default() }
    }

    pub fn push(&mut self, text: &str) {
        if self.first.is_none() && !text.is_empty() {
            self.first = Some((self.rows, shown(text)));
        }
        self.rows += 1;
        let Some(numbers) = &mut self.numbers else { return };
        let number = self.texts.iter().position(|t| t == text).unwrap_or(self.texts.len());
        if number == TextColumn::MAX_TEXTS {
            self.numbers = None;
            return;
        }
        if number == self.texts.len() {
            self.texts.push(text.into());
        }
        numbers.push(number as u8);
    }

    /// The texts of two rows, if they differ.
    pub fn difference(&self, a: usize, b: usize) -> Option<(&str, &str)> {
        let numbers = self.numbers.as_ref()?;
        let text = |row: usize| self.texts.get(usize::from(*numbers.get(row)?)).map(String::as_str);
        let (a, b) = (text(a)?, text(b)?);
        (a != b).then_some((a, b))
    }
}

/// Rows of a file with parsed architectures, before duplicates are merged.
pub(crate) struct ParsedRows<'a> {
    pub path: &'a Path,
    /// Unit of `places`: "line" or "row".
    pub unit: &'static str,
    pub places: Vec<u64>,
    pub archs: Vec<Architecture>,
    pub names: Vec<String>,
    pub columns: Vec<Vec<f64>>,
    /// Columns of text, which tell rows of one architecture apart.
    pub texts: Vec<TextColumn>,
    pub report: ReadReport,
}

impl ParsedRows<'_> {
    /// Checks names and values, merges duplicate rows, and makes the table.
    pub fn finish(mut self, space: &Space) -> Result<(Table, ReadReport), DataError> {
        if self.archs.is_empty() {
            return Err(DataError::file(
                self.path,
                "a header, but no row below it; expected one row for each architecture",
            ));
        }
        let mut seen = HashSet::new();
        for name in &self.names {
            let why = match check_name(name) {
                Ok(()) if seen.insert(name) => continue,
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
        self.leave_out_failed_proxies();
        let first = |column: &TextColumn| {
            let (row, text) = column.first.as_ref()?;
            Some((
                column.name.clone(),
                format!("'{text}' ({}, {})", self.path.display(), self.at(*row)),
            ))
        };
        let text_columns = self.texts.iter().filter_map(first).collect();
        self.report.rows = self.archs.len();
        self.merge(space)?;
        self.report.missing = self.columns.iter().flatten().filter(|v| v.is_nan()).count();
        let mut table = Table::new(space.clone(), self.archs, self.names, self.columns)
            .map_err(|e| DataError::file(self.path, e.to_string()))?;
        table.text_columns = text_columns;
        Ok((table, self.report))
    }

    pub fn at(&self, row: usize) -> String {
        format!("{} {}", self.unit, self.places[row])
    }

    /// Removes the values that stand for proxies which failed, and notes it.
    fn leave_out_failed_proxies(&mut self) {
        for c in (0..self.names.len()).filter(|&c| is_proxy(&self.names[c])) {
            let is_failed = |row: &usize| self.columns[c][*row].abs() == FAILED_PROXY;
            let failed: Vec<usize> = (0..self.archs.len()).filter(is_failed).collect();
            let Some(&first) = failed.first() else { continue };
            self.report.notes.push(format!(
                "{}, column '{}': {} left out as {} that failed (±1e8), the first in {}",
                self.path.display(),
                self.names[c],
                if failed.len() == 1 {
                    "1 cell is".into()
                } else {
                    format!("{} cells are", failed.len())
                },
                if failed.len() == 1 { "a proxy" } else { "proxies" },
                self.at(first)
            ));
            failed.iter().for_each(|&row| self.columns[c][row] = f64::NAN);
        }
    }
}
