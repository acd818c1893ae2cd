//! Problem: which networks are the most accurate on a new data set, when twenty of them are trained?
//! Answered with the accuracies of another search space on another data set, on made-up numbers.
//!
//! `cargo run --release -p lanner --example new_task`

use lanner::data::{DataError, Table};
use lanner::predict::accuracy::adapted::{TaskPredictor, TaskTable};
use lanner::predict::predictor::Predictor;
use lanner::predict::{distinct, metrics};
use lanner::space::{Architecture, Space};

/// Stands for training: convolutions on the cell's live edges are worth something, dead ones are not.
fn train(space: &Space, archs: &[Architecture], worth: [f64; 5]) -> Vec<f64> {
    let one = |arch: &Architecture| {
        let live = arch.codes().iter().zip(space.live(arch)).filter(|x| x.1);
        let sum: f64 = live.map(|(&code, _)| worth[usize::from(code)]).sum();
        100.0 * (1.0 - (-0.3 - 0.2 * sum).exp())
    };
    archs.iter().map(one).collect()
}

/// Some networks of a space at random with their accuracies; `Table::read` reads a real table. Columns of
/// zero-cost proxies, as `lanner proxies` writes them, would be made use of.
fn trained(space: &Space, count: usize, worth: [f64; 5]) -> Result<Table, DataError> {
    let archs = distinct(space, count, &mut lanner::nn::rng(count as u64, "networks to train"));
    let values = train(space, &archs, worth);
    Table::new(space.clone(), archs, vec!["accuracy".into()], vec![values])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (space, other) = (Space::by_name("transbench101-micro")?, Space::NasBench201);
    let worth = [0.0, 1.0, 2.0, 3.0, 0.0];
    let twenty = TaskTable::new("mine", &trained(&space, 20, worth)?, "accuracy")?;
    let source = trained(&other, 1000, [0.0, 0.5, 1.5, 3.0, 1.0])?;
    let source = TaskTable::new("the other data set", &source, "accuracy")?;

    let archs: Vec<Architecture> = space.iter().collect();
    let truth = train(&space, &archs, worth);
    for sources in [vec![], vec![source]] {
        let predictor = TaskPredictor::fit(twenty.clone(), sources, vec![])?;
        let forecast = predictor.predict(&archs);
        let best = (0..archs.len()).max_by(|&a, &b| forecast.mean[a].total_cmp(&forecast.mean[b]));
        let best = best.unwrap_or(0);
        println!(
            "{}: rank correlation {:.3}; the best is said to be {} ({:.1} to {:.1} %, in truth {:.1})",
            predictor.describe(),
            metrics::spearman(&forecast.mean, &truth),
            space.print(&archs[best]),
            forecast.low[best],
            forecast.high[best],
            truth[best]
        );
    }
    Ok(())
}
