//! Reads and writes tables as Parquet: the column `arch` as text, each metric as an optional double.

use std::{fs::File, io::Write, path::Path, sync::Arc};

use lanner_space::Space;
use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{
        metadata::ParquetMetaData,
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    record::Field,
    schema::types::Type,
};

use crate::{
    DataError, ReadReport, Table,
    rows::{ParsedRows, RowNumbers, TextColumn, find_arch_column, parse_arch},
    table::is_arch_name,
};

pub(crate) fn read(path: &Path, space: &Space) -> Result<(Table, ReadReport), DataError> {
    // The library panics at some damaged files.
    let read = std::panic::AssertUnwindSafe(|| read_file(path, space));
    std::panic::catch_unwind(read).unwrap_or_else(|_| {
        Err(DataError::file(path, "not a readable Parquet file: it is damaged"))
    })
}

fn read_file(path: &Path, space: &Space) -> Result<(Table, ReadReport), DataError> {
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    let broken =
        |e: ParquetError| DataError::file(path, format!("not a readable Parquet file: {e}"));
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    check_places(reader.metadata())
        .map_err(|why| DataError::file(path, format!("not a readable Parquet file: {why}")))?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    let header: Vec<String> = fields.iter().map(|f| f.name().trim().to_owned()).collect();
    if header.is_empty() {
        return Err(DataError::file(path, "a table without columns"));
    }
    let mut rows = reader.get_row_iter(None).map_err(broken)?.peekable();
    let first: Vec<String> = match rows.peek() {
        Some(Ok(row)) => row.get_column_iter().map(|(_, field)| text(field)).collect(),
        _ => Vec::new(),
    };
    let arch_at = find_arch_column(path, space, &header, &first)?;
    let mut report = ReadReport { arch_column: header[arch_at].clone(), ..ReadReport::default() };
    let (mut metrics, mut texts) = (vec![], vec![]);
    for (i, name) in header.iter().enumerate().filter(|&(i, _)| i != arch_at) {
        match !is_arch_name(name) && !name.is_empty() && is_number(&fields[i]) {
            true => metrics.push((i, name.clone(), vec![])),
            false => {
                report.skipped.push(name.clone());
                let mut column = TextColumn::new(name);
                first.get(i).into_iter().for_each(|cell| column.push(cell));
                texts.push(column);
            }
        }
    }
    let (mut archs, mut places) = (vec![], vec![]);
    let mut numbers = RowNumbers::default();
    let mut no_values: Vec<Option<(usize, u64, String)>> = vec![None; metrics.len()];
    for (n, row) in rows.enumerate() {
        let row = row.map_err(broken)?;
        let cells: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        let place = n as u64 + 1;
        let at = || format!("row {place}");
        let text = cells.get(arch_at).map(|field| text(field)).unwrap_or_default();
        numbers.see(&text);
        let arch = parse_arch(space, &header[arch_at], &text).map_err(|error| {
            DataError::Architecture {
                path: path.into(),
                at: at(),
                column: header[arch_at].clone(),
                error: Box::new(error),
            }
        })?;
        for ((i, name, values), no_value) in metrics.iter_mut().zip(&mut no_values) {
            let value = match cells.get(*i) {
                None | Some(Field::Null) => f64::NAN,
                Some(field) => match number(field) {
                    Some(x) if x.is_finite() => x,
                    Some(x) => {
                        no_value.get_or_insert_with(|| (0, place, x.to_string())).0 += 1;
                        f64::NAN
                    }
                    None => {
                        return Err(DataError::Cell {
                            path: path.into(),
                            at: at(),
                            column: name.clone(),
                            value: field.to_string(),
                            expected:
                                "a finite number (leave the cell null where there is no value)"
                                    .into(),
                        });
                    }
                },
            };
            values.push(value);
        }
        archs.push(arch);
        places.push(place);
    }
    numbers.check(path, space, &header[arch_at])?;
    for ((_, name, _), no_value) in metrics.iter().zip(no_values) {
        if let Some((count, place, value)) = no_value {
            let at = format!("row {place}");
            report.notes.push(crate::csv::no_value(path, name, count, &at, &value));
        }
    }
    let (names, columns) = metrics.into_iter().map(|(_, name, values)| (name, values)).unzip();
    let unit = "row";
    let rows = ParsedRows { path, unit, places, archs, names, columns, texts, report };
    rows.finish(space)
}

/// Checks the places of the columns in the file, which the library takes as they are.
fn check_places(about: &ParquetMetaData) -> Result<(), String> {
    let columns = about.row_groups().iter().flat_map(|group| group.columns());
    for column in columns {
        let numbers = [
            column.data_page_offset(),
            column.dictionary_page_offset().unwrap_or(0),
            column.compressed_size(),
            column.num_values(),
        ];
        if let Some(number) = numbers.into_iter().find(|number| *number < 0) {
            return Err(format!("a column has {number} as a place or a size"));
        }
    }
    Ok(())
}

/// Returns a cell as text; nothing where it has no value.
fn text(field: &Field) -> String {
    match field {
        Field::Str(text) => text.clone(),
        Field::Null => String::new(),
        // An index. If digits of a text became a number, the space refuses it.
        other => other.to_string(),
    }
}

fn is_number(field: &Type) -> bool {
    field.is_primitive()
        && match field.get_physical_type() {
            Physical::FLOAT | Physical::DOUBLE => true,
            // Dates and times are integers too, but no metrics.
            Physical::INT32 | Physical::INT64 => matches!(
                field.get_basic_info().logical_type_ref(),
                None | Some(LogicalType::Integer { .. })
            ),
            _ => false,
        }
}

fn number(field: &Field) -> Option<f64> {
    Some(match *field {
        Field::Double(x) => x,
        Field::Float(x) => x.into(),
        Field::Byte(x) => x.into(),
        Field::Short(x) => x.into(),
        Field::Int(x) => x.into(),
        Field::Long(x) => x as f64,
        Field::UByte(x) => x.into(),
        Field::UShort(x) => x.into(),
        Field::UInt(x) => x.into(),
        Field::ULong(x) => x as f64,
        _ => return None,
    })
}

pub(crate) fn write(table: &Table, out: impl Write + Send) -> std::io::Result<()> {
    write_parquet(table, out).map_err(std::io::Error::other)
}

fn write_parquet(table: &Table, out: impl Write + Send) -> Result<(), ParquetError> {
    let arch = Type::primitive_type_builder("arch", Physical::BYTE_ARRAY)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::String))
        .build()?;
    let mut fields = vec![Arc::new(arch)];
    for name in &table.names {
        let metric = Type::primitive_type_builder(name, Physical::DOUBLE)
            .with_repetition(Repetition::OPTIONAL);
        fields.push(Arc::new(metric.build()?));
    }
    let schema = Type::group_type_builder("table").with_fields(fields).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let mut at = 0;
    while let Some(mut column) = group.next_column()? {
        match column.untyped() {
            ColumnWriter::ByteArrayColumnWriter(writer) => {
                let texts =
                    table.archs.iter().map(|a| ByteArray::from(table.space.print(a).into_bytes()));
                writer.write_batch(&texts.collect::<Vec<_>>(), None, None)?;
            }
            ColumnWriter::DoubleColumnWriter(writer) => {
                let values = &table.columns[at];
                let present: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
                let defined: Vec<i16> = values.iter().map(|v| i16::from(!v.is_nan())).collect();
                writer.write_batch(&present, Some(&defined), None)?;
                at += 1;
            }
            _ => {
                return Err(ParquetError::General(
                    "a column of another type than the schema's".into(),
                ));
            }
        }
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let space = Space::NasBench201;
        let archs = (0..4).map(|i| space.at(i).unwrap()).collect();
        let names = vec!["a_ms".into(), "accuracy, top-1".into(), "empty".into()];
        let columns = vec![
            vec![1.5, f64::NAN, 3e-300, 7.0],
            vec![-0.0, 0.1, 1e300, f64::NAN],
            vec![f64::NAN; 4],
        ];
        let table = Table::new(space.clone(), archs, names, columns).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        table.write(&path).unwrap();
        let (back, report) = Table::read(&path, &space).unwrap();
        assert_eq!((&back.archs, &back.names), (&table.archs, &table.names));
        let bits =
            |t: &Table| -> Vec<u64> { t.columns.iter().flatten().map(|v| v.to_bits()).collect() };
        assert_eq!(bits(&back), bits(&table));
        assert_eq!((report.rows, report.missing, report.arch_column.as_str()), (4, 6, "arch"));
    }

    #[test]
    fn other_files_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        for bytes in [&b""[..], b"PAR1", b"PAR1\xff\xff\xff\xffPAR1", b"arch,a\n000000,1\n"] {
            std::fs::write(&path, bytes).unwrap();
            let message = Table::read(&path, &Space::NasBench201).unwrap_err().to_string();
            assert!(message.contains("not a readable Parquet file"), "{message}");
        }
    }
}
