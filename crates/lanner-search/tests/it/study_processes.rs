//! Studies with several processes, some of which die.

use std::path::Path;

use crate::common::{done, essence, job, some_archs};
use lanner_search::StrategyName;
use lanner_search::study::{State, Study};

/// Not a test, but the process that the tests start and kill. Evaluates until nothing is left, and
/// writes down what it begins and ends.
#[test]
#[ignore]
fn worker() {
    use std::io::Write;
    let Some(path) = std::env::var_os("LANNER_TEST_STUDY") else { return };
    let path = Path::new(&path);
    let mut log =
        std::fs::File::options().append(true).create(true).open(path.join("log")).unwrap();
    // A line is one write: `writeln!` makes several, and a kill between two leaves half a line.
    let mut write_down = |line: String| log.write_all(line.as_bytes()).unwrap();
    let mut study = Study::open(path).unwrap();
    loop {
        while let Some(trial) = study.claim().unwrap() {
            let text = study.space().print(&trial.arch);
            write_down(format!("begin {} {} {text}\n", trial.id, trial.seed));
            std::thread::sleep(std::time::Duration::from_millis(2));
            study.tell(trial.id, done(&text)).unwrap();
            write_down(format!("end {}\n", trial.id));
        }
        if study.ask(4).unwrap().is_empty() {
            break;
        }
    }
}

fn start_worker(path: &Path) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "study_processes::worker", "--ignored", "--test-threads", "1"])
        .env("LANNER_TEST_STUDY", path)
        .env("RAYON_NUM_THREADS", "1")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills workers at random moments, lets the last one end, and compares with an undisturbed one.
fn kill_and_go_on(kills: usize, seed: u64) {
    use rand::RngExt;
    let folder = tempfile::tempdir().unwrap();
    let [whole, broken] = ["a", "b"].map(|name| {
        let path = folder.path().join(name);
        drop(Study::create_of(&path, &job(StrategyName::Default, 80), &some_archs()).unwrap());
        path
    });
    let start = std::time::Instant::now();
    assert!(start_worker(&whole).wait().unwrap().success());
    let once = start.elapsed();
    let mut rng = lanner_nn::rng(seed, "kill test");
    for _ in 0..kills {
        let mut worker = start_worker(&broken);
        std::thread::sleep(once.mul_f64(rng.random_range(0.0..2.0 / kills as f64)));
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    assert!(start_worker(&broken).wait().unwrap().success());
    let trials = |path: &Path| Study::open_read_only(path).unwrap().trials().unwrap();
    assert_eq!(essence(&trials(&broken)), essence(&trials(&whole)));
    let log = std::fs::read_to_string(broken.join("log")).unwrap();
    let mut ended = std::collections::HashSet::new();
    let mut seeds = std::collections::HashMap::new();
    let mut begun = 0;
    for line in log.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["begin", id, seed, arch] => {
                begun += 1;
                assert!(!ended.contains(id), "trial {id} was evaluated again");
                let of = (seed.to_string(), arch.to_string());
                assert_eq!(seeds.entry(id.to_string()).or_insert(of.clone()), &of);
            }
            ["end", id] => assert!(ended.insert(id), "trial {id} ended twice"),
            _ => panic!("{line}"),
        }
    }
    assert_eq!(seeds.len(), 80);
    println!("{kills} kills, {begun} evaluations begun for 80 trials");
}

#[test]
fn killed_at_random_moments() {
    kill_and_go_on(10, 1);
}

#[test]
#[ignore = "takes a minute"]
fn killed_at_fifty_random_moments() {
    kill_and_go_on(50, 2);
}

#[test]
fn three_processes_at_once_share_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    drop(Study::create_of(path, &job(StrategyName::WeakPredictors, 60), &some_archs()).unwrap());
    let workers: Vec<_> = (0..3).map(|_| start_worker(path)).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let trials = Study::open_read_only(path).unwrap().trials().unwrap();
    assert_eq!(trials.len(), 60);
    assert!(trials.iter().all(|t| t.state == State::Done));
    let log = std::fs::read_to_string(path.join("log")).unwrap();
    let begun = log.lines().filter(|l| l.starts_with("begin")).count();
    assert_eq!(begun, 60, "each trial was run once");
}

/// A process that cannot be seen from here is dead when it gives no sign of life.
#[test]
fn processes_elsewhere_have_a_lease() {
    let folder = tempfile::tempdir().unwrap();
    let mut study =
        Study::create_of(folder.path(), &job(StrategyName::Random, 2), &some_archs()).unwrap();
    let trial = study.ask(1).unwrap().remove(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let other = rusqlite::Connection::open(study.path()).unwrap();
    let beat = |age: f64| {
        let sql =
            "UPDATE trial SET state = 'running', owner = 'elsewhere/b/1/2/3/4', heartbeat = ?";
        other.execute(sql, [now.as_secs_f64() - age]).unwrap();
    };
    beat(30.0);
    assert!(study.claim().unwrap().is_none());
    beat(600.0);
    let claimed = study.claim().unwrap().unwrap();
    assert_eq!((claimed.id, claimed.seed), (trial.id, trial.seed));
    // A trial that kills every process that runs it is given up.
    for _ in 0..9 {
        beat(600.0);
        assert!(study.claim().unwrap().is_some());
    }
    beat(600.0);
    assert!(study.claim().unwrap().is_none());
    let failed = study.trial(trial.id).unwrap();
    assert_eq!(failed.state, State::Failed);
    assert!(failed.note.unwrap().contains("10 times"));
}
