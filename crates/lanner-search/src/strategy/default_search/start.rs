//! Chooses networks unlike all before: at the start of a search, and when nothing gets better.

use lanner_nn::Rng;
use lanner_predict::regress::linalg::Mat;
use rand::RngExt;

/// Number of random candidates, of which the one farthest from all before is taken.
const CANDIDATES: usize = 8;

/// Returns up to `n` rows of `open`, each the farthest (by `features`, p × d) from all `taken`
/// among a few random rows. Chooses only from the `part` of `open` with the largest `sizes` (p), as
/// long as there are any.
pub(super) fn spread(
    features: &Mat,
    (sizes, part): (&[f64], f64),
    mut taken: Vec<usize>,
    mut open: Vec<usize>,
    n: usize,
    rng: &mut Rng,
) -> Vec<usize> {
    open.sort_by(|&a, &b| sizes[b].total_cmp(&sizes[a]).then(a.cmp(&b)));
    let middle = (open.len().saturating_sub(1) as f64 * part) as usize;
    let Some(&middle) = open.get(middle) else { return Vec::new() };
    let mut small = open.split_off(open.partition_point(|&r| sizes[r] >= sizes[middle]));
    let mut chosen = Vec::new();
    while chosen.len() < n {
        if open.is_empty() {
            open = std::mem::take(&mut small);
        }
        let Some(row) = far_off(features, &taken, &mut open, rng) else { break };
        taken.push(row);
        chosen.push(row);
    }
    chosen
}

/// Removes from `open` the row that is the farthest from all `taken` among a few random rows, and
/// returns it.
pub(super) fn far_off(
    features: &Mat,
    taken: &[usize],
    open: &mut Vec<usize>,
    rng: &mut Rng,
) -> Option<usize> {
    let tries = match (open.len(), taken.len()) {
        (0, _) => return None,
        (_, 0) => 1,
        _ => CANDIDATES,
    };
    let mut best: Option<(f64, usize)> = None;
    for _ in 0..tries {
        let at = rng.random_range(0..open.len());
        let nearest =
            taken.iter().map(|&r| distance(features, r, open[at])).fold(f64::INFINITY, f64::min);
        if best.is_none_or(|b| nearest > b.0) {
            best = Some((nearest, at));
        }
    }
    best.map(|(_, at)| open.swap_remove(at))
}

/// Squared distance between two rows.
fn distance(features: &Mat, a: usize, b: usize) -> f64 {
    (features.row(a).iter().zip(features.row(b))).map(|(a, b)| (a - b) * (a - b)).sum()
}
