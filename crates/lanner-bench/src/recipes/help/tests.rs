use super::*;
use crate::recipes::pre_training::made_up::{cells, device};
use lanner_predict::metrics::spearman;

const REFERENCES: [usize; 4] = [3, 101, 202, 303];

fn learned(pool: &Pool, sources: &[&[f64]], episodes: usize) -> PreTrained {
    let plan = Plan { rows: 70, episodes };
    let mut told = 0;
    let done = PreTrained::by(plan, pool, &REFERENCES, sources, 1, || told += 1).unwrap();
    assert_eq!(told, episodes);
    done
}

/// Makes a small network with or without graphs, and data for its mean squared error.
fn small(graphs: bool) -> (Network, Vec<f32>, Batch, Vec<f32>, Vec<f32>) {
    let pool = match graphs {
        true => cells(),
        false => {
            let mut rng = lanner_nn::rng(1, "test");
            let fbnet = Space::Fbnet;
            let archs = (0..30).map(|_| fbnet.sample(&mut rng)).collect();
            Pool::new(fbnet, archs)
        }
    };
    let inputs = Form::new(&pool);
    let network = Network::new(inputs.features(), if graphs { 3 } else { 2 }, 3, 12);
    // Kernels within ±.05 would have gradients near zero in such a small network.
    let weights = network.weights(graphs, 5).iter().map(|w| 2.0 * w).collect();
    let rows: Vec<usize> = (0..20).collect();
    let targets = rows.iter().map(|&r| ((r * 7) % 5) as f32 / 4.0).collect();
    (network, weights, inputs.batch(&rows), vec![0.2, 1.0, -0.4], targets)
}

fn loss(net: &Network, weights: &[f32], batch: &Batch, device: &[f32], targets: &[f32]) -> f64 {
    let out = net.predict(weights, batch, device);
    let squares = out.iter().zip(targets).map(|(o, t)| f64::from(o - t).powi(2));
    squares.sum::<f64>() / targets.len() as f64
}

fn length(v: &[f32]) -> f64 {
    v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// Returns the smallest error of finite differences over several steps: large steps cross a ReLU's
/// corner, small ones drown in rounding.
fn least(off: impl FnMut(f32) -> f64) -> f64 {
    [3e-3, 1e-3, 3e-4, 1e-4, 3e-5].into_iter().map(off).fold(f64::INFINITY, f64::min)
}

fn moved(v: &[f32], along: &[f32], by: f32) -> Vec<f32> {
    v.iter().zip(along).map(|(v, a)| v + by * a).collect()
}

#[test]
fn gradients_are_those_of_differences() {
    for graphs in [true, false] {
        let (network, weights, batch, device, targets) = small(graphs);
        let gradient = network.gradient(Of::fixed(&weights), &batch, &device, &targets);
        assert!(gradient.slope.is_empty());
        let gradient = gradient.value;
        let (mut seen, scale) = (0, length(&gradient));
        for at in (0..weights.len()).step_by(13) {
            let mut axis = vec![0.0; weights.len()];
            axis[at] = 1.0;
            let at_step =
                |by: f32| loss(&network, &moved(&weights, &axis, by), &batch, &device, &targets);
            let ours = f64::from(gradient[at]);
            let off = least(|step| {
                ((at_step(step) - at_step(-step)) / f64::from(2.0 * step) - ours).abs()
            });
            assert!(off < 3e-3 * scale, "{graphs} {at}: {ours} off by {off} of {scale}");
            seen += usize::from(ours.abs() > 0.01 * scale);
        }
        assert!(seen > 10, "{seen}");
    }
}

#[test]
fn slopes_of_gradients_are_those_of_differences() {
    for graphs in [true, false] {
        let (network, weights, batch, device, targets) = small(graphs);
        let slope: Vec<f32> =
            (0..weights.len()).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let along = Of { value: &weights, slope: &slope };
        let dual = network.gradient(along, &batch, &device, &targets);
        let plain = network.gradient(Of::fixed(&weights), &batch, &device, &targets);
        assert_eq!(dual.value, plain.value);
        let gradient = |by: f32| {
            let weights = moved(&weights, &slope, by);
            network.gradient(Of::fixed(&weights), &batch, &device, &targets).value
        };
        let off = least(|step| {
            let differences = moved(&gradient(step), &gradient(-step), -1.0);
            let direct: Vec<f32> = differences.iter().map(|d| d / (2.0 * step)).collect();
            length(&moved(&direct, &dual.slope, -1.0)) / length(&dual.slope)
        });
        assert!(length(&dual.slope) > 0.1 && off < 0.02, "{graphs}: off by {off}");
    }
}

/// The error after the steps is a function of the weights before them and of the rates.
#[test]
fn meta_gradients_go_through_the_steps() {
    let pool = cells();
    let source = device(&pool, [0.0, 0.2, 1.0, 3.0, 0.5]);
    let mut learned = learned(&pool, &[&source], 1);
    // The rates are so large that first derivatives alone would not suffice.
    learned.rates.fill(0.05);
    let known: Vec<f64> = REFERENCES.iter().map(|&r| source[r]).collect();
    let samples = [40, 50, 60];
    let values: Vec<f64> = samples.iter().map(|&r| source[r]).collect();
    let (task, scale) = learned.task(&known, &samples, &values);
    let rows: Vec<usize> = (100..120).collect();
    let questions = learned.inputs.batch(&rows);
    let targets: Vec<f32> = rows.iter().map(|&r| scale.apply(source[r]) as f32).collect();
    let [by_weights, by_rates] = learned.meta_gradients(&task, &questions, &targets);
    let (weights, rates) = (learned.weights.clone(), learned.rates.clone());
    let last = learned.descend(&task).0.pop().unwrap();
    let first_order =
        learned.network.gradient(Of::fixed(&last), &questions, &task.device, &targets).value;
    let mut after = |weights: Vec<f32>, rates: Vec<f32>| -> f64 {
        (learned.weights, learned.rates) = (weights, rates);
        let last = learned.descend(&task).0.pop().unwrap();
        loss(&learned.network, &last, &questions, &task.device, &targets)
    };
    // Along the gradients themselves, the error changes by their lengths.
    let unit =
        |v: &[f32], length: f64| -> Vec<f32> { v.iter().map(|x| x / length as f32).collect() };
    let ours = length(&by_weights);
    let along = unit(&by_weights, ours);
    let mut change = |step: f32| {
        let up = after(moved(&weights, &along, step), rates.clone());
        let down = after(moved(&weights, &along, -step), rates.clone());
        (up - down) / f64::from(2.0 * step)
    };
    let off = least(|step| (change(step) / ours - 1.0).abs());
    assert!(off < 0.01, "weights: off by {off} of {ours}");
    let towards: f64 = along.iter().zip(&first_order).map(|(a, g)| f64::from(a * g)).sum();
    assert!(
        (towards / ours - 1.0).abs() > 0.05,
        "first derivatives alone would do: {towards} {ours}"
    );
    let ours = length(&by_rates);
    let along = unit(&by_rates, ours);
    let mut change = |step: f32| {
        let up = after(weights.clone(), moved(&rates, &along, step));
        let down = after(weights.clone(), moved(&rates, &along, -step));
        (up - down) / f64::from(2.0 * step)
    };
    let off = least(|step| (change(step) / ours - 1.0).abs());
    assert!(off < 0.01, "rates: off by {off} of {ours}");
}

#[test]
fn an_unlike_device_is_ranked_from_a_few_samples_and_threads_do_not_matter() {
    let pool = cells();
    let sources = [
        device(&pool, [0.0, 0.1, 1.0, 3.0, 0.5]),
        device(&pool, [0.0, 0.3, 2.0, 3.0, 0.2]),
        device(&pool, [0.0, 0.1, 1.0, 1.2, 1.0]),
    ];
    let columns: Vec<&[f64]> = sources.iter().map(Vec::as_slice).collect();
    let target = device(&pool, [0.0, 0.2, 1.5, 2.0, 0.7]);
    let rows: Vec<usize> = REFERENCES.into_iter().chain([20, 77, 133, 250, 400, 480]).collect();
    let values: Vec<f64> = rows.iter().map(|&r| target[r]).collect();
    let all: Vec<usize> = (0..pool.len()).collect();
    let predicted = |threads: usize, episodes: usize| {
        let pools = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let learned = pools.install(|| learned(&pool, &columns, episodes));
        learned.adapt(&rows, &values).unwrap().predict(&all)
    };
    let good = predicted(1, 150);
    assert!(spearman(&good, &target) > 0.9, "{}", spearman(&good, &target));
    assert_eq!(predicted(1, 5), predicted(3, 5));
}

#[test]
fn what_cannot_be_learned_from_is_told() {
    let pool = cells();
    let source = device(&pool, [0.0, 0.1, 1.0, 3.0, 0.5]);
    let mut holed = source.clone();
    holed[REFERENCES[2]] = f64::NAN;
    let plan = Plan { rows: 300, episodes: 1 };
    let wrong = |sources: &[&[f64]]| {
        let made = PreTrained::by(plan, &pool, &REFERENCES, sources, 1, || {});
        made.err().unwrap().to_string()
    };
    assert!(wrong(&[&source, &holed]).contains("source 2 lacks row 202"), "{}", wrong(&[&holed]));
    assert!(wrong(&[]).contains("at least 2"), "{}", wrong(&[]));
    let learned = learned(&pool, &[&source], 1);
    let error = |rows: &[usize], values: &[f64]| {
        learned.adapt(rows, values).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(error(&[3, 101, 202], &[1.0, 2.0, 3.0]).contains("all references"));
    assert!(!error(&[3, 101, 202, 303], &[1.0, -2.0, 3.0, 4.0]).is_empty());
    assert!(!error(&[3, 101], &[1.0]).is_empty());
    let beyond = error(&[3, 101, 202, 303, 504_000], &[1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(beyond.contains("row 504000 of a pool of 505"), "{beyond}");
}
