//! Tables of latencies of networks that are files: `network,latency_ms,…`.

use std::path::Path;

use crate::DataError;
use crate::error::shown;

/// Latency of a network that is a file.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkLatency {
    /// Path or name of the file, as the table writes it.
    pub network: String,
    /// Milliseconds, above 0.
    pub latency_ms: f64,
    /// Tells the file that was measured from a later one of that name, if the table has that.
    pub fingerprint: Option<String>,
}

/// Reads `network` and a column of latencies in milliseconds, usually `latency_ms`, of a CSV table,
/// whatever else it has. Rows without a latency, of networks that a runtime refused, are left out.
///
/// # Errors
/// A column is missing, or a latency is not a number above 0.
pub fn read_network_latencies(
    path: &Path,
    latency: &str,
) -> Result<Vec<NetworkLatency>, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_path(path)
        .map_err(|e| DataError::file(path, e.to_string()))?;
    let names = reader.headers().map_err(|e| DataError::file(path, e.to_string()))?.clone();
    let column = |name: &str| {
        names.iter().position(|n| n.trim() == name).ok_or_else(|| {
            let known = names.iter().collect::<Vec<_>>().join(", ");
            let why =
                format!("no column '{name}', expected network and {latency}; there are {known}");
            DataError::file(path, why)
        })
    };
    let (network_at, latency_at) = (column("network")?, column(latency)?);
    let fingerprint_at = names.iter().position(|n| n.trim() == "fingerprint");
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| DataError::file(path, e.to_string()))?;
        let cell = |i: usize| record.get(i).unwrap_or_default().trim();
        if cell(latency_at).is_empty() {
            continue;
        }
        let number = cell(latency_at).parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
        let Some(latency_ms) = number else {
            return Err(DataError::Cell {
                path: path.into(),
                at: format!("line {}", record.position().map_or(0, csv::Position::line)),
                column: latency.into(),
                value: shown(cell(latency_at)),
                expected: "a number above 0".into(),
            });
        };
        let fingerprint = fingerprint_at.map(|i| cell(i).to_string()).filter(|f| !f.is_empty());
        rows.push(NetworkLatency { network: cell(network_at).into(), latency_ms, fingerprint });
    }
    Ok(rows)
}
