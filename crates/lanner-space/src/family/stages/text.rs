//! Texts of transformers: dicts of lists of what the layers choose.

use std::fmt::Write;

use super::StageSpace;
use crate::family::parameters::{Domain, Held};
use crate::literal::Literal;

/// Names that authors use for `depth` and `heads`, after the name of the stage.
const ALIASES: [(&str, &str); 5] = [
    ("n_layer", "depth"),
    ("layer_num", "depth"),
    ("n_head", "heads"),
    ("num_heads", "heads"),
    ("mlp_ratios", "mlp_ratio"),
];

impl StageSpace {
    /// Prints lists of what the layers choose instead of a list of layers.
    pub(super) fn print_held(&self, held: &[Held]) -> String {
        let mut out = String::from("{");
        let mut put = |name: &str, value: String| {
            let comma = if out.len() > 1 { "," } else { "" };
            let _ = write!(out, "{comma}\"{name}\":{value}");
        };
        let nodes = self.parameters.nodes();
        for (node, held) in nodes.iter().zip(held) {
            match (held, &node.domain) {
                (Held::Number(number), _) => put(&node.name, node.value(*number).to_string()),
                (Held::Items(items), Domain::Repeat { group, .. }) => {
                    for (at, choice) in group.iter().enumerate() {
                        let value = |item: &Vec<Held>| match item.get(at) {
                            Some(Held::Number(number)) => choice.value(*number).to_string(),
                            _ => "0".into(),
                        };
                        let values: Vec<String> = items.iter().map(value).collect();
                        put(&listed(&node.name, &choice.name), format!("[{}]", values.join(",")));
                    }
                }
                _ => {}
            }
        }
        out.push('}');
        out
    }

    /// Makes of a dict with lists of what layers choose one with a list of layers.
    pub(super) fn with_layers(&self, literal: Literal) -> Result<Literal, String> {
        let Literal::Named(pairs) = literal else {
            return Err("expected {\"embed_dim\": …, \"depth\": …, …}".into());
        };
        let mut pairs: Vec<(String, Literal)> =
            pairs.into_iter().map(|(name, value)| (self.known_as(&name), value)).collect();
        for &at in &self.layers {
            let node = &self.parameters.nodes()[at];
            let Domain::Repeat { group, .. } = &node.domain else { continue };
            let mut layers: Vec<Vec<(String, Literal)>> = Vec::new();
            let mut is_listed = false;
            for choice in group {
                let name = listed(&node.name, &choice.name);
                let Some(place) = pairs.iter().position(|p| p.0 == name) else { continue };
                let (_, value) = pairs.swap_remove(place);
                let values = value.list().ok_or_else(|| format!("'{name}': expected a list"))?;
                if is_listed && values.len() != layers.len() {
                    return Err(format!(
                        "'{name}' has {} values, expected {}",
                        values.len(),
                        layers.len()
                    ));
                }
                layers.resize(values.len(), Vec::new());
                for (layer, value) in layers.iter_mut().zip(values) {
                    layer.push((choice.name.clone(), value.clone()));
                }
                is_listed = true;
            }
            if is_listed {
                let layers = layers.into_iter().map(Literal::Named).collect();
                pairs.push((node.name.clone(), Literal::List(layers)));
            }
        }
        Ok(Literal::Named(pairs))
    }

    /// Returns the name here of a parameter that may have its authors' name.
    fn known_as(&self, name: &str) -> String {
        let name = name.strip_prefix("sample_").unwrap_or(name);
        let found = ALIASES.iter().find_map(|(theirs, ours)| {
            let stage = name.strip_suffix(theirs)?;
            (stage.is_empty() || stage.ends_with('_')).then(|| format!("{stage}{ours}"))
        });
        found.unwrap_or_else(|| name.into())
    }
}

/// Returns the name of the list of what the layers of a repeat choose: `encoder_layer` and `heads` make
/// `encoder_heads`.
fn listed(layers: &str, choice: &str) -> String {
    format!("{}{choice}", layers.strip_suffix("layer").unwrap_or_default())
}
