//! Reads a column of any library.

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::{Array, STREAM, Schema, Stream};
use crate::error::InputError;

/// Reads a column or a sequence of texts.
///
/// # Errors
/// A value is no text, or is missing.
pub fn texts(values: &Bound<PyAny>) -> PyResult<Vec<String>> {
    let mut all = Vec::new();
    let found = blocks(values, |format, array| {
        let column = Column::new(format, array)?;
        for row in 0..column.len() {
            match column.text(row)? {
                Some(text) => all.push(text.to_string()),
                None => return Err(format!("there is no text in row {}", all.len())),
            }
        }
        Ok(())
    })?;
    match found {
        true => Ok(all),
        false => values.extract().map_err(|error| not_all(values, "texts", &error)),
    }
}

/// Reads a column or a sequence of numbers; missing ones are NaN.
///
/// # Errors
/// A value is no number.
pub fn numbers(values: &Bound<PyAny>) -> PyResult<Vec<f64>> {
    let mut all = Vec::new();
    let found = blocks(values, |format, array| {
        let column = Column::new(format, array)?;
        all.reserve(column.len());
        for row in 0..column.len() {
            all.push(column.number(row)?);
        }
        Ok(())
    })?;
    match found {
        true => Ok(all),
        false => values.extract().map_err(|error| not_all(values, "numbers", &error)),
    }
}

/// Makes the error of a sequence that is no column, as one of objects is.
fn not_all(values: &Bound<PyAny>, expected: &str, error: &PyErr) -> PyErr {
    let why = error.value(values.py());
    InputError::new_err(format!("{}: expected {expected}: {why}", name_of(values)))
}

/// Calls `take` with the format and values of each block of a column; `false` if the object has no
/// stream of them.
fn blocks(
    values: &Bound<PyAny>,
    mut take: impl FnMut(&str, &Array) -> Result<(), String>,
) -> PyResult<bool> {
    let Ok(export) = values.getattr("__arrow_c_stream__") else { return Ok(false) };
    // pandas needs pyarrow for it: without, its columns are sequences as any other.
    let Ok(capsule) = export.call0() else { return Ok(false) };
    let capsule = capsule.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(STREAM))?;
    let wrong = |why: String| InputError::new_err(format!("{}: {why}", name_of(values)));
    // The capsule, which is alive, holds a stream by its name; it is used by nobody else meanwhile.
    let stream = unsafe { pointer.cast::<Stream>().as_mut() };
    let (Some(get_schema), Some(get_next)) = (stream.get_schema, stream.get_next) else {
        return Err(wrong("its Arrow stream was read already".into()));
    };
    if stream.release.is_none() {
        return Err(wrong("its Arrow stream was read already".into()));
    }
    let mut schema = Schema::empty();
    // The functions of a stream take it and a place for what they make.
    if unsafe { get_schema(stream, &mut schema) } != 0 {
        return Err(wrong("its Arrow stream tells no type".into()));
    }
    let format = text_of(schema.format).to_string();
    loop {
        let mut array = Array::empty();
        if unsafe { get_next(stream, &mut array) } != 0 {
            return Err(wrong("its Arrow stream ended with an error".into()));
        }
        if array.release.is_none() {
            return Ok(true);
        }
        // Categories are places in a dictionary.
        let dictionary = unsafe { schema.dictionary.as_ref() };
        if let (Some(kind), Some(values)) = (dictionary, unsafe { array.dictionary.as_ref() }) {
            let flat = Flat { places: Column::new(&format, &array).map_err(wrong)?, kind, values };
            flat.take(&mut take).map_err(wrong)?;
        } else {
            take(&format, &array).map_err(wrong)?;
        }
    }
}

/// Names a column for a message, by its own name and its type; its content may be long.
fn name_of(values: &Bound<PyAny>) -> String {
    let kind = values.get_type().qualname().map_or_else(|_| "column".into(), |n| n.to_string());
    match values.getattr("name").and_then(|name| name.extract::<String>()) {
        Ok(name) if !name.is_empty() => format!("column '{name}' ({kind})"),
        _ => format!("a column ({kind})"),
    }
}

fn text_of<'a>(text: *const std::ffi::c_char) -> &'a str {
    // A type's text lives as long as its schema, and ends with a zero.
    if text.is_null() { "" } else { unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("") }
}

/// A column of categories.
struct Flat<'a> {
    places: Column<'a>,
    kind: &'a Schema,
    values: &'a Array,
}

impl Flat<'_> {
    /// Passes the values on one by one, as blocks of one row.
    fn take(
        &self,
        take: &mut impl FnMut(&str, &Array) -> Result<(), String>,
    ) -> Result<(), String> {
        let format = text_of(self.kind.format);
        for row in 0..self.places.len() {
            let place = self.places.number(row)?;
            if !(place >= 0.0 && place < self.values.length as f64) {
                return Err(format!("there is no category in row {row}"));
            }
            let mut one = Array { length: 1, ..Array::empty() };
            one.offset = self.values.offset + place as i64;
            (one.n_buffers, one.buffers) = (self.values.n_buffers, self.values.buffers);
            one.null_count = self.values.null_count;
            take(format, &one)?;
        }
        Ok(())
    }
}

/// A block of values of one of the types that are read.
struct Column<'a> {
    format: &'a str,
    array: &'a Array,
}

impl<'a> Column<'a> {
    fn new(format: &'a str, array: &'a Array) -> Result<Column<'a>, String> {
        let buffers = match format {
            "u" | "U" => 3,
            "vu" => 3,
            "c" | "C" | "s" | "S" | "i" | "I" | "l" | "L" | "f" | "g" | "b" => 2,
            "n" => 0,
            _ => return Err(format!("Arrow type '{format}' is neither text nor number")),
        };
        if array.n_buffers < buffers || array.length < 0 || array.offset < 0 {
            return Err(format!("a block of {} buffers, expected {buffers}", array.n_buffers));
        }
        Ok(Column { format, array })
    }

    fn len(&self) -> usize {
        self.array.length as usize
    }

    /// Element `i` of a buffer of `T`.
    ///
    /// # Safety
    /// The producer promises buffers of the type's elements for all rows; `i` must be among them.
    unsafe fn element<T: Copy>(&self, buffer: usize, i: usize) -> T {
        unsafe { (*self.array.buffers.add(buffer)).cast::<T>().add(i).read_unaligned() }
    }

    fn is_missing(&self, at: usize) -> bool {
        if self.format == "n" {
            return true;
        }
        // The first buffer has a bit a row, or is null if no value is missing.
        unsafe {
            !(*self.array.buffers).is_null() && self.element::<u8>(0, at / 8) >> (at % 8) & 1 == 0
        }
    }

    fn number(&self, row: usize) -> Result<f64, String> {
        let at = row + self.array.offset as usize;
        if self.is_missing(at) {
            return Ok(f64::NAN);
        }
        // The type says what the second buffer holds; `row` is below the length.
        Ok(unsafe {
            match self.format {
                "c" => f64::from(self.element::<i8>(1, at)),
                "C" => f64::from(self.element::<u8>(1, at)),
                "s" => f64::from(self.element::<i16>(1, at)),
                "S" => f64::from(self.element::<u16>(1, at)),
                "i" => f64::from(self.element::<i32>(1, at)),
                "I" => f64::from(self.element::<u32>(1, at)),
                "l" => self.element::<i64>(1, at) as f64,
                "L" => self.element::<u64>(1, at) as f64,
                "f" => f64::from(self.element::<f32>(1, at)),
                "g" => self.element::<f64>(1, at),
                _ => return Err("expected numbers".into()),
            }
        })
    }

    fn text(&self, row: usize) -> Result<Option<&'a str>, String> {
        let at = row + self.array.offset as usize;
        if self.is_missing(at) {
            return Ok(None);
        }
        // Texts are between two places of the second buffer in the third; a view has its length, and
        // then itself, or the buffer and place where it is.
        let bytes = unsafe {
            let (buffer, first, end) = match self.format {
                "u" => {
                    let [first, end] = [at, at + 1].map(|i| self.element::<i32>(1, i));
                    (2, first as usize, end as usize)
                }
                "U" => {
                    let [first, end] = [at, at + 1].map(|i| self.element::<i64>(1, i));
                    (2, first as usize, end as usize)
                }
                "vu" => {
                    let [length, _, buffer, place] = self.element::<[i32; 4]>(1, at);
                    match length {
                        ..=12 => (1, 16 * at + 4, 16 * at + 4 + length as usize),
                        _ => (2 + buffer as usize, place as usize, (place + length) as usize),
                    }
                }
                _ => return Err("expected texts".into()),
            };
            if end < first || buffer as i64 >= self.array.n_buffers {
                return Err(format!("the text of row {row} ends before it begins"));
            }
            let start = (*self.array.buffers.add(buffer)).cast::<u8>();
            match end - first {
                0 => &[][..],
                length => std::slice::from_raw_parts(start.add(first), length),
            }
        };
        std::str::from_utf8(bytes).map(Some).map_err(|e| format!("row {row}: {e}"))
    }
}
