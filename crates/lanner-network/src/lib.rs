//! Builds the network of an architecture: its layers, shapes, costs, weights and files.
//!
//! ```
//! use lanner_network::{Cost, Init, Nasbench201, OnnxOptions, View, Weights, onnx};
//! use lanner_space::Space;
//!
//! let arch = Space::NasBench201.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")?;
//! let net = Nasbench201::default().build(&arch, View::Pruned)?;
//! assert_eq!(net.output().channels, 10);
//!
//! let cost = Cost::of(&net);
//! assert_eq!((cost.flops, cost.params), (49_415_872, 344_346));
//!
//! // A runtime gets weights from a seed, with batch norms folded into the convolutions before them.
//! let weights = Weights::init(&net, Init { seed: 1 });
//! let (net, weights) = weights.fold(&net)?;
//! let bytes = onnx::encode(&net, &weights, OnnxOptions::default())?;
//! assert!(bytes.len() > 4 * 340_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **The graph.** A [`Network`] is a list of [`Layer`]s in topological order; layer 0 is the input,
//! the last the output. A [`Builder`] makes it, and refuses a layer whose inputs do not fit, with
//! an error that names the layer and the shapes. All of it is plain data with public fields.
//!
//! **Two views.** `View::Raw` is the network as published: `none` is a layer that yields zeros, and
//! operations that lead nowhere are present (and count). `View::Pruned` has only the layers that lead
//! to the output; runtimes should get this one. A cell with no path from input to output yields zeros
//! in both. Layers of the same name get the same fresh weights in both, so that outputs are equal.
//!
//! **Costs.** [`Cost`] counts by layer and in total; [`Cost::flops`] follows the convention of the
//! published tables, [`Cost::macs`] that of most papers. The module documents both.
//!
//! **Any network.** A [`TensorGraph`] is operations over tensors of any rank with their shapes and costs:
//! [`onnx::read`] makes it of an ONNX model, [`Skeleton::graph`] of an architecture in any space that has
//! networks. [`Skeleton::tensors`] builds transformers, with weights, as a [`TensorNetwork`]. The executor of
//! lanner-nn runs a [`Network`] only.
//!
//! **Files.** [`onnx`] writes models, in floats or 8-bit integers; [`Diagram`] writes DOT and SVG;
//! [`json`](fn@json) writes the layers for other programs.

#![forbid(unsafe_code)]

mod blocks;
mod cost;
mod counter;
mod darts;
mod diagram;
mod dot;
mod error;
mod fbnet;
mod fold;
mod json;
mod layer;
mod layout;
mod memory;
mod mobilenetv3;
mod nasbench101;
mod nasbench201;
mod nasbench_macro;
mod natsbench_size;
mod network;
pub mod onnx;
mod op_graph;
mod shape;
mod skeleton;
mod svg;
mod tensor_graph;
mod tensor_network;
mod tensor_view;
mod transbench101;
mod transformer;
mod user;
mod weights;

pub use cost::{Cost, LayerCost};
pub use counter::Counter;
pub use diagram::{Diagram, Edge, Node, NodeKind};
pub use error::NetworkError;
pub use json::json;
pub use lanner_space::View;
pub use layer::{Conv, Op, Pool};
pub use memory::{peak_memory, working_set};
pub use nasbench201::Nasbench201;
pub use network::{Block, Builder, Layer, Network};
pub use onnx::{OnnxOptions, Precision};
pub use op_graph::{OpGraph, OpKind, OpNode};
pub use shape::Shape;
pub use skeleton::{Counts, Skeleton};
pub use tensor_graph::{Tensor, TensorCost, TensorGraph, TensorNode, TensorOp};
pub use tensor_network::TensorNetwork;
pub use weights::{Init, LayerWeights, Weights};
