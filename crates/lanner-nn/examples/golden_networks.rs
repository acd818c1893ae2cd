//! Prints the networks of the golden tests, one JSON object a line with the batch beside it, for
//! `benches/peers/executor_torch.py`.

#[allow(dead_code)] // the tests use the rest
#[path = "../tests/it/networks.rs"]
mod networks;

use lanner_network::{Cost, json};

fn main() {
    for (name, network, batch) in networks::golden() {
        let mut value = json(&network, &Cost::of(&network));
        value["golden"] = name.into();
        value["batch"] = batch.into();
        println!("{value}");
    }
}
