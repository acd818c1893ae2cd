//! `lanner study` as users call it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::common::{fails, ok, rows, start, text};
use lanner_search::study::{Measurement, Outcome, Study, Trial};
use lanner_search::{Evaluate, Job, Setup, StrategyName};
use serde_json::{Value, json};

/// Six trials, one of them failed, and a measurement.
fn example(folder: &Path, setup: Option<Setup>) -> Study {
    let job = Job::new("nasbench201").maximise("accuracy").seed(3).budget(6);
    let job = Job { strategy: StrategyName::Random, setup, ..job };
    let mut study = Study::create(folder, &job).unwrap();
    for trial in study.ask(6).unwrap() {
        let metrics = [("accuracy", 70.0 + trial.id as f64), ("latency_ms", 2.5)];
        let metrics = metrics.map(|(name, value)| (name.to_string(), value)).into();
        let outcome = match trial.id {
            2 => Outcome::Failed { why: "out of \"memory\",\nit says".into() },
            _ => Outcome::Done { metrics },
        };
        study.tell(trial.id, outcome).unwrap();
    }
    let arch = study.trials().unwrap()[0].arch.clone();
    let measurement = Measurement {
        se: Some(0.125),
        trial: Some(1),
        seed: 9,
        budget: "50 runs".into(),
        unix_time: 1.5,
        ..Measurement::new(&arch, "latency_ms", 2.25)
    };
    study.measured(&measurement).unwrap();
    study
}

#[cfg(unix)]
#[test]
fn a_study_in_a_folder_of_somebody_else_is_read() {
    use std::os::unix::{fs::MetadataExt, fs::PermissionsExt, process::CommandExt};
    let folder = tempfile::tempdir().unwrap();
    drop(example(folder.path(), None));
    let allow = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), permissions).unwrap();
    };
    allow(0o555);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lanner"));
    command.args(["study", "show"]).arg(folder.path());
    if folder.path().metadata().unwrap().uid() == 0 {
        // The administrator may write everywhere.
        command.uid(65534).gid(65534);
    }
    let out = command.output();
    allow(0o755);
    match out {
        Ok(out) => {
            assert!(out.status.success(), "{}", text(&out.stderr));
            assert!(text(&out.stdout).contains("nasbench201"));
        }
        Err(why) => lanner_testing::skip(format_args!("the binary is not for everybody: {why}")),
    }
}

#[test]
fn studies_are_listed_shown_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let dir = |name: &str| folder.path().join(name).display().to_string();
    assert!(ok(&["study", "list", &dir("")]).contains("no study in"));
    let study = example(&folder.path().join("mine"), Some(Setup::new(Evaluate::Train)));
    std::fs::write(folder.path().join("other.db"), "nothing").unwrap();
    let listed = rows(&ok(&["study", "list", &dir(""), "--json"]));
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["done"], &listed[0]["best"]), (&json!(5), &json!(76.0)));
    assert!(listed[1]["error"].as_str().unwrap().contains("not a database"));

    let print = |trial: &Trial| study.space().print(&trial.arch);
    let mine = dir("mine");
    let shown = ok(&["study", "show", &mine]);
    assert!(
        shown.contains("trial 2 failed, |")
            && shown.contains("\n    out of \"memory\",\n    it says\n")
    );
    assert!(shown.contains("digits") && shown.contains(&print(&study.best().unwrap().unwrap())));
    let all: Value = serde_json::from_str(&ok(&["study", "show", &mine, "--json"])).unwrap();
    assert_eq!(all["best"]["metrics"]["accuracy"], 76.0);
    assert_eq!(all["counts"]["failed"], 1);
    assert_eq!(all["settings"]["driver"]["dataset"], "digits");

    let mut trials = study.trials().unwrap();
    // The newest measurement of a network counts.
    trials[0].metrics.insert("latency_ms".into(), 2.25);
    ok(&["study", "export", &mine, "--out", &dir("trials.csv")]);
    let mut reader = csv::Reader::from_path(dir("trials.csv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 6);
    for (line, trial) in lines.iter().zip(&trials) {
        assert_eq!(line[column("arch")], print(trial));
        assert_eq!(line[column("seed")], trial.seed.to_string());
        assert_eq!(&line[column("note")], trial.note.as_deref().unwrap_or_default());
        let accuracy = trial.metrics.get("accuracy").map(f64::to_string).unwrap_or_default();
        assert_eq!(line[column("accuracy")], accuracy);
        let latency = trial.metrics.get("latency_ms").map(f64::to_string).unwrap_or_default();
        assert_eq!(line[column("latency_ms")], latency);
    }
    // Other commands read it as a table.
    assert!(ok(&["table", "describe", &dir("trials.csv")]).contains("accuracy"));
    ok(&["study", "export", &mine, "--out", &dir("trials.json")]);
    let text = std::fs::read(dir("trials.json")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&text).unwrap(),
        Value::from_iter(trials.iter().map(|t| t.json(study.space())))
    );
    ok(&["study", "export", &mine, "--measurements", "--out", &dir("m.csv")]);
    let text = std::fs::read_to_string(dir("m.csv")).unwrap();
    assert!(text.ends_with(",latency_ms,2.25,0.125,1,9,50 runs,1.5\n"), "{text}");

    assert!(fails(&["study", "show", &dir("none")]).1.contains("none"));
    let (code, message) = fails(&["study", "export", &mine, "--out", &dir("x.txt")]);
    assert!(code == 2 && message.contains(".parquet"));
}

/// A table of numbers, where the build has Parquet; else the way to it is told.
#[test]
fn a_study_becomes_a_parquet_file() {
    let folder = tempfile::tempdir().unwrap();
    let study = example(&folder.path().join("mine"), Some(Setup::new(Evaluate::Train)));
    let (mine, out) = (folder.path().join("mine"), folder.path().join("trials.parquet"));
    let (mine, name) = (mine.display().to_string(), out.display().to_string());
    let export = ["study", "export", &mine, "--out", &name];
    if cfg!(feature = "parquet") {
        ok(&export);
        let table = lanner::data::Table::read(&out, study.space()).unwrap().0;
        let trials = study.trials().unwrap();
        let done: Vec<f64> =
            trials.iter().filter_map(|t| t.metrics.get("accuracy").copied()).collect();
        assert_eq!(table.column("accuracy").unwrap(), done);
    } else {
        let (code, message) = fails(&export);
        assert!(code == 1 && message.contains("--features parquet"), "{message}");
    }
}

#[test]
fn a_report_is_written_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine");
    drop(example(&mine, Some(Setup::new(Evaluate::Train))));
    let name = mine.display().to_string();
    let row = rows(&ok(&["report", &name, "--json"])).remove(0);
    let html = std::fs::read_to_string(mine.join("report.html")).unwrap();
    assert!(html.starts_with("<!doctype html>") || html.starts_with("<!DOCTYPE html>"));
    assert_eq!((row["bytes"].as_u64(), row["trials"].as_u64()), (Some(html.len() as u64), Some(6)));
    let (code, message) = fails(&["report", &name, "--out", "/nonexistent/report.html"]);
    assert!(code == 2 && message.contains("no folder /nonexistent"), "{message}");

    let mut call = start(&["watch", &name]);
    let line = call.line();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let address = address.unwrap_or_else(|| panic!("{line}"));
    let get = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let page = get("/");
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("|nor_conv_3x3~0|"));
    assert!(get("/version").ends_with(" 6"), "the budget stands last");
    assert!(get("/etc/passwd").starts_with("HTTP/1.1 404"));
    let port = address.rsplit(':').next().unwrap();
    let (code, message) = fails(&["watch", &name, "--port", port]);
    assert!(code == 1 && message.contains(port) && message.contains("--port"), "{message}");
    assert!(!call.has_ended());
    // The signal itself ends it: there is nothing to finish. A call in the background ignores INT.
    call.signal("TERM");
    let end = call.end();
    assert!(!end.status.success() && text(&end.stderr).is_empty());
}

#[test]
fn what_is_no_study_is_told_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    drop(example(&at("whole"), None));
    for name in ["empty", "damaged", "newer"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    let mut bytes = std::fs::read(at("whole").join("study.db")).unwrap();
    bytes[4096..].iter_mut().for_each(|b| *b ^= 0x5a);
    std::fs::write(at("damaged").join("study.db"), &bytes).unwrap();
    std::fs::copy(at("whole").join("study.db"), at("newer").join("study.db")).unwrap();
    let newer = rusqlite::Connection::open(at("newer").join("study.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let out = at("out.csv").display().to_string();
    for (name, expected) in [
        ("missing", "no study there; `lanner search` makes one"),
        ("empty", "no study there; `lanner search` makes one"),
        ("damaged", "study.db: damaged ("),
        ("newer", "written by a newer version of Lanner (schema 99"),
    ] {
        let study = at(name).display().to_string();
        for call in [
            &["study", "show", &study][..],
            &["study", "export", &study, "--out", &out],
            &["report", &study],
            &["search", "--resume", "--out", &study],
        ] {
            let (code, message) = fails(call);
            let told = message.contains(expected) && message.contains(&study);
            assert!(code == 1 && told, "{call:?}: {message}");
        }
        assert!(!at("out.csv").exists() && !at(name).join("report.html").exists());
    }
    assert!(!at("missing").exists());
    let (code, message) = fails(&["watch", &at("damaged").display().to_string()]);
    assert!(code == 1 && message.contains("damaged"), "{message}");
    // A study of the library's is not one that the command can go on with.
    let whole = at("whole").display().to_string();
    let (code, message) = fails(&["search", "--resume", "--out", &whole]);
    assert!(code == 1 && message.contains("no study of lanner search"), "{message}");
    let listed = rows(&ok(&["study", "list", &at("").display().to_string(), "--json"]));
    let errors: Vec<&str> = listed.iter().filter_map(|r| r["error"].as_str()).collect();
    assert_eq!((listed.len(), errors.len()), (3, 2), "{listed:?}");
    let (code, message) = fails(&["study", "list", &at("missing").display().to_string()]);
    assert!(code == 1 && message.contains("missing"), "{message}");
}

#[test]
fn a_damaged_study_is_rescued() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    drop(example(&folder.path().join("mine"), Some(Setup::new(Evaluate::Train))));
    let database = rusqlite::Connection::open(folder.path().join("mine/study.db")).unwrap();
    database.execute("UPDATE metric SET value = 1 WHERE trial = 4", []).unwrap();
    drop(database);
    let (code, message) = fails(&["study", "show", &at("mine")]);
    assert!(code == 1 && message.contains("damaged (trial 4: the checksum is wrong)"), "{message}");
    assert!(message.contains("`lanner study rescue "), "{message}");
    let told = ok(&["study", "rescue", &at("mine"), "--out", &at("saved")]);
    assert!(
        told.contains("trials lost         4\n") && told.contains("trials saved        5\n"),
        "{told}"
    );
    assert!(ok(&["study", "show", &at("saved")]).contains("accuracy"));
    let (code, message) = fails(&["study", "rescue", &at("mine"), "--out", &at("saved")]);
    assert!(code == 1 && message.contains("a study is there already"), "{message}");
    let json = ok(&["study", "rescue", &at("mine"), "--out", &at("more"), "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["lost_trials"], &json["measurements"]), (&json!([4]), &json!(1)));
}
