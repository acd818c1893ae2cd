//! ONNX Runtime: a file that is not its library is an error; the real library, if present, runs
//! networks in floats and integers.
#![cfg(feature = "ort")]

use std::sync::LazyLock;

use lanner_evaluate::{
    EvaluateError,
    measure::{Ort, Runtime},
};
use lanner_network::{Init, Nasbench201, OnnxOptions, Precision, View, Weights, onnx};
use lanner_space::Space;

/// A process keeps the first library that it loads, so that files that are none come first.
static REFUSED: LazyLock<()> = LazyLock::new(refuses_what_is_no_library);

#[test]
fn what_is_no_library_is_an_error() {
    LazyLock::force(&REFUSED);
}

fn refuses_what_is_no_library() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so.1.0.0");
    std::fs::write(&text, "no library").unwrap();
    let error = |path| Ort::new(Some(path), 1).err().unwrap().to_string();
    let missing = folder.path().join("missing.so");
    assert!(error(&missing).contains("missing.so: No such file"), "{}", error(&missing));
    assert!(error(&text).contains("is not a library that can be loaded"), "{}", error(&text));
    // The library is searched in a folder.
    assert!(error(folder.path()).contains("is not a library that can be loaded"));
    std::fs::remove_file(&text).unwrap();
    assert!(error(folder.path()).contains("has no libonnxruntime in it: `pip install"));
    let threads = Ort::new(Some(&missing), 0).err().unwrap().to_string();
    assert!(threads.contains("number of threads is 0"), "{threads}");
}

#[test]
fn networks_run_in_floats_and_integers() {
    LazyLock::force(&REFUSED);
    let ort = match Ort::new(None, 1) {
        Ok(ort) => ort,
        Err(error) => return lanner_testing::skip(error),
    };
    assert!(ort.describe().starts_with("onnxruntime 1."), "{}", ort.describe());
    let arch = Space::NasBench201.parse("302143").unwrap();
    let skeleton = Nasbench201 { cells: 1, ..Nasbench201::default() };
    let net = skeleton.build(&arch, View::Pruned).unwrap();
    let (net, weights) = Weights::init(&net, Init::default()).fold(&net).unwrap();
    let encode = |batch, precision, explicit_padding| {
        onnx::encode(&net, &weights, OnnxOptions { batch, precision, explicit_padding }).unwrap()
    };
    for (precision, explicit_padding) in
        [(Precision::F32, false), (Precision::Int8, false), (Precision::Int8, true)]
    {
        let model = encode(Some(2), precision, explicit_padding);
        let mut samples = Vec::new();
        ort.load(&model).unwrap().time(3, &mut samples).unwrap();
        assert!(samples.len() == 3 && samples.iter().all(|&ms| ms > 0.0), "{samples:?}");
    }
    {
        let (model, why) = (b"no model".to_vec(), "refuses the network");
        let error = ort.load(&model).err().unwrap();
        assert!(matches!(error, EvaluateError::Refused { .. }));
        assert!(error.to_string().contains(why), "{error}");
    }
}
