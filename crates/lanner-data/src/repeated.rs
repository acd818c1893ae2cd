//! Merges rows of one architecture.

use std::collections::HashMap;

use lanner_space::{Architecture, Space};

use crate::{
    DataError,
    error::shown,
    rows::{ParsedRows, TextColumn},
    table::agree,
};

impl ParsedRows<'_> {
    /// Merges each repeated architecture into its first row; values that disagree are an error.
    ///
    /// NAS-Bench-101 is an exception: one cell may be in a table as several matrices, each trained
    /// with values of its own. Their mean is the cell's value.
    pub fn merge(&mut self, space: &Space) -> Result<(), DataError> {
        if space.repeats_rows() {
            self.average();
            return Ok(());
        }
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
                            "{} again, as in {}, but '{name}' is {b} here and {a} there{}",
                            space.print(arch),
                            self.at(earlier),
                            self.difference(row, earlier)
                        ),
                    });
                }
                if a.is_nan() {
                    column[earlier] = b;
                }
            }
        }
        self.keep(&kept);
        Ok(())
    }

    /// Hint for a message: the column by which two rows of an architecture can be told apart.
    fn difference(&self, here: usize, there: usize) -> String {
        let told = self.texts.iter().find_map(|l| Some((l, l.difference(here, there)?)));
        let Some((column, (here, there))) = told else {
            return "; keep one of them, or their mean".into();
        };
        let (name, here, there) = (&column.name, shown(here), shown(there));
        format!(
            "; they differ in '{name}', {here} and {there}: `lanner import csv --rows {name}={here}` takes \
             the rows of one"
        )
    }

    /// Merges each repeated architecture into its first row, with the means of the values present, and
    /// notes how far they were apart.
    fn average(&mut self) {
        let mut rows_of: HashMap<&Architecture, Vec<usize>> = HashMap::new();
        let mut kept = Vec::with_capacity(self.archs.len());
        for (row, arch) in self.archs.iter().enumerate() {
            let rows = rows_of.entry(arch).or_default();
            if rows.is_empty() {
                kept.push(row);
            }
            rows.push(row);
        }
        let mut repeated: Vec<&Vec<usize>> =
            rows_of.values().filter(|rows| rows.len() > 1).collect();
        repeated.sort_unstable();
        self.report.notes.extend(self.disagreement(&repeated));
        for rows in repeated {
            for column in &mut self.columns {
                let values = rows.iter().map(|&r| column[r]).filter(|v| !v.is_nan());
                let (sum, count) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
                column[rows[0]] = if count > 0.0 { sum / count } else { f64::NAN };
            }
        }
        self.keep(&kept);
    }

    /// Says how many architectures have rows with different values, and how far apart these are at most;
    /// none if all agree. `repeated` has the rows of each architecture with several.
    fn disagreement(&self, repeated: &[&Vec<usize>]) -> Option<String> {
        const NAMED: usize = 3;
        /// Largest distance of two values in a column, and their rows.
        type Widest = (f64, [usize; 2]);
        let mut widest: Vec<Option<Widest>> = vec![None; self.names.len()];
        let mut disagree = 0;
        for rows in repeated {
            let mut agree = true;
            for (column, widest) in self.columns.iter().zip(&mut widest) {
                let present = || rows.iter().copied().filter(|&r| !column[r].is_nan());
                let by_value = |a: &usize, b: &usize| column[*a].total_cmp(&column[*b]);
                let ends = (present().min_by(by_value), present().max_by(by_value));
                let (Some(low), Some(high)) = ends else { continue };
                let apart = column[high] - column[low];
                agree &= apart == 0.0;
                if apart > widest.map_or(0.0, |w| w.0) {
                    *widest = Some((apart, [low.min(high), low.max(high)]));
                }
            }
            disagree += usize::from(!agree);
        }
        let apart = self.names.iter().zip(&self.columns).zip(&widest);
        let mut named: Vec<String> = apart
            .filter_map(|((name, column), widest)| {
                let [a, b] = (*widest)?.1;
                let (from, to) = (column[a], column[b]);
                let text = format!("'{name}' {from} and {to} ({}, {})", self.at(a), self.at(b));
                Some(text + &self.told_apart(a, b))
            })
            .collect();
        let others = named.len().saturating_sub(NAMED);
        named.truncate(NAMED);
        if others > 0 {
            named.push(format!("{others} other columns"));
        }
        (disagree > 0).then(|| {
            let of = if disagree == 1 { "1 architecture" } else { &format!("{disagree} architectures") };
            format!(
                "{}: rows of {of} disagree, and count as repetitions of one measurement: the means are \
                 taken; the farthest apart in their columns are {}",
                self.path.display(),
                named.join(", ")
            )
        })
    }

    /// Names the column of texts that tells two rows apart.
    fn told_apart(&self, a: usize, b: usize) -> String {
        let differ = |text: &&TextColumn| text.difference(a, b).is_some();
        let column = self.texts.iter().find(differ);
        column.map(|column| format!(", which differ in '{}' too", column.name)).unwrap_or_default()
    }

    /// Removes all rows but these, into which the others were merged.
    fn keep(&mut self, rows: &[usize]) {
        self.report.merged = self.archs.len() - rows.len();
        if self.report.merged > 0 {
            self.archs = rows.iter().map(|&r| self.archs[r].clone()).collect();
            for column in &mut self.columns {
                *column = rows.iter().map(|&r| column[r]).collect();
            }
        }
    }
}
