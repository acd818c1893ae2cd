//! Facts about the machine, for the header of a table of latencies.

use std::fs;

/// Name of the processor, and the number of logical processors.
pub fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|l| l.split(':').next().is_some_and(|k| k.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned()).filter(|v| !v.is_empty())
    };
    let count = info.lines().filter(|l| l.starts_with("processor")).count();
    let name = field("model name")
        .or_else(|| first_line("/proc/device-tree/model"))
        .or_else(|| Some(format!("arm part {}", field("CPU part")?)))
        .or_else(|| answer("sysctl", &["-n", "machdep.cpu.brand_string"]))
        .unwrap_or_else(|| std::env::consts::ARCH.into());
    let count = match count {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
        n => n,
    };
    format!("{name}, {count} logical processors")
}

/// Governor of the clock frequency; `not told` if the system does not say.
pub fn governor() -> String {
    first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        .unwrap_or_else(|| "not told".into())
}

/// Operating system, version of its kernel, and instruction set.
pub fn os() -> String {
    let kernel = first_line("/proc/sys/kernel/osrelease").or_else(|| answer("uname", &["-r"]));
    // The distributor's suffix says nothing about speed.
    let kernel = kernel.as_deref().and_then(|k| k.split('-').next()).unwrap_or_default();
    format!("{} {kernel} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// Returns the processors that this thread may run on; none where the system does not tell.
pub fn cores() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        return (0..rustix::thread::CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect();
    }
    Vec::new()
}

/// Binds this thread, and all threads that it starts from now on, to some of the processors.
///
/// # Errors
/// When a processor does not exist, or the system cannot bind processes.
pub fn pin(cores: &[usize]) -> Result<(), String> {
    #[cfg(target_os = "linux")]
    {
        let mut set = rustix::thread::CpuSet::new();
        for &core in cores {
            if core >= rustix::thread::CpuSet::MAX_CPU {
                return Err(format!("there is no processor {core}"));
            }
            set.set(core);
        }
        rustix::thread::sched_setaffinity(None, &set)
            .map_err(|e| format!("cannot run on processors {cores:?}: {e}"))?;
        // The system silently leaves out processors that do not exist.
        let got = rustix::thread::sched_getaffinity(None).map_err(|e| e.to_string())?;
        match cores.iter().find(|&&c| !got.is_set(c)) {
            Some(core) => Err(format!("there is no processor {core}")),
            None => Ok(()),
        }
    }
    #[cfg(not(target_os = "linux"))]
    Err(format!("cannot bind to processors {cores:?}: this system does not offer it"))
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    Some(line.to_owned()).filter(|l| !l.is_empty())
}

fn answer(program: &str, args: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|t| output.status.success() && !t.is_empty())
}
