//! Evaluation by a command: the user's own training script.

use lanner_data::TemporaryFolder;
use lanner_network::{Init, OnnxOptions, Skeleton, View, Weights, onnx};
use lanner_space::Architecture;

use super::{Answer, Evaluator, Request};
use crate::{
    EvaluateError,
    script::{Call, Script},
};

/// Runs a [`Script`] for each network.
pub struct CommandEvaluator {
    pub script: Script,
    /// The network that an architecture stands for in the ONNX file.
    pub skeleton: Skeleton,
}

impl Evaluator for CommandEvaluator {
    fn evaluate(&self, request: &Request) -> Result<Answer, EvaluateError> {
        let folder = TemporaryFolder::new()
            .map_err(|error| EvaluateError::io(std::env::temp_dir(), "make a folder in")(error))?;
        let path = folder.path().join("network.onnx");
        if self.script.wants_onnx() {
            lanner_data::write_file(&path, &initial(&self.skeleton, request.arch)?)?;
        }
        let arch = &self.skeleton.space.print(request.arch);
        let Request { out, seed, worker, log, .. } = *request;
        let call = Call { arch, onnx: &path, out, seed, worker, log: Some(log) };
        self.script.evaluate(call, request.needed, &|| (request.stop)())
    }
}

/// Encodes a network with initial weights, for one input.
fn initial(skeleton: &Skeleton, arch: &Architecture) -> Result<Vec<u8>, EvaluateError> {
    let options = OnnxOptions::default();
    if skeleton.is_transformer() {
        return Ok(skeleton.tensors(arch)?.encode(Init::default(), options.batch)?);
    }
    let network = skeleton.build(arch, View::Pruned)?;
    let weights = Weights::init(&network, Init::default());
    Ok(onnx::encode(&network, &weights, options)?)
}
