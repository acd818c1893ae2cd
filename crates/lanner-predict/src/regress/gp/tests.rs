use super::*;
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
            x: x.clone(),
            amplitude: Prior::new(0.5, 2.0),
            length: Prior::new(0.7, 1.0),
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
    let prior: Vec<Prior> = (0..11).map(|i| Prior::new(0.3 + 0.1 * i as f64, 1.5)).collect();
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
    let gp = Gp::fit(&parts, &rows, &y, &Options::default(), None).unwrap();
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
    let gp = Gp::fit(&parts, &rows, &y, &Options::default(), None).unwrap();
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
    let gp = Gp::fit(&parts, &rows, &y, &Options::default(), None).unwrap();
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
        let options = Options { student, ..Options::default() };
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
    let fit = |rows: &[usize], y: &[f64]| Gp::fit(&parts, rows, y, &Options::default(), None).err();
    assert!(fit(&[0], &[1.0]).is_some());
    assert!(fit(&[0, 1, 2], &[1.0, f64::NAN, 2.0]).is_some());
    // All targets equal is a constant, not an error.
    assert!(fit(&[0, 1, 2], &[1.0; 3]).is_none());
}
