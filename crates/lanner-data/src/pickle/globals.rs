//! Globals that a pickle may name, and the values that calls of them build.

use std::sync::Arc;

use super::{
    arena::Arena,
    number,
    value::{Array, Object, Storage, Tensor, Value},
};

/// Layout of a number in memory: kind as in numpy (`f`, `i`, `u`, `b`; also `B` for bfloat16, `U`,
/// `S` for text, `O` for objects) and size in bytes (`U`: in characters).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dtype {
    pub kind: u8,
    pub size: usize,
    pub big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    DefaultDict,
    /// `set` and `frozenset`
    Set,
    Bytes,
    Bytearray,
    /// A harmless argument that is never called: `numpy.ndarray`, the factories of a `defaultdict`.
    Inert,
    /// `_codecs.encode`, by which protocols below 3 write bytes
    Encode,
    NumpyDtype,
    NumpyScalar,
    NumpyReconstruct,
    NumpyFromBuffer,
    TorchStorage(Dtype),
    TorchTensor,
    TorchParameter,
    TorchSize,
}

/// Finds a global in the list; all others are refused.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    use Global::*;
    let storage = |kind, size| TorchStorage(Dtype { kind, size, big_endian: false });
    Some(match (module, name) {
        ("collections", "OrderedDict") => OrderedDict,
        ("collections", "defaultdict") => DefaultDict,
        ("builtins" | "__builtin__", "set" | "frozenset") => Set,
        ("builtins" | "__builtin__", "bytes") => Bytes,
        ("builtins" | "__builtin__", "bytearray") => Bytearray,
        ("builtins" | "__builtin__", "list" | "dict" | "int" | "float") => Inert,
        ("_codecs", "encode") => Encode,
        ("numpy", "ndarray") => Inert,
        ("numpy", "dtype") => NumpyDtype,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => NumpyScalar,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => NumpyReconstruct,
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => NumpyFromBuffer,
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => TorchTensor,
        ("torch._utils", "_rebuild_parameter") => TorchParameter,
        ("torch", "Size") => TorchSize,
        ("torch", "DoubleStorage") => storage(b'f', 8),
        ("torch", "FloatStorage") => storage(b'f', 4),
        ("torch", "HalfStorage") => storage(b'f', 2),
        ("torch", "BFloat16Storage") => storage(b'B', 2),
        ("torch", "LongStorage") => storage(b'i', 8),
        ("torch", "IntStorage") => storage(b'i', 4),
        ("torch", "ShortStorage") => storage(b'i', 2),
        ("torch", "CharStorage") => storage(b'i', 1),
        ("torch", "ByteStorage") => storage(b'u', 1),
        ("torch", "BoolStorage") => storage(b'b', 1),
        _ => return None,
    })
}

/// Builds the value of `global(*args)`. Every function below builds a value or says what it expected.
pub(super) fn call(
    arena: &mut Arena,
    global: Global,
    args: &[Value],
    at: u64,
) -> Result<Value, String> {
    let wrong = |arena: &Arena, expected: &str| {
        let kinds: Vec<&str> = args.iter().take(8).map(|&a| arena.kind(a)).collect();
        Err(format!("{expected} expected, got ({})", kinds.join(", ")))
    };
    match (global, args) {
        (Global::OrderedDict, []) | (Global::DefaultDict, [] | [_]) => {
            arena.push(Object::Dict(vec![]), at)
        }
        (Global::OrderedDict, &[pairs]) | (Global::DefaultDict, &[_, pairs]) => {
            let Some(pairs) = pairs_of(arena, pairs, at)? else {
                return wrong(arena, "a dict's pairs");
            };
            arena.push(Object::Dict(pairs), at)
        }
        (Global::Set, []) => arena.push(Object::Set(vec![]), at),
        (Global::Set, &[from]) => {
            let Some(Object::List(v) | Object::Set(v)) = arena.get(from) else {
                return wrong(arena, "a set's list");
            };
            let n = v.len();
            arena.charge_values(n, at)?;
            match arena.get(from) {
                Some(Object::List(v) | Object::Set(v)) => {
                    let copy = v.clone();
                    arena.push(Object::Set(copy), at)
                }
                _ => wrong(arena, "a set's list"),
            }
        }
        (Global::Bytes | Global::Bytearray, []) => arena.push(Object::Bytes([].into()), at),
        (Global::Bytearray, &[bytes]) if matches!(arena.get(bytes), Some(Object::Bytes(_))) => {
            Ok(bytes)
        }
        (Global::Bytearray, &[text, _]) | (Global::Encode, &[text] | &[text, _]) => {
            let Some(text) = arena.str(text).cloned() else {
                return wrong(arena, "a text and an encoding");
            };
            arena.charge(text.len(), at)?;
            let latin: Option<Vec<u8>> =
                text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            match latin {
                Some(bytes) => arena.push(Object::Bytes(bytes.into()), at),
                None => Err("a text to encode has characters beyond Latin-1".into()),
            }
        }
        (Global::NumpyDtype, &[name, ..]) => match arena.str(name).and_then(|n| dtype(n)) {
            Some(dtype) => arena.push(Object::Dtype(dtype), at),
            None => wrong(arena, "the code of a plain numpy dtype, such as f8,"),
        },
        (Global::NumpyScalar, &[dtype, bytes]) => {
            let Some(&Object::Dtype(dtype)) = arena.get(dtype) else {
                return wrong(arena, "a numpy dtype and a number's bytes");
            };
            scalar(arena, dtype, bytes, at)
        }
        (Global::NumpyReconstruct, &[_, _, _]) => {
            // The contents of the array come with BUILD.
            let dtype = Dtype { kind: b'b', size: 1, big_endian: false };
            let array = Array { dtype, shape: vec![0], fortran: false, data: Value::None };
            arena.push(Object::Array(Box::new(array)), at)
        }
        (Global::NumpyFromBuffer, &[data, dtype, shape, order]) => {
            let (Some(&Object::Dtype(dtype)), Some(shape)) =
                (arena.get(dtype), integers(arena, shape))
            else {
                return wrong(arena, "a buffer, a dtype, a shape and an order");
            };
            let fortran = arena.str(order).is_some_and(|o| &**o == "F");
            let array = Array { dtype, shape, fortran, data };
            arena.push(Object::Array(Box::new(array)), at)
        }
        (Global::TorchTensor, &[storage, offset, sizes, strides, ..]) => {
            let (
                Some(Object::Storage(storage)),
                Value::Int(offset @ 0..),
                Some(sizes),
                Some(strides),
            ) = (arena.get(storage), offset, integers(arena, sizes), integers(arena, strides))
            else {
                return wrong(arena, "a torch storage, an offset, sizes and strides");
            };
            let tensor =
                Tensor { storage: (**storage).clone(), offset: offset as u64, sizes, strides };
            arena.push(Object::Tensor(Box::new(tensor)), at)
        }
        (Global::TorchParameter, &[tensor, ..]) => Ok(tensor),
        (Global::TorchSize, &[tuple]) if matches!(arena.get(tuple), Some(Object::Tuple(_))) => {
            Ok(tuple)
        }
        (global, _) => wrong(arena, &format!("other arguments to {global:?}")),
    }
}

/// Runs `object.__setstate__(state)`, for the few objects that have one.
pub(super) fn build(arena: &mut Arena, object: Value, state: Value) -> Result<(), String> {
    let wrong = |arena: &Arena| {
        let (object, state) = (arena.kind(object), arena.kind(state));
        Err(format!("{object} cannot be given {state} as its state"))
    };
    match arena.get(object) {
        // Attributes of a dict (torch's `_metadata`) are not its items.
        Some(Object::Dict(_)) => Ok(()),
        Some(&Object::Dtype(dtype)) => {
            let Some(&[_, order, ..]) = arena.tuple(state) else {
                return wrong(arena);
            };
            let big_endian = match arena.str(order).map(|o| &**o) {
                Some("<" | "|" | "=") => false,
                Some(">") => true,
                _ => return Err("a dtype's byte order expected: <, >, | or =".into()),
            };
            if let Some(object) = arena.get_mut(object) {
                *object = Object::Dtype(Dtype { big_endian, ..dtype });
            }
            Ok(())
        }
        Some(Object::Array(_)) => {
            let Some(&[_, shape, dtype, fortran, data]) = arena.tuple(state) else {
                return wrong(arena);
            };
            let (Some(shape), Some(&Object::Dtype(dtype))) =
                (integers(arena, shape), arena.get(dtype))
            else {
                return wrong(arena);
            };
            let fortran = matches!(fortran, Value::Bool(true) | Value::Int(1));
            if let Some(Object::Array(array)) = arena.get_mut(object) {
                **array = Array { dtype, shape, fortran, data };
            }
            Ok(())
        }
        _ => wrong(arena),
    }
}

/// Resolves a persistent id of a torch file: `('storage', class, key, place, length, …)`.
pub(super) fn persistent(arena: &mut Arena, id: Value, at: u64) -> Result<Value, String> {
    if let Some(&[tag, class, key, _, len, ..]) = arena.tuple(id)
        && arena.str(tag).is_some_and(|t| &**t == "storage")
        && let Some(&Object::Global(Global::TorchStorage(dtype))) = arena.get(class)
        && let (Some(key), Value::Int(len @ 0..)) = (arena.str(key), len)
    {
        let storage = Storage { dtype, key: Arc::clone(key), len: len as u64 };
        return arena.push(Object::Storage(Box::new(storage)), at);
    }
    Err(format!("{} is not the persistent id of a torch storage", arena.kind(id)))
}

/// Parses the code of a numpy dtype: kind and size.
fn dtype(name: &str) -> Option<Dtype> {
    let bytes = name.as_bytes();
    let (kind, size) = match bytes {
        [b'?'] => (b'b', 1),
        [b'O', ..] => (b'O', 8),
        [kind @ (b'f' | b'i' | b'u' | b'b' | b'U' | b'S'), digits @ ..] => {
            let size: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
            (*kind, size)
        }
        _ => return None,
    };
    Some(Dtype { kind, size, big_endian: false })
}

fn scalar(arena: &mut Arena, dtype: Dtype, bytes: Value, at: u64) -> Result<Value, String> {
    let raw = match arena.get(bytes) {
        Some(Object::Bytes(b)) => &b[..],
        Some(Object::Str(s)) => s.as_bytes(),
        _ => return Err(format!("a numpy number's bytes expected, got {}", arena.kind(bytes))),
    };
    if dtype.kind == b'U' {
        let characters = raw.chunks_exact(4).map(|c| {
            let c = [c[0], c[1], c[2], c[3]];
            char::from_u32(match dtype.big_endian {
                true => u32::from_be_bytes(c),
                false => u32::from_le_bytes(c),
            })
        });
        let text: Option<String> = characters.collect();
        return match text {
            Some(text) => arena.text(text, at),
            None => Err("a numpy text with invalid characters".into()),
        };
    }
    match (number::one(dtype, raw), dtype.kind) {
        (Some(x), b'b') => Ok(Value::Bool(x != 0.0)),
        // Beyond 2^53 an f64 would round.
        (Some(x), b'i' | b'u') if x.abs() < 9e15 => Ok(Value::Int(x as i64)),
        (Some(x), _) => Ok(Value::Float(x)),
        (None, kind) => Err(format!(
            "a numpy {}{} cannot be read from {} bytes",
            char::from(kind),
            dtype.size,
            raw.len()
        )),
    }
}

fn integers(arena: &Arena, tuple: Value) -> Option<Vec<u64>> {
    // Python's arrays have at most 64 dimensions.
    let tuple = arena.tuple(tuple).filter(|t| t.len() <= 64)?;
    let integer = |v: &Value| match *v {
        Value::Int(i) => u64::try_from(i).ok(),
        _ => None,
    };
    tuple.iter().map(integer).collect()
}

/// Pairs of a list of pairs, or of a dict.
fn pairs_of(
    arena: &mut Arena,
    from: Value,
    at: u64,
) -> Result<Option<Vec<(Value, Value)>>, String> {
    let n = match arena.get(from) {
        Some(Object::List(v)) => v.len(),
        Some(Object::Dict(v)) => v.len(),
        _ => return Ok(None),
    };
    arena.charge_values(2 * n, at)?;
    Ok(match arena.get(from) {
        Some(Object::Dict(pairs)) => Some(pairs.clone()),
        Some(Object::List(list)) => list
            .iter()
            .map(|&pair| match arena.get(pair)? {
                Object::Tuple(t) => <&[Value; 2]>::try_from(&**t).ok().map(|&[k, v]| (k, v)),
                Object::List(t) => <&[Value; 2]>::try_from(&**t).ok().map(|&[k, v]| (k, v)),
                _ => None,
            })
            .collect(),
        _ => None,
    })
}
