//! Gives a table to any library.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::null;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::{Array, STREAM, Schema, Stream};
use crate::error::InputError;

/// Flag of a column with missing values.
const NULLABLE: i64 = 2;

/// A table of columns; libraries take it by `__arrow_c_stream__`, without a copy.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Table {
    rows: usize,
    columns: Arc<Vec<Column>>,
}

struct Column {
    name: CString,
    values: Values,
    /// One bit a row; empty if no value is missing.
    present: Vec<u8>,
}

enum Values {
    Numbers(Vec<f64>),
    Integers(Vec<i64>),
    /// Places of the texts' ends, and all texts.
    Texts(Vec<i64>, Vec<u8>),
}

#[derive(FromPyObject)]
enum Given {
    Integers(Vec<Option<i64>>),
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
}

#[pymethods]
impl Table {
    /// Makes a table of columns of integers, numbers or texts, `None` where there is none.
    #[new]
    fn new(columns: Vec<(String, Given)>) -> PyResult<Table> {
        let mut all = Vec::new();
        let mut rows = None;
        for (name, given) in columns {
            let c_name = CString::new(name.clone()).map_err(|_| {
                InputError::new_err(format!("{name:?} is not the name of a column"))
            })?;
            let (present, values) = match given {
                Given::Integers(v) => (bits(&v), Values::Integers(filled(v))),
                Given::Numbers(v) => (bits(&v), Values::Numbers(filled(v))),
                Given::Texts(v) => {
                    let (mut ends, mut texts) = (vec![0], Vec::new());
                    for text in &v {
                        texts.extend(text.as_deref().unwrap_or("").bytes());
                        ends.push(texts.len() as i64);
                    }
                    (bits(&v), Values::Texts(ends, texts))
                }
            };
            let column = Column { name: c_name, values, present };
            if *rows.get_or_insert(column.len()) != column.len() {
                let why = format!("column {name} has {} rows, others do not", column.len());
                return Err(InputError::new_err(why));
            }
            all.push(column);
        }
        Ok(Table { rows: rows.unwrap_or(0), columns: Arc::new(all) })
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // A library may ask for other types, and must take what there is.
        let _ = requested_schema;
        let rest =
            Box::new(Rest { rows: self.rows, columns: Arc::clone(&self.columns), is_read: false });
        let stream = Stream {
            get_schema: Some(get_schema),
            get_next: Some(get_next),
            get_last_error: Some(get_last_error),
            release: Some(release_stream),
            private_data: Box::into_raw(rest).cast(),
        };
        PyCapsule::new_with_value(py, stream, STREAM)
    }
}

fn bits<T>(values: &[Option<T>]) -> Vec<u8> {
    if values.iter().all(Option::is_some) {
        return Vec::new();
    }
    let mut bits = vec![0; values.len().div_ceil(8)];
    for (i, _) in values.iter().enumerate().filter(|(_, v)| v.is_some()) {
        bits[i / 8] |= 1 << (i % 8);
    }
    bits
}

fn filled<T: Default>(values: Vec<Option<T>>) -> Vec<T> {
    values.into_iter().map(Option::unwrap_or_default).collect()
}

impl Column {
    fn len(&self) -> usize {
        match &self.values {
            Values::Numbers(v) => v.len(),
            Values::Integers(v) => v.len(),
            Values::Texts(ends, _) => ends.len() - 1,
        }
    }

    fn format(&self) -> *const c_char {
        match self.values {
            Values::Numbers(_) => c"g".as_ptr(),
            Values::Integers(_) => c"l".as_ptr(),
            Values::Texts(..) => c"U".as_ptr(),
        }
    }

    fn buffers(&self) -> Vec<*const c_void> {
        let present = if self.present.is_empty() { null() } else { self.present.as_ptr().cast() };
        match &self.values {
            Values::Numbers(v) => vec![present, v.as_ptr().cast()],
            Values::Integers(v) => vec![present, v.as_ptr().cast()],
            Values::Texts(ends, texts) => {
                vec![present, ends.as_ptr().cast(), texts.as_ptr().cast()]
            }
        }
    }
}

/// State of a stream: one block, if it was not read yet.
struct Rest {
    rows: usize,
    columns: Arc<Vec<Column>>,
    is_read: bool,
}

/// Memory of an exported structure: the columns, and the lists that it points to.
struct Kept<T> {
    columns: Arc<Vec<Column>>,
    children: Vec<*mut T>,
    buffers: Vec<*const c_void>,
}

/// Gives a structure its memory, which `release` frees.
fn kept<T>(
    columns: &Arc<Vec<Column>>,
    children: Vec<*mut T>,
    buffers: Vec<*const c_void>,
) -> Box<Kept<T>> {
    Box::new(Kept { columns: Arc::clone(columns), children, buffers })
}

// The functions below are called by the library that reads, with structures that this file made and that
// were not released: `private_data` is what was put there.

unsafe extern "C" fn get_schema(stream: *mut Stream, out: *mut Schema) -> c_int {
    let rest = unsafe { &*(*stream).private_data.cast::<Rest>() };
    let columns = rest.columns.iter().map(|column| {
        Box::into_raw(Box::new(Schema {
            format: column.format(),
            name: column.name.as_ptr(),
            flags: if column.present.is_empty() { 0 } else { NULLABLE },
            release: Some(release_schema),
            private_data: Box::into_raw(kept::<Schema>(&rest.columns, vec![], vec![])).cast(),
            ..Schema::empty()
        }))
    });
    let mut kept = kept(&rest.columns, columns.collect(), vec![]);
    let schema = Schema {
        format: c"+s".as_ptr(),
        n_children: kept.children.len() as i64,
        children: kept.children.as_mut_ptr(),
        release: Some(release_schema),
        private_data: Box::into_raw(kept).cast(),
        ..Schema::empty()
    };
    unsafe { out.write(schema) };
    0
}

unsafe extern "C" fn get_next(stream: *mut Stream, out: *mut Array) -> c_int {
    let rest = unsafe { &mut *(*stream).private_data.cast::<Rest>() };
    if std::mem::replace(&mut rest.is_read, true) {
        unsafe { out.write(Array::empty()) };
        return 0;
    }
    let columns = rest.columns.iter().map(|column| {
        let mut kept = kept::<Array>(&rest.columns, vec![], column.buffers());
        Box::into_raw(Box::new(Array {
            length: rest.rows as i64,
            null_count: if column.present.is_empty() { 0 } else { -1 },
            n_buffers: kept.buffers.len() as i64,
            buffers: kept.buffers.as_mut_ptr(),
            release: Some(release_array),
            private_data: Box::into_raw(kept).cast(),
            ..Array::empty()
        }))
    });
    let mut kept = kept(&rest.columns, columns.collect(), vec![null()]);
    let array = Array {
        length: rest.rows as i64,
        n_buffers: 1,
        buffers: kept.buffers.as_mut_ptr(),
        n_children: kept.children.len() as i64,
        children: kept.children.as_mut_ptr(),
        release: Some(release_array),
        private_data: Box::into_raw(kept).cast(),
        ..Array::empty()
    };
    unsafe { out.write(array) };
    0
}

unsafe extern "C" fn get_last_error(_: *mut Stream) -> *const c_char {
    null()
}

macro_rules! release {
    ($name:ident, $structure:ty) => {
        unsafe extern "C" fn $name(it: *mut $structure) {
            unsafe {
                let kept = Box::from_raw((*it).private_data.cast::<Kept<$structure>>());
                // A child whose content the reader moved elsewhere has no release any more.
                for &child in &kept.children {
                    drop(Box::from_raw(child));
                }
                drop(kept.columns);
                (*it).release = None;
            }
        }
    };
}

release!(release_schema, Schema);
release!(release_array, Array);

unsafe extern "C" fn release_stream(stream: *mut Stream) {
    unsafe {
        drop(Box::from_raw((*stream).private_data.cast::<Rest>()));
        (*stream).release = None;
    }
}
