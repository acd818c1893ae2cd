use serde_json::{Value, json};

use crate::{Cost, Network};

/// Converts a network and its costs to JSON: `{"name", "input", "output", "cost", "layers": […]}`.
///
/// A layer has its name, `op` and the op's sizes, the names of its inputs, its output shape as
/// [channels, height, width], and its costs. The units are those of [`Cost`].
pub fn json(network: &Network, cost: &Cost) -> Value {
    let shape = |s: crate::Shape| json!([s.channels, s.height, s.width]);
    let name = |&i: &usize| network.layers[i].name.as_str();
    let layers: Vec<Value> = network
        .layers
        .iter()
        .zip(&cost.layers)
        .map(|(layer, cost)| {
            let mut value = json!({ "name": layer.name });
            // Always matches: plain numbers can be serialised, and an op is an object.
            if let (Value::Object(all), Ok(Value::Object(op))) =
                (&mut value, serde_json::to_value(layer.op))
            {
                all.extend(op);
                all.insert("inputs".into(), layer.inputs.iter().map(name).collect());
                all.insert("block".into(), json!(network.blocks[layer.block].name));
                all.insert("shape".into(), shape(layer.shape));
                all.insert("flops".into(), json!(cost.flops));
                all.insert("macs".into(), json!(cost.macs));
                all.insert("params".into(), json!(cost.params));
                all.insert("output_bytes".into(), json!(cost.output_bytes));
            }
            value
        })
        .collect();
    json!({
        "name": network.name,
        "input": shape(network.input()),
        "output": shape(network.output()),
        "cost": {
            "flops": cost.flops,
            "macs": cost.macs,
            "params": cost.params,
            "activation_bytes": cost.activation_bytes,
            "peak_bytes": cost.peak_bytes,
            "depth": cost.depth,
            "critical_flops": cost.critical_flops,
            "critical_path": cost.critical_path.iter().map(name).collect::<Vec<_>>(),
        },
        "layers": layers,
    })
}
