//! Tests of lanner from outside, in one program: linked once.

mod adapt;
mod cli;
mod common;
mod every_space;
mod measure;
mod messages;
mod out_file;
mod parameters;
mod prior;
mod proxies;
mod pytorch_script;
mod rank;
mod search;
mod search_device;
mod search_failing;
mod search_goal;
mod search_interrupted;
mod search_latency_table;
mod search_limits;
mod search_options;
mod study;
mod toy_space;
mod train;
