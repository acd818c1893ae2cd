use lanner_nn::rng;
use lanner_space::Space;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::features::codes;
use super::few_shot::{POWERS, Scale};
use super::*;
use crate::Pool;
use crate::metrics::{coverage, spearman};
use crate::predictor::{Predictor, load, load_for};
use crate::regress::linalg::Mat;

/// A device that pays for operations (live ones, or all) with noise.
fn device(pool: &Pool, costs: [f64; 5], live: bool, noise: f64, seed: u64) -> Vec<f64> {
    let mut rng = rng(seed, "made-up device");
    (pool.archs.iter())
        .map(|arch| {
            let codes = codes(&pool.space, arch, live);
            let sum: f64 = codes.iter().map(|&c| costs[usize::from(c)]).sum();
            (1.0 + sum) * (1.0 + noise * rng.random_range(-1.0..1.0f64))
        })
        .collect()
}

fn some(pool: &Pool, n: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut rows: Vec<usize> = (0..pool.len()).collect();
    rows.shuffle(&mut rng(seed, "test"));
    let rest = rows.split_off(n);
    (rows, rest)
}

fn pool() -> Pool {
    let space = Space::NasBench201;
    let archs = space.iter().step_by(11).collect();
    Pool::new(space, archs)
}

#[test]
fn ten_measurements_beat_the_nearest_source_and_intervals_cover() {
    let pool = pool();
    let phone = device(&pool, [0., 0.1, 1., 3., 0.5], true, 0.05, 1);
    let server = device(&pool, [0., 0.3, 0.4, 0.6, 0.5], false, 0.05, 2);
    let mine = device(&pool, [0., 0.1, 0.7, 1.8, 1.2], true, 0.05, 3);
    let views = DeviceFeatures::new(&pool);
    let prior = views.with_sources(&views.smooth(&[&phone, &server]).unwrap());
    let mut covered = 0.0;
    for seed in 0..4 {
        let (known, rest) = some(&pool, 10, seed);
        let values: Vec<f64> = known.iter().map(|&r| mine[r]).collect();
        let truth: Vec<f64> = rest.iter().map(|&r| mine[r]).collect();
        let forecast = FewShot::fit(&prior, &known, &values).unwrap().predict(&prior, &rest);
        let ours = spearman(&forecast.mean, &truth);
        let of = |source: &[f64], rows: &[usize]| -> Vec<f64> {
            rows.iter().map(|&r| source[r]).collect()
        };
        let alike = |source: &[f64]| spearman(&of(source, &known), &values);
        let nearest = if alike(&phone) > alike(&server) { &phone } else { &server };
        let nearest = spearman(&of(nearest, &rest), &truth);
        assert!(ours > 0.93 && ours > nearest, "{ours} {nearest}");
        covered += coverage(&forecast.low, &forecast.high, &truth) / 4.0;
    }
    assert!((0.8..1.0).contains(&covered), "{covered}");
}

#[test]
fn one_outlier_among_twelve_does_little_harm() {
    let pool = pool();
    let mine = device(&pool, [0., 0.1, 0.7, 1.8, 1.2], false, 0.02, 3);
    let views = DeviceFeatures::new(&pool);
    let prior = views.with_sources(&Mat::zeros(pool.len(), 0));
    let (known, rest) = some(&pool, 12, 5);
    let mut values: Vec<f64> = known.iter().map(|&r| mine[r]).collect();
    values[4] *= 4.0;
    let truth: Vec<f64> = rest.iter().map(|&r| mine[r]).collect();
    let forecast = FewShot::fit(&prior, &known, &values).unwrap().predict(&prior, &rest);
    assert!(spearman(&forecast.mean, &truth) > 0.9);
}

#[test]
fn smoothing_removes_noise_and_fills_what_is_missing() {
    let pool = pool();
    let costs = [0., 0.1, 1., 3., 0.5];
    let clean: Vec<f64> = device(&pool, costs, true, 0.0, 1).iter().map(|v| v.ln()).collect();
    let mut noisy = device(&pool, costs, true, 0.2, 1);
    for (i, v) in noisy.iter_mut().enumerate() {
        if i % 3 == 0 {
            *v = f64::NAN;
        }
    }
    let function = DeviceFeatures::new(&pool).smooth(&[&noisy]).unwrap().data;
    let measured: Vec<usize> = (0..pool.len()).filter(|i| i % 3 != 0).collect();
    let pick = |v: &[f64], rows: &[usize]| -> Vec<f64> { rows.iter().map(|&r| v[r]).collect() };
    let raw = spearman(&pick(&noisy, &measured), &pick(&clean, &measured));
    let smooth = spearman(&pick(&function, &measured), &pick(&clean, &measured));
    assert!(smooth > raw + 0.005, "{smooth} {raw}");
    let missing: Vec<usize> = (0..pool.len()).step_by(3).collect();
    assert!(spearman(&pick(&function, &missing), &pick(&clean, &missing)) > raw);
}

#[test]
fn bad_input_is_told() {
    let pool = pool();
    let views = DeviceFeatures::new(&pool);
    let prior = views.with_sources(&Mat::zeros(pool.len(), 0));
    let fails = |rows: &[usize], y: &[f64]| {
        FewShot::fit(&prior, rows, y).err().expect("an error").to_string()
    };
    assert!(fails(&[1, 2, 3], &[1.0, -2.0, 3.0]).contains("latency 1 is -2"));
    assert!(fails(&[1, 2, 3], &[1.0, f64::NAN, 3.0]).contains("NaN"));
    assert!(fails(&[1, 2], &[1.0, 2.0]).contains("at least 3"));
    assert!(fails(&[1, 1, 2], &[1.0, 2.0, 2.0]).contains("at least 3"));
    assert!(fails(&[1, 2, 3], &[7.0; 3]).contains("all 3 latencies are 7"));
    assert!(fails(&[1, 2, 3], &[7.0; 2]).contains("3 architectures"));
    let empty = vec![f64::NAN; pool.len()];
    let message = views.smooth(&[&empty]).unwrap_err().to_string();
    assert!(message.contains("source device 1") && message.contains("got 0"), "{message}");
    assert!(views.smooth(&[&[1.0, 2.0]]).is_err());
}

#[test]
fn every_space_has_a_prior() {
    for space in Space::ALL {
        let mut rng = rng(1, "test");
        let archs: Vec<_> = (0..120).map(|_| space.sample(&mut rng)).collect();
        let pool = Pool::new(space.clone(), archs);
        let views = DeviceFeatures::new(&pool);
        // Longer than others in proportion to a code, whatever that is; codes of parameters may be bits of floats.
        let of = |a: &lanner_space::Architecture| match space.stages() {
            Some(_) => space.flops_and_params(a).map_or(0.0, |costs| costs.0),
            None => 1.0 + a.codes().iter().map(|&c| f64::from(c)).sum::<f64>(),
        };
        let y: Vec<f64> = pool.archs.iter().map(of).collect();
        let prior = views.with_sources(&views.smooth(&[&y]).unwrap());
        let known: Vec<usize> = (0..15).collect();
        let rest: Vec<usize> = (15..120).collect();
        let forecast = FewShot::fit(&prior, &known, &y[..15]).unwrap().predict(&prior, &rest);
        let quality = spearman(&forecast.mean, &y[15..]);
        assert!(quality > 0.8, "{space}: {quality}");
        assert_eq!(prior.choose(&rest, 7, 0).len(), 7);
    }
}

#[test]
fn scales_invert() {
    for power in POWERS {
        let scale = Scale { power, unit: 3.0 };
        for v in [0.5, 3.0, 20.0] {
            assert!((scale.invert(scale.apply(v)) - v).abs() < 1e-9);
        }
    }
}

#[test]
fn a_saved_predictor_predicts_the_same() {
    let pool = pool();
    let mine = device(&pool, [0., 0.1, 0.7, 1.8, 1.2], true, 0.02, 3);
    let functions = DeviceFeatures::new(&pool).smooth(&[&mine]).unwrap();
    let (rows, _) = some(&pool, 6, 5);
    let features = DeviceFeatures::new(&pool);
    let values = rows.iter().map(|&r| mine[r]).collect();
    let sources = (vec!["a".into()], functions);
    let adapted =
        AdaptedLatency::fit(pool.clone(), features, "mine_ms", sources, None, (rows, values))
            .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.lanner");
    adapted.save(&path).unwrap();
    let again = load(&path).unwrap();
    assert_eq!(adapted.predict(&pool.archs).low, again.predict(&pool.archs).low);
    assert_eq!((again.metric(), again.measured().len()), ("mine_ms", 6));
    assert!(load_for(&path, &Space::Fbnet).is_err());
}

/// Predictions from a tenth of the space, also by a saved file, are as good for the rest as if it
/// had been in the pool.
#[test]
fn architectures_outside_the_pool_are_predicted_like_those_inside() {
    let space = Space::NasBench201;
    let pool = pool();
    let whole = Pool::whole(space.clone());
    let costs = [[0., 0.1, 1., 3., 0.5], [0., 0.3, 0.4, 0.6, 0.5]];
    let made = |pool: &Pool| -> AdaptedLatency {
        let mine = device(pool, [0., 0.1, 0.7, 1.8, 1.2], true, 0.0, 3);
        let sources: Vec<Vec<f64>> =
            costs.iter().map(|&c| device(pool, c, c[1] < 0.2, 0.0, 1)).collect();
        let features = DeviceFeatures::new(pool);
        let functions = features.smooth(&[&sources[0], &sources[1]]).unwrap();
        let known = (0..10).map(|i| space.at(11 * 137 * i).unwrap());
        let rows: Vec<usize> = known.map(|arch| pool.row_of(&arch).unwrap()).collect();
        let values = rows.iter().map(|&r| mine[r]).collect();
        let sources = (vec!["a".into(), "b".into()], functions);
        AdaptedLatency::fit(pool.clone(), features, "m_ms", sources, None, (rows, values)).unwrap()
    };
    let (part, all) = (made(&pool), made(&whole));
    let outside: Vec<_> =
        (0..2000).map(|i| space.at(11 * (i / 2) + 5 * (i % 2)).unwrap()).collect();
    let ours = part.predict(&outside);
    assert!(ours.low.iter().zip(&ours.high).all(|(low, high)| low < high));
    // Rows of the pool are as they are, whatever is beside them.
    let inside: Vec<_> = outside.iter().step_by(2).cloned().collect();
    let alone = part.predict(&inside);
    let every_other: Vec<f64> = ours.mean.iter().copied().step_by(2).collect();
    assert!(alone.mean.iter().zip(&every_other).all(|(a, b)| (a - b).abs() < 1e-9 * b));
    // Outside, the truth and what a pool of everything says of it.
    let others: Vec<_> = outside.iter().skip(1).step_by(2).cloned().collect();
    let (ours, theirs) = (part.predict(&others).mean, all.predict(&others).mean);
    assert!(spearman(&ours, &theirs) > 0.99, "{}", spearman(&ours, &theirs));
    let rest = Pool::new(space.clone(), others);
    let truth = device(&rest, [0., 0.1, 0.7, 1.8, 1.2], true, 0.0, 3);
    let quality = (spearman(&ours, &truth), spearman(&theirs, &truth));
    assert!(quality.0 > quality.1 - 0.01, "{quality:?}");
}

/// Functions go on outside the pool: their weights come back from their values in it.
#[test]
fn the_weights_of_smooth_functions_are_found_from_their_values() {
    for space in [Space::NasBench201, Space::Fbnet, Space::Darts] {
        let mut generator = rng(2, "test");
        let archs = (0..300).map(|_| space.sample(&mut generator)).collect();
        let pool = Pool::new(space, archs);
        let y: Vec<f64> = (pool.archs.iter())
            .map(|a| 1.0 + a.codes().iter().map(|&c| f64::from(c)).sum::<f64>())
            .collect();
        let features = DeviceFeatures::new(&pool);
        let functions = features.smooth(&[&y]).unwrap();
        let weights = features.weights(&functions).unwrap();
        let prior = features.with_sources(&functions);
        let others =
            features.prior_of_others(&prior, (&functions, &weights), None, &pool.archs).unwrap();
        assert_eq!(prior.groups.len(), others.groups.len());
        for (group, other) in prior.groups.iter().zip(&others.groups) {
            for (a, b) in group.x.data.iter().zip(&other.x.data) {
                assert!((a - b).abs() < 1e-3, "{}: {a} {b}", pool.space);
            }
            for (a, b) in group.slope.0.iter().zip(&other.slope.0) {
                assert!((a - b).abs() < 1e-3, "{}: {a} {b}", pool.space);
            }
        }
    }
}

/// Where there is no table of another device, the costs of the networks are the prior.
#[test]
fn ten_measurements_are_enough_in_spaces_without_any_source() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/microcontroller.toml");
    let user = Space::by_name(file).unwrap();
    for space in [Space::NasBench101, Space::Darts, Space::MobileNetV3, user] {
        let mut generator = rng(5, "test");
        let archs = (0..400).map(|_| space.sample(&mut generator)).collect();
        let pool = Pool::new(space, archs);
        // Neither one of the simulated devices nor the pruned or shortened network that they run.
        let skeleton = lanner_network::Skeleton::of(&pool.space).unwrap();
        let mine: Vec<f64> = (pool.archs.iter())
            .map(|arch| {
                let network = skeleton.build(arch, lanner_space::View::Raw).unwrap();
                let cost = lanner_network::Cost::of(&network);
                let layer = |l: &lanner_network::LayerCost| {
                    2e5 + l.macs as f64 + 3.0 * l.output_bytes as f64
                };
                let sum: f64 = cost.layers.iter().map(layer).sum();
                1e-8 * sum * (1.0 + 0.02 * generator.random_range(-1.0..1.0))
            })
            .collect();
        let prior = DeviceFeatures::new(&pool).with_sources(&Mat::zeros(pool.len(), 0));
        for seed in 0..3 {
            let (known, rest) = some(&pool, 10, seed);
            let values: Vec<f64> = known.iter().map(|&r| mine[r]).collect();
            let truth: Vec<f64> = rest.iter().map(|&r| mine[r]).collect();
            let forecast = FewShot::fit(&prior, &known, &values).unwrap().predict(&prior, &rest);
            let rank = spearman(&forecast.mean, &truth);
            assert!(rank > 0.9, "{}, seed {seed}: {rank}", pool.space);
        }
    }
}
