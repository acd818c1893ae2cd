//! Errors of the library as exceptions of the package.

use lanner::data::DataError;
use lanner::evaluate::EvaluateError;
use lanner::network::NetworkError;
use lanner::predict::PredictError;
use lanner::report::ReportError;
use lanner::search::SearchError;
use lanner::space::SpaceError;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::{PyErr, import_exception};

import_exception!(lanner._errors, InputError);
import_exception!(lanner._errors, StudyError);
import_exception!(lanner._errors, MeasureError);
import_exception!(lanner._errors, TrainError);

/// Converts an error to the exception that stands for it.
pub trait IntoException {
    fn exception(self) -> PyErr;
}

macro_rules! exceptions {
    ($($error:ty => $exception:ident),* $(,)?) => {
        $(impl IntoException for $error {
            fn exception(self) -> PyErr {
                $exception::new_err(self.to_string())
            }
        })*
    };
}

exceptions!(
    DataError => InputError,
    NetworkError => InputError,
    PredictError => InputError,
    ReportError => StudyError,
    SpaceError => InputError,
);

impl IntoException for EvaluateError {
    fn exception(self) -> PyErr {
        let text = self.to_string();
        match self {
            EvaluateError::Value { .. }
            | EvaluateError::Data(_)
            | EvaluateError::Network(_)
            | EvaluateError::Space(_) => InputError::new_err(text),
            EvaluateError::Diverged { .. } => TrainError::new_err(text),
            _ => MeasureError::new_err(text),
        }
    }
}

impl IntoException for SearchError {
    fn exception(self) -> PyErr {
        let text = self.to_string();
        match self {
            SearchError::Stopped { .. } => PyKeyboardInterrupt::new_err(text),
            SearchError::Evaluate(_) => MeasureError::new_err(text),
            SearchError::Settings { .. }
            | SearchError::Setting { .. }
            | SearchError::Space(_)
            | SearchError::Network(_)
            | SearchError::Predict(_)
            | SearchError::Data(_) => InputError::new_err(text),
            _ => StudyError::new_err(text),
        }
    }
}

/// Turns the error of a result into an exception.
pub trait OrException<T> {
    fn or_exception(self) -> Result<T, PyErr>;
}

impl<T, E: IntoException> OrException<T> for Result<T, E> {
    fn or_exception(self) -> Result<T, PyErr> {
        self.map_err(E::exception)
    }
}
