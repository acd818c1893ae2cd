//! Reads pickles, and does nothing but build values.
//!
//! Python's `pickle.load` runs whatever code the file names. This reader has the stack machine of
//! protocols 0 to 5 and a short list of globals ([`globals`]), each with a meaning of its own; any
//! other global is refused with its name. Other attacks of a hostile file fail, too:
//!
//! - *Huge lengths*: memory grows as bytes arrive, not by an announced length ([`input`]).
//! - *Billion laughs, memo bombs*: objects live in one flat arena and are shared by number, so
//!   repetition costs nothing; all memory is counted and must stay in proportion to the bytes
//!   read so far ([`arena`]).
//! - *Deep nesting*: nothing recurses, neither reading nor dropping; a cycle is only a number.

mod arena;
mod globals;
mod input;
mod machine;
mod number;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub(crate) use input::Input;
pub(crate) use machine::{Limits, read};
pub(crate) use value::{Item, Pickle};
