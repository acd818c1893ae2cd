use lanner_network::*;
use lanner_nn::*;
use lanner_space::Architecture;
fn main() {
    let net = Nasbench201::default().build(&Architecture::new([3; 6]), View::Pruned).unwrap();
    let w = Weights::init(&net, Init { seed: 1 });
    let p = Params::<f32>::from_weights(&net, &w).unwrap();
    let mut e =
        Executor::new(&net, 64, Options { threads: 1, training: true, ..Options::default() })
            .unwrap();
    println!("{} MB", e.memory() >> 20);
    let mut im = vec![0.0; 64 * 3072];
    uniform(&mut im, 1.0, &mut rng(1, "b"));
    let d = vec![0.01; 640];
    let mut g = vec![0.0; p.values.len()];
    for _ in 0..8 {
        let t = std::time::Instant::now();
        e.forward(&p, &im, Mode::Batch, &()).unwrap();
        let f = t.elapsed();
        e.backward(&p, &d, Wants::PARAMS, &mut g, &()).unwrap();
        println!("{:?} {:?}", f, t.elapsed());
    }
}
