//! Reads chains of stages.

use super::read::{Field, Fields, MOST_NODES};
use crate::family::{Block, ChainActivation, ChainSkeleton, ChainSpace, Layer, Skip, Stage, Up};

/// Number of times that stages may double more than they halve.
const LARGER: i32 = 2;

/// Reads stages and skeleton of a chain.
pub(super) fn read(root: &Fields, skeleton: &Fields) -> Result<ChainSpace, String> {
    let tables = root.tables("stage")?;
    let stages: Vec<Stage> = tables.iter().map(read_stage).collect::<Result<_, String>>()?;
    let nodes: usize = stages.iter().map(|s| s.deepest() + 1).sum();
    if nodes > MOST_NODES {
        return root.required("stage")?.fail(&format!("more than {MOST_NODES} stages and layers"));
    }
    skeleton.only(&["resolution", "input", "classes", "stem", "stem_stride", "head", "dense"])?;
    let number = |name: &str, least, most| skeleton.required(name)?.integer(least, most);
    let or_none = |name: &str, most| match skeleton.get(name) {
        Some(field) => field.integer(0, most),
        None => Ok(0),
    };
    let (image, resolutions) = read_image(skeleton)?;
    let [channels, height, width] = image;
    let sizes = ChainSkeleton {
        channels: channels as u16,
        resolution: height as u16,
        width: if width == height { 0 } else { width },
        classes: or_none("classes", 100_000)? as u32,
        stem: number("stem", 1, 4096)? as u16,
        stem_stride: match skeleton.get("stem_stride") {
            Some(field) => field.integer(1, 2)? as u8,
            None => 2,
        },
        head: or_none("head", 8192)? as u16,
        dense: skeleton.get("dense").map(|field| field.flag()).transpose()?.unwrap_or(false),
    };
    if let (true, 0, Some(field)) = (sizes.dense, sizes.classes, skeleton.get("dense")) {
        return field.fail("outputs for each pixel need 'classes', their number");
    }
    let halvings = check_skips(&tables, &stages, sizes.halvings())?;
    let smallest = resolutions.iter().map(|&r| r.into()).min().unwrap_or(height.min(width));
    // The one row of a signal is never halved.
    let smallest = if height == 1 { width } else { smallest };
    if smallest < 1u32.checked_shl(halvings).unwrap_or(u32::MAX) {
        let field = if skeleton.get("input").is_some() { "input" } else { "resolution" };
        return skeleton.required(field)?.fail(&format!(
            "stem and stages halve {smallest} pixels {halvings} times, to nothing"
        ));
    }
    let space = ChainSpace::new(stages, sizes, resolutions);
    let field = if skeleton.get("input").is_some() { "input" } else { "resolution" };
    let Some(multiple) = space.multiple().map(|m| m as u32) else { return Ok(space) };
    let chosen = space.resolutions.iter().map(|&r| u32::from(r));
    // The one row of a signal is never halved.
    let sides = chosen.chain([width, if height == 1 { 0 } else { height }]);
    match sides.into_iter().find(|side| !side.is_multiple_of(multiple)) {
        Some(side) => skeleton.required(field)?.fail(&format!(
            "{side} pixels, expected a multiple of {multiple}: stages halve them, and others double them again"
        )),
        None => Ok(space),
    }
}

/// Refuses stages that double more than the image's resolution, or join what is not there. Returns how often the
/// image is halved at most.
fn check_skips(tables: &[Fields], stages: &[Stage], stem: i32) -> Result<u32, String> {
    let mut seen = vec![stem];
    for (table, stage) in tables.iter().zip(stages) {
        let halvings = seen[seen.len() - 1] + stage.halvings();
        if let (true, Some(field)) = (halvings < -LARGER, table.get("up")) {
            let times = 1u64 << (-halvings).clamp(0, 62);
            let most = 1 << LARGER;
            return field.fail(&format!(
                "{times} times the image's resolution, expected at most {most} times"
            ));
        }
        if let (true, Some(field)) = (!seen.contains(&halvings), table.get("skip")) {
            return field
                .fail("neither the stem nor a stage before it has this stage's resolution");
        }
        seen.push(halvings);
    }
    Ok(seen.into_iter().max().unwrap_or(0).max(0) as u32)
}

/// Reads channels, height and width of the image, and the resolutions to choose from: `resolution`, or the
/// sizes of an image or a signal, `input`.
fn read_image(skeleton: &Fields) -> Result<([u32; 3], Vec<u16>), String> {
    let Some(input) = skeleton.get("input") else {
        let field = skeleton.required("resolution")?;
        let mut all: Vec<u16> = field.integers(1, 1024)?.into_iter().map(|n| n as u16).collect();
        all.sort_unstable();
        if let ([1, ..], true) = (&all[..], all.len() > 1) {
            return field.fail("a resolution of 1 is a signal, which cannot be chosen");
        }
        let largest = u32::from(*all.last().unwrap_or(&1));
        return Ok(([3, largest, largest], if all.len() > 1 { all } else { vec![] }));
    };
    if let Some(field) = skeleton.get("resolution") {
        return field.fail("give it or 'input', not both");
    }
    Ok((super::image(&input)?, vec![]))
}

fn read_stage(stage: &Fields) -> Result<Stage, String> {
    stage.only(&[
        "depth",
        "width",
        "stride",
        "up",
        "skip",
        "block",
        "kernel",
        "expansion",
        "squeeze",
        "activation",
        "tied",
    ])?;
    let mut depth: Vec<u8> =
        stage.required("depth")?.integers(1, 100)?.into_iter().map(|n| n as u8).collect();
    depth.sort_unstable();
    let width = stage.required("width")?.integers(1, 4096)?.into_iter().map(|n| n as u16);
    let stride = match stage.get("stride") {
        Some(field) => field.integer(1, 2)? as u8,
        None => 1,
    };
    let up = stage.get("up").map(|field| one_of(&field, &Up::ALL)).transpose()?;
    let skip = stage.get("skip").map(|field| one_of(&field, &Skip::ALL)).transpose()?;
    if let (Some(_), 2, Some(field)) = (up, stride, stage.get("stride")) {
        return field.fail("a stage with 'up' doubles the resolution: leave out the stride");
    }
    if let (None, Some(field)) = (up, stage.get("skip")) {
        return field.fail("only a stage with 'up' joins an earlier one");
    }
    let names = stage.required("block")?.names(&Block::ALL.map(|b| b.0))?;
    let blocks = names.iter().filter_map(|n| Block::ALL.iter().find(|b| b.0 == n).map(|b| b.1));
    let blocks: Vec<Block> = blocks.collect();
    let choices = |name: &str, needed: fn(Block) -> bool, least, most| match stage.get(name) {
        Some(field) if !blocks.iter().any(|&b| needed(b)) => {
            field.fail(&format!("no block of this stage has a {name}"))
        }
        Some(field) => {
            let values = field.integers(least, most)?;
            Ok(values.into_iter().map(|n| n as u8).collect::<Vec<u8>>())
        }
        None if blocks.iter().any(|&b| needed(b)) => {
            stage.fail(&format!("'{name}' is missing, which a block of this stage has"))
        }
        None => Ok(vec![]),
    };
    let kernels = choices("kernel", Block::has_kernel, 1, 15)?;
    if let (Some(even), Some(field)) = (kernels.iter().find(|&k| k % 2 == 0), stage.get("kernel")) {
        return field.fail(&format!("{even} is even, expected odd kernels"));
    }
    let expansions = choices("expansion", Block::has_expansion, 1, 16)?;
    let squeezes = match stage.get("squeeze") {
        Some(field) if !blocks.iter().any(|b| b.has_squeeze()) => {
            return field
                .fail("no block of this stage can have it, only mb, residual and bottleneck");
        }
        Some(field) => field.each(|item| item.flag())?,
        None => vec![false],
    };
    let activations = match stage.get("activation") {
        Some(field) => {
            let names = field.names(&ChainActivation::ALL.map(|a| a.0))?;
            let known = |name: &String| ChainActivation::ALL.iter().find(|a| a.0 == name);
            names.iter().filter_map(|name| Some(known(name)?.1)).collect()
        }
        None => vec![ChainActivation::default()],
    };
    let tied = stage.get("tied").map(|field| field.flag()).transpose()?.unwrap_or(false);
    let mut layers = Vec::new();
    for &block in &blocks {
        let kernels = if block.has_kernel() { &kernels[..] } else { &[0] };
        let expansions = if block.has_expansion() { &expansions[..] } else { &[0] };
        let squeezes = if block.has_squeeze() { &squeezes[..] } else { &[false] };
        let none = [ChainActivation::default()];
        let activations = if block == Block::Identity { &none[..] } else { &activations[..] };
        for &kernel in kernels {
            for &expansion in expansions {
                for &squeeze in squeezes {
                    for &activation in activations {
                        layers.push(Layer { block, kernel, expansion, squeeze, activation });
                    }
                }
            }
        }
    }
    let width: Vec<u16> = width.collect();
    if layers.len() > 200 || width.len() > 255 {
        return stage.fail("more than 200 choices of a layer, or 255 of a width");
    }
    Ok(Stage { depth, width, stride, layers, tied, up, skip })
}

/// Reads the name of one of these.
fn one_of<T: Copy>(field: &Field, all: &[(&str, T)]) -> Result<T, String> {
    let name = field.text()?;
    let names = || all.iter().map(|one| one.0).collect::<Vec<_>>().join(" or ");
    match all.iter().find(|one| one.0 == name) {
        Some((_, value)) => Ok(*value),
        None => field.fail(&format!("unknown '{name}', expected {}", names())),
    }
}
