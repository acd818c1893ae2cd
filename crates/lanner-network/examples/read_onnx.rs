//! Reads ONNX files and prints a line of JSON for each: its costs, or why it cannot be read.
//!
//!     cargo run --release -p lanner-network --example read_onnx -- *.onnx

use lanner_network::onnx::{self, ReadOptions};
use serde_json::json;

fn main() {
    for file in std::env::args().skip(1) {
        let start = std::time::Instant::now();
        let read = std::fs::read(&file).map_err(|e| e.to_string()).and_then(|bytes| {
            onnx::read(&bytes, &ReadOptions::default()).map_err(|e| e.to_string())
        });
        let line = match read {
            Ok(graph) => json!({
                "file": file, "cost": graph.cost(), "nodes": graph.nodes.len(),
                "ms": 1e3 * start.elapsed().as_secs_f64(),
            }),
            Err(error) => json!({ "file": file, "error": error }),
        };
        println!("{line}");
    }
}
