//! Minimisation of a smooth function of few variables by L-BFGS (Nocedal & Wright, ch. 7).

use std::collections::VecDeque;

const MEMORY: usize = 8;

/// Minimises `f` (value and gradient) from `x`, at most `iterations` steps; returns the best point. A non-finite value counts as infinitely bad, so the search backs off from it.
pub(crate) fn minimise(
    mut x: Vec<f64>,
    iterations: usize,
    mut f: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Vec<f64> {
    let (mut value, mut gradient) = f(&x);
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    for _ in 0..iterations {
        if dot(&gradient, &gradient).sqrt() < 1e-3 {
            break;
        }
        let mut direction = two_loop(&gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            pairs.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
        }
        // Log parameters: a step of more than 2 in any is out of the model's trust.
        let longest = direction.iter().fold(0f64, |m, d| m.max(d.abs()));
        let mut step = if pairs.is_empty() { 0.5 / longest } else { (2.0 / longest).min(1.0) };
        let mut accepted = None;
        for _ in 0..12 {
            let next: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            let (v, g) = f(&next);
            if v.is_finite() && v <= value + 1e-4 * step * slope {
                accepted = Some((next, v, g));
                break;
            }
            step *= 0.4;
        }
        let Some((next, v, g)) = accepted else { break };
        let s: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = g.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let sy = dot(&s, &y);
        if sy > 1e-10 {
            pairs.push_back((s, y, 1.0 / sy));
            if pairs.len() > MEMORY {
                pairs.pop_front();
            }
        }
        let gain = value - v;
        (x, value, gradient) = (next, v, g);
        if gain < 1e-4 {
            break;
        }
    }
    x
}

fn two_loop(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut q = gradient.to_vec();
    let mut alphas = Vec::with_capacity(pairs.len());
    for (s, y, rho) in pairs.iter().rev() {
        let a = rho * dot(s, &q);
        q.iter_mut().zip(y).for_each(|(q, y)| *q -= a * y);
        alphas.push(a);
    }
    if let Some((_, y, rho)) = pairs.back() {
        let scale = 1.0 / (rho * dot(y, y));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((s, y, rho), a) in pairs.iter().zip(alphas.iter().rev()) {
        let b = rho * dot(y, &q);
        q.iter_mut().zip(s).for_each(|(q, s)| *q += (a - b) * s);
    }
    q.iter_mut().for_each(|q| *q = -*q);
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_minimum_of_rosenbrock() {
        let f = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
        };
        let mut x = vec![-1.2, 1.0];
        for _ in 0..20 {
            x = minimise(x, 100, f);
        }
        assert!((x[0] - 1.0).abs() < 1e-2 && (x[1] - 1.0).abs() < 2e-2, "{x:?}");
    }
}
