//! Correlations, eigenvalues and determinants of matrices whose side is a batch.

/// Computes Pearson's correlations of rows of numbers (numpy's `corrcoef`): row-major, rows × rows.
/// `None` if a row does not vary or is not finite.
pub fn correlations(rows: &[&[f32]]) -> Option<Vec<f64>> {
    let mut centred = Vec::with_capacity(rows.len());
    for row in rows {
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
        let mut row: Vec<f64> = row.iter().map(|&x| f64::from(x) - mean).collect();
        let norm = dot(&row, &row).sqrt();
        if !(norm.is_finite() && norm > 0.0) {
            return None;
        }
        row.iter_mut().for_each(|x| *x /= norm);
        centred.push(row);
    }
    let n = rows.len();
    let mut out = vec![1.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let r = dot(&centred[i], &centred[j]).clamp(-1.0, 1.0);
            (out[i * n + j], out[j * n + i]) = (r, r);
        }
    }
    Some(out)
}

/// Dot product by several running sums, which a processor adds to at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Computes the eigenvalues of a symmetric n × n matrix, in no order: Householder's reduction to three
/// diagonals, then QL with implicit shifts (Golub & Van Loan, Matrix Computations, 8.3). `None` if
/// they do not converge, as with numbers that are not finite.
pub fn eigenvalues(mut a: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    let (mut d, mut e) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n.saturating_sub(1) {
        // Reflect the rest of column k onto its first number.
        let m = n - k - 1;
        let mut v: Vec<f64> = (k + 1..n).map(|i| a[i * n + k]).collect();
        let rest: f64 = v[1..].iter().map(|x| x * x).sum();
        d[k] = a[k * n + k];
        e[k] = v[0];
        if rest == 0.0 {
            continue;
        }
        let alpha = -(v[0] * v[0] + rest).sqrt().copysign(v[0]);
        v[0] -= alpha;
        let norm = dot(&v, &v).sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
        e[k] = alpha;
        let row = |i: usize| &a[(k + 1 + i) * n + k + 1..][..m];
        let mut q: Vec<f64> = (0..m).map(|i| dot(row(i), &v)).collect();
        let half = dot(&v, &q);
        q.iter_mut().zip(&v).for_each(|(q, v)| *q -= half * v);
        for i in 0..m {
            for j in 0..m {
                a[(k + 1 + i) * n + k + 1 + j] -= 2.0 * (v[i] * q[j] + q[i] * v[j]);
            }
        }
    }
    if n > 0 {
        d[n - 1] = a[n * n - 1];
    }
    ql(&mut d, &mut e)?;
    Some(d)
}

/// Runs QL on the diagonal `d` and the one below it, `e` (whose last number is not used).
fn ql(d: &mut [f64], e: &mut [f64]) -> Option<()> {
    let n = d.len();
    let scale = d.iter().chain(&*e).map(|x| x.abs()).fold(0.0, f64::max);
    for l in 0..n {
        for round in 0.. {
            // Beside eigenvalues that are 0 to rounding, nothing is small: then the largest one counts.
            let largest = if round < 30 { 0.0 } else { scale };
            let negligible =
                |m: usize| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs()).max(largest);
            let m = (l..n - 1).find(|&m| negligible(m)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if round == 60 {
                return None;
            }
            let shift = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut g = d[m] - d[l] + e[l] / (shift + shift.hypot(1.0).copysign(shift));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let t = (d[i] - g) * s + 2.0 * c * b;
                p = s * t;
                d[i + 1] = g + p;
                g = c * t - b;
            }
            if !split {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    d.iter().all(|x| x.is_finite()).then_some(())
}

/// Logarithm of the determinant of a symmetric positive n × n matrix, by Cholesky's decomposition;
/// `None` if it is singular to rounding.
pub fn log_determinant(mut a: Vec<f64>, n: usize) -> Option<f64> {
    let scale = (0..n).map(|i| a[i * n + i]).fold(0.0, f64::max);
    let mut sum = 0.0;
    for j in 0..n {
        let pivot = a[j * n + j] - dot(&a[j * n..][..j], &a[j * n..][..j]);
        if pivot.is_nan() || pivot <= 1e-12 * scale {
            return None;
        }
        sum += pivot.ln();
        let root = pivot.sqrt();
        a[j * n + j] = root;
        for i in j + 1..n {
            let (head, tail) = a.split_at_mut(i * n);
            tail[j] = (tail[j] - dot(&tail[..j], &head[j * n..][..j])) / root;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern.
    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * i * 7919 + i * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    #[test]
    fn eigenvalues_have_the_trace_the_squares_and_the_determinant() {
        for n in [1, 2, 3, 7, 20] {
            let x = numbers(n * 50);
            let rows: Vec<&[f32]> = x.chunks(50).collect();
            let c = correlations(&rows).unwrap();
            let v = eigenvalues(c.clone(), n).unwrap();
            let squares: f64 = c.iter().map(|x| x * x).sum();
            assert!((v.iter().sum::<f64>() - n as f64).abs() < 1e-9);
            assert!((v.iter().map(|v| v * v).sum::<f64>() - squares).abs() < 1e-9);
            let logs: f64 = v.iter().map(|v| v.ln()).sum();
            assert!((logs - log_determinant(c, n).unwrap()).abs() < 1e-8);
        }
    }

    #[test]
    fn special_matrices() {
        let mut v = eigenvalues(vec![2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 5.0], 3).unwrap();
        v.sort_by(f64::total_cmp);
        assert!(v.iter().zip([1.0, 3.0, 5.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{v:?}");
        assert_eq!(eigenvalues(vec![f64::NAN; 4], 2), None);
        assert_eq!(log_determinant(vec![1.0; 9], 3), None);
        assert_eq!(correlations(&[&[1.0, 1.0], &[1.0, 2.0]]), None);
        // A matrix of rank one, with forty equal rows.
        let copies = (0..1600).map(|at| 1.0 + 1e-17 * (at % 7) as f64).collect();
        let v = eigenvalues(copies, 40).unwrap();
        assert!((v.iter().sum::<f64>() - 40.0).abs() < 1e-9);
        let same = correlations(&[&[1.0, 2.0, 4.0], &[2.0, 4.0, 8.0]]).unwrap();
        assert!((same[1] - 1.0).abs() < 1e-12);
    }
}
