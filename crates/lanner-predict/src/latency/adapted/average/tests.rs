use super::super::group::Shown;
use super::*;
use crate::regress::linalg::Cholesky;

fn problem() -> (Vec<Mat>, Vec<f64>) {
    let x: Vec<f64> = (0..12).map(|i| f64::from(i) / 3.0).collect();
    let linear = Mat::from_fn(12, 12, |i, j| x[i] * x[j]);
    let smooth = Mat::from_fn(12, 12, |i, j| (-0.5 * (x[i] - x[j]).powi(2)).exp());
    let y = x.iter().map(|x| 3.0 + 2.0 * x + (2.0 * x).sin()).collect();
    (vec![linear, smooth], y)
}

/// Against a numeric integral over scale and mean of the plain normal likelihood.
fn flat(n: usize) -> Slope {
    Slope { known: Mat::zeros(2, n), own: vec![0.0; 2] }
}

#[test]
fn the_evidence_integrates_scale_and_mean() {
    let (kernels, y) = problem();
    let (y, n) = (&y[..5], 5);
    let kernels: Vec<Mat> = kernels.iter().map(|k| Mat::from_fn(n, n, |i, j| k[(i, j)])).collect();
    let evidence = |c: &Candidate| {
        let mut k =
            Mat::from_fn(n, n, |i, j| c[0] * kernels[0][(i, j)] + c[1] * kernels[1][(i, j)]);
        (0..n).for_each(|i| k[(i, i)] += c[2] + FLOOR);
        let factor = Cholesky::new(k).unwrap();
        // Steps in log σ and in the mean; prior 1/σ on σ, flat on the mean.
        let mut sum = 0.0;
        for s in 0..400 {
            let scale = (-6.0 + 12.0 * f64::from(s) / 400.0).exp();
            for m in 0..2000 {
                let mean = -60.0 + 120.0 * f64::from(m) / 2000.0;
                let r: Vec<f64> = y.iter().map(|y| y - mean).collect();
                let square: f64 = r.iter().zip(factor.solve(&r)).map(|(r, a)| r * a).sum();
                let log =
                    -factor.half_log_det() - n as f64 * scale.ln() - 0.5 * square / scale.powi(2);
                sum += log.exp();
            }
        }
        sum.ln()
    };
    let (a, b) = (vec![0.5, 1.0, 0.1], vec![1.0, 0.1, 0.5]);
    let ours =
        |c: &Candidate| evidences(&kernels, &flat(5), y, std::slice::from_ref(c), &[1.0; 5])[0];
    let difference = evidence(&a) - evidence(&b);
    assert!((ours(&a) - ours(&b) - difference).abs() < 2e-3, "{difference}");
}

/// Eleven candidates, more than are taken at once and no multiple of it, against the general Cholesky factor.
#[test]
fn candidates_that_are_taken_together_do_not_mix() {
    let (kernels, y) = problem();
    let noise: Vec<f64> = (0..12).map(|i| 1.0 + f64::from(i) / 4.0).collect();
    let mut some: Vec<Candidate> = (0..11)
        .map(|i| vec![0.1 + f64::from(i), 2.0 / f64::from(i + 1), 0.01 * f64::from(i * i + 1)])
        .collect();
    // Not positive definite.
    some[4] = vec![-1.0, 0.0, 0.1];
    let slow = |c: &Candidate| {
        let mut k =
            Mat::from_fn(12, 12, |i, j| c[0] * kernels[0][(i, j)] + c[1] * kernels[1][(i, j)]);
        (0..12).for_each(|i| k[(i, i)] += c[2] * noise[i] + FLOOR);
        let factor = Cholesky::new(k)?;
        let ones = factor.solve(&[1.0; 12]);
        let precision: f64 = ones.iter().sum();
        let mean = ones.iter().zip(&y).map(|(o, y)| o * y).sum::<f64>() / precision;
        let r: Vec<f64> = y.iter().map(|y| y - mean).collect();
        let square: f64 = r.iter().zip(factor.solve(&r)).map(|(r, a)| r * a).sum();
        Some(-factor.half_log_det() - 0.5 * precision.ln() - 5.5 * square.ln())
    };
    let ours = evidences(&kernels, &flat(12), &y, &some, &noise);
    assert_eq!(ours.len(), 11);
    for (i, (ours, candidate)) in ours.iter().zip(&some).enumerate() {
        match slow(candidate) {
            Some(slow) => assert!((ours - slow).abs() < 1e-8, "{i}: {ours} {slow}"),
            None => assert!(i == 4 && *ours == f64::NEG_INFINITY, "{i}: {ours}"),
        }
    }
    assert!(slow(&some[4]).is_none());
}

#[test]
fn one_candidate_is_a_plain_process() {
    let (kernels, y) = problem();
    let candidate = vec![1.0, 0.5, 1e-4];
    let fit = Solved::new(&kernels, &flat(12), &y, &candidate, &[1.0; 12]).unwrap();
    let mut k = Mat::from_fn(12, 12, |i, j| kernels[0][(i, j)] + 0.5 * kernels[1][(i, j)]);
    (0..12).for_each(|i| k[(i, i)] += 1e-4 + FLOOR);
    let factor = Cholesky::new(k.clone()).unwrap();
    let ones = factor.solve(&[1.0; 12]);
    let mean = ones.iter().zip(&y).map(|(o, y)| o * y).sum::<f64>() / ones.iter().sum::<f64>();
    assert!((fit.mean - mean).abs() < 1e-8);
    let direct = factor.solve(&y.iter().map(|y| y - mean).collect::<Vec<_>>());
    assert!(fit.alpha().iter().zip(&direct).all(|(a, b)| (a - b).abs() < 1e-5));
    let inverse = factor.inverse();
    let diagonal = fit.inverse_diagonal();
    assert!((0..12).all(|i| (diagonal[i] / inverse[(i, i)] - 1.0).abs() < 1e-6));
    // A known point is predicted as measured, an unknown one with its own variance.
    let fitted = fit.into_fitted(1.0, &candidate, 12);
    let cross: Vec<Lanes> = k.row(3).iter().map(|&k| [k; 8]).collect();
    let (at, variance) = fitted.predict(&cross, &[0.0; 8], &[k[(3, 3)]; 8]);
    let (at, variance) = (at[0], variance[0]);
    assert!((at - y[3]).abs() < 1e-2 && variance < 1e-2, "{at} {variance}");
}

#[test]
fn an_outlier_does_not_bend_the_mean() {
    let (kernels, mut y) = problem();
    let candidates = candidates(&[Shown::Both; 2], 12);
    let clean = Average::fit(&kernels, &flat(12), &y, &candidates).unwrap();
    y[6] *= 3.0;
    let dirty = Average::fit(&kernels, &flat(12), &y, &candidates).unwrap();
    let predict = |fit: &Average, i: usize| {
        let sum = |g: usize| {
            kernels[g].row(i).iter().zip(fit.alpha.row(g)).map(|(k, a)| k * a).sum::<f64>()
        };
        fit.mean + sum(0) + sum(1)
    };
    for i in [2, 5, 6, 7, 9] {
        let (a, b) = (predict(&clean, i), predict(&dirty, i));
        assert!((a - b).abs() < 0.25, "{i}: {a} {b}");
    }
}

/// Against draws of the untruncated posterior, of which only those with a positive slope are kept.
#[test]
fn what_has_a_positive_slope() {
    let (kernels, _) = problem();
    // Known are rows 0, 4 and 6, whose values fall; the slope is of all twelve rows.
    let (known, y) = ([0, 4, 6], [2.0, 1.2, 0.4]);
    let weights: Vec<f64> = (0..12).map(|i| (f64::from(i) - 5.5) / 40.0).collect();
    let towards = |k: &Mat, i: usize| k.row(i).iter().zip(&weights).map(|(k, w)| k * w).sum();
    let slope = Slope {
        known: Mat::from_fn(2, 3, |g, i| towards(&kernels[g], known[i])),
        own: (kernels.iter())
            .map(|k| (0..12).map(|i| weights[i] * towards(k, i)).sum::<f64>())
            .collect(),
    };
    let few: Vec<Mat> =
        kernels.iter().map(|k| Mat::from_fn(3, 3, |i, j| k[(known[i], known[j])])).collect();
    let candidate = vec![0.02, 1.0, 0.1];
    let solve = |slope: &Slope| {
        let solved = Solved::new(&few, slope, &y, &candidate, &[1.0; 3]).unwrap();
        let evidence = evidences(&few, slope, &y, std::slice::from_ref(&candidate), &[1.0; 3])[0];
        (evidence, solved.into_fitted(1.0, &candidate, 3))
    };
    let (plain, with) = (solve(&flat(3)), solve(&slope));
    // The joint posterior of row 9 and the slope: of the slope as of a row.
    let cross = |i: usize| -> Vec<f64> {
        let k = |j: usize| candidate[0] * kernels[0][(i, j)] + candidate[1] * kernels[1][(i, j)];
        known.iter().map(|&j| k(j)).collect()
    };
    let own = |i: usize| candidate[0] * kernels[0][(i, i)] + candidate[1] * kernels[1][(i, i)];
    let along = |i: usize| -> f64 {
        candidate[0] * towards(&kernels[0], i) + candidate[1] * towards(&kernels[1], i)
    };
    // By polarisation: variances of f, s and f + s from predictions at "rows" with their covariances.
    let fitted = &plain.1;
    let moments = |f: f64, s: f64| {
        let to: Vec<f64> = (0..3)
            .map(|j| {
                let k = |g: usize| candidate[g] * slope.known[(g, j)];
                f * cross(9)[j] + s * (k(0) + k(1))
            })
            .collect();
        let variance = f * f * own(9)
            + s * s * (candidate[0] * slope.own[0] + candidate[1] * slope.own[1])
            + 2.0 * f * s * along(9);
        let mut v = to.clone();
        solve_lower(&fitted.factor, &mut v);
        let rest = f - v.iter().zip(&fitted.ones).map(|(v, o)| v * o).sum::<f64>();
        let mean = f * fitted.mean + to.iter().zip(&fitted.alpha).map(|(k, a)| k * a).sum::<f64>();
        let left = variance - v.iter().map(|v| v * v).sum::<f64>();
        (mean, fitted.scale * (left + rest * rest / fitted.precision))
    };
    let ((f, vf), (s, vs)) = (moments(1.0, 0.0), moments(0.0, 1.0));
    let covariance = (moments(1.0, 1.0).1 - vf - vs) / 2.0;
    let (mut kept, mut first, mut second) = (0.0, 0.0, 0.0);
    for step in 0..200_000 {
        // The slope on a grid; row 9 given the slope is normal.
        let z = -8.0 + 16.0 * (f64::from(step) + 0.5) / 200_000.0;
        if s + z * vs.sqrt() > 0.0 {
            let weight = (-0.5 * z * z).exp();
            let mean = f + covariance / vs.sqrt() * z;
            kept += weight;
            first += weight * mean;
            second += weight * (mean * mean + vf - covariance * covariance / vs);
        }
    }
    let all = (2.0 * std::f64::consts::PI).sqrt() * 200_000.0 / 16.0;
    assert!((with.0 - plain.0 - (kept / all).ln()).abs() < 1e-4);
    // Other rows beside it, each in a lane.
    let lanes = |of: &dyn Fn(usize) -> f64| -> Lanes { std::array::from_fn(|l| of(l + 4)) };
    let crosses: Vec<Lanes> = (0..3).map(|j| lanes(&|i| cross(i)[j])).collect();
    let (mean, variance) = with.1.predict(&crosses, &lanes(&along), &lanes(&own));
    let (mean, variance) = (mean[5], variance[5]);
    let truth = (first / kept, second / kept - (first / kept).powi(2));
    let noise = with.1.scale * candidate[2];
    assert!(s < 0.0 && (mean - truth.0).abs() < 1e-4, "{s} {mean} {truth:?}");
    assert!((variance - noise - truth.1).abs() < 1e-4, "{variance} {noise} {truth:?}");
}
