//! Finds ONNX Runtime's shared library, and checks that it can be used.

use std::{
    env,
    error::Error,
    ffi::CStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ::ort::sys::OrtApiBase;
use libloading::Library;

/// Python code that prints the folder of the package's libraries without loading them.
const ASK: &str = "\
import importlib.util, os
spec = importlib.util.find_spec('onnxruntime')
if spec and spec.origin:
    print(os.path.join(os.path.dirname(spec.origin), 'capi'))";

/// Advice for a user without the library.
const HOW: &str = "`pip install onnxruntime`, or name the library with --ort-library PATH \
                   (`libonnxruntime.so` of a release of ONNX Runtime)";

/// Finds the library as [`find`] does, and checks its version.
pub fn usable(given: Option<&Path>) -> Result<PathBuf, String> {
    let path = find(given)?;
    version(&path)?;
    Ok(path)
}

/// Folders of the system's libraries.
const FOLDERS: [&str; 7] = [
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/homebrew/lib",
];

/// Finds the library: the given one, else `$ORT_DYLIB_PATH`, else that of the Python package
/// `onnxruntime`, by the Python of the active virtual environment or the first one of PATH, else the
/// system's, in the folders of `$LD_LIBRARY_PATH` and the usual ones.
pub fn find(given: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = given {
        return checked(path, "--ort-library");
    }
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return checked(Path::new(&path), "ORT_DYLIB_PATH");
    }
    let active = env::var_os("VIRTUAL_ENV").map(|folder| Path::new(&folder).join("bin/python"));
    let pythons = active.into_iter().chain(["python3".into(), "python".into()]);
    let of_python = || pythons.filter_map(|python| package(&python)).find_map(|f| within(&f));
    let named = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = env::split_paths(&named).chain(FOLDERS.map(PathBuf::from));
    let of_system = || folders.filter(|f| f.is_absolute()).find_map(|folder| within(&folder));
    of_python().or_else(of_system).ok_or_else(|| format!("its library was not found: {HOW}"))
}

fn checked(path: &Path, from: &str) -> Result<PathBuf, String> {
    let path = path.canonicalize().map_err(|e| format!("{from} {}: {e}", path.display()))?;
    if !path.is_dir() {
        return Ok(path);
    }
    within(&path)
        .ok_or_else(|| format!("{from} {} has no libonnxruntime in it: {HOW}", path.display()))
}

/// Folder of the package in a Python, if it has the package.
fn package(python: &Path) -> Option<PathBuf> {
    let answer = Command::new(python)
        .args(["-c", ASK])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let folder = String::from_utf8(answer.stdout).ok()?;
    Some(folder.trim()).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// Finds the library in a folder: `libonnxruntime.so`, `libonnxruntime.so.1.23.2`,
/// `libonnxruntime.1.23.2.dylib`; not the `libonnxruntime_providers_….so` beside it.
fn within(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = folder
        .read_dir()
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_prefix("libonnxruntime.")
                .is_some_and(|rest| rest.starts_with("so") || rest.ends_with("dylib"))
        })
        .collect();
    found.sort();
    found.pop()?.canonicalize().ok()
}

/// Version of the library; an error if it is not ONNX Runtime, or too old.
pub fn version(path: &Path) -> Result<String, String> {
    type Base = unsafe extern "C" fn() -> *const OrtApiBase;
    let shown = path.display();
    // SAFETY: loading runs the initialisers of a library that the user chose to run.
    let library = unsafe { Library::new(path) }
        .map_err(|e| e.source().map_or(e.to_string(), ToString::to_string))
        .map_err(|e| format!("{shown} is not a library that can be loaded: {e}"))?;
    // SAFETY: the function has had this signature in all releases, `onnxruntime_c_api.h`.
    let base = unsafe { library.get::<Base>(b"OrtGetApiBase") }
        .map_err(|_| format!("{shown} is not ONNX Runtime: it lacks OrtGetApiBase"))?;
    // SAFETY: the base is a static of the library, or null.
    let version = unsafe { base().as_ref() }.map(|base| {
        // SAFETY: a static string, of this library, which is still loaded.
        unsafe { CStr::from_ptr((base.GetVersionString)()) }.to_string_lossy().into_owned()
    });
    let version = version.ok_or_else(|| format!("{shown}: ONNX Runtime without an API"))?;
    let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let release = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if release < (1, ::ort::MINOR_VERSION) {
        return Err(format!(
            "{shown} is version {version}, expected 1.{} or later: {HOW}",
            ::ort::MINOR_VERSION
        ));
    }
    Ok(version)
}
