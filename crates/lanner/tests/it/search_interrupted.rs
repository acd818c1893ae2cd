//! `lanner search` that is stopped, killed and resumed, and searches by two processes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::{Running, lines, ok, script, start, wait_for};
use lanner::space::Space;
use lanner_search::study::{Counts, State, Study, Trial};
use rand::RngExt;

/// A limit that all networks keep, so that nothing is measured.
const ALL: &str = "params<=1e7";

/// Accuracies and latencies by a formula, of every 20th cell.
fn table(dir: &Path) -> String {
    let space = Space::NasBench201;
    let mut csv = String::from("arch,accuracy,toy_ms\n");
    for i in 0..780 {
        let text = space.print(&space.at(i * 20).unwrap());
        let count = |what| text.matches(what).count() as f64;
        let gain = count("conv_3x3") + 0.6 * count("conv_1x1") + 0.3 * count("skip");
        let cost = 1.0 + count("conv_3x3") + 0.4 * count("conv_1x1") + 0.2 * count("pool");
        csv += &format!("{text},{},{cost}\n", 50.0 + 10.0 * gain - gain * gain);
    }
    let path = dir.join("table.csv");
    std::fs::write(&path, csv).unwrap();
    path.display().to_string()
}

/// A call that begins a search of the table, or goes on with it if there is one.
fn search_table(table: &str, out: &Path, seed: u64) -> Running {
    let out_text = out.display().to_string();
    let mut args: Vec<String> =
        ["search", "--threads", "1", "--out", &out_text].map(Into::into).into();
    if Study::is_there(out) {
        args.push("--resume".into());
    } else {
        let evaluate =
            [format!("--evaluate=table:{table}"), format!("--latency-table={table}:toy_ms")];
        args.extend(evaluate);
        args.push(format!("--seed={seed}"));
        let more =
            ["--metric=accuracy", "--limit=latency_ms<=3.2", "--latency-samples=8", "--budget=24"];
        args.extend(more.map(Into::into));
    }
    start(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn trials(out: &Path) -> Vec<Trial> {
    Study::open_read_only(out).unwrap().trials().unwrap()
}

/// The facts that must be the same however a study came about: predictions to the last bit.
fn essence(out: &Path) -> Vec<String> {
    let of = |t: &Trial| {
        let Trial { id, round, arch, state, seed, metrics, predicted, .. } = t;
        format!("{id} {round} {arch:?} {state:?} {seed} {metrics:?} {predicted:?}")
    };
    trials(out).iter().map(of).collect()
}

fn measured(out: &Path) -> BTreeSet<String> {
    let measurements = Study::open_read_only(out).unwrap().measurements().unwrap();
    measurements.iter().map(|m| format!("{:?} {} {}", m.arch, m.metric, m.value)).collect()
}

/// The trials that have ended, with their times: they must not end again.
fn ended(out: &Path) -> BTreeMap<i64, (State, Option<u64>)> {
    let ended = trials(out).into_iter().filter(|t| t.finished_at.is_some());
    ended.map(|t| (t.id, (t.state, t.finished_at.map(f64::to_bits)))).collect()
}

/// Kills searches so often in all, each at some random moments, lets each end and compares it with one
/// of the same seed that nothing disturbed.
fn kill_and_go_on(kills: usize, each: usize) {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let mut rng = lanner::nn::rng(kills as u64, "kill test");
    let (mut killed, mut searches) = (0, 0);
    while killed < kills {
        searches += 1;
        assert!(searches <= kills, "searches are too short to be killed");
        let [whole, broken] =
            ["whole", "broken"].map(|n| dir.path().join(format!("{n}{searches}")));
        let begin = Instant::now();
        assert!(search_table(&table, &whole, searches as u64).end().status.success());
        let once = begin.elapsed();
        let mut before = BTreeMap::new();
        let most = killed + each.min(kills - killed);
        while killed < most {
            let mut search = search_table(&table, &broken, searches as u64);
            std::thread::sleep(once.mul_f64(rng.random_range(0.0..0.6)));
            if search.has_ended() {
                assert!(search.end().status.success());
                break;
            }
            search.signal("KILL");
            search.end();
            killed += 1;
            if Study::is_there(&broken) {
                let now = ended(&broken);
                assert!(before.iter().all(|(id, how)| now.get(id) == Some(how)));
                before = now;
            }
        }
        let last = search_table(&table, &broken, searches as u64).end();
        assert!(last.status.success(), "{}", crate::common::text(&last.stderr));
        let now = ended(&broken);
        assert!(before.iter().all(|(id, how)| now.get(id) == Some(how)));
        assert_eq!(essence(&broken), essence(&whole));
        assert_eq!(measured(&broken), measured(&whole));
        let archs: HashSet<_> = trials(&broken).into_iter().map(|t| t.arch).collect();
        assert_eq!(archs.len(), now.len(), "none twice, none without an end");
        for file in ["best.json", "report.html"] {
            assert!(broken.join(file).exists(), "{file}");
        }
        let best = |out: &Path| std::fs::read_to_string(out.join("best.json")).unwrap();
        assert_eq!(best(&broken), best(&whole));
    }
    println!(
        "{killed} kills of {searches} searches: each ended with the trials of an undisturbed one"
    );
}

#[test]
fn killed_at_random_moments() {
    kill_and_go_on(4, 4);
}

#[test]
#[ignore = "takes minutes"]
fn killed_at_fifty_random_moments() {
    kill_and_go_on(50, 5);
}

#[test]
fn two_processes_evaluate_no_network_twice() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study");
    let name = out.display().to_string();
    let log = dir.path().join("log");
    // The first call waits for one of the other process.
    let text = format!(
        "echo \"$1\" >> '{0}'; i=0\n\
         while test $(wc -l < '{0}') -lt 2 -a $i -lt 600; do sleep 0.1; i=$((i+1)); done\n\
         sleep 0.1; echo '{{\"val_accuracy\": 50}}'",
        log.display()
    );
    let command = script(dir.path(), &text);
    let first = start(&[
        "search",
        "--evaluate",
        &command,
        "--limit",
        ALL,
        "--budget",
        "16",
        "--out",
        &name,
    ]);
    wait_for("a first evaluation", || !lines(&log).is_empty());
    let second = start(&["search", "--resume", "--out", &name]);
    for call in [first, second] {
        let out = call.end();
        assert!(out.status.success(), "{}", crate::common::text(&out.stderr));
    }
    let calls = lines(&log);
    assert_eq!((calls.len(), calls.iter().collect::<HashSet<_>>().len()), (16, 16));
    let trials = trials(&out);
    assert!(trials.iter().all(|t| t.state == State::Done));
    let owners: HashSet<&String> = trials.iter().filter_map(|t| t.owner.as_ref()).collect();
    assert_eq!(owners.len(), 2, "both took part");
}

/// A training would be given up by the first signal; what runs for long gets another chance.
#[cfg(target_os = "linux")]
#[test]
fn signals_end_commands_with_all_that_they_started() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study");
    let (name, at) = (out.display().to_string(), dir.path().display());
    let command = script(
        dir.path(),
        &format!(
            "echo \"$1\" >> '{at}/log'\n\
             test -e '{at}/quick' && {{ echo '{{\"val_accuracy\": 50}}'; exit; }}\n\
             sleep 1000 & echo $$ > '{at}/new'; echo $! >> '{at}/new'; mv '{at}/new' '{at}/numbers'; wait\n"
        ),
    );
    let numbers = dir.path().join("numbers");
    let is_alive = |number: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // A process that nobody has waited for has the state Z.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    let way = "search --resume --out ";
    for (signals, code) in
        [(&["INT", "INT"][..], 1), (&["TERM"], 1), (&["INT", "TERM"], 1), (&["KILL"], 0)]
    {
        let resume = ["search", "--resume", "--out", &name];
        let begin =
            ["search", "--evaluate", &command, "--limit", ALL, "--budget", "3", "--out", &name];
        let mut call = start(if Study::is_there(&out) { &resume[..] } else { &begin[..] });
        wait_for("an evaluation", || numbers.exists());
        let running = lines(&numbers);
        assert_eq!(running.len(), 2);
        assert!(running.iter().all(is_alive));
        for (i, signal) in signals.iter().enumerate() {
            if i > 0 {
                // The one before has no effect on what runs.
                std::thread::sleep(Duration::from_millis(300));
                assert!(!call.has_ended() && running.iter().all(is_alive));
            }
            call.signal(signal);
        }
        let (found, message) = call.fails();
        if signals == ["KILL"] {
            assert_eq!(found, None);
        } else {
            assert_eq!(found, Some(code), "{message}");
            assert!(
                message.contains("after 0 of 3 evaluations") && message.contains(way),
                "{message}"
            );
            assert_eq!(message.contains("Ctrl-C again"), signals[0] == "INT", "{message}");
        }
        wait_for("the end of the command", || !running.iter().any(is_alive));
        std::fs::remove_file(&numbers).unwrap();
    }
    // The same network each time, since nothing has come of it yet.
    let calls = lines(&dir.path().join("log"));
    assert!(calls.len() == 4 && calls.iter().all(|c| *c == calls[0]), "{calls:?}");
    std::fs::write(dir.path().join("quick"), "").unwrap();
    ok(&["search", "--resume", "--out", &name]);
    assert_eq!(lines(&dir.path().join("log")).len(), 4 + 3);
}

/// The first Ctrl-C lets a command end in peace.
#[test]
fn a_command_under_way_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study");
    let (name, log) = (out.display().to_string(), dir.path().join("log"));
    let text =
        format!("echo \"$1\" >> '{}'; sleep 1; echo '{{\"val_accuracy\": 50}}'", log.display());
    let command = script(dir.path(), &text);
    let call =
        start(&["search", "--evaluate", &command, "--limit", ALL, "--budget", "2", "--out", &name]);
    wait_for("an evaluation", || !lines(&log).is_empty());
    call.signal("INT");
    let (code, message) = call.fails();
    assert!(code == Some(1) && message.contains("after 1 of 2 evaluations"), "{message}");
    ok(&["search", "--resume", "--out", &name]);
    assert_eq!(lines(&log).len(), 2);
}

#[test]
fn signals_end_trainings_and_resume_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("study");
    let name = out.display().to_string();
    let size = ["--channels", "4", "--epochs", "12", "--parallel", "1", "--budget", "2"];
    let begin = [&["search", "--limit", ALL, "--out", &name], &size[..]].concat();
    let resume = ["search", "--resume", "--out", &name];
    let counts = || -> Option<Counts> { Study::open_read_only(&out).ok()?.counts().ok() };
    for signal in ["INT", "TERM"] {
        let call = start(if signal == "INT" { &begin[..] } else { &resume[..] });
        wait_for("a training", || counts().is_some_and(|c| c.running > 0));
        call.signal(signal);
        let (code, message) = call.fails();
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains("of 2 evaluations; lanner search --resume --out "), "{message}");
        assert_eq!(counts().unwrap().running, 0, "given back");
    }
    ok(&resume);
    assert_eq!(counts().unwrap().done, 2);
    assert!(out.join("best.onnx").exists());
}
