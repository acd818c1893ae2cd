//! Runtimes, which run networks and measure their time.

#[cfg(any(feature = "rten", feature = "ort"))]
use lanner_network::onnx::ReadOptions;

use crate::EvaluateError;

/// A runtime on a device, set up for a number of threads, a batch and a precision.
pub trait Runtime {
    /// Name and version, for the header of a table: "rten 0.27.0".
    fn describe(&self) -> String;

    /// Loads a network. `onnx` is a model whose inputs are numbers, with all dimensions fixed but for
    /// the first ones, of which one that is open is 1, and those that the runtime was told.
    ///
    /// # Errors
    /// [`EvaluateError::Refused`] if the runtime lacks an operation, [`EvaluateError::Device`] if the
    /// device does not answer.
    fn load(&self, onnx: &[u8]) -> Result<Box<dyn Session + '_>, EvaluateError>;

    /// Loads a file, whose weights may be in others beside it.
    fn load_file(&self, path: &std::path::Path) -> Result<Box<dyn Session + '_>, EvaluateError> {
        let refused = |why: String| EvaluateError::Refused { runtime: self.describe(), why };
        let bytes = std::fs::read(path).map_err(|e| refused(format!("{}: {e}", path.display())))?;
        self.load(&bytes)
    }
}

/// A network that is loaded on a runtime.
pub trait Session: Send {
    /// Runs the network `runs` times, one after the other, and appends the time of each run in
    /// milliseconds. A device may run another number of times, but at least once.
    fn time(&mut self, runs: usize, samples: &mut Vec<f64>) -> Result<(), EvaluateError>;

    /// Doubt about the times so far, for the note of the network.
    fn doubt(&self) -> Option<String> {
        None
    }
}

/// Calls `run` the given number of times, and appends the milliseconds of each call; dropping its
/// result does not count. `alone` says that all work happens in this thread.
#[cfg(feature = "rten")]
pub(crate) fn timed<T>(
    runs: usize,
    alone: bool,
    samples: &mut Vec<f64>,
    mut run: impl FnMut() -> Result<T, EvaluateError>,
) -> Result<(), EvaluateError> {
    for _ in 0..runs {
        let watch = Stopwatch::start(alone);
        let output = run()?;
        samples.push(watch.ms());
        drop(output);
    }
    Ok(())
}

/// Measures the time of a run. If another program got the processor in between, only this thread's own
/// processor time counts.
#[cfg(any(feature = "rten", feature = "ort"))]
pub(crate) struct Stopwatch {
    processor_ms: Option<f64>,
    start: std::time::Instant,
}

#[cfg(any(feature = "rten", feature = "ort"))]
impl Stopwatch {
    /// Ratio of wall time to processor time above which another program had the processor; below it,
    /// the two clocks may differ by themselves.
    const TAKEN: f64 = 1.02;

    /// Starts. `alone` is false if other threads work, since waiting for them is part of the run.
    pub fn start(alone: bool) -> Stopwatch {
        let processor_ms = if alone { processor_ms() } else { None };
        Stopwatch { processor_ms, start: std::time::Instant::now() }
    }

    pub fn ms(&self) -> f64 {
        let wall = 1e3 * self.start.elapsed().as_secs_f64();
        let ran = self.processor_ms.zip(processor_ms()).map(|(before, now)| now - before);
        match ran {
            Some(ran) if ran > 0.0 && wall > Stopwatch::TAKEN * ran => ran,
            _ => wall,
        }
    }
}

/// Processor time of this thread in milliseconds, if the system tells.
#[cfg(any(feature = "rten", feature = "ort"))]
fn processor_ms() -> Option<f64> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::time::{ClockId, clock_gettime};
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Some(1e3 * time.tv_sec as f64 + 1e-6 * time.tv_nsec as f64)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    None
}

/// Most elements of an input: 4 GiB.
#[cfg(any(feature = "rten", feature = "ort"))]
const MOST_ELEMENTS: usize = 1 << 30;

/// Returns the sizes of an input's dimensions; those that the model leaves open are given by their names
/// (or empty ones), and have the sizes of the options.
///
/// # Errors
/// A size that is not known, a batch that the model fixes to another, or too many elements.
#[cfg(any(feature = "rten", feature = "ort"))]
pub(crate) fn sizes<'a>(
    input: &str,
    dims: impl Iterator<Item = Result<usize, &'a str>>,
    open: &ReadOptions,
) -> Result<Vec<usize>, String> {
    let size = |(axis, dim): (usize, Result<usize, &str>)| match dim {
        Ok(0) => Err(format!("input '{input}' has no elements: dimension {axis} is 0")),
        Ok(n) => match open.batch {
            Some(batch) if axis == 0 && batch > 1 && batch != n as u64 => {
                Err(format!("the batch is fixed to {n}, not {batch}: export with an open batch"))
            }
            _ => Ok(n),
        },
        Err(symbol) => match open.size(input, axis, symbol) {
            Ok(n) => Ok(n as usize),
            Err(why) => Err(format!("input '{input}': {why}")),
        },
    };
    let sizes: Vec<usize> = dims.enumerate().map(size).collect::<Result<_, _>>()?;
    let elements = sizes.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    if elements.is_none_or(|n| n > MOST_ELEMENTS) {
        return Err(format!(
            "input '{input}' is {sizes:?}, expected at most {MOST_ELEMENTS} elements"
        ));
    }
    Ok(sizes)
}

/// Input of measured networks: numbers of the standard normal distribution, always the same, so that
/// all runs and runtimes see the same input.
#[cfg(any(feature = "rten", feature = "ort"))]
pub(crate) fn input(len: usize) -> Vec<f32> {
    use rand::RngExt;

    let mut rng = lanner_nn::rng(0, "measured image");
    let mut normal = || {
        // Box and Muller (1958); 1 − u is in (0, 1], where the logarithm is finite.
        let (u, angle): (f32, f32) = (rng.random(), rng.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
    };
    (0..len).map(|_| normal()).collect()
}

#[cfg(all(test, any(feature = "rten", feature = "ort")))]
mod tests {
    use super::*;

    /// A sleep takes the part of another program that has the processor.
    #[cfg(all(feature = "rten", any(target_os = "linux", target_os = "macos")))]
    #[test]
    fn only_time_on_the_processor_counts() {
        use std::time::Duration;

        let run = || {
            let (before, mut sum) = (processor_ms().unwrap(), 0u64);
            while processor_ms().unwrap() < before + 5.0 {
                sum += 1;
            }
            std::thread::sleep(Duration::from_millis(40));
            Ok(sum)
        };
        let (mut alone, mut waited) = (Vec::new(), Vec::new());
        timed(3, true, &mut alone, run).unwrap();
        timed(3, false, &mut waited, run).unwrap();
        assert!(alone.iter().all(|ms| (5.0..20.0).contains(ms)), "{alone:?}");
        assert!(waited.iter().all(|ms| *ms >= 45.0), "{waited:?}");
    }

    #[test]
    fn open_dimensions_have_the_sizes_that_are_told() {
        let dims = |dims: &[(&str, u64)], batch| ReadOptions {
            batch,
            dims: dims.iter().map(|(name, size)| (name.to_string(), *size)).collect(),
        };
        let of = |axes: &[Result<usize, &str>], open: &ReadOptions| {
            sizes("x", axes.iter().copied(), open)
        };
        let open = [Err("batch"), Err("length"), Err(""), Ok(3)];
        let told = dims(&[("length", 9), ("x.2", 5)], None);
        assert_eq!(of(&open, &told).unwrap(), [1, 9, 5, 3]);
        assert_eq!(of(&open, &ReadOptions { batch: Some(4), ..told }).unwrap(), [4, 9, 5, 3]);
        let unknown = of(&open, &dims(&[("x.2", 5)], None)).unwrap_err();
        assert!(unknown.contains("--dim length=224"), "{unknown}");
        assert!(of(&[Err(""), Err("")], &dims(&[], None)).unwrap_err().contains("--dim x.1="));
        assert!(of(&[Ok(2), Ok(3)], &dims(&[], Some(4))).unwrap_err().contains("fixed to 2"));
        assert_eq!(of(&[Ok(2), Ok(3)], &dims(&[], Some(1))).unwrap(), [2, 3]);
        assert!(of(&[Ok(0)], &dims(&[], None)).is_err());
        for size in [1 << 31, u64::MAX] {
            let huge = of(&[Ok(3), Err("n")], &dims(&[("n", size)], None)).unwrap_err();
            assert!(huge.contains("expected at most 1073741824 elements"), "{huge}");
        }
    }
}
