//! Formats values of a metric with the digits and units that the field uses.

use crate::text::{grouped, number};

/// Units at the end of names that are written behind values.
const UNITS: [&str; 9] = ["mJ", "uJ", "J", "Wh", "mW", "W", "MB", "kB", "GB"];

/// Format of one metric's values, the same for all, so that their decimal points align in a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unit {
    /// `%`, `ms`, `M` (million), `MB`, `s` or nothing.
    pub word: &'static str,
    /// Factor from a value to the number that is written.
    pub scale: f64,
    decimals: usize,
}

impl Unit {
    /// Chooses the format by the metric's name and values: accuracies in percent get two decimals,
    /// parameters and operations are in millions, whole numbers stay whole, and other values get so
    /// many decimals that the median has four digits.
    pub fn of(metric: &str, values: impl IntoIterator<Item = f64>) -> Unit {
        let mut all: Vec<f64> =
            values.into_iter().filter(|v| v.is_finite()).map(f64::abs).collect();
        all.sort_by(f64::total_cmp);
        let (median, largest) = match all[..] {
            [] => (1.0, 1.0),
            _ => (all[all.len() / 2], all[all.len() - 1]),
        };
        let (word, scale) = match metric {
            m if m.contains("accuracy") && largest > 1.0 => ("%", 1.0),
            m if m.ends_with("_ms") => ("ms", 1.0),
            "params" | "flops" | "macs" if largest >= 1e6 => ("M", 1e-6),
            m if m.contains("memory") && largest >= 1e6 => ("MB", 1e-6),
            "seconds" => ("s", 1.0),
            m if m.ends_with("_seconds") => ("s", 1.0),
            m => {
                let ends = |unit: &&str| m.strip_suffix(*unit).is_some_and(|m| m.ends_with('_'));
                (UNITS.into_iter().find(ends).unwrap_or_default(), 1.0)
            }
        };
        let decimals = match word {
            "%" => 2,
            "" if metric.contains("accuracy") => 4,
            "" if all.iter().all(|v| v.fract() == 0.0) => 0,
            "M" => decimals(largest * scale, 4).clamp(2, 3),
            _ => decimals(median * scale, 4),
        };
        Unit { word, scale, decimals }
    }

    /// Formats a value without its unit.
    pub fn digits(&self, v: f64) -> String {
        fixed(v * self.scale, self.decimals)
    }

    pub fn text(&self, v: f64) -> String {
        self.with_word(self.digits(v))
    }

    /// Formats a value ± its standard deviation or error, which has two digits; the value has as many
    /// decimals.
    pub fn digits_of(&self, v: f64, sd: f64) -> String {
        if !sd.is_finite() || !v.is_finite() {
            return self.digits(v);
        }
        let decimals = match sd == 0.0 {
            true => self.decimals,
            false => decimals(sd * self.scale, 2).min(self.decimals + 2),
        };
        format!("{} ± {}", fixed(v * self.scale, decimals), fixed(sd * self.scale, decimals))
    }

    pub fn text_of(&self, v: f64, sd: f64) -> String {
        self.with_word(self.digits_of(v, sd))
    }

    /// Labels an axis or a column with the metric and its unit, unless the name tells the unit.
    pub fn label(&self, metric: &str) -> String {
        match self.word {
            "" | "s" => metric.into(),
            word if metric.ends_with(&format!("_{word}")) => metric.into(),
            word => format!("{metric} ({word})"),
        }
    }

    fn with_word(&self, digits: String) -> String {
        match digits.as_str() {
            "–" => digits,
            _ if self.word.is_empty() => digits,
            // A line must not break between number and unit.
            _ => format!("{digits}\u{a0}{}", self.word),
        }
    }
}

/// Returns the number of decimals with which a number has `digits` digits.
fn decimals(v: f64, digits: i32) -> usize {
    match v > 0.0 {
        true => (digits - 1 - v.log10().floor() as i32).clamp(0, 9) as usize,
        false => 0,
    }
}

/// Formats a number with fixed decimals. A number that would show zeros only, or a long row of digits,
/// gets decimals of its own.
fn fixed(v: f64, decimals: usize) -> String {
    let tiny = v != 0.0 && v.abs() < 0.5 * 0.1f64.powi(decimals as i32);
    if !v.is_finite() || tiny || v.abs() >= 1e12 {
        return number(v);
    }
    grouped(v, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_field() {
        let accuracy = Unit::of("val_accuracy", [90.0, 98.611, 97.2]);
        assert_eq!(accuracy.digits(90.0), "90.00");
        assert_eq!(accuracy.text(98.611), "98.61\u{a0}%");
        assert_eq!(accuracy.digits_of(97.4713, 0.4358), "97.47 ± 0.44");
        assert_eq!(accuracy.digits_of(95.73, 1.29), "95.7 ± 1.3");
        assert_eq!(accuracy.label("val_accuracy"), "val_accuracy (%)");
        assert_eq!(Unit::of("accuracy", [0.5, 0.97]).text(0.97), "0.9700");
        let latency = Unit::of("latency_ms", [0.08, 0.1303, 0.144]);
        assert_eq!(latency.text(0.13034), "0.1303\u{a0}ms");
        assert_eq!(latency.text_of(0.12219, 0.00652), "0.1222 ± 0.0065\u{a0}ms");
        let energy = Unit::of("energy_mJ", [12.5, 3.25]);
        assert_eq!(
            (energy.text(12.5).as_str(), energy.label("energy_mJ")),
            ("12.50\u{a0}mJ", "energy_mJ".into())
        );
        let params = Unit::of("params", [73_306.0, 1_531_546.0, 800_000.0]);
        assert_eq!(
            (params.text(1_531_546.0).as_str(), params.digits(73_306.0).as_str()),
            ("1.532\u{a0}M", "0.073")
        );
        assert_eq!(Unit::of("params", [306.0, 51_546.0]).text(51_546.0), "51,546");
        // One that has diverged does not take the others' digits.
        let loss = Unit::of("loss", [0.37, 0.32, 0.29, 1e7]);
        assert_eq!(
            (loss.digits(0.3709).as_str(), loss.digits(1e-9).as_str()),
            ("0.3709", "1.00e−9")
        );
        assert_eq!(Unit::of("loss", []).text(f64::NAN), "–");
        assert_eq!(Unit::of("x", [f64::NAN, 0.0]).text(0.0), "0");
    }
}
