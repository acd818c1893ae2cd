//! Networks for tests, and pseudo-random numbers that PyTorch scripts generate the same way.
use lanner_network::{Builder, Conv, Nasbench201, Network, Op, Pool, Shape, Skeleton, View};
use lanner_space::{Architecture, Space};

/// Number k of stream s: a multiple of 1/1024 within ±0.5, by integer arithmetic only.
pub fn number(stream: u64, k: usize) -> f64 {
    let mut x = (k as u64).wrapping_mul(0x9e37_79b9).wrapping_add(stream.wrapping_mul(0x85eb_ca6b));
    x &= 0xffff_ffff;
    x ^= x >> 15;
    x = x.wrapping_mul(0x2c1b_3c6d) & 0xffff_ffff;
    x ^= x >> 12;
    x = x.wrapping_mul(0x297a_2d39) & 0xffff_ffff;
    x ^= x >> 15;
    (x % 1025) as f64 / 1024.0 - 0.5
}

pub const BATCH_NORM: Op = Op::BatchNorm { epsilon: 1e-5 };

pub fn nasbench201(arch: &str, channels: usize, cells: usize, resolution: usize) -> Network {
    let arch = Space::NasBench201.parse(arch).unwrap();
    let skeleton = Nasbench201 { channels, cells, resolution, classes: 10 };
    skeleton.build(&arch, View::Raw).unwrap()
}

/// An inverted residual (Sandler et al. 2018; squeeze and excitation of Howard et al. 2019).
fn inverted_residual(
    net: &mut Builder,
    place: &str,
    x: usize,
    [out, expand, kernel, stride]: [usize; 4],
    act: Op,
    squeeze: bool,
) -> usize {
    let shape = net.shape(x).unwrap();
    let hidden = shape.channels * expand;
    let mut add = |name: &str, op: Op, inputs: &[usize]| {
        net.add(format!("{place}.{name}"), op, inputs).unwrap()
    };
    let mut y = add("expand", Op::Conv(Conv::same(hidden, 1)), &[x]);
    y = add("expand.bn", BATCH_NORM, &[y]);
    y = add("expand.act", act, &[y]);
    let conv = Conv { stride, groups: hidden, ..Conv::same(hidden, kernel) };
    y = add("depthwise", Op::Conv(conv), &[y]);
    y = add("depthwise.bn", BATCH_NORM, &[y]);
    y = add("depthwise.act", act, &[y]);
    if squeeze {
        let mut s = add("squeeze", Op::GlobalAvgPool, &[y]);
        let reduce = Conv { bias: true, ..Conv::same(hidden / 4, 1) };
        s = add("reduce", Op::Conv(reduce), &[s]);
        s = add("reduce.act", Op::Relu, &[s]);
        s = add("restore", Op::Conv(Conv { bias: true, ..Conv::same(hidden, 1) }), &[s]);
        s = add("gate", Op::Sigmoid, &[s]);
        y = add("scale", Op::Mul, &[y, s]);
    }
    y = add("project", Op::Conv(Conv::same(out, 1)), &[y]);
    y = add("project.bn", BATCH_NORM, &[y]);
    match stride == 1 && out == shape.channels {
        true => add("add", Op::Add, &[x, y]),
        false => y,
    }
}

/// A small network like MobileNetV3, whose channels are not multiples of 16.
pub fn mobile(width: usize, resolution: usize) -> Network {
    let mut net = Builder::new("mobile", Shape::new(3, resolution, resolution)).unwrap();
    let stem = Conv { stride: 2, ..Conv::same(width, 3) };
    let mut x = net.add("stem", Op::Conv(stem), &[0]).unwrap();
    x = net.add("stem.bn", BATCH_NORM, &[x]).unwrap();
    x = net.add("stem.act", Op::HardSwish, &[x]).unwrap();
    for (n, (sizes, act, squeeze)) in [
        ([width, 1, 3, 1], Op::Relu6, false),
        ([width * 3 / 2, 3, 3, 2], Op::Relu6, false),
        ([width * 3 / 2, 3, 5, 1], Op::HardSwish, true),
        ([width * 2, 2, 5, 2], Op::HardSwish, true),
    ]
    .into_iter()
    .enumerate()
    {
        x = inverted_residual(&mut net, &format!("block{n}"), x, sizes, act, squeeze);
    }
    x = net.add("pool", Op::GlobalAvgPool, &[x]).unwrap();
    x = net.add("hidden", Op::Linear { out_features: 20, bias: false }, &[x]).unwrap();
    x = net.add("hidden.act", Op::HardSwish, &[x]).unwrap();
    net.add("classes", Op::Linear { out_features: 10, bias: true }, &[x]).unwrap();
    net.finish()
}

/// An odd network with every kind of layer and every way to read one.
pub fn zoo() -> Network {
    let mut net = Builder::new("zoo", Shape::new(5, 11, 9)).unwrap();
    let mut add = |name: &str, op: Op, inputs: &[usize]| net.add(name, op, inputs).unwrap();
    let same = |channels, kernel| Conv::same(channels, kernel);
    let shuffled = add("shuffle.conv", Op::Conv(Conv { bias: true, ..same(18, 3) }), &[0]);
    let shuffled = add("shuffle", Op::ChannelShuffle { groups: 3 }, &[shuffled]);
    let grouped = Conv { groups: 3, dilation: 2, padding: 2, ..same(36, 3) };
    let grouped = add("grouped", Op::Conv(grouped), &[shuffled]);
    let grouped = add("grouped.bn", BATCH_NORM, &[grouped]);
    // An activation with several readers, two of them a product with itself.
    let act = add("act", Op::HardSwish, &[grouped]);
    let square = add("square", Op::Mul, &[act, act]);
    let deep = Conv { groups: 36, stride: 2, bias: true, ..same(36, 5) };
    let deep = add("deep", Op::Conv(deep), &[act]);
    let max = add("max", Op::MaxPool(Pool { kernel: 3, stride: 2, padding: 1 }), &[square]);
    let pool = Pool { kernel: 3, stride: 2, padding: 1 };
    let mean = add("mean", Op::AvgPool { pool, count_include_pad: true }, &[act]);
    let pool = Pool { kernel: 3, stride: 1, padding: 1 };
    let mean2 = add("mean2", Op::AvgPool { pool, count_include_pad: false }, &[mean]);
    let sum = add("sum", Op::Add, &[deep, max, mean2, max]);
    // A batch norm behind a sum that others read too, and one behind an activation.
    let norm = add("norm", BATCH_NORM, &[sum]);
    let relu6 = add("relu6", Op::Relu6, &[norm]);
    let again = add("again", BATCH_NORM, &[relu6]);
    let both = add("concat", Op::Concat, &[again, sum, relu6]);
    let zero = add("zero", Op::Zero, &[both]);
    add("dead", Op::Conv(same(7, 3)), &[both]);
    let multiplied = Conv { groups: 12, bias: true, ..same(24, 3) };
    let narrow = add("narrow", Op::Conv(same(12, 1)), &[both]);
    let multiplier = add("multiplier", Op::Conv(multiplied), &[narrow]);
    let gate = add("gate.pool", Op::GlobalAvgPool, &[both]);
    let gate = add("gate.linear", Op::Linear { out_features: 24, bias: true }, &[gate]);
    let gate = add("gate", Op::Sigmoid, &[gate]);
    let gated = add("gated", Op::Mul, &[gate, multiplier]);
    let other = Conv { stride: 3, padding: 0, ..same(24, 2) };
    let other = add("other", Op::Conv(other), &[zero]);
    let strided = Conv { stride: 3, padding: 0, ..same(24, 2) };
    let strided = add("strided", Op::Conv(strided), &[gated]);
    let end = add("end", Op::Add, &[other, strided]);
    let end = add("end.relu", Op::Relu, &[end]);
    let end = add("end.pool", Op::GlobalAvgPool, &[end]);
    let end = add("end.act", Op::HardSwish, &[end]);
    add("classes", Op::Linear { out_features: 7, bias: true }, &[end]);
    net.finish()
}

/// A small network of any space; `sizes`: channels, cells, resolution.
pub fn of_space(space: &str, codes: &[u8], sizes: [usize; 3]) -> Network {
    let [channels, cells, resolution] = sizes;
    let space = Space::by_name(space).unwrap();
    let skeleton = Skeleton { space, channels, cells, resolution, classes: 10 };
    skeleton.build(&Architecture::new(codes), View::Raw).unwrap()
}

/// A network of each space that has blocks which the others lack.
pub fn of_spaces() -> Vec<(&'static str, Network, usize)> {
    // Five vertices feed the output, with 4, 3, 3, 3 and 3 of 16 channels, and each other.
    let cell101 = [
        &[7, 0, 1, 2, 0, 1][..],
        &[1, 0, 0, 1, 1, 1],
        &[1, 1, 0, 0, 1],
        &[0, 0, 0, 1],
        &[0, 0, 1],
        &[0, 1],
        &[1],
    ]
    .concat();
    // Every operation in both cells, inputs in front of reductions among them.
    let darts = [
        [[0, 0, 1, 1], [0, 2, 2, 3], [1, 4, 3, 5], [2, 6, 4, 0]],
        [[0, 2, 1, 3], [1, 2, 2, 0], [0, 5, 1, 1], [0, 4, 3, 6]],
    ]
    .concat()
    .concat();
    let fbnet = [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 1, 2, 3, 8, 5, 6, 7, 8, 1, 0, 8, 4];
    let mut mobile = vec![0, 0, 1, 2, 0, 1];
    mobile.extend((0..40).map(|i| (i * i + i / 3) as u8 % 3));
    // Layers beyond a stage's depth have no choices.
    for layer in (0..20).filter(|layer| layer % 4 >= 2 + [0, 1, 2, 0, 1][layer / 4]) {
        (mobile[6 + layer], mobile[26 + layer]) = (0, 0);
    }
    vec![
        ("nasbench101", of_space("nasbench101", &cell101, [16, 1, 12]), 3),
        ("darts", of_space("darts", &darts, [6, 4, 15]), 3),
        ("micro", of_space("transbench101-micro", &[1, 0, 3, 2, 1, 3], [8, 1, 40]), 3),
        ("macro", of_space("transbench101-macro", &[0, 3, 1, 2], [8, 2, 30]), 3),
        ("fbnet", of_space("fbnet", &fbnet, [48, 0, 17]), 2),
        ("mobilenetv3", of_space("mobilenetv3", &mobile, [160, 0, 40]), 3),
        ("nas-bench-macro", of_space("nas-bench-macro", &[0, 1, 2, 0, 1, 0, 2, 1], [8, 0, 16]), 3),
    ]
}

/// All networks of the golden file, with their batches.
pub fn golden() -> Vec<(&'static str, Network, usize)> {
    let full = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|";
    let mixed = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";
    let pools = "|avg_pool_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|";
    let mut all = vec![
        ("all 3x3", nasbench201(full, 16, 1, 32), 4),
        ("mixed", nasbench201(mixed, 8, 2, 16), 5),
        ("pools", nasbench201(pools, 16, 1, 16), 3),
        ("mobile", mobile(12, 24), 3),
        ("zoo", zoo(), 3),
    ];
    all.extend(of_spaces());
    all
}
