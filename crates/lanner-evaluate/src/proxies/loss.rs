//! Gradient of the cross-entropy of logits.

use lanner_nn::Float;

/// Computes the gradient of the batch's mean cross-entropy by the logits (images × classes):
/// (softmax − one-hot) / images.
pub fn gradient<T: Float>(logits: &[T], labels: &[u16]) -> Vec<T> {
    let classes = logits.len() / labels.len();
    let mut out = Vec::with_capacity(logits.len());
    for (logits, &label) in logits.chunks_exact(classes).zip(labels) {
        let p = softmax(logits);
        out.extend(p.iter().enumerate().map(|(c, p)| {
            let hit = f64::from(u8::from(c == usize::from(label)));
            T::of((p - hit) / labels.len() as f64)
        }));
    }
    out
}

/// Computes probabilities from logits.
pub fn softmax<T: Float>(logits: &[T]) -> Vec<f64> {
    let top = logits.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    let mut p: Vec<f64> = logits.iter().map(|x| (x.to_f64() - top).exp()).collect();
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    p
}
