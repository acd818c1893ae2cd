//! Networks as JSON lines for `benches/peers/proxies_torch.py`: the small ones of the golden file, or
//! with `bench N` so many random ones at full size.

use std::error::Error;

use lanner_network::{Cost, Nasbench201, View, json};
use lanner_space::{Architecture, Space};

/// Of the golden file: a dense cell, a mixed one, one of pools and skips, one that is disconnected.
const GOLDEN: [&str; 4] = [
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|",
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|none~1|none~2|",
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let space = Space::NasBench201;
    let (archs, skeleton): (Vec<Architecture>, _) = match &arguments[..] {
        [mode, count] if mode == "bench" => {
            let mut generator = lanner_nn::rng(7, "networks to compare proxies on");
            let count: usize = count.parse()?;
            let archs = (0..count).map(|_| space.sample(&mut generator)).collect();
            (archs, Nasbench201::default())
        }
        _ => {
            let archs = GOLDEN.iter().map(|text| space.parse(text)).collect::<Result<_, _>>()?;
            (archs, Nasbench201 { channels: 6, cells: 1, resolution: 16, classes: 10 })
        }
    };
    for arch in archs {
        let network = skeleton.build(&arch, View::Raw)?;
        println!("{}", json(&network, &Cost::of(&network)));
    }
    Ok(())
}
