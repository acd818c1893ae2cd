use lanner_nn::Pattern;

/// Encoded graphs, flat in memory. Nodes are numbered within each graph; node 0 is the global one.
#[derive(Debug, Clone)]
pub struct Graphs {
    /// The number of labels.
    pub vocabulary: usize,
    /// Graph g has the nodes `starts[g]..starts[g + 1]` of the flat order.
    pub starts: Vec<u32>,
    /// The label of each node; None for padding.
    pub labels: Vec<Option<u32>>,
    /// Nodes that each node aggregates, itself included.
    pub aggregates: Pattern,
}

impl Graphs {
    /// Makes an empty set of graphs for labels below `vocabulary`, of which the last is the global
    /// node's.
    pub fn new(vocabulary: usize) -> Graphs {
        Graphs { vocabulary, starts: vec![0], labels: Vec::new(), aggregates: Pattern::new() }
    }

    /// The number of graphs.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The flat numbers of the nodes of graph `g`.
    pub fn nodes(&self, g: usize) -> std::ops::Range<usize> {
        self.starts[g] as usize..self.starts[g + 1] as usize
    }
}
