//! Properties that must hold for all values.

use lanner_network::{Builder, Conv, Nasbench201, Op, Shape, View};
use lanner_space::Space;

use super::*;

const MIXED: &str =
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";

fn network(arch: &str) -> Network {
    let arch = Space::NasBench201.parse(arch).unwrap();
    let skeleton = Nasbench201 { channels: 4, cells: 1, resolution: 8, classes: 10 };
    skeleton.build(&arch, View::Raw).unwrap()
}

fn batch(network: &Network, count: usize, seed: u64) -> Batch {
    Batch::random(count, network.input().len(), network.output().len(), seed)
}

fn bits(scores: &[(Proxy, Score)]) -> Vec<(Proxy, Result<u64, Absence>)> {
    scores.iter().map(|(p, s)| (*p, s.map(f64::to_bits))).collect()
}

#[test]
fn a_value_depends_on_the_seed_and_nothing_else() {
    let network = network(MIXED);
    let batch = batch(&network, 16, 3);
    let options = ProxyOptions { seed: 5, ..ProxyOptions::default() };
    let all = compute(&network, &batch, &Proxy::ALL, &options).unwrap();
    assert!(all.iter().all(|(_, s)| s.is_ok()), "{all:?}");
    let again = ProxyOptions { threads: 2, ..options.clone() };
    assert_eq!(bits(&all), bits(&compute(&network, &batch, &Proxy::ALL, &again).unwrap()));
    for one in &all {
        let alone = compute(&network, &batch, &[one.0], &options).unwrap();
        assert_eq!(bits(&alone), bits(&[*one]));
    }
    let other =
        compute(&network, &batch, &Proxy::ALL, &ProxyOptions { seed: 6, ..options }).unwrap();
    for ((proxy, a), (_, b)) in all.iter().zip(&other) {
        let fixed = matches!(proxy, Proxy::Flops | Proxy::Params);
        assert_eq!(a == b, fixed, "{proxy}");
    }
}

#[test]
fn proxies_of_the_network_alone_do_not_see_the_data() {
    let network = network(MIXED);
    let wanted = [Proxy::Synflow, Proxy::L2Norm, Proxy::Params, Proxy::Flops];
    let options = ProxyOptions::default();
    let of = |seed, count| compute(&network, &batch(&network, count, seed), &wanted, &options);
    let scores = of(1, 8).unwrap();
    assert_eq!(bits(&scores), bits(&of(2, 5).unwrap()));
    let cost = Cost::of(&network);
    assert_eq!(scores[2].1, Ok(cost.params as f64 / 1e6));
    assert_eq!(scores[3].1, Ok(cost.flops as f64 / 1e6));
}

#[test]
fn the_mean_over_seeds() {
    let network = network(MIXED);
    let batch = batch(&network, 8, 1);
    let wanted = [Proxy::Snip, Proxy::Params];
    let options = ProxyOptions::default();
    let mean = average(&network, &batch, &wanted, 3, &options).unwrap();
    let values: Vec<f64> = (0..3)
        .map(|k| {
            let seed = match k {
                0 => options.seed,
                k => lanner_nn::subseed(options.seed, &format!("proxies: seed {k}")),
            };
            let options = ProxyOptions { seed, ..options.clone() };
            compute(&network, &batch, &wanted, &options).unwrap()[0].1.unwrap()
        })
        .collect();
    let expected = values.iter().sum::<f64>() / 3.0;
    assert!((mean[0].1.unwrap() - expected).abs() < 1e-12 * expected);
    assert_eq!(mean[1].1, Ok(Cost::of(&network).params as f64 / 1e6));
}

#[test]
fn what_does_not_exist_has_its_reason() {
    let options = ProxyOptions::default();
    let dead = network("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|");
    let wanted = [Proxy::Synflow, Proxy::Jacov, Proxy::EpeNas, Proxy::Zen, Proxy::Params];
    let scores = compute(&dead, &batch(&dead, 8, 1), &wanted, &options).unwrap();
    let reasons: Vec<_> = scores[..4].iter().map(|(_, s)| s.unwrap_err()).collect();
    assert_eq!(reasons, [Absence::Zero, Absence::NoGradient, Absence::NoGradient, Absence::Zero]);
    assert!(scores[4].1.is_ok());

    let mut images = batch(&dead, 4, 1);
    let len = dead.input().len();
    images.images.copy_within(..len, len);
    let twice = compute(&network(MIXED), &images, &[Proxy::Nwot], &options).unwrap();
    assert_eq!(twice[0].1, Err(Absence::Singular));

    let mut plain = Builder::new("plain", Shape::new(3, 4, 4)).unwrap();
    plain.add("pool", Op::GlobalAvgPool, &[0]).unwrap();
    let plain = plain.finish();
    let wanted = [Proxy::Nwot, Proxy::Snip, Proxy::Grasp, Proxy::L2Norm, Proxy::Synflow];
    let scores = compute(&plain, &batch(&plain, 4, 1), &wanted, &options).unwrap();
    assert_eq!(scores[0].1, Err(Absence::NoRelu));
    assert!(scores[1..].iter().all(|(_, s)| *s == Err(Absence::NoWeights)), "{scores:?}");

    let mut images = batch(&dead, 4, 1);
    images.images[7] = f32::NAN;
    let broken = compute(&network(MIXED), &images, &[Proxy::Snip, Proxy::Jacov], &options).unwrap();
    assert_eq!(broken[0].1, Err(Absence::NotFinite));
    assert!(broken[1].1.is_err());
}

#[test]
fn wrong_batches_are_refused() {
    let network = network(MIXED);
    let good = batch(&network, 4, 1);
    let options = ProxyOptions::default();
    let fails = |batch: &Batch, options: &ProxyOptions| {
        compute(&network, batch, &[Proxy::Snip], options).unwrap_err().to_string()
    };
    let mut labels = good.clone();
    labels.labels[2] = 10;
    let short = Batch { images: good.images[1..].to_vec(), ..good.clone() };
    let none = Batch { images: vec![], labels: vec![], classes: 10 };
    for (batch, expected) in [
        (labels, "label is 10, expected less than the network's 10 outputs"),
        (short, "number of pixels is 767, expected 4 images of 192"),
        (none, "number of images is 0, expected 1 or more"),
    ] {
        assert_eq!(fails(&batch, &options), expected);
    }
    let little = ProxyOptions { memory_limit: Some(1000), ..options };
    assert!(fails(&good, &little).contains("memory is 1000 bytes, expected "));
}

#[test]
fn without_bias_or_batch_norm_plain_is_the_gradient_along_the_weights() {
    // The loss of a linear network depends on w·x only, so that plain and grasp have closed forms.
    let mut net = Builder::new("linear", Shape::new(1, 1, 1)).unwrap();
    let conv = net.add("conv", Op::Conv(Conv::same(1, 1)), &[0]).unwrap();
    net.add("classes", Op::Linear { out_features: 2, bias: false }, &[conv]).unwrap();
    let net = net.finish();
    let mut params = lanner_nn::Params::zeros(&net);
    params.values = vec![0.5, 1.0, -1.0];
    let batch = Batch { images: vec![2.0], labels: vec![0], classes: 2 };
    let wanted = [Proxy::Plain, Proxy::Grasp];
    let scores = compute_with(&net, params, &batch, &wanted, &ProxyOptions::default()).unwrap();
    // L(a, u, v) = log(1 + exp(−d)), d = x·a·(u − v) = 2.
    let p = 1.0 / (1.0 + 2f64.exp());
    let (l1, l2) = (-p, p * (1.0 - p));
    // ∇L = l1·∇d, ∇d = (4, 1, −1); w·∇d = 4; Hg = l2·∇d (∇d·g) + l1·(∇²d)g.
    let g = [4.0 * l1, l1, -l1];
    let along = 4.0 * g[0] + g[1] - g[2];
    // ∇²d·g = (2(g₁ − g₂), 2g₀, −2g₀)
    let hg = [
        l2 * 4.0 * along + l1 * 2.0 * (g[1] - g[2]),
        l2 * along + l1 * 2.0 * g[0],
        -l2 * along - l1 * 2.0 * g[0],
    ];
    let grasp = -(0.5 * hg[0] + hg[1] - hg[2]);
    assert!((scores[0].1.unwrap() - 4.0 * l1).abs() < 1e-6, "{scores:?}");
    assert!((scores[1].1.unwrap() - grasp).abs() < 1e-4, "{scores:?} {grasp}");
}
