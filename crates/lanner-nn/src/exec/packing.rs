//! Packs weights of convolutions in the order that the inner loops read: blocks of 16 by 16.

use super::Float;
use super::conv::ConvKernel;
use super::vector::BLOCK;

impl ConvKernel {
    /// Length of packed weights, and of the sums of their gradients over a part.
    pub fn packed_len(&self) -> usize {
        let kernel = self.op.kernel * self.op.kernel;
        if self.depthwise {
            return self.input.blocks() * kernel * BLOCK;
        }
        self.input.groups * self.input.blocks() * self.gradient.blocks() * kernel * BLOCK * BLOCK
    }

    /// Length of a bias that is filled up to blocks.
    pub fn bias_len(&self) -> usize {
        self.gradient.groups * self.gradient.blocks() * BLOCK
    }

    /// Length of a zero bias for the backward pass by data.
    pub fn input_bias_len(&self) -> usize {
        self.input.blocks() * BLOCK
    }

    /// Packs a kernel (outputs × inputs of a group × height × width) into blocks.
    pub(super) fn pack<T: Float>(&self, weight: &[T], transposed: bool, out: &mut [T]) {
        out.fill(T::ZERO);
        self.each_place(transposed, |at, place| out[place] = weight[at]);
    }

    /// Unpacks a kernel and a bias from `packed`: packed weights with a packed bias behind.
    pub fn unpack<T: Float>(&self, packed: &[T], weight: &mut [T], bias: &mut [T]) {
        self.each_place(false, |at, place| weight[at] = packed[place]);
        let packed = &packed[self.packed_len()..];
        let per_group = self.gradient.blocks() * BLOCK;
        for (o, b) in bias.iter_mut().enumerate() {
            *b = packed[o / self.gradient.channels * per_group + o % self.gradient.channels];
        }
    }

    /// Calls `f(index in the kernel, index in the packed weights)` for every weight.
    fn each_place(&self, transposed: bool, mut f: impl FnMut(usize, usize)) {
        let kernel = self.op.kernel * self.op.kernel;
        if self.depthwise {
            for at in 0..self.input.channels * kernel {
                let (c, tap) = (at / kernel, at % kernel);
                f(at, (c / BLOCK * kernel + tap) * BLOCK + c % BLOCK);
            }
            return;
        }
        let (ins, outs) = (self.input.channels, self.gradient.channels);
        let (in_blocks, out_blocks) = (self.input.blocks(), self.gradient.blocks());
        let mut at = 0;
        for group in 0..self.input.groups {
            for o in 0..outs {
                for i in 0..ins {
                    let (to, blocks, from) =
                        if transposed { (i, out_blocks, o) } else { (o, in_blocks, i) };
                    let block =
                        (group * in_blocks * out_blocks) + to / BLOCK * blocks + from / BLOCK;
                    let mut place = (block * kernel * BLOCK + from % BLOCK) * BLOCK + to % BLOCK;
                    // Winograd has no list of taps: for the backward pass by data, its kernel is
                    // turned around.
                    let turned = transposed && self.winograd.is_some();
                    if turned {
                        place += (kernel - 1) * BLOCK * BLOCK;
                    }
                    for _ in 0..kernel {
                        f(at, place);
                        at += 1;
                        place = if turned {
                            place.wrapping_sub(BLOCK * BLOCK)
                        } else {
                            place + BLOCK * BLOCK
                        };
                    }
                }
            }
        }
    }

    /// Fills a bias up to blocks; an empty one becomes zeros.
    pub fn pack_bias<T: Float>(&self, bias: &[T], out: &mut [T]) {
        out.fill(T::ZERO);
        let per_group = self.gradient.blocks() * BLOCK;
        for (o, b) in bias.iter().enumerate() {
            out[o / self.gradient.channels * per_group + o % self.gradient.channels] = *b;
        }
    }
}
