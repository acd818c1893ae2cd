//! Tests of lanner-report from outside, in one program: linked once.

mod browser;
mod common;
mod page;
mod serve;
