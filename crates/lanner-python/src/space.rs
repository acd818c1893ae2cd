//! Search spaces; architectures cross as texts.

use lanner::nn::rng;
use lanner::space::{Architecture, Parameters, Sizes, Space as Inner};
use pyo3::prelude::*;

use crate::error::{InputError, OrException};

/// A search space of the library.
#[pyclass(frozen, module = "lanner._lanner")]
pub struct Space(pub Inner);

#[pymethods]
impl Space {
    /// Returns a named space, or reads a `.toml` file.
    #[staticmethod]
    fn by_name(name: &str) -> PyResult<Space> {
        Inner::by_name(name).map(Space).or_exception()
    }

    /// Makes a space of parameters, from their declaration as JSON.
    #[staticmethod]
    fn of_parameters(json: &str) -> PyResult<Space> {
        let parameters: Parameters = serde_json::from_str(json)
            .map_err(|e| InputError::new_err(format!("parameters of a space: {e}")))?;
        Inner::of_parameters(&parameters).map(Space).or_exception()
    }

    /// Makes a space again from its name, or the text of its file if it has one, and the sizes of its
    /// networks if they are not the published ones.
    #[staticmethod]
    fn again(name: &str, toml: Option<&str>, sizes: Option<[usize; 4]>) -> PyResult<Space> {
        let space = match toml {
            Some(text) => Inner::from_toml(text)
                .map_err(|why| InputError::new_err(format!("space '{name}': {why}")))?,
            None => Inner::by_name(name).or_exception()?,
        };
        Ok(Space(match sizes {
            Some([channels, cells, resolution, classes]) => {
                space.sized(Sizes { channels, cells, resolution, classes })
            }
            None => space,
        }))
    }

    /// Channels, cells, resolution and classes of the networks, where they are not the published ones.
    #[getter]
    fn sizes(&self) -> Option<[usize; 4]> {
        let Sizes { channels, cells, resolution, classes } = self.0.sizes();
        self.0.is_resized().then_some([channels, cells, resolution, classes])
    }

    /// Tells whether architectures are values of parameters, as JSON.
    #[getter]
    fn is_parameters(&self) -> bool {
        self.0.parameters().is_some()
    }

    /// Tells whether the library makes the networks.
    #[getter]
    fn has_networks(&self) -> bool {
        lanner::network::Skeleton::is_known(&self.0)
    }

    /// Returns the names of the published spaces.
    #[staticmethod]
    fn names() -> Vec<&'static str> {
        Inner::NAMES.to_vec()
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Name and, for a file, the fingerprint of its content.
    #[getter]
    fn identity(&self) -> String {
        self.0.identity()
    }

    /// Text of the file that defines the space.
    #[getter]
    fn toml(&self) -> Option<&str> {
        self.0.toml()
    }

    #[getter]
    fn size(&self) -> u128 {
        self.0.size()
    }

    /// Returns the text of the architecture, as the library writes it; refuses any other.
    fn check(&self, arch: &str) -> PyResult<String> {
        Ok(self.0.print(&self.parse(arch)?))
    }

    /// Returns the text of the first of all architectures that are published as equal.
    fn canonical(&self, arch: &str) -> PyResult<String> {
        Ok(self.0.print(&self.0.canonical(&self.parse(arch)?)))
    }

    /// Draws `count` architectures, without repetition as far as the space has as many.
    fn sample(&self, py: Python, count: usize, seed: u64) -> Vec<String> {
        py.detach(|| {
            let mut rng = rng(seed, "sample of Python");
            self.0.shuffled(&mut rng).take(count).map(|a| self.0.print(&a)).collect()
        })
    }

    /// Changes one choice at random.
    fn mutate(&self, arch: &str, seed: u64) -> PyResult<String> {
        let arch = self.parse(arch)?;
        let mut rng = rng(seed, "mutation of Python");
        Ok(self.0.print(&self.0.mutate(&arch, &mut rng)))
    }

    /// Returns all architectures; refuses a space that is too large to list.
    fn list(&self, py: Python) -> PyResult<Vec<String>> {
        let all = self.0.list().or_exception()?;
        Ok(py.detach(|| all.iter().map(|a| self.0.print(a)).collect()))
    }
}

impl Space {
    pub fn parse(&self, arch: &str) -> PyResult<Architecture> {
        self.0.parse(arch).or_exception()
    }
}
