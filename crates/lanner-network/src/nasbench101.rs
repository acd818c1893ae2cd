//! NAS-Bench-101 (Ying et al., ICML 2019), as in the authors' `model_builder.py`.
//!
//! The network has a stem of 3×3 convolution, batch norm and ReLU; stacks of equal cells with 2×2
//! maximum pooling between them, each stack with twice the channels of the one before; global average
//! pooling and a linear layer.
//!
//! The output of a cell is the concatenation of the vertices that feed it, which share its channels.
//! Any other vertex has as many channels as the largest vertex that it feeds; a smaller one reads it
//! without the last channel. The cell's input reaches each vertex that reads it through a 1×1
//! convolution, batch norm and ReLU; if the output reads it, it is added to the output the same way.
//!
//! The authors prune a cell before they build it, so that both views are the same.

use crate::{
    Builder, Conv, NetworkError, Op, Pool, Skeleton,
    blocks::{classifier, conv_bn_act, sum},
};

/// Number of stacks of cells; the resolution is halved between them.
const STACKS: usize = 3;

/// A pruned cell: vertex 0 is the input, the last one the output.
struct Cell {
    /// Operations of the vertices between; 0: convolution 3×3, 1: convolution 1×1, 2: maximum pooling
    /// 3×3.
    ops: Vec<u8>,
    /// Whether one vertex feeds another: `feeds[from][to]`.
    feeds: Vec<Vec<bool>>,
}

impl Cell {
    /// Reads an architecture's codes: number of vertices, their operations, upper triangle by row.
    ///
    /// Any numbering of the vertices is accepted: it decides which vertices get one more channel when
    /// channels cannot be shared equally. The space itself has one numbering of each cell.
    fn of(codes: &[u8]) -> Result<Cell, NetworkError> {
        let n = codes.first().map_or(0, |&n| usize::from(n));
        let sized = (2..=7).contains(&n) && codes.len() == n - 1 + n * (n - 1) / 2;
        let known =
            |ops: &[u8], bits: &[u8]| ops.iter().all(|&o| o < 3) && bits.iter().all(|&b| b < 2);
        if !sized || !known(&codes[1..n - 1], &codes[n - 1..]) {
            return Err(NetworkError::Value {
                name: "cell of nasbench101",
                value: format!("{codes:?}"),
                expected: "2 to 7 vertices, their operations and the matrix above its diagonal"
                    .into(),
            });
        }
        let (ops, bits) = codes[1..].split_at(n - 2);
        let mut feeds = vec![vec![false; n]; n];
        let pairs = (0..n).flat_map(|from| (from + 1..n).map(move |to| (from, to)));
        for ((from, to), &bit) in pairs.zip(bits) {
            feeds[from][to] = bit != 0;
        }
        let (mut reached, mut used) = (vec![false; n], vec![false; n]);
        (reached[0], used[n - 1]) = (true, true);
        for to in 1..n {
            reached[to] = (0..to).any(|from| feeds[from][to] && reached[from]);
        }
        for from in (0..n - 1).rev() {
            used[from] = (from + 1..n).any(|to| feeds[from][to] && used[to]);
        }
        let kept: Vec<usize> = (0..n).filter(|&v| reached[v] && used[v]).collect();
        if kept.len() < 2 {
            return Err(NetworkError::Value {
                name: "cell of nasbench101",
                value: "without a path from input to output".into(),
                expected: "one or more".into(),
            });
        }
        let inner = &kept[1..kept.len() - 1];
        Ok(Cell {
            ops: inner.iter().map(|&v| ops[v - 1]).collect(),
            feeds: kept.iter().map(|&f| kept.iter().map(|&t| feeds[f][t]).collect()).collect(),
        })
    }

    fn output(&self) -> usize {
        self.feeds.len() - 1
    }

    /// Number of channels of each vertex.
    fn channels(&self, output: usize) -> Vec<usize> {
        let last = self.output();
        let mut channels = vec![0; last + 1];
        channels[last] = output;
        let feeding: Vec<usize> = (1..last).filter(|&v| self.feeds[v][last]).collect();
        for (i, &v) in feeding.iter().enumerate() {
            channels[v] = output / feeding.len() + usize::from(i < output % feeding.len());
        }
        for v in (1..last).rev().filter(|&v| !self.feeds[v][last]) {
            let most = (v + 1..last).filter(|&to| self.feeds[v][to]).map(|to| channels[to]).max();
            channels[v] = most.unwrap_or(0);
        }
        channels
    }

    fn build(
        &self,
        net: &mut Builder,
        place: &str,
        x: usize,
        output: usize,
    ) -> Result<usize, NetworkError> {
        net.block(place, "cell");
        let channels = self.channels(output);
        let last = self.output();
        let mut layers = vec![x];
        for v in 1..last {
            let place = format!("{place}.vertex{v}");
            let mut terms = Vec::new();
            for from in (1..v).filter(|&from| self.feeds[from][v]) {
                terms.push(match channels[from] > channels[v] {
                    true => {
                        let slice = Op::Slice { channels: channels[v] };
                        net.add(format!("{place}.slice{from}"), slice, &[layers[from]])?
                    }
                    false => layers[from],
                });
            }
            if self.feeds[0][v] {
                terms.push(project(net, &format!("{place}.input"), channels[v], x)?);
            }
            let input = sum(net, format!("{place}.sum"), &terms)?;
            let conv = |kernel| Conv::same(channels[v], kernel);
            layers.push(match self.ops[v - 1] {
                0 => conv_bn_act(net, &place, conv(3), Op::Relu, input)?,
                1 => conv_bn_act(net, &place, conv(1), Op::Relu, input)?,
                _ => {
                    let pool = Op::MaxPool(Pool { kernel: 3, stride: 1, padding: 1 });
                    net.add(format!("{place}.pool"), pool, &[input])?
                }
            });
        }
        let feeding: Vec<usize> =
            (1..last).filter(|&v| self.feeds[v][last]).map(|v| layers[v]).collect();
        let mut terms = Vec::new();
        match feeding[..] {
            [] => {}
            [one] => terms.push(one),
            _ => terms.push(net.add(format!("{place}.concat"), Op::Concat, &feeding)?),
        }
        if self.feeds[0][last] {
            terms.push(project(net, &format!("{place}.input"), output, x)?);
        }
        sum(net, format!("{place}.sum"), &terms)
    }
}

fn project(
    net: &mut Builder,
    place: &str,
    channels: usize,
    x: usize,
) -> Result<usize, NetworkError> {
    conv_bn_act(net, place, Conv::same(channels, 1), Op::Relu, x)
}

pub fn build(s: &Skeleton, net: &mut Builder, codes: &[u8]) -> Result<(), NetworkError> {
    let cell = Cell::of(codes)?;
    net.block("stem", "stem");
    let mut x = conv_bn_act(net, "stem", Conv::same(s.channels, 3), Op::Relu, 0)?;
    for stack in 1..=STACKS {
        if stack > 1 {
            let name = format!("pool{}", stack - 1);
            net.block(&name, "reduce");
            x = net.add(name, Op::MaxPool(Pool { kernel: 2, stride: 2, padding: 0 }), &[x])?;
        }
        for n in 1..=s.cells {
            let place = format!("stack{stack}.cell{n}");
            x = cell.build(net, &place, x, s.channels << (stack - 1))?;
        }
    }
    net.block("head", "head");
    classifier(net, s.classes, x)?;
    Ok(())
}
