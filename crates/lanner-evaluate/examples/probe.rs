use lanner_evaluate::measure::*;
use lanner_network::*;
use lanner_space::Space;
use std::time::Instant;
fn main() {
    let rt = Rten::new(1);
    let space = Space::NasBench201;
    let onnx = |a: &str| {
        let arch = space.parse(a).unwrap();
        let net = Nasbench201::default().build(&arch, View::Pruned).unwrap();
        let (net, w) = Weights::init(&net, Init { seed: 0 }).fold(&net).unwrap();
        onnx::encode(&net, &w, OnnxOptions::default()).unwrap()
    };
    let mut reference = Reference::new(rt.load(&onnx("302143")).unwrap(), None).unwrap();
    println!("reference {}", reference.baseline_ms);
    let mut rng = lanner_nn::rng(std::env::args().nth(1).map_or(1, |s| s.parse().unwrap()), "probe");
    let tol: f64 = std::env::args().nth(2).map_or(0.01, |s| s.parse().unwrap());
    let archs: Vec<_> = (0..60).map(|_| space.print(&space.sample(&mut rng))).collect();
    for pass in 0..3 {
        let t = Instant::now();
        for a in &archs {
            let mut s = rt.load(&onnx(a)).unwrap();
            let m = Protocol::Adaptive(Adaptive { tolerance: tol, ..Default::default() }).measure(&mut *s, Some(&mut reference)).unwrap();
            let raw = median(&m.blocks.iter().map(|b| b.median_ms).collect::<Vec<_>>());
            println!("{pass} {a} {} {} {} {} {} {raw}", m.latency_ms, m.error_ms, m.runs, m.drift, m.blocks.len());
            for b in &m.blocks { eprintln!("{pass} {a} {} {} {}", b.runs, b.median_ms, b.reference_ms); }
        }
        println!("# {:?}", t.elapsed());
    }
}
