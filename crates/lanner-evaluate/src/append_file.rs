//! Files that grow by whole lines.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use crate::EvaluateError;

/// A file that grows by whole lines, whatever happens.
#[derive(Debug)]
pub(crate) struct AppendFile {
    pub path: PathBuf,
    pub file: File,
    /// Bytes of the file that are whole.
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

    /// Cuts off a last line that a crash left torn: one that has no end.
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

    /// Appends lines, all or none: what a full disk took half of is cut off again.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), EvaluateError> {
        if let Err(error) = self.file.write_all(bytes) {
            // Whatever became of this, the lines before are whole.
            let _ = self.file.set_len(self.len);
            return Err(EvaluateError::Io { path: self.path.clone(), doing: "write", error });
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}
