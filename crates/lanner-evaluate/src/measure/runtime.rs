//! What runs a network and tells how long it took.

use crate::EvaluateError;

/// A runtime on a device, set up for a number of threads, a batch and a precision.
pub trait Runtime {
    /// Its name and version, for the header of a table: "rten 0.27.0".
    fn describe(&self) -> String;

    /// Makes a network ready. `onnx` is a model with one input `batch × channels × height × width`
    /// of 32-bit floats and all dimensions fixed. [`EvaluateError::Refused`] where the runtime lacks
    /// an operation, [`EvaluateError::Device`] where nothing answers.
    fn load(&self, onnx: &[u8]) -> Result<Box<dyn Session + '_>, EvaluateError>;
}

/// A network on a runtime.
pub trait Session: Send {
    /// Runs the network `runs` times, one after the other, and appends what each took, milliseconds.
    /// A device that has its own idea of how often to run may append another number of samples, but
    /// at least one.
    fn time(&mut self, runs: usize, samples: &mut Vec<f64>) -> Result<(), EvaluateError>;
}

/// Calls `run` so often and appends the milliseconds of each call; what it yields is dropped
/// outside of the time. `alone`: all of it happens in this thread.
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

/// The time of a run. Where another program got the processor in between, only this thread's time on
/// it counts: how long the others took is no property of the network.
#[cfg(any(feature = "rten", feature = "ort"))]
pub(crate) struct Stopwatch {
    processor_ms: Option<f64>,
    start: std::time::Instant,
}

#[cfg(any(feature = "rten", feature = "ort"))]
impl Stopwatch {
    /// So much more than the time on the processor is no matter of clocks that tick apart.
    const TAKEN: f64 = 1.02;

    /// With other threads at work, waiting for them is part of the run: `alone` is false then.
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

/// What this thread has had of a processor, where the system tells.
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

/// What networks are fed with: numbers of the standard normal distribution, the same ones always,
/// so that runs on another day and another runtime see the same input.
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

#[cfg(all(test, feature = "rten", any(target_os = "linux", target_os = "macos")))]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A sleep stands for the time in which another program has the processor.
    #[test]
    fn only_time_on_the_processor_counts() {
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
}
