//! A network's layers, as simulated devices see them.

use lanner_network::{LayerCost, NetworkError, Op, OpKind, OpNode, Skeleton};
use lanner_space::family::TransformerBlock as Block;
use lanner_space::{Architecture, Space, View};

/// Kinds of layers that devices treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayerKind {
    Conv,
    Depthwise,
    Pool,
    Shuffle,
    Add,
}

/// The analytic costs of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layer {
    pub kind: LayerKind,
    /// Multiply-accumulates (of a pooling, additions).
    pub macs: f64,
    /// Values read and written.
    pub elements: f64,
    pub weights: f64,
}

impl Layer {
    /// Costs of a part of a transformer. Attentions count as the light arithmetic that they are on most devices,
    /// and what moves values only as rearrangements.
    fn of_block(block: &Block) -> Layer {
        let kind = match block {
            Block::Linear { .. } => LayerKind::Conv,
            Block::Attention { .. } => LayerKind::Depthwise,
            Block::Sum { .. } => LayerKind::Add,
            _ => LayerKind::Shuffle,
        };
        // An embedding reads only the rows that are looked up.
        let weights = match block {
            Block::Embedding { .. } => 0.0,
            _ => block.params(),
        };
        Layer { kind, macs: block.macs(), elements: block.values(), weights }
    }

    /// Costs of a node of an [`OpGraph`](lanner_network::OpGraph).
    pub fn of_operation(op: &OpNode) -> Layer {
        let depthwise = op.groups > 1 && op.groups == op.out_channels;
        let kind = match op.kind {
            OpKind::Conv if depthwise => LayerKind::Depthwise,
            OpKind::Conv | OpKind::Linear => LayerKind::Conv,
            OpKind::MaxPool | OpKind::AvgPool | OpKind::GlobalPool => LayerKind::Pool,
            OpKind::Add | OpKind::Mul => LayerKind::Add,
            _ => LayerKind::Shuffle,
        };
        let side = match op.kind {
            OpKind::GlobalPool => op.kernel,
            _ => op.resolution * op.stride,
        };
        let inputs = if kind == LayerKind::Add { 2 } else { 1 };
        let read = inputs * op.in_channels * side * side;
        Layer {
            kind,
            macs: if matches!(kind, LayerKind::Add | LayerKind::Shuffle) {
                0.0
            } else {
                op.flops as f64
            },
            elements: (read + op.out_channels * op.resolution * op.resolution) as f64,
            weights: op.params as f64,
        }
    }
}

/// The published skeleton with one cell a stage, or with a few of each kind: proportions are what
/// counts, and twenty cells take long to make.
pub(super) fn skeleton(space: &Space) -> Result<Skeleton, NetworkError> {
    Ok(Skeleton::of(space)?.with_cells(space.few_cells().costed))
}

/// The layers that take time on a device: batch norms and activations run with the convolution
/// before them, dead ones are there in the raw view only.
pub(super) fn of(
    space: &Space,
    arch: &Architecture,
    view: View,
) -> Result<Vec<Layer>, NetworkError> {
    if let Some(stages) = space.stages() {
        return Ok(stages.blocks(arch).iter().map(Layer::of_block).collect());
    }
    let measured = MEASURED.iter().find(|m| m.0 == space.name() && !space.is_resized());
    if let Some((_, layers)) = measured {
        return Ok(layers(arch.codes()));
    }
    let network = skeleton(space)?.build(arch, view)?;
    Ok((network.layers.iter())
        .filter_map(|layer| {
            let cost = LayerCost::of(&network, layer);
            let read: usize = network.input_shapes(layer).iter().map(|s| s.len()).sum();
            let (kind, macs) = match layer.op {
                Op::Conv(c) if c.groups > 1 && c.groups == c.out_channels => {
                    (LayerKind::Depthwise, cost.macs)
                }
                Op::Conv(_) | Op::UpConv { .. } | Op::Linear { .. } => (LayerKind::Conv, cost.macs),
                Op::MaxPool(_) | Op::AvgPool { .. } | Op::GlobalAvgPool => {
                    (LayerKind::Pool, cost.flops)
                }
                // A sum of one term is no sum.
                Op::Add | Op::Mul if layer.inputs.len() > 1 => (LayerKind::Add, 0),
                Op::Concat
                | Op::ChannelShuffle { .. }
                | Op::Slice { .. }
                | Op::Shift
                | Op::Upsample { .. } => (LayerKind::Shuffle, 0),
                _ => return None,
            };
            Some(Layer {
                kind,
                macs: macs as f64,
                elements: (read + layer.shape.len()) as f64,
                weights: cost.params as f64,
            })
        })
        .collect())
}

/// Layers of a network by its codes.
type OfCodes = fn(&[u8]) -> Vec<Layer>;

/// Spaces of which another network than the published one was measured: the name, and its layers.
const MEASURED: [(&str, OfCodes); 1] = [("fbnet", fbnet)];

/// Output channels and stride of FBNet's layers, behind a stem of 16 channels and 32 pixels: the
/// network that HW-NAS-Bench and HELP measured. Costs agree with its published FLOPs.
const FBNET: [(f64, f64); 22] = [
    (16., 1.),
    (24., 1.),
    (24., 1.),
    (24., 1.),
    (24., 1.),
    (32., 2.),
    (32., 1.),
    (32., 1.),
    (32., 1.),
    (64., 2.),
    (64., 1.),
    (64., 1.),
    (64., 1.),
    (112., 1.),
    (112., 1.),
    (112., 1.),
    (112., 1.),
    (184., 2.),
    (184., 1.),
    (184., 1.),
    (184., 1.),
    (352., 1.),
];
/// Kernel, expansion and groups of FBNet's blocks; the code after them is the skip.
const BLOCKS: [(f64, f64, f64); 8] = [
    (3., 1., 1.),
    (3., 1., 2.),
    (3., 3., 1.),
    (3., 6., 1.),
    (5., 1., 1.),
    (5., 1., 2.),
    (5., 3., 1.),
    (5., 6., 1.),
];

fn fbnet(codes: &[u8]) -> Vec<Layer> {
    let mut all = Vec::new();
    let (mut from, mut side) = (16.0, 32.0);
    for (&(to, stride), &code) in FBNET.iter().zip(codes) {
        let after = side / stride;
        let (before, behind): (f64, f64) = (side * side, after * after);
        let same = from == to && stride == 1.0;
        match BLOCKS.get(usize::from(code)) {
            Some(&(kernel, expansion, groups)) => {
                let inner = from * expansion;
                all.push(Layer {
                    kind: LayerKind::Conv,
                    macs: from * inner * before / groups,
                    elements: (from + inner) * before,
                    weights: from * inner / groups,
                });
                if groups > 1.0 {
                    let elements = 2.0 * inner * before;
                    all.push(Layer { kind: LayerKind::Shuffle, macs: 0.0, elements, weights: 0.0 });
                }
                all.push(Layer {
                    kind: LayerKind::Depthwise,
                    macs: kernel * kernel * inner * behind,
                    elements: inner * (before + behind),
                    weights: kernel * kernel * inner,
                });
                all.push(Layer {
                    kind: LayerKind::Conv,
                    macs: inner * to * behind / groups,
                    elements: (inner + to) * behind,
                    weights: inner * to / groups,
                });
                if same {
                    let elements = 3.0 * to * behind;
                    all.push(Layer { kind: LayerKind::Add, macs: 0.0, elements, weights: 0.0 });
                }
            }
            None if same => {}
            None => all.push(Layer {
                kind: LayerKind::Conv,
                macs: from * to * behind,
                elements: from * before + to * behind,
                weights: from * to,
            }),
        }
        (from, side) = (to, after);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published FLOPs of HELP's networks 0 and 1 less those of a network of skips differ by what
    /// these layers have, but for batch norms (2 a value) and ReLUs (1 a value).
    #[test]
    fn a_block_has_the_published_costs() {
        // Layer 0, k3_e1: the table's FLOPs exceed those of a skip by 786,432, of which 7 a value
        // of 16 × 32 × 32 are batch norms and ReLUs.
        let skip = fbnet(&[8; 22]);
        let mut codes = [8; 22];
        codes[0] = 0;
        let block = fbnet(&codes);
        let macs = |layers: &[Layer]| layers.iter().map(|l| l.macs).sum::<f64>();
        assert_eq!(macs(&block) - macs(&skip), 786_432.0 - 7.0 * 16.0 * 1024.0);
        codes[0] = 1;
        assert_eq!(macs(&fbnet(&codes)) - macs(&skip), 524_288.0 - 7.0 * 16.0 * 1024.0);
        // Identities cost nothing, the five changes of shape a convolution each.
        assert_eq!(skip.len(), 6);
    }
}
