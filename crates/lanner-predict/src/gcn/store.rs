//! GCN predictors and the networks of relations as model files.

use lanner_space::Space;
use serde::{Deserialize, Serialize};

use super::{Gcn, GcnPredictor, Scale, Shape};
use crate::PredictError;
use crate::encode::Encoding;
use crate::model_file::{Array, Header, ModelFile};
use crate::relation::{Networks, Objective};

/// The kind in the header of a predictor.
const GCN: &str = "gcn";

#[derive(Serialize, Deserialize)]
struct Settings {
    encoding: Encoding,
    widths: Vec<usize>,
    members: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<Scale>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objective: Option<Objective>,
}

impl GcnPredictor {
    /// As a model file; `training_hash` is that of [`crate::model_file::training_hash`].
    pub fn to_model(&self, space: &Space, seed: u64, training_hash: String) -> ModelFile {
        let settings = Settings {
            encoding: self.encoding,
            widths: widths(&self.members),
            members: self.members.len(),
            scale: Some(self.scale),
            objective: None,
        };
        let header = Header::new(GCN, &space.identity(), &self.recipe, seed);
        to_model(header, training_hash, settings, &self.members)
    }

    /// The inverse; the file must have been loaded for kind `gcn` and this space.
    pub fn from_model(file: &ModelFile, space: &Space) -> Result<GcnPredictor, PredictError> {
        let settings: Settings = of_kind(file, GCN)?.settings()?;
        Ok(GcnPredictor {
            recipe: file.header.recipe.clone(),
            encoding: settings.encoding,
            scale: settings.scale.ok_or_else(|| missing("scale"))?,
            members: members(file, space, &settings, 1, 1)?,
        })
    }
}

impl Networks {
    /// A model file of that header.
    pub(crate) fn to_model(&self, header: Header, training_hash: String) -> ModelFile {
        let settings = Settings {
            encoding: self.encoding,
            widths: widths(&self.members),
            members: self.members.len(),
            scale: None,
            objective: Some(self.objective),
        };
        to_model(header, training_hash, settings, &self.members)
    }

    /// The inverse.
    pub(crate) fn from_model(file: &ModelFile, space: &Space) -> Result<Networks, PredictError> {
        let settings: Settings = file.settings()?;
        let objective = settings.objective.ok_or_else(|| missing("objective"))?;
        Ok(Networks {
            encoding: settings.encoding,
            objective,
            members: members(file, space, &settings, objective.outputs(), objective.biases())?,
        })
    }
}

fn widths(members: &[Gcn]) -> Vec<usize> {
    members.first().map(|g| g.shape.widths.clone()).unwrap_or_default()
}

fn missing(what: &str) -> PredictError {
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

fn to_model(
    mut header: Header,
    training_hash: String,
    settings: Settings,
    members: &[Gcn],
) -> ModelFile {
    header.training_hash = training_hash;
    header.settings = serde_json::json!(settings);
    let mut file = ModelFile::new(header);
    for (m, gcn) in members.iter().enumerate() {
        file.tensors.insert(format!("member{m}"), Array::f32(gcn.parameters.clone()));
    }
    file
}

fn members(
    file: &ModelFile,
    space: &Space,
    settings: &Settings,
    outputs: usize,
    biases: usize,
) -> Result<Vec<Gcn>, PredictError> {
    // Widths come from the file: no sizes that overflow or that no array could have.
    let sane = |w: &usize| (1..=1 << 16).contains(w);
    if settings.members == 0
        || settings.members != file.tensors.len()
        || !(1..=64).contains(&settings.widths.len())
        || !settings.widths.iter().all(sane)
    {
        return Err(PredictError::Model {
            why: format!(
                "{} networks of widths {:?} in {} arrays",
                settings.members,
                settings.widths,
                file.tensors.len()
            ),
        });
    }
    let shape = Shape {
        vocabulary: settings.encoding.vocabulary(space),
        widths: settings.widths.clone(),
        outputs,
        biases,
    };
    (0..settings.members)
        .map(|m| {
            let parameters = file.f32(&format!("member{m}"), &[shape.parameters()])?.to_vec();
            Ok(Gcn { shape: shape.clone(), parameters })
        })
        .collect()
}
