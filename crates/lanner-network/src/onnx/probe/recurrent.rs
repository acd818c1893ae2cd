//! Recurrent layers behind each other, as of signals and series.

use super::*;

impl Probe {
    pub(super) fn recurrent(&mut self, random: &mut ChaCha8Rng) -> (Vec<usize>, String) {
        let (steps, inputs) = (size(random, 4, 400), size(random, 4, 512));
        let (mut x, mut width) = (INPUT.to_string(), inputs);
        let (op, gates) = *[("LSTM", 4), ("LSTM", 4), ("GRU", 3), ("GRU", 3), ("RNN", 1)]
            .choose(random)
            .unwrap_or(&("LSTM", 4));
        let hidden = size(random, 8, 768);
        for layer in 0..random.random_range(1..4) {
            let weights = gates * hidden * (width + hidden);
            let fits =
                self.weights + weights < MOST_WEIGHTS && self.macs + weights * steps < MOST_MACS;
            if layer > 0 && !fits {
                break;
            }
            self.macs += weights * steps;
            let w = self.floats(&[1, gates * hidden, width], width);
            let r = self.floats(&[1, gates * hidden, hidden], 4 * hidden);
            let b = self.floats(&[1, 2 * gates * hidden], 1 << 12);
            let mut attributes = vec![int("hidden_size", hidden)];
            attributes.extend((op == "GRU").then(|| int("linear_before_reset", 1)));
            let y = self.add(op, &[&x, &w, &r, &b], attributes);
            let axis = self.sizes(&[1]);
            x = self.add("Squeeze", &[&y, &axis], vec![]);
            width = hidden;
        }
        (vec![steps, 1, inputs], x)
    }
}
