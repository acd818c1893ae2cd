use crate::{Diagram, NodeKind};

impl Diagram {
    /// Draws diagrams as one DOT graph for Graphviz, each in a frame of its own.
    pub fn dot(diagrams: &[Diagram]) -> String {
        let mut text = String::from(
            "digraph lanner {\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", \
             fontsize=11];\n  edge [color=\"#444444\"];\n",
        );
        for (d, diagram) in diagrams.iter().enumerate() {
            text += &format!("  subgraph cluster_{d} {{\n    label={};\n", quoted(&diagram.title));
            for (n, node) in diagram.nodes.iter().enumerate() {
                let dead =
                    if node.kind == NodeKind::Dead { ", style=\"rounded,dashed\"" } else { "" };
                let label = quoted(&node.lines.join("\n"));
                let (fill, _) = node.kind.colours();
                text += &format!("    d{d}n{n} [label={label}, fillcolor=\"{fill}\"{dead}];\n");
            }
            for edge in &diagram.edges {
                let style = if edge.dead { " [style=dashed, color=\"#aaaaaa\"]" } else { "" };
                text += &format!("    d{d}n{} -> d{d}n{}{style};\n", edge.from, edge.to);
            }
            text += "  }\n";
        }
        text + "}\n"
    }
}

/// Quotes a text for DOT.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}

impl NodeKind {
    /// Colours of fill and outline; nearly black text on them has a contrast of 7 or more.
    pub(crate) fn colours(self) -> (&'static str, &'static str) {
        match self {
            NodeKind::End => ("#e8e8ee", "#666677"),
            NodeKind::Conv => ("#cfe2ff", "#2f6fc4"),
            NodeKind::Pool => ("#d3f0d8", "#2e8b47"),
            NodeKind::Light => ("#ffffff", "#777777"),
            NodeKind::Dead => ("#fafafa", "#aaaaaa"),
            NodeKind::Stage => ("#ffe9c4", "#c48a1d"),
        }
    }
}
