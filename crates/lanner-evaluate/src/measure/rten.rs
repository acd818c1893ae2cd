//! Runs networks by the `rten` runtime, in this process.

use std::sync::Arc;

use lanner_network::onnx::ReadOptions;
use rten::{DataType, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueType};
use rten_tensor::Tensor;

use super::{
    Runtime, Session,
    runtime::{input, sizes, timed},
};
use crate::EvaluateError;

/// `rten`, an inference runtime in Rust; weights are packed when a model is loaded, as for deployment.
pub struct Rten {
    pool: Arc<ThreadPool>,
    threads: usize,
    open: ReadOptions,
}

impl Rten {
    /// Version that this crate is built with.
    pub const VERSION: &str = "0.27.0";

    /// Starts the threads, which stay on the cores that the caller is bound to.
    pub fn new(threads: usize) -> Rten {
        let threads = threads.max(1);
        let pool = Arc::new(ThreadPool::with_num_threads(threads));
        Rten { pool, threads, open: ReadOptions::default() }
    }

    /// Tells the sizes of dimensions that models leave open.
    pub fn with_sizes(self, open: ReadOptions) -> Rten {
        Rten { open, ..self }
    }
}

impl Runtime for Rten {
    fn describe(&self) -> String {
        format!("rten {}", Rten::VERSION)
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn Session + '_>, EvaluateError> {
        let refused = |why: String| EvaluateError::Refused { runtime: self.describe(), why };
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        let model = options.load(onnx.to_vec()).map_err(|e| refused(e.to_string()))?;
        let &[to] = model.output_ids() else {
            return Err(refused("expected a model of one output".into()));
        };
        let mut given = Vec::with_capacity(model.input_ids().len());
        for (i, &id) in model.input_ids().iter().enumerate() {
            let about = model.node_info(id);
            let name = about.as_ref().and_then(|node| node.name()).unwrap_or_default();
            let Some(dims) = model.input_shape(i) else {
                return Err(refused(format!("input '{name}' has no shape")));
            };
            let dim = |d: &rten::Dimension| match d {
                rten::Dimension::Fixed(n) => Ok(*n),
                rten::Dimension::Symbolic(symbol) => Err(symbol.clone()),
            };
            let dims: Vec<Result<usize, String>> = dims.iter().map(dim).collect();
            let dims = dims.iter().map(|d| d.as_ref().copied().map_err(String::as_str));
            let shape = sizes(name, dims, &self.open).map_err(refused)?;
            let kind = about.and_then(|node| node.dtype());
            given.push((
                id,
                match kind {
                    Some(ValueType::Tensor(DataType::Int32)) => Tensor::<i32>::zeros(&shape).into(),
                    Some(ValueType::Tensor(DataType::Float)) | None => {
                        Value::from(Tensor::from_data(&shape, input(shape.iter().product())))
                    }
                    Some(other) => {
                        return Err(refused(format!(
                            "input {} is {other:?}, expected 32-bit floats or integers",
                            i + 1
                        )));
                    }
                },
            ));
        }
        let (pool, alone) = (&self.pool, self.threads == 1);
        Ok(Box::new(Loaded { pool, alone, model, given, to }))
    }
}

struct Loaded<'a> {
    pool: &'a Arc<ThreadPool>,
    alone: bool,
    model: Model,
    /// Inputs with their values.
    given: Vec<(NodeId, Value)>,
    to: NodeId,
}

impl Session for Loaded<'_> {
    fn time(&mut self, runs: usize, samples: &mut Vec<f64>) -> Result<(), EvaluateError> {
        let mut options = RunOptions::default();
        options.thread_pool = Some(self.pool.clone());
        // Runs inside the pool, so that no run waits for one of its threads to wake up.
        self.pool.run(|| {
            timed(runs, self.alone, samples, || {
                let given = self.given.iter().map(|(id, value)| (*id, value.into())).collect();
                self.model.run_n(given, [self.to], Some(options.clone())).map_err(|e| {
                    let runtime = format!("rten {}", Rten::VERSION);
                    EvaluateError::Refused { runtime, why: e.to_string() }
                })
            })
        })
    }
}
