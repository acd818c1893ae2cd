//! Values of a pickle, by number in one arena.

use std::{collections::HashMap, sync::Arc};

use super::{
    globals::{Dtype, Global},
    number,
};

/// A small value itself, or the place of an object in the arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Object(u32),
}

#[derive(Debug)]
pub(crate) enum Object {
    Str(Arc<str>),
    Bytes(Box<[u8]>),
    /// An integer beyond 64 bits as written: little-endian two's complement, or digits.
    Big(Box<[u8]>),
    List(Vec<Value>),
    Tuple(Box<[Value]>),
    Set(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// The value of a key that the caller did not want.
    Skipped,
    Global(Global),
    Dtype(Dtype),
    Array(Box<Array>),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
    /// A memoised number.
    Number(Value),
}

/// A numpy array; `data` is a `Bytes`, `Str` (Python 2) or `List` (of objects).
#[derive(Debug)]
pub(crate) struct Array {
    pub dtype: Dtype,
    pub shape: Vec<u64>,
    pub fortran: bool,
    pub data: Value,
}

/// Place of a torch tensor's numbers: another record of the file, by its key.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    pub dtype: Dtype,
    pub key: Arc<str>,
    pub len: u64,
}

#[derive(Debug)]
pub(crate) struct Tensor {
    pub storage: Storage,
    pub offset: u64,
    pub sizes: Vec<u64>,
    pub strides: Vec<u64>,
}

/// A pickle that has been read.
#[derive(Debug)]
pub(crate) struct Pickle {
    pub(super) objects: Vec<Object>,
    pub(super) root: Value,
    /// Bytes of the torch storages that were loaded, by key.
    pub storages: HashMap<String, Vec<u8>>,
}

impl Pickle {
    pub fn root(&self) -> Item<'_> {
        self.item(self.root)
    }

    fn item(&self, value: Value) -> Item<'_> {
        Item { pickle: self, value }
    }

    /// Storages that the tensors name: key, element type, length.
    pub fn storage_records(&self) -> impl Iterator<Item = &Storage> {
        self.objects.iter().filter_map(|o| match o {
            Object::Storage(s) => Some(&**s),
            _ => None,
        })
    }
}

/// A value with the arena that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    pickle: &'a Pickle,
    value: Value,
}

impl<'a> Item<'a> {
    fn object(self) -> Option<&'a Object> {
        match self.value {
            Value::Object(id) => self.pickle.objects.get(id as usize),
            _ => None,
        }
    }

    /// Describes the kind of value, for a message.
    pub fn kind(self) -> &'static str {
        match self.value {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Object(_) => self.object().map_or("nothing", Object::kind),
        }
    }

    /// Whether the value is the given bool.
    pub fn is(self, bool: bool) -> bool {
        self.value == Value::Bool(bool)
    }

    pub fn str(self) -> Option<&'a str> {
        match self.object()? {
            Object::Str(s) => Some(s),
            _ => None,
        }
    }

    pub fn int(self) -> Option<i64> {
        match self.value {
            Value::Int(i) => Some(i),
            _ => None,
        }
    }

    /// Bytes of an integer beyond 64 bits, little-endian.
    pub fn big(self) -> Option<&'a [u8]> {
        match self.object()? {
            Object::Big(b) => Some(b),
            _ => None,
        }
    }

    #[cfg(test)]
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self.object()? {
            Object::Bytes(b) => Some(b),
            _ => None,
        }
    }

    /// The value as a number, if it is an integer, a float, or an array or tensor of one element.
    pub fn number(self) -> Option<f64> {
        match self.value {
            Value::Int(i) => Some(i as f64),
            Value::Float(f) => Some(f),
            Value::Object(_) => match self.object()? {
                Object::Array(_) | Object::Tensor(_) => match self.numbers()?.as_slice() {
                    [one] => Some(*one),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// Numbers of a list, tuple, array or tensor, if it holds nothing else.
    pub fn numbers(self) -> Option<Vec<f64>> {
        match self.object()? {
            Object::Array(array) => {
                if array.fortran && array.shape.len() > 1 {
                    return None;
                }
                let count = number::count(&array.shape)?;
                let data = self.pickle.item(array.data);
                match data.object()? {
                    Object::Bytes(b) => number::decode(array.dtype, b, count),
                    Object::Str(s) => number::decode(array.dtype, s.as_bytes(), count),
                    Object::List(_) => data.numbers().filter(|n| n.len() as u64 == count),
                    _ => None,
                }
            }
            Object::Tensor(tensor) => {
                let bytes = self.pickle.storages.get(&*tensor.storage.key)?;
                number::gather(tensor, bytes)
            }
            _ => {
                // Only plain numbers count: an element that is a list would recurse.
                let plain = |i: Item| match i.value {
                    Value::Int(i) => Some(i as f64),
                    Value::Float(f) => Some(f),
                    _ => None,
                };
                self.list()?.map(plain).collect()
            }
        }
    }

    /// Elements of a list, tuple or set.
    pub fn list(self) -> Option<impl ExactSizeIterator<Item = Item<'a>>> {
        let values: &[Value] = match self.object()? {
            Object::List(v) | Object::Set(v) => v,
            Object::Tuple(v) => v,
            _ => return None,
        };
        let pickle = self.pickle;
        Some(values.iter().map(move |&v| pickle.item(v)))
    }

    /// Pairs of a dict, in the order in which they were set; if a key comes twice, the last counts.
    pub fn dict(self) -> Option<impl ExactSizeIterator<Item = (Item<'a>, Item<'a>)>> {
        let pickle = self.pickle;
        match self.object()? {
            Object::Dict(pairs) => {
                Some(pairs.iter().map(move |&(k, v)| (pickle.item(k), pickle.item(v))))
            }
            _ => None,
        }
    }

    /// Value of a key of a dict.
    pub fn get(self, key: &str) -> Option<Item<'a>> {
        let Object::Dict(pairs) = self.object()? else {
            return None;
        };
        let found = pairs.iter().rev().find(|(k, _)| self.pickle.item(*k).str() == Some(key));
        found.map(|&(_, v)| self.pickle.item(v))
    }
}

impl Object {
    pub fn kind(&self) -> &'static str {
        match self {
            Object::Str(_) => "a text",
            Object::Bytes(_) => "bytes",
            Object::Big(_) => "an integer of more than 64 bits",
            Object::List(_) => "a list",
            Object::Tuple(_) => "a tuple",
            Object::Set(_) => "a set",
            Object::Dict(_) => "a dict",
            Object::Skipped => "a value that was passed over",
            Object::Global(_) => "a global",
            Object::Dtype(_) => "a numpy dtype",
            Object::Array(_) => "a numpy array",
            Object::Storage(_) => "a torch storage",
            Object::Tensor(_) => "a torch tensor",
            Object::Number(_) => "a number",
        }
    }
}
