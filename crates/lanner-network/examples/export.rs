//! Writes the models that `tests/check_onnx.py` checks: random architectures of every space, as
//! written, pruned and folded, all with the same weights, and a network of every other operation. The
//! pruned and folded ones are also written in 8-bit integers.
//!
//! `cargo run --release -p lanner-network --example export -- FOLDER [COUNT] [SEED]`

use std::{error::Error, path::Path};

use lanner_network::{
    Builder, Conv, Init, LayerWeights, Nasbench201, Network, NetworkError, OnnxOptions, Op, Pool,
    Precision, Shape, Skeleton, View, Weights, onnx,
};
use lanner_space::{Architecture, Space};
use rand::SeedableRng;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("expected a folder to write to")?;
    let count: usize = args.next().map_or(Ok(18), |n| n.parse())?;
    let seed: u64 = args.next().map_or(Ok(0), |n| n.parse())?;
    std::fs::create_dir_all(&folder)?;
    let folder = Path::new(&folder);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    // Two disconnected cells, the largest one, and one with sums of equal terms; the others are
    // random.
    let mut archs: Vec<Architecture> = ["300000", "030000", "333333", "111111"]
        .iter()
        .map(|text| Space::NasBench201.parse(text))
        .collect::<Result<_, _>>()?;
    archs.extend((0..count).map(|_| Space::NasBench201.sample(&mut rng)));
    let mut all: Vec<(Skeleton, Architecture)> = Vec::new();
    for (i, arch) in archs.into_iter().enumerate() {
        let skeleton = match i % 3 {
            2 => Nasbench201 { channels: 8, cells: 2, resolution: 16, classes: 120 },
            _ => Nasbench201::default(),
        };
        all.push((skeleton.into(), arch));
    }
    for (space, channels, cells, resolution) in [
        (Space::NasBench101, 32, 2, 18),
        (Space::Darts, 8, 6, 30),
        (Space::Fbnet, 96, 0, 32),
        (Space::Fbnet, 96, 0, 95),
        (Space::TransBench101Micro, 16, 2, 61),
        (Space::TransBench101Macro, 16, 2, 64),
        (Space::MobileNetV3, 320, 0, 0),
        (Space::NasBenchMacro, 16, 0, 32),
    ] {
        for _ in 0..count.div_ceil(6) {
            let arch = space.sample(&mut rng);
            let space = space.clone();
            all.push((Skeleton { space, channels, cells, resolution, classes: 12 }, arch));
        }
    }
    for (i, (skeleton, arch)) in all.iter().enumerate() {
        let save = |what: &str, net: &Network, weights: &Weights| {
            let path = folder.join(format!("{i:02}-{what}.onnx"));
            write(&path, net, weights, OnnxOptions { batch: None, ..OnnxOptions::default() })
        };
        let raw = skeleton.build(arch, View::Raw)?;
        let weights = drawn(&raw, seed);
        save("raw", &raw, &weights)?;
        let (net, folded) = weights.fold(&raw)?;
        save("raw-folded", &net, &folded)?;
        let pruned = skeleton.build(arch, View::Pruned)?;
        let weights = drawn(&pruned, seed);
        save("pruned", &pruned, &weights)?;
        let (net, folded) = weights.fold(&pruned)?;
        save("pruned-folded", &net, &folded)?;
        integers(folder, &format!("{i:02}-pruned-folded"), &net, &folded)?;
    }
    let zoo = zoo()?;
    let weights = drawn(&zoo, seed);
    let options = OnnxOptions { batch: None, ..OnnxOptions::default() };
    write(&folder.join("zoo.onnx"), &zoo, &weights, options)?;
    let (net, folded) = weights.fold(&zoo)?;
    write(&folder.join("zoo-folded.onnx"), &net, &folded, options)?;
    integers(folder, "zoo-folded", &net, &folded)?;
    println!("{} models of {} architectures and a zoo of layers", 6 * all.len() + 4, all.len());
    Ok(())
}

fn write(
    path: &Path,
    net: &Network,
    weights: &Weights,
    options: OnnxOptions,
) -> Result<(), Box<dyn Error>> {
    Ok(std::fs::write(path, onnx::encode(net, weights, options)?)?)
}

/// Writes the model in 8-bit integers, padded within convolutions and in front of them.
fn integers(
    folder: &Path,
    stem: &str,
    net: &Network,
    weights: &Weights,
) -> Result<(), Box<dyn Error>> {
    for (kind, explicit_padding) in [("int8", false), ("int8-pad", true)] {
        let options = OnnxOptions { batch: None, precision: Precision::Int8, explicit_padding };
        write(&folder.join(format!("{stem}-{kind}.onnx")), net, weights, options)?;
    }
    Ok(())
}

/// Draws He weights, and random batch norms, since fresh ones are the identity. Batch norms that read
/// zeros yield zeros, since the pruned network lacks the constant that they would add.
fn drawn(network: &Network, seed: u64) -> Weights {
    let mut weights = Weights::init(network, Init { seed });
    let mut zero = Vec::new();
    for (layer, numbers) in network.layers.iter().zip(&mut weights.layers) {
        let reads_zeros = !layer.inputs.is_empty() && layer.inputs.iter().all(|&i| zero[i]);
        zero.push(layer.op == Op::Zero || reads_zeros);
        if let LayerWeights::Norm { scale, shift, mean, variance } = numbers {
            let start: f32 = layer.name.bytes().map(f32::from).sum();
            let wave = |i: usize, k: f32| (start + 1.7 * i as f32 + k).sin();
            // Reductions and the head are in both networks, and may turn zeros into anything.
            let constant =
                if reads_zeros && ["stage", "module"].iter().any(|s| layer.name.starts_with(s)) {
                    0.0
                } else {
                    1.0
                };
            for i in 0..scale.len() {
                scale[i] = 0.6 + 0.3 * wave(i, 0.0);
                shift[i] = 0.2 * wave(i, 1.0) * constant;
                mean[i] = 0.3 * wave(i, 2.0) * constant;
                variance[i] = 1.2 + 0.8 * wave(i, 3.0);
            }
        }
        let moved = matches!(numbers, LayerWeights::Norm { shift, mean, .. }
            if shift.iter().chain(mean.iter()).any(|&v| v != 0.0));
        if moved && let Some(last) = zero.last_mut() {
            *last = false;
        }
    }
    weights
}

/// Every operation that NAS-Bench-201 lacks.
fn zoo() -> Result<Network, NetworkError> {
    let mut net = Builder::new("zoo", Shape::new(6, 19, 17))?;
    let dilated = Conv { dilation: 2, padding: 2, stride: 2, bias: true, ..Conv::same(12, 3) };
    let a = net.add("dilated", Op::Conv(dilated), &[0])?;
    let a_bn = net.add("dilated.bn", Op::BatchNorm { epsilon: 1e-3 }, &[a])?;
    let b = net.add("hswish", Op::HardSwish, &[a_bn])?;
    let grouped = net.add("grouped", Op::Conv(Conv { groups: 3, ..Conv::same(12, 5) }), &[b])?;
    let shuffled = net.add("shuffle", Op::ChannelShuffle { groups: 3 }, &[grouped])?;
    let c = net.add("relu6", Op::Relu6, &[shuffled])?;
    let pooled = net.add("max", Op::MaxPool(Pool { kernel: 3, stride: 1, padding: 1 }), &[b])?;
    let averaged =
        Op::AvgPool { pool: Pool { kernel: 3, stride: 1, padding: 1 }, count_include_pad: true };
    let averaged = net.add("average", averaged, &[b])?;
    // Twice the resolution, and back.
    let up = net.add("up", Op::UpConv { out_channels: 5, flat: false }, &[pooled])?;
    let near = net.add("near", Op::Upsample { flat: false }, &[averaged])?;
    let large = net.add("large", Op::Concat, &[up, near])?;
    let half = Conv { stride: 2, ..Conv::same(6, 3) };
    let back = net.add("back", Op::Conv(half), &[large])?;
    let joined = net.add("concat", Op::Concat, &[c, pooled, averaged, back])?;
    // Squeeze and excitation: a vector scales the channels.
    let squeezed = net.add("squeeze", Op::GlobalAvgPool, &[joined])?;
    let narrow = net.add("narrow", Op::Linear { out_features: 9, bias: true }, &[squeezed])?;
    let narrow = net.add("narrow.relu", Op::Relu, &[narrow])?;
    let wide = net.add("widen", Op::Linear { out_features: 42, bias: false }, &[narrow])?;
    let gate = net.add("gate", Op::Sigmoid, &[wide])?;
    let scaled = net.add("scale", Op::Mul, &[joined, gate])?;
    let sum = net.add("sum", Op::Add, &[scaled, joined, joined])?;
    let last = net.add("pool", Op::GlobalAvgPool, &[sum])?;
    net.add("scores", Op::Linear { out_features: 7, bias: true }, &[last])?;
    Ok(net.finish())
}
