//! Reads the TOML file of a space; every error names the line and the field.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{OPERATIONS, chain, parameters, transformer};
use crate::definition::{Definition, Limits, Sizes};
use crate::family::{CellSkeleton, CellSpace, Edge};

/// Largest length of a name.
const LONGEST_NAME: usize = 100;
/// Largest number of edges or layers: they are nodes of graphs, which have at most 255.
pub(super) const MOST_NODES: usize = 200;

/// Largest size of a file in bytes; a space with as many nodes and choices as there may be has fewer.
const LONGEST_FILE: usize = 1 << 20;

/// Sizes of a space without a network of its own.
const NO_NETWORK: Sizes = Sizes { channels: 0, cells: 0, resolution: 0, classes: 0 };

/// Reads a space from text, and returns it with a fingerprint of its content, without names, comments
/// and limits. Names of `published` spaces are taken. An error names the line and the field that are wrong.
pub(crate) fn definition(text: &str, published: &[&str]) -> Result<(Definition, u64), String> {
    if text.len() > LONGEST_FILE {
        return Err(format!("{} bytes, expected at most {LONGEST_FILE}", text.len()));
    }
    let document = DeTable::parse(text).map_err(|e| {
        let line = e.span().map_or(1, |span| line_of(text, span.start));
        format!("line {line}: {}", e.message().trim().replace('\n', ", "))
    })?;
    let root = Fields { text, path: String::new(), at: 0, table: document.get_ref() };
    let name = root.required("name")?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let called = match name.text()? {
        "" => return name.fail("a space needs a name"),
        n if n.len() > LONGEST_NAME => {
            return name.fail(&format!("{} letters, expected at most {LONGEST_NAME}", n.len()));
        }
        n if !n.chars().all(fits) => {
            return name.fail(&format!("'{n}' has other characters than a-z, 0-9, -, _ and ."));
        }
        n if published.contains(&n) => {
            return name.fail(&format!("'{n}' is the name of a published space"));
        }
        n => n.to_owned(),
    };
    let kind = root.required("kind")?;
    let own = match kind.text()? {
        "cell" => &["nodes", "operations", "edge"][..],
        "chain" => &["stage"],
        "parameters" => {
            root.only(&["name", "kind", "parameter"])?;
            let space = parameters::read(&root)?;
            let said = format!("{space:?}");
            let definition = Definition::new(called, space, NO_NETWORK);
            definition.check()?;
            return Ok((definition, fingerprint(&said)));
        }
        "transformer" => &["stem", "stage", "bias", "mlp_ratio"],
        other => {
            return kind
                .fail(&format!("'{other}', expected cell, chain, transformer or parameters"));
        }
    };
    root.only(&[&["name", "kind", "skeleton", "limits"], own].concat())?;
    let limits = match root.get("limits") {
        Some(limits) => read_limits(&limits.table()?)?,
        None => Limits::default(),
    };
    let skeleton = root.required("skeleton")?.table()?;
    let (said, definition) = match kind.text()? {
        "cell" => {
            let cell = read_cell(&root, &skeleton)?;
            (format!("Cell({cell:?})"), Definition::of_cell(called, cell))
        }
        "transformer" => {
            let (space, sizes) = transformer::read(&root, &skeleton)?;
            (format!("{space:?}"), Definition::new(called, space, sizes))
        }
        _ => {
            let chain = chain::read(&root, &skeleton)?;
            (format!("Chain({chain:?})"), Definition::of_chain(called, chain))
        }
    };
    definition.check()?;
    Ok((Definition { limits, ..definition }, fingerprint(&said)))
}

/// FNV-1a of the choices and the skeleton, as this version of the program prints them.
fn fingerprint(said: &str) -> u64 {
    said.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn read_limits(limits: &Fields) -> Result<Limits, String> {
    limits.only(&["flops", "params", "memory_bytes"])?;
    let limit = |name| match limits.get(name) {
        Some(field) => field.integer(1, i64::MAX).map(|n| Some(n as u64)),
        None => Ok(None),
    };
    Ok(Limits {
        flops: limit("flops")?,
        params: limit("params")?,
        memory_bytes: limit("memory_bytes")?,
    })
}

fn read_cell(root: &Fields, skeleton: &Fields) -> Result<CellSpace, String> {
    let nodes = root.required("nodes")?.integer(2, 64)? as u8;
    let operations = root.required("operations")?.names(&OPERATIONS)?;
    let edges = root.tables("edge")?;
    if edges.len() > MOST_NODES {
        return edges[MOST_NODES].fail(&format!("more than {MOST_NODES} edges"));
    }
    let edges: Vec<Edge> = edges
        .iter()
        .map(|edge| read_edge(edge, nodes, &operations))
        .collect::<Result<_, String>>()?;
    // For any choices, the output must be able to depend on the input.
    let mut reached = vec![false; nodes.into()];
    reached[0] = true;
    for node in 1..nodes {
        let mut into = edges.iter().filter(|e| e.to == node);
        reached[usize::from(node)] = into.any(|e| e.from.iter().any(|&f| reached[usize::from(f)]));
        if !reached[usize::from(node)] {
            let what = if node + 1 == nodes { "the output" } else { "a node" };
            let why = format!("node {node}, {what}, is on no path of edges from the input");
            return root.required("nodes")?.fail(&why);
        }
    }
    skeleton.only(&["resolution", "classes", "channels", "stages", "cells"])?;
    let number = |name: &str, most: i64| skeleton.required(name)?.integer(1, most);
    let skeleton_sizes = CellSkeleton {
        resolution: number("resolution", 1024)? as u16,
        classes: number("classes", 100_000)? as u32,
        channels: number("channels", 4096)? as u16,
        stages: number("stages", 8)? as u8,
        cells: number("cells", 100)? as u8,
    };
    let halved = 1 << (skeleton_sizes.stages - 1);
    if !skeleton_sizes.resolution.is_multiple_of(halved) {
        return skeleton.required("resolution")?.fail(&format!(
            "{}, expected a multiple of {halved}, to be halved between {} stages",
            skeleton_sizes.resolution, skeleton_sizes.stages
        ));
    }
    Ok(CellSpace::new(nodes, edges, operations, skeleton_sizes))
}

fn read_edge(edge: &Fields, nodes: u8, operations: &[String]) -> Result<Edge, String> {
    edge.only(&["from", "to", "operations"])?;
    let to = edge.required("to")?;
    let end = to.integer(0, 255)? as u8;
    if end >= nodes {
        return to.fail(&format!("there is no node {end}: the cell has nodes 0 to {}", nodes - 1));
    }
    let from = edge.required("from")?;
    let starts: Vec<u8> = from.integers(0, 255)?.into_iter().map(|n| n as u8).collect();
    for &start in &starts {
        if start >= nodes {
            let why = format!("there is no node {start}: the cell has nodes 0 to {}", nodes - 1);
            return from.fail(&why);
        }
        if start >= end {
            return from.fail(&format!(
                "an edge from {start} to {end}: edges go to higher numbers, or there could be a cycle"
            ));
        }
    }
    let numbers: Vec<u8> = match edge.get("operations") {
        None => (0..operations.len() as u8).collect(),
        Some(field) => {
            let known: Vec<&str> = operations.iter().map(String::as_str).collect();
            let names = field.names(&known)?;
            let number = |name: &String| operations.iter().position(|op| op == name);
            names.iter().filter_map(number).map(|n| n as u8).collect()
        }
    };
    if starts.len() * numbers.len() > 255 {
        return edge.fail("more than 255 choices on one edge");
    }
    Ok(Edge { from: starts, to: end, operations: numbers })
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&b| b == b'\n').count()
}

/// A table of the file.
pub(super) struct Fields<'a> {
    text: &'a str,
    path: String,
    /// Place in the text.
    at: usize,
    pub(super) table: &'a DeTable<'a>,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, name: &str) -> Option<Field<'a>> {
        let (key, value) = self.table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
        let path = match self.path.as_str() {
            "" => name.into(),
            path => format!("{path}.{name}"),
        };
        Some(Field { text: self.text, path, at: key.span().start, value })
    }

    pub(super) fn required(&self, name: &str) -> Result<Field<'a>, String> {
        self.get(name).ok_or_else(|| self.message(&format!("'{name}' is missing")))
    }

    /// Refuses all fields except these.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), String> {
        let unknown = self.table.iter().find(|(key, _)| !names.contains(&key.get_ref().as_ref()));
        match unknown.and_then(|(key, _)| self.get(key.get_ref())) {
            Some(field) => field.fail(&format!("unknown, expected one of {}", names.join(", "))),
            None => Ok(()),
        }
    }

    /// Returns the tables `[[name]]`, at least one.
    pub(super) fn tables(&self, name: &str) -> Result<Vec<Fields<'a>>, String> {
        let field = self.required(name)?;
        let Some(items) = field.value.get_ref().as_array().filter(|a| !a.is_empty()) else {
            return field.fail(&format!("expected at least one [[{name}]]"));
        };
        let table = |(i, value): (usize, &'a Spanned<DeValue<'a>>)| {
            let path = format!("{name} {}", i + 1);
            Field { text: self.text, path, at: value.span().start, value }.table()
        };
        items.iter().enumerate().map(table).collect()
    }

    pub(super) fn line(&self) -> usize {
        line_of(self.text, self.at)
    }

    fn message(&self, why: &str) -> String {
        match self.path.as_str() {
            "" => format!("line {}: {why}", self.line()),
            path => format!("line {}, {path}: {why}", self.line()),
        }
    }

    pub(super) fn fail<T>(&self, why: &str) -> Result<T, String> {
        Err(self.message(why))
    }
}

/// A value of the file.
pub(super) struct Field<'a> {
    text: &'a str,
    path: String,
    at: usize,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Field<'a> {
    pub(super) fn fail<T>(&self, why: &str) -> Result<T, String> {
        Err(format!("line {}, {}: {why}", line_of(self.text, self.at), self.path))
    }

    pub(super) fn expected<T>(&self, what: &str) -> Result<T, String> {
        self.fail(&format!("expected {what}, found {}", self.value.get_ref().type_str()))
    }

    pub(super) fn table(self) -> Result<Fields<'a>, String> {
        match self.value.get_ref().as_table() {
            Some(table) => Ok(Fields { text: self.text, path: self.path, at: self.at, table }),
            None => self.expected("a table"),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, String> {
        match self.value.get_ref().as_str() {
            Some(text) => Ok(text),
            None => self.expected("a string"),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, String> {
        match self.value.get_ref() {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => self.expected("true or false"),
        }
    }

    pub(super) fn integer(&self, least: i64, most: i64) -> Result<i64, String> {
        let Some(digits) = self.value.get_ref().as_integer() else {
            return self.expected("a whole number");
        };
        match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(n) if (least..=most).contains(&n) => Ok(n),
            _ if most == i64::MAX => self.fail(&format!("{digits}, expected at least {least}")),
            _ => self.fail(&format!("{digits}, expected {least} to {most}")),
        }
    }

    /// Returns the items of a list; none of any other value.
    pub(super) fn items(&self) -> Vec<Field<'a>> {
        let item = |value: &'a Spanned<DeValue<'a>>| Field {
            text: self.text,
            path: self.path.clone(),
            at: value.span().start,
            value,
        };
        self.value.get_ref().as_array().map_or_else(Vec::new, |all| all.iter().map(item).collect())
    }

    /// Returns the items of a list, or a single value as a list of one; no item may occur twice.
    pub(super) fn each<T: PartialEq>(
        &self,
        read: impl Fn(&Field<'a>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        if self.value.get_ref().as_array().is_none() {
            return Ok(vec![read(self)?]);
        }
        let mut all = Vec::new();
        for field in self.items() {
            let item = read(&field)?;
            if all.contains(&item) {
                return self.fail("the same choice twice");
            }
            all.push(item);
        }
        match all.is_empty() {
            true => self.fail("no choice at all: the space would be empty"),
            false => Ok(all),
        }
    }

    pub(super) fn integers(&self, least: i64, most: i64) -> Result<Vec<i64>, String> {
        self.each(|field| field.integer(least, most))
    }

    pub(super) fn names(&self, known: &[&str]) -> Result<Vec<String>, String> {
        self.each(|field| match field.text()? {
            name if known.contains(&name) => Ok(name.to_owned()),
            name => field.fail(&format!("unknown '{name}', expected one of {}", known.join(", "))),
        })
    }
}
