//! The list of all kinds of predictors that have files.

use std::path::Path;

use lanner_network::Skeleton;
use lanner_space::Space;

use super::Predictor;
use super::file::{Header, ModelFile};
use super::fitted::Fitted;
use crate::PredictError;
use crate::accuracy::adapted::TaskPredictor;
use crate::latency::{adapted::AdaptedLatency, any_network};

/// Makes a predictor of a file's content, which is for the space.
type Read = fn(&ModelFile, &Space) -> Result<Box<dyn Predictor>, PredictError>;

/// The kinds in headers, and who reads them. A new kind is a line here.
const KINDS: [(&str, Read); 3] = [
    (Fitted::KIND, Fitted::read),
    (AdaptedLatency::KIND, AdaptedLatency::read),
    (TaskPredictor::KIND, TaskPredictor::read),
];

/// Reads a predictor of any kind.
pub fn load(path: &Path) -> Result<Box<dyn Predictor>, PredictError> {
    read(path, None)
}

/// Reads a predictor of any kind that must predict the networks of `space`: it was made for that, or for
/// another one and does [not depend on the space](Predictor::elsewhere).
pub fn load_for(path: &Path, space: &Space) -> Result<Box<dyn Predictor>, PredictError> {
    read(path, Some(space))
}

fn read(path: &Path, wanted: Option<&Space>) -> Result<Box<dyn Predictor>, PredictError> {
    from_bytes(&super::file::read(path)?, path, wanted)
}

/// Reads a predictor from the content of its file, which errors call `path`: as [`load_for`] with a space,
/// else as [`load`].
pub fn from_bytes(
    bytes: &[u8],
    path: &Path,
    wanted: Option<&Space>,
) -> Result<Box<dyn Predictor>, PredictError> {
    let bad = |why: String| PredictError::ModelFile { path: path.into(), why };
    let file = ModelFile::from_bytes(bytes).map_err(|e| bad(e.to_string()))?;
    let header = &file.header;
    if header.kind == any_network::KIND {
        let path = path.display();
        return Err(bad(format!(
            "the profile of a device, which predicts ONNX files: lanner latency FILE.onnx --predictor {path}, in Python \
             lanner.Profile.load"
        )));
    }
    let Some((_, reader)) = KINDS.iter().find(|kind| kind.0 == header.kind) else {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.0).collect();
        let known = known.join("', '");
        return Err(bad(format!("a predictor of kind '{}', expected '{known}'", header.kind)));
    };
    let same = |space: &&Space| space.identity() == header.space;
    let Some(own) = wanted.filter(same).cloned().or_else(|| header.known_space()) else {
        return Err(match wanted {
            Some(space) => other_space(path, header, space),
            None => {
                PredictError::UnknownSpace { path: path.into(), made_for: header.space.clone() }
            }
        });
    };
    let own = match header.sizes {
        Some([channels, cells, resolution, classes]) => {
            let published = Skeleton::of(&own).map_err(|e| bad(e.to_string()))?;
            let skeleton = Skeleton { channels, cells, resolution, classes, ..published };
            skeleton.check().map_err(|e| bad(e.to_string()))?;
            skeleton.sized_space()
        }
        None => own,
    };
    let predictor = reader(&file, &own).map_err(|e| bad(e.to_string()))?;
    match wanted.filter(|space| !same(space)) {
        Some(space) => predictor.elsewhere(space).ok_or_else(|| other_space(path, header, space)),
        None => Ok(predictor),
    }
}

fn other_space(path: &Path, header: &Header, wanted: &Space) -> PredictError {
    let (made_for, wanted) = (header.space.clone(), wanted.identity());
    PredictError::OtherSpace { path: path.into(), made_for, wanted }
}
