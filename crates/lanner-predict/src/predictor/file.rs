//! Trained predictors on disk: named arrays and a JSON header in one
//! [safetensors](https://github.com/huggingface/safetensors) file, which numpy and PyTorch open too.
//!
//! [`ModelFile`] knows nothing of any particular predictor: a predictor turns itself into a header
//! and arrays and back. The header says what a file is for, and [`ModelFile::load`] refuses one that
//! is for something else, of another format, truncated or altered.
//!
//! ```
//! use lanner_predict::predictor::file::{Array, Header, ModelFile};
//! let header = Header::new("ridge", "nasbench201", "default", 7);
//! let mut file = ModelFile::new(header);
//! file.tensors.insert("weights".into(), Array::f64(vec![0.5, -1.0]));
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("model.safetensors");
//! file.save(&path)?;
//! let back = ModelFile::load(&path, "ridge", "nasbench201")?;
//! assert_eq!(back, file);
//! assert!(ModelFile::load(&path, "ridge", "darts").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use lanner_space::{Architecture, Sizes, Space};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::PredictError;

/// The version of the format that this crate writes; it reads earlier ones too. In format 1, codes of
/// architectures were of type `f32`, filled up with −1.
pub const FORMAT: u32 = 2;
/// The key of the header in the safetensors metadata.
const KEY: &str = "lanner";
/// The array of training architectures, and what rows shorter than the longest are filled up with: a place
/// has at most 255 choices.
const CODES: &str = "codes";
const NO_CODE: u8 = u8::MAX;

/// Description of a model file, and its origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The version of Lanner that wrote it, for people.
    pub lanner: String,
    /// Kind of the predictor: `gcn`, `relation`, …
    pub kind: String,
    /// The name of the search space.
    pub space: String,
    /// The TOML of a user's space; empty for others, and in files of before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub space_toml: String,
    /// Channels, cells, resolution and classes of the networks whose costs are counted, where they are
    /// not the published ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<[usize; 4]>,
    /// The name of the recipe.
    pub recipe: String,
    /// The study seed.
    pub seed: u64,
    /// [`training_hash`] of what it was trained on; empty if unknown.
    #[serde(default)]
    pub training_hash: String,
    /// The predictor's own settings: encoding, sizes, scales, the metric's name…
    #[serde(default)]
    pub settings: serde_json::Value,
    /// FNV-1a of all arrays' bytes in order of name; filled in on saving.
    #[serde(default)]
    checksum: String,
}

impl Header {
    /// The search space, if the header alone can tell what it is.
    pub fn known_space(&self) -> Option<Space> {
        let space = match self.space_toml.as_str() {
            "" => Space::by_name(&self.space).ok(),
            toml => Space::from_toml(toml).ok(),
        };
        // Another version may read another space from the same text.
        space.filter(|space| space.identity() == self.space)
    }

    /// A header of this version, without training hash and settings.
    pub fn new(kind: &str, space: &str, recipe: &str, seed: u64) -> Header {
        Header {
            format: FORMAT,
            lanner: env!("CARGO_PKG_VERSION").into(),
            kind: kind.into(),
            space: space.into(),
            space_toml: String::new(),
            sizes: None,
            recipe: recipe.into(),
            seed,
            training_hash: String::new(),
            settings: serde_json::Value::Null,
            checksum: String::new(),
        }
    }
}

/// A dense array of any rank, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    F32 { shape: Vec<usize>, data: Vec<f32> },
    F64 { shape: Vec<usize>, data: Vec<f64> },
    U8 { shape: Vec<usize>, data: Vec<u8> },
}

impl Array {
    /// A vector.
    pub fn f32(data: Vec<f32>) -> Array {
        Array::F32 { shape: vec![data.len()], data }
    }

    /// A vector.
    pub fn f64(data: Vec<f64>) -> Array {
        Array::F64 { shape: vec![data.len()], data }
    }

    /// The sizes of its dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Array::F32 { shape, .. } | Array::F64 { shape, .. } | Array::U8 { shape, .. } => shape,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Array::F32 { data, .. } => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Array::F64 { data, .. } => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Array::U8 { data, .. } => data.clone(),
        }
    }

    fn dtype(&self) -> Dtype {
        match self {
            Array::F32 { .. } => Dtype::F32,
            Array::F64 { .. } => Dtype::F64,
            Array::U8 { .. } => Dtype::U8,
        }
    }
}

/// A header and named arrays. See the [module](self).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    pub header: Header,
    pub tensors: BTreeMap<String, Array>,
}

impl ModelFile {
    /// Makes a file without arrays.
    pub fn new(header: Header) -> ModelFile {
        ModelFile { header, tensors: BTreeMap::new() }
    }

    /// The `f32` array of that name and shape, whose values are finite: predictions from others would be
    /// none, in silence.
    pub fn f32(&self, name: &str, shape: &[usize]) -> Result<&[f32], PredictError> {
        match self.tensors.get(name) {
            Some(Array::F32 { shape: s, data }) if s == shape => {
                match data.iter().find(|x| !x.is_finite()) {
                    Some(x) => Err(model(format!("the array '{name}' has the value {x}"))),
                    None => Ok(data),
                }
            }
            other => Err(self.unexpected(name, "f32", shape, other)),
        }
    }

    /// The `f64` array of that name and shape, whose values are finite.
    pub fn f64(&self, name: &str, shape: &[usize]) -> Result<&[f64], PredictError> {
        let data = self.f64_or_missing(name, shape)?;
        match data.iter().find(|x| !x.is_finite()) {
            Some(x) => Err(model(format!("the array '{name}' has the value {x}"))),
            None => Ok(data),
        }
    }

    /// The `f64` array of that name and shape, NaN where a value is missing.
    pub fn f64_or_missing(&self, name: &str, shape: &[usize]) -> Result<&[f64], PredictError> {
        match self.tensors.get(name) {
            Some(Array::F64 { shape: s, data }) if s == shape => Ok(data),
            other => Err(self.unexpected(name, "f64", shape, other)),
        }
    }

    /// Adds architectures as the array `codes`, n × the space's longest, filled up with 255; and what a
    /// user's space is.
    pub fn set_archs(&mut self, space: &Space, archs: &[Architecture]) {
        if let Some(toml) = space.toml() {
            self.header.space_toml = toml.into();
        }
        let Sizes { channels, cells, resolution, classes } = space.sizes();
        let sizes = [channels, cells, resolution, classes];
        self.header.sizes = space.is_resized().then_some(sizes);
        self.insert_archs(CODES, space, archs);
    }

    /// Adds architectures as an array of that name.
    pub(crate) fn insert_archs(&mut self, name: &str, space: &Space, archs: &[Architecture]) {
        let width = match space.parameters() {
            // The longest one possible may be very long.
            Some(_) => archs.iter().map(|a| a.codes().len()).max().unwrap_or(0),
            None => space.max_codes(),
        };
        let mut data = Vec::with_capacity(archs.len() * width);
        for arch in archs {
            data.extend_from_slice(arch.codes());
            data.resize(data.len() + width - arch.codes().len(), NO_CODE);
        }
        let shape = vec![archs.len(), width];
        self.tensors.insert(name.into(), Array::U8 { shape, data });
    }

    /// The `count` architectures that [`ModelFile::set_archs`] added.
    pub fn archs(&self, space: &Space, count: usize) -> Result<Vec<Architecture>, PredictError> {
        self.archs_of(CODES, space, count)
    }

    /// The `count` architectures of the array of that name.
    pub(crate) fn archs_of(
        &self,
        name: &str,
        space: &Space,
        count: usize,
    ) -> Result<Vec<Architecture>, PredictError> {
        let width = match (space.parameters(), self.tensors.get(name)) {
            (Some(_), Some(Array::U8 { shape, .. })) if shape.len() == 2 => shape[1],
            _ => space.max_codes(),
        };
        let codes: Vec<u8> = match self.tensors.get(name) {
            Some(Array::U8 { shape, data }) if shape[..] == [count, width] => data.clone(),
            Some(Array::F32 { data, .. }) if count.checked_mul(width) == Some(data.len()) => {
                let code = |&c: &f32| if c < 0.0 { NO_CODE } else { c as u8 };
                data.iter().map(code).collect()
            }
            other => return Err(self.unexpected(name, "u8", &[count, width], other)),
        };
        let rows = codes.chunks(width.max(1));
        rows.map(|row| {
            // Codes of parameters may be 255 as well.
            if let Some(parameters) = space.parameters() {
                let arch = parameters.leading(row);
                return arch.ok_or_else(|| model(format!("codes that are not of {space}")));
            }
            let codes: Vec<u8> = row.iter().copied().filter(|&c| c != NO_CODE).collect();
            let arch = Architecture::new(codes);
            space.check(&arch).map_err(|e| model(e.to_string()))?;
            Ok(arch)
        })
        .collect()
    }

    /// The settings as the predictor's own type.
    pub fn settings<T: serde::de::DeserializeOwned>(&self) -> Result<T, PredictError> {
        T::deserialize(&self.header.settings)
            .map_err(|e| model(format!("the settings of a {} predictor: {e}", self.header.kind)))
    }

    fn unexpected(
        &self,
        name: &str,
        kind: &str,
        shape: &[usize],
        got: Option<&Array>,
    ) -> PredictError {
        let got = match got {
            None => "none".into(),
            Some(a) => format!("{} {:?}", a.dtype(), a.shape()),
        };
        model(format!("expected an array '{name}' of {kind} {shape:?}, found {got}"))
    }

    /// Writes the file; an existing one is replaced at once or, when anything fails, not at all.
    pub fn save(&self, path: &Path) -> Result<(), PredictError> {
        let bytes = self.to_bytes()?;
        Ok(lanner_data::write_file(path, &bytes)?)
    }

    /// Reads a file that must be for this kind of predictor and this space.
    pub fn load(path: &Path, kind: &str, space: &str) -> Result<ModelFile, PredictError> {
        ModelFile::of_kind(&read(path)?, path, kind, space)
    }

    /// Reads the content of a file as [`ModelFile::load`]; errors call it `path`.
    pub(crate) fn of_kind(
        bytes: &[u8],
        path: &Path,
        kind: &str,
        space: &str,
    ) -> Result<ModelFile, PredictError> {
        let read = || -> Result<ModelFile, PredictError> {
            let file = ModelFile::from_bytes(bytes)?;
            if file.header.kind != kind {
                return Err(model(format!(
                    "a predictor of kind '{}', expected '{kind}'",
                    file.header.kind
                )));
            }
            if file.header.space != space {
                return Err(model(format!(
                    "trained on search space '{}', expected '{space}': that is another space than it was made for",
                    file.header.space
                )));
            }
            Ok(file)
        };
        read().map_err(|e| PredictError::ModelFile { path: path.into(), why: e.to_string() })
    }

    /// The file's content.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PredictError> {
        let arrays: Vec<(&str, &Array, Vec<u8>)> =
            self.tensors.iter().map(|(n, a)| (n.as_str(), a, a.bytes())).collect();
        let header = Header {
            checksum: checksum(arrays.iter().map(|a| a.2.as_slice())),
            ..self.header.clone()
        };
        let header = serde_json::to_string(&header).map_err(|e| model(e.to_string()))?;
        let mut views = Vec::new();
        for (name, array, bytes) in &arrays {
            let view = TensorView::new(array.dtype(), array.shape().to_vec(), bytes)
                .map_err(|e| model(format!("array '{name}': {e}")))?;
            views.push((*name, view));
        }
        let metadata = HashMap::from([(KEY.to_string(), header)]);
        serialize(views, Some(metadata)).map_err(|e| model(e.to_string()))
    }

    /// The inverse of [`ModelFile::to_bytes`], for any bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<ModelFile, PredictError> {
        // A file of a predictor begins with the length of its header.
        let start = &bytes[..bytes.len().min(64)];
        if start.len() > 8 && start.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
        {
            let why = "a text, such as a table, and no predictor; `lanner fit TABLE --metric METRIC --out \
                       FILE` makes one of a table";
            return Err(model(why.into()));
        }
        let damaged = |e: safetensors::SafeTensorError| model(format!("damaged or truncated: {e}"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let text = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get(KEY))
            .ok_or_else(|| model("a safetensors file, but not one of Lanner's".into()))?;
        // The version first: the rest of the header may differ in another.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version =
            serde_json::from_str(text).map_err(|e| model(format!("unreadable header: {e}")))?;
        if !(1..=FORMAT).contains(&version.format) {
            return Err(model(format!(
                "model format {}; this version of Lanner reads 1 to {FORMAT}",
                version.format
            )));
        }
        let mut header: Header =
            serde_json::from_str(text).map_err(|e| model(format!("unreadable header: {e}")))?;
        let content = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let mut views: Vec<(&str, TensorView)> = content.iter().collect();
        views.sort_by_key(|v| v.0);
        if checksum(views.iter().map(|v| v.1.data())) != header.checksum {
            return Err(model("damaged: the checksum of the arrays is wrong".into()));
        }
        header.checksum.clear();
        let mut tensors = BTreeMap::new();
        for (name, view) in views {
            let shape = view.shape().to_vec();
            let bytes = view.data();
            let array = match view.dtype() {
                Dtype::F32 => Array::F32 {
                    shape,
                    data: bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                },
                Dtype::F64 => Array::F64 {
                    shape,
                    data: bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
                },
                Dtype::U8 => Array::U8 { shape, data: bytes.to_vec() },
                other => return Err(model(format!("array '{name}' is of type {other}"))),
            };
            tensors.insert(name.to_string(), array);
        }
        Ok(ModelFile { header, tensors })
    }
}

/// Largest file that is read, in bytes: that of a predictor of hundreds of thousands of networks has a
/// tenth.
const LONGEST: u64 = 1 << 30;

/// Reads the bytes of a file, whose size is bounded: a device or a pipe may have no end.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, PredictError> {
    let io = |error| PredictError::Io { path: path.into(), error };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LONGEST {
        let why = format!("more than {} MiB, so no predictor", LONGEST >> 20);
        return Err(PredictError::ModelFile { path: path.into(), why });
    }
    Ok(bytes)
}

fn model(why: String) -> PredictError {
    PredictError::Model { why }
}

/// FNV-1a, 64 bits, in hexadecimal.
fn checksum<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in parts.flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// Identifies a training set: the texts of its architectures and their targets, in order.
pub fn training_hash<'a>(samples: impl IntoIterator<Item = (&'a str, f64)>) -> String {
    let mut bytes = Vec::new();
    for (text, target) in samples {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&target.to_le_bytes());
    }
    checksum(std::iter::once(bytes.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> ModelFile {
        let mut header = Header::new("gcn", "nasbench201", "default", 3);
        header.training_hash = training_hash([("a", 1.0), ("b", 2.0)]);
        header.settings = serde_json::json!({"widths": [4, 2]});
        let mut file = ModelFile::new(header);
        file.tensors.insert("a".into(), Array::f32(vec![1.5, -2.0, 0.25]));
        let (shape, data) = (vec![2, 2], vec![1.0, f64::MIN_POSITIVE, -3.0, 1e300]);
        file.tensors.insert("b".into(), Array::F64 { shape, data });
        file
    }

    #[test]
    fn bytes_come_back() {
        let file = example();
        let back = ModelFile::from_bytes(&file.to_bytes().expect("bytes")).expect("file");
        assert_eq!(back, file);
        assert_eq!(back.f32("a", &[3]).expect("a"), [1.5, -2.0, 0.25]);
        let wrong = back.f32("a", &[4]).expect_err("shape").to_string();
        assert!(wrong.contains("'a'") && wrong.contains("[4]") && wrong.contains("[3]"), "{wrong}");
        assert!(back.f64("c", &[1]).is_err());
        for bad in [f64::NAN, f64::INFINITY] {
            let mut file = example();
            file.tensors.insert("a".into(), Array::f32(vec![1.0, bad as f32, 0.0]));
            file.tensors.insert("b".into(), Array::f64(vec![bad]));
            let back = ModelFile::from_bytes(&file.to_bytes().expect("bytes")).expect("file");
            let message = back.f32("a", &[3]).expect_err("not finite").to_string();
            assert!(message.contains("'a' has the value"), "{message}");
            assert!(back.f64("b", &[1]).is_err() && back.f64_or_missing("b", &[1]).is_ok());
        }
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_an_error_or_harmless() {
        let file = example();
        let bytes = file.to_bytes().expect("bytes");
        for len in 0..bytes.len() {
            assert!(ModelFile::from_bytes(&bytes[..len]).is_err(), "truncated to {len}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            // A flip inside a free text of the header can go unnoticed, one in the arrays cannot.
            if let Ok(read) = ModelFile::from_bytes(&damaged) {
                let values = |f: &ModelFile| f.tensors.values().cloned().collect::<Vec<_>>();
                assert_eq!(values(&read), values(&file), "byte {at}");
            }
        }
    }

    #[test]
    fn files_of_other_kinds_spaces_and_versions_are_refused_by_name() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("m.safetensors");
        let mut file = example();
        file.save(&path).expect("save");
        let message =
            |kind, space| ModelFile::load(&path, kind, space).expect_err("refused").to_string();
        let text = message("gcn", "darts");
        assert!(text.contains("nasbench201") && text.contains("darts"), "{text}");
        let text = message("ridge", "nasbench201");
        assert!(text.contains("gcn") && text.contains("ridge"), "{text}");
        file.header.format = 99;
        file.save(&path).expect("save over");
        let text = message("gcn", "nasbench201");
        assert!(text.contains("99") && text.contains("m.safetensors"), "{text}");
        let nowhere = folder.path().join("no/such/m.safetensors");
        assert!(file.save(&nowhere).is_err());
        // Nothing but the file is left behind.
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
    }
}
