//! The default latency predictor.

use lanner_predict::latency::{LatencyFeatures, LatencyModel};
use lanner_predict::metrics::{coverage, within_of_truth};
use lanner_predict::{Forecast, Pool};
use lanner_space::Space;
use rand::RngExt;

/// A made-up device: costs of live operations, a fixed cost, 2 % noise, one in forty hits a slow path.
fn device(pool: &Pool, seed: u64) -> Vec<f64> {
    let mut rng = lanner_nn::rng(seed, "made-up device");
    pool.archs
        .iter()
        .map(|arch| {
            let live = arch.codes().iter().zip(pool.space.live(arch)).filter(|x| x.1);
            let cost: f64 = live.map(|(&c, _)| [0.0, 0.05, 1.0, 2.5, 0.6][usize::from(c)]).sum();
            let noise = 1.0 + 0.02 * rng.random_range(-1.7..1.7);
            let slow = if rng.random_range(0..40) == 0 { 3.0 } else { 1.0 };
            (2.0 + cost) * noise * slow
        })
        .collect()
}

fn split(pool: &Pool) -> (Vec<usize>, Vec<usize>) {
    (0..pool.len()).step_by(5).partition(|r| r % 50 == 0)
}

fn pick(values: &[f64], rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|&r| values[r]).collect()
}

fn same(a: &Forecast, b: &Forecast) -> bool {
    (&a.mean, &a.low, &a.high) == (&b.mean, &b.low, &b.high)
}

#[test]
fn outliers_do_not_bend_it_and_intervals_cover_what_they_say() {
    let pool = Pool::whole(Space::NasBench201);
    let (views, values, (known, rest)) =
        (LatencyFeatures::new(&pool), device(&pool, 1), split(&pool));
    let got = LatencyModel::fit(&views, &known, &pick(&values, &known)).unwrap().predict(&rest);
    let truth = pick(&values, &rest);
    // 2.5 % are on the slow path and out of reach.
    let near = within_of_truth(&got.mean, &truth, 6.0);
    assert!(near > 0.93, "{near}");
    let inside = coverage(&got.low, &got.high, &truth);
    assert!((0.84..0.96).contains(&inside), "{inside}");
}

/// Few measurements do not tell the hyper-parameters: intervals must allow for that.
#[test]
fn intervals_of_a_dozen_measurements_cover_what_they_say() {
    let pool = Pool::whole(Space::NasBench201);
    let features = LatencyFeatures::new(&pool);
    let rest: Vec<usize> = (1..pool.len()).step_by(30).collect();
    let covered = |seed: u64| {
        let values = device(&pool, seed);
        let known: Vec<usize> =
            (0..12).map(|i| 30 * ((41 * i + 97 * seed as usize) % 520)).collect();
        let model = LatencyModel::fit(&features, &known, &pick(&values, &known)).unwrap();
        let got = model.predict(&rest);
        coverage(&got.low, &got.high, &pick(&values, &rest))
    };
    let mean = (0..8).map(covered).sum::<f64>() / 8.0;
    assert!((0.82..0.98).contains(&mean), "{mean}");
}

#[test]
fn the_same_bits_at_any_number_of_threads() {
    let pool = Pool::whole(Space::NasBench201);
    let (views, values, (known, rest)) =
        (LatencyFeatures::new(&pool), device(&pool, 2), split(&pool));
    let y = pick(&values, &known);
    let with = |threads: usize| {
        let workers = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        workers.install(|| LatencyModel::fit(&views, &known, &y).unwrap().predict(&rest))
    };
    let one = with(1);
    assert!(same(&one, &with(2)) && same(&one, &with(3)));
}

#[test]
fn latencies_that_cannot_be_are_refused() {
    let pool = Pool::whole(Space::NasBench201);
    let views = LatencyFeatures::new(&pool);
    let rows: Vec<usize> = (0..8).collect();
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut y = vec![1.0; 8];
        y[3] = bad;
        let error = LatencyModel::fit(&views, &rows, &y).err().expect("an error").to_string();
        assert!(error.contains("training latency 3"), "{error}");
    }
    assert!(LatencyModel::fit(&views, &rows[..3], &[1.0; 3]).is_err());
    // All equal is a device that does not care: its predictions are that value.
    let flat = LatencyModel::fit(&views, &rows, &[2.0; 8]).unwrap().predict(&[100, 200]);
    assert!(flat.mean.iter().all(|m| (m - 2.0).abs() < 1e-6), "{:?}", flat.mean);
}
