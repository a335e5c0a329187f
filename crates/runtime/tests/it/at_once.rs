//! Commands about one container at the same time: each does its part, or finds it done.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process};
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
    let ended = rustix::process::pidfd_open(Pid::from_child(&update), PidfdFlags::empty()).unwrap();
    await_that("its turn", || {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&now)), Ok(0), "it did not wait");
        fs::read_to_string("/proc/locks").unwrap().lines().any(waits)
    });
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

/// A container by the name of another that was deleted while its runtime was still at it.
struct Successor {
    first: Bundle,
    /// A group below the successor's.
    group: PathBuf,
}

impl Successor {
    /// Deletes the first container, whose runtime is not getting any further, and begins another.
    fn begin(first: Bundle) -> Self {
        first.command(&["delete", "--force", &first.id]).good();
        let directory = first.directory.join("second");
        fs::create_dir(&directory).unwrap();
        let mut second = first.spec.clone();
        second.as_object_mut().unwrap().remove("hooks");
        second["process"]["args"] = json!(["sleep", "1000"]);
        second["root"]["path"] = json!(first.rootfs());
        fs::write(directory.join("config.json"), second.to_string()).unwrap();
        let output = fs::File::create(first.directory.join("output")).unwrap();
        let mut command =
            first.runtime(&["run", "--detach", "--bundle", directory.to_str().unwrap(), &first.id]);
        let status = command.stdout(output.try_clone().unwrap()).stderr(output).status().unwrap();
        assert!(status.success(), "{}", first.output());
        let group = first.cgroup("pids").join("below");
        fs::create_dir(&group).unwrap();
        Self { first, group }
    }

    /// Nothing of it was taken for the first one's.
    fn assert_whole(&self) {
        let state = self.first.command(&["state", &self.first.id]).good();
        assert!(state.contains("\"running\"") && state.contains("/second\""), "{state}");
        assert!(self.group.exists());
        assert_eq!(self.first.exec(&["echo", "added"]).good(), "added\n");
        self.first.command(&["delete", "--force", &self.first.id]).good();
        assert!(!self.group.exists());
    }
}

/// A command that does not outlive its test.
struct Slow(Child);

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The first command waits in a hook of the host while it is overtaken, and fails.
#[test]
fn a_failing_command_leaves_what_its_successor_has_made() {
    for (verb, point) in
        [(&["create"][..], "createRuntime"), (&["run", "--detach"], "prestart"), (&["run"], "poststart")]
    {
        let first = Bundle::shell("sleep 1000");
        let (begun, go) = (first.directory.join("begun"), first.directory.join("go"));
        // It ends with the bundle, too.
        let script = format!(
            "touch {0}; while test -e {0} && ! test -e {1}; do sleep 0.01; done; exit 1",
            begun.display(),
            go.display()
        );
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]);
        let first = first.set(&format!("/hooks/{point}"), hook);
        first.write();
        let errors = first.directory.join("errors");
        let mut command = first.runtime(verb);
        command.args(["--bundle", first.directory.to_str().unwrap(), &first.id]).stdout(Stdio::null());
        let mut slow = Slow(command.stderr(fs::File::create(&errors).unwrap()).spawn().unwrap());
        await_that("its hook", || begun.exists());
        let second = Successor::begin(first);
        fs::write(&go, "").unwrap();
        assert!(!slow.0.wait().unwrap().success());
        let errors = fs::read_to_string(errors).unwrap();
        assert!(errors.contains("error: "), "{point}: {errors}");
        second.assert_whole();
    }
}

/// The first command only hears of its container's end when another has the name.
#[test]
fn a_run_in_the_foreground_leaves_what_its_successor_has_made() {
    let first = Bundle::shell("touch /tmp/begun; sleep 1000");
    first.write();
    let mut command = first.runtime(&["run", "--bundle", first.directory.to_str().unwrap(), &first.id]);
    let mut slow = Slow(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    await_that("its program", || first.rootfs().join("tmp/begun").exists());
    let pid = Pid::from_child(&slow.0);
    kill_process(pid, Signal::STOP).unwrap();
    let stopped = format!("/proc/{}/stat", slow.0.id());
    await_that("its stop", || fs::read_to_string(&stopped).unwrap().contains(") T "));
    let second = Successor::begin(first);
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(slow.0.wait().unwrap().code(), Some(128 + 9));
    second.assert_whole();
}
