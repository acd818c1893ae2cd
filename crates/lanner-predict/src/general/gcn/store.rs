//! GCN predictors as model files.

use lanner_space::Space;
use serde::{Deserialize, Serialize};

use super::{GcnPredictor, Scale};
use crate::PredictError;
use crate::encode::graph::Encoding;
use crate::predictor::file::{Array, Header, ModelFile};
use crate::regress::gcn::{Gcn, Shape};

/// The kind in the header of a predictor.
const GCN: &str = "gcn";

#[derive(Serialize, Deserialize)]
struct GcnSettings {
    #[serde(flatten)]
    networks: Stored,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<Scale>,
}

impl GcnPredictor {
    /// Makes a model file; `training_hash` is that of [`crate::predictor::file::training_hash`].
    pub fn to_model(&self, space: &Space, seed: u64, training_hash: String) -> ModelFile {
        let networks = Stored::of(self.encoding, &self.members);
        let settings = GcnSettings { networks, scale: Some(self.scale) };
        let mut header = Header::new(GCN, &space.identity(), &self.recipe, seed);
        header.training_hash = training_hash;
        header.settings = serde_json::json!(settings);
        Stored::file(header, &self.members)
    }

    /// The inverse; the file must have been loaded for kind `gcn` and this space.
    pub fn from_model(file: &ModelFile, space: &Space) -> Result<GcnPredictor, PredictError> {
        let settings: GcnSettings = of_kind(file, GCN)?.settings()?;
        Ok(GcnPredictor {
            recipe: file.header.recipe.clone(),
            encoding: settings.networks.encoding,
            scale: settings.scale.ok_or_else(|| missing("scale"))?,
            members: settings.networks.members(file, space, (1, 1))?,
        })
    }
}

/// The networks of an ensemble in a file's settings; their parameters are arrays.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    pub encoding: Encoding,
    widths: Vec<usize>,
    members: usize,
}

pub(crate) fn missing(what: &str) -> PredictError {
    PredictError::Model { why: format!("the settings lack '{what}'") }
}

pub(crate) fn of_kind<'f>(file: &'f ModelFile, kind: &str) -> Result<&'f ModelFile, PredictError> {
    match file.header.kind == kind {
        true => Ok(file),
        false => Err(PredictError::Model {
            why: format!("a predictor of kind '{}', expected '{kind}'", file.header.kind),
        }),
    }
}

impl Stored {
    /// Settings of networks of one shape.
    pub(crate) fn of(encoding: Encoding, members: &[Gcn]) -> Stored {
        let widths = members.first().map(|g| g.shape.widths.clone()).unwrap_or_default();
        Stored { encoding, widths, members: members.len() }
    }

    /// The file with the networks' parameters.
    pub(crate) fn file(header: Header, members: &[Gcn]) -> ModelFile {
        let mut file = ModelFile::new(header);
        for (m, gcn) in members.iter().enumerate() {
            file.tensors.insert(format!("member{m}"), Array::f32(gcn.parameters.clone()));
        }
        file
    }

    /// Reads the networks of the file, whose heads have `outputs` outputs and `biases` biases.
    pub(crate) fn members(
        &self,
        file: &ModelFile,
        space: &Space,
        (outputs, biases): (usize, usize),
    ) -> Result<Vec<Gcn>, PredictError> {
        // Widths come from the file: no sizes that overflow or that no array could have.
        let sane = |w: &usize| (1..=1 << 16).contains(w);
        if self.members == 0
            || self.members != file.tensors.len()
            || !(1..=64).contains(&self.widths.len())
            || !self.widths.iter().all(sane)
        {
            return Err(PredictError::Model {
                why: format!(
                    "{} networks of widths {:?} in {} arrays",
                    self.members,
                    self.widths,
                    file.tensors.len()
                ),
            });
        }
        let shape = Shape {
            vocabulary: self.encoding.vocabulary(space),
            widths: self.widths.clone(),
            outputs,
            biases,
        };
        (0..self.members)
            .map(|m| {
                let parameters = file.f32(&format!("member{m}"), &[shape.parameters()])?.to_vec();
                Ok(Gcn { shape: shape.clone(), parameters })
            })
            .collect()
    }
}
