//! Networks of transformers: costs against counts by formula and published ones, for every space.

use lanner_network::{Init, NetworkError, Skeleton, TensorOp, View, onnx};
use lanner_space::family::TransformerBlock;
use lanner_space::{Space, View as SpaceView};
use rand::SeedableRng;

fn spaces() -> impl Iterator<Item = Space> {
    Space::ALL.into_iter().filter(|space| space.stages().is_some() && space.is_counted())
}

/// Weights are those of the blocks, which tests of lanner-space compare with published numbers. Products are,
/// too: only the blocks take the token of the class for a patch, and patches between stages are counted there
/// as tokens of the next stage.
#[test]
fn costs_are_those_of_the_blocks() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    for space in spaces() {
        let skeleton = Skeleton::of(&space).unwrap();
        for _ in 0..3 {
            let arch = space.sample(&mut rng);
            let network = skeleton.tensors(&arch).unwrap();
            let cost = network.graph().cost();
            let blocks = space.stages().unwrap().blocks(&arch);
            let sum = |of: fn(&TransformerBlock) -> f64| blocks.iter().map(of).sum::<f64>();
            let text = space.print(&arch);
            assert_eq!(cost.params as f64, sum(TransformerBlock::params), "{space} {text}");
            let macs = sum(TransformerBlock::macs);
            let ratio = cost.products as f64 / macs;
            assert!((ratio - 1.0).abs() < 0.005, "{space}: {ratio} {text}");
            if space != Space::Pit && !space.name().starts_with("autoformer") {
                assert_eq!(cost.products as f64, macs, "{space} {text}");
            }
            assert!(cost.unknown.is_empty() && cost.weight_bytes == 4 * cost.params, "{space}");
            let counts = skeleton.counts(&arch, View::Pruned).unwrap();
            assert_eq!((counts.flops, counts.params), (cost.flops, cost.params));
            assert!(skeleton.graph(&arch, View::Pruned).unwrap() == *network.graph());
        }
    }
}

/// 1,258,384,320 multiply-accumulates of DeiT-Ti, as fvcore counts timm's deit_tiny_patch16_224: without
/// those of the attention 1,074,797,952 (Touvron et al. 2021 tell 1.3 billion).
#[test]
fn a_vision_transformer_has_the_published_products() {
    let space = Space::AutoFormerTiny;
    let list = |value: &str| [value; 12].join(",");
    let text = format!(
        "{{\"embed_dim\":192,\"depth\":12,\"heads\":[{}],\"mlp_ratio\":[{}]}}",
        list("3"),
        list("4")
    );
    let skeleton = Skeleton::of(&space).unwrap();
    let network = skeleton.tensors(&space.parse(&text).unwrap()).unwrap();
    let graph = network.graph();
    let of = |kind| graph.nodes.iter().filter(|n| n.kind == kind).map(|n| n.products).sum::<u64>();
    assert_eq!(of(TensorOp::Conv), 196 * 192 * 768);
    assert_eq!(of(TensorOp::MatMul), 12 * 2 * 197 * 197 * 192);
    let linear = 12 * 197 * 192 * 192 * (3 + 1 + 8) + 192 * 1000;
    assert_eq!(of(TensorOp::Linear), linear);
    assert_eq!(graph.cost().params, 5_717_416);
    // Other sizes than the published ones.
    let small = Skeleton { resolution: 96, classes: 10, ..skeleton };
    let graph = small.tensors(&space.parse(&text).unwrap()).unwrap();
    assert_eq!(graph.graph().tensors[graph.graph().inputs[0]].dims, [1, 3, 96, 96]);
    assert_eq!(graph.graph().tensors[graph.graph().outputs[0]].dims, [1, 10]);
}

#[test]
fn files_have_the_weights_of_their_seed_and_any_batch() {
    let space = Space::AutoFormerTiny;
    let arch = space.at(5).unwrap();
    let skeleton = Skeleton { resolution: 32, classes: 7, ..Skeleton::of(&space).unwrap() };
    let network = skeleton.tensors(&arch).unwrap();
    let encode = |seed, batch| network.encode(Init { seed }, batch).unwrap();
    let one = encode(1, Some(1));
    assert!(one == encode(1, Some(1)) && one != encode(2, Some(1)));
    for (batch, read) in [(None, Some(3)), (Some(3), None)] {
        let options = onnx::ReadOptions { batch: read, ..Default::default() };
        let graph = onnx::read(&encode(1, batch), &options).unwrap();
        assert_eq!(graph.tensors[graph.outputs[0]].dims, [3, 7]);
        assert_eq!(graph.cost().products, 3 * network.graph().cost().products);
    }
    assert!(network.encode(Init::default(), Some(0)).is_err());
}

#[test]
fn what_transformers_cannot_do_is_told() {
    let arch = Space::HwGptS.at(0).unwrap();
    let skeleton = Skeleton::of(&Space::HwGptS).unwrap();
    let error = skeleton.build(&arch, SpaceView::Raw).unwrap_err();
    assert!(matches!(error, NetworkError::Transformer { .. }), "{error}");
    assert!(Skeleton::trained(&Space::HwGptS).is_err());
    assert!(Skeleton::of(&Space::HatAverages).is_err());
    let cells = Skeleton::of(&Space::NasBench201).unwrap();
    let error = cells.tensors(&Space::NasBench201.at(0).unwrap()).unwrap_err().to_string();
    assert_eq!(error, "networks of nasbench201 are of layers, expected a space of transformers");
    for (other, says) in [
        (Skeleton { channels: 8, ..skeleton.clone() }, "channels is 8, expected 0"),
        (Skeleton { resolution: 8, ..skeleton.clone() }, "resolution is 8, expected 0"),
        (Skeleton { classes: 0, ..skeleton }, "classes is 0"),
    ] {
        let error = other.tensors(&arch).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let space = Space::AutoFormerTiny;
    let tiny = Skeleton { resolution: 8, ..Skeleton::of(&space).unwrap() };
    let error = tiny.tensors(&space.at(0).unwrap()).unwrap_err().to_string();
    assert!(error.contains("at least one patch of 16 pixels"), "{error}");
    // Weights of over two gigabytes.
    let space = Space::HwGptL;
    let largest = space.at(space.size() - 1).unwrap();
    let network = Skeleton::of(&space).unwrap().tensors(&largest).unwrap();
    let error = network.encode(Init::default(), Some(1)).unwrap_err().to_string();
    assert!(error.contains("the limit of ONNX files"), "{error}");
}

/// The graph of a network of layers is the one that its file has.
#[test]
fn layers_become_tensors() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    for space in Space::ALL.into_iter().filter(|space| space.parameters().is_none()) {
        let skeleton = Skeleton { classes: 10, ..Skeleton::of(&space).unwrap() };
        let arch = space.sample(&mut rng);
        let network = skeleton.build(&arch, View::Pruned).unwrap();
        let weights = lanner_network::Weights::init(&network, Init::default());
        let bytes = onnx::encode(&network, &weights, Default::default()).unwrap();
        let read = onnx::read(&bytes, &Default::default()).unwrap();
        assert_eq!(skeleton.graph(&arch, View::Pruned).unwrap(), read, "{space}");
    }
}
