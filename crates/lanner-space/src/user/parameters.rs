//! Reads a space of parameters from its TOML file.

use toml::de::DeValue;

use super::read::{Field, Fields};
use crate::family::ParameterSpace;
use crate::family::parameters::Wrong;
use crate::parameters::{Parameter, Value, Values};

/// Deepest tables inside each other that are read.
const DEPTH: usize = 6;

/// Largest number of conditions of a parameter.
const MOST_CONDITIONS: usize = 100;

/// Reads the parameters of a file; an error names the line and the parameter.
pub(super) fn read(root: &Fields) -> Result<ParameterSpace, String> {
    let parameters = group(root, 0)?;
    ParameterSpace::new(&parameters).map_err(|Wrong { path, why }| match line(root, &path) {
        Some(line) => format!("line {line}: {why}"),
        None => why,
    })
}

/// Returns the line of a parameter.
fn line(root: &Fields, path: &[usize]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let mut group = root.tables("parameter").ok()?;
    if *first >= group.len() {
        return None;
    }
    let fields = group.swap_remove(*first);
    line(&fields, rest).or(Some(fields.line()))
}

fn group(fields: &Fields, depth: usize) -> Result<Vec<Parameter>, String> {
    if depth == DEPTH {
        return fields.fail("too many repeats inside each other");
    }
    fields.tables("parameter")?.iter().map(|fields| parameter(fields, depth)).collect()
}

fn parameter(fields: &Fields, depth: usize) -> Result<Parameter, String> {
    fields.only(&[
        "name",
        "integer",
        "float",
        "choice",
        "repeat",
        "parameter",
        "step",
        "log",
        "ordered",
        "when",
        "network",
    ])?;
    let flag = |name| fields.get(name).map(|field| field.flag()).transpose();
    let when = match fields.get("when") {
        None => Vec::new(),
        Some(field) => {
            let table = field.table()?;
            if table.table.len() > MOST_CONDITIONS {
                return table.fail(&format!("more than {MOST_CONDITIONS} conditions"));
            }
            let names = table.table.keys().map(|key| key.get_ref().to_string());
            let one = |name: String| {
                let field = table.required(&name)?;
                Ok((name, Values::Any(field.each(value)?)))
            };
            names.map(one).collect::<Result<_, String>>()?
        }
    };
    Ok(Parameter {
        name: fields.required("name")?.text()?.into(),
        integer: fields.get("integer").map(|field| bounds(&field, whole)).transpose()?,
        float: fields.get("float").map(|field| bounds(&field, number)).transpose()?,
        choice: fields.get("choice").map(|field| choice(&field)).transpose()?,
        repeat: fields.get("repeat").map(|f| f.text().map(str::to_owned)).transpose()?,
        parameter: match fields.get("parameter") {
            Some(_) => group(fields, depth + 1)?,
            None => Vec::new(),
        },
        step: fields.get("step").map(|field| whole(&field)).transpose()?,
        log: flag("log")?.unwrap_or(false),
        ordered: flag("ordered")?,
        when: when.into_iter().collect(),
        network: flag("network")?.unwrap_or(true),
    })
}

fn whole(field: &Field) -> Result<i64, String> {
    field.integer(i64::MIN, i64::MAX)
}

pub(super) fn number(field: &Field) -> Result<f64, String> {
    match value(field)?.number() {
        Some(number) => Ok(number),
        None => field.expected("a number"),
    }
}

fn value(field: &Field) -> Result<Value, String> {
    Ok(match field.value.get_ref() {
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(_) => Value::Integer(whole(field)?),
        DeValue::Float(float) => match float.as_str().parse() {
            Ok(x) => Value::Number(x),
            Err(_) => return field.fail(&format!("{float} is no number")),
        },
        _ => return field.expected("a text, a number, true or false"),
    })
}

/// Reads the values of a choice.
fn choice(field: &Field) -> Result<Vec<Value>, String> {
    items(field)?.iter().map(value).collect()
}

/// Reads the smallest and the largest number.
fn bounds<T>(field: &Field, read: impl Fn(&Field) -> Result<T, String>) -> Result<[T; 2], String> {
    let items = items(field)?;
    let numbers = items.iter().map(read).collect::<Result<Vec<T>, String>>()?;
    let found = numbers.len();
    match <[T; 2]>::try_from(numbers) {
        Ok(bounds) => Ok(bounds),
        Err(_) => field.fail(&format!("{found} numbers, expected [smallest, largest]")),
    }
}

fn items<'a>(field: &Field<'a>) -> Result<Vec<Field<'a>>, String> {
    match field.value.get_ref().as_array() {
        Some(_) => Ok(field.items()),
        None => field.expected("a list"),
    }
}
