//! Reads and prints cells as text: the short form, the official `ModelSpec` and NASLib's tuple.

use super::dag::{Cell, MAX_VERTICES, cell_of_matrix};
use crate::{Architecture, SpaceError, independent, literal::Literal};

pub(super) fn print(arch: &Architecture) -> String {
    let cell = Cell::from_codes(arch.codes());
    let (ops, edges) = arch.codes()[1..].split_at(cell.vertices - 2);
    let mut text = independent::digits(ops) + "-";
    let mut rest = edges;
    for row in (1..cell.vertices).rev() {
        text += &independent::digits(&rest[..row]);
        text += if row > 1 { "_" } else { "" };
        rest = &rest[row..];
    }
    text
}

pub(super) fn parse(
    space: &str,
    text: &str,
    operations: &[&str],
) -> Result<Architecture, SpaceError> {
    let text = text.trim();
    let fail = |why| SpaceError::text(space, text, why);
    let cell = if !Literal::opens(text) {
        parse_short(text)
    } else {
        match Literal::parse(text).map_err(fail)? {
            spec @ Literal::Named(_) => parse_spec(&spec, operations),
            list => parse_naslib(&list),
        }
    };
    Ok(cell.map_err(fail)?.architecture())
}

fn parse_short(text: &str) -> Result<Cell, String> {
    let example = "expected operations-rows, as 0-11_1";
    let (ops, rows) = text.split_once('-').ok_or(example)?;
    let digit = |b: u8| b.is_ascii_digit().then(|| b - b'0');
    let digits = |t: &str| t.bytes().map(digit).collect::<Option<Vec<u8>>>().ok_or(example);
    let rows = rows.split('_').map(digits).collect::<Result<Vec<_>, _>>()?;
    let n = rows.len() + 1;
    for (i, row) in rows.iter().enumerate() {
        if row.len() != n - 1 - i {
            return Err(format!("row {i} has {} digits, expected {}", row.len(), n - 1 - i));
        }
    }
    let square = |i: usize| [vec![0; i + 1], rows.get(i).cloned().unwrap_or_default()].concat();
    cell_of_matrix(&(0..n).map(square).collect::<Vec<_>>(), &digits(ops)?)
}

fn parse_spec(spec: &Literal, operations: &[&str]) -> Result<Cell, String> {
    let field = |name: &str| {
        let value = spec.get(name).or_else(|| spec.get(&format!("module_{name}")));
        value.and_then(Literal::list).ok_or(format!("no list called '{name}'"))
    };
    let rows = field("matrix").or_else(|why| field("adjacency").map_err(|_| why))?;
    let matrix = rows.iter().map(Literal::codes).collect::<Option<Vec<_>>>();
    let matrix = matrix.ok_or("the matrix is not one of 0 and 1")?;
    let names = field("ops").or_else(|why| field("operations").map_err(|_| why))?;
    let names: Option<Vec<&str>> = names.iter().map(Literal::text).collect();
    let names = names.ok_or("the operations are not strings")?;
    cell_of_matrix(&matrix, &codes_of_names(&names, operations)?)
}

fn parse_naslib(list: &Literal) -> Result<Cell, String> {
    let numbers = list.codes().ok_or("expected a list of codes")?;
    let n = (2..=MAX_VERTICES).find(|n| n * n + n == numbers.len()).ok_or_else(|| {
        format!("{} numbers are not n² + n for 2 to {MAX_VERTICES} vertices", numbers.len())
    })?;
    let (matrix, ops) = numbers.split_at(n * n);
    if ops[0] != 0 || ops[n - 1] != 1 {
        return Err("the first operation must be 0 (input) and the last 1 (output)".into());
    }
    let code = |(i, &op): (usize, &u8)| match op {
        2..=4 => Ok(4 - op),
        _ => Err(format!("vertex {} has operation {op}, expected 2 to 4", i + 1)),
    };
    let ops = ops[1..n - 1].iter().enumerate().map(code).collect::<Result<Vec<u8>, String>>()?;
    cell_of_matrix(&matrix.chunks(n).map(<[u8]>::to_vec).collect::<Vec<_>>(), &ops)
}

/// Returns the codes of the inner operations of `input`, …, `output`.
pub(crate) fn codes_of_names(names: &[&str], operations: &[&str]) -> Result<Vec<u8>, String> {
    let ["input", inner @ .., "output"] = names else {
        return Err("the first operation must be 'input' and the last 'output'".into());
    };
    let code = |(i, name): (usize, &&str)| match operations.iter().position(|op| op == name) {
        Some(code) => Ok(code as u8),
        None => Err(format!(
            "vertex {} has operation '{name}', expected one of {}",
            i + 1,
            operations.join(", ")
        )),
    };
    inner.iter().enumerate().map(code).collect()
}
