use std::{io::Write, path::Path};

use crate::NetworkError;

/// Writes a file as a whole or not at all: a temporary file beside it takes its place at the end.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), NetworkError> {
    let write = || {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // The error of `tempfile` names its own file; the user's is named below.
        let mut file = tempfile::Builder::new()
            .prefix(".lanner-")
            .tempfile_in(folder)
            .map_err(|e| std::io::Error::from(e.kind()))?;
        #[cfg(unix)]
        {
            // Temporary files are private; what takes the place of a user's file is not.
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|cause| NetworkError::Write { path: path.into(), cause })
}
