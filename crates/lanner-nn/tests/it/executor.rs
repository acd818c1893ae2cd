//! Promises of an executor beside right numbers: equal bits, memory, observers, errors.

use std::sync::Mutex;

use crate::networks::{BATCH_NORM, golden, mobile, zoo};
use lanner_network::{Builder, Conv, Init, Network, Op, Shape, Weights};
use lanner_nn::{ExecError, ExecOptions, Executor, Mode, Observer, Params, Wants, rng, uniform};

fn options(threads: usize, training: bool) -> ExecOptions {
    ExecOptions { threads, training, ..ExecOptions::default() }
}

fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut v = vec![0.0; len];
    uniform(&mut v, 1.0, &mut rng(seed, "executor test"));
    v
}

fn fresh(network: &Network) -> Params<f32> {
    let weights = Weights::init(network, Init { seed: 5 });
    Params::from_weights(network, &weights).unwrap()
}

/// Runs a step; returns the output, the gradients of the parameters and that of the images.
fn step(executor: &mut Executor<f32>, params: &Params<f32>, images: &[f32]) -> [Vec<f32>; 3] {
    let output = executor.forward(params, images, Mode::Batch, &()).unwrap().to_vec();
    let mut gradients = vec![f32::NAN; params.values.len()];
    let d = numbers(output.len(), 9);
    let wants = Wants { params: true, input: true };
    executor.backward(params, &d, wants, &mut gradients, &()).unwrap();
    let input = executor.input_gradient().unwrap();
    [output, gradients, input]
}

#[test]
fn the_same_bits_twice_and_for_any_number_of_threads() {
    for (name, network, _) in golden() {
        let (params, batch) = (fresh(&network), 19);
        let images = numbers(batch * network.input().len(), 1);
        let mut one = Executor::new(&network, batch, options(1, true)).unwrap();
        let want = step(&mut one, &params, &images);
        assert!(want == step(&mut one, &params, &images), "{name}: a second time");
        for threads in [2, 3] {
            let mut other = Executor::new(&network, batch, options(threads, true)).unwrap();
            assert!(want == step(&mut other, &params, &images), "{name}: {threads} threads");
        }
    }
}

#[test]
fn a_second_backward_pass_is_as_good_as_one_alone() {
    for (name, network, _) in golden() {
        let (params, batch) = (fresh(&network), 9);
        let images = numbers(batch * network.input().len(), 1);
        let passes = |repeat_backward, seeds: &[u64]| {
            let options = ExecOptions { repeat_backward, ..options(2, true) };
            let mut executor = Executor::new(&network, batch, options).unwrap();
            let len = executor.forward(&params, &images, Mode::Batch, &()).unwrap().len();
            let mut gradients = vec![f32::NAN; params.values.len()];
            for &seed in seeds {
                let wants = Wants { params: true, input: true };
                executor
                    .backward(&params, &numbers(len, seed), wants, &mut gradients, &())
                    .unwrap();
            }
            (gradients, executor.input_gradient().unwrap())
        };
        assert!(passes(true, &[4, 5, 6]) == passes(false, &[6]), "{name}");
    }
}

#[test]
fn a_part_of_a_batch_is_as_good() {
    let network = zoo();
    let params = fresh(&network);
    let images = numbers(3 * network.input().len(), 1);
    let mut large = Executor::new(&network, 10, options(1, true)).unwrap();
    let mut exact = Executor::new(&network, 3, options(1, true)).unwrap();
    step(&mut large, &params, &numbers(10 * network.input().len(), 7));
    assert!(step(&mut large, &params, &images) == step(&mut exact, &params, &images));
}

#[test]
fn buffers_of_another_network_do_not_matter() {
    let mut renewed = Executor::new(&mobile(8, 16), 4, options(1, true)).unwrap();
    for (name, network, batch) in golden() {
        let params = fresh(&network);
        let images = numbers(batch * network.input().len(), 1);
        renewed = renewed.renew(&network, batch, options(1, true)).unwrap();
        let mut new = Executor::new(&network, batch, options(1, true)).unwrap();
        let want = step(&mut new, &params, &images);
        assert!(want == step(&mut renewed, &params, &images), "{name}");
    }
}

#[test]
fn inference_is_the_same_in_less_memory() {
    for (name, network, batch) in golden() {
        let params = fresh(&network);
        let images = numbers(batch * network.input().len(), 1);
        let mut training = Executor::new(&network, batch, options(1, true)).unwrap();
        let mut inference = Executor::new(&network, batch, options(1, false)).unwrap();
        for mode in [Mode::Batch, Mode::Running, Mode::Bypass] {
            let want = training.forward(&params, &images, mode, &()).unwrap();
            assert_eq!(want, inference.forward(&params, &images, mode, &()).unwrap(), "{name}");
        }
        assert!(inference.memory() < training.memory(), "{name}");
    }
}

#[test]
fn a_chain_holds_two_tensors_at_inference_and_each_convolution_once_in_training() {
    let mut net = Builder::new("chain", Shape::new(16, 8, 8)).unwrap();
    let mut x = 0;
    for n in 0..6 {
        x = net.add(format!("{n}.conv"), Op::Conv(Conv::same(16, 3)), &[x]).unwrap();
        x = net.add(format!("{n}.bn"), BATCH_NORM, &[x]).unwrap();
        x = net.add(format!("{n}.relu"), Op::Relu, &[x]).unwrap();
    }
    let net = net.finish();
    let tensor = 4 * 2 * 16 * 8 * 8;
    // Batch norms and activations are applied by their readers; the last ReLU is the output.
    let inference = Executor::<f32>::new(&net, 2, options(1, false)).unwrap();
    assert_eq!(inference.memory(), 2 * tensor);
    // The image, six convolutions, the output; its gradient, and that of a batch norm before it.
    let training = Executor::<f32>::new(&net, 2, options(1, true)).unwrap();
    assert_eq!(training.memory(), (1 + 6 + 1 + 2) * tensor);
}

/// For each layer, the sums of output · gradient, of outputs forward and of outputs backward.
struct Sums(Mutex<Vec<[f64; 3]>>);

impl Observer<f64> for Sums {
    fn output(&self, layer: usize, _: usize, output: &[f64]) {
        self.0.lock().unwrap()[layer][1] += output.iter().sum::<f64>();
    }
    fn gradient(&self, layer: usize, _: usize, output: &[f64], gradient: &[f64]) {
        let mut sums = self.0.lock().unwrap();
        sums[layer][0] += output.iter().zip(gradient).map(|(o, g)| o * g).sum::<f64>();
        sums[layer][2] += output.iter().sum::<f64>();
    }
}

#[test]
fn observers_see_outputs_and_their_gradients() {
    for (name, network, batch) in golden() {
        // Σ w·∂L/∂w = Σ a·∂L/∂a where the output a is linear in the weights w (and the bias).
        let observed: Vec<usize> = (0..network.layers.len()).collect();
        let options = ExecOptions { observed, ..options(2, true) };
        let mut executor = Executor::<f64>::new(&network, batch, options).unwrap();
        let params = fresh(&network);
        let params = Params::<f64>::from_weights(&network, &params.to_weights()).unwrap();
        let wide = |v: Vec<f32>| -> Vec<f64> { v.into_iter().map(f64::from).collect() };
        let images = wide(numbers(batch * network.input().len(), 1));
        let sums = Sums(Mutex::new(vec![[0.0; 3]; network.layers.len()]));
        let output = executor.forward(&params, &images, Mode::Batch, &sums).unwrap().to_vec();
        let d = wide(numbers(output.len(), 3));
        let mut gradients = vec![0.0; params.values.len()];
        let wants = Wants { params: true, input: true };
        executor.backward(&params, &d, wants, &mut gradients, &sums).unwrap();
        let sums = sums.0.into_inner().unwrap();
        let scale = sums.iter().map(|s| s[0].abs()).fold(0.0, f64::max);
        let dead = ["dead", "zero", "other"];
        for (l, (layer, place)) in network.layers.iter().zip(&params.layout.layers).enumerate() {
            let picks_zeros = layer.name.ends_with(".pick");
            if dead.contains(&layer.name.as_str()) || layer.op == Op::Zero || picks_zeros {
                continue;
            }
            assert!((sums[l][1] - sums[l][2]).abs() < 1e-6, "{name}, {}: outputs", layer.name);
            if let Op::Conv(_) | Op::Linear { .. } = layer.op {
                let range = place.weight.start..place.bias.end;
                let product: f64 = range.map(|k| params.values[k] * gradients[k]).sum();
                let got = sums[l][0];
                assert!(
                    (got - product).abs() < 1e-9 * scale,
                    "{name}, {}: {got} {product}",
                    layer.name
                );
            }
        }
    }
}

#[test]
fn running_statistics_move_towards_the_batch() {
    let mut net = Builder::new("norm", Shape::new(2, 2, 1)).unwrap();
    net.add("bn", BATCH_NORM, &[0]).unwrap();
    let net = net.finish();
    let mut executor = Executor::<f64>::new(&net, 2, options(1, true)).unwrap();
    let mut params = Params::zeros(&net);
    assert!(executor.update_running(&mut params, 0.1).is_err());
    executor.forward(&params, &[1.0, 2.0, 0.0, 0.0, 3.0, 6.0, 0.0, 4.0], Mode::Batch, &()).unwrap();
    executor.update_running(&mut params, 0.1).unwrap();
    // Means 3 and 1, biased variances 3.5 and 3, unbiased 14/3 and 4; the old ones are 0 and 1.
    let want = [0.3, 0.1, 0.9 + 14.0 / 30.0, 0.9 + 0.4];
    assert!(params.running.iter().zip(want).all(|(r, w)| (r - w).abs() < 1e-12), "{params:?}");
    assert_eq!(executor.statistics(1).0, [3.0, 1.0]);
}

#[test]
fn weights_come_back_as_they_went() {
    let network = mobile(8, 16);
    let weights = Weights::init(&network, Init { seed: 2 });
    assert!(Params::<f32>::from_weights(&network, &weights).unwrap().to_weights() == weights);
    assert!(Params::<f64>::from_weights(&network, &weights).unwrap().to_weights() == weights);
    assert!(Params::<f32>::from_weights(&zoo(), &weights).is_err());
}

#[test]
fn nan_is_not_hidden() {
    for (name, network, batch) in golden() {
        let params = fresh(&network);
        let mut images = numbers(batch * network.input().len(), 1);
        images[7] = f32::NAN;
        let mut executor = Executor::new(&network, batch, options(1, false)).unwrap();
        let output = executor.forward(&params, &images, Mode::Running, &()).unwrap();
        assert!(output.iter().any(|x| x.is_nan()), "{name}");
    }
}

#[test]
fn errors_say_what_was_expected() {
    let network = mobile(8, 16);
    let params = fresh(&network);
    let images = numbers(2 * network.input().len(), 1);
    let message = |error: ExecError| error.to_string();
    let new = |batch, options| Executor::<f32>::new(&network, batch, options);
    assert_eq!(message(new(0, options(1, true)).unwrap_err()), "batch is 0, expected 1 or more");
    let observed = ExecOptions { observed: vec![999], ..options(1, true) };
    assert!(message(new(1, observed).unwrap_err()).starts_with("observed layer is 999"));
    let small = ExecOptions { memory_limit: Some(1000), ..options(1, true) };
    let text = message(new(2, small).unwrap_err());
    assert!(
        text.starts_with("network 'mobile' at batch 2 needs") && text.contains("limit of 1000")
    );
    assert!(matches!(new(usize::MAX / 2, options(1, true)), Err(ExecError::Memory { .. })));

    let mut executor = new(2, options(1, true)).unwrap();
    let mut gradients = vec![0.0; params.values.len()];
    let wants = Wants::PARAMS;
    let early = executor.backward(&params, &[0.0; 20], wants, &mut gradients, &());
    assert_eq!(message(early.unwrap_err()), "`backward` needs a forward pass before it");
    for wrong in [&images[1..], &[], &numbers(3 * network.input().len(), 1)] {
        let text = message(executor.forward(&params, wrong, Mode::Batch, &()).unwrap_err());
        assert!(text.ends_with("expected 1 to 2 times 768"), "{text}");
    }
    let other = fresh(&zoo());
    assert!(executor.forward(&other, &images, Mode::Batch, &()).is_err());
    executor.forward(&params, &images, Mode::Batch, &()).unwrap();
    assert!(executor.backward(&params, &[0.0; 7], wants, &mut gradients, &()).is_err());
    assert!(executor.backward(&params, &[0.0; 20], wants, &mut [], &()).is_err());
    assert!(executor.input_gradient().is_err());
    executor.backward(&params, &[0.0; 20], Wants::INPUT, &mut [], &()).unwrap();
    assert!(executor.input_gradient().is_ok());
    let mut inference = new(2, options(1, false)).unwrap();
    inference.forward(&params, &images, Mode::Batch, &()).unwrap();
    assert!(inference.backward(&params, &[0.0; 20], wants, &mut gradients, &()).is_err());
}

/// Makes an executor in `f64` that can hold states, with parameters and images.
fn exact(network: &Network, batch: usize) -> (Executor<f64>, Params<f64>, Vec<f64>) {
    let options = ExecOptions { hold_states: true, ..options(2, true) };
    let executor = Executor::<f64>::new(network, batch, options).unwrap();
    let params = Params::<f64>::from_weights(network, &fresh(network).to_weights()).unwrap();
    let images = numbers(batch * network.input().len(), 1);
    (executor, params, images.into_iter().map(f64::from).collect())
}

#[test]
fn states_held_where_they_are_change_nothing() {
    for (name, network, batch) in golden() {
        let (mut executor, params, images) = exact(&network, batch);
        let mut step = |held: bool| {
            let output = executor.forward(&params, &images, Mode::Batch, &()).unwrap().to_vec();
            let d: Vec<f64> = numbers(output.len(), 9).into_iter().map(f64::from).collect();
            let mut gradients = vec![f64::NAN; params.values.len()];
            executor.backward(&params, &d, Wants::PARAMS, &mut gradients, &()).unwrap();
            if !held {
                executor.hold_states(true).unwrap();
            }
            (output, gradients)
        };
        let (free, held) = (step(false), step(true));
        let close = |a: &[f64], b: &[f64]| {
            let scale = a.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * scale)
        };
        assert!(close(&free.0, &held.0) && close(&free.1, &held.1), "{name}");
    }
}

#[test]
fn held_states_are_smooth_away_from_where_they_were_taken() {
    for (name, network, batch) in golden() {
        let (mut executor, params, images) = exact(&network, batch);
        executor.forward(&params, &images, Mode::Batch, &()).unwrap();
        executor.hold_states(true).unwrap();
        // Far enough that many states would change, but none from one outer piece to the other.
        let away = numbers(images.len(), 2);
        let other: Vec<f64> =
            images.iter().zip(away).map(|(x, a)| x + 0.05 * f64::from(a)).collect();
        let along: Vec<f64> = numbers(images.len(), 3).into_iter().map(f64::from).collect();
        let output = executor.forward(&params, &other, Mode::Batch, &()).unwrap().to_vec();
        let d: Vec<f64> = numbers(output.len(), 9).into_iter().map(f64::from).collect();
        executor.backward(&params, &d, Wants::INPUT, &mut [], &()).unwrap();
        let gradient = executor.input_gradient().unwrap();
        let want: f64 = gradient.iter().zip(&along).map(|(g, a)| g * a).sum();
        let mut value = |h: f64| -> f64 {
            let moved: Vec<f64> = other.iter().zip(&along).map(|(x, a)| x + h * a).collect();
            let output = executor.forward(&params, &moved, Mode::Batch, &()).unwrap();
            output.iter().zip(&d).map(|(o, d)| o * d).sum()
        };
        // Small because of the deepest networks: batch norms over few pixels are curved. The error
        // of the difference falls with h⁴.
        let h = 2e-4;
        let found = (8.0 * (value(h) - value(-h)) - value(2.0 * h) + value(-2.0 * h)) / (12.0 * h);
        assert!((found - want).abs() < 1e-6 * (1.0 + want.abs()), "{name}: {found} for {want}");
        executor.hold_states(false).unwrap();
        let free = executor.forward(&params, &other, Mode::Batch, &()).unwrap();
        assert!(free.iter().zip(&output).any(|(a, b)| (a - b).abs() > 1e-6), "{name}");
    }
}

#[test]
fn states_are_held_only_where_they_were_taken() {
    let network = zoo();
    let (mut executor, params, images) = exact(&network, 3);
    assert!(executor.hold_states(true).is_err(), "before any pass");
    executor.forward(&params, &images, Mode::Batch, &()).unwrap();
    executor.hold_states(true).unwrap();
    let fewer = &images[..2 * network.input().len()];
    let error = executor.forward(&params, fewer, Mode::Batch, &()).unwrap_err().to_string();
    assert!(error.contains("while states are held"), "{error}");
    let mut plain = Executor::<f64>::new(&network, 3, options(1, true)).unwrap();
    plain.forward(&params, &images, Mode::Batch, &()).unwrap();
    assert!(plain.hold_states(true).is_err(), "not made to hold");
}
