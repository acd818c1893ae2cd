//! `--out` replaces no input, no database and no file of another kind.

use std::fs;
use std::path::Path;

use crate::common::{fails, ok};

/// A table as a user has it, of 40 networks.
fn table(folder: &Path) -> String {
    let mut text = String::from("ops,x_ms\n");
    for i in 0..40u32 {
        let digits: String =
            (0..6).map(|place| char::from(b'0' + (i * (place + 3) / 2 % 5) as u8)).collect();
        if !text.contains(&format!("\n{digits},")) {
            text += &format!("{digits},{}\n", 5.0 + f64::from(i) / 9.0);
        }
    }
    let path = folder.join("mine.csv");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn inputs_and_other_files_stay() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mine = table(folder.path());
    let (model, again, study) = (at("mine.lanner"), at("again.csv"), at("study"));
    ok(&[
        "fit",
        &mine,
        "--metric",
        "x_ms",
        "--folds",
        "0",
        "--predictor",
        "ridge-counts",
        "--out",
        &model,
    ]);
    ok(&["table", "join", &mine, "--out", &again]);
    ok(&[
        "search",
        "--evaluate",
        &format!("table:{mine}"),
        "--metric",
        "x_ms",
        "--minimise",
        "--budget",
        "5",
        "--out",
        &study,
    ]);
    fs::hard_link(&mine, at("link.csv")).unwrap();
    fs::write(at("notes.csv"), "what,when\nlunch,12\n").unwrap();
    let database = format!("{study}/study.db");
    let kept = [&mine, &model, &again, &database, &at("notes.csv")];
    let contents = kept.map(|path| fs::read(path).unwrap());
    let link = at("link.csv");
    for (call, why) in [
        (
            &["fit", &mine, "--metric", "x_ms", "--folds", "0", "--out", &mine][..],
            "the extension is not that of a predictor",
        ),
        (&["adapt", "--target", &mine, "--metric", "x_ms", "--out", &mine], "the extension"),
        (&["network", "333333", "--onnx", &mine], "not that of an ONNX model"),
        (&["network", "333333", "--svg", &mine], "not that of a drawing"),
        (&["network", "333333", "--svg", &model], "exists and is a predictor, not a drawing"),
        (&["network", "333333", "--onnx", &model], "--force replaces it"),
        (&["table", "join", &mine, "--out", &link], "is an input"),
        (&["table", "join", &again, "--out", &mine], "exists and is a file of another kind"),
        (&["table", "join", &again, "--out", &at("notes.csv")], "not a table that Lanner wrote"),
        (&["rank", &model, "--archs", &mine, "--out", &mine], "is an input"),
        (&["rank", &model, "--out", &model], "a table is a .csv"),
        (&["rank", &model, "--out", &at("no/such/folder.csv")], "there is no folder"),
        (&["report", &study, "--out", &database], "the extension is not that of a report"),
        (&["report", &study, "--out", &model], "exists and is a predictor"),
        (&["study", "export", &study, "--out", &mine], "exists and is a file of another kind"),
        (&["measure", "--archs", &mine, "--out", &mine], "is an input"),
        (&["measure", "--sample", "1", "--out", &at("t.txt")], "(.csv)"),
        (&["proxies", "--sample", "1", "--out", &at("no/folder.csv")], "there is no folder"),
        (&["train", "--sample", "1", "--out", &at("t.lanner")], "(.csv)"),
        (&["import", "csv", &mine, "--force", "--out", &mine], "is an input"),
        (&["search", "--out", &mine], "is a file, expected a folder"),
    ] {
        let (code, message) = fails(call);
        assert!(code == 2 && message.contains(why), "{call:?}: {message}");
    }
    for (path, content) in kept.iter().zip(&contents) {
        assert!(fs::read(path).unwrap() == *content, "{path} has changed");
    }
    // What Lanner wrote is replaced by another of its kind, and anything with --force.
    ok(&["table", "join", &mine, "--out", &again]);
    ok(&["rank", &model, "--out", &again]);
    ok(&["table", "join", &again, "--out", &at("notes.csv"), "--force"]);
    ok(&["network", "333333", "--onnx", &at("a.onnx")]);
    ok(&["network", "333333", "--onnx", &at("a.onnx")]);
    ok(&["report", &study, "--out", &at("page.html")]);
    ok(&["report", &study, "--out", &at("page.html")]);
}
