//! Reads LatBench (Dudziak et al., BRP-NAS, NeurIPS 2020): `<device>.pickle`, a dict from the codes of
//! the operations, one an edge, to seconds. Disconnected networks are not in it.

use std::{collections::BTreeMap, path::Path};

use lanner_space::{Architecture, Space};

use super::{Progress, latency_name};
use crate::{
    DataError, Table,
    pickle::{Item, Limits},
    pickle_file::load,
};

pub(super) fn read(
    file: &Path,
    space: &Space,
    progress: &Progress<'_>,
) -> Result<Table, DataError> {
    let wrong = |why: String| DataError::file(file, why);
    let pickle = load(file, Limits::default(), progress)?;
    let root = pickle.root();
    let pairs = root.dict().ok_or_else(|| {
        wrong(format!("a dict of tuples to seconds expected, found {}", root.kind()))
    })?;
    // Sorted by index, so that all files give tables in one order; the last value of a key counts.
    let mut rows = BTreeMap::new();
    for (key, value) in pairs {
        let arch = codes(key).ok_or_else(|| {
            wrong(format!("a tuple of operation codes expected, found {}", key.kind()))
        })?;
        space.check(&arch).map_err(|e| wrong(e.to_string()))?;
        let seconds = value.number().filter(|s| s.is_finite() && *s > 0.0).ok_or_else(|| {
            let found = match value.number() {
                Some(n) => n.to_string(),
                None => value.kind().into(),
            };
            wrong(format!(
                "the latency of {:?} is {found}, expected more than 0 seconds",
                arch.codes()
            ))
        })?;
        rows.insert((space.index_of(&arch), arch.clone()), (arch, seconds * 1000.0));
    }
    if rows.is_empty() {
        return Err(wrong("no latencies in it".into()));
    }
    let (archs, values) = rows.into_values().unzip();
    Table::new(space.clone(), archs, vec![latency_name(file, space)], vec![values])
        .map_err(|e| wrong(e.to_string()))
}

fn codes(key: Item<'_>) -> Option<Architecture> {
    // No space has more choices, and a longer list would be printed in the message.
    let list = key.list().filter(|l| l.len() <= 256)?;
    let code = |item: Item<'_>| u8::try_from(item.int()?).ok();
    let codes: Option<Vec<u8>> = list.map(code).collect();
    codes.map(Architecture::new)
}
