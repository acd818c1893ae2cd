//! Adds gradients to the buffers of the layers that were read, on the way through an activation.

use super::activation_states;
use super::elementwise::{self, Act};
use super::executor::Executor;
use super::float::Buffer;
use super::plan::Grad;
use super::workers::{Group, PARTS, Scratch, batch_parts, groups, split_by_part};
use super::{Float, Observer, Params, Wants};

/// State of one backward pass.
pub struct BackwardPass<'a, T> {
    pub params: &'a Params<T>,
    pub wants: Wants,
    pub observer: &'a dyn Observer<T>,
    /// Whether the gradient buffer of each layer was written in this pass.
    pub written: Vec<bool>,
}

/// Destination of an input's gradient.
#[derive(Clone, Copy)]
pub struct GradientTarget {
    /// The layer that has the buffer, and the buffer's number.
    layer: usize,
    slot: usize,
    /// The activation that the gradient passes on the way, if any.
    act: Option<usize>,
    /// The buffer has numbers already: add to them.
    add: bool,
}

/// Buffers that [`Executor::accumulate`] adds to, taken out of the executor for the time.
pub struct Accumulator<T> {
    input: usize,
    pub target: Option<GradientTarget>,
    out: Buffer<T>,
    pub partial: Buffer<T>,
    sum: usize,
}

/// Computes the gradients of an input for a group of images, if they are wanted, and adds to the
/// sums of the group's part.
pub type GroupFn<'a, T> = dyn Fn(Group, Option<&mut [T]>, &mut [T], &mut Scratch<T>) + Sync + 'a;

/// Computes the gradient of an input for an image.
pub type ImageFn<'a, T> = dyn Fn(usize, &mut [T], &mut Scratch<T>) + Sync + 'a;

impl<T: Float> Executor<T> {
    /// Destination of the gradient of layer `j`, or none if it is not wanted or in place already.
    fn target(&self, j: usize, pass: &BackwardPass<T>) -> Option<GradientTarget> {
        let (layer, act) = match self.plan.layers[j].grad {
            Grad::Own => (j, None),
            Grad::Pass => (self.network.layers[j].inputs[0], Some(j)),
            _ => return None,
        };
        // The layer before an activation may share the gradient of a sum.
        let layer = self.plan.gradient_root(layer)?;
        if layer == 0 && !pass.wants.input {
            return None;
        }
        let slot = self.plan.layers[layer].grad_slot?;
        Some(GradientTarget { layer, slot, act, add: pass.written[layer] })
    }

    /// Takes the buffers that [`Executor::accumulate`] adds to: that of the gradient of layer `j`,
    /// and `sum` zeros for each part of the batch.
    pub(super) fn take_accumulator(
        &mut self,
        j: usize,
        pass: &BackwardPass<T>,
        sum: usize,
    ) -> Accumulator<T> {
        let target = self.target(j, pass);
        let mut partial = std::mem::take(&mut self.partial);
        let sums = PARTS.min(self.images) * sum;
        partial.take(sums).fill(T::ZERO);
        let out = target.map(|t| std::mem::take(&mut self.slots[t.slot])).unwrap_or_default();
        Accumulator { input: j, target, out, partial, sum }
    }

    pub(super) fn return_accumulator(
        &mut self,
        accumulator: Accumulator<T>,
        pass: &mut BackwardPass<T>,
    ) {
        if let Some(t) = accumulator.target {
            self.slots[t.slot] = accumulator.out;
            pass.written[t.layer] = true;
        }
        self.partial = accumulator.partial;
    }

    /// Calls `f(image, dx, scratch)` for each image, which computes the gradient `dx` of an input,
    /// and adds that to the input's buffer.
    pub(super) fn accumulate(
        &self,
        accumulator: &mut Accumulator<T>,
        pass: &BackwardPass<T>,
        f: &ImageFn<T>,
    ) {
        self.accumulate_groups(accumulator, pass, 1, &|group, dx, _, s| {
            if let Some(dx) = dx {
                f(group.image, dx, s);
            }
        });
    }

    /// Calls `f(group, dx, sums of the part, scratch)` for groups of images, which computes the
    /// gradients `dx` of an input and adds to the sums; adds the gradients to the input's buffer.
    pub(super) fn accumulate_groups(
        &self,
        accumulator: &mut Accumulator<T>,
        pass: &BackwardPass<T>,
        size: usize,
        f: &GroupFn<T>,
    ) {
        let (target, sum, len) = (
            accumulator.target,
            accumulator.sum,
            self.network.layers[accumulator.input].shape.len(),
        );
        if target.is_none() && sum == 0 {
            return;
        }
        let parts = batch_parts(self.images);
        let outs =
            split_by_part(&mut accumulator.out, &parts, if target.is_some() { len } else { 0 });
        let all = vec![0..1; parts.len()];
        let partials = split_by_part(&mut accumulator.partial, &all, sum);
        let jobs = parts.into_iter().zip(outs).zip(partials).collect();
        let behind = target.map(|t| self.source(t.layer));
        self.workers.each(jobs, |((part, out), partial), s| {
            let start = part.start;
            for group in groups(part, size) {
                let (Some(t), Some(before)) = (target, behind) else {
                    f(group, None, partial, s);
                    continue;
                };
                let numbers = group.count * len;
                let out = &mut out[(group.image - start) * len..][..numbers];
                if t.act.is_none() && !t.add {
                    f(group, Some(out), partial, s);
                    continue;
                }
                let mut buffer = std::mem::take(&mut s.dx);
                let dx = buffer.take(numbers);
                f(group, Some(dx), partial, s);
                let act = t.act.and_then(|a| Act::of(&self.network.layers[a].op));
                for (k, (dx, out)) in
                    dx.chunks_exact_mut(len).zip(out.chunks_exact_mut(len)).enumerate()
                {
                    let n = group.image + k;
                    if let Some(a) = t.act.filter(|&a| self.plan.layers[a].observed) {
                        let output = self.source(a).image(n, &mut s.spare);
                        pass.observer.gradient(a, n, output, dx);
                    }
                    let held = t.act.and_then(|a| self.held_bits(a));
                    if let (Some(act), Some(bits)) = (act, held) {
                        activation_states::hold_image_back(bits, act, n, dx, &before, &mut s.spare);
                        elementwise::apply_back(dx, &[], None, None, t.add, out);
                        continue;
                    }
                    let x = if act.is_some() { before.raw(n) } else { &[] };
                    elementwise::apply_back(dx, x, before.norm, act, t.add, out);
                }
                s.dx = buffer;
            }
        });
    }
}
