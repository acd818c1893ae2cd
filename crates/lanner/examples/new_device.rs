//! Problem: how long does each network of a search space take on a device that nobody has measured yet?
//! Answered from ten measurements and the latencies of two other devices, on made-up numbers.
//!
//! `cargo run --release -p lanner --example new_device`

use lanner::data::Table;
use lanner::predict::latency::LatencyFeatures;
use lanner::predict::latency::adapted::{AdaptedLatency, DeviceTable};
use lanner::predict::predictor::Predictor;
use lanner::predict::{Pool, PredictError, choose, metrics};
use lanner::space::{Architecture, Space};

/// Stands for measuring: a device that takes this many milliseconds for each operation that is computed.
fn measure(space: &Space, archs: &[Architecture], ms: [f64; 5]) -> Vec<f64> {
    let one = |arch: &Architecture| {
        let live = arch.codes().iter().zip(space.live(arch)).filter(|x| x.1);
        1.0 + live.map(|(&code, _)| ms[usize::from(code)]).sum::<f64>()
    };
    archs.iter().map(one).collect()
}

fn main() -> Result<(), PredictError> {
    let space = Space::NasBench201;
    let pool = Pool::whole(space.clone());

    // Other devices. `Table::read("devices.csv", &space)` reads a real table, whose columns end in _ms.
    let known: Vec<Architecture> = pool.archs.iter().step_by(20).cloned().collect();
    let phone = measure(&space, &known, [0.0, 0.1, 1.0, 3.0, 0.5]);
    let server = measure(&space, &known, [0.0, 0.0, 0.4, 2.0, 1.0]);
    let names = vec!["phone_ms".into(), "server_ms".into()];
    let others = Table::new(space.clone(), known, names, vec![phone, server])?;
    let others = DeviceTable::new("other devices", &others, None)?;

    // Ten networks that tell the most about all others, measured on the new device.
    let mine = [0.0, 0.1, 0.8, 2.5, 0.9];
    let rows: Vec<usize> = (0..pool.len()).step_by(10).collect();
    let ten = choose(&LatencyFeatures::new(&pool), &rows, 10, 0);
    let ten: Vec<Architecture> = ten.iter().map(|&row| pool.archs[row].clone()).collect();
    let values = measure(&space, &ten, mine);
    let ten = Table::new(space.clone(), ten, vec!["mine_ms".into()], vec![values])?;
    let ten = DeviceTable::new("mine", &ten, None)?;

    let predictor = AdaptedLatency::from_tables(pool.clone(), &ten, &[others], None)?;
    let forecast = predictor.predict(&pool.archs);
    let truth = measure(&space, &pool.archs, mine);
    let rank = metrics::spearman(&forecast.mean, &truth);
    println!("{}: rank correlation {rank:.3}", predictor.describe());
    let (low, high, arch) = (forecast.low[7], forecast.high[7], space.print(&pool.archs[7]));
    println!("{low:.2} to {high:.2} ms, in truth {:.2}: {arch}", truth[7]);
    // For `lanner rank` and `lanner search`.
    predictor.save("new-device.lanner".as_ref())
}
