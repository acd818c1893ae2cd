//! Tests of lanner-space from outside, in one program: linked once.

mod darts;
mod nasbench101;
mod nasbench201;
mod parameters;
mod spaces;
mod stages;
mod user;
mod user_kinds;
