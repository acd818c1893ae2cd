//! Compares gradients with central finite differences in f64, for each kind of layer.

use crate::networks::{BATCH_NORM, mobile, nasbench201, number, zoo};
use lanner_network::{Builder, Conv, Network, Op, Pool, Shape};
use lanner_nn::{ExecOptions, Executor, Mode, Params, Wants};

/// Checks the gradient of Σ r·output by some of the parameters and some numbers of the input.
fn check(network: &Network, batch: usize, mode: Mode) {
    let options = ExecOptions { threads: 2, training: true, ..ExecOptions::default() };
    let mut executor = Executor::<f64>::new(network, batch, options).unwrap();
    let mut params = Params::<f64>::zeros(network);
    let normal = |stream, n: usize| -> Vec<f64> { (0..n).map(|k| number(stream, k)).collect() };
    params.values = normal(1, params.values.len());
    for place in &params.layout.layers {
        params.running[place.variance.clone()].fill(0.7);
        params.running[place.mean.clone()].fill(0.1);
    }
    let input = normal(2, batch * network.input().len());
    let weights = normal(3, batch * network.output().len());
    let mut value = |params: &Params<f64>, input: &[f64]| -> f64 {
        let output = executor.forward(params, input, mode, &()).unwrap();
        output.iter().zip(&weights).map(|(o, w)| o * w).sum()
    };
    let mut numeric = Vec::new();
    let n = params.values.len();
    let h = 1e-6;
    for k in (0..n).step_by(1 + n / 60) {
        let at = |h: f64| {
            let mut moved = params.clone();
            moved.values[k] += h;
            moved
        };
        numeric.push((k, (value(&at(h), &input) - value(&at(-h), &input)) / (2.0 * h)));
    }
    for k in (0..input.len()).step_by(1 + input.len() / 40) {
        let at = |h: f64| {
            let mut moved = input.clone();
            moved[k] += h;
            moved
        };
        numeric.push((n + k, (value(&params, &at(h)) - value(&params, &at(-h))) / (2.0 * h)));
    }
    value(&params, &input);
    let mut gradients = vec![f64::NAN; n];
    let wants = Wants { params: true, input: true };
    executor.backward(&params, &weights, wants, &mut gradients, &()).unwrap();
    gradients.extend(executor.input_gradient().unwrap());
    let scale = numeric.iter().map(|(_, g)| g.abs()).fold(0.0, f64::max);
    assert!(scale > 1e-3, "{}: all gradients are zero", network.name);
    for (k, want) in numeric {
        let got = gradients[k];
        let layer = params
            .layout
            .layers
            .iter()
            .position(|p| p.weight.contains(&k) || p.bias.contains(&k))
            .map_or("input", |l| network.layers[l].name.as_str());
        assert!(
            (got - want).abs() < 1e-6 * (scale + want.abs()),
            "{} {mode:?}, {layer} [{k}]: {got} for {want} (largest {scale})",
            network.name
        );
    }
}

fn chain(name: &str, input: Shape, ops: &[Op]) -> Network {
    let mut net = Builder::new(name, input).unwrap();
    for (at, op) in ops.iter().enumerate() {
        net.add(format!("{at}.{}", op.name()), *op, &[at]).unwrap();
    }
    net.finish()
}

#[test]
fn convolutions() {
    for (at, (input, conv)) in [
        (Shape::new(3, 7, 6), Conv::same(5, 3)),
        (Shape::new(16, 8, 8), Conv::same(16, 3)),
        (Shape::new(35, 5, 9), Conv::same(50, 3)),
        (Shape::new(20, 4, 4), Conv { bias: true, ..Conv::same(33, 1) }),
        (Shape::new(4, 9, 7), Conv { stride: 2, ..Conv::same(6, 3) }),
        (Shape::new(4, 8, 8), Conv { stride: 2, padding: 0, ..Conv::same(6, 1) }),
        (Shape::new(4, 9, 9), Conv { stride: 3, padding: 1, dilation: 2, ..Conv::same(6, 3) }),
        (Shape::new(4, 9, 9), Conv { dilation: 3, padding: 3, ..Conv::same(6, 3) }),
        (Shape::new(4, 6, 6), Conv { padding: 4, ..Conv::same(6, 3) }),
        (Shape::new(4, 3, 3), Conv { padding: 0, ..Conv::same(6, 3) }),
        (Shape::new(6, 7, 7), Conv { groups: 3, bias: true, ..Conv::same(9, 3) }),
        (Shape::new(40, 5, 5), Conv { groups: 2, stride: 2, ..Conv::same(36, 3) }),
        (Shape::new(20, 7, 9), Conv { groups: 20, bias: true, ..Conv::same(20, 3) }),
        (Shape::new(20, 9, 7), Conv { groups: 20, stride: 2, ..Conv::same(20, 5) }),
        (Shape::new(7, 9, 7), Conv { groups: 7, stride: 2, dilation: 2, ..Conv::same(7, 3) }),
        (Shape::new(6, 7, 7), Conv { groups: 6, ..Conv::same(12, 3) }),
        (Shape::new(2, 5, 5), Conv { kernel: 4, padding: 2, stride: 2, ..Conv::same(3, 4) }),
        (Shape::new(3, 2, 9), Conv { stride: 4, ..Conv::same(3, 3) }),
        (Shape::new(1, 1, 1), Conv::same(1, 1)),
    ]
    .into_iter()
    .enumerate()
    {
        let net = chain(&format!("convolution {at}"), input, &[Op::Conv(conv)]);
        check(&net, 3, Mode::Batch);
        let ops = [Op::Relu, Op::Conv(conv), BATCH_NORM, Op::HardSwish];
        check(&chain(&format!("ReLU-Conv-BN {at}"), input, &ops), 9, Mode::Batch);
    }
}

#[test]
fn activations_and_batch_norms() {
    for act in [Op::Relu, Op::Relu6, Op::HardSwish, Op::Sigmoid, Op::HardSigmoid] {
        for mode in [Mode::Batch, Mode::Running] {
            let conv = Op::Conv(Conv { bias: true, ..Conv::same(5, 1) });
            let input = Shape::new(3, 4, 5);
            check(&chain(act.name(), input, &[BATCH_NORM, act]), 2, mode);
            check(&chain(act.name(), input, &[act, act, conv]), 2, mode);
            check(&chain(act.name(), input, &[conv, BATCH_NORM, act, conv]), 2, mode);
            check(&chain(act.name(), input, &[conv, BATCH_NORM, BATCH_NORM, act]), 2, mode);
        }
    }
}

#[test]
fn poolings() {
    let input = Shape::new(5, 7, 6);
    for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (2, 2, 0), (2, 3, 1), (5, 1, 2)] {
        let pool = Pool { kernel, stride, padding };
        for op in [
            Op::MaxPool(pool),
            Op::AvgPool { pool, count_include_pad: true },
            Op::AvgPool { pool, count_include_pad: false },
        ] {
            check(&chain(&op.describe(), input, &[op]), 2, Mode::Batch);
            check(&chain(&op.describe(), input, &[Op::HardSwish, op, op]), 2, Mode::Batch);
        }
    }
    check(&chain("global", input, &[Op::Sigmoid, Op::GlobalAvgPool]), 2, Mode::Batch);
}

#[test]
fn slices_and_shifts() {
    let input = Shape::new(5, 4, 3);
    for op in [Op::Slice { channels: 3 }, Op::Shift] {
        check(&chain(op.name(), input, &[op]), 2, Mode::Batch);
        check(&chain(op.name(), input, &[BATCH_NORM, Op::HardSwish, op, op]), 2, Mode::Batch);
    }
}

#[test]
fn linear_layers() {
    for bias in [true, false] {
        let linear = Op::Linear { out_features: 4, bias };
        check(&chain("linear", Shape::vector(6), &[linear, Op::Relu, linear]), 10, Mode::Batch);
        let ops = [linear, BATCH_NORM, Op::Sigmoid, linear];
        check(&chain("linear with norm", Shape::vector(6), &ops), 10, Mode::Batch);
    }
}

#[test]
fn whole_networks() {
    check(&zoo(), 3, Mode::Batch);
    check(&zoo(), 3, Mode::Running);
    check(&zoo(), 3, Mode::Bypass);
    check(&mobile(8, 16), 2, Mode::Batch);
    let mixed = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
    check(&nasbench201(mixed, 4, 1, 8), 2, Mode::Batch);
    check(&nasbench201(mixed, 4, 1, 8), 2, Mode::Bypass);
}
