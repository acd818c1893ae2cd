//! Predictors made of GCNs, end to end on a made-up metric.

use std::ops::ControlFlow;

use lanner_predict::accuracy::relation::{self, NetworkRecipe, Pairs, Relation, RelationRecipe};
use lanner_predict::encode::graph::Encoding;
use lanner_predict::general::gcn::{self, GcnPredictor, Samples};
use lanner_predict::metrics::spearman;
use lanner_predict::predictor::file::{Array, ModelFile, training_hash};
use lanner_space::{Architecture, Space};

/// Some architectures, and a metric that counts operations: 3×3 convolutions cost most.
fn made_up(from: usize, count: usize) -> (Vec<Architecture>, Vec<f64>) {
    let space = Space::NasBench201;
    let all: Vec<_> = space.iter().skip(from).step_by(97).take(count).collect();
    let cost = [0.2, 0.3, 1.0, 3.0, 0.6];
    let value = |a: &Architecture| a.codes().iter().map(|&c| cost[usize::from(c)]).sum::<f64>();
    let targets = all.iter().map(value).collect();
    (all, targets)
}

fn small() -> gcn::GcnRecipe {
    gcn::GcnRecipe {
        widths: vec![32; 2],
        epochs: 120,
        members: 2,
        ..gcn::GcnRecipe::default_latency()
    }
}

fn silent(_: gcn::Epoch) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_regression_learns_repeats_itself_and_survives_a_file() {
    let space = Space::NasBench201;
    let (architectures, targets) = made_up(0, 80);
    let train = Samples { architectures: &architectures, targets: &targets };
    let fit = |threads| {
        gcn::fit(&space, train, None, &small(), None, 1, threads, &mut silent).expect("a fit")
    };
    let predictor = fit(1);
    assert_eq!(predictor, fit(2));
    let (others, truth) = made_up(40, 80);
    let prepared = predictor.prepare(&space, &others);
    let predicted = predictor.predict(&prepared, 1);
    assert!(spearman(&predicted, &truth) > 0.95);
    // Far closer, in ratio, than the best constant.
    let error = |guess: &dyn Fn(usize) -> f64| -> f64 {
        truth.iter().enumerate().map(|(i, t)| (guess(i) / t).ln().abs()).sum()
    };
    let mean = (targets.iter().map(|t| t.ln()).sum::<f64>() / targets.len() as f64).exp();
    assert!(error(&|i| predicted[i]) < error(&|_| mean) / 3.0);
    let embeddings = predictor.embed(&prepared, 1);
    assert_eq!((embeddings.rows, embeddings.cols), (80, 64));

    let file = predictor.to_model(&space, 1, training_hash([("x", 1.0)]));
    let back = ModelFile::from_bytes(&file.to_bytes().expect("bytes")).expect("a file");
    assert_eq!(GcnPredictor::from_model(&back, &space).expect("a predictor"), predictor);
    let error = Relation::from_model(&back, &space).expect_err("of another kind").to_string();
    assert!(error.contains("'gcn'") && error.contains("'relation'"), "{error}");
}

#[test]
fn the_best_weights_of_the_validation_are_kept() {
    let space = Space::NasBench201;
    let (architectures, targets) = made_up(0, 60);
    let (others, truth) = made_up(40, 30);
    let train = Samples { architectures: &architectures, targets: &targets };
    let validation = Samples { architectures: &others, targets: &truth };
    // A rate so high that the loss jumps: the last epoch is not the best.
    let recipe = gcn::GcnRecipe {
        learning_rate: 0.03,
        keep_best: true,
        early_stop: Some(8),
        schedule: gcn::Schedule::Plateau { patience: 100, threshold: 0.01 },
        members: 1,
        ..small()
    };
    let mut losses = Vec::new();
    let mut note = |e: gcn::Epoch| {
        losses.push(e.validation_loss.expect("a validation set was given"));
        ControlFlow::Continue(())
    };
    let predictor =
        gcn::fit(&space, train, Some(validation), &recipe, None, 1, 1, &mut note).expect("a fit");
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(best < losses[losses.len() - 1]);
    assert!(losses.len() < recipe.epochs, "stopped early");
    let scaled = &predictor.members(&predictor.prepare(&space, &others), 1)[0];
    let smooth = |r: f64| (1.0 + 100.0 * r * r).sqrt() / 10.0;
    let loss = scaled.iter().zip(&truth).map(|(p, t)| smooth(p - predictor.scale.apply(*t)));
    assert!((loss.sum::<f64>() / 30.0 - best).abs() < 1e-4);
}

#[test]
fn transfer_starts_from_the_other_network() {
    let space = Space::NasBench201;
    let (architectures, targets) = made_up(0, 80);
    let all = Samples { architectures: &architectures, targets: &targets };
    let source = gcn::fit(&space, all, None, &small(), None, 1, 2, &mut silent).expect("a fit");
    // Ten samples of a related target, a few epochs.
    let related: Vec<f64> = targets.iter().map(|t| 5.0 + t * t).collect();
    let few = Samples { architectures: &architectures[..10], targets: &related[..10] };
    let recipe = gcn::GcnRecipe { epochs: 10, learning_rate: 1e-3, ..small() };
    let quality = |start| {
        let p = gcn::fit(&space, few, None, &recipe, start, 1, 2, &mut silent).expect("a fit");
        spearman(&p.predict(&p.prepare(&space, &architectures), 1), &related)
    };
    assert!(quality(Some(&source)) > quality(None) + 0.05);
    let narrow = gcn::GcnRecipe { widths: vec![16; 2], ..recipe.clone() };
    let error = gcn::fit(&space, few, None, &narrow, Some(&source), 1, 1, &mut silent);
    assert!(error.expect_err("other widths").to_string().contains("[16, 16]"));
}

#[test]
fn every_kind_of_relation_ranks() {
    let space = Space::NasBench201;
    let (architectures, targets) = made_up(0, 60);
    let (others, truth) = made_up(40, 80);
    let train = Samples { architectures: &architectures, targets: &targets };
    for objective in
        [relation::Objective::Softmax, relation::Objective::OneWay, relation::Objective::OneWayHard]
    {
        for pairs in [Pairs::Among(20), Pairs::Batches(64)] {
            let recipe = RelationRecipe::Networks(NetworkRecipe {
                objective,
                pairs,
                encoding: Encoding::Both, // the metric counts dead operations too
                widths: vec![32; 2],
                worth: relation::Worth::MinMax,
                epochs: if pairs == Pairs::Batches(64) { 6 } else { 80 },
                learning_rate: 3e-3,
                members: 1,
                early_stop: Some(35),
                ..NetworkRecipe::networks()
            });
            let relation =
                relation::fit(&space, train, &recipe, None, 1, 1, &mut silent).expect("a fit");
            let scores = relation.scores(&relation.prepare(&space, &others), 1);
            let quality = spearman(&scores, &truth);
            assert!(quality > 0.85, "{objective:?} {pairs:?}: {quality}");
            let file = relation.to_model(&space, 1, String::new());
            assert_eq!(Relation::from_model(&file, &space).expect("a relation"), relation);
            let carried = relation::fit(
                &space,
                train,
                &recipe.at_iteration(0, 80),
                Some(&relation),
                2,
                1,
                &mut silent,
            );
            let carried = carried.expect("a fit");
            let scores = carried.scores(&carried.prepare(&space, &others), 1);
            assert!(spearman(&scores, &truth) > 0.8, "weights are carried over");
        }
    }
}

#[test]
fn thurstones_model_ranks_survives_a_file_and_needs_no_start() {
    let space = Space::NasBench201;
    let (architectures, targets) = made_up(0, 60);
    let (others, truth) = made_up(40, 80);
    let train = Samples { architectures: &architectures, targets: &targets };
    let fit = |recipe: &RelationRecipe, start, seed, threads| {
        relation::fit(&space, train, recipe, start, seed, threads, &mut silent)
    };
    let default = RelationRecipe::default_ranking();
    let relation = fit(&default, None, 1, 1).expect("a fit");
    let prepared = relation.prepare(&space, &others);
    let scores = relation.scores(&prepared, 1);
    let quality = spearman(&scores, &truth);
    assert!(quality > 0.7, "{quality}");
    assert_eq!(relation, fit(&default.at_iteration(0, 5), Some(&relation), 2, 2).expect("a fit"));

    let file = relation.to_model(&space, 1, String::new());
    let back = ModelFile::from_bytes(&file.to_bytes().expect("bytes")).expect("a file");
    let again = Relation::from_model(&back, &space).expect("a relation");
    assert_eq!(again, relation);
    assert_eq!(again.scores(&prepared, 1), scores);
    let mut broken = back.clone();
    broken.tensors.insert("hyper".into(), Array::f64(vec![0.0; 5]));
    assert!(Relation::from_model(&broken, &space).is_err());

    let networks =
        RelationRecipe::Networks(NetworkRecipe { epochs: 1, ..NetworkRecipe::networks() });
    let error = fit(&networks, Some(&relation), 1, 1).expect_err("another kind").to_string();
    assert!(error.contains("'default'") && error.contains("'networks'"), "{error}");
}

#[test]
fn breaking_ends_a_fit_with_what_it_has() {
    let space = Space::NasBench201;
    let (architectures, targets) = made_up(0, 20);
    let train = Samples { architectures: &architectures, targets: &targets };
    let mut calls = 0;
    let mut stop = |_: gcn::Epoch| {
        calls += 1;
        ControlFlow::Break(())
    };
    gcn::fit(&space, train, None, &small(), None, 1, 1, &mut stop).expect("a fit");
    assert_eq!(calls, 2); // once a member
}

#[test]
fn bad_samples_are_refused_by_name() {
    let space = Space::NasBench201;
    let (architectures, mut targets) = made_up(0, 20);
    let refuse = |targets: &[f64], architectures: &[Architecture]| {
        let train = Samples { architectures, targets };
        let error = gcn::fit(&space, train, None, &small(), None, 1, 1, &mut silent);
        error.expect_err("refused").to_string()
    };
    assert!(refuse(&targets[..3], &architectures).contains("20 architectures, but 3"));
    assert!(refuse(&targets[..1], &architectures[..1]).contains("at least 2"));
    targets[4] = -1.0;
    assert!(refuse(&targets, &architectures).contains("4 is -1"));
    targets[4] = f64::NAN;
    assert!(refuse(&targets, &architectures).contains("4 is NaN"));
}
