//! Figures from papers, for the rows beside ours.

/// A published figure: its subject, its column, its value and its source.
pub struct Published {
    pub of: &'static str,
    pub predictor: &'static str,
    pub size: usize,
    pub values: &'static [(&'static str, f64)],
    pub source: &'static str,
}

const BRP: &str = "Dudziak et al. 2020, BRP-NAS";

/// Latency prediction on LatBench; `of` is the device.
pub const LATENCY: &[Published] = &[
    Published {
        of: "desktop-cpu-core-i7-7820x-fp32",
        predictor: "BRP-NAS GCN",
        size: 900,
        values: &[("within_1", 36.0), ("within_5", 85.2), ("within_10", 96.4)],
        source: BRP,
    },
    Published {
        of: "desktop-gpu-gtx-1080ti-fp32",
        predictor: "BRP-NAS GCN",
        size: 900,
        values: &[("within_1", 36.7), ("within_5", 85.9), ("within_10", 96.9)],
        source: BRP,
    },
    Published {
        of: "embedded-gpu-jetson-nano-fp16",
        predictor: "BRP-NAS GCN",
        size: 900,
        values: &[("within_1", 24.3), ("within_5", 82.5), ("within_10", 96.3)],
        source: BRP,
    },
];

const PINAT: &str = "Lu et al. 2023, PINAT";

/// Kendall τ of accuracy prediction on NAS-Bench-201; `of` is the column.
pub const RANKING: &[Published] = &[
    ranking("PINAT", 78, &[("kendall", 0.549)], PINAT),
    ranking("PINAT", 156, &[("kendall", 0.631)], PINAT),
    ranking("PINAT", 469, &[("kendall", 0.706)], PINAT),
    ranking("PINAT", 781, &[("kendall", 0.761)], PINAT),
    ranking("PINAT", 1563, &[("kendall", 0.784)], PINAT),
    ranking("TNASP", 78, &[("kendall", 0.539)], "Lu et al. 2021, TNASP"),
    ranking("TNASP", 156, &[("kendall", 0.589)], "Lu et al. 2021, TNASP"),
    ranking("TNASP", 781, &[("kendall", 0.689)], "Lu et al. 2021, TNASP"),
    ranking("NN-Former (tested on 7,813)", 156, &[("kendall", 0.804)], "Xu et al. 2025, NN-Former"),
    ranking(
        "NN-Former (tested on 7,813)",
        1563,
        &[("kendall", 0.890)],
        "Xu et al. 2025, NN-Former",
    ),
];

const fn ranking(
    predictor: &'static str,
    size: usize,
    values: &'static [(&'static str, f64)],
    source: &'static str,
) -> Published {
    Published { of: "c10_test_200", predictor, size, values, source }
}

const fn search(
    of: &'static str,
    predictor: &'static str,
    values: &'static [(&'static str, f64)],
    source: &'static str,
) -> Published {
    Published { of, predictor, size: 0, values, source }
}

const WEAK: &str = "Wu et al. 2021, WeakNAS";

/// Search on NAS-Bench-201; `of` is the metric's column.
pub const SEARCH: &[Published] = &[
    search("c10_test_200", "WeakNAS", &[("queries_to_optimum", 182.1)], WEAK),
    search("c10_test_200", "LaNAS", &[("queries_to_optimum", 247.1)], WEAK),
    search("c10_test_200", "regularised evolution", &[("queries_to_optimum", 563.2)], WEAK),
    search("c10_test_200", "random", &[("queries_to_optimum", 7782.0)], WEAK),
    search("c100_test_200", "WeakNAS", &[("queries_to_optimum", 78.4)], WEAK),
    search("c100_test_200", "LaNAS", &[("queries_to_optimum", 187.5)], WEAK),
    search("c100_test_200", "regularised evolution", &[("queries_to_optimum", 438.2)], WEAK),
    search("c100_test_200", "random", &[("queries_to_optimum", 7621.0)], WEAK),
    search(
        "c100_test_200",
        "BRP-NAS (single-seed values, read off the figure)",
        &[
            ("best_25", 71.70),
            ("best_40", 72.50),
            ("best_60", 73.10),
            ("best_80", 73.58),
            ("best_100", 73.67),
            ("best_130", 73.83),
            ("best_200", 73.88),
        ],
        BRP,
    ),
];

const HELP: &str = "Lee et al. 2021, HELP";

/// Latency-constrained search; `of` is the device, `size` the limit in ms.
pub const CONSTRAINED: &[Published] = &[
    constrained("titan_rtx_256", 18, &[("latency_ms", 17.8), ("best", 69.7)]),
    constrained("titan_rtx_256", 21, &[("latency_ms", 18.9), ("best", 71.5)]),
    constrained("titan_rtx_256", 25, &[("latency_ms", 24.2), ("best", 71.8)]),
    constrained("gold_6226", 8, &[("latency_ms", 8.0), ("best", 67.3)]),
    constrained("gold_6226", 11, &[("latency_ms", 10.7), ("best", 70.2)]),
    constrained("gold_6226", 14, &[("latency_ms", 14.3), ("best", 72.1)]),
    constrained("pixel2", 14, &[("latency_ms", 13.0), ("best", 69.7)]),
    constrained("pixel2", 18, &[("latency_ms", 19.0), ("best", 71.8)]),
    constrained("pixel2", 22, &[("latency_ms", 25.0), ("best", 73.2)]),
    constrained("eyeriss", 5, &[("latency_ms", 3.9), ("best", 71.5)]),
    constrained("eyeriss", 7, &[("latency_ms", 5.1), ("best", 71.8)]),
    constrained("eyeriss", 9, &[("latency_ms", 9.1), ("best", 73.5)]),
    constrained("fpga", 4, &[("latency_ms", 3.8), ("best", 70.2)]),
    constrained("fpga", 5, &[("latency_ms", 4.7), ("best", 71.8)]),
    constrained("fpga", 6, &[("latency_ms", 7.4), ("best", 73.5)]),
];

const fn constrained(
    of: &'static str,
    size: usize,
    values: &'static [(&'static str, f64)],
) -> Published {
    Published { of, predictor: "HELP + MetaD2A", size, values, source: HELP }
}
