//! Temporary folders and files. What a killed process leaves is removed by the next one that makes some:
//! their maker holds a lock on them, which ends with the process.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;

const PREFIX: &str = "lanner-";
/// Name of the file in a temporary folder that its maker holds a lock on.
const LOCK: &str = "lock";
/// Age below which nothing is removed: its maker may be about to lock it.
const YOUNG: Duration = Duration::from_secs(60);

/// A folder for temporary files, removed when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: TempDir,
    _lock: File,
}

impl TemporaryFolder {
    /// Makes a folder in the system's folder for temporary files.
    pub fn new() -> io::Result<TemporaryFolder> {
        TemporaryFolder::new_in(&std::env::temp_dir())
    }

    fn new_in(place: &Path) -> io::Result<TemporaryFolder> {
        clean_once(place, |path, name| {
            let is_ours = name.starts_with(PREFIX) && path.join(LOCK).is_file();
            // A link to a folder is not a folder here.
            let is_folder = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
            if is_ours && is_folder && is_left(&path.join(LOCK)) {
                // One that cannot be removed is another user's.
                let _ = fs::remove_dir_all(path);
            }
        });
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(place)?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(TemporaryFolder { folder, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes unfinished files of `write_file` in a folder that their makers left.
pub(crate) fn clean_unfinished(folder: &Path, prefix: &str, suffix: &str) {
    clean_once(folder, |path, name| {
        if name.starts_with(prefix) && name.ends_with(suffix) && is_left(path) {
            let _ = fs::remove_file(path);
        }
    });
}

/// Looks at the entries of a folder, once a process: it may have many.
fn clean_once(folder: &Path, mut look: impl FnMut(&Path, &str)) {
    static SEEN: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = seen.get_or_insert_default().insert(folder.to_path_buf());
    drop(seen);
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().take_while(|_| is_new) {
        if let Some(name) = entry.file_name().to_str() {
            look(&entry.path(), name);
        }
    }
}

/// Tells whether a file is old and nobody holds a lock on it.
fn is_left(path: &Path) -> bool {
    let about = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
    let age = about.and_then(|m| m.modified().ok()).and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age > YOUNG) && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a file that looks as if it were written an hour ago.
    fn old(path: &Path) -> File {
        let file = File::create(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
        file
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        for name in ["lanner-left", "lanner-held", "lanner-mine", "other"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        // `lanner-mine` has no lock, so it is not a temporary folder.
        old(&place.path().join("lanner-left/lock"));
        old(&place.path().join("other/lock"));
        let held = old(&place.path().join("lanner-held/lock"));
        held.lock().unwrap();
        let young = TemporaryFolder::new_in(place.path()).unwrap();
        let exists = |name: &str| place.path().join(name).exists();
        assert!(!exists("lanner-left"));
        assert!(exists("lanner-held") && exists("lanner-mine") && exists("other"));
        let path = young.path().to_owned();
        assert!(path.join(LOCK).is_file());
        drop(young);
        assert!(!path.exists());
    }

    #[test]
    fn unfinished_files_are_removed_by_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        old(&at(".lanner-a1b2.tmp"));
        old(&at("table.csv"));
        let held = old(&at(".lanner-held.tmp"));
        held.lock().unwrap();
        File::create(at(".lanner-young.tmp")).unwrap();
        crate::write_file(at("table.csv"), b"new").unwrap();
        assert!(!at(".lanner-a1b2.tmp").exists());
        assert!(at(".lanner-held.tmp").exists() && at(".lanner-young.tmp").exists());
        assert_eq!(fs::read(at("table.csv")).unwrap(), b"new");
    }
}
