//! Every strategy on a made-up objective: none repeats a row, asks for a forbidden one or stops early.

use lanner_predict::Pool;
use lanner_predict::accuracy::relation;
use lanner_predict::select::iterative::Selection;
use lanner_search::{
    BrpNas, DefaultSearch, Evolution, History, RandomSearch, Ranker, Strategy, WeakPredictors,
    strategy::simulate,
};
use lanner_space::Space;

/// Live convolutions help, 3×3 more, and depth in excess hurts.
fn objective(pool: &Pool, row: usize) -> f64 {
    let arch = &pool.archs[row];
    let live = arch.codes().iter().zip(pool.space.live(arch)).filter(|x| x.1);
    let gain: f64 = live.map(|(&c, _)| [0.0, 0.4, 0.7, 1.0, -0.2][usize::from(c)]).sum();
    gain - 0.05 * gain * gain
}

fn small_relation() -> Ranker {
    Ranker::Binary(relation::RelationRecipe::Networks(relation::NetworkRecipe {
        widths: vec![32; 2],
        epochs: 40,
        members: 1,
        ..relation::NetworkRecipe::networks()
    }))
}

fn strategies(seed: u64) -> Vec<(&'static str, Box<dyn Strategy>)> {
    vec![
        ("random", Box::new(RandomSearch::new(seed))),
        ("evolution", Box::new(Evolution::new(seed))),
        ("weak", Box::new(WeakPredictors::new(seed))),
        ("brp-nas", Box::new(BrpNas::new(Selection::brp_nas(40), small_relation(), seed, 1))),
        ("brp-nas, default recipe", {
            let ranker = Ranker::Binary(relation::RelationRecipe::default_ranking());
            Box::new(BrpNas::new(Selection::brp_nas(40), ranker, seed, 1))
        }),
        ("default", Box::new(DefaultSearch::new(seed))),
    ]
}

fn rows(history: &History) -> Vec<usize> {
    history.trials.iter().map(|t| t.row).collect()
}

#[test]
fn budgets_masks_and_seeds_are_kept() {
    let pool = Pool::whole(Space::NasBench201);
    let allowed: Vec<bool> = (0..pool.len()).map(|r| r % 3 == 0).collect();
    let search = |strategy: &mut dyn Strategy| {
        simulate(strategy, &pool, Some(&allowed), 60, |row| Some(objective(&pool, row)))
    };
    for (index, (name, mut strategy)) in strategies(4).into_iter().enumerate() {
        let history = search(&mut *strategy);
        let mut distinct = rows(&history);
        assert!(distinct.iter().all(|&r| allowed[r]), "{name} asked for a forbidden row");
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 60, "{name}");
        let again = search(&mut *strategies(4).remove(index).1);
        assert_eq!(rows(&history), rows(&again), "{name}: one seed, one search");
    }
}

#[test]
fn small_pools_are_used_up_and_failures_do_not_stop_a_search() {
    let space = Space::NasBench201;
    let archs: Vec<_> = (0..30).map(|i| space.at(i * 500).unwrap()).collect();
    let pool = Pool::new(space, archs);
    for (name, mut strategy) in strategies(5) {
        // Two in three fail; all that succeed are equal.
        let history =
            simulate(&mut *strategy, &pool, None, 100, |row| row.is_multiple_of(3).then_some(1.0));
        assert_eq!(history.asked(), 30, "{name}");
        assert_eq!(history.trials.len(), 10, "{name}");
        assert_eq!(history.best().unwrap().value, 1.0);
    }
}

#[test]
fn learning_beats_chance() {
    let pool = Pool::whole(Space::NasBench201);
    let best = |mut strategy: Box<dyn Strategy>| {
        let history = simulate(&mut *strategy, &pool, None, 60, |row| Some(objective(&pool, row)));
        history.best().unwrap().value
    };
    let mean = |index: usize| -> f64 {
        (0..4).map(|seed| best(strategies(seed).remove(index).1)).sum::<f64>() / 4.0
    };
    let random = mean(0);
    for index in 1..strategies(0).len() {
        assert!(mean(index) > random, "{}", strategies(0)[index].0);
    }
}

#[test]
fn proxies_warm_brp_nas_up() {
    let pool = Pool::whole(Space::NasBench201);
    let truth: Vec<f64> = (0..pool.len()).map(|row| objective(&pool, row)).collect();
    let first = |warm: bool| -> f64 {
        let mut strategy = BrpNas::new(Selection::brp_nas(40), small_relation(), 6, 1);
        if warm {
            strategy = strategy.warmed_up_by(truth.clone());
        }
        let asked = strategy.ask(&pool, &History::default(), None, 8);
        asked.iter().map(|&r| truth[r]).sum::<f64>() / asked.len() as f64
    };
    assert!(first(true) > first(false) + 0.3, "{} {}", first(true), first(false));
}
