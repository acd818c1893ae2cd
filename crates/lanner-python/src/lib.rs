//! The module `lanner._lanner`: converts arguments and errors, and calls the library. The package in
//! `python/lanner` documents what users see; structured values cross as JSON texts.
#![cfg(feature = "module")]
// Functions are called with the arguments of Python's, by name.
#![allow(clippy::too_many_arguments)]

mod arrow;
mod error;
mod evaluate;
mod images;
mod network;
mod predictor;
mod profile;
mod search;
mod space;
mod timer;

/// Binding of Lanner's library; use the package `lanner`.
#[pyo3::pymodule]
mod _lanner {
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    use crate::arrow::Table;
    #[pymodule_export]
    use crate::evaluate::{Proxies, Training};
    #[pymodule_export]
    use crate::images::images;
    #[pymodule_export]
    use crate::network::{Network, onnx_cost};
    #[pymodule_export]
    use crate::predictor::Predictor;
    #[pymodule_export]
    use crate::profile::{Profile, probe, probes};
    #[pymodule_export]
    use crate::search::Search;
    #[pymodule_export]
    use crate::space::Space;
    #[pymodule_export]
    use crate::timer::Timer;
    use pyo3::prelude::*;

    use crate::error::OrException;

    /// Returns a limit as the library writes it.
    #[pyfunction]
    fn limit(text: &str) -> PyResult<String> {
        Ok(text.parse::<lanner::search::Limit>().or_exception()?.to_string())
    }

    /// Returns the name of this machine's processor, and the number of logical ones.
    #[pyfunction]
    fn processor() -> String {
        lanner::evaluate::measure::machine::cpu()
    }

    /// Writes a file as a whole or not at all.
    #[pyfunction]
    fn write_file(path: std::path::PathBuf, content: &[u8]) -> PyResult<()> {
        lanner::data::write_file(path, content).or_exception()
    }
}
