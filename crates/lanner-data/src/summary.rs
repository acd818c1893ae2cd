use crate::Table;

/// Summary of the values of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnSummary {
    pub name: String,
    /// Number of rows with a value.
    pub present: usize,
    /// Number of rows without a value.
    pub missing: usize,
    /// Number of distinct values.
    pub distinct: usize,
    /// Minimum; like median and maximum, `NaN` if no row has a value.
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Table {
    /// Summarises each column.
    pub fn describe(&self) -> Vec<ColumnSummary> {
        let summaries = self.names.iter().zip(&self.columns).map(|(name, column)| {
            let mut values: Vec<f64> = column.iter().copied().filter(|v| !v.is_nan()).collect();
            values.sort_unstable_by(f64::total_cmp);
            let n = values.len();
            let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
            let (low, high) = (at(n.saturating_sub(1) / 2), at(n / 2));
            ColumnSummary {
                name: name.clone(),
                present: n,
                missing: column.len() - n,
                distinct: usize::from(n > 0) + values.windows(2).filter(|w| w[0] != w[1]).count(),
                min: at(0),
                // Halved before they are added: the sum of two large values may not be finite.
                median: if low == high { low } else { low / 2.0 + high / 2.0 },
                max: at(n.saturating_sub(1)),
            }
        });
        summaries.collect()
    }
}

#[cfg(test)]
mod tests {
    use lanner_space::Space;

    use super::*;

    #[test]
    fn columns_are_summarised_without_what_is_missing() {
        let space = Space::NasBench201;
        let archs = (0..5).map(|i| space.at(i).unwrap()).collect();
        let columns = vec![vec![3., 1., f64::NAN, 2., 2.], vec![f64::NAN; 5]];
        let table = Table::new(space, archs, vec!["a".into(), "b".into()], columns).unwrap();
        let [a, b] = &table.describe()[..] else { panic!() };
        assert_eq!((a.present, a.missing, a.distinct), (4, 1, 3));
        assert_eq!((a.min, a.median, a.max), (1., 2., 3.));
        assert_eq!((b.present, b.missing, b.distinct), (0, 5, 0));
        assert!(b.min.is_nan() && b.median.is_nan() && b.max.is_nan());
    }
}
