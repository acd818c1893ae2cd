//! Kinds of files that came later: blocks with shortcuts, squeeze-and-excitation, tied layers, chosen
//! resolutions, signals, U-Nets, transformers.

use std::path::Path;

use lanner_space::{Space, View};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

fn text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Texts, indices, steps and graphs agree for random architectures.
fn walk(space: &Space) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200 {
        let arch = space.sample(&mut rng);
        space.check(&arch).unwrap();
        let printed = space.print(&arch);
        assert_eq!(space.parse(&printed).unwrap(), arch, "{printed}");
        let index = space.index_of(&arch).unwrap();
        assert!(index < space.size());
        assert_eq!(space.at(index).unwrap(), arch, "{printed}");
        assert_eq!(space.canonical(&arch), arch);
        let other = space.mutate(&arch, &mut rng);
        space.check(&other).unwrap();
        assert_ne!(other, arch, "{printed}");
        assert!(space.graph(&arch, View::Raw).len() <= space.max_nodes());
        assert_eq!(space.live(&arch).len(), space.aligned(&arch).len());
        for near in space.neighbours(&arch) {
            space.check(&near).unwrap();
        }
    }
}

#[test]
fn sizes_are_products_of_the_choices() {
    // Blocks of the second stage: residual of two kernels with or without squeezing, mb also of two expansions;
    // each with two activations.
    let layers = 2 * (2 * 2 + 2 * 2 * 2u128);
    let of_depths = layers + layers.pow(2) + layers.pow(3);
    let residual = Space::from_toml(&text("residual.toml")).unwrap();
    // The first stage: two depths of equal layers, each of two blocks.
    assert_eq!(residual.size(), 3 * (2 * 2) * (2 * of_depths));
    let words = Space::from_toml(&text("keywords.toml")).unwrap();
    let layers = 3 + 3 + 3u128;
    assert_eq!(words.size(), 2 * 2 * 2 * (layers + layers.pow(2) + layers.pow(3)));
    let unet = Space::from_toml(&text("unet.toml")).unwrap();
    let of_depths = |layers: u128, most: u32| (1..=most).map(|d| layers.pow(d)).sum::<u128>();
    let ways = 2 * of_depths(2, 2) * (2 * of_depths(4, 2)) * (2 * of_depths(1, 3));
    assert_eq!(unet.size(), ways * (2 * of_depths(2, 2)) * 2);
    let transformers = Space::from_toml(&text("transformer.toml")).unwrap();
    let layers = 2 * 2u128;
    assert_eq!(transformers.size(), 2 * (layers + layers.pow(2)) * (2 * 2));
    for space in [residual, words, unet, transformers] {
        walk(&space);
    }
}

#[test]
fn layers_of_a_tied_stage_are_alike() {
    let space = Space::from_toml(&text("residual.toml")).unwrap();
    let two = "r128/w32:bottleneck_k3_e4_relu,bottleneck_k3_e4_relu/w48:mb_k5_e6_se_hswish";
    let arch = space.parse(two).unwrap();
    assert_eq!(space.print(&arch), two);
    assert_eq!(space.resolution(&arch), Some(128));
    for (wrong, says) in [
        (two.replacen("bottleneck_k3_e4", "residual_k3", 1), "its layers are alike"),
        (two.replacen("r128/", "", 1), "it begins with 'w32:"),
        (two.replacen("r128", "r127", 1), "expected r and one of [96, 128, 160]"),
        (two.replacen("_se_hswish", "_hswish_se", 1), "stage 2 has no layer"),
    ] {
        let told = space.parse(&wrong).unwrap_err().to_string();
        assert!(told.contains(says), "{told}\n  lacks {says}");
    }
}

/// The text of which fingerprints are made is that of earlier versions, so that their tables are known.
#[test]
fn older_files_keep_their_fingerprint() {
    let debug =
        format!("{:?}", Space::from_toml(&text("microcontroller.toml")).unwrap().chain().unwrap());
    assert!(debug.starts_with(
        "ChainSpace { stages: [Stage { depth: [1], width: [8, 16], stride: 1, layers: [Layer { block: Sep, \
         kernel: 3, expansion: 0 }, Layer { block: Conv, kernel: 3, expansion: 0 }] }, Stage"
    ));
    assert!(
        debug.ends_with(
            "skeleton: ChainSkeleton { resolution: 96, classes: 2, stem: 8, head: 128 } }"
        )
    );
}

/// Changes of an example, each a text and what takes its place.
type Changes<'a> = &'a [(&'a str, &'a str)];

/// Each example with its changes is refused, with the line and this message.
fn refused(example: &str, cases: &[(Changes, &str)]) {
    let original = text(example);
    for (changes, says) in cases {
        let mut changed = original.clone();
        for (from, to) in *changes {
            assert!(changed.contains(from), "{example} lacks {from}");
            changed = changed.replacen(from, to, 1);
        }
        let told = Space::from_toml(&changed).unwrap_err().to_string();
        assert!(told.contains(says) && told.contains("line "), "{told}\n  lacks {says}");
    }
}

#[test]
fn what_is_wrong_in_blocks_and_images_is_told_with_its_line() {
    refused(
        "residual.toml",
        &[
            (&[("squeeze = [false, true]", "squeeze = 1")], "squeeze: expected true or false"),
            (
                &[("[\"relu\", \"hswish\"]", "\"gelu\"")],
                "unknown 'gelu', expected one of relu6, relu, hswish",
            ),
            (&[("tied = true ", "tied = [true]")], "stage 1.tied: expected true or false"),
            (&[("[96, 128, 160]", "[96, 96]")], "skeleton.resolution: the same choice twice"),
            (&[("[96, 128, 160]", "[1, 96]")], "a resolution of 1 is a signal"),
            (&[("[96, 128, 160]", "[2, 96]")], "stem and stages halve 2 pixels 2 times"),
            (
                &[("classes = 10", "classes = 10\ninput = [3, 8, 8]")],
                "give it or 'input', not both",
            ),
            (&[("classes = 10", "classes = 10\nstem_stride = 3")], "3, expected 1 to 2"),
        ],
    );
    refused(
        "keywords.toml",
        &[
            (
                &[("block = \"conv\"", "block = \"conv\"\nsqueeze = true")],
                "only mb, residual and bottleneck",
            ),
            (&[("[1, 8000]", "[1, 7]")], "halve 7 pixels 3 times"),
            (&[("[1, 8000]", "[1, 2000000]")], "2000000, expected 1 to 1000000"),
            (
                &[("[1, 8000]", "[8000]")],
                "expected [channels, height, width], or [channels, length]",
            ),
            (&[("[1, 8000]", "[1, 1, 8000]")], "a height of 1 is that of a signal"),
            (&[("[1, 8000]", "[0, 80]")], "0, expected 1 to 4096"),
        ],
    );
}

#[test]
fn what_is_wrong_in_a_unet_is_told_with_its_line() {
    let again = "up = \"resize\"\ndepth = 1\nwidth = 4\nblock = \"conv\"\nkernel = 1\n[[stage]]\n";
    let much = format!("[[stage]]\n{}", again.repeat(3));
    refused(
        "unet.toml",
        &[
            (&[("\"transposed\"", "\"bilinear\"")], "4.up: unknown 'bilinear', expected resize or"),
            (&[("\"transposed\"", "[\"resize\"]")], "stage 4.up: expected a string, found array"),
            (&[("\"concat\"", "\"mean\"")], "unknown 'mean', expected concat or add"),
            (&[("up = \"resize\"", "up = \"resize\"\nstride = 2")], "leave out the stride"),
            (&[("up = \"resize\"", "")], "stage 5.skip: only a stage with 'up' joins"),
            (
                &[("[[stage]] ", much.as_str())],
                "8 times the image's resolution, expected at most 4",
            ),
            (
                &[("stride = 2", ""), ("stride = 2", ""), ("stem_stride = 1", "stem_stride = 2")],
                "stage 4.skip: neither the stem nor a stage before it has",
            ),
            (&[("resolution = 64", "resolution = 62")], "62 pixels, expected a multiple of 4"),
            (
                &[("resolution = 64", "resolution = [64, 70]")],
                "70 pixels, expected a multiple of 4",
            ),
            (
                &[("resolution = 64", "input = [3, 64, 50]")],
                "input: 50 pixels, expected a multiple",
            ),
            (&[("resolution = 64", "input = [3, 510]")], "510 pixels, expected a multiple of 4"),
            (&[("classes = 3", "")], "outputs for each pixel need 'classes'"),
            (&[("dense = true", "dense = 1")], "skeleton.dense: expected true or false"),
            (&[("stem_stride = 1", "stem_stride = 1\nskips = 1")], "skeleton.skips: unknown"),
        ],
    );
}

#[test]
fn what_is_wrong_in_a_transformer_is_told_with_its_line() {
    let fewer: Changes = &[("patch = 8", ""), ("class_token = true", "")];
    let tokens = ("input = [3, 64, 64] ", "vocabulary = 9\ntokens = 8000 #");
    refused(
        "transformer.toml",
        &[
            (&[("patch = 8", "patch = 80")], "stem.patch: 80, expected 1 to 64"),
            (&[("patch = 8", "")], "stem: 'patch' is missing"),
            (&[("patch = 8", "patch = 8\nstride = 0")], "stem.stride: 0, expected 1 to 64"),
            (&[("input = [3, 64, 64] ", "tokens = 5 ")], "unknown, expected one of input, patch"),
            (&[("[3, 64, 64]", "[3, 1024, 1024]")], "16384 patches, expected fewer than 8192"),
            (&[("heads = [2, 4]", "heads = [2, 5]")], "5 heads cannot share 48 channels"),
            (&[("mlp_ratio = [2, 3]", "mlp_ratio = [2, 0]")], "0, expected a ratio of .1 to 64"),
            (
                &[("mlp_ratio = [2, 3]", "mlp_ratio = 2\nffn_dim = 8")],
                "expected one of 'mlp_ratio' and 'ffn_dim'",
            ),
            (
                &[("head_dim = 32", "head_dim = 32\nattention_dim = 96")],
                "expected it or 'head_dim', not both",
            ),
            (
                &[("depth = [1, 2]", "depth = [1, 2]\nhalve = true")],
                "only patches of a stage after the first",
            ),
            (&[("depth = [1, 2]", "depth = [1, 101]")], "101, expected 1 to 100"),
            (&[("gated = true ", "gated = 3 ")], "stage 2.gated: expected true or false"),
            (
                &[("gated = true ", "activation = \"tanh\" ")],
                "unknown 'tanh', expected relu, gelu or silu",
            ),
            (
                &[
                    ("[3, 64, 64]", "[3, 512, 512]"),
                    ("gated = true ", ""),
                    ("mlp_ratio", "causal = true\nmlp_ratio"),
                ],
                "4097 tokens, expected at most 2048",
            ),
            (
                &[tokens, fewer[0], fewer[1], ("[48, 64]", "[48, 2048]")],
                "8000 tokens of 2048 channels",
            ),
            (&[("classes = 10", "resolution = 10")], "skeleton.resolution: unknown"),
            (
                &[("kind = \"transformer\"", "kind = \"transformers\"")],
                "expected cell, chain, transformer or parameters",
            ),
        ],
    );
}
