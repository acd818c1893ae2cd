//! Optimisers: AdamW (Adam with decoupled weight decay, Loshchilov & Hutter, ICLR 2019) and SGD
//! with Nesterov's momentum.

use std::ops::Range;

use rayon::prelude::*;

use crate::{Float, simd::multiversion};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// AdamW over one flat vector of parameters; β = (0.9, 0.999), ε = 1e-8.
#[derive(Debug, Clone)]
pub struct AdamW {
    /// Decoupled weight decay, which is multiplied by the learning rate. It applies to every
    /// parameter, as in PyTorch.
    pub weight_decay: f32,
    steps: u32,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl AdamW {
    /// The state before the first step, for `len` parameters.
    pub fn new(len: usize, weight_decay: f32) -> Self {
        AdamW { weight_decay, steps: 0, mean: vec![0.0; len], square: vec![0.0; len] }
    }

    /// Moves `params` one step against `grads`, with the learning rate `lr`.
    ///
    /// # Panics
    /// When the lengths differ from that given to [`AdamW::new`].
    pub fn step(&mut self, params: &mut [f32], grads: &[f32], lr: f32, threads: usize) {
        self.step_sum(params, &[grads], lr, threads);
    }

    /// [`AdamW::step`] with a gradient that is the sum of `grads`, added in order.
    pub fn step_sum(&mut self, params: &mut [f32], grads: &[&[f32]], lr: f32, threads: usize) {
        let n = self.mean.len();
        assert!(params.len() == n && grads.iter().all(|g| g.len() == n), "{n} parameters");
        self.steps = self.steps.saturating_add(1);
        let correction1 = 1.0 - f64::from(BETA1).powi(self.steps as i32);
        let correction2 = 1.0 - f64::from(BETA2).powi(self.steps as i32);
        let rates = [
            1.0 - lr * self.weight_decay,
            (f64::from(lr) / correction1) as f32,
            (1.0 / correction2.sqrt()) as f32,
        ];
        let chunk = n.div_ceil(threads.max(1)).next_multiple_of(16);
        let part = |at: usize, (p, (m, v)): (&mut [f32], (&mut [f32], &mut [f32]))| {
            let range = at * chunk..at * chunk + p.len();
            match grads {
                [one] => update(p, &one[range], m, v, rates),
                [one, two] => update_two(p, &one[range.clone()], &two[range], m, v, rates),
                _ => {
                    let mut sum = vec![0.0f32; p.len()];
                    for g in grads {
                        sum.iter_mut().zip(&g[range.clone()]).for_each(|(s, g)| *s += g);
                    }
                    update(p, &sum, m, v, rates);
                }
            }
        };
        if threads <= 1 {
            part(0, (params, (&mut self.mean, &mut self.square)));
        } else {
            params
                .par_chunks_mut(chunk)
                .zip(self.mean.par_chunks_mut(chunk).zip(self.square.par_chunks_mut(chunk)))
                .enumerate()
                .for_each(|(at, x)| part(at, x));
        }
    }
}

#[inline(always)]
fn element(p: &mut f32, g: f32, m: &mut f32, v: &mut f32, [decay, rate, root]: [f32; 3]) {
    *m = BETA1 * *m + (1.0 - BETA1) * g;
    *v = BETA2 * *v + (1.0 - BETA2) * g * g;
    *p = *p * decay - rate * *m / (v.sqrt() * root + EPSILON);
}

multiversion! {
    fn update(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], rates: [f32; 3]) {
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            element(p, *g, m, v, rates);
        }
    }
}

multiversion! {
    fn update_two(
        p: &mut [f32], g: &[f32], h: &[f32], m: &mut [f32], v: &mut [f32], rates: [f32; 3],
    ) {
        for ((((p, g), h), m), v) in p.iter_mut().zip(g).zip(h).zip(m).zip(v) {
            element(p, *g + *h, m, v, rates);
        }
    }
}

/// SGD with Nesterov's momentum (Sutskever et al., ICML 2013) in the form of PyTorch:
/// g ← g + decay·p, v ← momentum·v + g, p ← p − lr·(g + momentum·v).
#[derive(Debug, Clone)]
pub struct Sgd<T> {
    pub momentum: f32,
    /// Fraction of a parameter that is added to its gradient, for `decayed` parameters only.
    pub weight_decay: f32,
    /// Ranges of the parameters with weight decay, ascending.
    decayed: Vec<Range<usize>>,
    velocity: Vec<T>,
}

impl<T: Float> Sgd<T> {
    /// The state before the first step, for `len` parameters. Those in the ranges `decayed` have
    /// weight decay.
    ///
    /// # Panics
    /// When the ranges are not ascending, overlap, or exceed `len`.
    pub fn new(len: usize, momentum: f32, weight_decay: f32, decayed: Vec<Range<usize>>) -> Self {
        let apart = decayed.windows(2).all(|w| w[0].end <= w[1].start);
        let within = decayed.iter().all(|r| r.start <= r.end && r.end <= len);
        assert!(apart && within, "ranges of {len} parameters, ascending and apart");
        Sgd { momentum, weight_decay, decayed, velocity: vec![T::ZERO; len] }
    }

    /// Moves `params` one step against `grads`, with the learning rate `lr`.
    ///
    /// # Panics
    /// When the lengths differ from that given to [`Sgd::new`].
    pub fn step(&mut self, params: &mut [T], grads: &[T], lr: f32) {
        let n = self.velocity.len();
        assert!(params.len() == n && grads.len() == n, "{n} parameters");
        let [lr, momentum, decay] =
            [lr, self.momentum, self.weight_decay].map(|x| T::of(f64::from(x)));
        let mut at = 0;
        let mut part = |end: usize, decay: T| {
            let range = std::mem::replace(&mut at, end)..end;
            let (p, v) = (&mut params[range.clone()], &mut self.velocity[range.clone()]);
            for ((p, g), v) in p.iter_mut().zip(&grads[range]).zip(v) {
                let g = *g + decay * *p;
                *v = momentum * *v + g;
                *p -= lr * (g + momentum * *v);
            }
        };
        for range in &self.decayed {
            part(range.start, T::ZERO);
            part(range.end, decay);
        }
        part(n, T::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.optim.SGD(nesterov=True)` in f64: `benches/peers/train_torch.py sgd`.
    #[test]
    fn sgd_takes_the_steps_of_pytorch() {
        let text = include_str!("../tests/data/sgd_golden.json");
        let golden: serde_json::Value = serde_json::from_str(text).unwrap();
        let (rates, steps) = (golden["rates"].as_array().unwrap(), golden["steps"].as_array());
        let count = 40;
        let number = |k: usize, t: usize| ((k * 7 + t * 5) % 16) as f32 / 8.0 - 1.0;
        let mut params: Vec<f32> = (0..count).map(|k| number(k, 0)).collect();

        let mut sgd = Sgd::new(count, 0.9, 0.25, vec![3..17, 20..40]);
        for (t, (rate, expected)) in rates.iter().zip(steps.unwrap()).enumerate() {
            let grads: Vec<f32> = (0..count).map(|k| number(k, t + 1)).collect();
            sgd.step(&mut params, &grads, rate.as_f64().unwrap() as f32);
            for (p, e) in params.iter().zip(expected.as_array().unwrap()) {
                let e = e.as_f64().unwrap();
                assert!((f64::from(*p) - e).abs() < 1e-5, "step {t}: {p} for {e}");
            }
        }
    }

    /// Runs the algorithm of the paper for one parameter, in f64.
    fn slow(steps: usize, mut p: f64, grad: impl Fn(usize) -> f64, lr: f64, decay: f64) -> f64 {
        let (mut m, mut v) = (0.0, 0.0);
        for t in 1..=steps {
            let g = grad(t);
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (mh, vh) = (m / (1.0 - 0.9f64.powi(t as i32)), v / (1.0 - 0.999f64.powi(t as i32)));
            p -= lr * decay * p;
            p -= lr * mh / (vh.sqrt() + 1e-8);
        }
        p
    }

    #[test]
    fn follows_the_paper() {
        let n = 70_037;
        let grad = |t: usize, i: usize| ((t * 31 + i * 17) % 23) as f64 / 23.0 - 0.4;
        for (threads, parts) in [(1, 1), (2, 2), (2, 3)] {
            let mut adam = AdamW::new(n, 0.1);
            let mut params: Vec<f32> = (0..n).map(|i| (i % 7) as f32 - 3.0).collect();
            for t in 1..=20 {
                let part: Vec<f32> =
                    (0..n).map(|i| (grad(t, i) / f64::from(parts)) as f32).collect();
                let grads = vec![part.as_slice(); parts as usize];
                adam.step_sum(&mut params, &grads, 0.01, threads);
            }
            for i in (0..n).step_by(997) {
                let want = slow(20, (i % 7) as f64 - 3.0, |t| grad(t, i), 0.01, 0.1);
                assert!((f64::from(params[i]) - want).abs() < 1e-4, "{} for {want}", params[i]);
            }
        }
    }
}
