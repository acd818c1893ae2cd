//! What runs a network and tells how long it took.

use std::time::Instant;

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
pub trait Session {
    /// Runs the network `runs` times, one after the other, and appends what each took, milliseconds.
    /// A device that has its own idea of how often to run may append another number of samples, but
    /// at least one.
    fn time(&mut self, runs: usize, samples: &mut Vec<f64>) -> Result<(), EvaluateError>;
}

/// Calls `run` so often and appends the milliseconds of each call; what it yields is dropped
/// outside of the time.
pub(crate) fn timed<T>(
    runs: usize,
    samples: &mut Vec<f64>,
    mut run: impl FnMut() -> Result<T, EvaluateError>,
) -> Result<(), EvaluateError> {
    for _ in 0..runs {
        let start = Instant::now();
        let output = run()?;
        samples.push(1e3 * start.elapsed().as_secs_f64());
        drop(output);
    }
    Ok(())
}

/// The image that in-process runtimes are given: standard normal values, always the same.
pub(crate) fn input(len: usize) -> Vec<f32> {
    use rand::RngExt;
    let mut generator = lanner_nn::rng(0, "measured image");
    // A sum of twelve uniform numbers has variance 1.
    (0..len).map(|_| (0..12).map(|_| generator.random::<f32>()).sum::<f32>() - 6.0).collect()
}
