//! Reads tables of transformers, in which an architecture is several columns:
//!
//! | format | source | columns of the architecture |
//! |---|---|---|
//! | `hwgpt` | HW-GPT-Bench (Sukthanker et al., NeurIPS 2024), one file a scale | `embed_dim`, `n_layer`, `heads`, `mlp_ratios`, `bias` |
//! | `hat` | HAT's latency data sets (Wang et al., ACL 2020), one file a device | averages over the layers of encoder and decoder |
//! | `vitbench` | ViT-Bench-101 (Wei et al., AAAI 2024) | `dim`, `depth`, `mlp_ratio`, `heads`; `set` names the space |
//!
//! Lists have `-` between their values, one a layer (of PiT, one a stage).

use std::{fs::File, path::Path};

use lanner_space::{Space, SpaceError};

use super::Progress;
use crate::{
    DataError, Table,
    error::shown,
    rows::{ParsedRows, ReadReport, other_separator},
};

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    HwGpt,
    Hat,
    VitBench,
}

/// Columns of the architecture, and the parameters that they are.
type Columns = &'static [(&'static str, &'static str)];

const HW_GPT: Columns = &[
    ("embed_dim", "embed_dim"),
    ("n_layer", "depth"),
    ("heads", "heads"),
    ("mlp_ratios", "mlp_ratio"),
    ("bias", "bias"),
];
const HAT: Columns = &[
    ("encoder_embed_dim", "encoder_embed_dim"),
    ("encoder_layer_num", "encoder_depth"),
    ("encoder_ffn_embed_dim_avg", "encoder_ffn_dim"),
    ("encoder_self_attention_heads_avg", "encoder_heads"),
    ("decoder_embed_dim", "decoder_embed_dim"),
    ("decoder_layer_num", "decoder_depth"),
    ("decoder_ffn_embed_dim_avg", "decoder_ffn_dim"),
    ("decoder_self_attention_heads_avg", "decoder_heads"),
    ("decoder_ende_attention_heads_avg", "decoder_cross_heads"),
    ("decoder_arbitrary_ende_attn_avg", "decoder_cross_layers"),
];
const VIT_BENCH: Columns =
    &[("dim", "embed_dim"), ("depth", "depth"), ("mlp_ratio", "mlp_ratio"), ("heads", "heads")];

impl Kind {
    fn columns(self) -> Columns {
        match self {
            Kind::HwGpt => HW_GPT,
            Kind::Hat => HAT,
            Kind::VitBench => VIT_BENCH,
        }
    }

    /// Spaces whose architectures the format has.
    fn spaces(self) -> &'static [Space] {
        match self {
            Kind::HwGpt => &[Space::HwGptS, Space::HwGptM, Space::HwGptL],
            Kind::Hat => &[Space::HatAverages],
            Kind::VitBench => &[Space::AutoFormerTiny, Space::Pit],
        }
    }

    /// Refuses a space whose architectures the format does not have.
    fn check(self, space: &Space) -> Result<(), String> {
        let spaces = self.spaces();
        if spaces.contains(space) {
            return Ok(());
        }
        let names: Vec<&str> = spaces.iter().map(Space::name).collect();
        Err(format!("the space is {space}, expected --space {}", names.join(" or ")))
    }
}

/// Names the format whose columns a header has.
pub(crate) fn format_of(header: &[String]) -> Option<&'static str> {
    let kinds = [(Kind::HwGpt, "hwgpt"), (Kind::Hat, "hat"), (Kind::VitBench, "vitbench")];
    let has = |name: &str| header.iter().any(|h| h == name);
    let found =
        kinds.into_iter().find(|(kind, _)| kind.columns().iter().all(|(name, _)| has(name)));
    found.map(|(_, name)| name)
}

/// Reads the columns of the metrics. In a table of several sets, those of `set` alone, or all with the set's
/// name before them.
pub(super) fn read(
    kind: Kind,
    path: &Path,
    space: &Space,
    set: Option<&str>,
    progress: &Progress<'_>,
    notes: &mut Vec<String>,
) -> Result<Table, DataError> {
    let wrong = |why: String| DataError::file(path, why);
    kind.check(space).map_err(wrong)?;
    let broken = |e: csv::Error| DataError::file(path, format!("not a table: {e}"));
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(progress.count(file));
    let header: Vec<String> =
        reader.headers().map_err(broken)?.iter().map(|h| h.trim().to_owned()).collect();
    let place = |name: &str| {
        header.iter().position(|h| h == name).ok_or_else(|| {
            let found: Vec<String> = header.iter().take(12).map(|h| shown(h)).collect();
            if let Some(why) = other_separator(path, &header) {
                return DataError::file(path, why);
            }
            DataError::file(path, format!("no column '{name}'; there are: {}", found.join(", ")))
        })
    };
    let of_arch: Vec<(usize, &str)> = (kind.columns().iter())
        .map(|(column, parameter)| Ok((place(column)?, *parameter)))
        .collect::<Result<_, DataError>>()?;
    let set_at = if kind == Kind::VitBench { Some(place("set")?) } else { None };
    let metrics: Vec<(usize, String)> = (header.iter().enumerate())
        .filter(|(at, _)| of_arch.iter().all(|a| a.0 != *at) && set_at != Some(*at))
        .filter_map(|(at, name)| Some((at, metric_name(kind, path, name)?)))
        .collect();

    let (mut archs, mut places) = (Vec::new(), Vec::new());
    let (mut names, mut columns): (Vec<String>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    let mut others = 0;
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = record.position().map_or(0, csv::Position::line);
        let of_row = set_at.map(|at| record[at].trim());
        let is_chosen = of_row.is_none_or(|of| match set {
            Some(set) => of == set,
            None => of.starts_with(space.name()),
        });
        if !is_chosen {
            others += 1;
            continue;
        }
        let row = || of_arch.iter().map(|&(at, name)| (name, record[at].trim()));
        let read = |space: &Space| space.parse(&text(space, row()));
        archs.push(read(space).map_err(|mut error| {
            // A file is of one scale.
            let fits = kind.spaces().iter().find(|other| read(other).is_ok());
            if let (Some(other), SpaceError::Text { why, .. }) = (fits, &mut error) {
                why.push_str(&format!("; the row is of {other}: --space {other}"));
            }
            DataError::Architecture {
                path: path.into(),
                at: format!("line {line}"),
                column: "the architecture".into(),
                error: Box::new(error),
            }
        })?);
        places.push(line);
        for (at, name) in &metrics {
            let cell = record[*at].trim();
            if cell.is_empty() {
                continue;
            }
            let value: Option<f64> = cell.parse().ok().filter(|v: &f64| v.is_finite());
            let value = value.ok_or_else(|| DataError::Cell {
                path: path.into(),
                at: format!("line {line}"),
                column: header[*at].clone(),
                value: shown(cell),
                expected: "a number".into(),
            })?;
            let name = match (set, of_row) {
                (None, Some(of)) => format!("{of}_{name}"),
                _ => name.clone(),
            };
            let column = names.iter().position(|n| *n == name).unwrap_or_else(|| {
                names.push(name);
                columns.push(Vec::new());
                names.len() - 1
            });
            columns[column].resize(archs.len() - 1, f64::NAN);
            columns[column].push(value);
        }
    }
    if archs.is_empty() {
        let of = set.map_or_else(|| space.to_string(), |set| format!("the set '{set}'"));
        return Err(wrong(format!("no row is of {of}")));
    }
    columns.iter_mut().for_each(|column| column.resize(archs.len(), f64::NAN));
    if kind == Kind::Hat {
        add_sums(&mut names, &mut columns);
    }
    if others > 0 {
        notes.push(format!("{}: {others} rows of other sets left out", path.display()));
    }
    let report = ReadReport::default();
    let parsed =
        ParsedRows { path, unit: "line", places, archs, names, columns, texts: vec![], report };
    let (table, report) = parsed.finish(space)?;
    notes.extend(report.notes);
    if report.merged > 0 {
        notes.push(format!("{}: {} repeated rows merged", path.display(), report.merged));
    }
    Ok(table)
}

/// Returns the name of a metric here; none for standard deviations.
fn metric_name(kind: Kind, path: &Path, name: &str) -> Option<String> {
    if kind != Kind::Hat {
        return Some(name.into());
    }
    let part = name.strip_prefix("latency_mean_")?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    Some(format!("{}_{part}_ms", stem.strip_suffix("_all").unwrap_or(&stem)))
}

/// Adds the latency of encoder and decoder together.
fn add_sums(names: &mut Vec<String>, columns: &mut Vec<Vec<f64>>) {
    for at in 0..names.len() {
        let Some(device) = names[at].strip_suffix("_encoder_ms") else { continue };
        let (decoder, both) = (format!("{device}_decoder_ms"), format!("{device}_ms"));
        if let Some(other) = names.iter().position(|n| *n == decoder) {
            let sum = columns[at].iter().zip(&columns[other]).map(|(a, b)| a + b).collect();
            names.push(both);
            columns.push(sum);
        }
    }
}

/// Writes the text of an architecture from its columns.
fn text<'a>(space: &Space, row: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let is_pit = *space == Space::Pit;
    let mut pairs = Vec::new();
    for (name, cell) in row {
        let name = if is_pit && name == "embed_dim" { "dim" } else { name };
        match name {
            // A value a stage of PiT's.
            "depth" | "heads" if is_pit => pairs.extend(
                cell.split('-').enumerate().map(|(i, v)| format!("\"s{}_{name}\": {v}", i + 1)),
            ),
            "heads" | "mlp_ratio" if !is_pit => {
                pairs.push(format!("\"{name}\": [{}]", cell.replace('-', ", ")));
            }
            "bias" => {
                pairs.push(format!("\"bias\": {}", if cell == "1" { "true" } else { "false" }))
            }
            _ => pairs.push(format!("\"{name}\": {cell}")),
        }
    }
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Imported, read_where};
    use super::*;

    fn import(
        format: Format,
        text: &str,
        space: &Space,
        set: Option<&str>,
    ) -> Result<Imported, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wmt14ende_cpu_all.csv");
        std::fs::write(&file, text).unwrap();
        read_where(format, &[file], space, set.map(|s| ("dataset", s)), &|_, _| {})
    }

    #[test]
    fn lists_of_layers_become_architectures() {
        let header = "embed_dim,n_layer,heads,mlp_ratios,bias,a100_ms,perplexity\n";
        let heads = ["4"; 10].join("-");
        let row = format!("768,10,{heads},2-4-4-4-4-4-4-4-4-3,1,23.5,\n");
        let table =
            import(Format::HwGpt, &format!("{header}{row}"), &Space::HwGptS, None).unwrap().table;
        assert_eq!(table.names, ["a100_ms"]);
        let text = table.space.print(&table.archs[0]);
        let heads = ["4"; 10].join(",");
        let expected = format!(
            "{{\"bias\":true,\"embed_dim\":768,\"depth\":10,\"heads\":[{heads}],\"mlp_ratio\":[2,4,4,4,4,4,4,4,4,3]}}"
        );
        assert_eq!(text, expected);
        let short =
            import(Format::HwGpt, &format!("{header}768,11,4-4,2-2,1,1,\n"), &Space::HwGptS, None);
        let told = short.unwrap_err().to_string();
        assert!(told.contains("line 2") && told.contains("has 2 items, expected 11"), "{told}");
        let other = import(Format::HwGpt, header, &Space::Pit, None).unwrap_err().to_string();
        assert!(other.contains("expected --space hw-gpt-s or hw-gpt-m or hw-gpt-l"), "{other}");
    }

    #[test]
    fn sets_of_vision_transformers_are_told_apart() {
        let header = "set,dim,depth,mlp_ratio,heads,c100_base_acc,imagenet_super_acc\n";
        let pit = "pit,16,2-8-4,6,2-4-4,68.33,\n";
        let ratios = ["3.5"; 12].join("-");
        let heads = ["3"; 12].join("-");
        let tiny = format!("autoformer-tiny,192,12,{ratios},{heads},70,74.5\n");
        let text =
            format!("{header}{pit}{tiny}{}", tiny.replace("tiny,", "tiny-2,").replace("70", "71"));
        let all = import(Format::VitBench, &text, &Space::AutoFormerTiny, None).unwrap();
        assert_eq!(all.table.names[0], "autoformer-tiny_c100_base_acc");
        assert_eq!((all.table.len(), all.table.names.len()), (1, 4));
        let one =
            import(Format::VitBench, &text, &Space::AutoFormerTiny, Some("autoformer-tiny-2"));
        assert_eq!(one.unwrap().table.columns[0], [71.0]);
        let pit = import(Format::VitBench, &text, &Space::Pit, Some("pit")).unwrap().table;
        let text = pit.space.print(&pit.archs[0]);
        assert!(
            text.starts_with("{\"dim\":16,\"mlp_ratio\":6,\"s1_depth\":2,\"s1_heads\":2"),
            "{text}"
        );
    }

    /// Parameters of the published rows, from the sums of blocks.
    #[test]
    fn published_tables_are_read_and_cost_what_they_say() {
        for (file, space, sequences) in [
            ("hw-gpt-bench/gpt_s.csv", Space::HwGptS, 8.0),
            ("hw-gpt-bench/gpt_m.csv", Space::HwGptM, 4.0),
        ] {
            let Some(file) = lanner_testing::published(file) else { return };
            let table = read_where(Format::HwGpt, &[file], &space, None, &|_, _| {}).unwrap().table;
            assert_eq!(table.len(), 10_000);
            let stages = space.stages().unwrap();
            for row in (0..table.len()).step_by(97) {
                let arch = &table.archs[row];
                let of = |name: &str| table.value(name, arch).unwrap().unwrap();
                let blocks = stages.blocks(arch);
                let params: f64 = blocks.iter().map(|b| b.params()).sum();
                let told = of("params_M") * 1e6;
                assert!((params - told).abs() < 600.0, "{params} {told}");
                // Published FLOPs leave attention out, and have some for norms.
                let attention = |b: &&lanner_space::family::TransformerBlock| {
                    !matches!(b, lanner_space::family::TransformerBlock::Attention { .. })
                };
                let macs: f64 = blocks.iter().filter(attention).map(|b| b.macs()).sum();
                let (flops, told) = (2.0 * sequences * macs, of("flops_G") * 1e9);
                assert!((flops / told - 1.0).abs() < 5e-3, "{flops} {told}");
            }
        }
        for file in ["cpu_raspberrypi", "cpu_xeon", "gpu_titanxp"] {
            let Some(file) = lanner_testing::published(&format!("hat/wmt14ende_{file}_all.csv"))
            else {
                return;
            };
            let space = Space::HatAverages;
            let table = read_where(Format::Hat, &[file], &space, None, &|_, _| {}).unwrap().table;
            assert_eq!((table.len(), table.names.len()), (2000, 3));
            assert!(table.names[2].ends_with("_ms") && !table.names[2].contains("coder"));
        }
        let Some(file) = lanner_testing::published("vit-bench-101/vit_bench_101.csv") else {
            return;
        };
        for (space, set) in [(Space::AutoFormerTiny, "autoformer-tiny"), (Space::Pit, "pit")] {
            let only = Some(("dataset", set));
            let read =
                read_where(Format::VitBench, std::slice::from_ref(&file), &space, only, &|_, _| {});
            assert_eq!(read.unwrap().table.len(), 100);
        }
    }
}
