//! Relations as model files.

use lanner_space::Space;
use serde::{Deserialize, Serialize};

use super::{Networks, Objective, Relation, RelationModel, Thurstone};
use crate::PredictError;
use crate::general::gcn::{Stored, missing, of_kind};
use crate::predictor::file::{Array, Header, ModelFile};

/// The kind in the header.
const RELATION: &str = "relation";
/// The array that only files of Thurstone's model have.
const WORTH: &str = "worth";
/// Hyper-parameters of a process with one covariance function: amplitude, length, noise.
const PARAMETERS: usize = 3;

impl Relation {
    /// Makes a model file; `training_hash` is that of [`crate::predictor::file::training_hash`].
    pub fn to_model(&self, space: &Space, seed: u64, training_hash: String) -> ModelFile {
        let mut header = Header::new(RELATION, &space.identity(), &self.recipe, seed);
        let model = match &self.model {
            RelationModel::Networks(networks) => return networks.to_model(header, training_hash),
            RelationModel::Thurstone(model) => model,
        };
        header.training_hash = training_hash;
        let mut file = ModelFile::new(header);
        file.set_archs(space, &model.architectures);
        file.tensors.insert(WORTH.into(), Array::f64(model.worth.clone()));
        // As arrays, which keep every bit.
        file.tensors.insert("slope".into(), Array::f64(vec![model.slope]));
        file.tensors.insert("hyper".into(), Array::f64(model.hyper.concat()));
        file
    }

    /// The inverse; the file must have been loaded for kind `relation` and this space.
    pub fn from_model(file: &ModelFile, space: &Space) -> Result<Relation, PredictError> {
        of_kind(file, RELATION)?;
        let recipe = file.header.recipe.clone();
        let Some(worth) = file.tensors.get(WORTH) else {
            return Ok(Relation {
                recipe,
                model: RelationModel::Networks(Networks::from_model(file, space)?),
            });
        };
        let worth = file.f64(WORTH, worth.shape())?.to_vec();
        let slope = file.f64("slope", &[1])?[0];
        let hyper = file.tensors.get("hyper").map_or(&[][..], Array::shape);
        let hyper = file.f64("hyper", hyper)?.chunks(PARAMETERS).map(<[f64]>::to_vec).collect();
        let architectures = file.archs(space, worth.len())?;
        let model = Thurstone::restore(space, architectures, worth, hyper, slope)?;
        Ok(Relation { recipe, model: RelationModel::Thurstone(model) })
    }
}

#[derive(Serialize, Deserialize)]
struct RelationSettings {
    #[serde(flatten)]
    networks: Stored,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objective: Option<Objective>,
}

impl Networks {
    /// A model file of that header.
    fn to_model(&self, mut header: Header, training_hash: String) -> ModelFile {
        let networks = Stored::of(self.encoding, &self.members);
        header.training_hash = training_hash;
        header.settings =
            serde_json::json!(RelationSettings { networks, objective: Some(self.objective) });
        Stored::file(header, &self.members)
    }

    /// The inverse.
    fn from_model(file: &ModelFile, space: &Space) -> Result<Networks, PredictError> {
        let RelationSettings { networks, objective } = file.settings()?;
        let objective = objective.ok_or_else(|| missing("objective"))?;
        let members = networks.members(file, space, (objective.outputs(), objective.biases()))?;
        Ok(Networks { encoding: networks.encoding, objective, members })
    }
}
