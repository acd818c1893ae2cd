//! Columns in and out by the Arrow PyCapsule interface, by which pandas, polars, pyarrow and others
//! exchange tables without knowing each other
//! (<https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>).
//!
//! The three structures are those of Arrow's C data interface. Whoever holds one calls its `release` once, and
//! sets it to null when the content moves elsewhere.

mod read;
mod write;

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

pub use read::{numbers, texts};
pub use write::Table;

/// Name of the capsule that holds a stream.
const STREAM: &std::ffi::CStr = c"arrow_array_stream";

/// Type and name of a column.
#[repr(C)]
struct Schema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut Schema,
    dictionary: *mut Schema,
    release: Option<unsafe extern "C" fn(*mut Schema)>,
    private_data: *mut c_void,
}

/// Values of a column, or the columns of a table.
#[repr(C)]
struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut Array,
    dictionary: *mut Array,
    release: Option<unsafe extern "C" fn(*mut Array)>,
    private_data: *mut c_void,
}

/// Blocks of values, one after the other.
#[repr(C)]
struct Stream {
    get_schema: Option<unsafe extern "C" fn(*mut Stream, *mut Schema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut Stream, *mut Array) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut Stream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut Stream)>,
    private_data: *mut c_void,
}

// Streams may be moved between threads, says the interface.
unsafe impl Send for Stream {}

impl Schema {
    fn empty() -> Schema {
        Schema {
            format: c"".as_ptr(),
            name: c"".as_ptr(),
            metadata: std::ptr::null(),
            flags: 0,
            n_children: 0,
            children: null_mut(),
            dictionary: null_mut(),
            release: None,
            private_data: null_mut(),
        }
    }
}

impl Array {
    fn empty() -> Array {
        Array {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: null_mut(),
            children: null_mut(),
            dictionary: null_mut(),
            release: None,
            private_data: null_mut(),
        }
    }
}

macro_rules! released {
    ($($structure:ty),*) => {
        $(impl Drop for $structure {
            fn drop(&mut self) {
                if let Some(release) = self.release {
                    // Whoever made the content left this function for whoever holds it at the end.
                    unsafe { release(self) };
                    self.release = None;
                }
            }
        })*
    };
}

released!(Schema, Array, Stream);
