//! Files that a study depends on: a run goes on only while their content is the same.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Evaluate, Job, SearchError, Setup};

/// Largest size of a folder whose files are read, bytes; of a larger one names and sizes count.
const READ: u64 = 1 << 30;
/// Largest number of files of a folder that are looked at.
const FILES: usize = 1_000_000;

/// A file or folder that a job names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The option that names it.
    option: String,
    /// Absolute path.
    path: PathBuf,
    /// FNV-1a of the content, in hexadecimal.
    hash: String,
}

/// Makes the paths of a job absolute, since a later run may begin in another folder.
pub(super) fn resolve(job: &mut Job, setup: &mut Setup) -> Result<(), SearchError> {
    for (_, path) in paths(job, setup) {
        let absolute = std::path::absolute(&*path)
            .map_err(|source| SearchError::Io { path: path.clone(), source })?;
        *path = absolute;
    }
    Ok(())
}

/// Reads the files that a job names, and returns what identifies their content.
pub(super) fn of(job: &Job, setup: &Setup) -> Result<Vec<Input>, SearchError> {
    let (mut job, mut setup) = (job.clone(), setup.clone());
    let mut all: Vec<(&str, PathBuf)> = paths(&mut job, &mut setup)
        .into_iter()
        .map(|(option, path)| (option, path.clone()))
        .collect();
    // A space that a program declared has a name instead of a file.
    if job.space_toml.is_some() && job.space.ends_with(".toml") {
        all.push(("space", PathBuf::from(&job.space)));
    }
    let uses_images = matches!(setup.evaluate, Evaluate::Train | Evaluate::Proxies);
    if let Some((_, path)) = setup.dataset.split_once(':').filter(|_| uses_images) {
        all.push(("dataset", PathBuf::from(path)));
    }
    let mut inputs: Vec<Input> = Vec::new();
    for (option, path) in all {
        let path = std::path::absolute(&path)
            .map_err(|source| SearchError::Io { path: path.clone(), source })?;
        if !inputs.iter().any(|input| input.path == path) {
            let hash =
                hash(&path).map_err(|source| SearchError::Io { path: path.clone(), source })?;
            inputs.push(Input { option: option.into(), path, hash });
        }
    }
    Ok(inputs)
}

/// Refuses a file that is gone or has changed since the study was begun.
pub(super) fn check(inputs: &[Input]) -> Result<(), SearchError> {
    for Input { option, path, hash: known } in inputs {
        let why = match hash(path) {
            Ok(now) if now == *known => continue,
            // The study has the text of its space.
            Err(_) if option == "space" && !path.exists() => continue,
            Ok(_) => {
                "its content has changed since the study was begun, and values of both would be \
                      mixed: put the old one back, or begin another study"
                    .into()
            }
            Err(e) => format!("the study goes on with this file only: {e}; put it back there"),
        };
        return Err(SearchError::Settings {
            why: format!("{} (--{option}): {why}", path.display()),
        });
    }
    Ok(())
}

/// Returns the paths of a job's tables and predictors, with the options that name them.
fn paths<'a>(job: &'a mut Job, setup: &'a mut Setup) -> Vec<(&'static str, &'a mut PathBuf)> {
    let mut all: Vec<(&'static str, &mut PathBuf)> = Vec::new();
    if let Evaluate::Table(file) = &mut setup.evaluate {
        all.push(("evaluate", file));
    }
    all.extend(setup.tables.iter_mut().map(|t| ("latency-table", &mut t.file)));
    all.extend(job.latency_predictor.as_mut().map(|file| ("latency-predictor", file)));
    all.extend(job.accuracy_prior.iter_mut().map(|file| ("accuracy-prior", file)));
    all
}

/// Computes FNV-1a of a file, or of the names and contents of a folder's files.
fn hash(path: &Path) -> std::io::Result<String> {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    if !path.is_dir() {
        hash.read(path)?;
        return Ok(hash.text());
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false => files.push((entry.path(), entry.metadata()?.len())),
            }
        }
        if files.len() > FILES {
            break;
        }
    }
    files.sort();
    let is_small = files.iter().map(|f| f.1).sum::<u64>() <= READ;
    for (file, len) in files {
        hash.add(file.strip_prefix(path).unwrap_or(&file).as_os_str().as_encoded_bytes());
        hash.add(&len.to_le_bytes());
        if is_small {
            hash.read(&file)?;
        }
    }
    Ok(hash.text())
}

struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn read(&mut self, path: &Path) -> std::io::Result<()> {
        let mut file = std::fs::File::open(path)?;
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(()),
                n => self.add(&block[..n]),
            }
        }
    }

    fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TableColumn;

    #[test]
    fn another_content_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(file("images/a")).unwrap();
        for name in ["t.csv", "l.csv", "p.lanner", "s.toml", "images/a/1"] {
            std::fs::write(file(name), name).unwrap();
        }
        let mut job = Job::new("nasbench201");
        job.space = file("s.toml").display().to_string();
        job.space_toml = Some("s.toml".into());
        job.latency_predictor = Some(file("p.lanner"));
        let mut setup = Setup::new(Evaluate::Table(file("t.csv")));
        setup.tables = vec![TableColumn { file: file("l.csv"), column: None }];
        let inputs = of(&job, &setup).unwrap();
        check(&inputs).unwrap();
        for name in ["t.csv", "l.csv", "p.lanner", "s.toml"] {
            std::fs::write(file(name), "another").unwrap();
            let message = check(&inputs).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
            std::fs::remove_file(file(name)).unwrap();
            assert_eq!(check(&inputs).is_ok(), name == "s.toml");
            std::fs::write(file(name), name).unwrap();
        }
        let setup = Setup {
            dataset: format!("folder:{}", file("images").display()),
            ..Setup::new(Evaluate::Train)
        };
        let inputs = of(&Job::new("nasbench201"), &setup).unwrap();
        check(&inputs).unwrap();
        std::fs::write(file("images/a/1"), "images/a/2").unwrap();
        assert!(check(&inputs).unwrap_err().to_string().contains("--dataset"));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "foobar").unwrap();
        assert_eq!(hash(file.path()).unwrap(), "85944171f73967e8");
    }
}
