//! The command while it waits for a container or one of its processes.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bundle::{Bundle, Outcome, program};

/// What a command prints and ends with. One that does not end is ended, and has failed.
#[track_caller]
fn finish(mut command: Command) -> Outcome {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} goes on for ever");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Outcome::of(child.wait_with_output().unwrap())
}

/// A command of the runtime whose caller ignores the ends of its children.
fn heedless(bundle: &Bundle, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("heedless").arg("--root").arg(bundle.directory.join("state")).args(args).stdin(Stdio::null());
    command
}

#[test]
fn callers_may_ignore_the_ends_of_their_children() {
    let bundle = Bundle::shell("grep SigIgn /proc/self/status; exit 3");
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "exit 0"]});
    let bundle = bundle.set("/hooks", json!({"createRuntime": [hook], "poststop": [hook]}));
    bundle.write();
    let outcome = finish(heedless(&bundle, &["run", "-b", bundle.directory.to_str().unwrap(), &bundle.id]));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (3, ""));
    assert_eq!(outcome.stdout, "SigIgn:\t0000000000000000\n");
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn callers_of_exec_and_ps_may_too() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let outcome = finish(heedless(&bundle, &["exec", &bundle.id, "sh", "-c", "echo ran; exit 4"]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (4, "ran\n"));
    let outcome = finish(heedless(&bundle, &["exec", "-t", &bundle.id, "sh", "-c", "echo ran; exit 5"]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (5, "ran\r\n"));
    if Command::new("ps").arg("-ef").output().is_ok_and(|output| output.status.success()) {
        assert!(finish(heedless(&bundle, &["ps", &bundle.id])).good().contains("sleep 1000"));
    }
}
