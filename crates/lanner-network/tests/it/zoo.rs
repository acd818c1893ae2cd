//! Files that PyTorch exported, without their weights (`tests/zoo.py make`), against what PyTorch counts.

use lanner_network::onnx::{ReadOptions, read};

/// `torch.utils.flop_counter` of PyTorch 2.15, two operations a product.
const FLOPS: [(&str, u64); 6] = [
    ("gpt2.dynamo", 3_674_210_304),
    ("resnet18.script", 3_628_146_688),
    ("r3d_18.script", 40_696_758_272),
    ("squeezenet1_1.dynamo", 698_303_872),
    ("mobilenet_v3_small.script", 113_020_800),
    ("shufflenet_v2_x1_0.dynamo", 289_815_984),
];

#[test]
fn products_are_those_that_pytorch_counts() {
    for (name, flops) in FLOPS {
        let path = format!("{}/tests/data/zoo/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
        let graph = read(&std::fs::read(path).unwrap(), &ReadOptions::default()).unwrap();
        let cost = graph.cost();
        assert_eq!(2 * cost.products, flops, "{name}");
        assert!(cost.unknown.is_empty(), "{name}: {:?}", cost.unknown);
        // A drawing has the inputs, the outputs and no box twice.
        let diagram = graph.diagram();
        assert!(diagram.nodes.len() <= graph.nodes.len() + 2);
        assert!(
            diagram.edges.iter().all(|e| e.from < e.to && e.to < diagram.nodes.len()),
            "{name}"
        );
    }
}
