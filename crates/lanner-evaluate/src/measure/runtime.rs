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
pub trait Session {
    /// Runs the network `runs` times, one after the other, and appends what each took, milliseconds.
    /// A device that has its own idea of how often to run may append another number of samples, but
    /// at least one.
    fn time(&mut self, runs: usize, samples: &mut Vec<f64>) -> Result<(), EvaluateError>;
}

/// Calls `run` so often and appends the milliseconds of each call; what it yields is dropped
/// outside of the time.
#[cfg(feature = "rten")]
pub(crate) fn timed<T>(
    runs: usize,
    samples: &mut Vec<f64>,
    mut run: impl FnMut() -> Result<T, EvaluateError>,
) -> Result<(), EvaluateError> {
    for _ in 0..runs {
        let start = std::time::Instant::now();
        let output = run()?;
        samples.push(1e3 * start.elapsed().as_secs_f64());
        drop(output);
    }
    Ok(())
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
