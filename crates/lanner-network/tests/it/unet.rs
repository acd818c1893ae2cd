//! U-Nets of files: stages that double the resolution and join earlier ones.

use lanner_network::{
    Builder, Cost, Diagram, Init, Network, NetworkError, OnnxOptions, Op, Shape, Skeleton,
    TensorNetwork, View, Weights, onnx,
};
use lanner_space::Space;
use rand::SeedableRng;

fn text() -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    std::fs::read_to_string(folder.join("unet.toml")).unwrap()
}

fn network(space: &Space, text: &str) -> Network {
    Skeleton::of(space).unwrap().build(&space.parse(text).unwrap(), View::Raw).unwrap()
}

/// Parameters of a convolution with its batch norm.
fn conv(inputs: u64, out: u64, kernel: u64) -> u64 {
    inputs * out * kernel * kernel + 2 * out
}

const SMALL: &str =
    "w16:conv_k3_relu/w32:conv_k5_relu/w64:residual_k3_relu/w48:conv_k3_relu/w16:conv_k1_relu";

#[test]
fn costs_are_those_counted_by_hand() {
    let space = Space::from_toml(&text()).unwrap();
    let net = network(&space, SMALL);
    let residual = conv(32, 64, 3) + conv(64, 64, 3) + conv(32, 64, 1);
    // Up to 48 channels, beside the 32 of the second stage.
    let first_up = 64 * 48 * 4 + 2 * 48 + conv(48 + 32, 48, 3);
    // The first stage's 16 channels become the 48 of the map that they are added to.
    let second_up = conv(16, 48, 1) + conv(48, 16, 1);
    let params =
        conv(3, 16, 3) + conv(16, 16, 3) + conv(16, 32, 5) + residual + first_up + second_up;
    let cost = Cost::of(&net);
    assert_eq!(cost.params, params + 16 * 3 + 3);
    assert_eq!((net.output(), net.input()), (Shape::new(3, 64, 64), Shape::new(3, 64, 64)));
    // A transposed convolution of kernel and stride 2: one tap a channel for each value.
    let at = |op: &str| net.layers.iter().position(|l| l.op.name() == op).unwrap();
    let up = &cost.layers[at("up_conv")];
    assert_eq!((up.macs, up.flops), (64 * 48 * 32 * 32, 64 * 48 * 32 * 32));
    assert_eq!(net.layers[at("upsample")].shape, Shape::new(48, 64, 64));
    assert_eq!(net.layers[at("concat")].shape, Shape::new(48 + 32, 32, 32));
    // A skip takes the last map of its size on the way down.
    let joined = net.layers[at("concat")].inputs[1];
    assert!(net.layers[joined].name.starts_with("stage2."), "{}", net.layers[joined].name);
    // The map of the first stage stays until it is joined.
    assert!(cost.peak_bytes >= Shape::new(16 + 48 + 48, 64, 64).bytes());
}

/// The example of docs/spaces.md.
#[test]
fn the_documented_file_is_one() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = std::fs::read_to_string(folder.join("spaces.md")).unwrap();
    let (_, part) = page.split_once("#### U-Nets").unwrap();
    let (_, code) = part.split_once("```toml\n").unwrap();
    let space = Space::from_toml(code.split_once("```").unwrap().0).unwrap();
    // Two widths, and one or two layers: residual of two kernels, mb of two.
    assert_eq!(space.size(), 2 * (4 + 16));
    for arch in space.iter() {
        let net = Skeleton::of(&space).unwrap().build(&arch, View::Raw).unwrap();
        assert_eq!(net.output(), Shape::new(3, 64, 64));
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        space.check(&space.mutate(&arch, &mut rng)).unwrap();
    }
}

#[test]
fn onnx_has_the_same_graph_and_costs() {
    let space = Space::from_toml(&text()).unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    for _ in 0..20 {
        let arch = space.sample(&mut rng);
        let skeleton = Skeleton::of(&space).unwrap();
        let net = skeleton.build(&arch, View::Pruned).unwrap();
        let graph = TensorNetwork::of(&net).unwrap();
        let (counted, cost) = (graph.cost(), Cost::of(&net));
        assert!(counted.unknown.is_empty(), "{:?}", counted.unknown);
        assert_eq!((counted.macs, graph.params), (cost.macs, cost.params));
        assert_eq!(graph.tensors[graph.outputs[0]].dims, [1, 3, 64, 64]);
        let weights = Weights::init(&net, Init { seed: 1 });
        for precision in [lanner_network::Precision::F32, lanner_network::Precision::Int8] {
            let options = OnnxOptions { precision, ..OnnxOptions::default() };
            let bytes = onnx::encode(&net, &weights, options).unwrap();
            assert!(
                bytes.len() as u64 > if precision == options.precision { cost.params } else { 0 }
            );
        }
        let svg = Diagram::svg("unet", &[Diagram::blocks(&net, &cost), Diagram::layers(&net)]);
        assert!(svg.contains("upsample 2×2") && svg.contains("up_conv 2×2"));
        assert!(Diagram::dot(&[Diagram::layers(&net)]).starts_with("digraph"));
        let (folded, weights) = weights.fold(&net).unwrap();
        onnx::encode(&folded, &weights, OnnxOptions::default()).unwrap();
    }
}

#[test]
fn signals_double_their_length_and_maps_may_be_the_end() {
    let signals = text()
        .replace("resolution = 64", "input = [2, 4096]")
        .replace("classes = 3", "")
        .replace("dense = true ", "head = 8 ");
    let space = Space::from_toml(&signals).unwrap();
    let net = network(&space, SMALL);
    assert_eq!(net.output(), Shape::new(8, 1, 4096));
    assert!(net.layers.iter().any(|l| l.op == Op::Upsample { flat: true }));
    let up = |l: &&lanner_network::Layer| matches!(l.op, Op::UpConv { flat: true, .. });
    let at = net.layers.iter().position(|l| up(&l)).unwrap();
    assert_eq!(Cost::of(&net).layers[at].params, 64 * 48 * 2);
    assert_eq!(TensorNetwork::of(&net).unwrap().cost().macs, Cost::of(&net).macs);
    // Four times as large as the image: super-resolution.
    let larger = text()
        .replace("stride = 2\n", "")
        .replace("skip = \"concat\" ", "# ")
        .replace("skip = \"add\" ", "# ");
    let net = network(&Space::from_toml(&larger).unwrap(), SMALL);
    assert_eq!(net.output(), Shape::new(3, 256, 256));
}

#[test]
fn sizes_that_do_not_fit_are_told() {
    let space = Space::from_toml(&text()).unwrap();
    let skeleton = |resolution| Skeleton { resolution, ..Skeleton::of(&space).unwrap() };
    let arch = space.parse(SMALL).unwrap();
    assert_eq!(skeleton(96).build(&arch, View::Raw).unwrap().output(), Shape::new(3, 96, 96));
    let error = skeleton(66).build(&arch, View::Raw).unwrap_err();
    assert!(matches!(error, NetworkError::Value { name: "resolution", .. }), "{error}");
    assert!(error.to_string().contains("a multiple of 4"), "{error}");
    let mut net = Builder::new("wide", Shape::new(3, 4, usize::MAX / 2 + 1)).unwrap();
    assert!(net.add("up", Op::Upsample { flat: false }, &[0]).is_err());
    let mut net = Builder::new("none", Shape::new(3, 4, 4)).unwrap();
    assert!(net.add("up", Op::UpConv { out_channels: 0, flat: false }, &[0]).is_err());
}
