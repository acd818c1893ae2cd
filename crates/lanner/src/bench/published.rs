//! Figures of papers, for the rows that stand beside ours.

/// One published figure: what it is of, which column, the value, where it was published.
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
