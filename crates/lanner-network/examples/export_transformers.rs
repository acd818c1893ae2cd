//! Writes random transformers of every space that `tests/check_transformers.py` checks, with Lanner's counts
//! of their products in `counts.json`.
//!
//! `cargo run --release -p lanner-network --example export_transformers -- FOLDER [COUNT] [SPACE.toml …]`

use std::{error::Error, path::Path};

use lanner_network::{Counter, Init, Skeleton, View};
use lanner_space::{Architecture, Space};
use rand::SeedableRng;

/// Most weights of a network.
const LARGEST: u64 = 250_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("expected a folder to write to")?;
    let count: usize = args.next().map_or(Ok(1), |n| n.parse())?;
    std::fs::create_dir_all(&folder)?;
    let folder = Path::new(&folder);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let mut spaces: Vec<Space> = Space::ALL.into_iter().collect();
    for file in args {
        spaces.push(Space::by_name(&file)?);
    }
    let mut counts = serde_json::Map::new();
    for space in spaces {
        let Ok(skeleton) = Skeleton::of(&space) else { continue };
        if !skeleton.is_transformer() {
            continue;
        }
        let counter = Counter::new(skeleton.clone());
        for n in 0..count {
            // Larger ones take minutes to run.
            let runs_soon = |arch: &Architecture| {
                counter.counts(arch, View::Pruned).is_ok_and(|cost| cost.params <= LARGEST)
            };
            let mut drawn = (0..1000).map(|_| space.sample(&mut rng));
            let Some(arch) = drawn.find(runs_soon) else { continue };
            let network = skeleton.tensors(&arch)?;
            let name = format!("{}-{n}", space.name());
            std::fs::write(
                folder.join(format!("{name}.onnx")),
                network.encode(Init { seed: 1 }, None)?,
            )?;
            let cost = network.graph().cost();
            counts.insert(
                name,
                serde_json::json!({
                    "products": cost.products, "params": cost.params,
                }),
            );
        }
    }
    std::fs::write(folder.join("counts.json"), serde_json::to_string(&counts)?)?;
    println!("{} models", counts.len());
    Ok(())
}
