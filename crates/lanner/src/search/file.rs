//! `lanner search study.toml`: reads options from a file; options of the command line override them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use toml::{Spanned, de::DeTable, de::DeValue};

use super::SearchArgs;
use crate::output::usage;

/// Reads the options of a file, and overrides them by those of the command line.
///
/// # Errors
/// A key is no option, or the option does not take its value. The message names file, line and key.
pub fn with_file(file: &Path) -> anyhow::Result<(SearchArgs, Given)> {
    let name = file.display();
    let text =
        lanner_space::text::read(file).map_err(|e| anyhow::anyhow!("cannot read {name}: {e}"))?;
    let given: Vec<String> = words().filter(|word| Path::new(word) != file).collect();
    merged(&name.to_string(), &text, &given)
}

fn words() -> impl Iterator<Item = String> {
    std::env::args().skip_while(|a| a != "search").skip(1)
}

/// Options that were given, by name, with their values as text.
pub type Given = BTreeMap<String, Vec<String>>;

/// Returns the options of the command line.
pub fn given() -> anyhow::Result<Given> {
    let words: Vec<String> = words().collect();
    Ok(given_of(&parsed(&words).map_err(|e| usage(e.to_string()))?))
}

fn given_of(matches: &ArgMatches) -> Given {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut given = Given::new();
    for id in matches.ids().map(clap::Id::as_str).filter(|id| is_given(id)) {
        let values = matches.get_raw(id).into_iter().flatten();
        let values = values.map(|v| v.to_string_lossy().into_owned()).collect();
        given.insert(id.replace('_', "-"), values);
    }
    given
}

/// Options that may change when a study is resumed, or that are about this call alone.
const FREE: [&str; 11] = [
    "file",
    "out",
    "resume",
    "json",
    "budget",
    "time",
    "parallel",
    "threads",
    "retries",
    "retry-failed",
    "force",
];

/// Refuses an option that differs from that with which a study was begun; returns the options of
/// which that is not known, since the study is older or was begun by a program.
///
/// # Errors
/// Names the option, and its value then and now.
pub fn check_resumed<'a>(given: &'a Given, begun: &Given) -> anyhow::Result<Vec<&'a str>> {
    let command = command();
    let mut unknown = Vec::new();
    for (name, values) in given.iter().filter(|(name, _)| !FREE.contains(&name.as_str())) {
        if begun.is_empty() {
            unknown.push(name.as_str());
            continue;
        }
        let usual = || -> Vec<String> {
            let option = command.get_arguments().find(|a| a.get_long() == Some(name));
            let usual = option.map(|o| o.get_default_values()).unwrap_or_default();
            usual.iter().map(|v| v.to_string_lossy().into_owned()).collect()
        };
        let before = begun.get(name).cloned().unwrap_or_else(usual);
        let plain = |all: &[String]| -> Vec<String> {
            all.iter().map(|v| v.split_whitespace().collect::<String>()).collect()
        };
        if plain(&before) != plain(values) {
            let then = match begun.contains_key(name) {
                true => format!("with {}", before.join(", ")),
                false => "without it".into(),
            };
            return Err(usage(format!(
                "--{name} {}: the study was begun {then}, which --resume goes on with: leave the option \
                 out, or begin another study by --out DIR without --resume",
                values.join(", ")
            )));
        }
    }
    Ok(unknown)
}

fn merged(name: &str, text: &str, given: &[String]) -> anyhow::Result<(SearchArgs, Given)> {
    let options = DeTable::parse(text).map_err(|e| usage(format!("{name}: {e}")))?.into_inner();
    let command_line = parsed(given).map_err(|e| usage(e.to_string()))?;
    let mut words = Vec::new();
    let mut keys: Vec<_> = options.into_iter().collect();
    keys.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in keys {
        let line = 1 + text[..key.span().start].matches('\n').count();
        let key = key.into_inner().into_owned();
        let at = |why: String| usage(format!("{name}, line {line}: {key}{why}"));
        let Some(option) = options_of_search().into_iter().find(|o| *o == key) else {
            let known = options_of_search().into_iter().collect::<Vec<_>>().join(", ");
            return Err(at(format!(" is no option; there are: {known}")));
        };
        let is_switch = is_switch(&option);
        let own = words_of(&option, value, is_switch).map_err(|why| at(format!(": {why}")))?;
        // Parses this key alone first, so that an error names its line.
        parsed(&own).map_err(|e| at(format!(": {}", reason(&e))))?;
        let id = option.replace('-', "_");
        if command_line.value_source(&id) != Some(ValueSource::CommandLine) {
            words.extend(own);
        }
    }
    words.extend(given.iter().cloned());
    let matches = parsed(&words).map_err(|e| usage(format!("{name}: {e}")))?;
    let given = given_of(&matches);
    let args = SearchArgs::from_arg_matches(&matches);
    Ok((args.map_err(|e| usage(format!("{name}: {e}")))?, given))
}

/// Turns a key and its value into words of a command line.
fn words_of(key: &str, value: Spanned<DeValue>, is_switch: bool) -> Result<Vec<String>, String> {
    let values = match value.into_inner() {
        DeValue::Array(_) if !is_repeated(key) => {
            return Err("a list, expected one value".into());
        }
        DeValue::Array(values) => values.into_iter().map(Spanned::into_inner).collect(),
        one => vec![one],
    };
    let mut words = Vec::new();
    for value in values {
        let shown = match value {
            // --minimise alone means the metric.
            DeValue::Boolean(true) if takes_nothing(key) => {
                words.push(format!("--{key}"));
                continue;
            }
            DeValue::Boolean(on) if is_switch => {
                if on {
                    words.push(format!("--{key}"));
                }
                continue;
            }
            _ if is_switch => return Err("expected true or false".into()),
            DeValue::String(text) => text.into_owned(),
            DeValue::Integer(number) => number.to_string().replace('_', ""),
            DeValue::Float(number) => number.to_string().replace('_', ""),
            other => return Err(format!("a {}, expected text or a number", other.type_str())),
        };
        words.push(format!("--{key}={shown}"));
    }
    Ok(words)
}

fn command() -> Command {
    // An option of the whole program, which may stand behind `search` too.
    let threads = Arg::new("threads").long("threads");
    SearchArgs::augment_args(Command::new("lanner search")).arg(threads)
}

fn parsed(words: &[String]) -> Result<ArgMatches, clap::Error> {
    let program = "lanner search".to_string();
    command().try_get_matches_from(std::iter::once(&program).chain(words))
}

fn options_of_search() -> BTreeSet<String> {
    let command = SearchArgs::augment_args(Command::new("lanner search"));
    command.get_arguments().filter_map(|a| a.get_long().map(String::from)).collect()
}

fn is_switch(key: &str) -> bool {
    let command = SearchArgs::augment_args(Command::new("lanner search"));
    let mut all = command.get_arguments();
    all.any(|a| a.get_long() == Some(key) && matches!(a.get_action(), ArgAction::SetTrue))
}

/// Tells whether an option may stand without a value.
fn takes_nothing(key: &str) -> bool {
    let command = SearchArgs::augment_args(Command::new("lanner search"));
    let option = command.get_arguments().find(|a| a.get_long() == Some(key));
    option.and_then(|a| a.get_num_args()).is_some_and(|n| n.min_values() == 0)
}

/// Tells whether an option may be given several times.
fn is_repeated(key: &str) -> bool {
    let command = SearchArgs::augment_args(Command::new("lanner search"));
    let mut all = command.get_arguments();
    all.any(|a| a.get_long() == Some(key) && matches!(a.get_action(), ArgAction::Append))
}

/// Returns the first line of the parser's message, without its "error: ".
fn reason(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, given: &[&str]) -> Result<SearchArgs, String> {
        let given: Vec<String> = given.iter().map(|w| w.to_string()).collect();
        merged("a.toml", text, &given).map(|read| read.0).map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_line_overrides_the_file() {
        let text = "budget = 1_000\nlimit = [\"latency_ms<=4\", \"params<=1e6\"]\nminimise = true\ntime = 1.5";
        let args = read(text, &[]).unwrap();
        assert_eq!(
            (args.budget, args.minimise.clone(), args.time),
            (Some(1000), vec![String::new()], Some(1.5))
        );
        assert_eq!(args.limit, ["latency_ms<=4", "params<=1e6"]);
        let args = read(text, &["--budget", "7", "--limit=flops<=9", "--seed", "3"]).unwrap();
        assert_eq!(
            (args.budget, args.seed, args.minimise.clone()),
            (Some(7), 3, vec![String::new()])
        );
        assert_eq!(args.limit, ["flops<=9"]);
        let text = "minimise = \"watt\"\npareto = [\"params\", \"watt\"]";
        let args = read(text, &[]).unwrap();
        assert_eq!((args.minimise.len(), args.pareto.len()), (1, 2));
    }

    #[test]
    fn a_resumed_study_keeps_its_options() {
        let given = |text: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| w.to_string()).collect();
            merged("a.toml", text, &words).unwrap().1
        };
        let begun = given("metric = \"acc\"\nlimit = \"params <= 5\"", &["--budget", "7"]);
        let same =
            ["--resume", "--limit", "params<=5", "--seed", "0", "--budget", "9", "--parallel=3"];
        assert!(check_resumed(&given("", &same), &begun).unwrap().is_empty());
        for (words, says) in [
            (&["--metric", "other"][..], "--metric other: the study was begun with acc"),
            (&["--seed", "1"], "--seed 1: the study was begun without it"),
            (&["--limit", "params<=5", "--limit", "flops<=9"], "--limit"),
            (&["--minimise"], "--minimise"),
        ] {
            let message = check_resumed(&given("", words), &begun).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
        // A study that an older version began did not keep its options.
        assert_eq!(check_resumed(&given("", &["--seed", "1"]), &Given::new()).unwrap(), ["seed"]);
    }

    #[test]
    fn the_example_is_one() {
        let args = read(include_str!("../../../../examples/study.toml"), &[]).unwrap();
        assert_eq!((args.budget, args.limit.len(), args.seed), (Some(60), 2, 1));
    }

    #[test]
    fn errors_name_the_line_and_the_key() {
        for (text, words) in [
            ("seed = 1\n\nbudgt = 3", &["a.toml, line 3: budgt is no option", "budget"][..]),
            ("seed = 1\nbudget = \"many\"", &["line 2: budget", "many"]),
            ("budget = -3", &["line 1: budget", "-3"]),
            ("limit = [\"a<=1\", { b = 2 }]", &["line 1: limit", "table"]),
            ("seed = [1, 2]", &["line 1: seed", "a list"]),
            ("resume = 1", &["line 1: resume", "true or false"]),
            ("seed = 1\nseed = 2", &["a.toml", "line 2"]),
            ("file = \"x.toml\"", &["file is no option"]),
            ("seed 1", &["a.toml", "line 1"]),
        ] {
            let Err(message) = read(text, &[]) else { panic!("{text}") };
            for word in words {
                assert!(message.contains(word), "{text}: {message}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_changed_file_is_read_or_refused_by_its_name(
            edits in prop::collection::vec(
                (any::<prop::sample::Index>(), 0..9usize, prop_oneof![
                    Just("[["), Just("\""), Just("= "), Just("\n"), Just("{ a = 1 }"), Just("1e999"), Just("nan"),
                    Just("99999999999999999999"), Just("-9223372036854775808"), Just("1979-05-27"), Just("é\u{1b}["),
                    Just("\nseed = true\n"), Just("\nlimit = [[]]\n"), Just("\ntime = inf\n"), Just("\n--json = 1\n"),
                ]),
                1..6,
            ),
        ) {
            let mut text: Vec<char> = include_str!("../../../../examples/study.toml").chars().collect();
            for (at, removed, put) in edits {
                let start = at.index(text.len() + 1);
                let end = (start + removed).min(text.len());
                text.splice(start..end, put.chars());
            }
            if let Err(message) = read(&String::from_iter(text), &[]) {
                prop_assert!(message.contains("a.toml"), "{message}");
            }
        }
    }
}
