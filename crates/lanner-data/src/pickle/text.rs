//! Parses the text forms of protocol 0.

use super::value::Value;

/// Parses `I`, `L` and `F` lines; `None` for an integer beyond 64 bits.
pub(super) fn number(op: u8, line: &[u8]) -> Result<Option<Value>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "a number is not text")?.trim();
    let wrong = || format!("'{}' is not a number", crate::error::shown(text));
    match (op, text) {
        (b'I', "00") => Ok(Some(Value::Bool(false))),
        (b'I', "01") => Ok(Some(Value::Bool(true))),
        (b'F', _) => text.parse().map(|x| Some(Value::Float(x))).map_err(|_| wrong()),
        _ => {
            let digits = text.strip_suffix('L').unwrap_or(text);
            match digits.parse() {
                Ok(i) => Ok(Some(Value::Int(i))),
                Err(_) => {
                    match digits.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) {
                        true if digits.len() > 18 => Ok(None),
                        _ => Err(wrong()),
                    }
                }
            }
        }
    }
}

/// Parses a `str` of Python 2: in quotes, with escapes.
pub(super) fn quoted(line: &[u8]) -> Result<Vec<u8>, String> {
    let line = line.trim_ascii();
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err("a text without quotes".into()),
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(c @ (b'\\' | b'\'' | b'"')) => c,
            Some(b'x') => {
                let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err("\\x without two digits in a text".into()),
                }
            }
            _ => return Err("an unknown escape in a text".into()),
        });
    }
    Ok(bytes)
}

/// Decodes Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn raw_unicode(line: &[u8]) -> Result<String, String> {
    let mut text = String::with_capacity(line.len());
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let digits = match line.get(at..at + 2) {
            Some(b"\\u") => 4,
            Some(b"\\U") => 8,
            _ => 0,
        };
        if digits == 0 {
            text.push(char::from(byte));
            at += 1;
            continue;
        }
        let code = line
            .get(at + 2..at + 2 + digits)
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u32::from_str_radix(d, 16).ok())
            .and_then(char::from_u32);
        text.push(code.ok_or("an escape in a text is not a character")?);
        at += 2 + digits;
    }
    Ok(text)
}
