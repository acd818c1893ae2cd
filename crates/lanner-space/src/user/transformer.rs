//! Reads a space of transformers from its TOML file.

use super::image::image;
use super::parameters::number;
use super::read::{Field, Fields};
use crate::definition::Sizes;
use crate::family::{
    Activation, Inner, Patches, StageSpace, Stages, Stem, TransformerStage as Stage, Width,
};
use crate::parameters::Parameter;

/// Most layers of all stages together, at their greatest depths.
const MOST_LAYERS: u32 = 200;
/// Most patches; the scores of an attention are their square.
const MOST_TOKENS: u32 = 8192;
/// Most tokens where the file of a network has a table of their pairs (causal attention), and most values of a
/// table of their places.
const MOST_ORDERED: u32 = 2048;
const MOST_PLACES: u64 = 8 << 20;
const WIDEST: i64 = 16_384;

/// Reads the choices of a file and the sizes of its networks; an error names line and field.
pub(super) fn read(root: &Fields, skeleton: &Fields) -> Result<(StageSpace, Sizes), String> {
    skeleton.only(&["classes"])?;
    let outputs = match skeleton.get("classes") {
        Some(field) => field.integer(1, 100_000)? as u32,
        None => 0,
    };
    let stem_fields = root.required("stem")?.table()?;
    let (stem, tokens, class_token) = read_stem(&stem_fields)?;
    let tables = root.tables("stage")?;
    let mut stages: Vec<Stage> = Vec::new();
    let mut grid = match stem {
        Stem::Patches(patches) => patches.grid(),
        Stem::Tokens { .. } => [1, tokens],
    };
    for (i, table) in tables.iter().enumerate() {
        let name = if tables.len() > 1 { format!("s{}", i + 1) } else { String::new() };
        let stage = read_stage(table, name, root)?;
        let halve = table.get("halve").map(|field| field.flag()).transpose()?.unwrap_or(false);
        if let (true, Some(field)) = (halve, table.get("halve")) {
            if i == 0 || !matches!(stem, Stem::Patches(_)) {
                return field.fail("only patches of a stage after the first can be halved");
            }
            grid = grid.map(|n| n.div_ceil(2));
        }
        let tokens = grid[0] * grid[1] + u32::from(class_token);
        if stage.causal && tokens > MOST_ORDERED {
            return table.required("causal")?.fail(&format!(
                "{tokens} tokens, expected at most {MOST_ORDERED} where each sees those before it only"
            ));
        }
        let widest = match &stage.width {
            Width::Choice(widths) => widths.iter().max().copied().unwrap_or(0),
            Width::PerHead => 0,
        };
        let is_text = matches!(stem, Stem::Tokens { .. });
        if is_text && u64::from(tokens) * u64::from(widest.max(stage.rotary)) > MOST_PLACES {
            return table.required("embed_dim")?.fail(&format!(
                "{tokens} tokens of {widest} channels, expected at most {MOST_PLACES} values"
            ));
        }
        stages.push(Stage { tokens, ..stage });
    }
    let layers: u32 = stages.iter().filter_map(|s| s.depth.iter().max()).sum();
    if layers > MOST_LAYERS {
        return root
            .required("stage")?
            .fail(&format!("{layers} layers, expected at most {MOST_LAYERS}"));
    }
    let choices =
        |name: &'static str| root.get(name).map(|field| parameter(name, &field)).transpose();
    let bias = root.get("bias").map(|field| field.each(|item| item.flag())).transpose()?;
    let fixed = match bias.as_deref() {
        Some(&[one]) => Some(one),
        Some(_) => None,
        None => Some(true),
    };
    let parameters =
        [fixed.is_none().then(|| Parameter::choice("bias", [false, true])), choices("mlp_ratio")?];
    let each_token = matches!(stem, Stem::Tokens { .. });
    let shape = Stages {
        parameters: parameters.into_iter().flatten().collect(),
        stem,
        stages,
        bias: fixed.unwrap_or(true),
        outputs,
        each_token,
        class_token,
    };
    let resolution = match stem {
        Stem::Patches(p) if p.height == p.width => p.height as usize,
        _ => 0,
    };
    let sizes = Sizes { channels: 0, cells: 0, resolution, classes: outputs as usize };
    StageSpace::new(shape).map(|space| (space, sizes))
}

/// Reads the stem, the number of tokens that it makes, and whether one stands for the class.
fn read_stem(stem: &Fields) -> Result<(Stem, u32, bool), String> {
    if stem.get("vocabulary").is_some() {
        stem.only(&["vocabulary", "tokens"])?;
        let vocabulary = stem.required("vocabulary")?.integer(1, 1_000_000)? as u32;
        let tokens = stem.required("tokens")?.integer(1, MOST_TOKENS.into())? as u32;
        return Ok((Stem::Tokens { vocabulary }, tokens, false));
    }
    stem.only(&["input", "patch", "stride", "class_token"])?;
    let Some(field) = stem.get("input") else {
        return stem.fail("expected 'input' and 'patch', or 'vocabulary' and 'tokens'");
    };
    let [channels, height, width] = image(&field)?;
    let shortest = if height == 1 { width } else { height.min(width) };
    let side = stem.required("patch")?.integer(1, shortest.into())? as u32;
    let stride = match stem.get("stride") {
        Some(field) => field.integer(1, shortest.into())? as u32,
        None => side,
    };
    let class_token = stem.get("class_token").map(|field| field.flag()).transpose()?;
    let class_token = class_token.unwrap_or(false);
    let patches = Patches { channels, height, width, side, stride };
    let [rows, columns] = patches.grid();
    let tokens = rows.saturating_mul(columns);
    if tokens >= MOST_TOKENS {
        return field.fail(&format!("{tokens} patches, expected fewer than {MOST_TOKENS}"));
    }
    if u64::from(channels) * u64::from(side) * u64::from(side) > 1 << 24 {
        return field.fail("patches of more than 16 million values");
    }
    Ok((Stem::Patches(patches), tokens + u32::from(class_token), class_token))
}

fn read_stage(stage: &Fields, name: String, root: &Fields) -> Result<Stage, String> {
    stage.only(&[
        "depth",
        "embed_dim",
        "heads",
        "mlp_ratio",
        "ffn_dim",
        "head_dim",
        "attention_dim",
        "gated",
        "activation",
        "causal",
        "rotary",
        "parallel",
        "tied",
        "halve",
    ])?;
    let sizes = |name: &str, most: i64| -> Result<Vec<u32>, String> {
        let mut all: Vec<u32> =
            stage.required(name)?.integers(1, most)?.into_iter().map(|n| n as u32).collect();
        all.sort_unstable();
        Ok(all)
    };
    let flag = |name| -> Result<bool, String> {
        Ok(stage.get(name).map(|field| field.flag()).transpose()?.unwrap_or(false))
    };
    let (depth, widths, heads) =
        (sizes("depth", 100)?, sizes("embed_dim", WIDEST)?, sizes("heads", 1024)?);
    let mut layer = vec![Parameter::choice("heads", heads.iter().map(|&h| i64::from(h)))];
    match (stage.get("mlp_ratio"), stage.get("ffn_dim"), root.get("mlp_ratio")) {
        (Some(field), None, None) => layer.push(parameter("mlp_ratio", &field)?),
        (None, Some(field), None) => {
            let hidden = field.integers(1, 4 * WIDEST)?;
            layer.push(Parameter::choice("ffn_dim", hidden));
        }
        // A layer without an MLP, or with that of all layers.
        (None, None, _) => {}
        (Some(field), _, _) | (_, Some(field), _) => {
            return field
                .fail("expected one of 'mlp_ratio' and 'ffn_dim', here or before the stages");
        }
    }
    let inner = match (stage.get("head_dim"), stage.get("attention_dim")) {
        (Some(field), None) => Inner::Head(field.integer(1, 4096)? as u32),
        (None, Some(field)) => Inner::Fixed(field.integer(1, WIDEST)? as u32),
        (None, None) => Inner::Width,
        (Some(_), Some(field)) => return field.fail("expected it or 'head_dim', not both"),
    };
    let shared = match inner {
        Inner::Width => widths.clone(),
        Inner::Fixed(width) => vec![width],
        Inner::Head(_) => vec![],
    };
    for width in shared {
        if let Some(heads) = heads.iter().find(|h| !width.is_multiple_of(**h)) {
            return stage.required("heads")?.fail(&format!(
                "{heads} heads cannot share {width} channels: choose divisors, or give 'head_dim'"
            ));
        }
    }
    let gated = flag("gated")?;
    let activation = match stage.get("activation") {
        None if gated => Activation::Silu,
        None => Activation::Gelu,
        Some(field) => match field.text()? {
            "relu" => Activation::Relu,
            "gelu" => Activation::Gelu,
            "silu" => Activation::Silu,
            other => return field.fail(&format!("unknown '{other}', expected relu, gelu or silu")),
        },
    };
    Ok(Stage {
        name,
        width: Width::Choice(widths),
        depth,
        layer,
        tied: flag("tied")?,
        tokens: 0,
        inner,
        gated,
        activation,
        causal: flag("causal")?,
        rotary: match stage.get("rotary") {
            Some(field) => field.integer(0, 512)? as u32,
            None => 0,
        },
        parallel: flag("parallel")?,
        attends_to: None,
    })
}

/// Reads the ratios of an MLP.
fn parameter(name: &'static str, field: &Field) -> Result<Parameter, String> {
    let ratio = |item: &Field| match number(item)? {
        ratio if (0.1..=64.0).contains(&ratio) => Ok(ratio),
        ratio => item.fail(&format!("{ratio}, expected a ratio of .1 to 64")),
    };
    let mut ratios = field.each(ratio)?;
    ratios.sort_by(f64::total_cmp);
    let whole = ratios.iter().all(|r| r.fract() == 0.0);
    Ok(match whole {
        true => Parameter::choice(name, ratios.iter().map(|&r| r as i64)),
        false => Parameter::choice(name, ratios),
    })
}
