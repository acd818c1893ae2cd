//! A named space that is defined in this file alone, through every room of the library.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use lanner::data::{Table, images};
use lanner::evaluate::proxies::{self, Batch, Proxy, ProxyOptions, ProxyWeights};
use lanner::evaluate::train;
use lanner::network::{Cost, Diagram, Init, OnnxOptions, Skeleton, View, Weights, onnx};
use lanner::predict::Pool;
use lanner::predict::latency::adapted::{self, FewShot};
use lanner::predict::metrics::spearman;
use lanner::predict::predictor::fitted::{self, Fitted};
use lanner::predict::predictor::{Predictor, Target, load_for};
use lanner::search::Job;
use lanner::search::study::{Outcome, Study};
use lanner::space::family::{CellSkeleton, CellSpace};
use lanner::space::{Architecture, Definition, Space, SpaceError, Text};
use rten_tensor::{NdTensor, prelude::*};

const NAME: &str = "toy";
const OPERATIONS: [&str; 4] = ["none", "skip_connect", "nor_conv_3x3", "avg_pool_3x3"];

/// Three nodes, three edges, in a network of two cells for 8×8 digits; texts are as `toy:213`.
static TOY: LazyLock<Space> = LazyLock::new(|| {
    let skeleton = CellSkeleton { resolution: 8, classes: 10, channels: 8, stages: 2, cells: 1 };
    let cell = CellSpace::complete(3, &OPERATIONS, skeleton);
    let text = Text { parse, print };
    let toy = Definition { text: Some(text), ..Definition::of_cell(NAME, cell) };
    Space::define(toy).expect("a space")
});

fn print(arch: &Architecture) -> String {
    arch.codes().iter().fold("toy:".into(), |text, code| format!("{text}{code}"))
}

fn parse(text: &str) -> Result<Architecture, SpaceError> {
    let code = |b: u8| Some(b.wrapping_sub(b'0')).filter(|c| usize::from(*c) < OPERATIONS.len());
    let codes: Option<Vec<u8>> =
        text.strip_prefix("toy:").unwrap_or("").bytes().map(code).collect();
    match codes.filter(|codes| codes.len() == 3) {
        Some(codes) => Ok(Architecture::new(codes)),
        None => Err(SpaceError::Text {
            space: NAME.into(),
            text: text.into(),
            why: "expected toy: and three digits from 0 to 3".into(),
        }),
    }
}

/// Milliseconds on a made-up device on which every parameter takes time, and its networks' costs.
fn latencies(archs: &[Architecture]) -> Vec<f64> {
    let skeleton = Skeleton::of(&TOY).unwrap();
    let cost = |arch| Cost::of(&skeleton.build(arch, View::Pruned).unwrap());
    archs.iter().map(|arch| 1.0 + cost(arch).params as f64 / 1e3).collect()
}

#[test]
fn its_architectures_are_those_of_a_cell() {
    let toy = &*TOY;
    assert_eq!(Space::by_name(NAME).unwrap(), *toy);
    assert_eq!((toy.size(), toy.identity().as_str()), (64, NAME));
    let mut generator = lanner::nn::rng(1, "toy");
    for (i, arch) in toy.iter().enumerate() {
        assert_eq!(toy.parse(&toy.print(&arch)).unwrap(), arch);
        assert_eq!(toy.index_of(&arch), Some(i as u128));
        let other = toy.mutate(&toy.sample(&mut generator), &mut generator);
        assert!(toy.check(&other).is_ok() && toy.neighbours(&other).len() == 9);
    }
    assert!(toy.parse("toy:214").is_err() && toy.parse("213").is_err());
    // Edges 0→1, 0→2, 1→2: a convolution behind a `none` is dead, a skip is bypassed.
    let arch = toy.parse("toy:012").unwrap();
    assert_eq!(toy.live(&arch), [false, true, false]);
    assert_eq!(toy.graph(&arch, View::Raw).len(), 5);
    assert_eq!(toy.graph(&arch, View::Pruned).arcs, [(0, 1)]);
    let again = Space::define(Definition::of_cell(NAME, toy.cell().unwrap().clone()));
    assert!(again.unwrap_err().to_string().contains("there is a space of that name"));
}

#[test]
fn its_networks_are_built_drawn_written_and_run() {
    let toy = &*TOY;
    let arch = toy.parse("toy:213").unwrap();
    let skeleton = Skeleton::of(toy).unwrap();
    assert_eq!(Skeleton::small(toy, 8, 10).unwrap(), skeleton);
    let network = skeleton.build(&arch, View::Pruned).unwrap();
    // Stem; a convolution in each cell; reduction; head.
    let conv = |from: u64, to: u64| 9 * from * to + 2 * to;
    let reduction = conv(8, 16) + conv(16, 16) + 8 * 16;
    let expected = conv(3, 8) + conv(8, 8) + reduction + conv(16, 16) + 2 * 16 + 16 * 10 + 10;
    assert_eq!(Cost::of(&network).params, expected);
    let cell = Diagram::cell(toy, &arch, View::Raw).unwrap();
    assert!(Diagram::dot(&[cell]).contains("conv 3×3"));

    let weights = Weights::init(&network, Init { seed: 1 });
    let bytes = onnx::encode(&network, &weights, OnnxOptions::default()).unwrap();
    let model = rten::ModelOptions::with_all_ops().load(bytes).unwrap();
    let [from, to] = [model.input_ids()[0], model.output_ids()[0]];
    let image = NdTensor::<f32, 4>::full([1, 3, 8, 8], 0.5);
    let outputs = model.run(vec![(from, image.view().into())], &[to], None).unwrap();
    let output: NdTensor<f32, 2> = outputs.into_iter().next().unwrap().try_into().unwrap();
    assert!(output.shape() == [1, 10] && output.iter().all(|v| v.is_finite()));

    assert_eq!(ProxyWeights::of(toy), ProxyWeights::Pytorch);
    let batch = Batch::random(8, network.input().len(), 10, 1);
    let raw = skeleton.build(&arch, View::Raw).unwrap();
    let asked = [Proxy::Synflow, Proxy::Params];
    let scores = proxies::compute(&raw, &batch, &asked, &ProxyOptions::default()).unwrap();
    assert!(scores.iter().all(|(_, score)| score.is_ok()));

    let digits = train::TrainData::new(images::by_name("digits").unwrap(), 0.2, 3).unwrap();
    let recipe = train::TrainRecipe { epochs: 1, ..train::TrainRecipe::default() };
    let options = train::TrainOptions { seed: 1, threads: 1, memory_limit: None };
    let trained = train::train(&network, &digits, &recipe, &options, |_| ControlFlow::Continue(()));
    assert!(trained.unwrap().test.accuracy > 20.0);
}

#[test]
fn its_tables_predictors_and_studies_are_read_again() {
    let toy = &*TOY;
    let folder = tempfile::tempdir().unwrap();
    let archs: Vec<Architecture> = toy.iter().collect();
    let truth = latencies(&archs);
    let file = folder.path().join("toy.csv");
    let own = |archs: Vec<_>, ms: Vec<_>| {
        Table::new(toy.clone(), archs, vec!["own_ms".into()], vec![ms]).unwrap()
    };
    own(archs.clone(), truth.clone()).write(&file).unwrap();
    let (table, _) = Table::read(&file, toy).unwrap();
    assert_eq!(table.archs, archs);
    assert!(Table::read(&file, &Space::NasBench201).is_err());

    let pool = lanner::predict::reference(toy, &archs);
    let rows: Vec<usize> = (0..64).step_by(2).collect();
    let values: Vec<f64> = rows.iter().map(|&r| truth[r]).collect();
    let views = fitted::MethodFeatures::new("default", Target::Latency, &pool).unwrap();
    let settings = fitted::FitSettings {
        method: "default".into(),
        target: Target::Latency,
        metric: "own_ms".into(),
    };
    let model = folder.path().join("model.lanner");
    let saved = Fitted::fit(&pool, &views, settings, (&rows, &values), 1).unwrap();
    saved.save(&model).unwrap();
    let back = load_for(&model, &Space::by_name(NAME).unwrap()).unwrap();
    assert!(spearman(&back.predict(&archs).mean, &truth) > 0.9);
    assert!(load_for(&model, &Space::NasBench201).is_err());

    // Eight measurements of a device, half of them of one that is twice as fast.
    let pool = Pool::new(toy.clone(), archs.clone());
    let views = adapted::DeviceFeatures::new(&pool);
    let other: Vec<f64> = truth.iter().map(|ms| ms / 2.0).collect();
    let functions = views.smooth(&[&other]).unwrap();
    let rows: Vec<usize> = (0..64).step_by(8).collect();
    let values: Vec<f64> = rows.iter().map(|&r| truth[r]).collect();
    let prior = views.with_sources(&functions);
    let adapted = FewShot::fit(&prior, &rows, &values).unwrap();
    let all: Vec<usize> = (0..64).collect();
    assert!(spearman(&adapted.predict(&prior, &all).mean, &truth) > 0.9);

    let job = Job::new(NAME).maximise("score").budget(24).seed(1);
    let path = folder.path().join("study");
    Study::create(&path, &job).unwrap();
    let mut study = Study::open(&path).unwrap();
    loop {
        while let Some(trial) = study.claim().unwrap() {
            let score = truth[toy.index_of(&trial.arch).unwrap() as usize];
            let metrics = [("score".to_string(), score)].into();
            study.tell(trial.id, Outcome::Done { metrics }).unwrap();
        }
        if study.ask(4).unwrap().is_empty() {
            break;
        }
    }
    let best = study.best().unwrap().unwrap();
    assert_eq!(best.metrics["score"], truth.iter().copied().fold(0.0, f64::max));
}
