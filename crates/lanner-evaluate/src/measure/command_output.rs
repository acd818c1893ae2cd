//! Parses the output of a command: latencies as numbers or JSON.
//!
//! - `7.31 7.29, 7.40`: milliseconds, separated by white space or commas; a comma within whole digits,
//!   as in `7,31` or `1,234`, may be a decimal point or a separator of thousands, and is refused;
//! - `[7.31, 7.29]`: the same as JSON;
//! - `{"latency_ms": 7.31}` or `{"latency_ms": [7.31, 7.29]}`; `latency_s`, `latency_us` and
//!   `latency_ns` are converted; `samples` is milliseconds too; several of them must agree;
//! - a line `unsupported: reason`: the network cannot be run.

use serde_json::Value;

use crate::json_numbers;
use crate::plausible::{contradiction, is_latency_ms, latency_range};

/// Answer of a device about a network.
pub enum DeviceAnswer {
    /// Latencies in milliseconds, at least one.
    Samples(Vec<f64>),
    /// The reason why the device cannot run the network.
    Unsupported(String),
}

/// Keys of a JSON object, with their units in milliseconds.
const KEYS: [(&str, f64); 5] = [
    ("latency_ms", 1.0),
    ("samples", 1.0),
    ("latency_s", 1e3),
    ("latency_us", 1e-3),
    ("latency_ns", 1e-6),
];

/// Finds the reason in a line `unsupported: reason`.
pub fn refusal(text: &str) -> Option<String> {
    let reason = text.lines().find_map(|line| line.trim().strip_prefix("unsupported:"))?;
    Some(short(reason.trim()))
}

/// Parses latencies in milliseconds: at least one, all plausible.
pub fn parse(text: &str) -> Result<Vec<f64>, String> {
    let text = text.trim();
    let samples = if text.starts_with(['{', '[']) {
        let json = json_numbers::parse(text)
            .map_err(|e| format!("printed '{}', no valid JSON: {e}", short(text)))?;
        of_json(&json)?
    } else {
        let mut samples = Vec::new();
        for word in text.split_whitespace() {
            let parts = || word.split(',').filter(|part| !part.is_empty());
            if parts().count() > 1 && parts().any(|part| !part.contains('.')) {
                return Err(format!(
                    "printed '{}': its comma may be a decimal point, or part numbers; write points, \
                     and blanks between numbers",
                    short(word)
                ));
            }
            for part in parts() {
                match part.parse() {
                    Ok(value) if is_latency_ms(value) => samples.push(value),
                    _ => return Err(wrong(part)),
                }
            }
        }
        samples
    };
    match samples.is_empty() {
        true => Err("printed nothing, expected latencies in milliseconds".into()),
        false => Ok(samples),
    }
}

fn of_json(json: &Value) -> Result<Vec<f64>, String> {
    let (values, unit) = match json {
        Value::Object(object) => {
            let numbers = object.iter().filter_map(|(name, value)| {
                Some((name.as_str(), value.as_f64().or_else(|| mean(value))?))
            });
            if let Some(why) = contradiction(numbers) {
                return Err(format!("printed an object in which {why}"));
            }
            let named = KEYS.iter().find_map(|&(key, unit)| Some((object.get(key)?, unit)));
            named.ok_or_else(|| {
                let keys: Vec<&str> = object.keys().map(String::as_str).collect();
                let found = short(&keys.join(", "));
                format!("printed an object of '{found}', expected 'latency_ms' or 'samples'")
            })?
        }
        other => (other, 1.0),
    };
    let number = |value: &Value| match value.as_f64().map(|v| v * unit) {
        Some(value) if is_latency_ms(value) => Ok(value),
        _ => Err(wrong(&json_numbers::shown(value))),
    };
    match values {
        Value::Array(values) => values.iter().map(number).collect(),
        value => Ok(vec![number(value)?]),
    }
}

/// Returns the mean of a list of numbers.
fn mean(list: &Value) -> Option<f64> {
    let list = list.as_array().filter(|list| !list.is_empty())?;
    let sum: Option<f64> = list.iter().map(Value::as_f64).sum();
    Some(sum? / list.len() as f64)
}

fn wrong(value: &str) -> String {
    let range = latency_range();
    format!(
        "printed '{}', expected a latency in milliseconds, a number above 0: {range}",
        short(value)
    )
}

/// Shortens a text for a message of one line.
fn short(text: &str) -> String {
    const MOST: usize = 80;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut start: String = text.chars().take(MOST).map(clean).collect();
    if text.chars().nth(MOST).is_some() {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_json_are_milliseconds() {
        for (text, samples) in [
            ("1.5", vec![1.5]),
            (" 1, 2 ,\t3e1\r\n4\n", vec![1.0, 2.0, 30.0, 4.0]),
            ("1.5,2.25 7,", vec![1.5, 2.25, 7.0]),
            ("{\"latency_ms\": 3, \"celsius\": NaN}", vec![3.0]),
            ("[1, 2.5]", vec![1.0, 2.5]),
            ("{\"latency_ms\": 3}", vec![3.0]),
            ("{\"device\": \"a\", \"latency_s\": [0.5]}\n", vec![500.0]),
            ("{\"latency_ns\": [250000]}", vec![0.25]),
            ("{\"samples\": [1, 2]}", vec![1.0, 2.0]),
            ("{\"latency_us\": [1000, 2000], \"latency_ms\": [1, 2]}", vec![1.0, 2.0]),
        ] {
            assert_eq!(parse(text).unwrap(), samples, "{text}");
        }
    }

    #[test]
    fn anything_else_is_shown() {
        for (text, shown) in [
            ("", "printed nothing"),
            ("[]", "printed nothing"),
            ("1 ms", "'ms'"),
            ("inf", "'inf'"),
            ("1e300", "'1e300'"),
            ("1e-320", "'1e-320'"),
            ("{\"latency_s\": 1e300}", "1e-6 to 1e9 milliseconds"),
            (
                "{\"latency_ms\": [7, 9], \"latency_us\": 8}",
                "'latency_ms' 8.0 and 'latency_us' 8.0 contra",
            ),
            ("7,31 7,29", "'7,31'"),
            ("1,234.5", "'1,234.5'"),
            ("1.234,5", "'1.234,5'"),
            ("7.31ms", "'7.31ms'"),
            ("1_000", "'1_000'"),
            ("\r 50%\r7.31", "'50%'"),
            ("{\"latency_ms\": [1, NaN]}", "'NaN'"),
            ("{\"latency_ms\": 7,31}", "no valid JSON"),
            ("[1, -1]", "'-1'"),
            ("[1, \"2\"]", "'\"2\"'"),
            ("{\"latency_ms\": null}", "'null'"),
            ("{\"mean\": 1, \"p50\": 1}", "'mean, p50'"),
            ("{\"latency_ms\": 1", "no valid JSON"),
            ("\u{1b}[31mred", " [31mred"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(shown), "{why}");
        }
        assert!(parse(&"x".repeat(10_000)).unwrap_err().len() < 200);
    }

    #[test]
    fn refusals_are_lines() {
        assert_eq!(refusal("warm-up\nunsupported: Clip\n").as_deref(), Some("Clip"));
        assert_eq!(refusal("1.0 2.0"), None);
    }
}
