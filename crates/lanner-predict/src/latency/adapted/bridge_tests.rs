use lanner_nn::rng;
use rand::seq::SliceRandom;

use super::*;
use crate::Pool;
use crate::encode::costs::AnalyticCosts;
use crate::metrics::{pearson, spearman};
use crate::predictor::{Predictor, load};
use crate::regress::linalg::Mat;
use lanner_data::Table;
use lanner_space::{Architecture, Space};

/// Two spaces and what a device in them costs: shares of arithmetic, memory and starts of layers.
struct Spaces {
    pools: [Pool; 2],
    views: [DeviceFeatures; 2],
}

impl Spaces {
    fn new() -> Spaces {
        let cells: Vec<_> = Space::NasBench201.iter().step_by(23).collect();
        let mut rng = rng(3, "chains");
        let chains: Vec<_> = (0..500).map(|_| Space::Fbnet.sample(&mut rng)).collect();
        let pools = [Pool::new(Space::NasBench201, cells), Pool::new(Space::Fbnet, chains)];
        let views = [DeviceFeatures::new(&pools[0]), DeviceFeatures::new(&pools[1])];
        Spaces { pools, views }
    }

    /// Latencies in a space: a mixture of three of the simulated devices, each in units of its mean.
    fn device(&self, space: usize, shares: [f64; 3]) -> Vec<f64> {
        self.device_of(space, shares, &self.pools[space].archs)
    }

    /// The same of any architectures.
    fn device_of(&self, space: usize, shares: [f64; 3], archs: &[Architecture]) -> Vec<f64> {
        let pool = &self.pools[space];
        let times = AnalyticCosts::new(&pool.space, archs, false).times;
        let of_pool = &self.views[space].costs[0].times;
        let mut sum = vec![0.2; times.rows];
        for (share, column) in shares.iter().zip([0, 4, 25]) {
            let mean = of_pool.column(column).iter().sum::<f64>() / of_pool.rows as f64;
            sum.iter_mut().enumerate().for_each(|(i, s)| *s += share * times[(i, column)] / mean);
        }
        sum
    }

    fn smooth(&self, space: usize, devices: &[[f64; 3]]) -> Mat {
        let columns: Vec<Vec<f64>> = devices.iter().map(|&d| self.device(space, d)).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        self.views[space].smooth(&columns).unwrap()
    }

    /// Guesses from cells to chains.
    fn carry(&self, devices: &[[f64; 3]], (rows, values): (&[usize], &[f64])) -> Vec<Guess> {
        let bridge = Bridge::new(&self.views[0], &self.smooth(0, devices)).unwrap();
        let carried = bridge.carry(rows, values).unwrap();
        carried.guesses(&self.views[1], &self.smooth(1, devices)).unwrap()
    }

    fn measured(&self, shares: [f64; 3], n: usize) -> (Vec<usize>, Vec<f64>) {
        let all = self.device(0, shares);
        let mut rows: Vec<usize> = (0..all.len()).collect();
        rows.shuffle(&mut rng(7, "measured"));
        rows.truncate(n);
        let values = rows.iter().map(|&r| all[r]).collect();
        (rows, values)
    }
}

const DEVICES: [[f64; 3]; 5] =
    [[1.0, 0.1, 0.1], [0.1, 1.0, 0.1], [0.1, 0.1, 1.0], [0.5, 0.5, 0.1], [0.3, 0.1, 0.6]];

fn logs(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| v.ln()).collect()
}

#[test]
fn a_device_like_a_reference_in_one_space_is_like_it_in_the_other() {
    let spaces = Spaces::new();
    let devices = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for (j, &shares) in devices.iter().enumerate() {
        let (rows, values) = spaces.measured(shares, 30);
        let [references, dear, cheap, simulated] =
            <[Guess; 4]>::try_from(spaces.carry(&devices, (&rows, &values))).unwrap();
        // The others are far, so that no more than the own part is known.
        let odds = references.belief.odds;
        assert!((1.0..20.0).contains(&odds), "{j}: {odds}");
        let parts = |measured| -> [f64; 4] {
            [&references, &dear, &cheap, &simulated].map(|guess| guess.belief.share_of(measured))
        };
        let (few, more) = (parts(3), parts(6));
        assert!((few.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{few:?}");
        assert!((few[0] - few[1] - few[2]).abs() < 1e-12, "{few:?}");
        // What new kinds of layers cost, six measurements tell four times as well.
        assert_eq!(more, [few[0], few[1] / 4.0, few[2] / 4.0, few[3]]);
        let (carried, simulated) = (references.latencies, simulated.latencies);
        assert_eq!((carried.rows, carried.cols), (500, 1));
        let own = pearson(&simulated.data, &logs(&spaces.device(1, shares)));
        assert!(own > 0.85, "{j}: {own}");
        let alike: Vec<f64> =
            devices.map(|d| pearson(&carried.data, &logs(&spaces.device(1, d)))).to_vec();
        let most = (0..3).max_by(|&a, &b| alike[a].total_cmp(&alike[b]));
        assert!(most == Some(j) && alike[j] > 0.97, "{j}: {alike:?}");
    }
}

/// Cells have no depthwise convolution and no shuffle, chains no pooling.
#[test]
fn new_kinds_of_layers_cost_more_or_less_in_two_guesses() {
    let spaces = Spaces::new();
    let chains = &spaces.pools[1].archs;
    let (rows, values) = spaces.measured([0.5, 0.1, 0.4], 20);
    let guesses = spaces.carry(&DEVICES, (&rows, &values));
    let new = |which: usize| -> Vec<f64> {
        let all: Vec<usize> = (0..500).collect();
        let said = guesses[0].latencies.standardised_by(&all);
        said.data
            .iter()
            .zip(&guesses[which].latencies.data)
            .map(|(said, guess)| guess - said)
            .collect()
    };
    let (dear, cheap) = (new(1), new(2));
    // What is dearer by .7 deviations in one is cheaper by .4 in the other.
    assert!(dear.iter().zip(&cheap).all(|(d, c)| (d * 4.0 + c * 7.0).abs() < 1e-9));
    // One depthwise convolution a block; the last choice is to leave the block out.
    let blocks = |arch: &Architecture| arch.codes().iter().filter(|c| **c < 8).count() as f64;
    let blocks: Vec<f64> = chains.iter().map(blocks).collect();
    assert!(pearson(&dear, &blocks) > 0.5, "{}", pearson(&dear, &blocks));
    // Dense convolutions differ in both spaces: networks that differ in them alone are as new.
    let convolutions = AnalyticCosts::new(&Space::Fbnet, chains, false).totals;
    let dense: Vec<f64> = (0..500).map(|i| convolutions[(i, 0)]).collect();
    assert!(pearson(&dear, &blocks) > pearson(&dear, &dense));
    // Within one space nothing is new.
    let from = spaces.smooth(0, &DEVICES);
    let within = Bridge::new(&spaces.views[0], &from).unwrap().carry(&rows, &values).unwrap();
    assert_eq!(within.guesses(&spaces.views[0], &from).unwrap().len(), 2);
}

#[test]
fn neither_units_nor_the_order_of_references_matter() {
    let spaces = Spaces::new();
    let (rows, values) = spaces.measured([0.6, 0.3, 0.2], 20);
    let carried = spaces.carry(&DEVICES, (&rows, &values));
    let seconds: Vec<f64> = values.iter().map(|v| v / 1000.0).collect();
    let mut turned = DEVICES;
    turned.reverse();
    let again = spaces.carry(&turned, (&rows, &seconds));
    for (carried, again) in carried.iter().zip(&again) {
        assert!(pearson(&carried.latencies.data, &again.latencies.data) > 1.0 - 1e-6);
        assert!((carried.belief.odds / again.belief.odds - 1.0).abs() < 1e-6);
    }
}

#[test]
fn what_is_carried_over_helps_and_nonsense_does_little_harm() {
    let spaces = Spaces::new();
    let shares = [0.5, 0.1, 0.4];
    let (rows, values) = spaces.measured(shares, 30);
    let carried = spaces.carry(&DEVICES, (&rows, &values));
    // A new space without any source.
    let prior = spaces.views[1].with_sources(&Mat::zeros(500, 0));
    let truth = spaces.device(1, shares);
    let mut shuffled = carried[0].latencies.data.clone();
    shuffled.shuffle(&mut rng(1, "nonsense"));
    let belief = Confidence { odds: 2.0, share: 1.0, fades: false };
    let carry = |data| Guess { latencies: Mat { rows: 500, cols: 1, data }, belief };
    let quality = |prior: &DevicePrior, n: usize| -> f64 {
        let of = |seed: u64| {
            let mut rows: Vec<usize> = (0..500).collect();
            rows.shuffle(&mut rng(seed, "test"));
            let (known, ask) = rows.split_at(n);
            let y: Vec<f64> = known.iter().map(|&r| truth[r]).collect();
            let rest: Vec<f64> = ask.iter().map(|&r| truth[r]).collect();
            spearman(&FewShot::fit(prior, known, &y).unwrap().latencies(prior, ask), &rest)
        };
        (0..3).map(of).sum::<f64>() / 3.0
    };
    let with = prior.clone().with_carried(&carried);
    let (helped, alone) = (quality(&with, 4), quality(&prior, 4));
    assert!(1.0 - helped < 0.7 * (1.0 - alone), "{helped} {alone}");
    let misled = prior.clone().with_carried(&[carry(shuffled)]);
    let (harmed, alone) = (quality(&misled, 15), quality(&prior, 15));
    assert!(harmed > alone - 0.01, "{harmed} {alone}");
    // A constant tells nothing at all.
    let constant = prior.clone().with_carried(&[carry(vec![0.0; 500])]);
    assert_eq!(quality(&constant, 6), quality(&prior, 6));
}

#[test]
fn bad_input_is_told() {
    let spaces = Spaces::new();
    let from = spaces.smooth(0, &DEVICES[..2]);
    let none = Mat::zeros(500, 0);
    let bridge = Bridge::new(&spaces.views[0], &from).unwrap();
    let carried = bridge.carry(&[1, 2, 3], &[1.0, 2.0, 3.0]).unwrap();
    for message in [
        Bridge::new(&spaces.views[0], &none).err().unwrap().to_string(),
        carried.guesses(&spaces.views[1], &none).unwrap_err().to_string(),
    ] {
        assert!(message.contains("measured in both") && message.contains("got 0"), "{message}");
    }
    let fails = |rows: &[usize], y: &[f64]| bridge.carry(rows, y).unwrap_err().to_string();
    let message = fails(&[1, 2, 10_000], &[1.0, 2.0, 3.0]);
    assert!(message.contains("row 10000") && message.contains("another space"), "{message}");
    assert!(fails(&[1, 2, 3], &[1.0, -2.0, 3.0]).contains("latency 1 is -2"));
    assert!(fails(&[1, 2], &[1.0, 2.0]).contains("at least 3"));
}

/// As [`Spaces::device`], a table; of the other space it is in the same columns.
fn table(spaces: &Spaces, space: usize, devices: &[(&str, [f64; 3])], rows: &[usize]) -> Table {
    let pool = &spaces.pools[space];
    let archs = rows.iter().map(|&r| pool.archs[r].clone()).collect();
    let column = |&(_, shares): &(&str, [f64; 3])| {
        let all = spaces.device(space, shares);
        rows.iter().map(|&r| all[r]).collect()
    };
    let names = devices.iter().map(|d| d.0.to_owned()).collect();
    Table::new(pool.space.clone(), archs, names, devices.iter().map(column).collect()).unwrap()
}

#[test]
fn tables_of_two_spaces_make_a_predictor_that_comes_back_from_its_file() {
    let spaces = Spaces::new();
    let [cells, chains] = &spaces.pools;
    let all: Vec<usize> = (0..cells.len().max(chains.len())).collect();
    let names = ["a_ms", "b_ms", "c_ms", "d_ms", "e_ms"];
    let devices: Vec<(&str, [f64; 3])> = names.into_iter().zip(DEVICES).collect();
    let shares = [0.5, 0.1, 0.4];
    let (few, many): (Vec<usize>, Vec<usize>) =
        (vec![7, 150, 320, 500], (0..40).map(|i| 12 * i).collect());
    let make = |file, table: &Table| DeviceTable::new(file, table, None).unwrap();
    let target = make("mine.csv", &table(&spaces, 0, &[("mine_ms", shares)], &few));
    // One of the sources was measured in one space only.
    let sources = [make("cells.csv", &table(&spaces, 0, &devices, &all[..cells.len()]))];
    let there = [
        make("chains.csv", &table(&spaces, 1, &devices[1..], &all[..chains.len()])),
        make("own.csv", &table(&spaces, 1, &[("own_ms", shares)], &many)),
    ];
    let fit = |elsewhere: Option<OtherSpace>| {
        AdaptedLatency::from_tables(cells.clone(), &target, &sources, elsewhere)
    };
    let fitted = fit(Some(OtherSpace { tables: &there, device: "own_ms" })).unwrap();
    let truth = spaces.device(0, shares);
    let said = fitted.predict(&cells.archs);
    let (with, without) = (
        spearman(&said.mean, &truth),
        spearman(&fit(None).unwrap().predict(&cells.archs).mean, &truth),
    );
    assert!(with > 0.97 && with >= without, "{with} {without}");

    // The same as by hand.
    let bridge = Bridge::new(&spaces.views[1], &spaces.smooth(1, &DEVICES[1..])).unwrap();
    let own = spaces.device(1, shares);
    let own: Vec<f64> = many.iter().map(|&r| own[r]).collect();
    let carried = bridge.carry(&many, &own).unwrap();
    let functions = spaces.smooth(0, &DEVICES);
    let shared = Mat::from_fn(functions.rows, 4, |i, j| functions[(i, j + 1)]);
    let prior = spaces.views[0].with_sources(&functions);
    let prior = prior.with_carried(&carried.guesses(&spaces.views[0], &shared).unwrap());
    let y: Vec<f64> = few.iter().map(|&r| truth[r]).collect();
    let by_hand = FewShot::fit(&prior, &few, &y).unwrap().latencies(&prior, &all[..cells.len()]);
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a / b - 1.0).abs() < 1e-6);
    assert!(near(&said.mean, &by_hand));

    // Outside the pool too.
    let others: Vec<_> = Space::NasBench201.iter().skip(1).step_by(97).collect();
    let outside = fitted.predict(&others);
    let rank = spearman(&outside.mean, &spaces.device_of(0, shares, &others));
    assert!(rank > 0.97, "{rank}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.lanner");
    fitted.save(&path).unwrap();
    let again = load(&path).unwrap();
    assert!(near(&again.predict(&cells.archs).low, &said.low));
    assert!(near(&again.predict(&others).high, &outside.high));

    let fails = |tables: &[DeviceTable], device: &str, says: &str| {
        let message = fit(Some(OtherSpace { tables, device })).err().unwrap().to_string();
        assert!(message.contains(says), "{message}");
    };
    fails(&there, "mine_ms", "fbnet have no column 'mine_ms', the device's own; there are: b_ms");
    fails(&there[1..], "own_ms", "share 0 other devices");
    fails(
        &[there.clone(), there.clone()].concat(),
        "own_ms",
        "'own_ms' is a column of own.csv and",
    );
    let accuracies = table(&spaces, 1, &[("accuracy", shares)], &many);
    let message = DeviceTable::new("a.csv", &accuracies, None).unwrap_err().to_string();
    assert!(message.starts_with("a.csv: ") && message.contains("_ms"), "{message}");
    // A column that is named may be called anything.
    assert!(DeviceTable::new("a.csv", &accuracies, Some("accuracy")).is_ok());
}
