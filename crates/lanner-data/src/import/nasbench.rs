//! Reads NAS-Bench-201 (Dong & Yang, ICLR 2020) and NATS-Bench's topology space (Dong et al., TPAMI
//! 2021).
//!
//! The data comes in three forms: one file with `meta_archs` (the architectures in order) and
//! `arch2infos` (index → hyper-parameters → results); a folder with `meta.pickle.pbz2` and a file
//! for each index, `000000.pickle.pbz2`; and NAS-Bench-201's older folder of `000000-FULL.pth`.
//! NATS-Bench names the hyper-parameters by their epochs (`12`, `200`), NAS-Bench-201 calls them
//! `less` and `full`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use lanner_space::{Architecture, Space};

use super::{
    Progress,
    results::{Metrics, UNWANTED, collect},
};
use crate::{
    DataError, Table,
    pickle::{Item, Limits},
    pickle_file::load,
};

const LIMITS: Limits<'static> = Limits { memory: 8 << 30, skip: &UNWANTED };

pub(super) fn read(
    path: &Path,
    space: &Space,
    progress: &Progress<'_>,
) -> Result<Table, DataError> {
    let mut rows = Rows::default();
    if path.is_dir() {
        read_folder(path, space, progress, &mut rows)?;
    } else {
        let pickle = load(path, LIMITS, progress)?;
        let root = pickle.root();
        match root.get("arch2infos").and_then(Item::dict) {
            Some(infos) => {
                let archs = read_archs(root, space, path)?;
                for (key, info) in infos {
                    let index = key.int().unwrap_or(-1);
                    rows.add(&archs, index, info, path)?;
                }
            }
            None => {
                let index = file_index(path).ok_or_else(|| {
                    DataError::file(
                        path,
                        format!(
                            "neither a dict with 'arch2infos' nor named by an index, such as 000123; found {}",
                            root.kind()
                        ),
                    )
                })?;
                rows.add(&space.list()?, index, root, path)?;
            }
        }
    }
    rows.into_table(space, path)
}

fn read_folder(
    folder: &Path,
    space: &Space,
    progress: &Progress<'_>,
    rows: &mut Rows,
) -> Result<(), DataError> {
    let unreadable = || DataError::io(folder, "read");
    let mut files: Vec<(i64, PathBuf)> = vec![];
    let mut archs: Option<Vec<Architecture>> = None;
    // The files of a folder are many and small, so progress counts files.
    let silent = Progress::new(&[], &|_, _| {});
    for entry in std::fs::read_dir(folder).map_err(unreadable())? {
        let path = entry.map_err(unreadable())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(name.ends_with(".pickle.pbz2") || name.ends_with(".pth") || name.ends_with(".pickle"))
        {
            continue;
        }
        if name.starts_with("meta.") {
            let pickle = load(&path, LIMITS, &silent)?;
            archs = Some(read_archs(pickle.root(), space, &path)?);
        } else if let Some(index) = file_index(&path) {
            files.push((index, path));
        }
    }
    if files.is_empty() {
        return Err(DataError::file(
            folder,
            "no results in the folder; expected files such as 000000.pickle.pbz2",
        ));
    }
    files.sort();
    // Without a list of architectures, the index is the official one.
    let archs = archs.map_or_else(|| space.list(), Ok)?;
    let results = read_each(&files, &archs, |done| (progress.callback)(done, files.len() as u64))?;
    for (arch, metrics) in results {
        rows.archs.push(arch);
        rows.metrics.push(metrics);
    }
    Ok(())
}

/// Reads the files on all cores, since unpacking takes minutes on one; results are in their order.
fn read_each(
    files: &[(i64, PathBuf)],
    archs: &[Architecture],
    on_file: impl Fn(u64),
) -> Result<Vec<(Architecture, Metrics)>, DataError> {
    let next = AtomicUsize::new(0);
    let work = |results: mpsc::Sender<_>| {
        while let Some((i, (index, file))) = {
            let i = next.fetch_add(1, Ordering::Relaxed);
            files.get(i).map(|f| (i, f))
        } {
            let silent = Progress::new(&[], &|_, _| {});
            let result = load(file, LIMITS, &silent)
                .and_then(|pickle| row(archs, *index, pickle.root(), file));
            // After a file has failed, the receiver is gone.
            if results.send((i, result)).is_err() {
                return;
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, |n| n.get().min(files.len()));
    let mut all: Vec<Option<(Architecture, Metrics)>> = vec![None; files.len()];
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let sender = sender.clone();
            let work = &work;
            scope.spawn(move || work(sender));
        }
        drop(sender);
        for (done, (i, result)) in receiver.into_iter().enumerate() {
            all[i] = Some(result?);
            on_file(done as u64 + 1);
        }
        Ok::<(), DataError>(())
    })?;
    Ok(all.into_iter().flatten().collect())
}

/// Index in the name of a file: `000123.pickle.pbz2`, `000123-FULL.pth`.
fn file_index(path: &Path) -> Option<i64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    match name.as_bytes().get(digits) {
        Some(b'.' | b'-') => name[..digits].parse().ok(),
        _ => None,
    }
}

fn read_archs(root: Item<'_>, space: &Space, path: &Path) -> Result<Vec<Architecture>, DataError> {
    let texts = root
        .get("meta_archs")
        .and_then(Item::list)
        .ok_or_else(|| DataError::file(path, "no list 'meta_archs' of architectures"))?;
    let parse = |(i, item): (usize, Item<'_>)| match item.str() {
        Some(text) => {
            space.parse(text).map_err(|e| DataError::file(path, format!("architecture {i}: {e}")))
        }
        None => Err(DataError::file(
            path,
            format!("architecture {i} is {}, expected a text", item.kind()),
        )),
    };
    texts.enumerate().map(parse).collect()
}

/// Reads the results of the architecture of an index: hyper-parameters → results.
fn row(
    archs: &[Architecture],
    index: i64,
    info: Item<'_>,
    path: &Path,
) -> Result<(Architecture, Metrics), DataError> {
    let wrong = |why: String| DataError::file(path, format!("architecture {index}: {why}"));
    let arch = usize::try_from(index).ok().and_then(|i| archs.get(i));
    let arch =
        arch.ok_or_else(|| wrong(format!("expected an index of 0 to {}", archs.len().max(1) - 1)))?;
    let states = info.dict().ok_or_else(|| {
        wrong(format!("a dict of hyper-parameters expected, found {}", info.kind()))
    })?;
    // The longest training comes first, since costs are taken from it if it has them.
    let mut by_epochs = BTreeMap::new();
    for (key, state) in states {
        let epochs: Option<u32> = match key.str() {
            Some("less") => Some(12),
            Some("full") => Some(200),
            Some(text) => text.parse().ok(),
            None => None,
        };
        let epochs = epochs
            .ok_or_else(|| wrong("hyper-parameters are not called less, full, 12 or 200".into()))?;
        by_epochs.insert(epochs, state);
    }
    let mut metrics = Metrics::new();
    for (epochs, state) in by_epochs.iter().rev() {
        collect(*state, &epochs.to_string(), &mut metrics).map_err(&wrong)?;
    }
    Ok((arch.clone(), metrics))
}

/// Metrics of each architecture, in the order in which they come.
#[derive(Default)]
struct Rows {
    archs: Vec<Architecture>,
    metrics: Vec<Metrics>,
}

impl Rows {
    fn add(
        &mut self,
        archs: &[Architecture],
        index: i64,
        info: Item<'_>,
        path: &Path,
    ) -> Result<(), DataError> {
        let (arch, metrics) = row(archs, index, info, path)?;
        self.archs.push(arch);
        self.metrics.push(metrics);
        Ok(())
    }

    fn into_table(self, space: &Space, path: &Path) -> Result<Table, DataError> {
        let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let n = self.archs.len();
        for (row, metrics) in self.metrics.into_iter().enumerate() {
            for (name, value) in metrics {
                columns.entry(name).or_insert_with(|| vec![f64::NAN; n])[row] = value;
            }
        }
        if columns.is_empty() {
            return Err(DataError::file(path, "no results in it"));
        }
        let (names, columns) = columns.into_iter().unzip();
        Table::new(space.clone(), self.archs, names, columns)
            .map_err(|e| DataError::file(path, e.to_string()))
    }
}
