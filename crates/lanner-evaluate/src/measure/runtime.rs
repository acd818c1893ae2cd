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
