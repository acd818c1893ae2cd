use super::*;
use crate::Pool;
use crate::accuracy::GraphGp;
use crate::accuracy::scores::{Calibration, NormalScores, probit, student_quantile_95};
use crate::encode::cells::CellFeatures;
use crate::metrics::{coverage, kendall};
use lanner_space::Space;
use rand::RngExt;

/// 1,500 random cells and a metric that grows with live 3×3 convolutions and depth, with noise
/// and a long tail.
fn example() -> (Pool, Vec<f64>) {
    let space = Space::NasBench201;
    let mut rng = lanner_nn::rng(1, "accuracy test");
    let archs: Vec<_> = (0..1500).map(|_| space.sample(&mut rng)).collect();
    let pool = Pool::new(space, archs);
    let f = CellFeatures::new(&pool);
    let value = |i: usize| {
        let signal = f.live_counts[(i, 2)] + 0.6 * f.live_counts[(i, 1)]
            - 0.4 * f.live_counts[(i, 3)]
            + 0.5 * f.size[(i, 7)];
        94.0 - (2.0 - 0.9 * signal).exp()
    };
    let values = (0..pool.len()).map(|i| value(i) + rng.random_range(-0.2..0.2)).collect();
    (pool, values)
}

#[test]
fn ranks_unseen_networks_and_covers_their_values() {
    let (pool, values) = example();
    let features = AccuracyFeatures::new(&pool);
    let rows: Vec<usize> = (0..100).collect();
    let rest: Vec<usize> = (100..1500).collect();
    let model = AccuracyModel::fit(&features, &rows, &values[..100], 0).unwrap();
    let plain = GraphGp::fit(&features, &rows, &values[..100]).unwrap();
    for (scores, forecast) in
        [(model.scores(&rest), model.predict(&rest)), (plain.scores(&rest), plain.predict(&rest))]
    {
        let tau = kendall(&scores, &values[100..]);
        assert!(tau > 0.75, "{tau}");
        let covered = coverage(&forecast.low, &forecast.high, &values[100..]);
        assert!((0.8..=0.98).contains(&covered), "{covered}");
        // Values rank as the scores do.
        assert!(kendall(&scores, &forecast.mean) > 0.98);
    }
    // A prediction does not depend on what else is asked.
    let some = model.predict(&rest[7..9]);
    assert_eq!(some.mean, model.predict(&rest).mean[7..9]);
}

#[test]
fn the_scale_and_unit_of_the_metric_do_not_matter() {
    let (pool, values) = example();
    let features = AccuracyFeatures::new(&pool);
    let rows: Vec<usize> = (0..40).collect();
    let scaled: Vec<f64> = values[..40].iter().map(|v| v / 100.0 - 7.0).collect();
    let a = AccuracyModel::fit(&features, &rows, &values[..40], 3).unwrap();
    let b = AccuracyModel::fit(&features, &rows, &scaled, 3).unwrap();
    let all: Vec<usize> = (0..pool.len()).collect();
    assert_eq!(a.scores(&all), b.scores(&all));
    for (a, b) in a.predict(&all).mean.iter().zip(b.predict(&all).mean) {
        assert!((a / 100.0 - 7.0 - b).abs() < 1e-9);
    }
}

#[test]
fn bad_targets_are_errors_and_equal_ones_are_not() {
    let (pool, values) = example();
    let features = AccuracyFeatures::new(&pool);
    let fit = |rows: &[usize], y: &[f64]| AccuracyModel::fit(&features, rows, y, 0);
    assert!(fit(&[0, 1], &values[..2]).is_err());
    assert!(fit(&[0, 1, 2], &values[..6]).is_err());
    let mut spoilt = values[..8].to_vec();
    spoilt[5] = f64::NAN;
    assert!(fit(&[0, 1, 2, 3, 4, 5, 6, 7], &spoilt).is_err());
    let same = fit(&[0, 1, 2, 3, 4, 5, 6, 7], &[71.5; 8]).unwrap();
    let all: Vec<usize> = (0..pool.len()).collect();
    let forecast = same.predict(&all);
    assert!(forecast.mean.iter().all(|v| (v - 71.5).abs() < 1e-9));
}

#[test]
fn normal_scores_and_values_are_inverse() {
    let scores = NormalScores::new(&[3.0, 1.0, 2.0, 2.0, 10.0]);
    for v in [1.0, 1.5, 2.0, 2.9, 9.0, 10.0] {
        assert!((scores.value(scores.score(v)) - v).abs() < 1e-12);
    }
    assert!(scores.value(9.0) > 10.0 && scores.value(-9.0) < 1.0);
    assert!((probit(0.975) - 1.959963984540054).abs() < 1e-7);
    assert!((probit(0.001) + 3.090232306167813).abs() < 1e-7);
    assert!(probit(0.5).abs() < 1e-12);
}

#[test]
fn quantiles_of_student() {
    // scipy.stats.t.ppf(.95, [3, 9, 19])
    for (freedom, t) in [(3, 2.353), (9, 1.833), (19, 1.729)] {
        assert!((student_quantile_95(freedom) - t).abs() < 0.01);
    }
}

/// Ten residuals are all within their extremes, of which an eleventh is outside one time in five.
#[test]
fn intervals_of_ten_scores_cover_what_they_say() {
    let mut rng = lanner_nn::rng(3, "calibration test");
    let mut normal = || probit(rng.random_range(1e-6..1.0 - 1e-6));
    let trials = 1500;
    let mut inside = 0;
    for _ in 0..trials {
        let scores: Vec<f64> = (0..11).map(|_| normal()).collect();
        let values: Vec<f64> = scores.iter().map(|s| s + 0.7 * normal()).collect();
        let target = NormalScores::new(&values[..10]);
        let t: Vec<f64> = values[..10].iter().map(|&v| target.score(v)).collect();
        let forecast = Calibration::new(target, &scores[..10], &t).forecast(&scores[10..]);
        inside += usize::from((forecast.low[0]..=forecast.high[0]).contains(&values[10]));
    }
    let share = inside as f64 / f64::from(trials);
    assert!((0.8..0.95).contains(&share), "{share}");
}

/// Each of five values predicted from the mean of the others is below where the value is above.
#[test]
fn a_ranking_that_held_out_values_speak_against_stays_one() {
    let values = [90.0, 91.0, 92.5, 93.0, 94.0];
    let target = NormalScores::new(&values);
    let t: Vec<f64> = values.iter().map(|&v| target.score(v)).collect();
    let held_out: Vec<f64> = t.iter().map(|t| -t / 4.0).collect();
    let calibration = Calibration::new(target, &held_out, &t);
    let forecast = calibration.forecast(&[-1.5, -0.3, 0.0, 0.2, 1.1]);
    assert!(forecast.mean.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", forecast.mean);
    assert!(forecast.low[4] < 92.0 && forecast.high[0] > 92.5, "it is not believed much");
}

/// A good score ranks before much is trained, and a useless one does no harm after some ten networks.
#[test]
fn a_prior_helps_as_much_as_it_is_worth_and_is_forgotten_where_it_is_not() {
    let (pool, values) = example();
    let mut rng = lanner_nn::rng(2, "prior test");
    let good: Vec<f64> = values.iter().map(|v| v + rng.random_range(-0.5..0.5)).collect();
    let useless: Vec<f64> = values.iter().map(|_| rng.random_range(0.0..1.0)).collect();
    let plain = AccuracyFeatures::new(&pool);
    let tau = |features: &AccuracyFeatures, n: usize| {
        let rows: Vec<usize> = (0..n).collect();
        let rest: Vec<usize> = (100..1500).collect();
        let model = AccuracyModel::fit(features, &rows, &values[..n], 0).unwrap();
        kendall(&model.scores(&rest), &values[100..])
    };
    let (with, without) = (plain.clone().with_prior(&good), plain.clone().with_prior(&useless));
    assert!(tau(&with, 10) > tau(&plain, 10) + 0.05);
    assert!(tau(&without, 40) > tau(&plain, 40) - 0.06);

    // The same architectures have the same predictions, with a prior too.
    let rows: Vec<usize> = (0..30).collect();
    let model = AccuracyModel::fit(&with, &rows, &values[..30], 0).unwrap();
    let all: Vec<usize> = (0..pool.len()).collect();
    let inside = model.predict(&all);
    for some in [0..pool.len(), 7..9, 3..4] {
        let asked = with.of(&pool.archs[some.clone()]).with_prior(&good[some.clone()]);
        let outside = model.predict_others(&asked);
        assert!(inside.mean[some].iter().zip(&outside.mean).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}
