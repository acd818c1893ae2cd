//! Features of the last pool, so that the next one encodes only architectures that are new.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lanner_space::Architecture;

use super::cells::{CellEncoder, CellFeatures};
use super::costs::RawAndLive;
use crate::Pool;
use crate::regress::linalg::Mat;

/// Features that were computed for the last pool with this memo. The next one copies the rows of
/// architectures that both have. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct FeatureMemo {
    pub(super) encoder: Arc<OnceLock<CellEncoder>>,
    pub(super) cells: Arc<Mutex<Option<Kept<CellFeatures>>>>,
    pub(super) costs: Arc<Mutex<Option<Kept<RawAndLive>>>>,
}

/// Features of a pool.
#[derive(Debug)]
pub(super) struct Kept<T> {
    rows: Arc<HashMap<Architecture, usize>>,
    features: Arc<T>,
}

/// Features that consist of matrices with one row an architecture, which depends on no other one.
pub(super) trait Rows: Sized {
    fn matrices(&self) -> Vec<&Mat>;
    fn from_matrices(matrices: Vec<Mat>) -> Self;
}

/// Returns the features of a pool's architectures: `encode` computes those that the slot does not have.
pub(super) fn features<T: Rows>(
    slot: Option<&Mutex<Option<Kept<T>>>>,
    pool: &Pool,
    encode: impl Fn(&[Architecture]) -> T,
) -> Arc<T> {
    let Some(slot) = slot else { return Arc::new(encode(&pool.archs)) };
    let lock = || slot.lock().unwrap_or_else(PoisonError::into_inner);
    let copy = |kept: &Kept<T>| Kept { rows: kept.rows.clone(), features: kept.features.clone() };
    let last = lock().as_ref().map(copy);
    let features = match last {
        Some(last) if Arc::ptr_eq(&last.rows, &pool.rows) => return last.features,
        Some(last) => Arc::new(completed(&last, pool, encode)),
        None => Arc::new(encode(&pool.archs)),
    };
    *lock() = Some(Kept { rows: pool.rows.clone(), features: features.clone() });
    features
}

fn completed<T: Rows>(last: &Kept<T>, pool: &Pool, encode: impl Fn(&[Architecture]) -> T) -> T {
    let mut new = Vec::new();
    // Rows of the last pool's matrices, or of those of the new architectures.
    let sources: Vec<Result<usize, usize>> = (pool.archs.iter())
        .map(|arch| {
            last.rows.get(arch).copied().ok_or_else(|| {
                new.push(arch.clone());
                new.len() - 1
            })
        })
        .collect();
    let encoded = encode(&new);
    let (old, fresh) = (last.features.matrices(), encoded.matrices());
    // Without architectures some features have no columns.
    let same = |(old, fresh): (&&Mat, &&Mat)| old.cols == fresh.cols || fresh.rows == 0;
    if !old.iter().zip(&fresh).all(same) {
        return encode(&pool.archs);
    }
    let joined = old.iter().zip(&fresh).map(|(old, fresh)| {
        let mut data = Vec::with_capacity(sources.len() * old.cols);
        for source in &sources {
            data.extend_from_slice(match *source {
                Ok(row) => old.row(row),
                Err(row) => fresh.row(row),
            });
        }
        Mat { rows: sources.len(), cols: old.cols, data }
    });
    T::from_matrices(joined.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::costs::AnalyticCosts;
    use lanner_space::Space;

    /// Whatever pools come one after the other, their features have the bits of a pool without a memo.
    #[test]
    fn features_are_those_of_a_pool_without_memo() {
        for space in [Space::Darts, Space::NasBench201, Space::Fbnet] {
            let mut rng = lanner_nn::rng(3, "memo");
            let archs: Vec<Architecture> = (0..60).map(|_| space.sample(&mut rng)).collect();
            let memo = FeatureMemo::default();
            for part in [0..40, 20..60, 30..50, 30..50, 0..0, 5..6] {
                let archs = archs[part].to_vec();
                let plain = Pool::new(space.clone(), archs.clone());
                let pool = Pool::new(space.clone(), archs).with_memo(memo.clone());
                let both = [&pool, &plain];
                let [a, b] = both.map(CellFeatures::new);
                assert_eq!(a.matrices().len(), b.matrices().len());
                for (a, b) in a.matrices().iter().zip(b.matrices()) {
                    assert!(a.data == b.data && (a.cols == b.cols || a.rows == 0));
                }
                let [a, b] = both.map(AnalyticCosts::of_pool);
                for (a, b) in a.matrices().iter().zip(b.matrices()) {
                    assert!(a.data == b.data && (a.cols == b.cols || a.rows == 0));
                }
            }
        }
    }
}
