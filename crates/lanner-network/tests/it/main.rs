//! Tests of lanner-network from outside, in one program: linked once.

mod nasbench201;
mod published;
mod transformers;
mod unet;
mod zoo;
