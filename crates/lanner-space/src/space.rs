use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use crate::definition::{Definition, FanOut, FewCells, Limits, Sizes};
use crate::family::{Family, ParameterSpace, TransformerBlock};
use crate::{Architecture, Parameters, SpaceError, user};
use crate::{
    darts, fbnet, hat, hw_gpt, mobilenetv3, nasbench_macro, nasbench101, nasbench201,
    natsbench_size, transbench101, transbench101_macro, vision_transformers,
};

/// A search space; the crate's documentation has a tour.
///
/// `Space` is a handle on a [`Definition`]: cheap to copy, and equal to another one with the same
/// content.
#[derive(Clone)]
pub struct Space {
    handle: Handle,
    /// Sizes of the networks, where they are not those of the definition.
    sizes: Option<Sizes>,
}

#[derive(Clone)]
enum Handle {
    /// The name, and the definition, which is made when first needed.
    Listed(&'static str, fn() -> &'static Definition),
    Own(Arc<Own>),
}

/// A space from a file, or one of the program's own.
struct Own {
    definition: Definition,
    file: Option<File>,
}

/// The text of a file, and the fingerprint of its content.
struct File {
    text: String,
    fingerprint: u64,
}

/// Refers to the space that a module defines.
macro_rules! listed {
    ($($module:ident)::+) => {
        Space {
            handle: Handle::Listed($($module::)+NAME, || {
                static DEFINITION: LazyLock<Definition> = LazyLock::new($($module::)+definition);
                &DEFINITION
            }),
            sizes: None,
        }
    };
}

/// Spaces made by [`Space::define`].
static DEFINED: Mutex<Vec<Space>> = Mutex::new(Vec::new());

/// The published spaces, under the names of the publications.
#[allow(non_upper_case_globals)]
impl Space {
    /// NAS-Bench-101 (Ying et al., ICML 2019).
    pub const NasBench101: Space = listed!(nasbench101);
    /// NAS-Bench-201 (Dong & Yang, ICLR 2020), the topology space of NATS-Bench.
    pub const NasBench201: Space = listed!(nasbench201);
    /// DARTS (Liu et al., ICLR 2019), which NAS-Bench-301 uses too.
    pub const Darts: Space = listed!(darts);
    /// FBNet (Wu et al., CVPR 2019).
    pub const Fbnet: Space = listed!(fbnet);
    /// TransNAS-Bench-101 (Duan et al., CVPR 2021), the cells.
    pub const TransBench101Micro: Space = listed!(transbench101);
    /// TransNAS-Bench-101, the chains of modules.
    pub const TransBench101Macro: Space = listed!(transbench101_macro);
    /// MobileNetV3 in Once-for-All (Cai et al., ICLR 2020).
    pub const MobileNetV3: Space = listed!(mobilenetv3);
    /// NAS-Bench-Macro (Su et al., CVPR 2021).
    pub const NasBenchMacro: Space = listed!(nasbench_macro);
    /// The size space of NATS-Bench (Dong et al., TPAMI 2021).
    pub const NatsBenchSize: Space = listed!(natsbench_size);
    /// HW-GPT-Bench (Sukthanker et al., NeurIPS 2024), the small scale.
    pub const HwGptS: Space = listed!(hw_gpt::s);
    /// HW-GPT-Bench, the medium scale.
    pub const HwGptM: Space = listed!(hw_gpt::m);
    /// HW-GPT-Bench, the large scale.
    pub const HwGptL: Space = listed!(hw_gpt::l);
    /// AutoFormer (Chen et al., ICCV 2021), the tiny space.
    pub const AutoFormerTiny: Space = listed!(vision_transformers::tiny);
    /// AutoFormer, the small space.
    pub const AutoFormerSmall: Space = listed!(vision_transformers::small);
    /// AutoFormer, the base space.
    pub const AutoFormerBase: Space = listed!(vision_transformers::base);
    /// PiT (Heo et al., ICCV 2021) as in ViT-Bench-101.
    pub const Pit: Space = listed!(vision_transformers::pit);
    /// HAT (Wang et al., ACL 2020).
    pub const Hat: Space = listed!(hat);
    /// Averages over the layers of HAT's transformers.
    pub const HatAverages: Space = listed!(hat::averages);
}

impl Space {
    /// All spaces with a name, in the order of [`Space::NAMES`]. A new one is a line here:
    /// `listed!(module)`.
    pub const ALL: [Space; 18] = [
        Space::NasBench101,
        Space::NasBench201,
        Space::Darts,
        Space::Fbnet,
        Space::TransBench101Micro,
        Space::TransBench101Macro,
        Space::MobileNetV3,
        Space::NasBenchMacro,
        Space::NatsBenchSize,
        Space::HwGptS,
        Space::HwGptM,
        Space::HwGptL,
        Space::AutoFormerTiny,
        Space::AutoFormerSmall,
        Space::AutoFormerBase,
        Space::Pit,
        Space::Hat,
        Space::HatAverages,
    ];

    /// Names of [`Space::ALL`].
    pub const NAMES: [&'static str; Space::ALL.len()] = {
        let mut names = [""; Space::ALL.len()];
        let mut i = 0;
        while i < names.len() {
            if let Handle::Listed(name, _) = &(&Space::ALL)[i].handle {
                names[i] = name;
            }
            i += 1;
        }
        names
    };

    /// Returns the space with a name, or reads a file `….toml` (see [`crate::user`]).
    pub fn by_name(name: &str) -> Result<Space, SpaceError> {
        if name.ends_with(".toml") {
            return Space::read(name);
        }
        let defined = DEFINED.lock().unwrap_or_else(|e| e.into_inner());
        let mut all = Space::ALL.iter().chain(defined.iter());
        match all.find(|space| space.name() == name) {
            Some(space) => Ok(space.clone()),
            None => {
                let all = Space::ALL.iter().chain(defined.iter());
                let known: Vec<&str> = all.map(Space::name).collect();
                Err(SpaceError::UnknownSpace { name: name.into(), known: known.join(", ") })
            }
        }
    }

    /// Reads a file, see [`crate::user`]; errors name the line and the field.
    pub fn read(path: impl AsRef<Path>) -> Result<Space, SpaceError> {
        let path = path.as_ref();
        let fail = |why| SpaceError::File { path: path.into(), why };
        let text = crate::text::read(path).map_err(|e| fail(e.to_string()))?;
        Space::from_toml(&text).map_err(fail)
    }

    /// Reads a space from the text of a file; an error names the line and the field that are wrong.
    pub fn from_toml(text: &str) -> Result<Space, String> {
        let (definition, fingerprint) = user::definition(text, &Space::NAMES)?;
        let file = Some(File { text: text.into(), fingerprint });
        Ok(Space { handle: Handle::Own(Arc::new(Own { definition, file })), sizes: None })
    }

    /// Makes a space of parameters that a program declares: the same as that of the file
    /// [`Parameters::to_toml`]. An error names the parameter and the value that are wrong.
    pub fn of_parameters(parameters: &Parameters) -> Result<Space, SpaceError> {
        let fail = |why| SpaceError::Definition { name: parameters.name.clone(), why };
        ParameterSpace::new(&parameters.parameter).map_err(|wrong| fail(wrong.why))?;
        Space::from_toml(&parameters.to_toml()).map_err(fail)
    }

    /// Adds a space of the program's own. From then on [`Space::by_name`] knows it in this process, so
    /// that models and studies that name it can be read.
    pub fn define(definition: Definition) -> Result<Space, SpaceError> {
        let name = definition.name.to_string();
        let fail = |why| SpaceError::Definition { name: name.clone(), why };
        definition.check().map_err(fail)?;
        let mut defined = DEFINED.lock().unwrap_or_else(|e| e.into_inner());
        if Space::ALL.iter().chain(defined.iter()).any(|space| space.name() == name) {
            return Err(fail("there is a space of that name".into()));
        }
        let own = Own { definition, file: None };
        let space = Space { handle: Handle::Own(Arc::new(own)), sizes: None };
        defined.push(space.clone());
        Ok(space)
    }

    pub(crate) fn definition(&self) -> &Definition {
        match &self.handle {
            Handle::Listed(_, definition) => definition(),
            Handle::Own(own) => &own.definition,
        }
    }

    fn file(&self) -> Option<&File> {
        match &self.handle {
            Handle::Listed(..) => None,
            Handle::Own(own) => own.file.as_ref(),
        }
    }

    pub(crate) fn family(&self) -> &dyn Family {
        &*self.definition().family
    }

    /// Returns the name, as on the command line.
    pub fn name(&self) -> &str {
        match &self.handle {
            Handle::Listed(name, _) => name,
            Handle::Own(own) => &own.definition.name,
        }
    }

    /// Returns the text by which tables and models know the space: its name and, for a file, a
    /// fingerprint of its content without names, comments and limits, which tells a changed file from
    /// the one before.
    pub fn identity(&self) -> String {
        match self.file() {
            Some(file) => format!("{} {:016x}", self.name(), file.fingerprint),
            None => self.name().into(),
        }
    }

    /// Returns the text of the file that defines the space, which [`Space::from_toml`] reads.
    pub fn toml(&self) -> Option<&str> {
        self.file().map(|file| file.text.as_str())
    }

    /// Returns the limits in the space's file on the cost of a network.
    pub fn limits(&self) -> Limits {
        self.definition().limits
    }

    /// Returns FLOPs and parameters in millions of the published network, where a formula for all of the
    /// space is known: NAS-Bench-201 on CIFAR-10, and spaces of transformers (their multiply-accumulates, for one
    /// input). For other spaces, build the network and compute its cost.
    ///
    /// FLOPs are counted as in the published tables: multiply-accumulates of convolutions, 2 for each
    /// value of a batch norm, 1 of ReLU, k² of pooling; dead operations count too (lanner-network
    /// derives it layer by layer).
    pub fn flops_and_params(&self, arch: &Architecture) -> Option<(f64, f64)> {
        if let Some(stages) = self.stages() {
            let blocks = stages.blocks(arch);
            let sum = |of: fn(&TransformerBlock) -> f64| blocks.iter().map(of).sum::<f64>() / 1e6;
            return Some((sum(TransformerBlock::macs), sum(TransformerBlock::params)));
        }
        self.definition().flops_and_params.map(|of| of(arch))
    }

    /// Returns multiply-accumulates and parameters in a unit of the space's own, where the cost of an
    /// operation depends on those before it and a formula is known.
    pub fn relative_costs(&self, arch: &Architecture) -> Option<(f64, f64)> {
        self.definition().relative_costs.map(|of| of(arch))
    }

    /// Returns other notations of an architecture in its community, as names and values.
    pub fn details(&self, arch: &Architecture) -> Vec<(&'static str, String)> {
        self.definition().details.map_or_else(Vec::new, |of| of(arch))
    }

    /// Returns the sizes of the networks: those of the published one, or those of [`Space::sized`].
    pub fn sizes(&self) -> Sizes {
        self.sizes.unwrap_or(self.definition().sizes)
    }

    /// Returns the space with networks of other sizes, by which costs are then counted. It is equal to
    /// the one with the published sizes: its architectures are the same.
    pub fn sized(&self, sizes: Sizes) -> Space {
        let sizes = Some(sizes).filter(|sizes| *sizes != self.definition().sizes);
        Space { handle: self.handle.clone(), sizes }
    }

    /// Tells whether the networks have other sizes than the published one.
    pub fn is_resized(&self) -> bool {
        self.sizes.is_some()
    }

    /// Returns the sizes of smaller networks.
    pub fn few_cells(&self) -> FewCells {
        self.definition().few_cells
    }

    /// Returns height and width of the image in pixels, where the architecture chooses them.
    pub fn resolution(&self, arch: &Architecture) -> Option<usize> {
        self.family().resolution(arch)
    }

    /// Returns the initial weights of published zero-cost proxies, unless they are PyTorch's default.
    /// The published `l2_norm` tells them apart.
    pub fn proxy_weights(&self) -> Option<FanOut> {
        self.definition().proxy_weights
    }

    /// Tells whether tables have several trainings of an architecture, as different texts, so that its
    /// value is the mean of their rows.
    pub fn repeats_rows(&self) -> bool {
        self.definition().repeats_rows
    }

    /// Tells whether edges and codes are those of NAS-Bench-201, all or the first of them: for these,
    /// the programs that runtimes make of a cell are known.
    pub fn has_known_program(&self) -> bool {
        self.definition().known_program
    }

    /// Tells whether all layers with the same operation are alike, so that counts of operations tell
    /// an architecture's cost.
    pub fn has_uniform_layers(&self) -> bool {
        self.definition().uniform_layers
    }
}

impl PartialEq for Space {
    /// Spaces from files are equal if only their texts differ.
    fn eq(&self, other: &Space) -> bool {
        let (a, b) = match (&self.handle, &other.handle) {
            (Handle::Listed(a, _), Handle::Listed(b, _)) => return a == b,
            (Handle::Own(a), Handle::Own(b)) => (a, b),
            _ => return false,
        };
        let said = |own: &Own| {
            let Definition { name, family, limits, .. } = &own.definition;
            format!("{name} {family:?} {limits:?}")
        };
        Arc::ptr_eq(a, b) || said(a) == said(b)
    }
}

impl Eq for Space {}

impl Hash for Space {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Space({})", self.identity())
    }
}
