//! Stores the objects of a pickle while it is read, and counts their memory.

use std::{collections::HashMap, mem::size_of, sync::Arc};

use super::value::{Object, Value};

/// Memory that any pickle may take, in bytes.
const FREE: u64 = 16 << 20;
/// Additional memory for each byte of a pickle. The largest honest need (`[` puts an empty list on the
/// stack, into the arena and the memo) is about half of it.
const BYTES_PER_BYTE: u64 = 128;
/// Largest length of texts that are stored once, however often they come: a benchmark repeats a few
/// thousand keys a hundred million times.
const INTERNED: usize = 48;

pub(super) struct Arena {
    pub objects: Vec<Object>,
    texts: HashMap<Arc<str>, u32>,
    spent: u64,
    most: u64,
}

impl Arena {
    pub fn new(most: u64) -> Self {
        Arena { objects: vec![], texts: HashMap::new(), spent: 0, most }
    }

    /// Memory that is left after `offset` bytes have been read.
    pub fn left(&self, offset: u64) -> u64 {
        self.most
            .min(offset.saturating_mul(BYTES_PER_BYTE).saturating_add(FREE))
            .saturating_sub(self.spent)
    }

    /// Counts `bytes` of memory; an error if there is not that much left.
    pub fn charge(&mut self, bytes: usize, offset: u64) -> Result<(), String> {
        let bytes = bytes as u64;
        if bytes > self.left(offset) {
            return Err(format!(
                "the values need more than {} bytes of memory, the most that {offset} bytes of pickle may take",
                self.spent + self.left(offset)
            ));
        }
        self.spent += bytes;
        Ok(())
    }

    /// Checks that there is memory left for `bytes` that are not counted.
    pub fn check_room(&mut self, bytes: usize, offset: u64) -> Result<(), String> {
        let spent = self.spent;
        self.charge(bytes, offset)?;
        self.spent = spent;
        Ok(())
    }

    /// Counts the memory of `n` more values in a container; twice, since vectors double.
    pub fn charge_values(&mut self, n: usize, offset: u64) -> Result<(), String> {
        self.charge(n.saturating_mul(2 * size_of::<Value>()), offset)
    }

    pub fn push(&mut self, object: Object, offset: u64) -> Result<Value, String> {
        let heap = match &object {
            Object::Bytes(b) | Object::Big(b) => b.len(),
            Object::Str(s) => s.len() + 2 * size_of::<usize>(),
            Object::List(v) | Object::Set(v) => v.capacity() * size_of::<Value>(),
            Object::Tuple(v) => v.len() * size_of::<Value>(),
            Object::Dict(v) => v.capacity() * 2 * size_of::<Value>(),
            Object::Array(a) => 100 + a.shape.len() * 8,
            Object::Tensor(t) => 150 + t.sizes.len() * 16,
            Object::Storage(_) => 64,
            Object::Skipped | Object::Global(_) | Object::Dtype(_) | Object::Number(_) => 0,
        };
        self.charge(heap + 2 * size_of::<Object>(), offset)?;
        let id = u32::try_from(self.objects.len()).map_err(|_| "more than four billion objects")?;
        self.objects.push(object);
        Ok(Value::Object(id))
    }

    pub fn text(&mut self, text: String, offset: u64) -> Result<Value, String> {
        if text.len() > INTERNED {
            return self.push(Object::Str(text.into()), offset);
        }
        if let Some(&id) = self.texts.get(text.as_str()) {
            return Ok(Value::Object(id));
        }
        let shared: Arc<str> = text.into();
        let value = self.push(Object::Str(shared.clone()), offset)?;
        if let Value::Object(id) = value {
            self.charge(2 * size_of::<(Arc<str>, u32)>(), offset)?;
            self.texts.insert(shared, id);
        }
        Ok(value)
    }

    pub fn get(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(id) => self.objects.get(id as usize),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, value: Value) -> Option<&mut Object> {
        match value {
            Value::Object(id) => self.objects.get_mut(id as usize),
            _ => None,
        }
    }

    pub fn str(&self, value: Value) -> Option<&Arc<str>> {
        match self.get(value)? {
            Object::Str(s) => Some(s),
            _ => None,
        }
    }

    pub fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.get(value)? {
            Object::Tuple(t) => Some(t),
            _ => None,
        }
    }

    /// Frees a value that the caller does not want. Its place stays, marked as skipped, since other
    /// values may refer to it.
    pub fn skip(&mut self, value: Value) {
        let freed = match self.get_mut(value) {
            Some(Object::Dict(v)) => v.len() * 4 * size_of::<Value>(),
            Some(Object::List(v)) => v.len() * size_of::<Value>(),
            _ => return,
        };
        self.spent = self.spent.saturating_sub(freed as u64);
        if let Some(object) = self.get_mut(value) {
            *object = Object::Skipped;
        }
    }

    pub fn kind(&self, value: Value) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Object(_) => self.get(value).map_or("nothing", Object::kind),
        }
    }
}
