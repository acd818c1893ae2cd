//! JSON as other programs write it: Python's `json` prints NaN and Infinity, which JSON does not have.

use serde_json::Value;

/// Mark of a text that stands for a number which is not finite: a code point that no text has.
const MARK: char = '\u{fdd0}';

/// Parses JSON in which numbers may be `NaN`, `Infinity` and `-Infinity`. [`shown`] prints these again;
/// as numbers they are missing.
pub(crate) fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&marked(text))
}

/// Prints a value for a message.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.starts_with(MARK) => text[MARK.len_utf8()..].into(),
        other => other.to_string(),
    }
}

/// Replaces numbers that are not finite by marked texts.
fn marked(text: &str) -> String {
    const WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let mut out = String::with_capacity(text.len());
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let (false, Some(word)) = (is_quoted, WORDS.iter().find(|w| rest.starts_with(**w))) {
            out.extend(['"', MARK]);
            out += word;
            out.push('"');
            rest = &rest[word.len()..];
            continue;
        }
        if c == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_no_number_and_texts_stay() {
        let text =
            r#"{"a": NaN, "b": [-Infinity, 1e3], "NaN": "Infinity \" NaN", "c\\": Infinity}"#;
        let value = parse(text).unwrap();
        assert_eq!(value["a"].as_f64(), None);
        assert_eq!((shown(&value["a"]), shown(&value["b"][0])), ("NaN".into(), "-Infinity".into()));
        assert_eq!(value["b"][1].as_f64(), Some(1000.0));
        assert_eq!(value["NaN"], "Infinity \" NaN");
        assert_eq!(shown(&value["c\\"]), "Infinity");
        assert_eq!(shown(&parse("\"x\"").unwrap()), "\"x\"");
        for text in ["nan", "{\"a\": NaNs}", "{\"a\": 93,1}", "{\"a\": 1e999}", "{'a': 1}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
