//! Tests of lanner-nn from outside, in one program: linked once.

mod executor;
mod golden;
mod gradients;
mod networks;
