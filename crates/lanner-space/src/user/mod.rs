//! Spaces that users define in a TOML file: a cell of operations on edges, a chain of stages, a transformer, or
//! parameters.
//!
//! ```toml
//! name = "my-cell"            # what tables and models call it
//! kind = "cell"
//! nodes = 4                   # node 0 is the input of the cell, the last one its output
//! operations = ["none", "skip_connect", "nor_conv_3x3", "sep_conv_5x5", "avg_pool_3x3"]
//!
//! [[edge]]                    # a node adds up the edges that end in it
//! from = 0
//! to = 1
//!
//! [[edge]]
//! from = [0, 1]               # which node it starts at is a choice, too
//! to = 2
//! operations = ["nor_conv_3x3", "sep_conv_5x5"]    # instead of all
//!
//! [[edge]]
//! from = [1, 2]
//! to = 3
//!
//! [skeleton]                  # that of NAS-Bench-201: stages of cells, halved and widened between
//! resolution = 32
//! classes = 10
//! channels = 16               # of the first stage
//! stages = 3
//! cells = 5                   # in each stage
//!
//! [limits]                    # optional: what the network of an architecture may cost
//! flops = 50_000_000
//! params = 500_000
//! memory_bytes = 262_144
//! ```
//!
//! ```toml
//! name = "my-chain"
//! kind = "chain"
//!
//! [[stage]]
//! depth = [1, 2, 3]           # a list is a choice, a number is none
//! width = [16, 24]            # channels of all its layers
//! stride = 2                  # of its first layer
//! block = ["mb", "sep"]       # of each layer: mb, sep, conv, residual, bottleneck or identity
//! kernel = [3, 5]             # of all but identity
//! expansion = [3, 6]          # of mb; bottleneck has as many times fewer channels inside
//! squeeze = [false, true]     # squeeze-and-excitation, of mb, residual and bottleneck
//! activation = "hswish"       # relu6 (the default), relu or hswish
//! tied = true                 # all layers of the stage are alike
//!
//! [[stage]]
//! up = "resize"               # or "transposed": it begins with twice the resolution,
//! skip = "concat"             # or "add": and joins the latest map of that resolution before it, as in a U-Net
//! # … depth, width, block, kernel as above
//!
//! [skeleton]
//! resolution = [96, 128]      # or input = [1, 40, 100]: channels, height, width; [1, 16000]: a signal
//! classes = 2                 # without it there is no classifier
//! stem = 8                    # channels of the 3×3 convolution at the beginning
//! stem_stride = 2             # or 1
//! head = 64                   # of the 1×1 convolution before pooling, if there is one
//! dense = false               # or true: classes for each pixel of the last stage
//! ```
//!
//! ```toml
//! name = "my-transformers"
//! kind = "transformer"
//! bias = [false, true]        # of linear layers; true unless it is given
//!
//! [stem]                      # patches of an image or signal, or tokens of a vocabulary
//! input = [3, 224, 224]
//! patch = 16
//!
//! [[stage]]
//! depth = [6, 8]
//! embed_dim = [192, 256]
//! heads = [3, 4]              # of each layer, unless tied = true
//! mlp_ratio = [2, 3.5]        # or ffn_dim
//! head_dim = 64               # or attention_dim, of all heads together; else heads share embed_dim
//!
//! [skeleton]
//! classes = 10                # without it there is no classifier
//! ```
//!
//! ```toml
//! name = "my-parameters"
//! kind = "parameters"
//!
//! [[parameter]]
//! name = "depth"
//! integer = [2, 6]            # also with step = 2, or log = true
//!
//! [[parameter]]
//! name = "act"
//! choice = ["relu", "gelu"]   # numbers are in an order unless ordered = false
//!
//! [[parameter]]
//! name = "lr"
//! float = [1e-4, 1e-1]
//! log = true
//! network = false             # the network, and so its latency, does not depend on it
//!
//! [[parameter]]
//! name = "block"
//! repeat = "depth"            # a list of as many groups
//! parameter = [{ name = "kernel", choice = [3, 5, 7] }, { name = "expand", choice = [2, 4] }]
//!
//! [[parameter]]
//! name = "se"
//! choice = [false, true]
//! when = { act = "relu" }     # it exists only then
//! ```
//!
//! **Blocks.** `mb`: 1×1 convolution to expansion × channels, depthwise k×k, 1×1, and a sum with the
//! input where shapes allow; `sep`: depthwise k×k and 1×1; `conv`: k×k; `identity`: nothing, or a 1×1
//! convolution where channels or resolution change; `residual`: k×k twice and a shortcut; `bottleneck`: 1×1 to
//! width / expansion channels, k×k, 1×1 and a shortcut. Each convolution has a batch norm.
//!
//! **Texts.** A cell has operation and source of each edge in the file's order,
//! `nor_conv_3x3~0|sep_conv_5x5~1|none~2`. A chain has width and layers of each stage,
//! `w16:mb_k3_e6,sep_k5/w24:mb_k5_e3`, and before them a resolution that is chosen, `r96/w16:…`. Transformers are
//! dicts, see [`StageSpace`](crate::family::StageSpace). Parameters are canonical JSON,
//! `{"depth":2,"act":"gelu","lr":0.01,"block":[{"kernel":3,"expand":2},{"kernel":5,"expand":2}]}`.
//!
//! **Codes.** A cell has for each edge: source × number of operations + operation. A chain has for
//! each stage the width, the depth, and for each layer up to the greatest depth the number of its
//! [`Layer`](crate::family::Layer) among the stage's; layers that are left out have code 0. Parameters have
//! the bytes that [`parameters`](crate::family::parameters) says.

mod chain;
mod image;
mod parameters;
mod read;
mod transformer;

use image::image;
pub(crate) use read::definition;

/// The operations that an edge of a cell may have.
pub const OPERATIONS: [&str; 11] = [
    "none",
    "skip_connect",
    "nor_conv_1x1",
    "nor_conv_3x3",
    "nor_conv_5x5",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "avg_pool_3x3",
    "max_pool_3x3",
];
