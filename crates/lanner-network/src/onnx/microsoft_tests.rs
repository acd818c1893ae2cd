use super::*;

fn microsoft(text: &str, ints: &[(&str, &[i64])]) -> Node {
    let node = ints.iter().fold(node(text), |node, (name, ints)| with(node, name, ints));
    Node { domain: "com.microsoft".into(), ..node }
}

/// Reads one operator; returns the shapes of its outputs and its products.
fn one(inputs: &[Value], stored: Vec<Weights>, node: Node) -> (Vec<Vec<u64>>, u64) {
    let names = node.outputs.clone();
    let all = graph(&model(inputs, stored, vec![node]));
    assert!(all.cost().unknown.is_empty());
    (names.iter().map(|name| shape(&all, name)).collect(), all.nodes[0].products)
}

/// Shapes are those that ONNX Runtime 1.32 yields for such inputs, products those of the definition.
#[test]
fn attention_of_onnx_runtime() {
    let stored = vec![weights("w", &[32, 96]), weights("b", &[96])];
    let (shapes, products) = one(
        &[value("x", "2 6 32"), value("past", "2 2 4 3 8")],
        stored,
        microsoft("Attention x w b _ past -> y present", &[("num_heads", &[4])]),
    );
    assert_eq!(shapes, [vec![2, 6, 32], vec![2, 2, 4, 9, 8]]);
    assert_eq!(products, 2 * 6 * 32 * 96 + 2 * 4 * 6 * 9 * (8 + 8));

    let (shapes, products) = one(
        &[value("q", "2 6 32"), value("k", "2 9 32"), value("v", "2 9 64")],
        vec![],
        microsoft("MultiHeadAttention q k v -> y", &[("num_heads", &[4])]),
    );
    assert_eq!((shapes, products), (vec![vec![2, 6, 64]], 2 * 4 * 6 * 9 * (8 + 16)));

    let heads: &[(&str, &[i64])] = &[("num_heads", &[4]), ("kv_num_heads", &[2])];
    let inputs = ["q 1 6 32", "k 1 6 16", "v 1 6 16", "pk 1 2 3 8", "pv 1 2 3 8", "n 1", "t 1"];
    let inputs = inputs.map(|text| text.split_once(' ').unwrap()).map(|(n, dims)| value(n, dims));
    let (shapes, products) =
        one(&inputs, vec![], microsoft("GroupQueryAttention q k v pk pv n t -> y a b", heads));
    assert_eq!(shapes, [vec![1, 6, 32], vec![1, 2, 9, 8], vec![1, 2, 9, 8]]);
    assert_eq!(products, 4 * 6 * 9 * (8 + 8));
    let packed = [value("q", "1 6 64"), inputs[5].clone(), inputs[6].clone()];
    let (shapes, products) =
        one(&packed, vec![], microsoft("GroupQueryAttention q _ _ _ _ n t -> y a b", heads));
    assert_eq!(shapes, [vec![1, 6, 32], vec![1, 2, 6, 8], vec![1, 2, 6, 8]]);
    assert_eq!(products, 4 * 6 * 6 * (8 + 8));
}

/// One convolution, product or sum has the same work in all of its forms.
#[test]
fn fused_and_quantised_operators_are_those_of_onnx() {
    let x = [value("x", "1 8 10 10")];
    let scale = || weights("s", &[]);
    let convolution = one(&x, vec![weights("w", &[16, 8, 3, 3])], node("Conv x w -> y"));
    assert_eq!(convolution, (vec![vec![1, 16, 8, 8]], 16 * 8 * 9 * 64));
    let fused = one(&x, vec![weights("w", &[16, 8, 3, 3])], microsoft("FusedConv x w -> y", &[]));
    assert_eq!(fused, convolution);

    let x = [value("x", "4 10 8")];
    let matrix = || vec![weights("w", &[8, 5]), scale()];
    let product = one(&x, matrix(), node("MatMul x w -> y"));
    assert_eq!(product, (vec![vec![4, 10, 5]], 4 * 10 * 8 * 5));
    for text in ["FusedMatMul x w -> y", "DynamicQuantizeMatMul x w s -> y"] {
        assert_eq!(one(&x, matrix(), microsoft(text, &[])), product, "{text}");
    }
    let turned = microsoft("FusedMatMul x w -> y", &[("transA", &[1]), ("transB", &[1])]);
    let (shapes, products) = one(&[value("x", "2 5 4")], vec![weights("w", &[7, 5])], turned);
    assert_eq!((shapes, products), (vec![vec![2, 4, 7]], 2 * 4 * 5 * 7));
    let blocks = microsoft("MatMulNBits x w s -> y", &[("K", &[8]), ("N", &[5])]);
    // Two numbers of four bits in a byte.
    let bytes = Weights { kind: 2, ..weights("w", &[5, 1, 4]) };
    let all = graph(&model(&x, vec![bytes, scale()], vec![blocks]));
    assert_eq!((shape(&all, "y"), all.nodes[0].products, all.params), (vec![4, 10, 5], 1600, 40));

    let two = [value("a", "2 3 4"), value("b", "3 1")];
    let sum = one(&two, vec![scale()], microsoft("QLinearAdd a s s b s s s s -> y", &[]));
    assert_eq!(sum.0, [[2, 3, 4]]);
    let join = microsoft("QLinearConcat s s a s s c s s -> y", &[("axis", &[1])]);
    let two = [value("a", "2 3 4"), value("c", "2 5 4")];
    assert_eq!(one(&two, vec![scale()], join).0, [[2, 8, 4]]);
    let norm = "SkipLayerNormalization a c g -> y mean deviation sum";
    let two = [value("a", "2 3 4"), value("c", "2 3 4")];
    let (shapes, _) = one(&two, vec![weights("g", &[4])], microsoft(norm, &[]));
    assert_eq!(shapes, [vec![2, 3, 4], vec![2, 3, 1], vec![2, 3, 1], vec![2, 3, 4]]);
}

/// Sizes that do not fit are refused, and nothing overflows.
#[test]
fn wrong_sizes_of_fused_operators_are_told() {
    let huge = "1099511627775 1099511627775 1099511627775";
    for (text, dims, ints) in [
        ("Attention x w -> y", "2 6 32", &[][..]),
        ("Attention x w -> y", "6 32", &[("num_heads", &[4][..])][..]),
        ("MultiHeadAttention x -> y", huge, &[("num_heads", &[i64::MAX][..])][..]),
        (
            "GroupQueryAttention x -> y",
            huge,
            &[("num_heads", &[1][..]), ("kv_num_heads", &[i64::MAX])],
        ),
        ("MatMulNBits x w -> y", "2 6 32", &[("K", &[31][..]), ("N", &[5])]),
        ("MatMulNBits x w -> y", "2 6 32", &[("K", &[-32][..]), ("N", &[5])]),
        ("FusedMatMul x w -> y", "2 6 31", &[]),
        ("SkipLayerNormalization -> y", "2 6 32", &[]),
    ] {
        let all =
            model(&[value("x", dims)], vec![weights("w", &[32, 96])], vec![microsoft(text, ints)]);
        let told = refused(&all);
        assert!(told.contains(text.split(' ').next().unwrap()), "{told}");
    }
}
