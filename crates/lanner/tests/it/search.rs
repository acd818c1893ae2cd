//! `lanner search` as users call it, undisturbed.

use std::collections::HashSet;
use std::path::Path;

use crate::common::{fails, lanner, lines, ok, rows, script, text};
use lanner::evaluate::train::{DataPart, TrainData};
use lanner_search::study::{State, Study};
use rten_tensor::{NdTensor, prelude::*};
use serde_json::Value;

/// A limit that all networks keep, so that nothing is measured.
const ALL: &str = "params<=1e7";

/// How many % of the images are classified right by an ONNX file.
fn accuracy(onnx: &Path, data: &TrainData, part: DataPart) -> f64 {
    let model = rten::Model::load_file(onnx).unwrap();
    let (from, to) = (model.input_ids()[0], model.output_ids()[0]);
    let count = data.len(part);
    let right = (0..count).filter(|&i| {
        let (pixels, labels) = data.batch(part, i, 1, 3).unwrap();
        let image = NdTensor::from_data([1, 3, 8, 8], pixels);
        let outputs = model.run(vec![(from, image.view().into())], &[to], None).unwrap();
        let logits: NdTensor<f32, 2> = outputs.into_iter().next().unwrap().try_into().unwrap();
        let best = (0..10).max_by(|&a, &b| logits[[0, a]].total_cmp(&logits[[0, b]]));
        best == Some(usize::from(labels[0]))
    });
    100.0 * right.count() as f64 / count as f64
}

#[test]
fn from_nothing_to_a_network_with_the_accuracy_and_latency_that_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing may be surely within the median latency on a machine that is busy with other tests.
    let found = (0..4).find_map(|seed: u64| {
        let out = dir.path().join(seed.to_string());
        let (name, seed_text) = (out.display().to_string(), seed.to_string());
        let small = ["search", "--budget", "2", "--latency-samples", "5", "--json"];
        let call = lanner(&[&small[..], &["--seed", &seed_text, "--out", &name]].concat());
        let message = text(&call.stderr);
        assert!(call.status.success() || message.contains("within the limits"), "{message}");
        assert!(out.join("report.html").exists());
        call.status.success().then(|| (seed, out, rows(&text(&call.stdout)).remove(0)))
    });
    let (seed, out, row) = found.expect("a network in four tries");
    let number = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name}: {row}"));
    assert_eq!(number("evaluations"), 2.0);
    assert!(number("latency_ms") <= number("limit_latency_ms"), "{row}");
    let data = TrainData::new(lanner::data::images::digits().unwrap(), 0.2, seed).unwrap();
    let onnx = out.join("best.onnx");
    let named = [("val_accuracy", DataPart::Validation), ("test_accuracy", DataPart::Test)];
    for (name, part) in named {
        let again = accuracy(&onnx, &data, part);
        assert!((again - number(name)).abs() <= 0.1, "{name}: {again}, {row}");
    }
    let about: Value =
        serde_json::from_slice(&std::fs::read(out.join("best.json")).unwrap()).unwrap();
    assert_eq!(about["arch"], row["best"]);
    assert_eq!(about["metrics"]["val_accuracy"], row["val_accuracy"]);
    assert_eq!(about["input"]["mean"][0], data.statistics().mean[0]);
    let study = Study::open_read_only(&out).unwrap();
    assert_eq!(study.counts().unwrap().done, 2);
    // The limit is the median of the first measurements, rounded down.
    let mut first: Vec<f64> = (study.measurements().unwrap().iter())
        .filter(|m| m.metric == "latency_ms" && m.trial.is_none())
        .take(5)
        .map(|m| m.value)
        .collect();
    first.sort_by(f64::total_cmp);
    let (limit, median) = (study.job().limits[0].value(), first[first.len() / 2]);
    assert!(limit <= median && limit > 0.98 * median, "{limit} of {first:?}");
    let (code, message) = fails(&["search", "--out", &out.display().to_string()]);
    assert!(code == 2 && message.contains("--resume"), "{message}");
}

/// In a space of one network, this one is the best, and the limit does not exclude it.
#[test]
fn a_space_of_one_network_has_a_best() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("one.toml").display().to_string();
    let stage = "[[stage]]\ndepth = 1\nwidth = 8\nblock = \"sep\"\nkernel = 3\n";
    let skeleton = "[skeleton]\nresolution = 8\nclasses = 10\nstem = 8\nhead = 16\n";
    std::fs::write(&file, format!("name = \"one\"\nkind = \"chain\"\n{stage}{skeleton}")).unwrap();
    // A machine that is busy with other tests may be slower in one moment than in the next.
    let found = (0..4).find_map(|seed: u64| {
        let (seed, out) = (seed.to_string(), dir.path().join(seed.to_string()));
        let out = out.display().to_string();
        let args = ["search", "--space", &file, "--epochs", "1", "--seed", &seed, "--out", &out];
        let call = lanner(&[&args[..], &["--json"]].concat());
        call.status.success().then(|| rows(&text(&call.stdout)).remove(0))
    });
    assert_eq!(found.expect("a network in four tries")["best"], "w8:sep_k3");
}

#[test]
fn a_command_may_fail_hang_and_print_rubbish() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study");
    let name = out.display().to_string();
    let log = dir.path().join("log");
    let command = script(
        dir.path(),
        &format!(
            r#"echo "$1" >> '{0}'
n=$(wc -l < '{0}')
case $((n % 6)) in
0|3) echo "epoch 1 of $n"; echo 'Traceback: out of memory' >&2; exit 3 ;;
1) echo '93.1 %'; printf 'acc\001\377 [1]\n' ;;
5) test $n = 5 && {{ echo 'epoch 7'; sleep 100 & sleep 100; }} ;;
esac
echo "{{\"val_accuracy\": $n}}"
"#,
            log.display()
        ),
    );
    let base = ["search", "--evaluate", &command, "--limit", ALL, "--out", &name, "--json"];
    // Rubbish on standard output is none if a line with metrics comes in the end, as here.
    let row = rows(&ok(&[&base[..], &["--timeout", "4", "--budget", "12"]].concat())).remove(0);
    assert_eq!((row["evaluations"].as_u64(), row["failed"].as_u64()), (Some(12), Some(5)), "{row}");
    assert_eq!(row["val_accuracy"], 11.0);
    let calls = lines(&log);
    assert_eq!(calls.iter().collect::<HashSet<_>>().len(), 12, "{calls:?}");
    let shown = ok(&["study", "show", &name]);
    for part in [
        "trial 3 failed",
        "exit code 3\n    epoch 1 of 3\n    Traceback: out of memory\n",
        "no answer within 4 s\n    epoch 7\n",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json: Value = serde_json::from_str(&ok(&["study", "show", &name, "--json"])).unwrap();
    let failures = json["failures"].as_array().unwrap();
    let ids: Vec<u64> = failures.iter().map(|t| t["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [3, 5, 6, 9, 12]);

    // A program that gives no metrics at all.
    let command = script(dir.path(), "echo 93.1; printf 'a\\001\\377 [1]\\n'\n");
    let name = dir.path().join("rubbish").display().to_string();
    let (code, message) =
        fails(&["search", "--evaluate", &command, "--limit", ALL, "--budget", "3", "--out", &name]);
    assert!(code == 1 && message.contains("3 evaluations failed"), "{message}");
    assert!(message.contains("no line of standard output is a JSON object"), "{message}");
    assert!(ok(&["study", "show", &name]).contains("    93.1\n    a"));
    // A program that cannot be started leaves no study.
    let name = dir.path().join("none").display().to_string();
    for program in ["/nonexistent/train", "no-such-program-anywhere"] {
        let command = format!("command:{program} {{arch}}");
        let (code, message) = fails(&["search", "--evaluate", &command, "--out", &name]);
        assert!(code == 2 && message.contains(program) && message.contains("PATH"), "{message}");
        assert!(!std::path::Path::new(&name).exists());
    }
    let (code, message) = fails(&["search", "--evaluate", "command:train"]);
    assert!(code == 2 && message.contains("{arch}"), "{message}");
}

#[test]
fn time_ends_a_search_that_can_be_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a study");
    let name = out.display().to_string();
    let log = dir.path().join("log");
    let text_of =
        format!("echo \"$1\" >> '{}'; sleep 0.4; echo '{{\"val_accuracy\": 50}}'", log.display());
    let command = script(dir.path(), &text_of);
    let (code, message) = fails(&["search", "--time", "0", "--out", &name]);
    assert!(code == 2 && message.contains("--time"), "{message}");
    let base = ["search", "--evaluate", &command, "--limit", ALL, "--budget", "6", "--out", &name];
    let call = lanner(&[&base[..], &["--time", "0.02"]].concat());
    let message = text(&call.stderr);
    let way = format!("of 6 evaluations; lanner search --resume --out '{name}' goes on");
    assert!(message.contains("time is up") && message.contains(&way), "{message}");
    let done = Study::open_read_only(&out).unwrap().counts().unwrap().done;
    // A slow start may have taken all of it.
    assert!(done < 6 && call.status.success() == (done > 0), "{done}, {message}");
    ok(&["search", "--resume", "--out", &name]);
    let calls = lines(&log);
    assert_eq!((calls.len(), calls.iter().collect::<HashSet<_>>().len()), (6, 6), "{calls:?}");
}

#[test]
fn commands_run_two_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("study").display().to_string();
    let at = dir.path().display();
    let command = script(
        dir.path(),
        &format!(
            "touch '{at}'/run.$$; ls '{at}' | grep -c run >> '{at}'/log; sleep 0.8\n\
             ls '{at}' | grep -c run >> '{at}'/log; rm '{at}'/run.$$; echo '{{\"val_accuracy\": 50}}'\n"
        ),
    );
    let base = ["search", "--evaluate", &command, "--limit", ALL, "--out", &name];
    ok(&[&base[..], &["--budget", "6", "--parallel", "2"]].concat());
    let counts = lines(&dir.path().join("log"));
    assert_eq!(counts.len(), 12);
    assert_eq!(counts.iter().max().unwrap(), "2");
    let trials = Study::open_read_only(&name).unwrap().trials().unwrap();
    assert!(trials.len() == 6 && trials.iter().all(|t| t.state == State::Done));
}
