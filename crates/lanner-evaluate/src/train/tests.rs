//! Properties that must hold for all data and seeds.

use lanner_data::images::{self, Augmentation, DataSet, Images, Shape};
use lanner_network::{Nasbench201, Network, View};
use lanner_space::Space;

use super::*;

const MIXED: &str =
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";

fn network(resolution: usize) -> Network {
    let arch = Space::NasBench201.parse(MIXED).unwrap();
    let skeleton = Nasbench201 { channels: 4, cells: 1, resolution, classes: 10 };
    skeleton.build(&arch, View::Pruned).unwrap()
}

fn digits() -> TrainData {
    TrainData::new(images::by_name("digits").unwrap(), 0.2, 3).unwrap()
}

fn short() -> TrainRecipe {
    TrainRecipe { epochs: 3, ..TrainRecipe::default() }
}

fn go_on(_: &Epoch) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Images of noise, `classes[i]` of them in class i.
fn noise(shape: Shape, classes: &[usize]) -> Images {
    let labels: Vec<u16> =
        classes.iter().enumerate().flat_map(|(c, &n)| vec![c as u16; n]).collect();
    let names = (0..classes.len()).map(|c| c.to_string()).collect();
    let pixels = (0..labels.len() * shape.values()).map(|k| (k * k % 251) as u8).collect();
    Images::new("noise", shape, names, pixels, labels).unwrap()
}

#[test]
fn a_training_depends_on_the_seed_and_nothing_else() {
    let (network, data) = (network(8), digits());
    let of = |seed, threads| {
        let options = TrainOptions { seed, threads, memory_limit: None };
        let trained = train(&network, &data, &short(), &options, go_on).unwrap();
        Trained { seconds: 0.0, ..trained }
    };
    let one = of(1, 1);
    assert_eq!(one, of(1, 2));
    let other = of(2, 1);
    assert!(one.weights != other.weights && one.validation.loss != other.validation.loss);
    // With ten classes, a network that learned nothing has about 10 %.
    assert!(one.test.accuracy > 70.0 && other.test.accuracy > 70.0, "{one:?}");
}

#[test]
fn one_epoch_is_not_hidden_by_statistics_of_earlier_weights() {
    // Eighteen convolutions in a row without skip connections: with running statistics that follow
    // each step by a tenth, it would have 24 % after this epoch.
    let plain = "|nor_conv_1x1~0|+|nor_conv_1x1~0|none~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|";
    let arch = Space::NasBench201.parse(plain).unwrap();
    let skeleton = Nasbench201 { channels: 16, cells: 3, resolution: 8, classes: 10 };
    let network = skeleton.build(&arch, View::Pruned).unwrap();
    let recipe = TrainRecipe { epochs: 1, batch: 32, warm_up: 0.3, ..TrainRecipe::default() };
    let trained = train(&network, &digits(), &recipe, &TrainOptions::default(), go_on).unwrap();
    assert!(trained.validation.accuracy > 60.0, "{:?}", trained.validation);
}

#[test]
fn the_weights_are_those_of_the_best_epoch() {
    let (network, data) = (network(8), digits());
    // With such a high rate, the accuracy goes up and down.
    let recipe = TrainRecipe { epochs: 6, learning_rate: 1.0, warm_up: 0.0, ..short() };
    let mut seen = Vec::new();
    let trained = train(&network, &data, &recipe, &TrainOptions::default(), |epoch| {
        seen.push(*epoch);
        go_on(epoch)
    })
    .unwrap();
    assert_eq!(seen.iter().map(|e| e.epoch).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let best = seen.iter().map(|e| e.validation.accuracy).fold(0.0, f64::max);
    assert_eq!(trained.validation, seen[trained.best_epoch - 1].validation);
    assert_eq!(trained.validation.accuracy, best);
    assert_eq!(trained.train_loss, seen[5].train_loss);
    // Stopped after the best epoch, it is the same, and the weights have the stated quality.
    let stop = |epoch: &Epoch| match epoch.epoch == trained.best_epoch {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let stopped = train(&network, &data, &recipe, &TrainOptions::default(), stop).unwrap();
    assert_eq!((stopped.epochs, &stopped.weights), (trained.best_epoch, &trained.weights));
    let params = Params::<f32>::from_weights(&network, &trained.weights).unwrap();
    let mut trainer = Trainer::new(&network, params, 50, &recipe, 1).unwrap();
    for (part, quality) in
        [(DataPart::Validation, trained.validation), (DataPart::Test, trained.test)]
    {
        let again = trainer.quality(&data, part).unwrap();
        assert_eq!(again.accuracy, quality.accuracy);
        assert!((again.loss - quality.loss).abs() < 1e-6);
    }
}

/// Runs the trained weights in a runtime.
#[cfg(feature = "rten")]
#[test]
fn the_exported_model_is_as_accurate() {
    use lanner_network::{OnnxOptions, onnx};
    use rten::{Dimension, Model};
    use rten_tensor::{AsView, NdTensor};

    let (network, data) = (network(8), digits());
    let trained = train(&network, &data, &short(), &TrainOptions::default(), go_on).unwrap();
    let (network, weights) = trained.weights.fold(&network).unwrap();
    let options = OnnxOptions { batch: None, ..OnnxOptions::default() };
    let model = Model::load(onnx::encode(&network, &weights, options).unwrap()).unwrap();
    let input = model.input_ids()[0];
    let dimensions = model.input_shape(0).unwrap();
    assert!(matches!(dimensions[1], Dimension::Fixed(3)));
    let count = data.len(DataPart::Test);
    let (images, labels) = data.batch(DataPart::Test, 0, count, 3).unwrap();
    let images = NdTensor::from_data([count, 3, 8, 8], images);
    let outputs = model.run(vec![(input, images.view().into())], &[model.output_ids()[0]], None);
    let logits: NdTensor<f32, 2> = outputs.unwrap().remove(0).try_into().unwrap();
    let (loss, hits) = loss::hits(&logits.to_vec(), &labels);
    assert_eq!(100.0 * hits as f64 / count as f64, trained.test.accuracy);
    assert!((loss / count as f64 - trained.test.loss).abs() < 1e-4);
}

#[test]
fn a_loss_that_is_not_finite_is_told() {
    let recipe = TrainRecipe { learning_rate: 1e30, warm_up: 0.0, ..short() };
    let error =
        train(&network(8), &digits(), &recipe, &TrainOptions::default(), go_on).unwrap_err();
    assert!(matches!(error, EvaluateError::Diverged { epoch: 1, .. }), "{error}");
    assert!(error.to_string().contains("in epoch 1; a lower learning rate may help"));
}

#[test]
fn parts_are_apart_and_normalised() {
    let data = digits();
    let parts = [DataPart::Training, DataPart::Validation, DataPart::Test];
    assert_eq!(parts.map(|p| data.len(p)), [1150, 287, 360]);
    let (training, _) = data.batch(DataPart::Training, 0, 1150, 1).unwrap();
    let (validation, _) = data.batch(DataPart::Validation, 0, 287, 1).unwrap();
    let all = || training.iter().chain(&validation).map(|&x| f64::from(x));
    let count = (1437 * 64) as f64;
    let (mean, square) = (all().sum::<f64>() / count, all().map(|x| x * x).sum::<f64>() / count);
    assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-5, "{mean} {square}");
    let seen: std::collections::HashSet<Vec<u32>> =
        training.chunks(64).map(|i| i.iter().map(|x| x.to_bits()).collect()).collect();
    let unseen = |i: &&[f32]| !seen.contains(&i.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    assert!(validation.chunks(64).filter(unseen).count() > 280);
    // Grey images for a network with three channels.
    let (colour, labels) = data.batch(DataPart::Validation, 5, 2, 3).unwrap();
    let grey = &validation[5 * 64..7 * 64];
    assert_eq!(labels.len(), 2);
    for (colour, grey) in colour.chunks(3 * 64).zip(grey.chunks(64)) {
        assert!(colour.chunks(64).all(|plane| plane == grey));
    }
}

#[test]
fn augmentation_is_what_images_want() {
    assert_eq!(digits().usual_augmentation(), Augmentation::NONE);
    let shape = Shape { channels: 3, height: 16, width: 16 };
    let set = || DataSet::new(noise(shape, &[20, 20]), noise(shape, &[5, 5])).unwrap();
    let data = TrainData::new(set(), 0.2, 0).unwrap();
    assert_eq!(data.usual_augmentation(), Augmentation { flip: true, padding: 2 });
    // Changes differ between epochs, but not between batches.
    let of = |indices: &[usize], epoch| {
        let augmentation = data.usual_augmentation();
        data.augmented(indices, 3, augmentation, EpochSeed { seed: 1, epoch }).unwrap().0
    };
    let each = shape.values();
    let indices = &data.training()[..8];
    assert_eq!(of(indices, 1)[3 * each..4 * each], of(&indices[3..4], 1)[..]);
    assert!(of(indices, 1) != of(indices, 2));
}

#[test]
fn what_does_not_fit_is_told_before_anything_runs() {
    let grey = Shape { channels: 1, height: 8, width: 8 };
    let (two, ten) = ([30, 30], [6; 10]);
    let set = |counts: &[usize]| DataSet::new(noise(grey, counts), noise(grey, counts)).unwrap();
    let data = |counts: &[usize]| TrainData::new(set(counts), 0.2, 0).unwrap();
    let options = TrainOptions::default();
    let refused =
        |network: &Network, data: &TrainData, recipe: &TrainRecipe, options: &TrainOptions| {
            train(network, data, recipe, options, go_on).unwrap_err().to_string()
        };
    let large = TrainRecipe { batch: 64, ..short() };
    let small = TrainRecipe { batch: 8, ..short() };
    let little = TrainOptions { memory_limit: Some(100_000), ..TrainOptions::default() };
    for (message, expected) in [
        (
            refused(&network(8), &data(&ten), &large, &options),
            "batch is 64, expected at most 48, the training images",
        ),
        (
            refused(&network(8), &data(&two), &small, &options),
            "number of classes is 2, expected 10, the network's outputs",
        ),
        (
            refused(&network(12), &data(&ten), &small, &options),
            "shape of the images is 1×8×8, expected 3×12×12",
        ),
        (refused(&network(8), &data(&ten), &small, &little), "over the limit of 100000"),
        (
            refused(
                &network(8),
                &data(&ten),
                &TrainRecipe { epochs: 0, ..small.clone() },
                &options,
            ),
            "epochs is 0, expected 1 or more",
        ),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    let fails = |set: DataSet, share: f64| TrainData::new(set, share, 0).unwrap_err().to_string();
    let mut label = set(&two);
    label.train.labels[7] = 2;
    assert!(fails(label, 0.2).contains("the label of image 8 is 2, expected less than 2 classes"));
    let mut one = set(&two);
    one.train.labels.fill(1);
    assert!(fails(one, 0.2).contains("are of one class, '1'"));
    let mut short = set(&two);
    short.test.pixels.pop();
    assert!(fails(short, 0.2).contains("pixels, expected 60 × 1×8×8"));
    assert!(fails(set(&two), 0.0).starts_with("validation split is 0, expected one or more"));
    assert!(fails(set(&two), 1.0).contains("a validation split of 1"));
    let past = data(&two).batch(DataPart::Test, 59, 2, 1).unwrap_err().to_string();
    assert_eq!(past, "end of the batch is 61, expected at most 60 images");
}

#[test]
fn values_of_a_recipe_have_their_ranges() {
    let recipe = TrainRecipe::default;
    assert!(recipe().check().is_ok());
    for wrong in [
        TrainRecipe { batch: 0, ..recipe() },
        TrainRecipe { learning_rate: 0.0, ..recipe() },
        TrainRecipe { learning_rate: f32::NAN, ..recipe() },
        TrainRecipe { learning_rate: f32::INFINITY, ..recipe() },
        TrainRecipe { warm_up: -1.0, ..recipe() },
        TrainRecipe { momentum: 1.0, ..recipe() },
        TrainRecipe { weight_decay: f32::NAN, ..recipe() },
        TrainRecipe { label_smoothing: 1.0, ..recipe() },
    ] {
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
}

mod table {
    use std::fs;

    use super::*;

    fn table(seeds: usize, threads: usize) -> TrainCampaign {
        TrainCampaign {
            space: Space::NasBench201,
            skeleton: Nasbench201 { channels: 4, cells: 1, resolution: 8, classes: 10 }.into(),
            data: digits(),
            dataset: "digits".into(),
            recipe: TrainRecipe { epochs: 1, ..TrainRecipe::default() },
            seeds,
            options: TrainOptions { threads, ..TrainOptions::default() },
        }
    }

    fn archs() -> Vec<lanner_space::Architecture> {
        ["100000", "310042", "222222"].map(|t| Space::NasBench201.parse(t).unwrap()).to_vec()
    }

    fn never(_: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Rows without the seconds, sorted.
    fn rows(path: &std::path::Path) -> Vec<Vec<String>> {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|l| !l.starts_with('#')).skip(1);
        let mut rows: Vec<Vec<String>> = lines
            .map(|l| {
                let mut fields: Vec<String> = l.split(',').map(str::to_owned).collect();
                fields.remove(fields.len() - 2);
                fields
            })
            .collect();
        rows.sort();
        rows
    }

    #[test]
    fn rows_are_the_same_in_any_order_and_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("1.csv"), dir.path().join("2.csv"));
        let outcome = table(2, 1).run(&archs(), &one, never).unwrap();
        assert_eq!(outcome, TrainSummary { trained: 3, ..TrainSummary::default() });
        // Two networks at a time; a crash tears the last row.
        table(2, 2).run(&archs(), &two, never).unwrap();
        let text = fs::read_to_string(&two).unwrap();
        fs::write(&two, &text[..text.len() - 9]).unwrap();
        let outcome = table(2, 2).run(&archs(), &two, never).unwrap();
        assert_eq!(outcome, TrainSummary { trained: 1, found: 2, ..TrainSummary::default() });
        assert_eq!(rows(&one), rows(&two));
        // Compare the means with single trainings.
        let both = [0, 1].map(|k| {
            let trained = table(2, 1).one(&archs()[1], k, &TrainOptions::default(), go_on).unwrap();
            trained.test.accuracy
        });
        let row = rows(&one).into_iter().find(|r| r[0].starts_with("|nor_conv_3x3")).unwrap();
        let expected = [(both[0] + both[1]) / 2.0, (both[0] - both[1]).abs() / 2.0];
        for (field, expected) in [&row[2], &row[4]].into_iter().zip(expected) {
            assert!((field.parse::<f64>().unwrap() - expected).abs() < 1e-4, "{row:?}");
        }
        let other = TrainCampaign {
            recipe: TrainRecipe { batch: 32, ..table(2, 1).recipe },
            ..table(2, 1)
        };
        let message = other.run(&archs(), &one, never).unwrap_err().to_string();
        assert!(message.contains("batch is '32' now, and the file has '64'"), "{message}");
    }

    #[test]
    fn a_stopped_table_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("t.csv");
        // More than are trained until a busy machine gets to stop them.
        let many: Vec<_> = (0..16).map(|i| Space::NasBench201.at(900 * i + 7).unwrap()).collect();
        let stop = |_: usize, _: usize| ControlFlow::Break(());
        let outcome = table(1, 1).run(&many, &out, stop).unwrap();
        // Running trainings are finished.
        assert!(outcome.stopped && outcome.trained < 16, "{outcome:?}");
        let more = table(1, 1).run(&many, &out, never).unwrap();
        assert_eq!((more.found, more.trained), (outcome.trained, 16 - outcome.trained));
        assert_eq!(rows(&out).len(), 16);
    }

    #[test]
    fn a_training_that_diverges_is_a_row_without_values() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("t.csv");
        let recipe = TrainRecipe { learning_rate: 1e30, warm_up: 0.0, ..table(1, 1).recipe };
        let outcome =
            TrainCampaign { recipe, ..table(1, 1) }.run(&archs()[1..2], &out, never).unwrap();
        assert_eq!((outcome.trained, outcome.diverged), (1, 1));
        let row = &rows(&out)[0];
        assert!(row[1..row.len() - 1].iter().all(String::is_empty), "{row:?}");
        assert_eq!(row[row.len() - 1], "training 1: loss not finite in epoch 1");
    }

    #[test]
    fn what_is_over_the_limit_is_refused_first() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("t.csv");
        let mut little = table(1, 1);
        little.options.memory_limit = Some(1 << 20);
        let message = little.run(&archs(), &out, never).unwrap_err().to_string();
        assert!(message.contains("over the limit of 1048576"), "{message}");
        assert!(!out.exists());
    }
}
