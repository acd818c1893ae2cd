use crate::{LayerWeights, Network, NetworkError, Op, Weights};

impl Weights {
    /// Folds batch norms into convolutions: every batch norm that is the only reader of a convolution.
    /// Returns the new network and its weights.
    ///
    /// With s = scale / √(variance + ε), the kernel becomes kernel · s and the bias shift +
    /// (bias − mean) · s (Jacob et al. 2018). Outputs are equal up to rounding. The convolution keeps
    /// its name. A batch norm behind any other layer (the head's, which follows a sum) stays.
    pub fn fold(&self, network: &Network) -> Result<(Network, Weights), NetworkError> {
        self.check(network)?;
        let readers = network.readers();
        let last = network.layers.len() - 1;
        let mut folded = Network {
            name: network.name.clone(),
            layers: Vec::new(),
            blocks: network.blocks.clone(),
        };
        let mut weights = Weights { layers: Vec::new() };
        let mut place = Vec::with_capacity(network.layers.len());
        for (layer, numbers) in network.layers.iter().zip(&self.layers) {
            if let (Op::BatchNorm { epsilon }, &[of]) = (layer.op, &layer.inputs[..])
                && readers[of] == 1
                && of != last
                && let Op::Conv(_) = network.layers[of].op
            {
                let into: usize = place[of];
                merge(&mut weights.layers[into], numbers, epsilon);
                if let Op::Conv(conv) = &mut folded.layers[into].op {
                    conv.bias = true;
                }
                place.push(into);
                continue;
            }
            let mut layer = layer.clone();
            for input in &mut layer.inputs {
                *input = place[*input];
            }
            place.push(folded.layers.len());
            folded.layers.push(layer);
            weights.layers.push(numbers.clone());
        }
        Ok((folded, weights))
    }
}

fn merge(conv: &mut LayerWeights, norm: &LayerWeights, epsilon: f32) {
    let (
        LayerWeights::Affine { weight, bias },
        LayerWeights::Norm { scale, shift, mean, variance },
    ) = (conv, norm)
    else {
        return;
    };
    let size = weight.len() / scale.len();
    bias.resize(scale.len(), 0.0);
    for (o, kernel) in weight.chunks_exact_mut(size).enumerate() {
        let s = scale[o] / (variance[o] + epsilon).sqrt();
        kernel.iter_mut().for_each(|w| *w *= s);
        bias[o] = shift[o] + (bias[o] - mean[o]) * s;
    }
}
