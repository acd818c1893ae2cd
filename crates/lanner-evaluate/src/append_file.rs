//! Files to which whole lines are appended.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use crate::EvaluateError;

/// A file to which whole lines are appended: a failed write leaves no part of a line.
#[derive(Debug)]
pub(crate) struct AppendFile {
    pub path: PathBuf,
    pub file: File,
    /// Length of the whole lines, in bytes.
    pub len: u64,
}

impl AppendFile {
    pub fn open(path: PathBuf) -> Result<AppendFile, EvaluateError> {
        let io = |doing| EvaluateError::io(&path, doing);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&path).map_err(io("open"))?;
        let about = file.metadata().map_err(io("read"))?;
        if !about.is_file() {
            let why = "not a regular file".into();
            return Err(EvaluateError::File { path, line: 1, why });
        }
        Ok(AppendFile { file, len: about.len(), path })
    }

    /// Cuts off a last line without an end, which a crash left.
    pub fn cut_torn_line(&mut self) -> std::io::Result<()> {
        let mut end = self.len;
        while end > 0 {
            let start = end.saturating_sub(4096);
            self.file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            (&self.file).take(end - start).read_to_end(&mut bytes)?;
            if let Some(at) = bytes.iter().rposition(|&b| b == b'\n') {
                end = start + at as u64 + 1;
                break;
            }
            end = start;
        }
        if end < self.len {
            self.file.set_len(end)?;
            self.len = end;
        }
        Ok(())
    }

    /// Appends all lines or none: after an error, such as a full disk, a partial write is cut off.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), EvaluateError> {
        if let Err(error) = self.file.write_all(bytes) {
            // If this fails too, the next `cut_torn_line` mends the file.
            let _ = self.file.set_len(self.len);
            return Err(EvaluateError::Io { path: self.path.clone(), doing: "write", error });
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}
