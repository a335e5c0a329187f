//! Commands about one container at the same time: each does its part, or finds it done.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome};

/// Begins all of them before it waits for the first.
fn at_once(bundle: &Bundle, commands: &[Vec<&str>]) -> Vec<Outcome> {
    let begin = |args: &Vec<&str>| {
        bundle.runtime(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = commands.iter().map(begin).collect();
    children.into_iter().map(|child| Outcome::of(child.wait_with_output().unwrap())).collect()
}

/// A container whose poststop hook leaves a line.
fn with_end(script: &str) -> Bundle {
    let bundle = Bundle::shell(script);
    let said = format!("echo over >> {}", bundle.directory.join("log").display());
    bundle.set("/hooks/poststop", json!([{"path": "/bin/sh", "args": ["sh", "-c", said]}]))
}

fn ends(bundle: &Bundle) -> usize {
    fs::read_to_string(bundle.directory.join("log")).unwrap_or_default().lines().count()
}

#[test]
fn all_who_delete_by_force_succeed_and_one_runs_the_hooks() {
    for round in 0..4 {
        let bundle = with_end("sleep 1000");
        bundle.start();
        let delete = vec!["delete", "--force", bundle.id.as_str()];
        for outcome in at_once(&bundle, &vec![delete; 20]) {
            assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{round}");
        }
        assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"));
        assert!(!bundle.cgroup("pids").exists());
        assert_eq!(ends(&bundle), 1, "{round}");
    }
}

#[test]
fn one_of_those_who_delete_without_force_has_done_it() {
    for round in 0..4 {
        let bundle = with_end("true");
        bundle.write();
        bundle.command(&["run", "--keep", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id]).good();
        let outcomes = at_once(&bundle, &vec![vec!["delete", bundle.id.as_str()]; 20]);
        let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|outcome| outcome.code == 0);
        assert_eq!((good.len(), ends(&bundle)), (1, 1), "{round}: {bad:?}");
        assert!(bad.iter().all(|outcome| outcome.stderr.contains("does not exist")), "{round}: {bad:?}");
    }
}

fn record(bundle: &Bundle) -> PathBuf {
    bundle.directory.join("state").join(&bundle.id).join("state.json")
}

fn limits(bundle: &Bundle) -> Value {
    let record: Value = serde_json::from_slice(&fs::read(record(bundle)).unwrap()).unwrap();
    record["spec"]["linux"]["resources"].clone()
}

#[test]
fn updates_all_succeed_and_none_is_forgotten() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    for round in 0..4 {
        let values = [format!("{}m", 64 + round), (50 + round).to_string(), (200 + round).to_string()];
        let flags = ["--memory", "--pids-limit", "--cpu-share"];
        let update = |(flag, value)| vec!["update", flag, value, bundle.id.as_str()];
        let commands: Vec<_> = flags.into_iter().zip(values.iter().map(String::as_str)).map(update).collect();
        for outcome in at_once(&bundle, &vec![commands; 4].concat()) {
            assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{round}");
        }
        let limits = limits(&bundle);
        assert_eq!(limits["memory"]["limit"], (64 + round) << 20, "{limits}");
        assert_eq!(
            (&limits["pids"]["limit"], &limits["cpu"]["shares"]),
            (&json!(50 + round), &json!(200 + round))
        );
    }
    let left = fs::read_dir(record(&bundle).parent().unwrap()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).filter(|name| name != "cgroup").collect();
    assert_eq!(left, ["state.json"]);
}

#[test]
fn an_update_waits_for_the_one_before_it() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let directory = fs::File::open(record(&bundle).parent().unwrap()).unwrap();
    rustix::fs::flock(&directory, FlockOperation::LockExclusive).unwrap();
    let mut update = bundle.runtime(&["update", "--pids-limit", "77", &bundle.id]).spawn().unwrap();
    let number = update.id().to_string();
    let waits = |line: &str| line.contains("->") && line.split_whitespace().any(|word| word == number);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
        assert_eq!(update.try_wait().unwrap(), None);
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut changed: Value = serde_json::from_slice(&fs::read(record(&bundle)).unwrap()).unwrap();
    changed["spec"]["linux"]["resources"]["cpu"] = json!({"shares": 300});
    fs::write(record(&bundle), changed.to_string()).unwrap();
    rustix::fs::flock(&directory, FlockOperation::Unlock).unwrap();
    assert!(update.wait().unwrap().success());
    let limits = limits(&bundle);
    assert_eq!((&limits["pids"]["limit"], &limits["cpu"]["shares"]), (&json!(77), &json!(300)), "{limits}");
}

/// An update that was killed may leave its half of a file.
#[test]
fn what_another_update_has_left_is_in_nobodys_way() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let directory = record(&bundle).with_file_name("");
    for left in ["state.json.tmp", "state.json.1.tmp"] {
        fs::create_dir(directory.join(left)).unwrap();
    }
    bundle.command(&["update", "--pids-limit", "77", &bundle.id]).good();
    assert_eq!(limits(&bundle)["pids"]["limit"], 77);
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert!(!directory.exists());
}
