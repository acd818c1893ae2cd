//! Proxies from the states of ReLUs.

use lanner_network::{Layer, Network, Op};
use lanner_nn::{Executor, Mode, Params};

use super::proxy::{Absence, Score};
use super::{Batch, ProxyOptions, linalg};
use crate::EvaluateError;

/// Number of images whose states make a pattern of SWAP, as published.
const SWAP_IMAGES: usize = 16;
/// Number of initialisations over which SWAP of the first cell is averaged.
const SWAP_CELL_DRAWS: usize = 8;

/// ReLUs of a network: one layer of those that read the same input, which have the same states, and
/// how many they are.
fn relus(network: &Network) -> impl Iterator<Item = (usize, u64)> + '_ {
    let layers = &network.layers;
    layers.iter().enumerate().filter_map(|(i, layer)| {
        let same = |l: &&Layer| l.op == layer.op && l.inputs == layer.inputs;
        let first =
            matches!(layer.op, Op::Relu | Op::Relu6) && !layers[..i].iter().any(|l| same(&l));
        first.then(|| (i, layers.iter().filter(same).count() as u64))
    })
}

/// Computes NWOT from the numbers of ReLUs that are in the same state for two images.
pub fn nwot(executor: &Executor<f32>, images: usize) -> Score {
    let (mut all, mut differing) = (0, vec![0u64; images * images]);
    for (i, times) in relus(executor.network()) {
        all += times * executor.network().layers[i].shape.len() as u64;
        let states = executor.activation_states(i);
        let rows: Vec<&[u64]> = states.chunks_exact(states.len() / images).collect();
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows[..i].iter().enumerate() {
                let differ: u32 = a.iter().zip(*b).map(|(a, b)| (a ^ b).count_ones()).sum();
                differing[i * images + j] += times * u64::from(differ);
            }
        }
    }
    if all == 0 {
        return Err(Absence::NoRelu);
    }
    let same = |i: usize, j: usize| (all - differing[i.max(j) * images + i.min(j)]) as f64;
    let agreements = (0..images * images).map(|at| same(at / images, at % images)).collect();
    linalg::log_determinant(agreements, images).ok_or(Absence::Singular)
}

/// Counts patterns of ReLUs over the first images: SWAP's number of different ones in the whole
/// network, and the sum over layers of the numbers of different ones in a layer.
pub fn swap(executor: &Executor<f32>, images: usize) -> (Score, Score) {
    swap_of(executor, images, 0)
}

/// The same of ReLUs from the layer `first` on.
fn swap_of(executor: &Executor<f32>, images: usize, first: usize) -> (Score, Score) {
    let (mut all, mut sum, mut any) = (Seen::new(), 0, false);
    for (i, _) in relus(executor.network()).filter(|(i, _)| *i >= first) {
        any = true;
        let mut of_layer = Seen::new();
        let states = executor.activation_states(i);
        let rows: Vec<&[u64]> =
            states.chunks_exact(states.len() / images).take(SWAP_IMAGES).collect();
        let units = executor.network().layers[i].shape.len();
        for word in 0..units.div_ceil(64) {
            for unit in 0..(units - 64 * word).min(64) {
                let bit = |(k, row): (usize, &&[u64])| ((row[word] >> unit & 1) as usize) << k;
                of_layer.add(rows.iter().enumerate().map(bit).sum());
            }
        }
        sum += of_layer.count();
        all.0.iter_mut().zip(&of_layer.0).for_each(|(a, b)| *a |= b);
    }
    match any {
        true => (Ok(all.count() as f64), Ok(sum as f64)),
        false => (Err(Absence::NoRelu), Err(Absence::NoRelu)),
    }
}

/// The layers up to the end of the first block behind the stem that has ReLUs, and where that block
/// begins. `None` if there is no such block.
pub fn first_cell(network: &Network) -> Option<(Network, usize)> {
    let layers = &network.layers;
    let stem = layers.iter().find(|l| l.inputs.first() == Some(&0))?.block;
    let relu = |l: &&Layer| l.block > stem && matches!(l.op, Op::Relu | Op::Relu6);
    let cell = layers.iter().find(relu)?.block;
    let first = layers.iter().position(|l| l.block == cell)?;
    let last = layers.iter().rposition(|l| l.block == cell)?;
    Some((Network { layers: layers[..=last].to_vec(), ..network.clone() }, first))
}

/// Computes SWAP of the first cell, the mean over initialisations.
pub fn swap_cell(
    network: &Network,
    batch: &Batch,
    options: &ProxyOptions,
) -> Result<Score, EvaluateError> {
    let Some((cell, first)) = first_cell(network) else { return Ok(Err(Absence::OneBlock)) };
    let mut sum = 0.0;
    for draw in 0..SWAP_CELL_DRAWS {
        let seed = lanner_nn::subseed(options.seed, &format!("proxies: swap_cell {draw}"));
        let params = options.weights.fill(&cell, seed);
        match swap_cell_of(&cell, first, params, batch, options)? {
            Ok(count) => sum += count,
            Err(absence) => return Ok(Err(absence)),
        }
    }
    Ok(Ok(sum / SWAP_CELL_DRAWS as f64))
}

/// Counts the patterns in a cell that sees the image itself: convolutions of the image pass its channels
/// on, one after the other and again.
pub fn swap_cell_of(
    cell: &Network,
    first: usize,
    mut params: Params<f32>,
    batch: &Batch,
    options: &ProxyOptions,
) -> Result<Score, EvaluateError> {
    for (i, layer) in cell.layers.iter().enumerate() {
        if let (Op::Conv(conv), Some(&0)) = (&layer.op, layer.inputs.first()) {
            let (taps, inputs) = (conv.kernel * conv.kernel, cell.input().channels);
            let kernel = &mut params.values[params.layout.layers[i].weight.clone()];
            for (k, w) in kernel.iter_mut().enumerate() {
                let (output, input, tap) = (k / taps / inputs, k / taps % inputs, k % taps);
                let passes = output % inputs == input && tap == taps / 2;
                *w = f32::from(u8::from(passes));
            }
        }
    }
    let images = batch.len().min(SWAP_IMAGES);
    let run = lanner_nn::ExecOptions { hold_states: true, ..options.executor() };
    let mut executor = Executor::<f32>::new(cell, images, run)?;
    let pixels = &batch.images[..images * cell.input().len()];
    executor.forward(&params, pixels, Mode::Batch, &())?;
    Ok(swap_of(&executor, images, first).0)
}

/// Set of patterns, a bit each.
struct Seen(Vec<u64>);

impl Seen {
    fn new() -> Seen {
        Seen(vec![0; (1 << SWAP_IMAGES) / 64])
    }

    fn add(&mut self, pattern: usize) {
        self.0[pattern / 64] |= 1 << (pattern % 64);
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}
