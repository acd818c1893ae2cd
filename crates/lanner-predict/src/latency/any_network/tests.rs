use lanner_network::onnx::{self, ReadOptions, probe, read};
use lanner_network::{Init, OnnxOptions, Precision, Skeleton, Weights};
use lanner_space::{Space, View};

use super::*;

/// Probes on a made-up device, whose times no sum of ours has: products cost less where there are many
/// channels, and a norm costs as its values' power.
fn samples(numbers: std::ops::Range<u64>) -> Vec<Sample> {
    let network = |number| {
        let graph = read(&probe(number), &ReadOptions::default()).unwrap();
        let time = |node: &lanner_network::TensorNode| {
            let values: u64 = node.outputs.iter().map(|&t| graph.tensors[t].values()).sum();
            let wide = (node.outputs.first()).map_or(1, |&t| graph.tensors[t].dims[1]) as f64;
            2e-3 + node.products as f64 * 1e-8 * (1.0 + 16.0 / wide)
                + 3e-7 * (values as f64).powf(1.05)
        };
        let latency = 0.05 + graph.nodes.iter().map(time).sum::<f64>();
        Sample { network: Counted::of(&graph), latency, origin: Origin::Probe }
    };
    numbers.map(network).collect()
}

fn mape(fitted: &AnyLatency, asked: &[Sample]) -> f64 {
    let networks: Vec<Counted> = asked.iter().map(|s| s.network.clone()).collect();
    let mean = fitted.predict(&networks).mean;
    let errors = mean.iter().zip(asked).map(|(p, s)| (p / s.latency - 1.0).abs());
    errors.sum::<f64>() / asked.len() as f64
}

#[test]
fn a_device_is_learnt_from_small_networks() {
    let (known, asked) = (samples(0..150), samples(1000..1040));
    let fitted = AnyLatency::fit(&known, "board_ms").unwrap();
    let networks: Vec<Counted> = asked.iter().map(|s| s.network.clone()).collect();
    let Forecast { low, high, .. } = fitted.predict(&networks);
    let error = mape(&fitted, &asked);
    assert!(error < 0.15, "{error}");
    let covered = (0..40).filter(|&i| (low[i]..=high[i]).contains(&asked[i].latency)).count();
    assert!((30..=40).contains(&covered), "{covered}");
    // The same again, and from a file.
    assert_eq!(AnyLatency::fit(&known, "board_ms").unwrap(), fitted);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.lanner");
    fitted.save(&path).unwrap();
    let again = AnyLatency::load(&path).unwrap();
    assert_eq!(again, fitted);
    assert_eq!((again.metric(), again.measured()), ("board_ms", 150));
}

/// Networks of a family take 1.3 times as long as their operations would in others.
#[test]
fn a_family_is_calibrated_by_ten_of_its_networks() {
    let known = samples(0..150);
    // Sequences, of the tens of probes those from the sixth on: other operations than images have.
    let is_family = |i: &usize| (6..9).contains(&(i % 10));
    let all = samples(1000..1100);
    let own: Vec<Sample> = (0..100)
        .filter(is_family)
        .map(|i| Sample { latency: 1.3 * all[i].latency, origin: Origin::Own, ..all[i].clone() })
        .collect();
    let (ten, rest) = own.split_at(10);
    let with = [known.clone(), ten.to_vec()].concat();
    let [alone, sharpened] =
        [&known, &with].map(|samples| AnyLatency::fit(samples, "x_ms").unwrap());
    let (before, after) = (mape(&alone, rest), mape(&sharpened, rest));
    assert!(after < 0.6 * before, "{before} {after}");
    // A network of another kind is none of the family.
    let others: Vec<Sample> = (0..100).filter(|i| i % 10 == 9).map(|i| all[i].clone()).collect();
    assert!(mape(&sharpened, &others) < 0.2, "{}", mape(&sharpened, &others));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.lanner");
    sharpened.save(&path).unwrap();
    assert_eq!(AnyLatency::load(&path).unwrap(), sharpened);
}

/// A network in another precision than all that were measured is told, until some in that precision are.
#[test]
fn other_precisions_are_told() {
    let space = Space::NasBench201;
    let quantised = |text: &str| {
        let skeleton = Skeleton { classes: 10, channels: 16, ..Skeleton::of(&space).unwrap() };
        let network = skeleton.build(&space.parse(text).unwrap(), View::Pruned).unwrap();
        let weights = Weights::init(&network, Init::default());
        let precision = |precision| {
            let options = OnnxOptions { precision, ..OnnxOptions::default() };
            let bytes = onnx::encode(&network, &weights, options).unwrap();
            Counted::of(&read(&bytes, &ReadOptions::default()).unwrap())
        };
        [Precision::F32, Precision::Int8].map(precision)
    };
    let mut known = samples(0..60);
    let fitted = AnyLatency::fit(&known, "board_ms").unwrap();
    let [float, integer] = quantised("333333");
    assert_eq!(fitted.doubt(&float), None);
    let doubt = fitted.doubt(&integer).unwrap();
    assert!(doubt.contains("integers of 8 bits or less"), "{doubt}");
    let [_, other] = quantised("222222");
    known.push(Sample { network: other, latency: 1.0, origin: Origin::Own });
    let fitted = AnyLatency::fit(&known, "board_ms").unwrap();
    assert_eq!(fitted.doubt(&integer), None);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.lanner");
    fitted.save(&path).unwrap();
    assert_eq!(AnyLatency::load(&path).unwrap().doubt(&integer), None);
}

/// Each family is slower by a factor of its own, which says nothing of a further one: intervals are as
/// wide as families differ, and narrow where networks of the family are known.
#[test]
fn intervals_are_as_wide_as_families_differ() {
    let factor = |family: u32| 0.7 + 0.15 * f64::from(family);
    let of = |family: u32, origin: Origin| -> Vec<Sample> {
        // Fifteen of the same size class, each family its own kind of probe.
        let first = 1000 + 200 * u64::from(family);
        let all = samples(first..first + 150).into_iter().step_by(10);
        all.map(|s| Sample { latency: factor(family) * s.latency, origin, ..s }).collect()
    };
    let mut known = samples(0..120);
    (0..5).for_each(|f| known.extend(of(f, Origin::Family(f))));
    let half = |fitted: &AnyLatency, asked: &Sample| {
        let f = fitted.predict(std::slice::from_ref(&asked.network));
        (f.high[0] / f.mean[0]).ln()
    };
    let new = of(5, Origin::Own);
    let unseen = half(&AnyLatency::fit(&known, "x_ms").unwrap(), &new[14]);
    known.extend(new[..10].to_vec());
    let seen = half(&AnyLatency::fit(&known, "x_ms").unwrap(), &new[14]);
    assert!(unseen > 0.2 && seen < 0.7 * unseen, "{unseen} {seen}");
}

/// Chosen probes tell a device better than the first that come.
#[test]
fn informative_networks_tell_more() {
    let (all, asked) = (samples(0..300), samples(1000..1060));
    let networks: Vec<Counted> = all.iter().map(|s| s.network.clone()).collect();
    let chosen = informative(&networks, 40, 0);
    let mut distinct = chosen.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 40);
    assert_eq!(informative(&networks, 20, 0), chosen[..20]);
    let known: Vec<Sample> = chosen.iter().map(|&i| all[i].clone()).collect();
    let error = |known: &[Sample]| mape(&AnyLatency::fit(known, "x_ms").unwrap(), &asked);
    let random = (0..5).map(|i| error(&all[40 * i..40 * (i + 1)])).sum::<f64>() / 5.0;
    assert!(error(&known) < random, "{} {random}", error(&known));
}

/// The order in the file is the one that is chosen; `lanner-bench probes` writes it anew.
#[test]
fn probes_are_in_the_order_of_the_choice() {
    assert_eq!(probes(40), order_probes(40).unwrap());
    let mut all = probes(4000);
    assert_eq!(all[..100], probes(100));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 4000);
}

#[test]
fn bad_measurements_are_refused() {
    let mut few = samples(0..19);
    let why = AnyLatency::fit(&few, "x_ms").unwrap_err().to_string();
    assert!(why.contains("20") && why.contains("19"), "{why}");
    few.extend(samples(19..22));
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        few[7].latency = wrong;
        assert!(AnyLatency::fit(&few, "x_ms").is_err(), "{wrong}");
    }
}
