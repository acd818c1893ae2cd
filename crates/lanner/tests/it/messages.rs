//! Messages that name the way out: files of another kind, output that cannot be written.

use std::fs::{File, read_to_string, write};
use std::process::Command;

use lanner_space::Space;

use crate::common::{fails, ok, text};

#[test]
fn output_that_cannot_be_written_is_an_error_of_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("t.csv");
    write(&table, "ops,acc\n000000,1\n000001,2\n000002,3\n000003,4\n").unwrap();
    let evaluate = format!("table:{}", table.display());
    let table = table.to_str().unwrap();
    for args in [
        &["--help"][..],
        &["--version"],
        &["search", "--help"],
        &["space", "list"],
        &["table", "describe", table],
        &["search", "--evaluate", &evaluate, "--metric", "acc", "--budget", "2"],
    ] {
        // Always full.
        let Ok(full) = File::options().write(true).open("/dev/full") else {
            return lanner_testing::skip("there is no /dev/full");
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
        let out = command.args(args).stdout(full).output().unwrap();
        let message = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {message}");
        assert!(message.contains("cannot write to standard output: No space left"), "{message}");
    }
}

#[test]
fn a_table_in_place_of_a_predictor_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    write(path("t.csv"), "ops,acc\n000000,1\n").unwrap();
    let (code, message) = fails(&["rank", &path("t.csv")]);
    assert!(
        code == 1 && message.contains("a text, such as a table, and no predictor"),
        "{message}"
    );
    write(path("cpu.lanner"), "").unwrap();
    write(path("cpu.lanner.csv"), "layer,latency_ms\n").unwrap();
    let (code, message) = fails(&["latency", "x.onnx", "--predictor", &path("cpu.lanner.csv")]);
    let beside = format!("the predictor beside it is {}", path("cpu.lanner"));
    assert!(code == 2 && message.ends_with(&format!("{beside}\n")), "{message}");
}

#[test]
fn tables_of_other_programs_say_how_they_are_converted() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        write(dir.path().join(name), text).unwrap();
        dir.path().join(name).display().to_string()
    };
    let out = dir.path().join("out.csv").display().to_string();
    let semicolons = file("semi.csv", "arch;acc\n000000;1,5\n");
    for args in [
        &["table", "describe", &semicolons][..],
        &["import", "csv", &semicolons, "--out", &out],
        &["import", "hwgpt", &semicolons, "--out", &out],
    ] {
        let message = fails(args).1;
        assert!(message.contains("sep=';', decimal=',').to_csv("), "{args:?}: {message}");
    }
    let tabs = file("tabs.csv", "arch\tacc\n000000\t1.5\n");
    let message = fails(&["table", "describe", &tabs]).1;
    assert!(message.contains(r"sep='\t').to_csv("), "{message}");
    let commas = file("commas.csv", "arch,acc,loss\n000000,\"1,5\",2\n000001,\"1,7\",3\n");
    let shown = ok(&["table", "describe", &commas]);
    let told = "column 'acc': left out, because its numbers have decimal commas, the first in line 2: '1,5'";
    assert!(shown.contains(told), "{shown}");
    let one = file("one.csv", "arch,acc\n000000,1.5\n000001,1.6\n000002,\"1,7\"\n");
    let message = fails(&["table", "describe", &one]).1;
    assert!(
        message.contains("line 4")
            && message.contains("'1,7' is not a number with a decimal point"),
        "{message}"
    );
    let twice = file("twice.csv", "arch,acc\n000000,1\n000001,2\n000000,3\n");
    let message = fails(&["table", "describe", &twice]).1;
    assert!(
        message.contains("again, as in line 2")
            && message.contains("keep one of them, or their mean"),
        "{message}"
    );
}

#[test]
fn a_file_of_another_scale_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let (gpt, out) = (dir.path().join("gpt.csv"), dir.path().join("out.csv").display().to_string());
    let list = |value: &str| vec![value; 24].join("-");
    let row = format!("1024,24,{},{},True,7.5\n", list("8"), list("2"));
    write(&gpt, format!("embed_dim,n_layer,heads,mlp_ratios,bias,a_ms\n{row}")).unwrap();
    let args = ["import", "hwgpt", gpt.to_str().unwrap(), "--out", &out];
    let described = fails(&["table", "describe", args[2]]).1;
    assert!(described.contains("`lanner import hwgpt "), "{described}");
    let message = fails(&args).1;
    assert!(message.contains("the row is of hw-gpt-m: --space hw-gpt-m"), "{message}");
    ok(&[&args[..], &["--space", "hw-gpt-m"]].concat());
    assert!(read_to_string(&out).unwrap().contains(",7.5"));
}

#[test]
fn imports_tell_failed_proxies_and_rows_that_disagree() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    write(path("p.csv"), "ops,nwot,acc\n000000,-1e8,90\n000001,3,91\n").unwrap();
    let import = |args: &[&str]| {
        let out = crate::common::lanner(&[&["import", "csv"], args].concat());
        assert!(out.status.success());
        text(&out.stderr)
    };
    let told = import(&[&path("p.csv"), "--out", &path("p2.csv")]);
    assert!(
        told.contains("column 'nwot': 1 cell is left out as a proxy that failed (±1e8)"),
        "{told}"
    );
    let first = Space::NasBench201.print(&Space::NasBench201.parse("000000").unwrap());
    assert!(read_to_string(path("p2.csv")).unwrap().contains(&format!("{first},,90\n")));
    write(path("n.csv"), "arch,acc\n1-10_1,90\n1-10_1,80\n0-10_1,70\n").unwrap();
    let told = import(&[&path("n.csv"), "--space", "nasbench101", "--out", &path("n2.csv")]);
    assert!(
        told.contains("rows of 1 architecture disagree") && told.contains("'acc' 90 and 80"),
        "{told}"
    );
}
