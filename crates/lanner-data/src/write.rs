//! Writes files as a whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::Path,
};

use crate::{DataError, temporary};

/// Writes bytes to a file, as a whole or not at all.
///
/// They go to a temporary file in the same folder, which takes the file's place once they are on the
/// disk: a crash leaves the old file. A new file has the mode that any program gives it (0666 less
/// the umask), a replaced one keeps its own; a link stays, and the file that it points to is
/// replaced. A path that is not a file (`/dev/stdout`, a pipe) is written to
/// directly.
///
/// # Errors
/// When the file cannot be written; the message names the path, and a folder that is missing or not
/// writable.
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), DataError> {
    write_file_with(path, |out| out.write_all(bytes))
}

/// Writes the output of `write` to a file, like [`write_file`]; nothing if `write` fails.
pub fn write_file_with(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), DataError> {
    let path = path.as_ref();
    replace(path, write).map_err(DataError::io(path, "write"))
}

fn replace(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> io::Result<()> {
    let old = fs::metadata(path).ok();
    match &old {
        Some(old) if old.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        Some(old) if !old.is_file() => {
            let mut out = BufWriter::new(File::options().write(true).open(path)?);
            write(&mut out)?;
            return out.flush();
        }
        _ => {}
    }
    let linked = old.as_ref().and_then(|_| fs::canonicalize(path).ok());
    let path = linked.as_deref().unwrap_or(path);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    const UNFINISHED: (&str, &str) = (".lanner-", ".tmp");
    temporary::clean_unfinished(folder, UNFINISHED.0, UNFINISHED.1);
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
    #[cfg(unix)]
    {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        // Less the umask; by default a temporary file is its owner's alone.
        builder.permissions(Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(|e| in_folder(folder, &e))?;
    // Tells others that its maker is alive; a file system without locks keeps what is left.
    let _ = file.as_file().try_lock();
    #[cfg(unix)]
    if let Some(old) = &old {
        file.as_file().set_permissions(old.permissions())?;
    }
    let mut out = BufWriter::new(file.as_file_mut());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| in_folder(folder, &e.error))?;
    Ok(())
}

/// Rewords an error for the folder, since the name of the temporary file means nothing to a user.
fn in_folder(folder: &Path, error: &io::Error) -> io::Error {
    let folder = folder.display();
    let why = match error.kind() {
        ErrorKind::NotFound => format!("there is no folder {folder}"),
        ErrorKind::NotADirectory => format!("{folder} is no folder"),
        ErrorKind::PermissionDenied => format!("the folder {folder} is not writable"),
        ErrorKind::ReadOnlyFilesystem => format!("the folder {folder} is on a read-only disk"),
        kind => format!("{} in the folder {folder}", io::Error::from(kind)),
    };
    io::Error::new(error.kind(), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with an old file in it.
    fn old() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net.onnx");
        fs::write(&path, "old").unwrap();
        (dir, path)
    }

    fn files(dir: &tempfile::TempDir) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_file_is_replaced_when_the_new_one_is_whole() {
        let (dir, path) = old();
        write_file_with(&path, |out| {
            out.write_all(&[1; 100_000])?;
            // A crash here would leave this.
            assert_eq!(fs::read(&path)?, b"old");
            out.write_all(&[2])
        })
        .unwrap();
        let new = fs::read(&path).unwrap();
        assert_eq!((new.len(), new[100_000]), (100_001, 2));
        assert_eq!(files(&dir), 1);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let (dir, path) = old();
        let failed = write_file_with(&path, |out| {
            out.write_all(&[1; 100_000])?;
            Err(io::Error::other("the disk is full"))
        });
        let message = failed.unwrap_err().to_string();
        assert_eq!(message, format!("cannot write {}: the disk is full", path.display()));
        let panicked = std::panic::catch_unwind(|| {
            write_file_with(&path, |_| panic!("in the middle")).ok();
        });
        assert!(panicked.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(files(&dir), 1);
    }

    #[test]
    fn errors_name_the_path_and_the_folder() {
        let (dir, path) = old();
        let folder = dir.path().join("no/such");
        let error = write_file(folder.join("a.csv"), b"").unwrap_err().to_string();
        let there_is_none = format!("/no/such/a.csv: there is no folder {}", folder.display());
        assert!(error.starts_with("cannot write ") && error.ends_with(&there_is_none), "{error}");
        let error = write_file(path.join("a.csv"), b"").unwrap_err().to_string();
        assert!(error.ends_with(&format!("{} is no folder", path.display())), "{error}");
        let error = write_file(dir.path(), b"").unwrap_err().to_string();
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
        assert_eq!(files(&dir), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_usual_mode_and_a_replaced_one_its_own() {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        let (dir, path) = old();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let new = dir.path().join("new.csv");
        write_file(&new, b"new").unwrap();
        // The other file got its mode from the same umask.
        assert_eq!(mode(&new), mode(&path));
        for kept in [0o600, 0o640, 0o755] {
            fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            write_file(&path, b"new").unwrap();
            assert_eq!(mode(&path), kept);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_not_writable_is_named() {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        let (dir, path) = old();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o555)).unwrap();
        let written = write_file(&path, b"new");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        // Root may write anywhere.
        if let Err(error) = written {
            let expected = format!("the folder {} is not writable", dir.path().display());
            assert!(error.to_string().ends_with(&expected), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
        let denied = in_folder(Path::new("a"), &ErrorKind::PermissionDenied.into());
        assert_eq!(denied.to_string(), "the folder a is not writable");
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_devices_are_written_to() {
        let (dir, path) = old();
        let link = dir.path().join("best.onnx");
        std::os::unix::fs::symlink("net.onnx", &link).unwrap();
        write_file(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        write_file("/dev/null", b"new").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
