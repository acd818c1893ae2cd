use super::*;

/// Rows of tests/data/cell_features.txt, written by cell_features.py beside it with the
/// researchers' own implementation.
#[test]
fn equal_the_reference_implementation() {
    let text = include_str!("../../tests/data/cell_features.txt");
    let space = Space::NasBench201;
    let mut rows = text.lines().filter(|l| !l.starts_with('#')).peekable();
    assert!(rows.peek().is_some());
    for line in rows {
        let parts: Vec<&str> = line.split('|').collect();
        let pool = Pool::new(space.clone(), vec![space.parse(parts[0]).unwrap()]);
        let got = CellFeatures::new(&pool);
        let groups = [
            &got.counts,
            &got.live_counts,
            &got.live_one_hot,
            &got.graph,
            &got.share_moments,
            &got.shares,
            &got.lossless_shares,
            &got.size,
        ];
        assert_eq!(groups.len() + 1, parts.len());
        for (g, (group, want)) in groups.iter().zip(&parts[1..]).enumerate() {
            let want: Vec<f64> = want.split(' ').map(|v| v.parse().unwrap()).collect();
            assert_eq!(want.len(), group.cols, "group {g}");
            for (k, (a, b)) in group.data.iter().zip(&want).enumerate() {
                assert!((a - b).abs() < 1e-4, "{} group {g} column {k}: {a} {b}", parts[0]);
            }
        }
    }
}

/// What does not reach the output changes none of the groups that describe the computation.
#[test]
fn dead_operations_count_only_among_all() {
    let space = Space::NasBench201;
    // Nothing reaches node 1: the edge from it to the output is dead.
    let cells = ["003333", "003323"].map(|t| space.parse(t).unwrap());
    let f = CellFeatures::new(&Pool::new(space, cells.to_vec()));
    assert_ne!(f.counts.row(0), f.counts.row(1));
    for group in [f.live_counts, f.live_one_hot, f.shares, f.share_moments, f.size] {
        assert_eq!(group.row(0), group.row(1));
    }
}

#[test]
fn shares_sum_to_one_and_columns_are_standardised() {
    let pool = Pool::whole(Space::NasBench201);
    let start = std::time::Instant::now();
    let f = CellFeatures::new(&pool);
    println!("features of the whole space: {:?}", start.elapsed());
    for i in 0..pool.len() {
        let sum: f64 = f.shares.row(i)[..4].iter().sum();
        let dead = f.share_moments[(i, 6)];
        assert!((sum + dead - 1.0).abs() < 1e-9);
    }
    let z = standardised(&[&f.graph, &f.counts]);
    assert!(z.cols < f.graph.cols + f.counts.cols + 1);
    for j in 0..z.cols {
        let column = || (0..z.rows).map(|i| z[(i, j)]);
        let (mean, square) = (column().sum::<f64>(), column().map(|v| v * v).sum::<f64>());
        let n = z.rows as f64;
        assert!((mean / n).abs() < 1e-9 && (square / n - 1.0).abs() < 1e-9);
    }
}
