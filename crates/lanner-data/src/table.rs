use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use lanner_space::{Architecture, Space};

use crate::DataError;

/// Names of the column with the architecture as text, in order of preference.
pub(crate) const ARCH_NAMES: [&str; 5] = ["arch", "arch_str", "architecture", "ops", "genotype"];
/// Names of the column with the architecture's published index.
pub(crate) const INDEX_NAMES: [&str; 2] = ["idx", "index"];
/// Largest length of a metric's name, bytes.
const LONGEST_NAME: usize = 1000;
/// Suffix of the name of a latency in milliseconds.
pub(crate) const MS: &str = "_ms";

/// Table of architectures × named metrics.
///
/// `NaN` is a missing value and nothing else: files have an empty cell there. Every column is as long as `archs`, and no architecture or name occurs twice.
/// [`Table::new`] checks that; code that changes the fields must keep it so.
#[derive(Debug, Clone)]
pub struct Table {
    /// Search space of the architectures.
    pub space: Space,
    /// Architecture of each row.
    pub archs: Vec<Architecture>,
    /// Name of each column's metric. Names of latencies end in `_ms`, their unit is milliseconds.
    pub names: Vec<String>,
    /// Values, `columns[column][row]`.
    pub columns: Vec<Vec<f64>>,
    index: OnceLock<HashMap<Architecture, usize>>,
    /// Columns of the file that hold text: name, and the first text with its place.
    pub(crate) text_columns: Vec<(String, String)>,
}

impl Table {
    /// Makes a table from its parts.
    ///
    /// # Errors
    /// When a part does not fit: a column of another length, an architecture twice or of another
    /// space, a name twice or unusable, an infinite value, or a latency (`*_ms`) that is not positive.
    pub fn new(
        space: Space,
        archs: Vec<Architecture>,
        names: Vec<String>,
        columns: Vec<Vec<f64>>,
    ) -> Result<Table, DataError> {
        let wrong = |why: String| Err(DataError::Table(why));
        if names.len() != columns.len() {
            return wrong(format!("{} names for {} columns", names.len(), columns.len()));
        }
        let mut seen = HashSet::new();
        for name in &names {
            if let Err(why) = check_name(name) {
                return wrong(why);
            }
            if !seen.insert(name.as_str()) {
                return wrong(format!("two columns are called '{name}'"));
            }
        }
        let mut seen = HashSet::with_capacity(archs.len());
        for arch in &archs {
            space.check(arch)?;
            if !seen.insert(arch) {
                let arch = space.print(arch);
                return wrong(format!("two rows are of {arch}: keep one, or the mean of them"));
            }
        }
        for (name, column) in names.iter().zip(&columns) {
            if column.len() != archs.len() {
                return wrong(format!(
                    "column '{name}' has {} values for {} architectures",
                    column.len(),
                    archs.len()
                ));
            }
            for (arch, &value) in archs.iter().zip(column) {
                if let Err(expected) = check_value(name, value) {
                    let arch = space.print(arch);
                    return wrong(format!("column '{name}' at {arch}: {value} is not {expected}"));
                }
            }
        }
        let (index, text_columns) = (OnceLock::new(), Vec::new());
        Ok(Table { space, archs, names, columns, index, text_columns })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.archs.len()
    }

    /// Whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.archs.is_empty()
    }

    /// Values of a metric, one a row, `NaN` where missing. The error lists the names of the table, the
    /// most similar first.
    pub fn column(&self, name: &str) -> Result<&[f64], DataError> {
        match self.names.iter().position(|n| n == name) {
            Some(i) => Ok(&self.columns[i]),
            None => {
                if let Some((name, first)) = self.text_columns.iter().find(|(n, _)| n == name) {
                    let (column, first) = (name.clone(), first.clone());
                    return Err(DataError::NoNumbers { column, first });
                }
                let mut known = self.names.clone();
                known.sort_by_cached_key(|n| distance(name, n));
                Err(DataError::NoColumn { name: name.into(), known })
            }
        }
    }

    /// Row of an architecture, if the table has it.
    pub fn row_of(&self, arch: &Architecture) -> Option<usize> {
        let index = self
            .index
            .get_or_init(|| self.archs.iter().cloned().enumerate().map(|(i, a)| (a, i)).collect());
        match index.get(arch) {
            Some(&row) if self.archs.get(row) == Some(arch) => Some(row),
            // The fields are public, and may have changed since the index was made.
            _ => self.archs.iter().position(|a| a == arch),
        }
    }

    /// Value of a metric for an architecture, if there is one.
    pub fn value(&self, name: &str, arch: &Architecture) -> Result<Option<f64>, DataError> {
        let column = self.column(name)?;
        Ok(self.row_of(arch).map(|row| column[row]).filter(|v| !v.is_nan()))
    }

    /// Makes a table of some of the rows, in the order given. A row that does not exist, or is listed
    /// twice, is an error.
    pub fn select(&self, rows: &[usize]) -> Result<Table, DataError> {
        let mut taken = vec![false; self.len()];
        for &row in rows {
            match taken.get_mut(row) {
                None => {
                    return Err(DataError::Table(format!(
                        "there is no row {row}: the table has {}",
                        self.len()
                    )));
                }
                Some(true) => return Err(DataError::Table(format!("row {row} is selected twice"))),
                Some(t) => *t = true,
            }
        }
        Ok(Table {
            space: self.space.clone(),
            archs: rows.iter().map(|&r| self.archs[r].clone()).collect(),
            names: self.names.clone(),
            columns: self.columns.iter().map(|c| rows.iter().map(|&r| c[r]).collect()).collect(),
            index: OnceLock::new(),
            text_columns: self.text_columns.clone(),
        })
    }

    /// Joins all rows and columns of both tables: the rows of `self`, then those that only `other`
    /// has. Values are missing where neither table has them. A column of both is filled from both;
    /// values that disagree are an error.
    pub fn join(&self, other: &Table) -> Result<Table, DataError> {
        if self.space != other.space {
            return Err(DataError::Table(format!(
                "a table of {} and one of {} cannot be joined",
                self.space, other.space
            )));
        }
        let mut row_of: HashMap<&Architecture, usize> =
            self.archs.iter().enumerate().map(|(i, a)| (a, i)).collect();
        let mut archs = self.archs.clone();
        let mut rows = Vec::with_capacity(other.len());
        for arch in &other.archs {
            rows.push(*row_of.entry(arch).or_insert_with(|| {
                archs.push(arch.clone());
                archs.len() - 1
            }));
        }
        let mut names = self.names.clone();
        let mut columns = self.columns.clone();
        for column in &mut columns {
            column.resize(archs.len(), f64::NAN);
        }
        for (name, theirs) in other.names.iter().zip(&other.columns) {
            let at = names.iter().position(|n| n == name).unwrap_or_else(|| {
                names.push(name.clone());
                columns.push(vec![f64::NAN; archs.len()]);
                columns.len() - 1
            });
            for (&row, &value) in rows.iter().zip(theirs) {
                let mine = &mut columns[at][row];
                if !agree(*mine, value) {
                    return Err(DataError::Table(format!(
                        "the tables disagree on '{name}' of {}: {mine} and {value}",
                        self.space.print(&archs[row])
                    )));
                }
                if mine.is_nan() {
                    *mine = value;
                }
            }
        }
        let (space, index) = (self.space.clone(), OnceLock::new());
        Ok(Table { space, archs, names, columns, index, text_columns: Vec::new() })
    }
}

/// Whether two values agree; a missing one agrees with everything.
pub(crate) fn agree(a: f64, b: f64) -> bool {
    a.is_nan() || b.is_nan() || a == b
}

/// Checks that a metric may have a name: a file with it must read back.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err("a column without a name".into())
    } else if name.len() > LONGEST_NAME {
        Err(format!("a column name of {} bytes, expected at most {LONGEST_NAME}", name.len()))
    } else if name.trim() != name || name.chars().any(char::is_control) {
        Err(format!("the column name {name:?} has blanks around it or control characters in it"))
    } else if is_arch_name(name) {
        Err(format!("a metric cannot be called '{name}', which names the architecture"))
    } else {
        Ok(())
    }
}

pub(crate) fn is_arch_name(name: &str) -> bool {
    let named = |n: &&str| name.eq_ignore_ascii_case(n);
    ARCH_NAMES.iter().chain(&INDEX_NAMES).any(named)
}

/// Checks a value; the error says what was expected. Missing (`NaN`) is fine.
pub(crate) fn check_value(name: &str, value: f64) -> Result<(), &'static str> {
    if value.is_infinite() {
        Err("a finite number")
    } else if name.ends_with(MS) && value <= 0.0 {
        Err("a latency, which is more than 0 milliseconds")
    } else {
        Ok(())
    }
}

/// Edit distance of two names, at most 2 if `name` contains the one that was sought.
fn distance(sought: &str, name: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (sought.to_lowercase().chars().collect(), name.to_lowercase().chars().collect());
    // Long enough for names; the cost grows with the square of the length.
    let (a, b) = (&a[..a.len().min(200)], &b[..b.len().min(200)]);
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    let edits = row[b.len()];
    match !sought.is_empty() && name.to_lowercase().contains(&sought.to_lowercase()) {
        true => edits.min(2),
        false => edits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arch(digits: &str) -> Architecture {
        Space::NasBench201.parse(digits).unwrap()
    }

    fn table(rows: &[&str], name: &str, values: &[f64]) -> Result<Table, DataError> {
        let archs = rows.iter().map(|r| arch(r)).collect();
        Table::new(Space::NasBench201, archs, vec![name.into()], vec![values.to_vec()])
    }

    #[test]
    fn parts_that_do_not_fit_are_told() {
        for (result, says) in [
            (table(&["000000"], "a", &[]), "column 'a' has 0 values for 1 architectures"),
            (table(&["000000", "000000"], "a", &[1., 1.]), "two rows are of |none~0|"),
            (table(&["000000"], "a_ms", &[0.]), "0 is not a latency"),
            (table(&["000000"], "a_ms", &[-2.]), "-2 is not a latency"),
            (table(&["000000"], "a", &[f64::INFINITY]), "inf is not a finite number"),
            (table(&["000000"], " a", &[1.]), "blanks"),
            (table(&["000000"], "Arch", &[1.]), "names the architecture"),
        ] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
        let wrong = Architecture::new([0, 0, 0, 0, 0, 9]);
        assert!(Table::new(Space::NasBench201, vec![wrong], vec![], vec![]).is_err());
    }

    #[test]
    fn an_unknown_column_brings_the_closest_names() {
        let mut t = table(&["000000"], "latency_ms", &[1.]).unwrap();
        t.names.push("params".into());
        t.columns.push(vec![2.]);
        let message = t.column("param").unwrap_err().to_string();
        assert_eq!(message, "no column 'param'; there are: params, latency_ms");
        let message = t.column("latnecy_ms").unwrap_err().to_string();
        assert_eq!(message, "no column 'latnecy_ms'; there are: latency_ms, params");
    }

    #[test]
    fn join_keeps_all_rows_and_fills_shared_columns() {
        let a = table(&["000000", "111111"], "x", &[1., f64::NAN]).unwrap();
        let b = table(&["111111", "222222"], "x", &[2., 3.]).unwrap();
        let both = a.join(&b).unwrap();
        assert_eq!(both.columns, [[1., 2., 3.]]);
        assert_eq!(both.row_of(&arch("222222")), Some(2));
        assert_eq!(both.row_of(&arch("333333")), None);
        let c = table(&["111111"], "y", &[7.]).unwrap();
        let three = both.join(&c).unwrap();
        assert_eq!(three.value("y", &arch("111111")).unwrap(), Some(7.));
        assert_eq!(three.value("y", &arch("000000")).unwrap(), None);
        let d = table(&["222222"], "x", &[4.]).unwrap();
        let message = both.join(&d).unwrap_err().to_string();
        assert!(message.contains("disagree on 'x'") && message.contains("3 and 4"), "{message}");
    }

    #[test]
    fn select_reorders_and_refuses_what_is_not_there() {
        let t = table(&["000000", "111111"], "x", &[1., 2.]).unwrap();
        assert_eq!(t.select(&[1, 0]).unwrap().columns, [[2., 1.]]);
        assert!(t.select(&[2]).unwrap_err().to_string().contains("no row 2"));
        assert!(t.select(&[0, 0]).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn the_index_follows_changed_fields() {
        let mut t = table(&["000000", "111111"], "x", &[1., 2.]).unwrap();
        assert_eq!(t.row_of(&arch("111111")), Some(1));
        t.archs.swap(0, 1);
        assert_eq!(t.row_of(&arch("111111")), Some(0));
        t.archs[0] = arch("222222");
        assert_eq!(t.row_of(&arch("222222")), Some(0));
        assert_eq!(t.row_of(&arch("111111")), None);
    }
}
