//! Networks of transformers, see [`StageSpace`]: GPT-like decoders, vision transformers, encoder–decoders.
//!
//! A layer norms its input before attention and MLP, and adds their outputs to it. Positions are weights for
//! patches, constants (sines of Vaswani et al. 2017) for tokens unless heads are turned. Between stages of
//! patches, 2 × 2 of them are averaged where the next stage has fewer.

use lanner_space::Space;
use lanner_space::family::{
    Activation, ChosenLayer, ChosenStage, Inner, Patches, StageSpace, Stem, TransformerStage,
};

use crate::onnx::{Draft, Element, INPUT, axis, int, ints};
use crate::tensor_network::Draw;
use crate::{NetworkError, Skeleton, TensorNetwork};

/// Bound of embeddings: uniform numbers of standard deviation .02.
const EMBEDDING: f32 = 0.034_641;
/// Added to scores of tokens that are not attended to.
const NEVER: f32 = -1e9;
/// Most tokens: the mask of a causal attention has their square.
const MOST_TOKENS: usize = 8192;

/// The stages of a space whose networks are transformers; none where its rows are averages over layers, which
/// are fractions.
pub fn stages(space: &Space) -> Option<&StageSpace> {
    let stages = space.stages()?;
    let shape = stages.shape();
    let mut all = shape.parameters.iter().chain(shape.stages.iter().flat_map(|s| &s.layer));
    all.all(|parameter| parameter.float.is_none()).then_some(stages)
}

/// Builds the network of the choices of an architecture.
pub fn build(
    skeleton: &Skeleton,
    space: &StageSpace,
    name: String,
    bias: bool,
    chosen: &[ChosenStage],
) -> Result<TensorNetwork, NetworkError> {
    let shape = space.shape();
    let mut net = Writer { draft: Draft::default(), bias };
    let several = shape.stages.iter().filter(|s| s.attends_to.is_some()).count() > 0;
    let mut done: Vec<Done> = Vec::new();
    for (i, (stage, chosen)) in shape.stages.iter().zip(chosen).enumerate() {
        let place = if stage.name.is_empty() { "layer".into() } else { stage.name.clone() };
        let width = whole("embed_dim", chosen.width)?;
        let mut x = match (&shape.stem, done.last()) {
            (Stem::Tokens { vocabulary }, before)
                if before.is_none() || stage.attends_to.is_some() =>
            {
                let name = if several { format!("{}_tokens", stage.name) } else { INPUT.into() };
                let tokens = stage.tokens as usize;
                let x = net.tokens(&name, &place, tokens, *vocabulary as usize, width);
                let x = if stage.rotary == 0 { net.sines(&place, &x, tokens, width) } else { x };
                Done { x, width, tokens, grid: [1, tokens], layers: vec![] }
            }
            (Stem::Patches(patches), None) => {
                let patches = resized(*patches, skeleton.resolution)?;
                net.patches(&patches, shape.class_token, width)?
            }
            (_, Some(before)) => {
                let halve = stage.tokens < shape.stages[i - 1].tokens;
                net.next_stage(&place, before, halve, shape.class_token, width)
            }
            (_, None) => return Err(value("stem", "none", "tokens or patches")),
        };
        if x.tokens > MOST_TOKENS {
            return Err(value("tokens", x.tokens, &format!("at most {MOST_TOKENS}")));
        }
        for (n, layer) in chosen.layers.iter().enumerate() {
            let memory = stage.attends_to.and_then(|at| done.get(at));
            let place = format!("{place}{}", n + 1);
            x.x = net.layer(&place, stage, layer, &x, memory)?;
            x.layers.push(x.x.clone());
        }
        done.push(x);
    }
    let Some(last) = done.pop() else { return Err(value("stages", 0, "at least one")) };
    let x = net.draft.layer_norm("head.norm", &last.x, last.width);
    let output = match (skeleton.classes, shape.each_token) {
        (0, _) => x,
        (n, true) => net.draft.linear("head.linear", &x, [last.width, n], false),
        (n, false) => {
            let one = match shape.class_token {
                true => {
                    let first = net.draft.slice("head.class", &x, 1, 0, 1);
                    net.draft.reshape("head.flat", &first, &[last.width])
                }
                false => {
                    let attributes = vec![ints("axes", &[1]), int("keepdims", 0)];
                    net.draft.op("ReduceMean", "head.mean", &[&x], attributes)
                }
            };
            net.draft.linear("head.linear", &one, [last.width, n], true)
        }
    };
    net.draft.finish(name, &output)
}

/// A stage that is built.
struct Done {
    x: String,
    width: usize,
    /// Number of tokens, that of the class included.
    tokens: usize,
    /// Patches from top to bottom and from left to right.
    grid: [usize; 2],
    /// Outputs of the layers.
    layers: Vec<String>,
}

struct Writer {
    draft: Draft,
    /// Whether linear layers have biases.
    bias: bool,
}

impl Writer {
    fn tokens(
        &mut self,
        name: &str,
        place: &str,
        tokens: usize,
        vocabulary: usize,
        width: usize,
    ) -> String {
        let ids = self.draft.input(name, Element::Token, &[tokens]);
        let draw = Draw::Within(EMBEDDING);
        let name = format!("{place}.embedding");
        let table = self.draft.weight(&format!("{name}.weight"), &[vocabulary, width], draw);
        self.draft.op("Gather", &name, &[&table, &ids], vec![])
    }

    /// Adds sines of the token's place.
    fn sines(&mut self, place: &str, x: &str, tokens: usize, width: usize) -> String {
        let table = self.draft.table(&format!("sines.{tokens}x{width}"), [tokens, width], sine);
        self.draft.op("Add", &format!("{place}.positions"), &[x, &table], vec![])
    }

    fn patches(
        &mut self,
        patches: &Patches,
        class_token: bool,
        width: usize,
    ) -> Result<Done, NetworkError> {
        let grid = patches.grid().map(|n| n as usize);
        let Patches { channels, height, width: pixels, side, stride } = *patches;
        let [channels, height, pixels, side, stride] =
            [channels, height, pixels, side, stride].map(|n| n as usize);
        let count = grid[0] * grid[1];
        if count == 0 {
            let size = format!("{height}×{pixels}");
            return Err(value("input", size, &format!("at least one patch of {side} pixels")));
        }
        let axes = if height == 1 { 1 } else { 2 };
        let mut image = vec![channels];
        image.extend(if axes == 1 { vec![pixels] } else { vec![height, pixels] });
        let x = self.draft.input(INPUT, Element::Float, &image);
        let mut kernel = vec![width, channels];
        kernel.extend(vec![side; axes]);
        let inputs = channels * side.pow(axes as u32);
        let weight = self.draft.weight("patches.weight", &kernel, Draw::He { inputs });
        let shift = self.draft.weight("patches.bias", &[width], Draw::Zeros);
        let attributes =
            vec![ints("kernel_shape", &vec![side; axes]), ints("strides", &vec![stride; axes])];
        let x = self.draft.op("Conv", "patches", &[&x, &weight, &shift], attributes);
        let x = self.draft.reshape("patches.flat", &x, &[width, count]);
        let mut x = self.draft.transpose("patches.tokens", &x, &[0, 2, 1]);
        let tokens = count + usize::from(class_token);
        if class_token {
            // A token of zeros before the others, to which that of the class is added.
            let sides = self.draft.sizes("sides.first", &[0, 1, 0, 0, 0, 0]);
            x = self.draft.op("Pad", "class.room", &[&x, &sides], vec![]);
            let class = self.draft.weight("class.weight", &[1, 1, width], Draw::Within(EMBEDDING));
            let rest = self.draft.sizes("sides.rest", &[0, 0, 0, 0, count, 0]);
            let class = self.draft.op("Pad", "class.padded", &[&class, &rest], vec![]);
            x = self.draft.op("Add", "class", &[&x, &class], vec![]);
        }
        let draw = Draw::Within(EMBEDDING);
        let table = self.draft.weight("positions.weight", &[tokens, width], draw);
        let x = self.draft.op("Add", "positions", &[&x, &table], vec![]);
        Ok(Done { x, width, tokens, grid, layers: vec![] })
    }

    /// Brings tokens to the width of the next stage, and averages 2 × 2 patches if `halve`.
    fn next_stage(
        &mut self,
        place: &str,
        before: &Done,
        halve: bool,
        class_token: bool,
        width: usize,
    ) -> Done {
        let Done { ref x, width: inputs, tokens, grid, .. } = *before;
        let draft = &mut self.draft;
        let (mut y, mut next) = (x.clone(), grid);
        if halve {
            let at = |what: &str| format!("{place}.merge.{what}");
            let class = usize::from(class_token);
            if class_token {
                y = draft.slice(&at("patches"), &y, 1, 1, tokens);
            }
            let axes = if grid[0] == 1 { 1 } else { 2 };
            let image = &grid[2 - axes..];
            y = draft.transpose(&at("channels"), &y, &[0, 2, 1]);
            y = draft.reshape(&at("image"), &y, &[&[inputs], image].concat());
            let window = vec![2; axes];
            let mut attributes = vec![ints("kernel_shape", &window), ints("strides", &window)];
            if image.iter().any(|n| n % 2 == 1) {
                attributes.push(int("ceil_mode", 1));
            }
            y = draft.op("AveragePool", &at("mean"), &[&y], attributes);
            next = [grid[0].div_ceil(2), grid[1].div_ceil(2)];
            y = draft.reshape(&at("flat"), &y, &[inputs, next[0] * next[1]]);
            y = draft.transpose(&at("tokens"), &y, &[0, 2, 1]);
            if class == 1 {
                let token = draft.slice(&at("class"), x, 1, 0, 1);
                y = draft.op("Concat", &at("all"), &[&token, &y], vec![int("axis", 1)]);
            }
        }
        let tokens = tokens - grid[0] * grid[1] + next[0] * next[1];
        let x = draft.linear(&format!("{place}.widen"), &y, [inputs, width], self.bias);
        Done { x, width, tokens, grid: next, layers: vec![] }
    }

    fn layer(
        &mut self,
        place: &str,
        stage: &TransformerStage,
        chosen: &ChosenLayer,
        at: &Done,
        memory: Option<&Done>,
    ) -> Result<String, NetworkError> {
        let width = at.width;
        let heads = whole("heads", chosen.heads)?;
        let own = format!("{place}.attention");
        let normed = self.draft.layer_norm(&format!("{own}.norm"), &at.x, width);
        let attended = {
            let q = Attention::new(stage, heads, at, &own)?;
            self.attention(&q, &normed, None)?
        };
        let mut x = self.draft.op("Add", &format!("{place}.sum1"), &[&at.x, &attended], vec![]);
        if let Some(memory) = memory {
            let place = format!("{place}.cross");
            let normed = self.draft.layer_norm(&format!("{place}.norm"), &x, width);
            let heads = whole("cross_heads", chosen.cross_heads)?;
            let last = whole("cross_layers", chosen.cross_layers)?.min(memory.layers.len());
            let read: Vec<&str> =
                memory.layers[memory.layers.len() - last..].iter().map(String::as_str).collect();
            let source = match read[..] {
                [one] => one.to_string(),
                _ => {
                    let name = format!("{place}.layers");
                    self.draft.op("Concat", &name, &read, vec![int("axis", 1)])
                }
            };
            let mut q = Attention::new(stage, heads, at, &place)?;
            (q.causal, q.rotary) = (false, 0);
            let source = (source.as_str(), memory.width, last * memory.tokens);
            let y = self.attention(&q, &normed, Some(source))?;
            x = self.draft.op("Add", &format!("{place}.sum"), &[&x, &y], vec![]);
        }
        let Some(hidden) = chosen.hidden else { return Ok(x) };
        // A ratio of a width may be a fraction: PyTorch's programs round down.
        let hidden = whole("hidden", hidden.floor())?;
        let read = if stage.parallel { &at.x } else { &x };
        let place = format!("{place}.mlp");
        let y = self.draft.layer_norm(&format!("{place}.norm"), read, width);
        let inner = format!("{place}.1");
        let mut z = self.draft.linear(&inner, &y, [width, hidden], self.bias);
        z = self.activation(&place, stage.activation, &z);
        if stage.gated {
            let other = format!("{place}.gate");
            let other = self.draft.linear(&other, &y, [width, hidden], self.bias);
            z = self.draft.op("Mul", &format!("{place}.product"), &[&z, &other], vec![]);
        }
        let z = self.draft.linear(&format!("{place}.2"), &z, [hidden, width], self.bias);
        Ok(self.draft.op("Add", &format!("{place}.sum"), &[&x, &z], vec![]))
    }

    fn activation(&mut self, place: &str, of: Activation, x: &str) -> String {
        let at = |what: &str| format!("{place}.{what}");
        let draft = &mut self.draft;
        match of {
            Activation::Relu => draft.op("Relu", &at("relu"), &[x], vec![]),
            Activation::Silu => {
                let gate = draft.op("Sigmoid", &at("sigmoid"), &[x], vec![]);
                draft.op("Mul", &at("silu"), &[x, &gate], vec![])
            }
            Activation::Gelu => {
                // The form that runtimes know and fuse: x · (1 + erf(x / √2)) / 2.
                let [root, one, half] = [("root2", 2f32.sqrt()), ("one", 1.0), ("half", 0.5)]
                    .map(|(name, value)| draft.floats(name, &[], &[value]));
                let y = draft.op("Div", &at("gelu.scaled"), &[x, &root], vec![]);
                let y = draft.op("Erf", &at("gelu.erf"), &[&y], vec![]);
                let y = draft.op("Add", &at("gelu.sum"), &[&y, &one], vec![]);
                let y = draft.op("Mul", &at("gelu.product"), &[x, &y], vec![]);
                draft.op("Mul", &at("gelu"), &[&y, &half], vec![])
            }
        }
    }

    /// Adds an attention to the tokens of `x`, or to those of another tensor with its width and tokens.
    fn attention(
        &mut self,
        of: &Attention,
        x: &str,
        source: Option<(&str, usize, usize)>,
    ) -> Result<String, NetworkError> {
        let Attention { place, width, tokens, inner, heads, .. } = *of;
        let each = inner / heads;
        let at = |what: &str| format!("{place}.{what}");
        let (q, k, v, sources) = match source {
            None => {
                let all = self.draft.linear(&at("qkv"), x, [width, 3 * inner], self.bias);
                let part = |draft: &mut Draft, n: usize, name: &str| {
                    draft.slice(&at(name), &all, 2, n * inner, (n + 1) * inner)
                };
                let draft = &mut self.draft;
                (part(draft, 0, "q"), part(draft, 1, "k"), part(draft, 2, "v"), tokens)
            }
            Some((source, keys, sources)) => {
                let q = self.draft.linear(&at("q"), x, [width, inner], self.bias);
                let both = self.draft.linear(&at("kv"), source, [keys, 2 * inner], self.bias);
                let k = self.draft.slice(&at("k"), &both, 2, 0, inner);
                let v = self.draft.slice(&at("v"), &both, 2, inner, 2 * inner);
                (q, k, v, sources)
            }
        };
        let draft = &mut self.draft;
        let heads_of = |draft: &mut Draft, x: &str, name: &str, tokens, order: &[usize]| {
            let y = draft.reshape(&at(&format!("{name}.heads")), x, &[tokens, heads, each]);
            draft.transpose(&at(&format!("{name}.order")), &y, order)
        };
        let mut q = heads_of(draft, &q, "q", tokens, &[0, 2, 1, 3]);
        let k = if of.rotary > 0 {
            q = rotate(draft, &at("q"), &q, of);
            let k = heads_of(draft, &k, "k", sources, &[0, 2, 1, 3]);
            let k = rotate(draft, &at("k"), &k, of);
            draft.transpose(&at("k.last"), &k, &[0, 1, 3, 2])
        } else {
            heads_of(draft, &k, "k", sources, &[0, 2, 3, 1])
        };
        let v = heads_of(draft, &v, "v", sources, &[0, 2, 1, 3]);
        let scale = draft.floats(&format!("scale.{each}"), &[], &[1.0 / (each as f32).sqrt()]);
        let q = draft.op("Mul", &at("q.scaled"), &[&q, &scale], vec![]);
        let mut scores = draft.op("MatMul", &at("scores"), &[&q, &k], vec![]);
        if of.causal {
            let later = |t, s, _| if s > t { NEVER } else { 0.0 };
            let mask = draft.table(&format!("mask.{tokens}"), [tokens, sources], later);
            scores = draft.op("Add", &at("masked"), &[&scores, &mask], vec![]);
        }
        let shares = draft.op("Softmax", &at("softmax"), &[&scores], vec![axis(-1)]);
        let y = draft.op("MatMul", &at("values"), &[&shares, &v], vec![]);
        let y = draft.transpose(&at("tokens"), &y, &[0, 2, 1, 3]);
        let y = draft.reshape(&at("joined"), &y, &[tokens, inner]);
        Ok(draft.linear(&at("out"), &y, [inner, width], self.bias))
    }
}

/// Sizes of an attention.
struct Attention<'a> {
    place: &'a str,
    width: usize,
    tokens: usize,
    /// Width of all heads together.
    inner: usize,
    heads: usize,
    causal: bool,
    /// Channels of a head that are turned.
    rotary: usize,
}

impl<'a> Attention<'a> {
    fn new(
        stage: &TransformerStage,
        heads: usize,
        at: &Done,
        place: &'a str,
    ) -> Result<Attention<'a>, NetworkError> {
        let inner = match stage.inner {
            Inner::Width => at.width,
            Inner::Fixed(inner) => inner as usize,
            Inner::Head(each) => each as usize * heads,
        };
        if heads == 0 || inner == 0 || !inner.is_multiple_of(heads) {
            return Err(value("heads", heads, &format!("a divisor of the width {inner}")));
        }
        let rotary = (stage.rotary as usize).min(inner / heads) / 2 * 2;
        let (width, tokens) = (at.width, at.tokens);
        Ok(Attention { place, width, tokens, inner, heads, causal: stage.causal, rotary })
    }
}

/// Sine or cosine of a token's place in a channel (Vaswani et al. 2017, section 3.5).
fn sine(t: usize, c: usize, width: usize) -> f32 {
    let angle = t as f64 * 10_000f64.powf(-((c / 2 * 2) as f64) / width as f64);
    (if c.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
}

/// Turns pairs of channels by an angle that grows with the token's place (Su et al. 2021).
fn rotate(draft: &mut Draft, place: &str, x: &str, of: &Attention) -> String {
    let Attention { tokens, rotary, .. } = *of;
    let (half, each) = (rotary / 2, of.inner / of.heads);
    fn angle(t: usize, c: usize, half: usize) -> f64 {
        t as f64 * 10_000f64.powf(-(c as f64) / half as f64)
    }
    let name = |of: &str| format!("{of}.{tokens}x{half}");
    let cos = draft.table(&name("cos"), [tokens, half], |t, c, n| angle(t, c, n).cos() as f32);
    let sin = draft.table(&name("sin"), [tokens, half], |t, c, n| angle(t, c, n).sin() as f32);
    let at = |what: &str| format!("{place}.{what}");
    let a = draft.slice(&at("a"), x, 3, 0, half);
    let b = draft.slice(&at("b"), x, 3, half, rotary);
    let product = |draft: &mut Draft, name: &str, x: &str, y: &str| {
        draft.op("Mul", &at(name), &[x, y], vec![])
    };
    let (a_cos, b_sin) = (product(draft, "a.cos", &a, &cos), product(draft, "b.sin", &b, &sin));
    let (b_cos, a_sin) = (product(draft, "b.cos", &b, &cos), product(draft, "a.sin", &a, &sin));
    let first = draft.op("Sub", &at("rotated.a"), &[&a_cos, &b_sin], vec![]);
    let second = draft.op("Add", &at("rotated.b"), &[&b_cos, &a_sin], vec![]);
    let mut parts = vec![first, second];
    if rotary < each {
        parts.push(draft.slice(&at("rest"), x, 3, rotary, each));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    draft.op("Concat", &at("rotated"), &parts, vec![axis(-1)])
}

/// The patches of a square image of another size; 0 keeps theirs.
fn resized(patches: Patches, resolution: usize) -> Result<Patches, NetworkError> {
    if resolution == 0
        || (patches.height as usize, patches.width as usize) == (resolution, resolution)
    {
        return Ok(patches);
    }
    if patches.height != patches.width {
        let size = format!("{}×{}", patches.height, patches.width);
        return Err(value("resolution", resolution, &format!("{size}, the size of the input")));
    }
    let side = resolution as u32;
    Ok(Patches { height: side, width: side, ..patches })
}

fn value(name: &'static str, value: impl ToString, expected: &str) -> NetworkError {
    NetworkError::Value { name, value: value.to_string(), expected: expected.into() }
}

/// A size that is a whole number.
fn whole(name: &'static str, size: f64) -> Result<usize, NetworkError> {
    match size {
        n if n >= 1.0 && n.fract() == 0.0 && n < 1e9 => Ok(n as usize),
        n => Err(value(name, n, "a whole number of 1 or more")),
    }
}
