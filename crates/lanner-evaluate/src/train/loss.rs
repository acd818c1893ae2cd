//! Cross-entropy with label smoothing.

use lanner_nn::Float;

/// Computes the mean over images of the cross-entropy between softmax(logits) and the smoothed labels,
/// (1 − smoothing)·one-hot + smoothing / classes (Szegedy et al. 2016). Writes its gradient by the
/// logits (images × classes) to `gradient`.
pub fn cross_entropy<T: Float>(
    logits: &[T],
    labels: &[u16],
    smoothing: f32,
    gradient: &mut Vec<T>,
) -> f64 {
    let (images, classes) = (labels.len() as f64, logits.len() / labels.len().max(1));
    let rest = f64::from(smoothing) / classes as f64;
    gradient.clear();
    let mut loss = 0.0;
    for (logits, &label) in logits.chunks_exact(classes).zip(labels) {
        let log_sum = log_sum_exp(logits);
        for (c, &logit) in logits.iter().enumerate() {
            let hit = c == usize::from(label);
            let target = rest + if hit { 1.0 - f64::from(smoothing) } else { 0.0 };
            let log_p = logit.to_f64() - log_sum;
            loss -= target * log_p;
            gradient.push(T::of((log_p.exp() - target) / images));
        }
    }
    loss / images
}

/// Sum of −log p(label) over images, and the number of images whose label has the highest logit.
pub fn hits<T: Float>(logits: &[T], labels: &[u16]) -> (f64, usize) {
    let classes = logits.len() / labels.len().max(1);
    let (mut loss, mut hits) = (0.0, 0);
    for (logits, &label) in logits.chunks_exact(classes).zip(labels) {
        let (before, rest) = logits.split_at(usize::from(label));
        loss += log_sum_exp(logits) - rest[0].to_f64();
        // Among equal logits, the first counts.
        let best = before.iter().all(|&l| l < rest[0]) && rest.iter().all(|&l| l <= rest[0]);
        hits += usize::from(best);
    }
    (loss, hits)
}

fn log_sum_exp<T: Float>(logits: &[T]) -> f64 {
    let top = logits.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    top + logits.iter().map(|x| (x.to_f64() - top).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 8] = [0.5, -1.25, 3.0, 0.0, -2.0, 0.75, 1.5, 1.0];
    const LABELS: [u16; 2] = [2, 0];

    /// Computes the loss by its definition, term by term.
    fn slow(logits: &[f64], smoothing: f64) -> f64 {
        let term = |n: usize, c: usize| {
            let all: f64 = (0..4).map(|k| logits[4 * n + k].exp()).sum();
            let hit = f64::from(u8::from(c == usize::from(LABELS[n])));
            let target = (1.0 - smoothing) * hit + smoothing / 4.0;
            -target * (logits[4 * n + c].exp() / all).ln()
        };
        (0..8).map(|k| term(k / 4, k % 4)).sum::<f64>() / 2.0
    }

    #[test]
    fn the_loss_is_its_definition_and_the_gradient_its_slope() {
        let wide: Vec<f64> = LOGITS.iter().map(|&x| f64::from(x)).collect();
        for smoothing in [0.0f32, 0.1, 0.5] {
            let mut gradient = Vec::new();
            let loss = cross_entropy(&LOGITS, &LABELS, smoothing, &mut gradient);
            let smoothing = f64::from(smoothing);
            assert!((loss - slow(&wide, smoothing)).abs() < 1e-12);
            for k in 0..8 {
                let at = |step: f64| {
                    let mut moved = wide.clone();
                    moved[k] += step;
                    slow(&moved, smoothing)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((gradient[k].to_f64() - slope).abs() < 1e-7, "{k}: {slope}");
            }
        }
    }

    #[test]
    fn large_logits_stay_finite_and_nan_is_not_hidden() {
        let mut gradient = Vec::new();
        let loss = cross_entropy(&[3e38f32, 0.0, -3e38], &[0], 0.0, &mut gradient);
        assert_eq!((loss, &gradient[..]), (0.0, &[0.0; 3][..]));
        assert!(cross_entropy(&[f32::NAN, 0.0], &[1], 0.1, &mut gradient).is_nan());
        let (loss, hits) = hits(&[f32::NAN, 0.0], &[1]);
        assert!(loss.is_nan() && hits == 0);
    }

    #[test]
    fn hits_are_of_the_first_highest_logit() {
        let mut gradient = Vec::new();
        let (loss, count) = hits(&LOGITS, &LABELS);
        let mean = cross_entropy(&LOGITS, &LABELS, 0.0, &mut gradient);
        assert!((loss - 2.0 * mean).abs() < 1e-12);
        assert_eq!(count, 1);
        assert_eq!(hits(&[1.0f32, 1.0, 0.0], &[0]).1, 1);
        assert_eq!(hits(&[1.0f32, 1.0, 0.0], &[1]).1, 0);
    }
}
