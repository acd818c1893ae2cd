//! Searches whose command fails, prints numbers in other forms, or is resumed elsewhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{fails, text};

/// Calls lanner in a folder; returns whether it succeeded, and what it printed.
fn call(folder: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
    let out = command.args(args).current_dir(folder).output().unwrap();
    let message = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(!message.contains("panicked"), "{message}");
    (out.status.success(), message)
}

#[test]
fn a_typo_keeps_the_budget_and_a_command_runs_where_it_was_begun() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let study = here.join("a").display().to_string();
    let begin = |line: &str, budget: &str| {
        let evaluate = format!("command:{line}");
        let limit = ["--limit", "params<=1000000"];
        let all = [
            "search",
            "--evaluate",
            &evaluate,
            limit[0],
            limit[1],
            "--budget",
            budget,
            "--out",
            &study,
        ];
        call(here, &all)
    };
    let (ended, message) = begin("sh tarin.sh {arch}", "12");
    assert!(!ended && message.contains("the first 3 evaluations failed"), "{message}");
    assert!(message.contains("the budget is kept") && message.contains("tarin.sh"), "{message}");
    fs::write(
        here.join("tarin.sh"),
        "echo $LANNER_WORKER of $1; printf '\\r{\"val_accuracy\": 5, \"x\": NaN}'",
    )
    .unwrap();
    // From another folder, without the option that tries failed ones again: nothing has succeeded yet.
    let (ended, message) = call(Path::new("/"), &["search", "--resume", "--out", &study]);
    assert!(ended && message.contains("12 evaluations (0 failed)"), "{message}");
    let log = fs::read_to_string(here.join("a/output/12.txt")).unwrap();
    assert!(log.starts_with("0 of |"), "{log}");
    // One more fails, and is tried again when asked.
    fs::rename(here.join("tarin.sh"), here.join("train.sh")).unwrap();
    let resume = ["search", "--resume", "--out", &study, "--budget", "13"];
    assert!(call(here, &resume).1.contains("13 evaluations (1 failed)"));
    fs::rename(here.join("train.sh"), here.join("tarin.sh")).unwrap();
    assert!(call(here, &resume).1.contains("13 evaluations (1 failed)"));
    let (_, message) = call(here, &[&resume[..], &["--retry-failed"]].concat());
    assert!(message.contains("13 evaluations (0 failed)"), "{message}");
}

#[test]
fn a_search_that_evaluates_nothing_leaves_no_study() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a").display().to_string();
    let begin = ["search", "--evaluate", "command:true {arch}", "--out", &study];
    let with = |more: &[&'static str]| [&begin[..], more].concat();
    let (code, message) = fails(&with(&["--limit", "params<=1e6", "--budget", "0"]));
    assert!(code == 2 && message.contains("--budget is 0"), "{message}");
    let (_, message) = fails(&with(&["--limit", "params<=1"]));
    assert!(message.contains("raise one"), "{message}");
    let (_, message) = fails(&with(&["--limit", "params<=1e6", "--time", "1e-9"]));
    assert!(message.contains("no study is left"), "{message}");
    assert!(!Path::new(&study).exists());
    // The next one is not blocked.
    let (_, message) = fails(&with(&["--limit", "params<=1e6"]));
    assert!(message.contains("the first 3 evaluations failed"), "{message}");
}

/// Processes that a command leaves behind, out of its group, keep its output open.
#[cfg(target_os = "linux")]
#[test]
fn daemons_that_commands_leave_behind_cost_no_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let line = "setsid sleep 30 & ls /proc/$PPID/fd | wc -l | sed 's/.*/{\"val_accuracy\": &}/'";
    fs::write(here.join("train.sh"), line).unwrap();
    let study = here.join("a").display().to_string();
    let begin = ["search", "--evaluate", "command:sh train.sh {arch}", "--budget", "12"];
    let more = ["--strategy", "random", "--limit", "params<=9e9", "--json", "--out", &study];
    let (ended, message) = call(here, &[&begin[..], &more].concat());
    let shown = call(here, &["study", "export", &study, "--out", "all.csv"]);
    assert!(ended && shown.0, "{message}{}", shown.1);
    let table = fs::read_to_string(here.join("all.csv")).unwrap();
    let at = |row: &str, name: &str| {
        let names = table.lines().find(|l| !l.starts_with('#')).unwrap();
        let place = names.split(',').position(|n| n == name).unwrap();
        row.split(',').nth(place).unwrap().parse::<f64>().unwrap()
    };
    let rows = table.lines().filter(|l| !l.starts_with('#')).skip(1);
    let open: Vec<f64> = rows.map(|row| at(row, "val_accuracy")).collect();
    assert_eq!(open.len(), 12, "{table}");
    let (first, last) = (open[1], open[11]);
    assert!(last <= first + 3.0, "descriptors that are open at each trial: {open:?}");
}
