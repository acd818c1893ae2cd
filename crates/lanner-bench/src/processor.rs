//! Processor time, which other programs do not lengthen as they do the clock's.

/// Returns the seconds that this process has computed, over all threads, in steps of a hundredth.
/// `None` without Linux.
pub fn seconds() -> Option<f64> {
    of_stat(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Reads utime and stime, which are fields 14 and 15 of proc_pid_stat(5), in ticks of 1/100 s on every
/// architecture. Field 2 is the program's name, which may contain spaces and parentheses.
fn of_stat(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_found_behind_any_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 4";
        assert_eq!(of_stat(stat), Some(2.0));
        assert_eq!(of_stat("7 (a) S 1"), None);
    }
}
