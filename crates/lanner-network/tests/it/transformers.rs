//! Networks of transformers: costs against counts by formula and published ones, for every space.

use lanner_network::{Counter, Init, NetworkError, Skeleton, TensorOp, View, onnx};
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
        let counter = Counter::new(skeleton.clone());
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
            assert_eq!(counter.counts(&arch, View::Pruned).unwrap(), counts, "{space} {text}");
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

/// The transformer of a file, by hand: 8 × 8 patches, then 4 × 4.
#[test]
fn a_file_of_transformers() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let file = folder.join("transformer.toml").display().to_string();
    let space = Space::by_name(&file).unwrap();
    let text = r#"{"s1_embed_dim":48,"s1_depth":1,"s1_heads":[4],"s1_mlp_ratio":[3],"s2_embed_dim":96,"s2_depth":2,"s2_heads":3,"s2_ffn_dim":192}"#;
    let arch = space.parse(text).unwrap();
    let network = Skeleton::of(&space).unwrap().tensors(&arch).unwrap();
    let linear = |inputs: u64, outputs: u64| inputs * outputs + outputs;
    let layer = |width: u64, inner: u64, hidden: u64, matrices: u64| {
        4 * width
            + linear(width, 3 * inner)
            + linear(inner, width)
            + (matrices - 1) * linear(width, hidden)
            + linear(hidden, width)
    };
    let params = linear(3 * 64, 48)
        + 65 * 48
        + 48
        + layer(48, 48, 144, 2)
        + linear(48, 96)
        + 2 * layer(96, 96, 192, 3)
        + 2 * 96
        + linear(96, 10);
    let cost = network.graph().cost();
    assert_eq!(cost.params, params);
    let attend = |tokens: u64, inner: u64| 2 * tokens * tokens * inner;
    let products = 64 * 192 * 48
        + 65 * 48 * (4 * 48 + 2 * 144)
        + attend(65, 48)
        + 17 * 48 * 96
        + 2 * (17 * 96 * (4 * 96 + 3 * 192) + attend(17, 96))
        + 96 * 10;
    assert_eq!(cost.products, products);
    let signal = std::fs::read_to_string(&file)
        .unwrap()
        .replace("input = [3, 64, 64]", "input = [2, 8000]")
        .replace("patch = 8", "patch = 80")
        .replace("class_token = true", "")
        .replace("classes = 10", "");
    let space = Space::from_toml(&signal).unwrap();
    let graph = Skeleton::of(&space).unwrap().graph(&space.at(0).unwrap(), View::Raw).unwrap();
    assert_eq!(graph.tensors[graph.inputs[0]].dims, [1, 2, 8000]);
    assert_eq!(graph.tensors[graph.outputs[0]].dims, [1, 50, 96]);
    let tokens = signal
        .replace("input = [2, 8000]", "vocabulary = 500\ntokens = 40")
        .replace("patch = 80", "")
        .replace("halve = true", "causal = true\nrotary = 16")
        + "[skeleton]\nclasses = 500\n";
    let tokens = tokens.replacen("[skeleton]\n", "", 1);
    let space = Space::from_toml(&tokens.replace("[limits]\nparams = 400_000\n", "")).unwrap();
    let graph = Skeleton::of(&space).unwrap().graph(&space.at(0).unwrap(), View::Raw).unwrap();
    assert_eq!(graph.tensors[graph.outputs[0]].dims, [1, 40, 500]);
}

/// Any numbers in a file give a network or a message, in memory of the file's size.
#[test]
fn numbers_of_a_file_may_be_any() {
    use rand::RngExt;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let numbers = [
        "0",
        "1",
        "2",
        "3",
        "5",
        "16",
        "100",
        "255",
        "1024",
        "8191",
        "65536",
        "4000000000",
        "-1",
        "0.5",
    ];
    let mut built = 0;
    for name in ["residual.toml", "keywords.toml", "transformer.toml"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let text = text.split_once("kind").unwrap().1;
        for _ in 0..400 {
            let mut changed = String::from("name = \"own\"\nkind");
            let mut rest = text;
            while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
                let end =
                    rest[at..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| at + n);
                changed += &rest[..at];
                changed += match rng.random_bool(0.06) {
                    true => numbers[rng.random_range(0..numbers.len())],
                    false => &rest[at..end],
                };
                rest = &rest[end..];
            }
            changed += rest;
            let Ok(space) = Space::from_toml(&changed) else { continue };
            let arch = space.sample(&mut rng);
            let Ok(skeleton) = Skeleton::of(&space) else { panic!("{changed}") };
            if let Ok(graph) = skeleton.graph(&arch, View::Pruned) {
                assert!(graph.cost().unknown.is_empty(), "{changed}");
                built += 1;
            }
        }
    }
    assert!(built > 300, "{built}");
}
