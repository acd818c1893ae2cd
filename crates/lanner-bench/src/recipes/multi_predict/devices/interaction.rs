//! The perceptron that joins networks and devices: [network; device] → 1000 → 1.

use std::ops::Range;

use lanner_nn::{matmul, uniform};

/// Width of the hidden layer.
const HIDDEN: usize = 1000;
/// Width of a device's embedding.
const DEVICE: usize = 8;
/// Number of partial sums, which processors add side by side; HIDDEN is a multiple of it.
const PARTS: usize = 8;

/// An embedding for each device, and the hidden layer over network and device. The layer's product
/// with [network; device] is the sum of a product with the network and one with the device, so that
/// each is computed once for all pairs.
#[derive(Debug, Clone)]
pub(super) struct Interaction {
    /// Number of a network's inputs.
    inputs: usize,
    pub devices: usize,
    /// All weights, in the places of [`Interaction::ranges`].
    pub weights: Vec<f32>,
}

/// Places of the layers among the weights.
struct Ranges {
    /// HIDDEN × inputs.
    network: Range<usize>,
    /// HIDDEN × DEVICE.
    device: Range<usize>,
    /// HIDDEN.
    bias: Range<usize>,
    /// HIDDEN, then the output's bias.
    out: Range<usize>,
    /// devices × DEVICE.
    table: Range<usize>,
}

impl Interaction {
    /// Makes random weights as PyTorch draws them, and embeddings of variance 1.
    pub fn new(inputs: usize, devices: usize, seed: u64) -> Interaction {
        let mut new = Interaction { inputs, devices, weights: Vec::new() };
        let ranges = new.ranges();
        new.weights.resize(ranges.table.end, 0.0);
        let mut rng = lanner_nn::rng(seed, "interaction of Multi-Predict");
        let bound = |fan: usize| (fan as f32).sqrt().recip();
        let hidden = &mut new.weights[ranges.network.start..ranges.bias.end];
        uniform(hidden, bound(inputs + DEVICE), &mut rng);
        uniform(&mut new.weights[ranges.out], bound(HIDDEN), &mut rng);
        uniform(&mut new.weights[ranges.table], 3f32.sqrt(), &mut rng);
        new
    }

    /// Returns the same layers for one device, whose embedding begins as that of `device`.
    pub fn of_device(&self, device: usize) -> Interaction {
        let table = self.ranges().table.start;
        let mut weights = self.weights[..table].to_vec();
        weights.extend_from_slice(&self.weights[table + device * DEVICE..][..DEVICE]);
        Interaction { inputs: self.inputs, devices: 1, weights }
    }

    fn ranges(&self) -> Ranges {
        let mut at = 0;
        let mut next = |len: usize| {
            at += len;
            at - len..at
        };
        Ranges {
            network: next(HIDDEN * self.inputs),
            device: next(HIDDEN * DEVICE),
            bias: next(HIDDEN),
            out: next(HIDDEN + 1),
            table: next(self.devices * DEVICE),
        }
    }

    /// Computes the hidden layer's inputs from each network (rows × HIDDEN, with the bias) and from
    /// each device.
    fn shares(&self, networks: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let Ranges { network, device, bias, table, .. } = self.ranges();
        let (rows, w) = (networks.len() / self.inputs, &self.weights);
        let mut of_networks = w[bias].repeat(rows);
        let to = &mut of_networks;
        matmul::nt(rows, self.inputs, HIDDEN, networks, &w[network], to, true, 1);
        let mut of_devices = vec![0.0; self.devices * HIDDEN];
        let to = &mut of_devices;
        matmul::nt(self.devices, DEVICE, HIDDEN, &w[table], &w[device], to, false, 1);
        (of_networks, of_devices)
    }

    /// Computes the outputs of networks (rows × inputs) on all devices: rows × devices.
    pub fn forward(&self, networks: &[f32]) -> Vec<f32> {
        let (of_networks, of_devices) = self.shares(networks);
        let (out, bias) = self.out();
        let pairs = of_networks.chunks_exact(HIDDEN);
        pairs
            .flat_map(|u| of_devices.chunks_exact(HIDDEN).map(|v| bias + dot_relu(u, v, out)))
            .collect()
    }

    fn out(&self) -> (&[f32], f32) {
        let out = &self.weights[self.ranges().out];
        (&out[..HIDDEN], out[HIDDEN])
    }

    /// Computes forward and backward; `slope(row, device, output)` is the loss's derivative. Writes
    /// the gradient of the weights to `gradient`, and that of the networks to `d_networks`.
    pub fn gradients(
        &self,
        networks: &[f32],
        slope: impl Fn(usize, usize, f32) -> f32,
        gradient: &mut [f32],
        d_networks: &mut [f32],
    ) {
        let (of_networks, of_devices) = self.shares(networks);
        let (out, bias) = self.out();
        let (mut d_hidden, mut d_devices) =
            (vec![0.0; of_networks.len()], vec![0.0; of_devices.len()]);
        let ranges = self.ranges();
        let (d_out, d_out_bias) = gradient[ranges.out.clone()].split_at_mut(HIDDEN);
        d_out.fill(0.0);
        d_out_bias[0] = 0.0;
        let rows = of_networks.chunks_exact(HIDDEN).zip(d_hidden.chunks_exact_mut(HIDDEN));
        for (i, (u, du)) in rows.enumerate() {
            let devices = of_devices.chunks_exact(HIDDEN).zip(d_devices.chunks_exact_mut(HIDDEN));
            for (d, (v, dv)) in devices.enumerate() {
                let slope = slope(i, d, bias + dot_relu(u, v, out));
                if slope == 0.0 {
                    continue;
                }
                d_out_bias[0] += slope;
                let sums = du.iter_mut().zip(dv).zip(&mut *d_out);
                for ((u, v), ((du, dv), d_out)) in u.iter().zip(v).zip(sums) {
                    let state = u + v;
                    let passed = if state > 0.0 { slope } else { 0.0 };
                    *du += passed;
                    *dv += passed;
                    *d_out += passed * state;
                }
            }
        }
        for d in d_hidden.chunks_exact_mut(HIDDEN).chain(d_devices.chunks_exact_mut(HIDDEN)) {
            d.iter_mut().zip(out).for_each(|(d, w)| *d *= w);
        }
        let d_bias = &mut gradient[ranges.bias];
        d_bias.fill(0.0);
        for d in d_hidden.chunks_exact(HIDDEN) {
            d_bias.iter_mut().zip(d).for_each(|(b, d)| *b += d);
        }
        let (rows, devices, w) = (networks.len() / self.inputs, self.devices, &self.weights);
        let to = &mut gradient[ranges.network.clone()];
        matmul::tn(HIDDEN, rows, self.inputs, &d_hidden, networks, to, false, 1);
        let to = &mut gradient[ranges.device.clone()];
        let table = &w[ranges.table.clone()];
        matmul::tn(HIDDEN, devices, DEVICE, &d_devices, table, to, false, 1);
        let to = &mut gradient[ranges.table];
        matmul::nn(devices, HIDDEN, DEVICE, &d_devices, &w[ranges.device], to, false, 1);
        if !d_networks.is_empty() {
            let network = &w[ranges.network];
            matmul::nn(rows, HIDDEN, self.inputs, &d_hidden, network, d_networks, false, 1);
        }
    }
}

/// Computes Σ max(0, u + v)·w.
fn dot_relu(u: &[f32], v: &[f32], w: &[f32]) -> f32 {
    let mut sums = [0.0; PARTS];
    let terms = u.chunks_exact(PARTS).zip(v.chunks_exact(PARTS)).zip(w.chunks_exact(PARTS));
    for ((u, v), w) in terms {
        for i in 0..PARTS {
            sums[i] += (u[i] + v[i]).max(0.0) * w[i];
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_that_of_a_perceptron_on_both_side_by_side() {
        let network = Interaction::new(5, 3, 1);
        let ranges = network.ranges();
        let rows = [[0.3, -1.0, 0.5, 2.0, 0.1], [1.0, 0.0, -0.7, 0.2, 0.9]];
        let got = network.forward(rows.as_flattened());
        let w = &network.weights;
        for (i, row) in rows.iter().enumerate() {
            for d in 0..3 {
                let embedding = &w[ranges.table.clone()][d * DEVICE..][..DEVICE];
                let mut want = w[ranges.out.end - 1];
                for h in 0..HIDDEN {
                    let a = &w[ranges.network.clone()][h * 5..][..5];
                    let b = &w[ranges.device.clone()][h * DEVICE..][..DEVICE];
                    let dot =
                        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                    let z = w[ranges.bias.start + h] + dot(a, row) + dot(b, embedding);
                    want += z.max(0.0) * w[ranges.out.start + h];
                }
                assert!((got[i * 3 + d] - want).abs() < 1e-4, "{} {want}", got[i * 3 + d]);
            }
        }
        let one = network.of_device(2).forward(rows.as_flattened());
        assert_eq!(one, [got[2], got[5]]);
    }
}
