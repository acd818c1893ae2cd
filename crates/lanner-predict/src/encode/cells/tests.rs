use super::*;

/// Rows of tests/data/cell_features.txt, written by cell_features.py beside it with the
/// researchers' own implementation.
#[test]
fn equal_the_reference_implementation() {
    let text = include_str!("../../../tests/data/cell_features.txt");
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

/// Operations that do not reach the output change none of the groups that describe the computation.
#[test]
fn dead_operations_count_only_among_all() {
    let space = Space::NasBench201;
    // Nothing reaches node 1: the edge from it to the output is dead.
    let cells = ["003333", "003323"].map(|t| space.parse(t).unwrap());
    let f = CellFeatures::new(&Pool::new(space, cells.to_vec()));
    assert_ne!(f.counts.row(0), f.counts.row(1));
    for group in [&f.live_counts, &f.live_one_hot, &f.shares, &f.share_moments, &f.size] {
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

/// The two cells of a DARTS network are described one after the other, sums being passed through.
#[test]
fn cells_with_two_inputs_and_sums() {
    let space = Space::Darts;
    // Every node of the normal cell convolves both inputs; the reduction cell only pools.
    let cell = |op: &str| format!("[{}]", vec![format!("('{op}', 0), ('{op}', 1)"); 4].join(", "));
    let text = format!(
        "Genotype(normal={}, normal_concat=range(2, 6), reduce={}, reduce_concat=range(2, 6))",
        cell("sep_conv_3x3"),
        cell("max_pool_3x3")
    );
    let pool = Pool::new(space.clone(), vec![space.parse(&text).unwrap()]);
    let f = CellFeatures::new(&pool);
    // Operations are the eight of the space with none.
    assert_eq!(
        f.counts.row(0),
        [[0., 0., 0., 8., 0., 0., 0., 0.], [8., 0., 0., 0., 0., 0., 0., 0.]].concat()
    );
    // Sizes: live operations, learned, spatial, sums, after the inputs, before the output, paths.
    let half = f.size.cols / 2;
    assert_eq!(f.size.row(0)[1..half], [8., 8., 8., 1., 8., 8., 8.]);
    assert_eq!(f.size.row(0)[half + 1..], [8., 0., 0., 1., 8., 8., 8.]);
    // All variance went through one convolution, or through one pooling.
    let half = f.share_moments.cols / 2;
    assert_eq!(f.share_moments.row(0)[1..half], [0., 0., 1., 0., 0., 0., 0., 0., 0.]);
    assert_eq!(f.share_moments.row(0)[half + 1..], [1., 0., 0., 0., 0., 0., 0., 0., 0.]);
}

/// Operations on nodes: a cell of NAS-Bench-101 that is a path, and one with a projection.
#[test]
fn cells_with_operations_on_nodes() {
    let space = Space::NasBench101;
    let texts = ["0-11_1", "01-100_10_1"];
    let pool = Pool::new(space.clone(), texts.map(|t| space.parse(t).unwrap()).to_vec());
    let f = CellFeatures::new(&pool);
    // Sizes: live, learned, spatial, sums, after the input, before the output, paths.
    assert_eq!(f.size.row(0)[1..], [1., 1., 1., 1., 1., 1., 2.]);
    assert_eq!(f.size.row(1)[1..], [2., 2., 1., 2., 1., 1., 1.]);
    // Half of the first output's variance came through nothing.
    let identity = f.share_moments.cols - 2;
    assert_eq!((f.share_moments[(0, identity)], f.share_moments[(1, identity)]), (0.5, 0.0));
}

/// A chain is described by what stands where, and by its cost.
#[test]
fn chains_have_places_and_no_paths() {
    let space = Space::TransBench101Macro;
    let archs = ["1234", "1111231"].map(|t| space.parse(&t[..t.len().min(6)]).unwrap());
    let f = CellFeatures::new(&Pool::new(space, archs.to_vec()));
    for empty in [&f.graph, &f.shares, &f.lossless_shares, &f.share_moments, &f.size] {
        assert_eq!(empty.cols, 0);
    }
    assert_eq!(f.counts.row(0), [1., 1., 1., 1.]);
    // Of the four modules one each, the last two places as they were after the fourth.
    assert_eq!(f.places.row(0)[8..12], [1., 1., 1., 0.]);
    assert_eq!(f.places.row(0)[20..], [1., 1., 1., 1.]);
    // The first has three doublings and ends with half of all: more parameters.
    assert!(f.cost[(0, 1)] > f.cost[(1, 1)]);
    // Chains whose channels are fixed have no column for cost, cells no places.
    let f = CellFeatures::new(&Pool::new(Space::NasBenchMacro, vec![]));
    assert_eq!(f.cost.cols, 0);
}
