//! Prints the networks of the benchmark as JSON, one a line, for `benches/peers/executor_torch.py`.

use lanner_network::{Cost, Nasbench201, View, json};
use lanner_space::{Architecture, Space};

fn main() {
    let some = [Architecture::new([3; 6]), Architecture::new([3, 1, 4, 2, 0, 3])];
    for arch in some.into_iter().chain(Space::NasBench201.iter().step_by(751).take(20)) {
        let network = Nasbench201::default().build(&arch, View::Pruned).expect("a valid option");
        println!("{}", json(&network, &Cost::of(&network)));
    }
}
