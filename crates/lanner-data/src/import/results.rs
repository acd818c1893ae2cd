//! Reads the results of one architecture in NAS-Bench-201 and NATS-Bench, and takes their means.
//!
//! Facts from the authors' readers (D-X-Y/NATS-Bench, `nats_bench/api_utils.py`; the same in
//! D-X-Y/NAS-Bench-201): each set of hyper-parameters has a state with `all_results`, a dict from
//! (data set, seed) to a trial, and `dataset_seed`, which lists the seeds that count. A trial has
//! `epochs`; `eval_acc1es`, top-1 accuracies in percent under `<set>@<epoch>`, epochs from 0; `flop`
//! and `params` in millions; and `latency`, a list of seconds, or none. The metric of a network is
//! the last epoch's, averaged over seeds.

use std::collections::BTreeMap;

use crate::pickle::Item;

/// Keys of a trial that are not needed, and are most of the file.
pub(super) const UNWANTED: [&str; 8] = [
    "net_state_dict",
    "train_losses",
    "train_times",
    "train_acc1es",
    "train_acc5es",
    "eval_acc5es",
    "eval_losses",
    "eval_times",
];

/// Values of one architecture by column name.
pub(super) type Metrics = BTreeMap<String, f64>;

/// Adds the metrics of a state. `hp` names its hyper-parameters: the number of epochs.
///
/// | data set | set of the file | column |
/// |---|---|---|
/// | `cifar10` (trained on train + validation) | `ori-test` | `cifar10_test_<hp>` |
/// | `cifar10-valid` (trained on train) | `x-valid` | `cifar10-valid_val_<hp>` |
/// | | `ori-test` | `cifar10-valid_test_<hp>` |
/// | `cifar100`, `ImageNet16-120` | `x-valid`, `x-test` | `…_val_<hp>`, `…_test_<hp>` |
/// | | `ori-test` (validation + test) | `…_valtest_<hp>` |
///
/// The costs `…_flops_M`, `…_params_M` and `…_latency_ms` come from the first `hp` that has them.
pub(super) fn collect(state: Item<'_>, hp: &str, into: &mut Metrics) -> Result<(), String> {
    let results = state
        .get("all_results")
        .and_then(Item::dict)
        .ok_or("results without a dict 'all_results'")?;
    let seeds = state.get("dataset_seed");
    let mut means: BTreeMap<String, Mean> = BTreeMap::new();
    for (key, trial) in results {
        let mut parts = key.list().ok_or("a trial's key is not a tuple of data set and seed")?;
        let (Some(data), Some(seed)) =
            (parts.next().and_then(Item::str), parts.next().and_then(Item::int))
        else {
            return Err("a trial's key is not a tuple of data set and seed".into());
        };
        if let Some(mut listed) = seeds.and_then(|s| s.get(data)).and_then(Item::list)
            && !listed.any(|s| s.int() == Some(seed))
        {
            continue;
        }
        let epochs = trial.get("epochs").and_then(Item::int).ok_or("a trial without 'epochs'")?;
        for (name, accuracy) in trial.get("eval_acc1es").and_then(Item::dict).into_iter().flatten()
        {
            let Some((set, epoch)) = name.str().and_then(|n| n.split_once('@')) else {
                return Err("an accuracy is not called <set>@<epoch>".into());
            };
            if epoch.parse() == Ok(epochs - 1)
                && let Some(split) = split_name(data, set)
            {
                let accuracy = match accuracy.number() {
                    Some(a) if (0.0..=100.0).contains(&a) => a,
                    Some(a) => {
                        return Err(format!("{set}@{epoch} of {data} is {a}, expected 0 to 100"));
                    }
                    None => return Err(format!("{set}@{epoch} of {data} is {}", accuracy.kind())),
                };
                means.entry(format!("{data}_{split}_{hp}")).or_default().add(accuracy);
            }
        }
        let mut cost = |name: &str, value: Option<f64>| {
            if let Some(value) = value.filter(|v| v.is_finite() && *v > 0.0) {
                means.entry(format!("{data}_{name}")).or_default().add(value);
            }
        };
        cost("flops_M", trial.get("flop").and_then(Item::number));
        cost("params_M", trial.get("params").and_then(Item::number));
        let seconds = trial.get("latency").and_then(Item::numbers).unwrap_or_default();
        let seconds = seconds.iter().sum::<f64>() / seconds.len() as f64;
        cost("latency_ms", Some(seconds * 1000.0));
    }
    for (name, mean) in means {
        into.entry(name).or_insert_with(|| mean.value());
    }
    Ok(())
}

fn split_name(data: &str, set: &str) -> Option<&'static str> {
    match (set, data) {
        ("x-valid", _) => Some("val"),
        ("x-test", _) | ("ori-test", "cifar10" | "cifar10-valid") => Some("test"),
        ("ori-test", _) => Some("valtest"),
        _ => None,
    }
}

#[derive(Default)]
struct Mean {
    sum: f64,
    n: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    fn value(&self) -> f64 {
        self.sum / f64::from(self.n)
    }
}
