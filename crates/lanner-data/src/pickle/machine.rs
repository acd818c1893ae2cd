//! Stack machine of `pickle`, with opcodes as in Python's `pickletools`.

mod stack;

use std::io::Read;

use super::{
    arena::Arena,
    globals,
    input::{Cause, Fault, Input},
    text,
    value::{Object, Pickle, Value},
};

/// Limits of a pickle's memory, and values that are not wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    /// Largest memory in bytes. Below it, memory must stay in proportion to the bytes read.
    pub memory: u64,
    /// Keys of dicts whose values are freed as they come.
    pub skip: &'a [&'a str],
}

impl Limits<'_> {
    /// Memory that the pickle of any compressed file may take, in bytes, and for each of its bytes.
    const PACKED: u64 = 256 << 20;
    const PER_PACKED_BYTE: u64 = 200;

    /// Returns the limits for a pickle of so many compressed bytes: a few of them may unpack to millions.
    pub fn packed(self, bytes: u64) -> Self {
        let most = bytes.saturating_mul(Self::PER_PACKED_BYTE).saturating_add(Self::PACKED);
        Limits { memory: self.memory.min(most), ..self }
    }
}

impl Default for Limits<'_> {
    fn default() -> Self {
        Limits { memory: 8 << 30, skip: &[] }
    }
}

/// Reads one pickle, up to its STOP; the rest of the input stays there.
pub(crate) fn read<R: Read>(input: &mut Input<R>, limits: Limits<'_>) -> Result<Pickle, Fault> {
    let mut machine = Machine {
        start: input.offset(),
        input,
        arena: Arena::new(limits.memory),
        stack: vec![],
        marks: vec![],
        memo: vec![],
        memoised: 0,
        skip: limits.skip,
    };
    for step in 1u64.. {
        let offset = machine.input.offset();
        let op = machine.input.byte()?;
        let room = match step % STEPS {
            0 => machine.check_room().map_err(StepError::Why),
            _ => Ok(()),
        };
        match room.and_then(|()| machine.step(op)) {
            Ok(None) => {}
            Ok(Some(root)) => {
                return Ok(Pickle {
                    objects: machine.arena.objects,
                    root,
                    storages: Default::default(),
                });
            }
            Err(StepError::Fault(fault)) => return Err(fault),
            Err(StepError::Global(name)) => {
                return Err(Fault { offset, cause: Cause::Global(name) });
            }
            Err(StepError::Why(why)) => {
                return Err(Fault { offset, cause: Cause::Other(why) });
            }
        }
    }
    unreachable!("a pickle of 2^64 opcodes")
}

/// Error of one step, to which the caller adds the place.
enum StepError {
    Fault(Fault),
    Global(String),
    Why(String),
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> Self {
        StepError::Fault(fault)
    }
}

impl From<String> for StepError {
    fn from(why: String) -> Self {
        StepError::Why(why)
    }
}

impl From<&str> for StepError {
    fn from(why: &str) -> Self {
        StepError::Why(why.into())
    }
}

/// Number of opcodes between two looks at the memory of stack, marks and memo.
const STEPS: u64 = 1024;
/// Number of no object, for empty places of the memo.
const EMPTY: u32 = u32::MAX;

struct Machine<'a, R> {
    input: &'a mut Input<R>,
    /// Offset where this pickle begins.
    start: u64,
    arena: Arena,
    stack: Vec<Value>,
    /// Heights of the stack at the open MARKs.
    marks: Vec<usize>,
    memo: Vec<u32>,
    memoised: usize,
    skip: &'a [&'a str],
}

impl<R: Read> Machine<'_, R> {
    /// Checks that stack, marks and memo fit into the memory beside the objects.
    fn check_room(&mut self) -> Result<(), String> {
        let stack = self.stack.capacity() * size_of::<Value>();
        let marks = self.marks.capacity() * size_of::<usize>();
        let memo = self.memo.capacity() * size_of::<u32>();
        self.arena.check_room(stack + marks + memo, self.here())
    }

    /// Runs one opcode; returns the pickle's value at STOP.
    fn step(&mut self, op: u8) -> Result<Option<Value>, StepError> {
        match op {
            b'.' => return Ok(Some(self.pop()?)),
            0x80 => match self.input.byte()? {
                0..=5 => {}
                n => return Err(format!("pickle protocol {n}, expected 0 to 5").into()),
            },
            // A frame's length is only a hint, but a false one is an error.
            0x95 => {
                let n = self.u64()?;
                self.input.expect_left(n)?;
            }

            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => {
                let n = self.input.byte()?;
                self.stack.push(Value::Int(n.into()));
            }
            b'M' => {
                let n = u16::from_le_bytes(self.input.array()?);
                self.stack.push(Value::Int(n.into()));
            }
            b'J' => {
                let n = i32::from_le_bytes(self.input.array()?);
                self.stack.push(Value::Int(n.into()));
            }
            b'G' => {
                let x = f64::from_be_bytes(self.input.array()?);
                self.stack.push(Value::Float(x));
            }
            b'I' | b'L' | b'F' => {
                let line = self.input.line()?;
                match text::number(op, &line)? {
                    Some(value) => self.stack.push(value),
                    None => self.push(Object::Big(line.into()))?,
                }
            }
            0x8a => {
                let n = self.input.byte()?;
                self.long(n.into())?;
            }
            0x8b => {
                let n = self.u32()?;
                self.long(n)?;
            }

            b'X' => {
                let n = self.u32()?;
                self.unicode(n)?;
            }
            0x8c => {
                let n = self.input.byte()?;
                self.unicode(n.into())?;
            }
            0x8d => {
                let n = self.u64()?;
                self.unicode(n)?;
            }
            b'V' => {
                let line = self.input.line()?;
                self.push_text(text::raw_unicode(&line)?)?;
            }
            b'S' => {
                let line = self.input.line()?;
                self.python2(text::quoted(&line)?)?;
            }
            b'T' => {
                let n = self.u32()?;
                let bytes = self.bytes(n)?;
                self.python2(bytes)?;
            }
            b'U' => {
                let n = self.input.byte()?;
                let bytes = self.bytes(n.into())?;
                self.python2(bytes)?;
            }
            b'B' => {
                let n = self.u32()?;
                self.byte_string(n)?;
            }
            b'C' => {
                let n = self.input.byte()?;
                self.byte_string(n.into())?;
            }
            0x8e | 0x96 => {
                let n = self.u64()?;
                self.byte_string(n)?;
            }

            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => {
                let at = self.mark()?;
                self.stack.truncate(at);
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }

            b']' => self.push(Object::List(vec![]))?,
            b')' => self.push(Object::Tuple([].into()))?,
            b'}' => self.push(Object::Dict(vec![]))?,
            0x8f => self.push(Object::Set(vec![]))?,
            b'l' | 0x91 | b't' => {
                let at = self.mark()?;
                let values = self.stack.split_off(at);
                self.push(match op {
                    b'l' => Object::List(values),
                    b't' => Object::Tuple(values.into()),
                    _ => Object::Set(values),
                })?;
            }
            b'd' => {
                let at = self.mark()?;
                let values = self.stack.split_off(at);
                self.push(Object::Dict(vec![]))?;
                self.set_items(&values)?;
            }
            0x85..=0x87 => {
                let n = usize::from(op - 0x84);
                let values = self.pop_many(n)?;
                self.push(Object::Tuple(values.into()))?;
            }
            b'a' => {
                let values = self.pop_many(1)?;
                self.append(&values)?;
            }
            b'e' | 0x90 => {
                let at = self.mark()?;
                let values = self.stack.split_off(at);
                self.append(&values)?;
            }
            b's' => {
                let values = self.pop_many(2)?;
                self.set_items(&values)?;
            }
            b'u' => {
                let at = self.mark()?;
                let values = self.stack.split_off(at);
                self.set_items(&values)?;
            }

            b'p' | b'g' => {
                let index = match text::number(b'I', &self.input.line()?)? {
                    Some(Value::Int(i @ 0..)) => i as u64,
                    _ => return Err("the number of a memo is not a number".into()),
                };
                if op == b'p' { self.put(index)? } else { self.get(index)? }
            }
            b'q' => {
                let n = self.input.byte()?;
                self.put(n.into())?;
            }
            b'r' => {
                let n = self.u32()?;
                self.put(n)?;
            }
            0x94 => self.put(self.memoised as u64)?,
            b'h' => {
                let n = self.input.byte()?;
                self.get(n.into())?;
            }
            b'j' => {
                let n = self.u32()?;
                self.get(n)?;
            }

            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.global(&String::from_utf8_lossy(&module), &String::from_utf8_lossy(&name))?;
            }
            0x93 => {
                let names = self.pop_many(2)?;
                match (self.arena.str(names[0]).cloned(), self.arena.str(names[1]).cloned()) {
                    (Some(module), Some(name)) => self.global(&module, &name)?,
                    _ => return Err("a global's module and name are not texts".into()),
                }
            }
            b'i' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.global(&String::from_utf8_lossy(&module), &String::from_utf8_lossy(&name))?;
                let class = self.pop()?;
                let at = self.mark()?;
                let args = self.stack.split_off(at);
                self.call(class, &args)?;
            }
            b'o' => {
                let at = self.mark()?;
                let values = self.stack.split_off(at);
                match values.split_first() {
                    Some((&class, args)) => self.call(class, args)?,
                    None => return Err("an object without a class".into()),
                }
            }
            b'R' | 0x81 => {
                let values = self.pop_many(2)?;
                self.call_with(values[0], values[1])?;
            }
            0x92 => {
                let values = self.pop_many(3)?;
                match self.arena.get(values[2]) {
                    Some(Object::Dict(named)) if named.is_empty() => {
                        self.call_with(values[0], values[1])?
                    }
                    _ => return Err("a constructor with named arguments".into()),
                }
            }
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                globals::build(&mut self.arena, object, state)?;
            }
            b'Q' => {
                let id = self.pop()?;
                let at = self.here();
                let value = globals::persistent(&mut self.arena, id, at)?;
                self.stack.push(value);
            }

            b'P' => return Err("a persistent id as text, which torch files do not have".into()),
            0x82..=0x84 => {
                return Err("an extension code, whose meaning only the writer knows".into());
            }
            0x97 | 0x98 => {
                return Err("a buffer outside the pickle, which is not in the file".into());
            }
            op => return Err(format!("byte {op:#04x} is not an opcode; is this a pickle?").into()),
        }
        Ok(None)
    }
}
