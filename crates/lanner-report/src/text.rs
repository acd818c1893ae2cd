//! Formats text for the page: escapes it, and writes numbers and times.

/// Escapes text for use between tags and in attributes of HTML and SVG. Control characters, which a
/// program's output may have, become visible stand-ins.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\r' => {}
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Escapes JSON for a script element: nothing in it can end the element or open a comment.
pub(crate) fn json_in_script(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Encodes an SVG image as the address of an `img` element. Scripts in such an image never run.
pub(crate) fn image_address(svg: &str) -> String {
    let mut out = String::from("data:image/svg+xml,");
    for &b in svg.as_bytes() {
        match b {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b' '
            | b'/'
            | b'.'
            | b','
            | b':'
            | b';'
            | b'='
            | b'-'
            | b'_'
            | b'('
            | b')' => out.push(b as char),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// Formats a number with four significant digits, without trailing zeros: `73.51`, `0.001234`,
/// `15625`, `3.1e12`.
pub(crate) fn number(v: f64) -> String {
    if !v.is_finite() {
        return "–".into();
    }
    if v == 0.0 {
        return "0".into();
    }
    let magnitude = v.abs().log10().floor() as i32;
    if !(-5..9).contains(&magnitude) {
        return minus(format!("{v:.2e}"));
    }
    let decimals = (3 - magnitude).max(0) as usize;
    let text = format!("{v:.decimals$}");
    minus(match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    })
}

/// Writes minus signs as typographic ones, as wide as digits.
fn minus(text: String) -> String {
    text.replace('-', "−")
}

/// Formats a number with fixed decimals and separated thousands: `−1,234.50`.
pub(crate) fn grouped(v: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", v.abs());
    let (whole, part) = text.split_at(text.find('.').unwrap_or(text.len()));
    let negative = v < 0.0 && text.contains(|c: char| ('1'..='9').contains(&c));
    format!("{}{}{part}", if negative { "−" } else { "" }, thousands(whole))
}

/// Formats a count with separated thousands: `1,000,000`.
pub(crate) fn count(n: usize) -> String {
    thousands(&n.to_string())
}

fn thousands(digits: &str) -> String {
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Returns the last line that is not blank, cut to a length that fits a row.
pub(crate) fn last_line(note: Option<&str>) -> String {
    let line = note.unwrap_or("").lines().rev().find(|l| !l.trim().is_empty());
    let line = line.map_or("no note", str::trim);
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_string(),
    }
}

/// Returns the end of a text, at most `most` characters, with a mark where something was cut off.
pub(crate) fn ending(text: &str, most: usize) -> String {
    let text = text.trim_end();
    match text.char_indices().rev().nth(most) {
        Some((start, c)) => format!("…{}", &text[start + c.len_utf8()..]),
        None => text.to_string(),
    }
}

/// Formats a number of things: `1 trial`, `3 trials`.
pub(crate) fn several(n: usize, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Counts networks: `1 network is`, `3 networks are`.
pub(crate) fn are(n: usize) -> String {
    format!("{} {}", several(n, "network"), if n == 1 { "is" } else { "are" })
}

/// Quotes a word for a shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Formats a limit or another given number: whole ones in full.
pub(crate) fn given(v: f64) -> String {
    match v.fract() == 0.0 && (1e3..1e15).contains(&v) {
        true => grouped(v, 0),
        false => number(v),
    }
}

/// Formats a duration in the two largest units that it has: `2 d 3 h`, `4 min 5 s`, `0.8 s`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// Formats a time as `2026-01-31 14:05 UTC`, by the proleptic Gregorian calendar.
pub(crate) fn date(unix: f64) -> String {
    if !unix.is_finite() || !(0.0..4e11).contains(&unix) {
        return "–".into();
    }
    let minutes = (unix / 60.0).floor() as i64;
    let (days, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    // Counts days from 0000-03-01, in eras of 400 years; years begin in March, so that leap days end
    // them.
    let z = days + 719_468;
    let (era, day) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let d = of_year - (153 * month + 2) / 5 + 1;
    let m = if month < 10 { month + 3 } else { month - 9 };
    let y = year + era * 400 + i64::from(m <= 2);
    format!("{y}-{m:02}-{d:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times() {
        let numbers = [
            (73.5123, "73.51"),
            (0.0, "0"),
            (-2.5, "−2.5"),
            (15625.0, "15625"),
            (0.00123456, "0.001235"),
            (3.1e12, "3.10e12"),
            (f64::NAN, "–"),
        ];
        for (v, text) in numbers {
            assert_eq!(number(v), text);
        }
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(count(999), "999");
        assert_eq!((ending("añb\n", 2), ending("añb", 3)), ("…ñb".into(), "añb".into()));
        assert_eq!((grouped(-1234.5, 2), grouped(-0.001, 2)), ("−1,234.50".into(), "0.00".into()));
        // `date -u -d @951782400`: the leap day of 2000, and the last minute before 1970's March.
        assert_eq!(date(951_782_400.0), "2000-02-29 00:00 UTC");
        assert_eq!(date(5_097_599.0), "1970-02-28 23:59 UTC");
        assert_eq!(date(1_795_617_240.0), "2026-11-25 14:34 UTC");
        assert_eq!(duration(86_400.0 * 2.0 + 3.0 * 3600.0), "2 d 3 h");
    }

    #[test]
    fn nothing_ends_a_script() {
        let json = serde_json::json!({"</script><!--": "]]> & <b>"});
        let text = json_in_script(&json);
        assert!(!text.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(json));
    }
}
