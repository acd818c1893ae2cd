//! Graph convolutional networks over labelled graphs.
//!
//! The network is that of BRP-NAS (Dudziak et al., NeurIPS 2020): layers Z = A(XW) + b → layer norm
//! → ReLU → dropout, the global node's state after the last layer as the *embedding* of the graph,
//! and a linear head. What is computed differs from what the formula says only in ways that do not
//! change the result:
//!
//! - A(XW) = (AX)W: neighbours are added before the product, so that the last layer needs one row a
//!   graph, that of the global node, and the first is a sum of rows of W, its input being one-hot.
//! - A batch is one product, split into two shards whatever the number of threads, so that one and
//!   two threads give the same bits.
//! - In inference a node's state depends only on its label and what it aggregates, so nodes that are
//!   equal by construction are computed once over all graphs ([`Shared`]).
//!
//! [`Gcn`] is the network, [`Trainer`] takes its training steps; [`crate::general::gcn`] makes predictors
//! of measurements with them.

mod graphs;
mod share;
mod train;

use lanner_nn::{Matrix, uniform};

pub use graphs::Graphs;
pub use share::Shared;
pub use train::Trainer;

use std::ops::Range;

/// The sizes of a GCN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Labels of the input, see [`Graphs::vocabulary`].
    pub vocabulary: usize,
    /// The width of each layer; the last is the embedding's. At least one.
    pub widths: Vec<usize>,
    /// Rows of the head's weight: numbers read off an embedding by dot products.
    pub outputs: usize,
    /// Numbers beside the head that the loss may use as it likes (1 for a regression).
    pub biases: usize,
}

impl Shape {
    /// The width of the embedding.
    pub fn embedding(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }

    /// The inner size of layer `l`'s product.
    pub(crate) fn inputs(&self, l: usize) -> usize {
        if l == 0 { self.vocabulary } else { self.widths[l - 1] }
    }

    /// Ranges of layer `l`'s weight (inputs × width), bias, gamma and beta in the parameters.
    pub(crate) fn layer(&self, l: usize) -> LayerRanges {
        let sizes = |l: usize| (self.inputs(l) * self.widths[l], self.widths[l]);
        let start: usize = (0..l).map(|i| sizes(i).0 + 3 * sizes(i).1).sum();
        let (weight, width) = sizes(l);
        let at = start + weight;
        LayerRanges {
            weight: start..at,
            bias: at..at + width,
            gamma: at + width..at + 2 * width,
            beta: at + 2 * width..at + 3 * width,
        }
    }

    /// Range of the head's weight (outputs × embedding).
    pub(crate) fn head(&self) -> Range<usize> {
        let start = self.layer(self.widths.len() - 1).beta.end;
        start..start + self.outputs * self.embedding()
    }

    /// Range of the head's biases, which are at the end.
    pub(crate) fn head_biases(&self) -> Range<usize> {
        let start = self.head().end;
        start..start + self.biases
    }

    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        self.head_biases().end
    }
}

pub(crate) struct LayerRanges {
    pub weight: Range<usize>,
    pub bias: Range<usize>,
    pub gamma: Range<usize>,
    pub beta: Range<usize>,
}

/// A graph convolutional network: sizes and one flat vector of parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Gcn {
    pub shape: Shape,
    /// Parameters: of each layer weight (inputs × width), bias, gamma, beta; then the head's weight
    /// (outputs × embedding) and biases.
    pub parameters: Vec<f32>,
}

impl Gcn {
    /// A network with random weights: weights and biases of a layer are U(±1/√width), the head's
    /// U(±1/√`head_fan`), as the authors' code draws them.
    pub fn new(shape: Shape, head_fan: usize, rng: &mut lanner_nn::Rng) -> Gcn {
        let mut parameters = vec![0.0; shape.parameters()];
        for l in 0..shape.widths.len() {
            let ranges = shape.layer(l);
            let bound = 1.0 / (shape.widths[l] as f32).sqrt();
            uniform(&mut parameters[ranges.weight.start..ranges.bias.end], bound, rng);
            parameters[ranges.gamma].fill(1.0);
        }
        let mut gcn = Gcn { shape, parameters };
        gcn.reset_head(head_fan, rng);
        gcn
    }

    /// Draws the head anew, for transfer to another target.
    pub fn reset_head(&mut self, head_fan: usize, rng: &mut lanner_nn::Rng) {
        let head = self.shape.head().start..;
        uniform(&mut self.parameters[head], 1.0 / (head_fan as f32).sqrt(), rng);
    }

    /// The head's biases.
    pub fn biases(&self) -> &[f32] {
        &self.parameters[self.shape.head_biases()]
    }

    /// The head on embeddings (n × embedding): n × outputs, without biases.
    pub fn outputs(&self, embeddings: &Matrix, threads: usize) -> Matrix {
        let mut out = Matrix::zeros(embeddings.rows, self.shape.outputs);
        head_forward(self, &embeddings.data, &mut out.data, threads);
        out
    }
}

/// out (n × outputs) = embeddings (n × width) · headᵀ
pub(crate) fn head_forward(gcn: &Gcn, embeddings: &[f32], out: &mut [f32], threads: usize) {
    let (width, outputs) = (gcn.shape.embedding(), gcn.shape.outputs);
    let head = &gcn.parameters[gcn.shape.head()];
    lanner_nn::matmul::nt(
        out.len() / outputs,
        width,
        outputs,
        embeddings,
        head,
        out,
        false,
        threads,
    );
}

#[cfg(test)]
mod tests;
