//! The direction and the unit of a metric, read from its name.

/// Words of quantities that are spent: positive, less is better, and a factor matters more than a
/// difference.
const COSTS: [&str; 36] = [
    "latency",
    "latencies",
    "lat",
    "energy",
    "params",
    "param",
    "parameters",
    "flops",
    "flop",
    "macs",
    "mac",
    "madds",
    "memory",
    "mem",
    "ram",
    "time",
    "seconds",
    "minutes",
    "hours",
    "duration",
    "delay",
    "runtime",
    "power",
    "watt",
    "watts",
    "joule",
    "joules",
    "cost",
    "size",
    "bytes",
    "price",
    "milliseconds",
    "microseconds",
    "footprint",
    "carbon",
    "edp",
];
/// Words of measures of error: less is better.
const ERRORS: [&str; 19] = [
    "loss",
    "losses",
    "error",
    "errors",
    "err",
    "perplexity",
    "ppl",
    "rmse",
    "mse",
    "mae",
    "mape",
    "wer",
    "cer",
    "fid",
    "nll",
    "regret",
    "drop",
    "distance",
    "divergence",
];
/// Words of measures of quality: more is better.
const QUALITIES: [&str; 21] = [
    "accuracy",
    "acc",
    "auc",
    "auroc",
    "map",
    "f1",
    "iou",
    "miou",
    "dice",
    "psnr",
    "ssim",
    "bleu",
    "rouge",
    "score",
    "reward",
    "precision",
    "recall",
    "r2",
    "spearman",
    "kendall",
    "correct",
];
/// Words of zero-cost proxies: more is better.
const PROXIES: [&str; 14] = [
    "nwot", "naswot", "synflow", "jacov", "jacob", "snip", "grasp", "fisher", "plain", "zen",
    "epe", "norm", "zcp", "swap",
];
/// Words of what is done in a second: positive, more is better, and a factor matters more than a difference.
const RATES: [&str; 4] = ["fps", "throughput", "qps", "ips"];
/// Long words that names also end in without a separator, such as `valloss`.
const ENDINGS: [(&str, MetricKind); 8] = [
    ("latency", MetricKind::Cost),
    ("energy", MetricKind::Cost),
    ("params", MetricKind::Cost),
    ("flops", MetricKind::Cost),
    ("macs", MetricKind::Cost),
    ("loss", MetricKind::Error),
    ("error", MetricKind::Error),
    ("accuracy", MetricKind::Quality),
];
/// Short names of data sets. `c10_test_200` is an accuracy by custom.
const DATA_SETS: [&str; 9] =
    ["c10", "c100", "cifar10", "cifar100", "imagenet", "imagenet16", "in16", "im16", "svhn"];

/// Units at the end of names, what they measure, and their size in the first unit of the same kind.
const UNITS: [(&str, &str, f64); 24] = [
    ("ms", "time", 1.0),
    ("ns", "time", 1e-6),
    ("us", "time", 1e-3),
    ("µs", "time", 1e-3),
    ("s", "time", 1e3),
    ("sec", "time", 1e3),
    ("mJ", "energy", 1.0),
    ("nJ", "energy", 1e-6),
    ("uJ", "energy", 1e-3),
    ("J", "energy", 1e3),
    ("kJ", "energy", 1e6),
    ("MJ", "energy", 1e9),
    ("Wh", "energy", 3.6e6),
    ("kWh", "energy", 3.6e9),
    ("mW", "power", 1.0),
    ("W", "power", 1e3),
    ("kW", "power", 1e6),
    ("MB", "memory", 1.0),
    ("B", "memory", 1e-6),
    ("kB", "memory", 1e-3),
    ("GB", "memory", 1e3),
    ("KiB", "memory", 1.024e-3),
    ("MiB", "memory", 1.048_576),
    ("GiB", "memory", 1.073_741_824e3),
];

/// Which direction of a metric is better, and how its values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Spent: a latency, an energy, a number of parameters. Positive; less is better.
    Cost,
    /// A measure of error, such as a loss; less is better.
    Error,
    /// A measure of quality, such as an accuracy; more is better.
    Quality,
    /// The reciprocal of a cost, such as images a second. Positive; more is better.
    Rate,
}

impl MetricKind {
    /// Reads the kind from a metric's name; `None` if the name does not tell, or contradicts itself.
    ///
    /// ```
    /// use lanner_data::MetricKind;
    /// assert_eq!(MetricKind::of("edgetpu_latency"), Some(MetricKind::Cost));
    /// assert_eq!(MetricKind::of("top1_error"), Some(MetricKind::Error));
    /// assert_eq!(MetricKind::of("images_per_s"), Some(MetricKind::Rate));
    /// assert_eq!(MetricKind::of("result"), None);
    /// ```
    pub fn of(name: &str) -> Option<MetricKind> {
        let pieces: Vec<&str> =
            name.split(|c: char| !c.is_alphanumeric()).filter(|p| !p.is_empty()).collect();
        let words: Vec<String> = pieces.iter().flat_map(|p| words(p)).collect();
        let is = |word: &str| words.iter().any(|w| w == word);
        if is("zcp") {
            return Some(MetricKind::Quality);
        }
        let unit = pieces.last().and_then(|p| unit_of(p));
        let any = |all: &[&str]| words.iter().any(|w| all.contains(&w.as_str()));
        let ends = |kind| {
            let endings = || ENDINGS.iter().filter(|e| e.1 == kind);
            words.iter().any(|w| endings().any(|e| w.ends_with(e.0)))
        };
        let negated = ["neg", "negative", "minus"].into_iter().any(is);
        // A rate by the second or the joule: more is better. An accuracy per second is a quality: what is
        // divided may be negative.
        if let Some(per) = words.iter().rposition(|w| w == "per") {
            let spent = |w: &String| COSTS.contains(&w.as_str()) || w == "second" || w == "joule";
            let after = unit.is_some() && per + 1 < words.len();
            if words[per + 1..].iter().any(spent) || after {
                let is_quality = words[..per].iter().any(|w| is_quality(w));
                return match (negated, is_quality) {
                    (true, _) => None,
                    (false, true) => Some(MetricKind::Quality),
                    (false, false) => Some(MetricKind::Rate),
                };
            }
        }
        // A unit at the end, or before "per", as in `ms_per_image`.
        // Alone, longer units are no other words.
        let of_unit = unit.is_some() && (pieces.len() > 1 || matches!(name, "ms" | "us" | "mJ"))
            || pieces.windows(2).any(|w| w[1] == "per" && unit_of(w[0]).is_some());
        let cost = any(&COSTS) || ends(MetricKind::Cost) || of_unit;
        let error = any(&ERRORS) || ends(MetricKind::Error);
        let quality = words.iter().any(|w| is_quality(w)) || ends(MetricKind::Quality);
        if any(&RATES) && !quality {
            return (!(cost || error || negated)).then_some(MetricKind::Rate);
        }
        match (cost, error, quality) {
            (true, false, false) | (false, true, false) if negated => Some(MetricKind::Quality),
            (false, false, true) if negated => None,
            (true, false, false) => Some(MetricKind::Cost),
            (false, true, false) => Some(MetricKind::Error),
            (false, false, true) => Some(MetricKind::Quality),
            // top1_error is an error, top1 alone an accuracy.
            (false, false, false) if any(&["top1", "top5", "top"]) || any(&DATA_SETS) => {
                Some(MetricKind::Quality)
            }
            _ => None,
        }
    }

    /// Tells whether more is better.
    pub fn is_maximised(self) -> bool {
        matches!(self, MetricKind::Quality | MetricKind::Rate)
    }
}

fn is_quality(word: &str) -> bool {
    QUALITIES.contains(&word) || PROXIES.contains(&word)
}

/// Tells whether a name is that of a zero-cost proxy, such as `cifar10_nwot`.
pub(crate) fn is_proxy(name: &str) -> bool {
    let pieces = name.split(|c: char| !c.is_alphanumeric());
    pieces.flat_map(words).any(|word| PROXIES.contains(&word.as_str()))
}

/// Tells whether a name is that of a latency, in whatever unit; `latency_ms_se` is none.
pub fn is_latency(name: &str) -> bool {
    let is_word = |w: &String| w == "lat" || w.ends_with("latency") || w == "latencies";
    let pieces: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|p| !p.is_empty()).collect();
    let Some((last, others)) = pieces.split_last() else { return false };
    let named = others.iter().any(|p| words(p).iter().any(is_word));
    let in_time = unit_of(last).is_some_and(|u| u.0 == "time");
    // The unit of latencyMs is the last word of the piece.
    let own = words(last);
    let ends = own.iter().any(|w| is_word(w) || w == "latencyms" || w == "latencyus");
    // Images per millisecond are a rate.
    let is_rate = pieces.len() > 2 && pieces[pieces.len() - 2] == "per";
    name.ends_with(crate::table::MS) && !is_rate
        || (ends || named && in_time) && MetricKind::of(name) == Some(MetricKind::Cost)
}

/// Tells whether a name is that of a latency, or of a rate by the second, which is the reciprocal of one.
pub fn tells_latency(name: &str) -> bool {
    is_latency(name)
        || MetricKind::of(name) == Some(MetricKind::Rate) && quantity(name) == Some("time")
}

/// Returns what a metric measures that is spent, as its name tells: `time`, `energy`, `power` or `memory`. Of a
/// rate, it is what is spent on each.
///
/// ```
/// use lanner_data::quantity;
/// assert_eq!(quantity("pixel_ms"), Some("time"));
/// assert_eq!(quantity("board_energy_mJ"), Some("energy"));
/// assert_eq!(quantity("images_per_s"), Some("time"));
/// assert_eq!(quantity("accuracy"), None);
/// ```
pub fn quantity(name: &str) -> Option<&'static str> {
    if is_latency(name) {
        return Some("time");
    }
    let kind = MetricKind::of(name);
    if !matches!(kind, Some(MetricKind::Cost | MetricKind::Rate)) {
        return None;
    }
    let pieces: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|p| !p.is_empty()).collect();
    let words: Vec<String> = pieces.iter().flat_map(|p| words(p)).collect();
    let of_unit = pieces.last().and_then(|p| unit_of(p)).filter(|_| pieces.len() > 1);
    let named = |all: &[&str]| words.iter().any(|w| all.iter().any(|word| w.ends_with(word)));
    of_unit.map(|unit| unit.0).or_else(|| {
        let of_word = [("energy", "energy"), ("power", "power"), ("memory", "memory")];
        let of_rate = [("second", "time"), ("joule", "energy")];
        let rates = of_rate.iter().filter(|_| kind == Some(MetricKind::Rate));
        let known = of_word.iter().chain(rates).find(|(word, _)| named(&[word]));
        let by_second = kind == Some(MetricKind::Rate) && named(&RATES);
        known.map(|(_, quantity)| *quantity).or(by_second.then_some("time"))
    })
}

/// Converts a value between units that names end in: of `energy_J` to `energy_mJ`.
///
/// `None` if the names differ by more than the unit, or one has no unit of the same kind.
pub fn converted(value: f64, from: &str, to: &str) -> Option<f64> {
    if from == to {
        return Some(value);
    }
    let ((stem, a), (other, b)) = (from.rsplit_once('_')?, to.rsplit_once('_')?);
    let (a, b) = (unit_of(a)?, unit_of(b)?);
    (stem == other && a.0 == b.0).then(|| value * a.1 / b.1)
}

/// Returns what a unit measures, and its size. Another case is taken where it cannot be mistaken.
fn unit_of(text: &str) -> Option<(&'static str, f64)> {
    let exact = UNITS.iter().find(|u| u.0 == text);
    let same = |u: &&(&str, &str, f64)| u.0.len() > 1 && u.0.eq_ignore_ascii_case(text);
    exact.or_else(|| UNITS.iter().find(same)).map(|u| (u.1, u.2))
}

/// Splits a piece of a name at capitals, into words in lower case: `valLoss`.
fn words(piece: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for c in piece.chars() {
        if c.is_uppercase() && before_is_lower {
            words.push(String::new());
        }
        before_is_lower = c.is_lowercase();
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    // The whole is a word as well: mAP, mIoU, FLOPs.
    if words.len() > 1 {
        words.push(piece.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_published_tables_tell_their_kind() {
        use MetricKind::{Cost, Error, Quality, Rate};
        for (kind, names) in [
            (
                Some(Cost),
                "ms us mJ lat_ms latency edgetpu_latency latency(ms) pixel3_ms latencyMs energy_mJ",
            ),
            (
                Some(Cost),
                "params flops macs memory_bytes half_energy_kWh train_seconds flops_M_c10",
            ),
            (
                Some(Cost),
                "num_params params_M a100_energy_Wh memory_MB FLOPs power_mW time_s ms_per_image",
            ),
            (
                Some(Error),
                "loss val_loss valLoss valloss top1_error test_err perplexity val_loss_best",
            ),
            (
                Some(Quality),
                "val_accuracy acc top1 final_test_acc c10_test_200 c100_xtest_200_1seed",
            ),
            (
                Some(Quality),
                "imagenet_super_acc mAP mIoU score nwot synflow grad_norm l2_norm epe_nas",
            ),
            (Some(Quality), "neg_loss zcp_flops room_layout_neg_loss score_per_ms"),
            (
                Some(Rate),
                "images_per_s fps tokens_per_second tokens_per_J board_throughput imagesPerSecond",
            ),
            (
                None,
                "result x val_class_object accuracy_loss watch energy_score 200 _ s neg_fps \
                 neg_images_per_s fps_error",
            ),
        ] {
            for name in names.split(' ') {
                assert_eq!(MetricKind::of(name), kind, "{name}");
            }
        }
    }

    #[test]
    fn latencies_are_known_in_any_unit() {
        for name in ["a_ms", "latency", "latency(us)", "edgegpu_latency", "lat_us", "latencyMs"] {
            assert!(is_latency(name), "{name}");
        }
        assert!(tells_latency("a_ms") && tells_latency("a_images_per_s") && tells_latency("fps"));
        assert!(!tells_latency("tokens_per_J") && !tells_latency("accuracy"));
        for name in [
            "energy_mJ",
            "train_seconds",
            "accuracy",
            "flat",
            "latency_ms_se",
            "latency_s_std",
            "images_per_ms",
        ] {
            assert!(!is_latency(name), "{name}");
        }
    }

    #[test]
    fn quantities_are_told_by_unit_or_word() {
        for (quantity_of, names) in [
            (Some("time"), "a_ms latency_us latency train_s images_per_s fps tokens_per_second"),
            (Some("energy"), "a_energy_Wh a_mJ energy board_energy tokens_per_J tokens_per_joule"),
            (Some("memory"), "float16_memory_MB peak_kB memory"),
            (Some("power"), "gpu_W power"),
            (None, "params flops accuracy score_per_ms watch"),
        ] {
            for name in names.split(' ') {
                assert_eq!(quantity(name), quantity_of, "{name}");
            }
        }
    }

    #[test]
    fn units_convert_within_their_kind_only() {
        assert_eq!(converted(2.0, "energy_J", "energy_mJ"), Some(2000.0));
        assert_eq!(converted(1500.0, "latency_us", "latency_ms"), Some(1.5));
        assert_eq!(converted(1.0, "peak_GiB", "peak_MiB"), Some(1024.0));
        assert_eq!(converted(1.0, "energy_MJ", "energy_mJ"), Some(1e9));
        assert_eq!(converted(3.0, "energy_mj", "energy_mJ"), Some(3.0));
        for (from, to) in
            [("energy_J", "power_W"), ("a_ms", "b_ms"), ("x", "x_ms"), ("a_ms", "a_mJ")]
        {
            assert_eq!(converted(1.0, from, to), None, "{from} {to}");
        }
    }
}
