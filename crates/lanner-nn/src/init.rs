use rand::RngExt;

/// Fills `out` with draws of U(−bound, bound); with bound = 1/√inputs, initial weights of a layer.
pub fn uniform(out: &mut [f32], bound: f32, rng: &mut impl rand::Rng) {
    for x in out {
        *x = (rng.random::<f32>() * 2.0 - 1.0) * bound;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn fills_the_range_evenly() {
        let mut v = vec![0.0f32; 10_000];
        super::uniform(&mut v, 0.5, &mut crate::rng(3, "init"));
        assert!(v.iter().all(|x| x.abs() <= 0.5));
        let mean = v.iter().sum::<f32>() / 1e4;
        let square = v.iter().map(|x| x * x).sum::<f32>() / 1e4;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((square - 0.25 / 3.0).abs() < 0.003, "{square}");
    }
}
