use super::exact::*;
use super::process::*;
use super::*;
use crate::regress::linalg::{Cholesky, Mat};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const KERNELS: [Kernel; 5] =
    [Kernel::Linear, Kernel::Polynomial(2), Kernel::Rbf, Kernel::Matern52, Kernel::Exponential];

fn pool(p: usize, d: usize, seed: u64) -> Mat {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Mat::from_fn(p, d, |_, _| rng.random_range(-1.0..1.0))
}

fn components(x: &Mat) -> Vec<Component> {
    KERNELS
        .iter()
        .map(|&kernel| Component {
            kernel,
            x: x.clone().into(),
            amplitude: HyperPrior::new(0.5, 2.0),
            length: HyperPrior::new(0.7, 1.0),
        })
        .collect()
}

#[test]
fn gradient_equals_finite_differences() {
    let x = pool(12, 3, 1);
    let parts = components(&x);
    let rows: Vec<usize> = (0..12).collect();
    let (_, bases) = training_bases(&parts, &rows);
    let y: Vec<f64> = (0..12).map(|i| (x[(i, 0)] * 3.0).sin() + x[(i, 1)]).collect();
    let prior: Vec<HyperPrior> =
        (0..11).map(|i| HyperPrior::new(0.3 + 0.1 * i as f64, 1.5)).collect();
    let theta: Vec<f64> = (0..11).map(|i| -0.5 + 0.13 * i as f64).collect();
    let precisions: Vec<f64> = (0..12).map(|i| 0.3 + 0.1 * i as f64).collect();
    let f = |t: &[f64]| objective(t, &prior, &KERNELS, &bases, &y, &precisions);
    let (_, gradient) = f(&theta);
    for i in 0..theta.len() {
        let at = |h: f64| {
            let mut t = theta.clone();
            t[i] += h;
            f(&t).0
        };
        let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((numeric - gradient[i]).abs() < 1e-5, "{i}: {numeric} {}", gradient[i]);
    }
}

/// Mean and variance from the textbook formula with an explicit inverse.
#[test]
fn predictions_equal_the_plain_formula() {
    let x = pool(30, 4, 2);
    let parts = components(&x);
    let rows: Vec<usize> = (0..20).collect();
    let y: Vec<f64> = (0..20).map(|i| 5.0 + x[(i, 0)] * x[(i, 1)] + 0.3 * x[(i, 2)]).collect();
    let gp = Gp::fit(&parts, &rows, &y, &GpOptions::default(), None).unwrap();
    let all: Vec<usize> = (0..30).collect();
    let k = covariance(&gp.hyper, &KERNELS, &bases_with(&parts, &all, &gp.scales), &[1.0; 30]);
    let k = |i: usize, j: usize| k[(i.max(j), i.min(j))];
    let inner = Mat::from_fn(20, 20, k);
    let inverse = Cholesky::new(inner).unwrap().inverse();
    let got = gp.predict(&parts, &(20..30).collect::<Vec<_>>(), true);
    for q in 20..30 {
        let (mut mean, mut explained) = (0.0, 0.0);
        for i in 0..20 {
            for j in 0..20 {
                mean += k(q, i) * inverse[(i, j)] * gp.target[j];
                explained += k(q, i) * inverse[(i, j)] * k(j, q);
            }
        }
        let sd = (k(q, q) - explained).sqrt() * gp.deviation;
        assert!((got.mean[q - 20] - (gp.mean + gp.deviation * mean)).abs() < 1e-6);
        assert!((got.sd[q - 20] - sd).abs() < 1e-5, "{} {sd}", got.sd[q - 20]);
    }
}

#[test]
fn leave_one_out_equals_refitting_without_the_row() {
    let x = pool(15, 2, 3);
    let parts = components(&x);
    let rows: Vec<usize> = (0..15).collect();
    let y: Vec<f64> = (0..15).map(|i| x[(i, 0)] - 2.0 * x[(i, 1)].powi(2)).collect();
    let gp = Gp::fit(&parts, &rows, &y, &GpOptions::default(), None).unwrap();
    let loo = gp.leave_one_out();
    let bases = bases_with(&parts, &rows, &gp.scales);
    let full = covariance(&gp.hyper, &KERNELS, &bases, &[1.0; 15]);
    let k = |i: usize, j: usize| full[(i.max(j), i.min(j))];
    for out in 0..15 {
        let rest: Vec<usize> = (0..15).filter(|&i| i != out).collect();
        let inner = Mat::from_fn(14, 14, |i, j| k(rest[i], rest[j]));
        let z: Vec<f64> = rest.iter().map(|&i| gp.target[i]).collect();
        let solved = Cholesky::new(inner).unwrap().solve(&z);
        let mean: f64 = (0..14).map(|i| k(out, rest[i]) * solved[i]).sum();
        assert!((loo.mean[out] - (gp.mean + gp.deviation * mean)).abs() < 1e-6);
    }
}

#[test]
fn learns_a_smooth_function_and_knows_its_error() {
    let x = pool(400, 3, 4);
    let parts = components(&x);
    let f = |i: usize| (2.0 * x[(i, 0)]).sin() + x[(i, 1)] * x[(i, 2)];
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let rows: Vec<usize> = (0..100).collect();
    let y: Vec<f64> = rows.iter().map(|&i| f(i) + 0.1 * (rng.random_range(-1.7..1.7))).collect();
    let gp = Gp::fit(&parts, &rows, &y, &GpOptions::default(), None).unwrap();
    let rest: Vec<usize> = (100..400).collect();
    let got = gp.predict(&parts, &rest, true);
    let worst = rest.iter().zip(&got.mean).map(|(&i, m)| (f(i) - m).abs()).fold(0.0, f64::max);
    assert!(worst < 0.5, "{worst}");
    let inside = rest
        .iter()
        .enumerate()
        .filter(|(q, i)| (f(**i) - got.mean[*q]).abs() < 1.645 * got.sd[*q])
        .count();
    assert!(inside >= 270, "{inside} of 300 truths in the 90 % interval");
}

#[test]
fn student_noise_shrugs_off_outliers() {
    let x = pool(300, 2, 7);
    let parts = &components(&x)[2..3];
    let f = |i: usize| (2.0 * x[(i, 0)]).sin() + x[(i, 1)];
    let rows: Vec<usize> = (0..150).collect();
    let spoilt = |i: usize| f(i) + if i.is_multiple_of(15) { 6.0 } else { 0.0 };
    let y: Vec<f64> = rows.iter().map(|&i| spoilt(i)).collect();
    let rest: Vec<usize> = (150..300).collect();
    let error = |student| {
        let options = GpOptions { student, ..GpOptions::default() };
        let gp = Gp::fit(parts, &rows, &y, &options, None).unwrap();
        let got = gp.predict(parts, &rest, false).mean;
        let error: f64 = rest.iter().zip(&got).map(|(&i, m)| (f(i) - m).abs()).sum();
        (error, gp.precisions)
    };
    let (normal, _) = error(None);
    let (robust, precisions) = error(Some(4.0));
    assert!(robust < 0.5 * normal, "{robust} {normal}");
    assert!((0..150).all(|i| (precisions[i] < 0.3) == i.is_multiple_of(15)));
}

#[test]
fn bad_targets_are_errors() {
    let x = pool(5, 2, 6);
    let parts = components(&x);
    let fit =
        |rows: &[usize], y: &[f64]| Gp::fit(&parts, rows, y, &GpOptions::default(), None).err();
    assert!(fit(&[0], &[1.0]).is_some());
    assert!(fit(&[0, 1, 2], &[1.0, f64::NAN, 2.0]).is_some());
    // All targets equal is a constant, not an error.
    assert!(fit(&[0, 1, 2], &[1.0; 3]).is_none());
}

/// Means, variances and leave-one-out from an explicit covariance of all targets: that of the inducing
/// rows between any two, and the exact variances.
#[test]
fn inducing_rows_equal_the_plain_formula() {
    let x = pool(34, 3, 8);
    let parts = components(&x);
    let rows: Vec<usize> = (0..30).collect();
    let places: Vec<usize> = (0..30).step_by(3).collect();
    let y: Vec<f64> = (0..30).map(|i| 2.0 + x[(i, 0)] * x[(i, 1)] + x[(i, 2)].sin()).collect();
    let hyper: Vec<f64> = (0..11).map(|i| -0.8 + 0.05 * i as f64).collect();
    let precisions: Vec<f64> = (0..30).map(|i| 0.4 + 0.1 * f64::from(i % 7)).collect();
    let noise = noise_of(&hyper);
    let gp = inducing::conditioned(&parts, (&rows, &y), &places, hyper, precisions.clone(), None)
        .unwrap();
    let all: Vec<usize> = (0..34).collect();
    let bases = bases_with(&parts, &all, &gp.scales);
    let full = covariance(&gp.hyper, &KERNELS, &bases, &[f64::INFINITY; 34]);
    let k = |i: usize, j: usize| full[(i.max(j), i.min(j))];
    let inner = Mat::from_fn(10, 10, |i, j| k(places[i], places[j]));
    let inner = Cholesky::new(inner).unwrap().inverse();
    let q = |i: usize, j: usize| -> f64 {
        let pairs = (0..10).flat_map(|a| (0..10).map(move |b| (a, b)));
        pairs.map(|(a, b)| k(i, places[a]) * inner[(a, b)] * k(places[b], j)).sum()
    };
    let solved = |rows: &[usize]| {
        let of = |i: usize, j: usize| match i == j {
            true => k(i, i) + noise / precisions[i],
            false => q(i, j),
        };
        Cholesky::new(Mat::from_fn(rows.len(), rows.len(), |i, j| of(rows[i], rows[j]))).unwrap()
    };
    let expected = |rows: &[usize], asked: usize| {
        let cross: Vec<f64> = rows.iter().map(|&i| q(asked, i)).collect();
        let z: Vec<f64> = rows.iter().map(|&i| gp.target[i]).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let factor = solved(rows);
        let variance = k(asked, asked) + noise - dot(&cross, &factor.solve(&cross));
        (gp.mean + gp.deviation * dot(&cross, &factor.solve(&z)), gp.deviation * variance.sqrt())
    };
    let near = |got: (f64, f64), (mean, sd): (f64, f64)| {
        assert!((got.0 - mean).abs() < 1e-5 && (got.1 - sd).abs() < 1e-5, "{got:?} {mean} {sd}");
    };
    let asked: Vec<usize> = (30..34).collect();
    let got = gp.predict(&parts, &asked, true);
    (0..4).for_each(|i| near((got.mean[i], got.sd[i]), expected(&rows, 30 + i)));
    let loo = gp.leave_one_out();
    for out in 0..30 {
        let rest: Vec<usize> = (0..30).filter(|&i| i != out).collect();
        near((loo.mean[out], loo.sd[out]), expected(&rest, out));
    }
}

/// The same bits from any number of threads and when restored, and nearer the truth than the exact
/// process of as many rows.
#[test]
fn more_rows_than_an_exact_process_takes() {
    let n = EXACT_ROWS + 1500;
    let x = pool(n + 200, 4, 9);
    let parts = &components(&x)[2..3];
    let f = |i: usize| (2.0 * x[(i, 0)]).sin() + x[(i, 1)] * x[(i, 2)];
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let rows: Vec<usize> = (0..n).collect();
    let y: Vec<f64> = rows.iter().map(|&i| f(i) + rng.random_range(-1.0..1.0)).collect();
    let asked: Vec<usize> = (n..n + 200).collect();
    let options = GpOptions { iterations: 10, hyper_rows: 200, ..GpOptions::default() };
    let fit = |n: usize, threads: usize| {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        threads.install(|| {
            let gp = Gp::fit(parts, &rows[..n], &y[..n], &options, None).unwrap();
            let predictions = gp.predict(parts, &asked, true);
            (gp, predictions)
        })
    };
    let (gp, got) = fit(n, 1);
    let (_, again) = fit(n, 3);
    assert_eq!((&got.mean, &got.sd), (&again.mean, &again.sd));
    let restored = Gp::restore(parts, &rows, &y, gp.hyper, gp.precisions).unwrap();
    assert_eq!(restored.predict(parts, &asked, true).sd, got.sd);
    let error = |p: &Predictions| -> f64 {
        asked.iter().zip(&p.mean).map(|(&i, m)| (f(i) - m).powi(2)).sum()
    };
    let (_, fewer) = fit(EXACT_ROWS, 2);
    assert!(error(&got) < 0.9 * error(&fewer), "{} {}", error(&got), error(&fewer));
}
