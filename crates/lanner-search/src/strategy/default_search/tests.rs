use super::*;
use crate::{RandomSearch, strategy::simulate};
use lanner_space::Space;

/// Objective with one class of optima: deep chains of 3×3 convolutions with shortcuts, no pooling.
fn value(pool: &Pool, row: usize) -> f64 {
    let live = pool.space.live(&pool.archs[row]);
    let codes = pool.archs[row].codes();
    let ops = [0.0, 0.6, 1.0, 2.0, -1.0];
    let places = [1.0, 0.7, 1.1, 0.9, 0.8, 1.2];
    let sum: f64 =
        (0..6).filter(|&e| live[e]).map(|e| ops[usize::from(codes[e])] * places[e]).sum();
    let chain = codes[0] == 3 && codes[2] == 3 && codes[5] == 3;
    sum - if codes[3] == 1 { 0.0 } else { 2.0 } + if chain { 1.0 } else { 0.0 }
}

#[test]
fn finds_the_optimum_where_random_search_does_not() {
    let pool = Pool::whole(Space::NasBench201);
    let best = (0..pool.len()).map(|r| value(&pool, r)).fold(f64::NEG_INFINITY, f64::max);
    for seed in 0..2 {
        let search = |strategy: &mut dyn Strategy| {
            let history = simulate(strategy, &pool, None, 60, |r| Some(value(&pool, r)));
            assert_eq!(history.asked(), 60);
            history.best().unwrap().value
        };
        assert_eq!(search(&mut DefaultSearch::new(seed)), best);
        assert!(search(&mut RandomSearch::new(seed)) < best);
    }
}

#[test]
fn goes_on_through_failures_equal_values_masks_and_small_pools() {
    let space = Space::NasBench201;
    let pool = Pool::new(space.clone(), space.iter().take(60).collect());
    let allowed: Vec<bool> = (0..60).map(|r| r % 2 == 0).collect();
    // All allowed rows are asked for, each once, and no others.
    let outcomes: [fn(usize) -> Option<f64>; 4] = [
        |_| None,
        |_| Some(10.0),
        |r| (r % 6 == 0).then_some(r as f64),
        |r| Some(if r % 10 == 0 { r as f64 } else { f64::NAN }),
    ];
    for outcome in outcomes {
        let mut asked = Vec::new();
        let history = simulate(&mut DefaultSearch::new(3), &pool, Some(&allowed), 100, |r| {
            asked.push(r);
            outcome(r)
        });
        asked.sort_unstable();
        assert_eq!(asked, (0..60).step_by(2).collect::<Vec<_>>());
        assert_eq!(history.asked(), 30);
    }
    let nothing = simulate(&mut DefaultSearch::new(3), &pool, Some(&[false; 60]), 5, |_| Some(1.0));
    assert!(nothing.trials.is_empty());
}

#[test]
fn the_unit_of_the_metric_does_not_matter() {
    let pool = Pool::whole(Space::NasBench201);
    let rows = |scale: f64| {
        let mut search = DefaultSearch::new(5);
        simulate(&mut search, &pool, None, 22, |r| Some(scale * value(&pool, r))).rows()
    };
    // A power of two changes no digit.
    assert_eq!(rows(1.0), rows(1.0 / 1024.0));
}

#[test]
fn the_start_is_among_the_larger_half_of_what_is_open() {
    let pool = Pool::whole(Space::NasBench201);
    let sizes: Vec<f64> = log_flops(&pool.space, &pool.archs);
    // With a limit only small networks are left: the search starts in the larger half of these.
    let mut sorted = sizes.clone();
    sorted.sort_by(f64::total_cmp);
    let (quarter, half) = (sorted[pool.len() / 4], sorted[pool.len() / 2]);
    let small: Vec<bool> = sizes.iter().map(|&s| s < half).collect();
    for (allowed, least) in [(None, half), (Some(&small[..]), quarter)] {
        let history = History::default();
        let rows = DefaultSearch::new(1).ask(&pool, &history, allowed, 200);
        assert_eq!(rows.len(), START);
        assert!(rows.iter().all(|&r| sizes[r] >= least && allowed.is_none_or(|a| a[r])));
        let distinct: std::collections::HashSet<_> = rows.iter().collect();
        assert_eq!(distinct.len(), START);
    }
}

#[test]
fn patience_ends_after_the_start_and_with_every_success() {
    let mut history = History::default();
    let mut after = |values: &[f64]| {
        for &v in values {
            history.tell(history.asked(), Some(v));
        }
        fruitless(&history)
    };
    assert_eq!(after(&[]), 0);
    assert_eq!(after(&[5.0; START]), 0);
    assert_eq!(after(&[1.0, 5.0, 2.0]), 3);
    assert_eq!(after(&[6.0]), 0);
    assert_eq!(after(&[f64::NAN, 6.0, 1.0]), 2);
}

#[test]
fn impatience_has_an_end() {
    let all: Vec<f64> = (0..200).map(exploration).collect();
    assert_eq!(all[0], EXPLORATION);
    assert!(all.is_sorted() && all[1] > all[0]);
    assert_eq!(all[199], MOST_IMPATIENT * EXPLORATION);
}

/// The model tells the luck of a training from doubt about networks.
#[test]
fn luck_is_told_from_doubt() {
    let pool = Pool::whole(Space::TransBench101Micro);
    let sizes = log_flops(&pool.space, &pool.archs);
    let worth = |r: usize| {
        let live = pool.space.live(&pool.archs[r]);
        let codes = pool.archs[r].codes().iter().zip(live).filter(|c| c.1);
        codes.map(|(&code, _)| f64::from(code)).sum::<f64>()
    };
    let mut open: Vec<usize> = (0..pool.len()).collect();
    let rows = draw(&mut open, 200, &mut lanner_nn::rng(4, "rows"));
    // Variance of luck, the same for all networks.
    let variance = |luck: f64| {
        let mut rng = lanner_nn::rng(4, "luck");
        let mut history = History::default();
        for &r in &rows {
            history.tell(r, Some(worth(r) + luck * normal(&mut rng)));
        }
        let beliefs = Model::new(&pool, sizes.clone(), &[], &[]).beliefs(&history, &open).unwrap();
        let lucks: Vec<f64> = beliefs.iter().map(|b| b.trained_sd.powi(2) - b.sd.powi(2)).collect();
        assert!(lucks.iter().all(|v| (v - lucks[0]).abs() < 1e-9));
        lucks[0]
    };
    let (none, little, much) = (variance(0.0), variance(0.1), variance(0.5));
    assert!(none.abs() < 1e-9 && 0.0 < little && 2.0 * little < much, "{none} {little} {much}");
}

#[test]
fn impatience_prefers_the_unknown() {
    let beliefs = [(1.0, 0.1), (0.9, 0.2), (0.0, 1.0), (-3.0, 2.0)];
    assert_eq!(highest_by_quantile(&beliefs, 0.1, 2), [0, 1]);
    assert_eq!(highest_by_quantile(&beliefs, 1.0, 2), [0, 2]);
    assert_eq!(highest_by_quantile(&beliefs, 20.0, 2), [3, 2]);
    let mut all = highest_by_quantile(&beliefs, 0.6, 9);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
}

#[test]
fn without_success_a_round_ends_far_off() {
    let pool = Pool::whole(Space::NasBench201);
    let open: Vec<usize> = (0..pool.len()).collect();
    // The plain round and the real one, after a number of trials none of which beats the first.
    let rounds = |trials: usize| {
        let mut search = DefaultSearch::new(8);
        let mut history = History::default();
        for i in 0..trials {
            let row = 37 * i;
            history.tell(row, Some(if i == START { 99.0 } else { value(&pool, row) }));
        }
        let rows = search.ask(&pool, &history, None, ROUND);
        let open: Vec<usize> = open.iter().copied().filter(|&r| !history.is_taken(r)).collect();
        // A second model, since a fit starts from the last one.
        let sizes = log_flops(&pool.space, &pool.archs);
        let beliefs = Model::new(&pool, sizes, &[], &[]).beliefs(&history, &open).unwrap();
        let beliefs: Vec<_> = beliefs.iter().map(|b| (b.mean, b.trained_sd)).collect();
        let plain = highest_by_quantile(&beliefs, exploration(fruitless(&history)), ROUND);
        let plain: Vec<usize> = plain.into_iter().map(|j| open[j]).collect();
        (rows, plain, upper(&beliefs, &open))
    };
    let (rows, plain, _) = rounds(START + FRUITLESS);
    assert_eq!(rows, plain);
    let (rows, plain, upper) = rounds(START + 1 + FRUITLESS);
    assert_eq!(rows[..ROUND - 1], plain[..ROUND - 1]);
    assert!(!plain.contains(&rows[ROUND - 1]) && upper.contains(&rows[ROUND - 1]));
}

#[test]
fn the_upper_part_is_a_quarter() {
    let beliefs: Vec<(f64, f64)> = (0..101).map(|i| (f64::from(i), 0.0)).collect();
    let open: Vec<usize> = (1000..1101).collect();
    assert_eq!(upper(&beliefs, &open), (1075..1101).collect::<Vec<_>>());
    // A deviation counts as much as in the acquisition.
    assert_eq!(upper(&[(0.0, 0.0), (0.0, 10.0), (1.0, 0.0)], &[4, 5, 6]), [5, 6]);
    assert!(upper(&[], &[]).is_empty());
}

#[test]
fn a_few_trials_overrule_the_belief_in_size() {
    let pool = Pool::whole(Space::NasBench201);
    let worth = |r: usize| -pool.space.flops_and_params(&pool.archs[r]).unwrap().0;
    for seed in 0..3 {
        let history = simulate(&mut DefaultSearch::new(seed), &pool, None, 60, |r| Some(worth(r)));
        let smallest = (0..pool.len()).map(worth).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(history.best().unwrap().value, smallest, "seed {seed}");
    }
}

/// Most networks with convolutions are about equally good; a few are better, by what two edges do
/// together.
#[test]
fn leaves_a_plateau_for_a_family_apart() {
    let pool = Pool::whole(Space::NasBench201);
    let worth = |r: usize| {
        let codes = pool.archs[r].codes();
        let convolutions = codes.iter().filter(|&&c| c == 2 || c == 3).count() as f64;
        let apart = codes[3] == 1 && codes[4] == 4 && convolutions >= 2.0;
        convolutions.min(3.0) + 0.01 * value(&pool, r) + if apart { 2.0 } else { 0.0 }
    };
    for seed in 0..3 {
        let history = simulate(&mut DefaultSearch::new(seed), &pool, None, 100, |r| Some(worth(r)));
        assert!(history.best().unwrap().value > 4.5, "seed {seed}");
    }
}

#[test]
fn published_accuracies_of_cifar_100() {
    let Some(path) = lanner_testing::published("nasbench201/accuracy.csv") else { return };
    let (table, _) = lanner_data::Table::read(path, &Space::NasBench201).unwrap();
    let accuracy = table.column("c100_test_200").unwrap();
    let pool = Pool::new(Space::NasBench201, table.archs.clone());
    let best = accuracy.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for seed in 0..2 {
        let history =
            simulate(&mut DefaultSearch::new(seed), &pool, None, 150, |r| Some(accuracy[r]));
        assert_eq!(history.best().unwrap().value, best);
    }
}

/// Compares the expected result of random search, predicted from a search's own trials, with the
/// truth. Prints the figures of docs/benchmarks.md; run with `--ignored --nocapture`.
#[test]
#[ignore = "takes a minute"]
fn chance_is_read_off_the_trials() {
    let Some(file) = lanner_testing::published("nasbench201/accuracy.csv") else { return };
    let space = Space::NasBench201;
    let (table, _) = lanner_data::Table::read(file, &space).unwrap();
    let pool = Pool::new(space, table.archs.clone());
    let all: Vec<usize> = (0..pool.len()).collect();
    for column in ["c10_val_12", "c100_val_12", "c10_test_200", "c100_test_200"] {
        let y = table.column(column).unwrap();
        let mut sorted = y.to_vec();
        sorted.sort_by(f64::total_cmp);
        let below = |k: usize| (k as f64 / sorted.len() as f64).powi(40);
        let truth: f64 = (0..sorted.len()).map(|k| sorted[k] * (below(k + 1) - below(k))).sum();
        let errors: Vec<f64> = (0..6)
            .map(|seed| {
                let mut search = DefaultSearch::new(seed);
                let history = simulate(&mut search, &pool, None, 40, |r| Some(y[r]));
                search.by_chance(&pool, &history, &all, 40).unwrap()[39] - truth
            })
            .collect();
        let mean = errors.iter().sum::<f64>() / 6.0;
        let square = errors.iter().map(|e| e * e).sum::<f64>() / 6.0;
        println!("{column}: {truth:.2}, off by {mean:+.2}, rms {:.2}", square.sqrt());
        assert!(square.sqrt() < 0.03 * truth, "{column}: {errors:?}");
    }
}
