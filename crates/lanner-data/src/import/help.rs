//! Reads HELP (Lee et al., NeurIPS 2021). `nasbench201_<device>_<batch>.pt` are lists of 15,625
//! latencies in milliseconds, in the order of the official index or, if it is given, of the authors'
//! index file `nasbench201_str_arch2idx.pt` (a dict of architecture texts to places).
//! `fbnet_<device>.pt` are lists of 5,000 latencies, whose architectures are in `fbnet_metainfo.pt`: a
//! dict with a list `arch` of dicts, in which `op_idx_list` has the 22 codes.

use std::path::{Path, PathBuf};

use lanner_space::{Architecture, Space};

use super::{Progress, latency_name};
use crate::{
    DataError, Table,
    pickle::{Item, Limits},
    pickle_file::load,
};

pub(super) fn read(
    files: &[PathBuf],
    space: &Space,
    progress: &Progress<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<(PathBuf, Table)>, DataError> {
    let mut order: Option<(&PathBuf, Vec<Architecture>)> = None;
    let mut columns: Vec<(&PathBuf, Vec<f64>)> = vec![];
    for (i, file) in files.iter().enumerate() {
        progress.start(i);
        refuse_other_space(file, space)?;
        let pickle = load(file, Limits::default(), progress)?;
        if pickle.root().dict().is_some() {
            if let Some((first, _)) = order {
                return Err(DataError::file(
                    file,
                    format!("a second index file, after {}", first.display()),
                ));
            }
            order = Some((file, read_order(file, pickle.root(), space)?));
        } else {
            columns.push((file, read_list(file, pickle.root())?));
        }
    }
    let archs = match order {
        None if *space == Space::Fbnet => {
            let why = "its architectures are in HELP's fbnet_metainfo.pt: give that file, too";
            return Err(match columns.first() {
                Some((file, _)) => DataError::file(file, why.to_string()),
                None => DataError::Table(why.into()),
            });
        }
        None => space.list()?,
        Some((file, archs)) => {
            notes.push(format!("rows in the order of {}", file.display()));
            archs
        }
    };
    let table = |(file, column): (&PathBuf, Vec<f64>)| {
        if column.len() != archs.len() {
            return Err(DataError::file(
                file,
                format!(
                    "{} latencies, expected {}, one for each architecture of {space}; of another search space?",
                    column.len(),
                    archs.len()
                ),
            ));
        }
        let name = latency_name(file, space);
        let table = Table::new(space.clone(), archs.clone(), vec![name], vec![column]);
        match table {
            Ok(table) => Ok((file.clone(), table)),
            Err(e) => Err(DataError::file(file, e.to_string())),
        }
    };
    columns.into_iter().map(table).collect()
}

/// Refuses a file whose name begins with that of another space.
fn refuse_other_space(file: &Path, space: &Space) -> Result<(), DataError> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let named = stem.split_once('_').map(|(name, _)| name);
    match named.filter(|name| Space::NAMES.contains(name) && *name != space.name()) {
        Some(other) => Err(DataError::file(
            file,
            format!("latencies of the search space {other}, not of {space}: --space {other}"),
        )),
        None => Ok(()),
    }
}

fn read_list(file: &Path, root: Item<'_>) -> Result<Vec<f64>, DataError> {
    let Some(values) = root.numbers() else {
        return Err(DataError::file(
            file,
            format!("a list of numbers expected, found {}", root.kind()),
        ));
    };
    if let Some(i) = values.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
        return Err(DataError::file(
            file,
            format!("latency {i} is {}, expected more than 0 milliseconds", values[i]),
        ));
    }
    Ok(values)
}

fn read_order(file: &Path, root: Item<'_>, space: &Space) -> Result<Vec<Architecture>, DataError> {
    let wrong = |why: String| Err(DataError::file(file, why));
    let Some(pairs) = root.dict() else {
        return wrong(format!("a dict of architectures expected, found {}", root.kind()));
    };
    if *space == Space::Fbnet {
        return read_fbnet(file, root, space);
    }
    let size = usize::try_from(space.size()).unwrap_or(usize::MAX).min(pairs.len());
    let mut order: Vec<Option<Architecture>> = vec![None; size];
    for (key, value) in pairs {
        let (Some(text), Some(index)) = (key.str(), value.int()) else {
            return wrong(format!(
                "an index file has architecture texts and integers, found {} and {}",
                key.kind(),
                value.kind()
            ));
        };
        let arch = space.parse(text).map_err(|e| DataError::file(file, e.to_string()))?;
        match usize::try_from(index).ok().and_then(|i| order.get_mut(i)) {
            Some(place @ None) => *place = Some(arch),
            Some(Some(_)) => return wrong(format!("index {index} is there twice")),
            None => {
                return wrong(format!(
                    "index {index} of '{text}', expected 0 to {}",
                    size.max(1) - 1
                ));
            }
        }
    }
    match order.into_iter().collect::<Option<Vec<_>>>() {
        Some(order) if order.len() as u128 == space.size() => Ok(order),
        _ => wrong(format!("an index file of {space} has all {} architectures", space.size())),
    }
}

fn read_fbnet(file: &Path, root: Item<'_>, space: &Space) -> Result<Vec<Architecture>, DataError> {
    let wrong = |why: String| DataError::file(file, why);
    let archs = root.get("arch").and_then(Item::list);
    let archs = archs.ok_or_else(|| wrong("a dict with a list 'arch' expected".into()))?;
    let codes = |arch: Item<'_>| -> Option<Vec<u8>> {
        let numbers = arch.get("op_idx_list")?.numbers()?;
        let code = |x: f64| (x.fract() == 0.0 && (0.0..=255.0).contains(&x)).then_some(x as u8);
        numbers.into_iter().map(code).collect()
    };
    let read = |(i, arch): (usize, Item<'_>)| {
        let codes = codes(arch)
            .ok_or_else(|| wrong(format!("architecture {i} has no list of codes 'op_idx_list'")))?;
        let arch = Architecture::new(codes);
        space.check(&arch).map_err(|e| wrong(format!("architecture {i}: {e}")))?;
        Ok(arch)
    };
    archs.enumerate().map(read).collect()
}
