//! Sets of source and target devices: NASFLAT's twelve, with the published figures.

use lanner_space::Space;

/// Source and target devices in one space, and published Spearman correlations with 20 samples.
pub struct DeviceSet {
    pub name: &'static str,
    pub sources: &'static str,
    pub targets: &'static str,
    /// Correlations of NASFLAT, HELP and Multi-Predict.
    pub published: [f64; 3],
}

impl DeviceSet {
    pub fn space(&self) -> Space {
        match self.name.as_bytes()[0] {
            b'F' => Space::Fbnet,
            b'M' => Space::MobileNetV3,
            _ => Space::NasBench201,
        }
    }
}

/// Publishers in the order of [`DeviceSet::published`]; figures as in NASFLAT's tables.
pub const PUBLISHERS: [&str; 3] = ["NASFLAT", "HELP", "Multi-Predict"];
pub const SOURCE: &str = "Akhauri & Abdelfattah 2024, NASFLAT";

const fn set(
    name: &'static str,
    sources: &'static str,
    targets: &'static str,
    published: [f64; 3],
) -> DeviceSet {
    DeviceSet { name, sources, targets, published }
}

const HELP_SOURCES: &str = "1080ti_1 1080ti_32 1080ti_256 silver_4114 silver_4210r samsung_a50 pixel3 essential_ph_1 samsung_s7";
const FBNET_HELP_SOURCES: &str = "1080ti_1 1080ti_32 1080ti_64 silver_4114 silver_4210r samsung_a50 pixel3 essential_ph_1 samsung_s7";

pub const SETS: [DeviceSet; 12] = [
    set(
        "ND",
        HELP_SOURCES,
        "titan_rtx_256 gold_6226 fpga pixel2 raspi4 eyeriss",
        [0.959, 0.948, 0.930],
    ),
    set(
        "NA",
        "titan_rtx_1 titan_rtx_32 titanxp_1 2080ti_1 titanx_1 1080ti_1 titanx_32 titanxp_32 2080ti_32 \
         1080ti_32 gold_6226 samsung_s7 silver_4114 gold_6240 silver_4210r samsung_a50 pixel2",
        "eyeriss desktop-gpu-gtx-1080ti-fp32 embedded-tpu-edge-tpu-int8",
        [0.893, 0.410, 0.820],
    ),
    set(
        "N1",
        "embedded-tpu-edge-tpu-int8 eyeriss mobile-gpu-snapdragon-675-adreno-612-int8 \
         mobile-gpu-snapdragon-855-adreno-640-int8 pixel3",
        "1080ti_1 titan_rtx_32 titanxp_1 2080ti_32 titan_rtx_1",
        [0.967, 0.604, 0.907],
    ),
    set(
        "N2",
        "1080ti_1 1080ti_32 titanx_32 titanxp_1 titanxp_32",
        "embedded-gpu-jetson-nano-fp16 embedded-tpu-edge-tpu-int8 \
         mobile-dsp-snapdragon-675-hexagon-685-int8 mobile-dsp-snapdragon-855-hexagon-690-int8 pixel3",
        [0.857, 0.509, 0.757],
    ),
    set(
        "N3",
        "desktop-gpu-gtx-1080ti-fp32 embedded-gpu-jetson-nano-fp16 eyeriss \
         mobile-dsp-snapdragon-675-hexagon-685-int8 mobile-gpu-snapdragon-855-adreno-640-int8",
        "1080ti_1 2080ti_1 titanxp_1 2080ti_32 titanxp_32",
        [0.962, 0.729, 0.947],
    ),
    set(
        "N4",
        "desktop-cpu-core-i7-7820x-fp32 embedded-gpu-jetson-nano-fp32 embedded-tpu-edge-tpu-int8 eyeriss \
         mobile-cpu-snapdragon-855-kryo-485-int8 mobile-dsp-snapdragon-675-hexagon-685-int8 \
         mobile-dsp-snapdragon-855-hexagon-690-int8 mobile-gpu-snapdragon-675-adreno-612-int8 \
         mobile-gpu-snapdragon-855-adreno-640-int8 pixel2",
        "1080ti_1 2080ti_1 titan_rtx_1",
        [0.959, 0.746, 0.952],
    ),
    set("FD", FBNET_HELP_SOURCES, "fpga raspi4 eyeriss", [0.961, 0.91, 0.960]),
    set(
        "FA",
        "1080ti_1 1080ti_32 1080ti_64 2080ti_1 2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_32 titan_rtx_64 \
         titanx_1 titanx_32 titanx_64 titanxp_1 titanxp_32 titanxp_64",
        "gold_6226 essential_ph_1 samsung_s7 pixel2",
        [0.577, 0.37, 0.45],
    ),
    set(
        "F1",
        "2080ti_1 essential_ph_1 silver_4114 titan_rtx_1 titan_rtx_32",
        "eyeriss fpga raspi4 samsung_a50 samsung_s7",
        [0.809, 0.793, 0.756],
    ),
    set(
        "F2",
        "essential_ph_1 gold_6226 gold_6240 pixel3 raspi4",
        "1080ti_1 1080ti_32 2080ti_32 titan_rtx_1 titanxp_1",
        [0.871, 0.543, 0.567],
    ),
    set(
        "F3",
        "essential_ph_1 pixel2 pixel3 raspi4 samsung_s7",
        "1080ti_1 1080ti_32 2080ti_1 titan_rtx_1 titan_rtx_32",
        [0.814, 0.413, 0.434],
    ),
    set(
        "F4",
        "1080ti_64 2080ti_1 eyeriss gold_6226 gold_6240 raspi4 samsung_s7 silver_4210r titan_rtx_1 titan_rtx_32",
        "1080ti_1 pixel2 essential_ph_1",
        [0.734, 0.799, 0.763],
    ),
];

/// Sets used in the development of `default`: none of their targets is in one of [`SETS`].
pub const DEVELOPMENT: [DeviceSet; 10] = [
    set(
        "N-dev1",
        "embedded-tpu-edge-tpu-int8 eyeriss pixel3 raspi4 fpga",
        "titanx_1 titanx_256 1080ti_32 silver_4114",
        [f64::NAN; 3],
    ),
    set(
        "N-dev2",
        "1080ti_1 titanxp_1 titan_rtx_1 2080ti_1 2080ti_32",
        "mobile-gpu-snapdragon-675-adreno-612-int8 samsung_a50 mobile-cpu-snapdragon-855-kryo-485-int8 \
         embedded-gpu-jetson-nano-fp32 mobile-cpu-snapdragon-450-cortex-a53-int8",
        [f64::NAN; 3],
    ),
    set(
        "N-dev3",
        "gold_6226 titan_rtx_256 fpga pixel2 raspi4 eyeriss 1080ti_1 titanxp_1",
        "silver_4210r essential_ph_1 samsung_s7 titanxp_256 mobile-gpu-snapdragon-855-adreno-640-int8 gold_6240",
        [f64::NAN; 3],
    ),
    set(
        "N-dev4",
        "mobile-dsp-snapdragon-675-hexagon-685-int8 mobile-dsp-snapdragon-855-hexagon-690-int8 \
         embedded-tpu-edge-tpu-int8 embedded-gpu-jetson-nano-fp16 pixel3",
        "titanx_32 1080ti_256 gold_6240 mobile-gpu-snapdragon-855-adreno-640-int8 \
         mobile-cpu-snapdragon-855-kryo-485-int8",
        [f64::NAN; 3],
    ),
    set(
        "N-dev5",
        "titan_rtx_1 2080ti_1 gold_6226 pixel2 1080ti_1 titanxp_1 titan_rtx_32 2080ti_32",
        "mobile-gpu-snapdragon-855-adreno-640-int8 embedded-gpu-jetson-nano-fp32 \
         mobile-cpu-snapdragon-450-cortex-a53-int8 essential_ph_1",
        [f64::NAN; 3],
    ),
    set(
        "F-dev1",
        "titan_rtx_1 titan_rtx_32 2080ti_1 2080ti_32 1080ti_1 1080ti_32 titanxp_1",
        "gold_6240 pixel3 silver_4114 silver_4210r",
        [f64::NAN; 3],
    ),
    set(
        "F-dev2",
        "raspi4 eyeriss fpga samsung_a50 gold_6226",
        "titanx_1 titanx_32 1080ti_64 2080ti_64 pixel3",
        [f64::NAN; 3],
    ),
    set(
        "F-dev3",
        "essential_ph_1 pixel2 samsung_s7 raspi4 samsung_a50",
        "titanx_1 titanxp_32 titan_rtx_64 silver_4114 gold_6240",
        [f64::NAN; 3],
    ),
    set(
        "F-dev4",
        "1080ti_1 1080ti_32 titan_rtx_1 samsung_s7 gold_6226 eyeriss fpga raspi4",
        "titanx_64 pixel3 silver_4210r gold_6240 titanxp_64",
        [f64::NAN; 3],
    ),
    set(
        "F-dev5",
        "2080ti_1 pixel2 fpga titan_rtx_32",
        "silver_4114 pixel3 titanx_1 titanxp_32",
        [f64::NAN; 3],
    ),
];

/// Two halves of all devices of NAS-Bench-201, without sources: every other device in the order of the
/// tables.
pub const HALVES: [DeviceSet; 2] = [
    set(
        "N-even",
        "",
        "1080ti_1 1080ti_32 2080ti_256 essential_ph_1 fpga gold_6240 pixel3 samsung_a50 \
         silver_4114 titan_rtx_1 titan_rtx_32 titanx_256 titanxp_1 titanxp_32 \
         desktop-gpu-gtx-1080ti-fp32 embedded-gpu-jetson-nano-fp32 \
         mobile-cpu-snapdragon-450-cortex-a53-int8 mobile-dsp-snapdragon-675-hexagon-685-int8 \
         mobile-gpu-snapdragon-675-adreno-612-int8",
        [f64::NAN; 3],
    ),
    set(
        "N-odd",
        "",
        "1080ti_256 2080ti_1 2080ti_32 eyeriss gold_6226 pixel2 raspi4 samsung_s7 silver_4210r \
         titan_rtx_256 titanx_1 titanx_32 titanxp_256 desktop-cpu-core-i7-7820x-fp32 \
         embedded-gpu-jetson-nano-fp16 embedded-tpu-edge-tpu-int8 \
         mobile-cpu-snapdragon-855-kryo-485-int8 mobile-dsp-snapdragon-855-hexagon-690-int8 \
         mobile-gpu-snapdragon-855-adreno-640-int8",
        [f64::NAN; 3],
    ),
];

/// Each device of Once-for-All's MobileNetV3, with the others as sources.
pub const MOBILE: [DeviceSet; 9] = [
    set(
        "M-2080ti_1",
        "2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_32 titan_rtx_64 titan_xp_1 titan_xp_32 titan_xp_64",
        "2080ti_1",
        [f64::NAN; 3],
    ),
    set(
        "M-2080ti_32",
        "2080ti_1 2080ti_64 titan_rtx_1 titan_rtx_32 titan_rtx_64 titan_xp_1 titan_xp_32 titan_xp_64",
        "2080ti_32",
        [f64::NAN; 3],
    ),
    set(
        "M-2080ti_64",
        "2080ti_1 2080ti_32 titan_rtx_1 titan_rtx_32 titan_rtx_64 titan_xp_1 titan_xp_32 titan_xp_64",
        "2080ti_64",
        [f64::NAN; 3],
    ),
    set(
        "M-titan_rtx_1",
        "2080ti_1 2080ti_32 2080ti_64 titan_rtx_32 titan_rtx_64 titan_xp_1 titan_xp_32 titan_xp_64",
        "titan_rtx_1",
        [f64::NAN; 3],
    ),
    set(
        "M-titan_rtx_32",
        "2080ti_1 2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_64 titan_xp_1 titan_xp_32 titan_xp_64",
        "titan_rtx_32",
        [f64::NAN; 3],
    ),
    set(
        "M-titan_rtx_64",
        "2080ti_1 2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_32 titan_xp_1 titan_xp_32 titan_xp_64",
        "titan_rtx_64",
        [f64::NAN; 3],
    ),
    set(
        "M-titan_xp_1",
        "2080ti_1 2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_32 titan_rtx_64 titan_xp_32 titan_xp_64",
        "titan_xp_1",
        [f64::NAN; 3],
    ),
    set(
        "M-titan_xp_32",
        "2080ti_1 2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_32 titan_rtx_64 titan_xp_1 titan_xp_64",
        "titan_xp_32",
        [f64::NAN; 3],
    ),
    set(
        "M-titan_xp_64",
        "2080ti_1 2080ti_32 2080ti_64 titan_rtx_1 titan_rtx_32 titan_rtx_64 titan_xp_1 titan_xp_32",
        "titan_xp_64",
        [f64::NAN; 3],
    ),
];
