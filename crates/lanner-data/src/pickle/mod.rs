//! A pickle reader that cannot be made to do anything but build values.
//!
//! Python's `pickle.load` runs whatever code the file names. This reader knows the stack machine of
//! protocols 0 to 5, and of the globals only a short list ([`globals`]), each with a meaning of its
//! own here; any other is refused with its name. What a hostile file could still try, and why it
//! fails:
//!
//! - *Huge lengths*: memory is taken as bytes arrive, never on a length's word ([`input`]).
//! - *Billion laughs, memo bombs*: objects live in one flat arena and are shared by number, so
//!   repetition costs nothing; all memory is accounted and must stay in proportion to the bytes
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
