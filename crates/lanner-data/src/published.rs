//! Finds the published data on this machine.

use std::path::{Path, PathBuf};

/// The folder of published tables: `$LANNER_DATA` if it is set, else `shared/data` beside the
/// checkout (`../shared/data` of the current folder or of one above it, up to the one with
/// `.git`). `None` if there is no such folder.
pub fn data_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("LANNER_DATA") {
        return Some(PathBuf::from(dir)).filter(|d| d.is_dir());
    }
    let current = std::env::current_dir().ok()?;
    below(&current)
}

fn below(start: &Path) -> Option<PathBuf> {
    for folder in start.ancestors() {
        let candidate = folder.join("../shared/data");
        if candidate.is_dir() {
            return Some(candidate);
        }
        if folder.join(".git").exists() {
            break;
        }
    }
    None
}
