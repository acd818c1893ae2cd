//! Measures training steps (forward, backward by all parameters) of NAS-Bench-201 networks, batch
//! 64, and the share of the machine's measured peak of matrix products that convolutions reach.
//!
//! `cargo bench -p lanner-nn --bench executor -- [threads]`; PyTorch's side is
//! `benches/peers/executor_torch.py`.

use std::time::Instant;

use lanner_network::{Builder, Conv, Cost, Init, Nasbench201, Network, Op, Shape, View, Weights};
use lanner_nn::{ExecOptions, Executor, Mode, Params, Wants, rng, uniform};
use lanner_space::{Architecture, Space};

/// Seconds of processor time of the main thread, with `LANNER_BENCH=cpu`: for one thread on a busy
/// machine (Linux).
fn on_processor() -> Option<f64> {
    std::env::var("LANNER_BENCH").ok().filter(|v| v == "cpu")?;
    let stat = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    Some(stat.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// Median of the seconds that `f` takes; the mean for processor time, which is only counted in
/// ticks.
fn seconds(least: f64, mut f: impl FnMut()) -> f64 {
    f();
    let (begin, cpu) = (Instant::now(), on_processor());
    let mut times = Vec::new();
    while times.len() < 3 || begin.elapsed().as_secs_f64() < least {
        let start = Instant::now();
        f();
        times.push(start.elapsed().as_secs_f64());
    }
    if let (Some(from), Some(to)) = (cpu, on_processor()) {
        return (to - from) / times.len() as f64;
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Seconds of a forward pass and of a training step.
fn step(network: &Network, batch: usize, threads: usize, wants: Wants) -> [f64; 2] {
    let weights = Weights::init(network, Init { seed: 1 });
    let params = Params::<f32>::from_weights(network, &weights).expect("its own weights");
    let options = ExecOptions { threads, training: true, ..ExecOptions::default() };
    let mut executor = Executor::new(network, batch, options).expect("it fits");
    let mut images = vec![0.0; batch * network.input().len()];
    uniform(&mut images, 1.0, &mut rng(1, "bench"));
    let d_output = vec![1.0 / batch as f32; batch * network.output().len()];
    let mut gradients = vec![0.0; params.values.len()];
    let forward = seconds(1.0, || {
        executor.forward(&params, &images, Mode::Batch, &()).expect("a forward pass");
    });
    let both = seconds(2.0, || {
        executor.forward(&params, &images, Mode::Batch, &()).expect("a forward pass");
        executor.backward(&params, &d_output, wants, &mut gradients, &()).expect("a backward pass");
    });
    [forward, both]
}

fn network(digits: [u8; 6]) -> Network {
    Nasbench201::default().build(&Architecture::new(digits), View::Pruned).expect("a valid one")
}

fn main() {
    let threads = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(1);
    let n = 768;
    let (a, mut c) = (vec![0.5; n * n], vec![0.0; n * n]);
    let product = seconds(1.0, || {
        lanner_nn::matmul::nn(n, n, n, &a, &a, &mut c, false, threads);
    });
    let peak = 2.0 * (n * n * n) as f64 / product / 1e9;
    println!("threads {threads}, matrix product of {n}: {peak:.0} GFLOP/s");

    for (channels, side, kernel, groups) in [
        (16, 32, 3, 1),
        (32, 16, 3, 1),
        (64, 8, 3, 1),
        (16, 32, 1, 1),
        (32, 16, 1, 1),
        (64, 8, 1, 1),
        (96, 16, 3, 96),
        (96, 16, 5, 96),
        (144, 16, 1, 1),
        (24, 16, 1, 1),
    ] {
        // Eight convolutions, so that reading the images and writing the output matter little.
        let mut net = Builder::new("chain", Shape::new(channels, side, side)).expect("a shape");
        let conv = Conv { groups, ..Conv::same(channels, kernel) };
        for n in 0..8 {
            net.add(format!("{n}"), Op::Conv(conv), &[n]).expect("it fits");
        }
        let net = net.finish();
        let flops = 2.0 * 64.0 * Cost::of(&net).macs as f64;
        let [forward, both] = step(&net, 64, threads, Wants { params: true, input: true });
        println!(
            "conv {channels:3} {side:2}×{side:2} {kernel}×{kernel} groups {groups:2}: forward {:.2} ms, \
             {:.0} GFLOP/s ({:.0} %); forward and backward {:.2} ms, {:.0} GFLOP/s ({:.0} %)",
            1e3 * forward / 8.0,
            flops / forward / 1e9,
            flops / forward / 1e7 / peak,
            1e3 * both / 8.0,
            3.0 * flops / both / 1e9,
            3.0 * flops / both / 1e7 / peak,
        );
    }
    for (name, network) in [("all 3×3", network([3; 6])), ("mixed", network([3, 1, 4, 2, 0, 3]))] {
        for batch in [64, 1] {
            let [forward, both] = step(&network, batch, threads, Wants::PARAMS);
            println!(
                "{name}, batch {batch}: forward {:.1} images/s, training step {:.1} images/s ({:.1} ms)",
                batch as f64 / forward,
                batch as f64 / both,
                1e3 * both,
            );
        }
    }
    let mut sum = 0.0;
    let count = 20;
    let archs: Vec<Architecture> = Space::NasBench201.iter().step_by(751).take(count).collect();
    for arch in &archs {
        let network = Nasbench201::default().build(arch, View::Pruned).expect("a valid one");
        let [_, both] = step(&network, 64, threads, Wants::PARAMS);
        let rate = 64.0 / both;
        println!("{}: training step {rate:.1} images/s", Space::NasBench201.print(arch));
        sum += rate.ln();
    }
    println!("geometric mean of {count}: {:.1} images/s", (sum / count as f64).exp());
}
