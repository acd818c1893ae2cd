//! Reads and writes tables as CSV.

use std::{
    cell::Cell,
    fs::File,
    io::{Read, Write},
    path::Path,
};

use csv::ByteRecord;
use lanner_space::Space;

use crate::{
    DataError, ReadReport, Table,
    error::shown,
    rows::{ParsedRows, RowNumbers, TextColumn, find_arch_column, has_decimal_comma, parse_arch},
    table::is_arch_name,
    text_reader::TextReader,
};

/// Largest field in bytes, more than any architecture's text or number needs: beyond it a quote was
/// never closed, or the file is not CSV.
const LONGEST_FIELD: usize = 64 * 1024;

/// A column while it is read. Only when all of it is read can one tell a metric from text.
struct Column {
    name: String,
    field: usize,
    values: Vec<f64>,
    numbers: usize,
    texts: usize,
    as_text: TextColumn,
    /// The first cell that a metric cannot have: row, value, and what was expected.
    first_bad: Option<(usize, String, &'static str)>,
    /// Cells that say that there is no value, such as `nan`: their number, and row and text of the first.
    no_value: Option<(usize, usize, String)>,
}

impl Column {
    fn push(&mut self, cell: &str) {
        self.as_text.push(cell);
        let row = self.values.len();
        let parsed = cell.parse::<f64>().ok().filter(|v| v.is_finite());
        // A word without a digit says that there is no value; one with a digit may be half of one.
        let says_none = parsed.is_none() && !cell.chars().any(|c| c.is_ascii_digit());
        let value = match parsed {
            Some(value) => {
                self.numbers += 1;
                value
            }
            None if cell.is_empty() => f64::NAN,
            None => {
                match cell.parse::<f64>() {
                    Ok(_) => self.numbers += 1,
                    Err(_) => self.texts += 1,
                }
                if says_none {
                    self.no_value.get_or_insert_with(|| (0, row, shown(cell))).0 += 1;
                } else {
                    let expected = match has_decimal_comma(cell) {
                        true => "a number with a decimal point, as the rest of the column is",
                        false => "a number, as the rest of the column is",
                    };
                    self.first_bad.get_or_insert_with(|| (row, shown(cell), expected));
                }
                f64::NAN
            }
        };
        self.values.push(value);
    }
}

/// Reads all rows, or with `only` = (column, text) the rows with that text in that column.
pub(crate) fn read(
    path: &Path,
    space: &Space,
    only: Option<(&str, &str)>,
) -> Result<(Table, ReadReport), DataError> {
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    read_from(file, path, space, only)
}

pub(crate) fn read_from(
    file: impl Read,
    path: &Path,
    space: &Space,
    only: Option<(&str, &str)>,
) -> Result<(Table, ReadReport), DataError> {
    let quotes = Cell::new(0);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .comment(Some(b'#')) // measured tables begin with comments
        .flexible(true) // so that our own message tells of a ragged row
        .from_reader(TextReader::new(file, &quotes));
    let mut record = ByteRecord::new();
    let mut line = 1;
    if !next(&mut reader, &mut record, path, &mut line)? {
        return Err(DataError::file(path, "the file is empty; expected a header"));
    }
    let mut header = Vec::new();
    for field in &record {
        header.push(text(field, path, line)?.to_owned());
    }
    let mut is_row = next(&mut reader, &mut record, path, &mut line)?;
    let first: Vec<String> =
        record.iter().map(|f| String::from_utf8_lossy(f).trim().to_owned()).collect();
    let arch_at = find_arch_column(path, space, &header, if is_row { &first } else { &[] })?;
    let only = match only {
        None => None,
        Some((name, wanted)) => match header.iter().position(|h| h == name) {
            Some(at) => Some((at, name, wanted)),
            None => {
                return Err(DataError::NoColumn { name: name.into(), known: header });
            }
        },
    };

    let mut report = ReadReport { arch_column: header[arch_at].clone(), ..ReadReport::default() };
    let mut columns = Vec::new();
    for (field, name) in header.iter().enumerate().filter(|&(f, _)| f != arch_at) {
        if is_arch_name(name) {
            report.skipped.push(name.clone());
        } else if name.is_empty() {
            report.skipped.push(format!("column {} (no name)", field + 1));
        } else {
            columns.push(Column {
                name: name.clone(),
                field,
                values: vec![],
                numbers: 0,
                texts: 0,
                as_text: TextColumn::new(name),
                first_bad: None,
                no_value: None,
            });
        }
    }

    let (mut archs, mut places) = (Vec::new(), Vec::new());
    let mut numbers = RowNumbers::default();
    let mut record_has_newline = false;
    while is_row {
        record_has_newline = record.as_slice().contains(&b'\n');
        if record.len() != header.len() {
            let hint = match record_has_newline {
                true => "; is a quote not closed?",
                false => "",
            };
            return Err(DataError::Row {
                path: path.into(),
                at: format!("line {line}"),
                why: format!(
                    "{} fields, expected {} as in the header{hint}",
                    record.len(),
                    header.len()
                ),
            });
        }
        if only.is_some_and(|(at, _, wanted)| &record[at] != wanted.as_bytes()) {
            is_row = next(&mut reader, &mut record, path, &mut line)?;
            continue;
        }
        let arch = text(&record[arch_at], path, line)?;
        numbers.see(arch);
        let arch = parse_arch(space, &header[arch_at], arch);
        archs.push(arch.map_err(|error| DataError::Architecture {
            path: path.into(),
            at: format!("line {line}"),
            column: header[arch_at].clone(),
            error: Box::new(error),
        })?);
        places.push(line);
        for column in &mut columns {
            column.push(text(&record[column.field], path, line)?);
        }
        is_row = next(&mut reader, &mut record, path, &mut line)?;
    }
    numbers.check(path, space, &header[arch_at])?;

    // After an open quote, the parser takes everything to the end of the file as text.
    if quotes.get() % 2 == 1 && record_has_newline {
        return Err(DataError::Row {
            path: path.into(),
            at: format!("line {line}"),
            why: "a quote is opened, and not closed before the end of the file".into(),
        });
    }

    if let (true, Some((_, name, wanted))) = (archs.is_empty(), only) {
        return Err(DataError::file(path, format!("no row has '{wanted}' in the column '{name}'")));
    }

    let (mut names, mut values, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for column in columns {
        if column.texts > column.numbers {
            let first = column.as_text.first.as_ref();
            if let Some((row, text)) = first.filter(|(_, text)| has_decimal_comma(text)) {
                let (path, place, name) = (path.display(), places[*row], &column.name);
                report.notes.push(format!(
                    "{path}, column '{name}': left out, because its numbers have decimal commas, the \
                     first in line {place}: '{text}'; write points"
                ));
            }
            texts.push(column.as_text);
            report.skipped.push(column.name);
            continue;
        }
        if let Some((row, value, expected)) = column.first_bad {
            return Err(DataError::Cell {
                path: path.into(),
                at: format!("line {}", places[row]),
                column: column.name,
                value,
                expected: expected.into(),
            });
        }
        if let Some((count, row, value)) = column.no_value {
            let at = format!("line {}", places[row]);
            report.notes.push(no_value(path, &column.name, count, &at, &value));
        }
        names.push(column.name);
        values.push(column.values);
    }
    let unit = "line";
    let rows = ParsedRows { path, unit, places, archs, names, columns: values, texts, report };
    rows.finish(space)
}

/// Reads the next record, and the line where it starts; returns whether there is one.
fn next(
    reader: &mut csv::Reader<impl Read>,
    record: &mut ByteRecord,
    path: &Path,
    line: &mut u64,
) -> Result<bool, DataError> {
    let some = reader.read_byte_record(record).map_err(|e| match e.into_kind() {
        csv::ErrorKind::Io(error) => DataError::io(path, "read")(error),
        other => DataError::file(path, format!("not CSV: {other:?}")),
    })?;
    if let (true, Some(position)) = (some, record.position()) {
        *line = position.line();
    }
    Ok(some)
}

/// Says how many cells of a column have no number.
pub(crate) fn no_value(path: &Path, name: &str, count: usize, at: &str, value: &str) -> String {
    let cells = if count == 1 { "1 cell is".into() } else { format!("{count} cells are") };
    let path = path.display();
    format!("{path}, column '{name}': {cells} left out as no number, the first in {at}: '{value}'")
}

/// Decodes a field as text, without blanks around it.
fn text<'a>(field: &'a [u8], path: &Path, line: u64) -> Result<&'a str, DataError> {
    let wrong = |why: String| DataError::Row { path: path.into(), at: format!("line {line}"), why };
    if field.len() > LONGEST_FIELD {
        return Err(wrong(format!(
            "a field of {} bytes, expected at most {LONGEST_FIELD}; is a quote not closed?",
            field.len()
        )));
    }
    match std::str::from_utf8(field) {
        Ok(text) => Ok(text.trim()),
        Err(_) => Err(wrong(format!(
            "'{}' is not UTF-8 text; is this a CSV file?",
            shown(&String::from_utf8_lossy(field))
        ))),
    }
}

pub(crate) fn write(table: &Table, out: impl Write) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_field("arch")?;
    writer.write_record(&table.names)?;
    for (row, arch) in table.archs.iter().enumerate() {
        writer.write_field(table.space.print(arch))?;
        let cells = table.columns.iter().map(|c| number(c[row]));
        writer.write_record(cells)?;
    }
    writer.flush()
}

/// Formats a number as the shortest text that reads back the same; a missing one as nothing.
fn number(value: f64) -> String {
    if value.is_nan() {
        String::new()
    } else if value == 0.0 || (1e-5..1e16).contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
