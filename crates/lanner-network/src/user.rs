//! Builds networks of spaces that users define, see [`lanner_space::user`].

use lanner_space::Architecture;
use lanner_space::family::{Block, CellSpace, ChainActivation, ChainSpace, Layer, Skip, Stage, Up};

use crate::blocks::{
    InvertedResidual, batch_norm, classifier, conv_bn, conv_bn_act, squeeze_excite, sum,
};
use crate::nasbench201::reduction;
use crate::{Builder, Conv, NetworkError, Op, Pool, Skeleton};

/// Adds the layers after the image: the file's skeleton, with the sizes of `skeleton`.
///
/// A cell whose output no path reaches yields zeros, as in [`crate::Nasbench201::build`].
pub fn build(
    skeleton: &Skeleton,
    net: &mut Builder,
    arch: &Architecture,
    live: &[bool],
) -> Result<(), NetworkError> {
    let mut x = 0;
    if let Some(cell) = skeleton.space.cell() {
        x = cells(skeleton, net, cell, arch, live)?;
    }
    if let Some(chain) = skeleton.space.chain() {
        x = stages(skeleton, net, chain, arch)?;
    }
    match skeleton.space.chain().map(|chain| chain.skeleton) {
        _ if skeleton.classes == 0 => {}
        Some(chain) if chain.dense => {
            let flat = chain.is_signal();
            let conv = Conv { bias: true, flat, ..Conv::same(skeleton.classes, 1) };
            net.add("head.classes", Op::Conv(conv), &[x])?;
        }
        _ => {
            classifier(net, skeleton.classes, x)?;
        }
    }
    Ok(())
}

/// Adds the layers before the pooling of NAS-Bench-201's network, with any number of stages.
fn cells(
    skeleton: &Skeleton,
    net: &mut Builder,
    space: &CellSpace,
    arch: &Architecture,
    live: &[bool],
) -> Result<usize, NetworkError> {
    let channels = skeleton.channels;
    net.block("stem", "stem");
    let mut x = conv_bn(net, "stem", Conv::same(channels, 3), 0)?;
    for stage in 1..=usize::from(space.skeleton.stages) {
        if stage > 1 {
            x = reduction(net, &format!("reduce{}", stage - 1), x, channels << (stage - 1))?;
        }
        for n in 1..=skeleton.cells {
            x = cell(net, &format!("stage{stage}.cell{n}"), space, arch, live, x)?;
        }
    }
    net.block("head", "head");
    x = batch_norm(net, "head.bn", x)?;
    net.add("head.relu", Op::Relu, &[x])
}

/// Adds a cell: each node is the sum of its live edges. A node without any is left out, the output is
/// then zeros.
fn cell(
    net: &mut Builder,
    place: &str,
    space: &CellSpace,
    arch: &Architecture,
    live: &[bool],
    x: usize,
) -> Result<usize, NetworkError> {
    net.block(place, "cell");
    let mut nodes = vec![Some(x)];
    for node in 1..space.nodes {
        let mut terms = Vec::new();
        for e in (0..space.edges.len()).filter(|&e| space.edges[e].to == node) {
            let (from, op) = space.choice(e, arch.codes()[e]);
            let (true, Some(source)) = (live[e], nodes[usize::from(from)]) else { continue };
            let place = format!("{place}.edge{}", e + 1);
            terms.push(operation(net, &place, &space.operations[usize::from(op)], source)?);
        }
        nodes.push(match &terms[..] {
            [] if node + 1 < space.nodes => None,
            [] => Some(net.add(format!("{place}.zero"), Op::Zero, &[x])?),
            _ => Some(sum(net, format!("{place}.node{node}"), &terms)?),
        });
    }
    Ok(nodes[nodes.len() - 1].unwrap_or(x))
}

/// Adds an operation of [`lanner_space::user::OPERATIONS`]: convolutions come after a ReLU and before
/// a batch norm, separable ones twice, as in DARTS.
fn operation(net: &mut Builder, place: &str, name: &str, x: usize) -> Result<usize, NetworkError> {
    let channels = net.shape(x).map_or(0, |s| s.channels);
    let side = match name.rsplit_once('_').and_then(|(_, size)| size.split_once('x')) {
        Some((side, _)) => side.parse().unwrap_or(1),
        None => 1,
    };
    let plain = Conv::same(channels, side);
    let depthwise = Conv { groups: channels, ..plain };
    let window = Pool { kernel: 3, stride: 1, padding: 1 };
    let mut relu_convs = |place: &str, convs: &[Conv], x: usize| {
        let mut x = net.add(format!("{place}.relu"), Op::Relu, &[x])?;
        for (i, &conv) in convs.iter().enumerate() {
            x = net.add(format!("{place}.conv{}", i + 1), Op::Conv(conv), &[x])?;
        }
        batch_norm(net, &format!("{place}.bn"), x)
    };
    let point = Conv::same(channels, 1);
    match &name[..4] {
        "none" => net.add(format!("{place}.zero"), Op::Zero, &[x]),
        "skip" => Ok(x),
        "nor_" => relu_convs(place, &[plain], x),
        "sep_" => {
            let x = relu_convs(&format!("{place}.1"), &[depthwise, point], x)?;
            relu_convs(&format!("{place}.2"), &[depthwise, point], x)
        }
        "dil_" => {
            let dilated = Conv { dilation: 2, padding: side - 1, ..depthwise };
            relu_convs(place, &[dilated, point], x)
        }
        "avg_" => {
            let op = Op::AvgPool { pool: window, count_include_pad: false };
            net.add(format!("{place}.pool"), op, &[x])
        }
        _ => net.add(format!("{place}.pool"), Op::MaxPool(window), &[x]),
    }
}

fn stages(
    skeleton: &Skeleton,
    net: &mut Builder,
    space: &ChainSpace,
    arch: &Architecture,
) -> Result<usize, NetworkError> {
    let flat = space.skeleton.is_signal();
    net.block("stem", "stem");
    let stride = space.skeleton.stem_stride.into();
    let stem = Conv { stride, flat, ..Conv::same(skeleton.channels, 3) };
    let mut x = conv_bn_act(net, "stem", stem, Op::Relu6, 0)?;
    // The outputs of the stem and of stages, which later ones may join.
    let mut maps = vec![x];
    for (i, (stage, (width, layers))) in space.stages.iter().zip(space.layers(arch)).enumerate() {
        x = begin_stage(net, &format!("stage{}", i + 1), stage, (width.into(), flat), &maps)?;
        for (n, layer) in layers.iter().enumerate() {
            let place = format!("stage{}.layer{}", i + 1, n + 1);
            net.block(&place, "layer");
            let stride = if n == 0 { stage.stride.into() } else { 1 };
            let block = ChainBlock { layer: *layer, width: width.into(), stride, flat };
            x = block.add(net, &place, x)?;
        }
        maps.push(x);
    }
    net.block("head", "head");
    match space.skeleton.head {
        0 => Ok(x),
        width => {
            let conv = Conv { flat, ..Conv::same(width.into(), 1) };
            conv_bn_act(net, "head", conv, Op::Relu6, x)
        }
    }
}

/// Doubles the resolution of the last map and joins an earlier one of the same resolution, if the stage says so.
fn begin_stage(
    net: &mut Builder,
    place: &str,
    stage: &Stage,
    (width, flat): (usize, bool),
    maps: &[usize],
) -> Result<usize, NetworkError> {
    let mut x = maps[maps.len() - 1];
    let Some(up) = stage.up else { return Ok(x) };
    net.block(format!("{place}.up"), "up");
    x = match up {
        Up::Resize => net.add(format!("{place}.up"), Op::Upsample { flat }, &[x])?,
        Up::Transposed => {
            let op = Op::UpConv { out_channels: width, flat };
            let x = net.add(format!("{place}.up"), op, &[x])?;
            batch_norm(net, &format!("{place}.up.bn"), x)?
        }
    };
    let (Some(skip), Some(shape)) = (stage.skip, net.shape(x)) else { return Ok(x) };
    let is_alike = |&&map: &&usize| {
        net.shape(map).is_some_and(|s| (s.height, s.width) == (shape.height, shape.width))
    };
    // The file's sizes were checked; of another resolution, what does not fit is told by the layer that joins.
    let Some(&earlier) = maps.iter().rev().find(is_alike).or(maps.first()) else { return Ok(x) };
    let join = format!("{place}.join");
    match skip {
        Skip::Concat => net.add(join, Op::Concat, &[x, earlier]),
        Skip::Add if net.shape(earlier) == Some(shape) => net.add(join, Op::Add, &[x, earlier]),
        Skip::Add => {
            let conv = Conv { flat, ..Conv::same(shape.channels, 1) };
            let earlier = conv_bn(net, &format!("{place}.skip"), conv, earlier)?;
            net.add(join, Op::Add, &[x, earlier])
        }
    }
}

/// A layer of a chain with its sizes.
struct ChainBlock {
    layer: Layer,
    width: usize,
    stride: usize,
    /// Whether convolutions have one axis.
    flat: bool,
}

impl ChainBlock {
    fn add(&self, net: &mut Builder, place: &str, x: usize) -> Result<usize, NetworkError> {
        let &ChainBlock { layer, width, stride, flat } = self;
        let channels = net.shape(x).map_or(0, |s| s.channels);
        let same = stride == 1 && channels == width;
        let kernel = usize::from(layer.kernel);
        let act = match layer.activation {
            ChainActivation::Relu6 => Op::Relu6,
            ChainActivation::Relu => Op::Relu,
            ChainActivation::HardSwish => Op::HardSwish,
        };
        let conv = |out, kernel| Conv { flat, ..Conv::same(out, kernel) };
        let at = |part: &str| format!("{place}.{part}");
        match layer.block {
            Block::Identity if same => Ok(x),
            Block::Identity => conv_bn(net, place, Conv { stride, ..conv(width, 1) }, x),
            Block::Conv => conv_bn_act(net, place, Conv { stride, ..conv(width, kernel) }, act, x),
            Block::Sep => {
                let depthwise = Conv { stride, groups: channels, ..conv(channels, kernel) };
                let y = conv_bn_act(net, &at("depthwise"), depthwise, act, x)?;
                conv_bn_act(net, &at("point"), conv(width, 1), act, y)
            }
            Block::Mb => {
                let hidden = usize::from(layer.expansion) * channels;
                let plain = InvertedResidual::plain(hidden, width, kernel, stride);
                let squeeze = layer.squeeze.then(|| (hidden / 4).max(8));
                InvertedResidual { act, squeeze, flat, ..plain }.add(net, place, x)
            }
            Block::Residual => {
                let first = Conv { stride, ..conv(width, kernel) };
                let y = conv_bn_act(net, &at("a"), first, act, x)?;
                let y = conv_bn(net, &at("b"), conv(width, kernel), y)?;
                self.shortcut(net, place, act, x, y)
            }
            Block::Bottleneck => {
                let inner = (width / usize::from(layer.expansion.max(1))).max(1);
                let y = conv_bn_act(net, &at("a"), conv(inner, 1), act, x)?;
                let middle = Conv { stride, ..conv(inner, kernel) };
                let y = conv_bn_act(net, &at("b"), middle, act, y)?;
                let y = conv_bn(net, &at("c"), conv(width, 1), y)?;
                self.shortcut(net, place, act, x, y)
            }
        }
    }

    /// Scales channels if the layer does, adds the input, through a 1×1 convolution where shapes differ, and the
    /// activation.
    fn shortcut(
        &self,
        net: &mut Builder,
        place: &str,
        act: Op,
        x: usize,
        y: usize,
    ) -> Result<usize, NetworkError> {
        let &ChainBlock { layer, width, stride, flat } = self;
        let mut y = y;
        if layer.squeeze {
            y = squeeze_excite(net, &format!("{place}.se"), (width / 16).max(8), y)?;
        }
        let mut input = x;
        if net.shape(x) != net.shape(y) {
            let conv = Conv { stride, flat, ..Conv::same(width, 1) };
            input = conv_bn(net, &format!("{place}.shortcut"), conv, x)?;
        }
        let sum = net.add(format!("{place}.add"), Op::Add, &[input, y])?;
        net.add(format!("{place}.{}", act.name()), act, &[sum])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cost, Nasbench201, Network};
    use lanner_space::{Space, View};

    fn network(space: &Space, arch: &Architecture, view: View) -> Network {
        Skeleton::of(space).unwrap().build(arch, view).unwrap()
    }

    /// NAS-Bench-201 as a user would define it.
    fn nasbench201(skeleton: &str) -> Space {
        let mut text = String::from("name = \"own-201\"\nkind = \"cell\"\nnodes = 4\n");
        text += "operations = [\"none\", \"skip_connect\", \"nor_conv_1x1\", \"nor_conv_3x3\", \"avg_pool_3x3\"]\n";
        for (from, to) in lanner_space::nasbench201::EDGES {
            text += &format!("[[edge]]\nfrom = {from}\nto = {to}\n");
        }
        Space::from_toml(&(text + skeleton)).unwrap()
    }

    #[test]
    fn nasbench201_from_a_file_costs_what_the_published_one_does() {
        let space = nasbench201(
            "[skeleton]\nresolution = 32\nclasses = 10\nchannels = 16\nstages = 3\ncells = 5\n",
        );
        assert_eq!(space.size(), 15_625);
        let published = Nasbench201::default();
        for index in (0..15_625).step_by(301) {
            // The codes of both spaces list the operations of the edges in the same order.
            let arch = Space::NasBench201.at(index).unwrap();
            for view in [View::Raw, View::Pruned] {
                let own = Cost::of(&network(&space, &arch, view));
                let known = Cost::of(&published.build(&arch, view).unwrap());
                assert_eq!((own.flops, own.params), (known.flops, known.params), "{arch:?}");
                assert_eq!((own.depth, own.critical_flops), (known.depth, known.critical_flops));
            }
        }
    }

    #[test]
    fn parameters_of_a_chain_by_hand() {
        let text = "name = \"c\"\nkind = \"chain\"\n\
            [[stage]]\ndepth = 1\nwidth = 8\nblock = [\"sep\", \"conv\", \"identity\"]\nkernel = [3, 5]\n\
            [[stage]]\ndepth = [1, 2]\nwidth = 16\nstride = 2\nblock = [\"mb\", \"identity\"]\nkernel = 3\nexpansion = 4\n\
            [skeleton]\nresolution = 16\nclasses = 2\nstem = 8\nhead = 32\n";
        let space = Space::from_toml(text).unwrap();
        let stem = 3 * 8 * 9 + 16;
        let head = |width: u64| width * 32 + 64 + 32 * 2 + 2;
        let mb = |inputs: u64, out: u64| {
            let hidden = 4 * inputs;
            inputs * hidden + 2 * hidden + 9 * hidden + 2 * hidden + hidden * out + 2 * out
        };
        for (text, params) in [
            ("w8:identity/w16:mb_k3_e4", stem + mb(8, 16) + head(16)),
            (
                "w8:sep_k5/w16:mb_k3_e4,mb_k3_e4",
                stem + 8 * 25 + 16 + 64 + 16 + mb(8, 16) + mb(16, 16) + head(16),
            ),
            ("w8:conv_k3/w16:identity,identity", stem + 64 * 9 + 16 + 128 + 32 + head(16)),
        ] {
            let net = network(&space, &space.parse(text).unwrap(), View::Raw);
            assert_eq!(Cost::of(&net).params, params, "{text}");
            assert_eq!(net.output().len(), 2);
        }
        let two = space.parse("w8:identity/w16:mb_k3_e4,mb_k3_e4").unwrap();
        let sums = network(&space, &two, View::Raw);
        assert_eq!(sums.layers.iter().filter(|l| l.op == Op::Add).count(), 1);
    }

    fn example(name: &str) -> Space {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        Space::by_name(&folder.join(name).display().to_string()).unwrap()
    }

    #[test]
    fn parameters_of_residual_blocks_by_hand() {
        let space = example("residual.toml");
        let conv = |inputs: u64, out: u64, kernel: u64| inputs * out * kernel * kernel + 2 * out;
        let stem = conv(3, 16, 3);
        let head = |width: u64| width * 10 + 10;
        // Squeezing to at least 8 channels, with biases.
        let squeeze = |width: u64, to: u64| 2 * width * to + to + width;
        let first = conv(16, 32, 3) + conv(32, 32, 3) + conv(16, 32, 1);
        let bottleneck = conv(16, 8, 1) + conv(8, 8, 3) + conv(8, 32, 1) + conv(16, 32, 1);
        let again = conv(32, 8, 1) + conv(8, 8, 3) + conv(8, 32, 1);
        let mb = conv(32, 192, 1) + 192 * 25 + 2 * 192 + conv(192, 48, 1) + squeeze(192, 48);
        let residual = conv(32, 64, 5) + conv(64, 64, 5) + conv(32, 64, 1) + squeeze(64, 8);
        for (text, params, side) in [
            ("r96/w32:residual_k3_relu/w48:mb_k5_e6_se_hswish", stem + first + mb + head(48), 96),
            (
                "r160/w32:bottleneck_k3_e4_relu,bottleneck_k3_e4_relu/w64:residual_k5_se_relu",
                stem + bottleneck + again + residual + head(64),
                160,
            ),
        ] {
            let net = network(&space, &space.parse(text).unwrap(), View::Raw);
            assert_eq!(Cost::of(&net).params, params, "{text}");
            assert_eq!((net.input().height, net.output().len()), (side, 10));
        }
        // The option goes before the choice.
        let skeleton = Skeleton { resolution: 64, ..Skeleton::of(&space).unwrap() };
        assert_eq!(skeleton.build(&space.at(0).unwrap(), View::Raw).unwrap().input().height, 64);
    }

    #[test]
    fn signals_are_convolved_along_one_axis() {
        let space = example("keywords.toml");
        let text = "w16:conv_k9_relu/w32:sep_k5_relu,residual_k3_relu";
        let arch = space.parse(text).unwrap();
        let net = network(&space, &arch, View::Raw);
        let conv = |inputs: u64, out: u64, kernel: u64| inputs * out * kernel + 2 * out;
        let params = conv(1, 16, 3)
            + conv(16, 16, 9)
            + (16 * 5 + 2 * 16)
            + conv(16, 32, 1)
            + 2 * conv(32, 32, 3)
            + conv(32, 64, 1)
            + 64 * 12
            + 12;
        let cost = Cost::of(&net);
        assert_eq!(cost.params, params);
        let macs = 4000 * 16 * 3
            + 2000 * 16 * 16 * 9
            + 1000 * (16 * 5 + 16 * 32)
            + 1000 * 2 * 32 * 32 * 3
            + 1000 * 32 * 64
            + 64 * 12
            + 12;
        assert_eq!(cost.macs, macs);
        assert_eq!((net.input().height, net.input().width), (1, 8000));
        let skeleton = Skeleton { resolution: 64, ..Skeleton::of(&space).unwrap() };
        let error = skeleton.build(&arch, View::Raw).unwrap_err().to_string();
        let fixed = "resolution is 64, expected 0: the input of keywords is fixed (a program";
        assert!(error.starts_with(fixed), "{error}");
        // Without classes, the network yields its last image.
        let text = std::fs::read_to_string(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/keywords.toml"),
        );
        let headless = text.unwrap().replace("classes = 12", "").replace("head = 64", "");
        let space = Space::from_toml(&headless).unwrap();
        let net =
            network(&space, &space.parse("w16:conv_k9_relu/w48:sep_k3_relu").unwrap(), View::Raw);
        assert_eq!(net.output(), crate::Shape::new(48, 1, 1000));
    }

    #[test]
    fn every_operation_keeps_the_shape() {
        let names = lanner_space::user::OPERATIONS.map(|op| format!("\"{op}\"")).join(", ");
        let text = format!(
            "name = \"all\"\nkind = \"cell\"\nnodes = 2\noperations = [{names}]\n[[edge]]\nfrom = 0\nto = 1\n\
            [skeleton]\nresolution = 8\nclasses = 3\nchannels = 4\nstages = 2\ncells = 1\n"
        );
        let space = Space::from_toml(&text).unwrap();
        let params: Vec<u64> = space
            .iter()
            .map(|arch| Cost::of(&network(&space, &arch, View::Pruned)).params)
            .collect();
        let (base, at) = (params[0], |c: u64, one: u64, k: u64| one * (c * k * k + c * c + 2 * c));
        // Two cells, of 4 and 8 channels; separable convolutions twice.
        assert_eq!(params[1], base);
        assert_eq!(params[2] - base, 16 + 8 + 64 + 16);
        assert_eq!(params[4] - base, 25 * (16 + 64) + 8 + 16);
        assert_eq!(params[5] - base, at(4, 2, 3) + at(8, 2, 3));
        assert_eq!(params[8] - base, at(4, 1, 5) + at(8, 1, 5));
        assert_eq!(params[9..], [base, base]);
    }
}
