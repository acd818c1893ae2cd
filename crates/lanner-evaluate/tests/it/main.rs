//! Tests of lanner-evaluate from outside, in one program: linked once.

mod int8;
mod models;
mod ort;
