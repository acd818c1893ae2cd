//! Schedules of the learning rate, and early stopping.

/// Cosine annealing from `lr` to zero (Loshchilov & Hutter 2017): the learning rate of `epoch`,
/// counted from 0, of `epochs`.
pub fn cosine(lr: f32, epoch: usize, epochs: usize) -> f32 {
    let turn = std::f64::consts::PI * epoch as f64 / epochs.max(1) as f64;
    (f64::from(lr) * 0.5 * (1.0 + turn.cos())) as f32
}

/// [`cosine`] by steps after a linear rise over the first `warm_up` steps (Goyal et al. 2017): the
/// learning rate of `step`, counted from 0, of `steps`.
pub fn warm_cosine(lr: f32, step: usize, steps: usize, warm_up: usize) -> f32 {
    match step < warm_up {
        true => lr * ((step + 1) as f64 / (warm_up + 1) as f64) as f32,
        false => cosine(lr, step - warm_up, steps.saturating_sub(warm_up)),
    }
}

/// Lowers the learning rate by `factor` when the loss has not fallen below (1 − `threshold`) of the
/// best for more than `patience` epochs, as PyTorch's `ReduceLROnPlateau` does.
#[derive(Debug, Clone)]
pub struct Plateau {
    pub lr: f32,
    factor: f32,
    threshold: f64,
    patience: usize,
    best: f64,
    bad: usize,
}

impl Plateau {
    pub fn new(lr: f32, factor: f32, patience: usize, threshold: f64) -> Self {
        Plateau { lr, factor, threshold, patience, best: f64::INFINITY, bad: 0 }
    }

    /// Takes the loss of an epoch, and sets [`Plateau::lr`] for the next.
    pub fn observe(&mut self, loss: f64) {
        if loss < self.best * (1.0 - self.threshold) {
            self.best = loss;
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.bad > self.patience {
            self.lr *= self.factor;
            self.bad = 0;
        }
    }
}

/// Stops after `patience` epochs without a new best loss, or at once when the loss is not a number.
#[derive(Debug, Clone)]
pub struct EarlyStop {
    patience: usize,
    best: f64,
    bad: usize,
}

impl EarlyStop {
    pub fn new(patience: usize) -> Self {
        EarlyStop { patience, best: f64::INFINITY, bad: 0 }
    }

    /// Takes the loss of an epoch; returns whether to stop.
    pub fn observe(&mut self, loss: f64) -> bool {
        if loss < self.best {
            self.best = loss;
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        loss.is_nan() || self.bad >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_falls_from_the_rate_to_nothing() {
        assert_eq!(cosine(0.1, 0, 10), 0.1);
        assert!((cosine(0.1, 5, 10) - 0.05).abs() < 1e-8);
        assert!(cosine(0.1, 10, 10).abs() < 1e-8);
        assert!((0..10).all(|e| cosine(0.1, e, 10) > cosine(0.1, e + 1, 10)));
    }

    #[test]
    fn warming_up_rises_to_the_rate_and_then_falls() {
        let rates: Vec<f32> = (0..12).map(|s| warm_cosine(0.4, s, 12, 3)).collect();
        assert!(rates[..3].iter().zip([0.1, 0.2, 0.3]).all(|(r, e)| (r - e).abs() < 1e-7));
        assert_eq!(rates[3], 0.4);
        assert!(rates[3..].is_sorted_by(|a, b| a > b) && rates[11] > 0.0);
        assert_eq!(warm_cosine(0.4, 5, 12, 0), cosine(0.4, 5, 12));
        // A warm-up longer than the training does not end.
        assert!(warm_cosine(0.4, 4, 5, 9) == 0.2);
    }

    #[test]
    fn plateau_halves_after_patience_and_not_before() {
        let mut plateau = Plateau::new(1.0, 0.5, 2, 0.01);
        plateau.observe(10.0);
        for _ in 0..2 {
            plateau.observe(9.95); // less than one per cent better is not better
            assert_eq!(plateau.lr, 1.0);
        }
        plateau.observe(9.95);
        assert_eq!(plateau.lr, 0.5);
        plateau.observe(9.0);
        assert_eq!(plateau.lr, 0.5);
    }

    #[test]
    fn early_stop_waits_for_patience() {
        let mut stop = EarlyStop::new(2);
        assert!(!stop.observe(1.0));
        assert!(!stop.observe(1.0));
        assert!(!stop.observe(0.9));
        assert!(!stop.observe(0.95));
        assert!(stop.observe(0.9));
        assert!(EarlyStop::new(5).observe(f64::NAN));
    }
}
