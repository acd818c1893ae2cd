//! Stack, marks and memo of the machine, and steps that several opcodes share.

use std::io::Read;

use super::{EMPTY, Machine, StepError};
use crate::pickle::{
    globals,
    value::{Object, Value},
};

impl<R: Read> Machine<'_, R> {
    /// Number of bytes of this pickle so far, which limits its memory.
    pub(super) fn here(&self) -> u64 {
        self.input.offset() - self.start
    }

    pub(super) fn u32(&mut self) -> Result<u64, StepError> {
        Ok(u32::from_le_bytes(self.input.array()?).into())
    }

    pub(super) fn u64(&mut self) -> Result<u64, StepError> {
        Ok(u64::from_le_bytes(self.input.array()?))
    }

    pub(super) fn bytes(&mut self, n: u64) -> Result<Vec<u8>, StepError> {
        // The bytes count as read already, since they are what needs the memory.
        let limit = self.arena.left(self.here().saturating_add(n));
        Ok(self.input.bytes(n, limit)?)
    }

    pub(super) fn byte_string(&mut self, n: u64) -> Result<(), StepError> {
        let bytes = self.bytes(n)?;
        self.push(Object::Bytes(bytes.into()))
    }

    pub(super) fn unicode(&mut self, n: u64) -> Result<(), StepError> {
        let bytes = self.bytes(n)?;
        match String::from_utf8(bytes) {
            Ok(text) => self.push_text(text),
            Err(_) => Err("a text is not UTF-8".into()),
        }
    }

    /// Pushes a `str` of Python 2: text or, as in numpy's numbers, bytes.
    pub(super) fn python2(&mut self, bytes: Vec<u8>) -> Result<(), StepError> {
        match String::from_utf8(bytes) {
            Ok(text) => self.push_text(text),
            Err(e) => self.push(Object::Bytes(e.into_bytes().into())),
        }
    }

    pub(super) fn long(&mut self, n: u64) -> Result<(), StepError> {
        let bytes = self.bytes(n)?;
        if bytes.len() > 8 {
            return self.push(Object::Big(bytes.into()));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut raw = if negative { [0xff; 8] } else { [0; 8] };
        raw[..bytes.len()].copy_from_slice(&bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(raw)));
        Ok(())
    }

    pub(super) fn push(&mut self, object: Object) -> Result<(), StepError> {
        let at = self.here();
        let value = self.arena.push(object, at)?;
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn push_text(&mut self, text: String) -> Result<(), StepError> {
        let at = self.here();
        let value = self.arena.text(text, at)?;
        self.stack.push(value);
        Ok(())
    }

    /// Number of values above the last MARK; those below belong to outer containers.
    pub(super) fn depth(&self) -> usize {
        self.stack.len() - self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn top(&self) -> Result<Value, StepError> {
        match self.stack.last() {
            Some(&top) if self.depth() > 0 => Ok(top),
            _ => Err("the stack is empty".into()),
        }
    }

    pub(super) fn pop(&mut self) -> Result<Value, StepError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    pub(super) fn pop_many(&mut self, n: usize) -> Result<Vec<Value>, StepError> {
        match self.depth() >= n {
            true => Ok(self.stack.split_off(self.stack.len() - n)),
            false => Err(format!("the stack has {} values, expected {n}", self.depth()).into()),
        }
    }

    pub(super) fn mark(&mut self) -> Result<usize, StepError> {
        self.marks.pop().ok_or_else(|| "no mark on the stack".into())
    }

    pub(super) fn append(&mut self, values: &[Value]) -> Result<(), StepError> {
        let (target, at) = (self.top()?, self.here());
        self.arena.charge_values(values.len(), at)?;
        match self.arena.get_mut(target) {
            Some(Object::List(list) | Object::Set(list)) => list.extend_from_slice(values),
            _ => return Err(format!("cannot append to {}", self.arena.kind(target)).into()),
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, values: &[Value]) -> Result<(), StepError> {
        let (target, at) = (self.top()?, self.here());
        let (pairs, rest) = values.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a key without a value".into());
        }
        self.arena.charge_values(values.len(), at)?;
        if !self.skip.is_empty() {
            for &[key, value] in pairs {
                if self.arena.str(key).is_some_and(|k| self.skip.contains(&&**k)) {
                    self.arena.skip(value);
                }
            }
        }
        match self.arena.get_mut(target) {
            Some(Object::Dict(dict)) => dict.extend(pairs.iter().map(|&[k, v]| (k, v))),
            _ => return Err(format!("cannot set items of {}", self.arena.kind(target)).into()),
        }
        Ok(())
    }

    pub(super) fn put(&mut self, index: u64) -> Result<(), StepError> {
        let (top, at) = (self.top()?, self.here());
        // A pickler counts from 0, so a number beyond the bytes read would only waste memory.
        let index = match usize::try_from(index) {
            Ok(i) if index <= at => i,
            _ => return Err(format!("memo number {index} after only {at} bytes").into()),
        };
        let id = match top {
            Value::Object(id) => id,
            number => match self.arena.push(Object::Number(number), at)? {
                Value::Object(id) => id,
                _ => EMPTY,
            },
        };
        if self.memo.len() <= index {
            self.memo.resize(index + 1, EMPTY);
        }
        self.memoised += usize::from(self.memo[index] == EMPTY);
        self.memo[index] = id;
        Ok(())
    }

    pub(super) fn get(&mut self, index: u64) -> Result<(), StepError> {
        let found = usize::try_from(index).ok().and_then(|i| self.memo.get(i));
        match found {
            Some(&id) if id != EMPTY => {
                let value = Value::Object(id);
                self.stack.push(match self.arena.get(value) {
                    Some(Object::Number(number)) => *number,
                    _ => value,
                });
                Ok(())
            }
            _ => Err(format!("memo number {index} was never set").into()),
        }
    }

    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<(), StepError> {
        match globals::find(module, name) {
            Some(global) => self.push(Object::Global(global)),
            None => Err(StepError::Global(crate::error::shown(&format!("{module}.{name}")))),
        }
    }

    pub(super) fn call_with(&mut self, callable: Value, args: Value) -> Result<(), StepError> {
        match self.arena.tuple(args) {
            // No known global takes as many, and copies of a long tuple would take long.
            Some(args) if args.len() > 16 => Err("a call with more than 16 arguments".into()),
            Some(args) => {
                let args = args.to_vec();
                self.call(callable, &args)
            }
            None => Err(format!("arguments must be a tuple, not {}", self.arena.kind(args)).into()),
        }
    }

    pub(super) fn call(&mut self, callable: Value, args: &[Value]) -> Result<(), StepError> {
        let at = self.here();
        match self.arena.get(callable) {
            Some(&Object::Global(global)) => {
                let value = globals::call(&mut self.arena, global, args, at)?;
                self.stack.push(value);
                Ok(())
            }
            _ => Err(format!("{} cannot be called", self.arena.kind(callable)).into()),
        }
    }
}
