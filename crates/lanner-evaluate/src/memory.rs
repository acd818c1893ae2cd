//! Limit of the memory of a computation.

/// Memory limit in bytes: an explicit one given in MiB, else three quarters of the free memory; `None`
/// if the system does not tell.
pub fn memory_limit(mib: Option<u64>) -> Option<u64> {
    match mib {
        Some(mib) => Some(mib.saturating_mul(1 << 20)),
        None => free_memory().map(|bytes| bytes / 4 * 3),
    }
}

/// Free memory in bytes, if the system tells.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
