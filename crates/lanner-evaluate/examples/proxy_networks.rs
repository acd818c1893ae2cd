//! Prints networks as JSON lines for `benches/peers/proxies_torch.py`: the small ones of the golden
//! file, or with `bench N` N random ones at full size. With `time N`, computes the proxies of those
//! instead, all of them and the thirteen of NAS-Bench-Suite-Zero, and prints the processor time of the main
//! thread (Linux; the proxies take one thread), the ratio of the two and the largest growth of the process;
//! with `time N each`, also the time of each proxy alone.

use std::error::Error;

use lanner_evaluate::proxies::{Batch, Proxy, ProxyOptions, compute};
use lanner_network::{Cost, Nasbench201, Network, Skeleton, View, json};
use lanner_space::{Architecture, Space};
use serde_json::json;

/// Cells of the golden file, with 6 channels and one cell a stage at 16 × 16 pixels: a dense one, a
/// mixed one, one of pools and skips, and a disconnected one.
const GOLDEN: [&str; 4] = [
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|",
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|none~1|none~2|",
];

/// An architecture of each other space whose proxies are published, with channels, cells, pixels.
const OTHERS: [(&str, &str, [usize; 3]); 5] = [
    (
        "nasbench101",
        r#"{"matrix": [[0,1,1,0,0,0,1],[0,0,0,1,0,0,0],[0,0,0,1,1,0,0],[0,0,0,0,0,1,0],[0,0,0,0,0,1,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,0]], "ops": ["input","conv3x3-bn-relu","maxpool3x3","conv1x1-bn-relu","conv3x3-bn-relu","conv1x1-bn-relu","output"]}"#,
        [8, 1, 16],
    ),
    (
        "darts",
        "Genotype(normal=[('sep_conv_3x3', 0), ('dil_conv_5x5', 1), ('skip_connect', 0), ('max_pool_3x3', 2), ('avg_pool_3x3', 1), ('sep_conv_5x5', 3), ('dil_conv_3x3', 2), ('skip_connect', 4)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 0), ('dil_conv_3x3', 2), ('skip_connect', 0), ('avg_pool_3x3', 1), ('sep_conv_5x5', 2), ('dil_conv_5x5', 4)], reduce_concat=range(2, 6))",
        [4, 3, 16],
    ),
    ("fbnet", "7818488874147327324245", [64, 0, 32]),
    ("transbench101-micro", "64-41414-1_02_333", [8, 1, 32]),
    ("transbench101-macro", "1243", [8, 2, 32]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let space = Space::NasBench201;
    let (mode, count) = match &arguments[..] {
        [mode, count, ..] => (mode.as_str(), count.parse()?),
        _ => ("golden", 0),
    };
    let (archs, skeleton): (Vec<Architecture>, _) = if mode == "golden" {
        let archs = GOLDEN.iter().map(|text| space.parse(text)).collect::<Result<_, _>>()?;
        (archs, Nasbench201 { channels: 6, cells: 1, resolution: 16, classes: 10 })
    } else {
        let mut generator = lanner_nn::rng(7, "networks to compare proxies on");
        let archs = (0..count).map(|_| space.sample(&mut generator)).collect();
        (archs, Nasbench201::default())
    };
    let networks: Vec<Network> =
        archs.iter().map(|a| skeleton.build(a, View::Raw)).collect::<Result<_, _>>()?;
    if mode == "time" {
        return time(&networks, arguments.len() > 2);
    }
    for network in networks {
        println!("{}", json(&network, &Cost::of(&network)));
    }
    for (name, arch, sizes) in OTHERS.into_iter().filter(|_| mode == "golden") {
        let space = Space::by_name(name)?;
        let [channels, cells, resolution] = sizes;
        let published = Skeleton::of(&space)?;
        let skeleton = Skeleton { channels, cells, resolution, classes: 10, ..published };
        let network = skeleton.build(&space.parse(arch)?, View::Raw)?;
        let mut description = json(&network, &Cost::of(&network));
        description["other"] = json!({ "space": name, "arch": arch, "sizes": sizes });
        println!("{description}");
    }
    Ok(())
}

/// The proxies of NAS-Bench-Suite-Zero.
const THIRTEEN: [Proxy; 13] = [
    Proxy::EpeNas,
    Proxy::Fisher,
    Proxy::Flops,
    Proxy::GradNorm,
    Proxy::Grasp,
    Proxy::Jacov,
    Proxy::L2Norm,
    Proxy::Nwot,
    Proxy::Params,
    Proxy::Plain,
    Proxy::Snip,
    Proxy::Synflow,
    Proxy::Zen,
];

fn time(networks: &[Network], each: bool) -> Result<(), Box<dyn Error>> {
    let options = ProxyOptions::default();
    let (start_up, mut times) = (peak()?, [Vec::new(), Vec::new()]);
    for network in networks {
        let batch = Batch::random(64, network.input().len(), network.output().len(), 1);
        let seconds = |wanted: &[Proxy]| -> Result<f64, Box<dyn Error>> {
            let start = on_processor()?;
            compute(network, &batch, wanted, &options)?;
            Ok(on_processor()? - start)
        };
        let mut parts = String::new();
        for proxy in Proxy::ALL.into_iter().filter(|_| each) {
            parts += &format!(" {proxy} {:.3}", seconds(&[proxy])?);
        }
        let (thirteen, all) = (seconds(&THIRTEEN)?, seconds(&Proxy::ALL)?);
        times[0].push(thirteen);
        times[1].push(all);
        println!("{} thirteen {thirteen:.3} s, all {all:.3} s{parts}", network.name);
    }
    let n = networks.len() as f64;
    let mean = |of: &[f64]| of.iter().sum::<f64>() / n;
    let geometric = |of: &[f64]| (of.iter().map(|t| t.ln()).sum::<f64>() / n).exp();
    for (name, of) in ["thirteen", "all"].iter().zip(&times) {
        println!("{name}: mean {:.3} s, geometric {:.3} s", mean(of), geometric(of));
    }
    let ratios: Vec<f64> = times[0].iter().zip(&times[1]).map(|(few, all)| all / few).collect();
    println!(
        "all {} against thirteen: {:.2} of the sum, geometric {:.2} ({:.2} to {:.2}); grew by {:.0} MiB over \
         {start_up:.0}",
        Proxy::ALL.len(),
        mean(&times[1]) / mean(&times[0]),
        geometric(&ratios),
        ratios.iter().copied().fold(f64::INFINITY, f64::min),
        ratios.iter().copied().fold(0.0, f64::max),
        peak()? - start_up
    );
    Ok(())
}

/// Processor time of the main thread, in seconds.
fn on_processor() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("no time")?.parse::<f64>()? / 1e9)
}

/// Peak memory of the process, in MiB.
fn peak() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).ok_or("no peak")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
